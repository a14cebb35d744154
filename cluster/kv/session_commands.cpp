#include <algorithm>
#include <array>

#include "cluster/kv/error_map.hpp"
#include "cluster/kv/kv_connection.hpp"
#include "protocol/scram.hpp"

// The commands that concern the connection: what it may do, who it is, which bucket it is on.
namespace chaise::testing {

using protocol::RequestError;

namespace {

using protocol::Feature;

// What is granted: all of it is served.
constexpr std::array granted_features = {
    Feature::tcp_nodelay,
    Feature::mutation_seqno,
    Feature::xattr,
    Feature::xerror,
    Feature::select_bucket,
    Feature::snappy,
    Feature::json,
    Feature::duplex,
    Feature::clustermap_change_notification,
    Feature::unordered_execution,
    Feature::tracing,
    Feature::alt_request,
    Feature::sync_replication,
    Feature::collections,
    Feature::preserve_ttl,
    Feature::vattr,
    Feature::subdoc_create_as_deleted,
    Feature::subdoc_document_macro_support,
    Feature::subdoc_replace_body_with_xattr,
    Feature::subdoc_replica_read,
    Feature::get_cluster_config_with_known_version,
    Feature::dedupe_nmvb_clustermap,
    Feature::clustermap_change_notification_brief,
    Feature::subdoc_allows_access_multiple_xattr_keys,
    Feature::subdoc_binary_xattr,
    Feature::subdoc_allow_replica_read_on_deleted_docs,
};

constexpr std::string_view mechanisms = "SCRAM-SHA512 SCRAM-SHA256 SCRAM-SHA1 PLAIN";
constexpr std::size_t max_agent = 200;
constexpr std::size_t max_bucket_name = 100;
constexpr std::size_t max_sasl_data = std::size_t{64} * 1024;
constexpr std::string_view no_bucket_name = "@no bucket@";

bool is_listed(std::string_view mechanism) noexcept {
    std::string_view left = mechanisms;
    while (!left.empty()) {
        const std::string_view word = left.substr(0, left.find(' '));
        if (word == mechanism) return true;
        left.remove_prefix(std::min(left.size(), word.size() + 1));
    }
    return false;
}

}  // namespace

void KvConnection::hello(Command& command) {
    protocol::DecodedHello request;
    if (const RequestError error = decode(command.frame, request); error != RequestError::none)
        return refuse(command, error);
    protocol::FeatureSet asked;
    for (std::size_t i = 0; i < request.size(); ++i) asked.insert(request[i]);
    const bool pushes = asked.contains(Feature::clustermap_change_notification) ||
                        asked.contains(Feature::clustermap_change_notification_brief);
    if (pushes && !asked.contains(Feature::duplex))
        return fail(command.origin, Status::einval, "ClustermapChangeNotification needs Duplex");
    if (asked.contains(Feature::tcp_nodelay) && asked.contains(Feature::tcpdelay))
        return fail(command.origin, Status::einval, "TCP NODELAY and TCP DELAY exclude each other");
    agent_ = request.agent.substr(0, max_agent);
    features_ = {};
    std::string granted;
    for (const Feature feature : granted_features) {
        if (!asked.contains(feature)) continue;
        if (!node_.cluster().options().cccp && (feature == Feature::clustermap_change_notification ||
                                                feature == Feature::clustermap_change_notification_brief))
            continue;
        if (feature == Feature::clustermap_change_notification &&
            asked.contains(Feature::clustermap_change_notification_brief))
            continue;
        features_.insert(feature);
        char code[2];
        protocol::store_be16(code, static_cast<std::uint16_t>(feature));
        granted.append(code, sizeof code);
    }
    answer(command.origin, {.value = granted});
}

void KvConnection::sasl(Command& command) {
    if (command.frame.opcode == Opcode::sasl_list_mechs) {
        protocol::HeaderRequest request;
        const RequestError error = decode(command.frame, request);
        return error == RequestError::none ? answer(command.origin, {.value = mechanisms}) : refuse(command, error);
    }
    if (command.frame.value.size() > max_sasl_data) return fail(command.origin, Status::einval, "too long");
    if (command.frame.opcode == Opcode::sasl_step) {
        protocol::SaslStepRequest request;
        if (const RequestError error = decode(command.frame, request); error != RequestError::none)
            return refuse(command, error);
        if (!sasl_ || request.mechanism != mechanism_)
            return fail(command.origin, Status::einval, "no such conversation is open");
        return sasl_reply(command, sasl_->step(request.data));
    }
    protocol::SaslAuthRequest request;
    if (const RequestError error = decode(command.frame, request); error != RequestError::none)
        return refuse(command, error);
    if (sasl_) return fail(command.origin, Status::einval, "a conversation is open");
    if (!is_listed(request.mechanism))
        return fail(command.origin, Status::auth_error,
                    "Unsupported mechanism. Must be one of: " + std::string(mechanisms));
    user_.clear();  // until this one is through
    mechanism_ = request.mechanism;
    // The same salt each time, so that clients may remember what they made of it.
    const auto hash = mechanism_ == "SCRAM-SHA512"   ? protocol::ScramHash::sha512
                      : mechanism_ == "SCRAM-SHA256" ? protocol::ScramHash::sha256
                                                     : protocol::ScramHash::sha1;
    protocol::SaslServerOptions options;
    options.password_of = [this](std::string_view name) -> std::optional<std::string> {
        const ClusterUser* const user = node_.cluster().user(name);
        return user ? std::optional(user->password) : std::nullopt;
    };
    options.nonce = random_hex(2);
    options.salt = protocol::scram_digest(hash, "salt of " + node_.cluster_config()->uuid);
    options.iterations = node_.cluster().options().scram_iterations;
    options.keys = &node_.cluster().scram_keys();
    sasl_.emplace(mechanism_, std::move(options));
    sasl_reply(command, sasl_->step(request.data));
}

void KvConnection::sasl_reply(const Command& command, const protocol::SaslServer::Reply& reply) {
    if (reply.status == Status::auth_continue)
        return answer(command.origin, {.status = reply.status, .value = reply.data});
    if (reply.status == Status::success) {
        user_ = sasl_->user();
        sasl_.reset();
        return answer(command.origin, {.value = reply.data});
    }
    sasl_.reset();
    fail(command.origin, Status::auth_error, "Authentication failed");
}

bool KvConnection::may_use(std::string_view bucket) const noexcept {
    const ClusterUser* const user = node_.cluster().user(user_);
    if (user == nullptr) return false;
    return user->buckets.empty() ||
           std::find(user->buckets.begin(), user->buckets.end(), bucket) != user->buckets.end();
}

void KvConnection::select_bucket(Command& command) {
    protocol::SelectBucketRequest request;
    if (const RequestError error = decode(command.frame, request); error != RequestError::none)
        return refuse(command, error);
    if (request.bucket.size() > max_bucket_name) return fail(command.origin, Status::einval, "name too long");
    if (request.bucket == no_bucket_name) {
        bucket_.clear();
        seen_.reset();
        return succeed(command);
    }
    if (!may_use(request.bucket) || !node_.cluster().bucket_config(request.bucket))
        return fail(command.origin, Status::eaccess, "No access to the bucket, or it does not exist");
    // It exists, but has not come to this node yet.
    if (!node_.bucket_config(request.bucket)) return fail(command.origin, Status::key_enoent);
    if (bucket_ != request.bucket) seen_.reset();
    bucket_ = request.bucket;
    succeed(command);
}

void KvConnection::get_cluster_config(Command& command) {
    if (!node_.cluster().options().cccp) return fail(command.origin, Status::unknown_command);
    protocol::GetClusterConfigRequest request;
    if (const RequestError error = decode(command.frame, request); error != RequestError::none)
        return refuse(command, error);
    if (request.known && !has(Feature::get_cluster_config_with_known_version))
        return fail(command.origin, Status::einval, "GetClusterConfigWithKnownVersion was not granted");
    const auto config = bucket_.empty() ? nullptr : node_.bucket_config(bucket_);
    const auto revision = config ? config->revision : node_.cluster_config()->revision;
    if (request.known && *request.known >= revision) return succeed(command);
    seen_ = revision;
    answer(command.origin, {.datatype = json_datatype(), .value = *node_.config_json(bucket_)});
}

void KvConnection::get_error_map(Command& command) {
    protocol::GetErrorMapRequest request;
    if (const RequestError error = decode(command.frame, request); error != RequestError::none)
        return refuse(command, error);
    if (command.frame.vbucket() != 0) return fail(command.origin, Status::einval, "vbucket must be 0");
    const std::string json = error_map_json(request.version);
    if (json.empty()) return fail(command.origin, Status::key_enoent);
    answer(command.origin, {.datatype = json_datatype(), .value = json});
}

void KvConnection::list_buckets(Command& command) {
    protocol::HeaderRequest request;
    if (const RequestError error = decode(command.frame, request); error != RequestError::none)
        return refuse(command, error);
    std::string names;
    for (const std::string& name : node_.buckets()) {
        if (!may_use(name)) continue;
        if (!names.empty()) names += ' ';
        names += name;
    }
    answer(command.origin, {.value = names});
}

namespace {

const protocol::CollectionsManifest::Scope* find_scope(const protocol::CollectionsManifest& manifest,
                                                       std::string_view name) noexcept {
    for (const auto& scope : manifest.scopes)
        if (scope.name == (name.empty() ? "_default" : name)) return &scope;
    return nullptr;
}

struct IdExtras {
    IdExtras(std::uint64_t manifest, std::uint32_t id) noexcept {
        protocol::store_be32(protocol::store_be64(bytes, manifest), id);
    }
    [[nodiscard]] std::string_view view() const noexcept { return {bytes, sizeof bytes}; }
    char bytes[12];
};

}  // namespace

void KvConnection::collection_id(Command& command) {
    const auto config = node_.bucket_config(bucket_);
    if (command.frame.opcode == Opcode::collections_get_manifest) {
        protocol::HeaderRequest request;
        if (const RequestError error = decode(command.frame, request); error != RequestError::none)
            return refuse(command, error);
        if (!config) return fail(command.origin, Status::no_bucket);
        return answer(command.origin, {.datatype = json_datatype(), .value = to_json(config->manifest)});
    }
    protocol::GetCollectionIdRequest request;
    if (const RequestError error = decode(command.frame, request); error != RequestError::none)
        return refuse(command, error);
    if (!config) return fail(command.origin, Status::no_bucket);
    const std::size_t dot = request.path.find('.');
    if (dot == std::string_view::npos || request.path.find('.', dot + 1) != std::string_view::npos)
        return fail(command.origin, Status::einval, "the path is scope.collection");
    const auto* const scope = find_scope(config->manifest, request.path.substr(0, dot));
    if (scope == nullptr) return fail(command.origin, Status::unknown_scope, {}, true);
    const std::string_view wanted = dot + 1 == request.path.size() ? "_default" : request.path.substr(dot + 1);
    for (const auto& collection : scope->collections) {
        if (collection.name != wanted) continue;
        return answer(command.origin, {.extras = IdExtras(config->manifest.uid, collection.uid).view()});
    }
    fail(command.origin, Status::unknown_collection, {}, true);
}

void KvConnection::scope_id(Command& command) {
    protocol::GetScopeIdRequest request;
    if (const RequestError error = decode(command.frame, request); error != RequestError::none)
        return refuse(command, error);
    const auto config = node_.bucket_config(bucket_);
    if (!config) return fail(command.origin, Status::no_bucket);
    // A path is welcome, too: what counts is before the dot.
    const auto* const scope = find_scope(config->manifest, request.scope.substr(0, request.scope.find('.')));
    if (scope == nullptr) return fail(command.origin, Status::unknown_scope, {}, true);
    answer(command.origin, {.extras = IdExtras(config->manifest.uid, scope->uid).view()});
}

}  // namespace chaise::testing
