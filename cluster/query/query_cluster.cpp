#include "cluster/query/query_cluster.hpp"

#include <algorithm>
#include <charconv>

#include "cluster/json/json.hpp"
#include "cluster/kv/node.hpp"
#include "cluster/query/sql_lexer.hpp"
#include "protocol/base64.hpp"
#include "protocol/leb128.hpp"
#include "protocol/vbucket.hpp"

namespace chaise::testing {

namespace {

std::string joined(const std::vector<std::string>& path) {
    std::string text = "default:";
    for (const std::string& part : path) text.append(text.back() == ':' ? "" : ".").append(part);
    return text;
}

QueryError unreachable(const BucketConfig& bucket) {
    return {.code = 12008,
            .message = "Error performing bulk get operation - cause: a node of bucket " + bucket.settings.name +
                       " does not answer",
            .retry = true};
}

// Null: nobody who runs has it active.
VBucket* active_copy(const ClusterState& state, const BucketConfig& bucket, std::uint16_t vbucket) {
    const std::ptrdiff_t node = bucket.row(vbucket)[0];
    KvNode* process = node == no_node ? nullptr : state.process(static_cast<NodeId>(node));
    return process != nullptr ? process->vbucket(bucket.settings.name, vbucket) : nullptr;
}

bool visible(const Document& document, const KvTime& time) noexcept {
    return document.kind == Document::Kind::committed && !document.deleted &&
           (document.expiry == 0 || document.expiry > time.seconds());
}

KvTime time_of(const ClusterState& state) {
    for (NodeId id = 0; id < state.nodes(); ++id)
        if (const KvNode* process = state.process(id)) return process->time();
    return {};
}

std::string prefix_of(std::uint32_t collection) {
    char bytes[protocol::max_leb128_size];
    return {bytes, protocol::store_leb128(bytes, collection)};
}

}  // namespace

std::string QueryError::json() const {
    std::string text = R"({"code":)" + std::to_string(code) + R"(,"msg":)";
    append_json_text(text, message);
    if (line != 0) text += R"(,"line":)" + std::to_string(line) + R"(,"column":)" + std::to_string(column);
    if (retry) text += R"(,"retry":true)";
    return text + "}";
}

int QueryError::http_status() const noexcept {
    if (code == 1000) return 403;
    if (code == 1010) return 405;
    if (code == 3000 || (code >= 1020 && code <= 1070)) return 400;
    if (code == 13014) return 401;
    if (code == 4000 || code == 4040) return 404;
    if (code == 4300) return 409;
    if (code == 12003 || code == 12020) return 424;
    // Those that come when the execution has begun.
    return code == 5010 || code == 12008 || code == 12015 ? 200 : 500;
}

std::string PreparedStatement::encoded_plan() const {
    std::string json = R"({"text":)";
    append_json_text(json, text);
    json += R"(,"queryContext":)";
    append_json_text(json, context);
    return protocol::base64_encode(json + "}");
}

std::optional<PreparedStatement> PreparedStatement::from_plan(std::string_view encoded, std::string name) {
    const auto decoded = protocol::base64_decode(encoded);
    const auto json = decoded ? parse_json(*decoded) : std::nullopt;
    if (!json || !(*json)["text"].is(Json::Kind::string) || !(*json)["queryContext"].is(Json::Kind::string)) {
        return std::nullopt;
    }
    return PreparedStatement{std::move(name), std::string((*json)["text"].string()),
                             std::string((*json)["queryContext"].string())};
}

std::optional<QueryError> resolve_keyspace(const ClusterState& state, const sql::Keyspace& keyspace,
                                           std::string_view context, KeyspaceRef& found) {
    std::vector<std::string> path = keyspace.path;
    if (path.size() == 1 && !context.empty()) {
        std::vector<std::string> scope;
        for (const sql::Token& token : sql::tokens_of(context)) {
            if (token.kind == sql::Token::Kind::word || token.kind == sql::Token::Kind::quoted_name) {
                scope.push_back(token.text);
            } else if (token.kind == sql::Token::Kind::sign && token.text == ":") {
                scope.clear();  // the namespace
            }
        }
        if (scope.size() == 2) path = {scope[0], scope[1], path[0]};
    }
    if (path.size() == 1) path = {path[0], "_default", "_default"};
    found.bucket = state.bucket_config(path[0]);
    if (!found.bucket || found.bucket->settings.type == BucketType::memcached) {
        return QueryError{.code = 12003,
                          .message = "Keyspace not found in CB datastore: " + joined(keyspace.path) +
                                     " - cause: No bucket named " + path[0]};
    }
    for (const auto& scope : found.bucket->manifest.scopes) {
        if (scope.name != path[1]) continue;
        for (const auto& collection : scope.collections) {
            if (collection.name != path[2]) continue;
            found.collection = collection.uid;
            return std::nullopt;
        }
        return QueryError{.code = 12003, .message = "Keyspace not found in CB datastore: " + joined(path)};
    }
    return QueryError{.code = 12021, .message = "Scope not found in CB datastore: " + joined({path[0], path[1]})};
}

std::optional<QueryError> all_documents(const ClusterState& state, const KeyspaceRef& keyspace,
                                        std::vector<DocumentPtr>& documents) {
    const std::string prefix = prefix_of(keyspace.collection);
    const KvTime time = time_of(state);
    for (std::size_t i = 0; i < keyspace.bucket->map.size(); ++i) {
        const VBucket* copy = active_copy(state, *keyspace.bucket, static_cast<std::uint16_t>(i));
        if (copy == nullptr) return unreachable(*keyspace.bucket);
        for (DocumentPtr& document : copy->changes_since(0))
            if (visible(*document, time) && document->key.starts_with(prefix)) documents.push_back(std::move(document));
    }
    std::sort(documents.begin(), documents.end(), [](const auto& a, const auto& b) { return a->key < b->key; });
    return std::nullopt;
}

std::optional<QueryError> documents_of(const ClusterState& state, const KeyspaceRef& keyspace,
                                       const std::vector<std::string>& keys, std::vector<DocumentPtr>& documents) {
    const std::string prefix = prefix_of(keyspace.collection);
    const auto vbuckets = static_cast<std::uint32_t>(keyspace.bucket->map.size());
    const KvTime time = time_of(state);
    for (const std::string& key : keys) {
        VBucket* copy = active_copy(state, *keyspace.bucket, protocol::vbucket_of(key, vbuckets));
        if (copy == nullptr) return unreachable(*keyspace.bucket);
        DocumentPtr document = copy->look_up(prefix + key, false, time);
        if (document && visible(*document, time)) documents.push_back(std::move(document));
    }
    return std::nullopt;
}

std::string_view plain_key(const Document& document) noexcept {
    const auto prefix = protocol::load_leb128(document.key);
    return std::string_view(document.key).substr(prefix ? prefix->size : 0);
}

std::optional<QueryError> check_vectors(const ClusterState& state, const KeyspaceRef& keyspace, const Json& vectors) {
    for (const Json::Member& entry : vectors.members) {
        std::uint16_t vbucket = 0;
        const auto number = std::from_chars(entry.first.data(), entry.first.data() + entry.first.size(), vbucket);
        const bool good = number.ptr == entry.first.data() + entry.first.size() && number.ec == std::errc{} &&
                          vbucket < keyspace.bucket->map.size() && entry.second.items.size() == 2 &&
                          entry.second.items[0].is(Json::Kind::number) && entry.second.items[1].is(Json::Kind::string);
        if (!good) {
            return QueryError{.code = 1070, .message = "scan_vectors: invalid entry for vbucket " + entry.first};
        }
        const VBucket* copy = active_copy(state, *keyspace.bucket, vbucket);
        if (copy == nullptr) return unreachable(*keyspace.bucket);
        if (static_cast<double>(copy->high_seqno()) < entry.second.items[0].number) {
            return QueryError{.code = 12015,
                              .message = "Index scan timed out - cause: vbucket " + entry.first + " ends at " +
                                         std::to_string(copy->high_seqno())};
        }
    }
    return std::nullopt;
}

}  // namespace chaise::testing
