#include "session/couchbase_bootstrap.hpp"

#include "protocol/json_text.hpp"
#include "protocol/requests.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace chaise::detail {

namespace {

using protocol::ErrorAttribute;
using protocol::Feature;
using protocol::Opcode;
using protocol::SaslResult;
using protocol::Status;

/// Beyond every slot's opaque of a first generation; no request is in flight meanwhile anyway.
constexpr std::uint32_t first_opaque = 0xffffff00;

/// Said before the server's list is known: the strongest, which every supported server has.
constexpr std::string_view first_mechanism = "SCRAM-SHA512";

/// What the engine knows how to handle (protocol.md 3.1).
constexpr auto wanted_features = std::to_array<Feature>({Feature::tcp_nodelay,
                                                         Feature::xerror,
                                                         Feature::select_bucket,
                                                         Feature::snappy,
                                                         Feature::json,
                                                         Feature::duplex,
                                                         Feature::clustermap_change_notification,
                                                         Feature::tracing,
                                                         Feature::alt_request,
                                                         Feature::mutation_seqno,
                                                         Feature::get_cluster_config_with_known_version,
                                                         Feature::dedupe_nmvb_clustermap,
                                                         Feature::xattr,
                                                         Feature::vattr,
                                                         Feature::preserve_ttl,
                                                         Feature::sync_replication,
                                                         Feature::subdoc_create_as_deleted,
                                                         Feature::subdoc_document_macro_support,
                                                         Feature::subdoc_allows_access_multiple_xattr_keys,
                                                         Feature::subdoc_replica_read,
                                                         Feature::collections,
                                                         Feature::unordered_execution});

/// At most 200 bytes of it, by server rule.
constexpr std::string_view agent = "chaise/" CHAISE_VERSION
#if defined(__linux__)
                                   " (Linux"
#else
                                   " (other"
#endif
#if defined(__x86_64__)
                                   "/x86_64)";
#elif defined(__aarch64__)
                                   "/aarch64)";
#else
                                   ")";
#endif
static_assert(agent.size() <= 200);

/// What the server says is shown to people: not too much of it, and no control characters.
std::string shown(std::string_view text) {
    std::string out(text.substr(0, 200));
    std::replace_if(
        out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
    return out;
}

/// ": text" when the server added any.
std::string server_text(const protocol::Frame& frame) {
    const std::string context = protocol::decode_error_context(frame).context;
    return context.empty() ? std::string() : ": " + shown(context);
}

std::string status_text(const protocol::Frame& frame, const std::optional<protocol::ErrorMap>& map) {
    if (protocol::name(frame.status()) == "UNKNOWN" && map) {
        if (const auto* entry = map->find(frame.status())) {
            return fmt::format("status 0x{:02x} ({})", frame.specific, shown(entry->name));
        }
    }
    return fmt::format("status 0x{:02x} ({})", frame.specific, protocol::name(frame.status()));
}

}  // namespace

CouchbaseBootstrap::CouchbaseBootstrap(const Settings& settings, std::string nonce, const Identity& identity)
    : settings_(settings),
      nonce_(std::move(nonce)),
      identity_(identity),
      connection_name_(fmt::format("{:016x}/{:016x}", identity.client_id, identity.connection_id)) {}

template <class Request>
void CouchbaseBootstrap::send(std::string& out, Opcode opcode, Request request) {
    request.context.opaque = first_opaque + static_cast<std::uint32_t>(steps_.size());
    steps_.push_back({opcode});
    const std::size_t at = out.size();
    out.resize(at + protocol::encoded_size(request));
    protocol::encode(request, out.data() + at);
}

bool CouchbaseBootstrap::wants(Feature feature) const noexcept {
    if (feature == Feature::unordered_execution) return !settings_.ordered;
    if (feature == Feature::snappy) return settings_.compression != Compression::off;
    return true;
}

CouchbaseBootstrap::Progress CouchbaseBootstrap::start(std::string& out) {
    std::string name = "{\"a\":";
    protocol::append_json_string(name, agent);
    name += ",\"i\":";
    protocol::append_json_string(name, connection_name_);
    name += '}';
    std::vector<Feature> features;
    std::copy_if(wanted_features.begin(), wanted_features.end(), std::back_inserter(features),
                 [this](Feature feature) { return wants(feature); });
    send(out, Opcode::hello, protocol::HelloRequest{.agent = name, .features = features});
    send(out, Opcode::get_error_map, protocol::GetErrorMapRequest{});
    send(out, Opcode::sasl_list_mechs, protocol::SaslListMechsRequest{});
    return begin_sasl(first_mechanism, out);
}

CouchbaseBootstrap::Progress CouchbaseBootstrap::on_frame(const protocol::Frame& frame, std::string& out) {
    using protocol::Magic;
    if (frame.magic == Magic::server_request) return Progress::more;
    const std::uint32_t index = frame.opaque - first_opaque;
    if ((frame.magic != Magic::client_response && frame.magic != Magic::alt_client_response) ||
        index >= steps_.size() || steps_[index].answered || steps_[index].opcode != frame.opcode) {
        return fail(errc::protocol_error, "the server answers what it was not asked");
    }
    steps_[index].answered = true;
    if (!steps_[index].given_up) {
        const Progress progress = on_answer(frame, out);
        if (progress != Progress::more) return progress;
    }
    if (!all_answered()) return Progress::more;
    if (held_) {
        // Nothing is in flight that SELECT_BUCKET could overtake.
        send(out, Opcode::sasl_step, protocol::SaslStepRequest{.mechanism = mechanism_, .data = *held_});
        held_.reset();
        send_bucket(out);
        return Progress::more;
    }
    if (!authenticated_) return Progress::more;  // fail() has been called, or a list is still to come
    if (bucket_sent_) return Progress::done;
    send_bucket(out);
    return Progress::more;
}

CouchbaseBootstrap::Progress CouchbaseBootstrap::on_answer(const protocol::Frame& frame, std::string& out) {
    switch (frame.opcode) {
        case Opcode::hello:
            return on_hello(frame);
        case Opcode::get_error_map:
            // The built-in table does without.
            if (frame.status() == Status::success) error_map_ = protocol::decode_error_map(frame.value);
            return Progress::more;
        case Opcode::sasl_list_mechs:
            return on_mechanisms(frame, out);
        case Opcode::select_bucket:
            return on_select_bucket(frame);
        case Opcode::get_cluster_config:
            return on_cluster_config(frame);
        default:
            return on_sasl(frame, out);
    }
}

CouchbaseBootstrap::Progress CouchbaseBootstrap::on_hello(const protocol::Frame& frame) {
    if (frame.status() == Status::unknown_command || frame.status() == Status::auth_error) {
        return fail(errc::protocol_error, "not a Couchbase server: it does not know HELLO (a plain memcached?)");
    }
    if (frame.status() != Status::success) return fail_by_status(frame, "HELLO");
    const auto granted = protocol::decode_hello(frame);
    if (!granted) return fail(errc::protocol_error, "the answer to HELLO is malformed");
    // What was not asked for is not granted: the engine could not handle it.
    for (const Feature feature : wanted_features) {
        if (wants(feature) && granted->contains(feature)) features_.insert(feature);
    }
    if (settings_.compression == Compression::force && !features_.contains(Feature::snappy)) {
        return fail(errc::feature_not_available,
                    "the node does not grant compression (Snappy), which compression=force needs");
    }
    return Progress::more;
}

// ---- authentication
// --------------------------------------------------------------------------------------------------

CouchbaseBootstrap::Progress CouchbaseBootstrap::begin_sasl(std::string_view mechanism, std::string& out) {
    mechanism_ = mechanism;
    // A nonce is used once.
    sasl_.emplace(mechanism_, settings_.username, settings_.password, second_mechanism_ ? nonce_ + "-2" : nonce_,
                  identity_.keys);
    SaslResult first = sasl_->start();
    if (first.kind == SaslResult::Kind::failed) return fail(errc::authentication_failure, std::move(first.data));
    send(out, Opcode::sasl_auth, protocol::SaslAuthRequest{.mechanism = mechanism_, .data = first.data});
    // All that it has to say: what follows need not wait.
    if (protocol::sasl_mechanism(mechanism_) == protocol::SaslMechanism::plain) send_bucket(out);
    return Progress::more;
}

CouchbaseBootstrap::Progress CouchbaseBootstrap::on_mechanisms(const protocol::Frame& frame, std::string& out) {
    listed_ = frame.status() == Status::success ? std::string(frame.value) : std::string();
    if (!refused_) return Progress::more;
    const std::string why = std::move(*refused_);
    refused_.reset();
    return on_sasl_refused(why, out);
}

CouchbaseBootstrap::Progress CouchbaseBootstrap::on_sasl(const protocol::Frame& frame, std::string& out) {
    const Status status = frame.status();
    if (status != Status::success && status != Status::auth_continue) {
        if (temporary_status(status)) return fail_by_status(frame, "authentication");
        const std::string why = status_text(frame, error_map_) + server_text(frame);
        if (frame.opcode != Opcode::sasl_auth || second_mechanism_) {
            return fail(errc::authentication_failure,
                        fmt::format("user \"{}\" by {}: the server refused the username or the password, {}",
                                    settings_.username, mechanism_, why));
        }
        if (listed_) return on_sasl_refused(why, out);
        refused_ = why;
        return Progress::more;
    }
    SaslResult next = sasl_->step(status, frame.value);
    switch (next.kind) {
        case SaslResult::Kind::done:
            authenticated_ = true;
            return Progress::more;
        case SaslResult::Kind::send:
            // The bucket was asked for before this was known to be necessary: it is asked for again.
            for (Step& step : steps_) {
                if (bucket_sent_ && !step.answered) step.given_up = true;
            }
            bucket_sent_ = false;
            held_ = std::move(next.data);
            return Progress::more;
        case SaslResult::Kind::failed:
            break;
    }
    return fail(errc::authentication_failure,
                fmt::format("user \"{}\" by {}: {}", settings_.username, mechanism_, shown(next.data)));
}

/// The first message of the mechanism that was tried before the server's list was known.
CouchbaseBootstrap::Progress CouchbaseBootstrap::on_sasl_refused(std::string_view why, std::string& out) {
    const auto tried = protocol::sasl_mechanism(mechanism_);
    bool listed = false;
    protocol::Words words(*listed_);
    while (const auto word = words.next()) listed = listed || protocol::sasl_mechanism(*word) == tried;
    if (listed || listed_->empty()) {
        return fail(errc::authentication_failure,
                    fmt::format("user \"{}\" by {}: the server refused the username or the password, {}",
                                settings_.username, mechanism_, why));
    }
    const std::string_view chosen =
        protocol::choose_mechanism(*listed_, {.allow_plain = settings_.allow_plain, .tls = false});
    if (!chosen.empty()) {
        second_mechanism_ = true;
        return begin_sasl(chosen, out);
    }
    const bool only_plain = !protocol::choose_mechanism(*listed_, {.allow_plain = true, .tls = false}).empty();
    return fail(errc::authentication_failure,
                only_plain ? std::string("the server takes passwords only in the clear; set allow_plain to send it")
                           : fmt::format("no SASL mechanism in common; the server lists \"{}\"", shown(*listed_)));
}

// ---- bucket and map
// ----------------------------------------------------------------------------------------------------

void CouchbaseBootstrap::send_bucket(std::string& out) {
    bucket_sent_ = true;
    send(out, Opcode::select_bucket, protocol::SelectBucketRequest{.bucket = settings_.bucket});
    protocol::GetClusterConfigRequest config;
    if (features_.contains(Feature::get_cluster_config_with_known_version)) config.known = identity_.known_map;
    told_known_map_ = config.known.has_value();
    send(out, Opcode::get_cluster_config, config);
}

CouchbaseBootstrap::Progress CouchbaseBootstrap::on_select_bucket(const protocol::Frame& frame) {
    switch (frame.status()) {
        case Status::success:
            return Progress::more;
        case Status::key_enoent:
        case Status::eaccess:
            return fail(
                errc::bucket_not_found,
                fmt::format("bucket \"{}\" does not exist, or user \"{}\" has no access to it, {}{}", settings_.bucket,
                            settings_.username, status_text(frame, error_map_), server_text(frame)));
        case Status::not_supported:  // other commands are still executing
            return fail(errc::temporary_failure, "the server is not ready to select a bucket", true);
        default:
            return fail_by_status(frame, fmt::format("selecting bucket \"{}\"", settings_.bucket));
    }
}

CouchbaseBootstrap::Progress CouchbaseBootstrap::on_cluster_config(const protocol::Frame& frame) {
    switch (frame.status()) {
        case Status::success:
            break;
        case Status::key_enoent:
            return fail(errc::temporary_failure, fmt::format("bucket \"{}\" has no cluster map yet", settings_.bucket),
                        true);
        case Status::unknown_command:
        case Status::not_supported:
        case Status::no_bucket:
            gives_maps_ = false;
            if (identity_.maps_elsewhere) return Progress::more;
            return fail(errc::unsupported_operation,
                        fmt::format("the server does not give the map of bucket \"{}\" over the key-value protocol, {}",
                                    settings_.bucket, status_text(frame, error_map_)));
        default:
            return fail_by_status(frame, fmt::format("the cluster map of bucket \"{}\"", settings_.bucket));
    }
    if (frame.value.empty() && !told_known_map_) return fail(errc::protocol_error, "the server's cluster map is empty");
    config_ = frame.value;
    return Progress::more;
}

// ---- how it ends
// ---------------------------------------------------------------------------------------------------------

bool CouchbaseBootstrap::all_answered() const noexcept {
    return std::all_of(steps_.begin(), steps_.end(), [](const Step& step) { return step.answered; });
}

bool CouchbaseBootstrap::temporary_status(Status status) const noexcept {
    ErrorAttribute what = protocol::attributes(status);
    if (protocol::name(status) == "UNKNOWN" && error_map_) {
        if (const auto* entry = error_map_->find(status)) what = entry->attributes;
    }
    return status == Status::not_initialized || status == Status::econfig_only ||
           has(what, ErrorAttribute::temp | ErrorAttribute::retry_now | ErrorAttribute::retry_later |
                         ErrorAttribute::rate_limit);
}

CouchbaseBootstrap::Progress CouchbaseBootstrap::fail_by_status(const protocol::Frame& frame, std::string_view what) {
    const bool temporary = temporary_status(frame.status());
    const errc code = errc_of_status(frame.specific);
    const bool meaningful = code == errc::rate_limited || code == errc::quota_limited ||
                            code == errc::authentication_failure || code == errc::internal_server_failure;
    return fail(meaningful  ? code
                : temporary ? errc::temporary_failure
                            : errc::protocol_error,
                fmt::format("{} is answered with {}{}", what, status_text(frame, error_map_), server_text(frame)),
                temporary);
}

CouchbaseBootstrap::Progress CouchbaseBootstrap::fail(errc error, std::string reason, bool temporary) {
    error_ = error;
    reason_ = std::move(reason);
    temporary_ = temporary;
    return Progress::failed;
}

std::string CouchbaseBootstrap::reason_of_loss(std::string_view why, std::string_view unparsed) const {
    if (unparsed.starts_with("HTTP/")) return "not a Couchbase key-value port: it answers in HTTP";
    if (!greeted() && !unparsed.empty()) {
        std::string said(unparsed.substr(0, std::min<std::size_t>(40, unparsed.find_first_of("\r\n", 1))));
        std::replace_if(said.begin(), said.end(), [](char c) { return c < 0x20 || c == 0x7f; }, '.');
        return fmt::format("not a Couchbase key-value port: it answers \"{}\"", said);
    }
    if (steps_.empty() || greeted()) {
        return fmt::format("{}, while the connection was being set up", why);
    }
    return fmt::format("{}; HELLO was never answered: not a Couchbase server (a plain memcached?)", why);
}

}  // namespace chaise::detail
