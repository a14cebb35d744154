#include "cluster/kv/kv_conversation.hpp"

#include <algorithm>
#include <utility>

#include "cluster/kv/kv_connection.hpp"
#include "protocol/json_text.hpp"

// The flow of a conversation: frames in, answers out, and what waits in between.
namespace chaise::testing {

using protocol::Frame;
using protocol::Magic;
using protocol::RequestFrameInfoId;

namespace {

constexpr std::uint32_t max_request_body = 30u * 1024 * 1024;
// Then the server may send before more is executed.
constexpr std::size_t output_step = std::size_t{64} * 1024;
constexpr std::size_t max_pending = 4096;
// A client that does not read is not pushed to.
constexpr std::size_t push_limit = std::size_t{1024} * 1024;

bool before_authentication(protocol::Opcode opcode) noexcept {
    using enum protocol::Opcode;
    return opcode == hello || opcode == sasl_list_mechs || opcode == sasl_auth || opcode == sasl_step ||
           opcode == get_error_map;
}

bool has_barrier(const Frame& frame) noexcept {
    protocol::FrameInfoReader reader(frame.framing_extras);
    while (const auto info = reader.next())
        if (info->id == static_cast<std::uint16_t>(RequestFrameInfoId::barrier)) return true;
    return false;
}

/// What memcached buckets don't have: copies, a history, collections.
bool needs_vbuckets(protocol::Opcode opcode) noexcept {
    using enum protocol::Opcode;
    switch (opcode) {
        case get_replica:
        case observe:
        case observe_seqno:
        case seqno_persistence:
        case get_failover_log:
        case get_all_vb_seqnos:
        case get_random_key:
        case collections_get_manifest:
        case collections_get_id:
        case collections_get_scope_id:
            return true;
        default:
            return false;
    }
}

}  // namespace

std::unique_ptr<Conversation> make_kv_conversation(KvNode& node, Outlet& outlet) {
    return std::make_unique<KvConnection>(node, outlet);
}

KvConnection::KvConnection(KvNode& node, Outlet& outlet) : node_(node), outlet_(outlet) {
    node_.add_watcher(*this);
    ++node_.counters().connections;
    ++node_.counters().total_connections;
}

KvConnection::~KvConnection() {
    node_.remove_watcher(*this);
    node_.forget(*this);
    --node_.counters().connections;
    if (timer_) node_.iops().cleanup(*timer_);
}

std::size_t KvConnection::on_bytes(std::string_view bytes) {
    std::size_t used = 0;
    while (!closing_ && out_.size() < output_step) {
        Frame frame;
        const auto parsed = protocol::parse_frame(bytes.substr(used), frame, max_request_body);
        if (parsed.status == protocol::ParseStatus::need_more) break;
        if (parsed.status == protocol::ParseStatus::error) {
            // Lengths that contradict each other are answered, if that can be done; there is no way back in step.
            if (parsed.error == protocol::FrameError::lengths_exceed_body && bytes.size() - used >= 24) {
                const char* const header = bytes.data() + used;
                fail({static_cast<Opcode>(static_cast<std::uint8_t>(header[1])), protocol::load_be32(header + 12),
                      node_.iops().now()},
                     Status::einval, "lengths exceed the body");
            }
            close();
            break;
        }
        if (frame.magic != Magic::client_request && frame.magic != Magic::alt_client_request) {
            if (frame.magic != Magic::server_response) close();  // answers to pushes are welcome, and of no interest
            used += parsed.size;
            continue;
        }
        if (!may_start(frame)) {
            refused_ = true;
            break;
        }
        used += parsed.size;
        execute(frame);
    }
    flush_output();
    return closing_ ? bytes.size() : used;
}

// What waits for replicas or disks is overtaken by nothing, unless that was agreed upon.
bool KvConnection::may_start(const Frame& frame) const noexcept {
    if (pending_.empty()) return true;
    if (!has(Feature::unordered_execution) || pending_.size() >= max_pending) return false;
    return protocol::reorderable(frame.opcode) && !has_barrier(frame) &&
           std::all_of(pending_.begin(), pending_.end(),
                       [](const auto& item) { return protocol::reorderable(item.second.opcode); });
}

void KvConnection::execute(const Frame& frame) {
    ++node_.counters().commands;
    const KvTime time = node_.time();
    Command command{.frame = frame, .origin = {frame.opcode, frame.opaque, time.now}, .time = time};
    if (user_.empty() && !before_authentication(frame.opcode))
        return fail(command.origin, Status::eaccess, "Not authenticated");
    if (!frame_infos(command)) return;
    if (on_memcached_bucket() && (command.write.durability || needs_vbuckets(frame.opcode)))
        return fail(command.origin, Status::not_supported, "a memcached bucket");
    dispatch(command);
}

bool KvConnection::on_memcached_bucket() const noexcept {
    const auto config = bucket_.empty() ? nullptr : node_.bucket_config(bucket_);
    return config && config->settings.type == BucketType::memcached;
}

void KvConnection::dispatch(Command& command) {
    switch (protocol::loud_form(command.frame.opcode)) {
        case Opcode::get:
        case Opcode::getk:
        case Opcode::get_replica:
        case Opcode::evict_key:
            return get(command);
        case Opcode::set:
        case Opcode::add:
        case Opcode::replace:
            return store(command);
        case Opcode::append:
        case Opcode::prepend:
            return concat(command);
        case Opcode::remove:
            return remove(command);
        case Opcode::increment:
        case Opcode::decrement:
            return counter(command);
        case Opcode::touch:
            return touch(command);
        case Opcode::gat:
            return get_and_touch(command);
        case Opcode::get_locked:
            return get_locked(command);
        case Opcode::unlock_key:
            return unlock(command);
        case Opcode::get_meta:
            return get_meta(command);
        case Opcode::subdoc_get:
        case Opcode::subdoc_exists:
        case Opcode::subdoc_get_count:
        case Opcode::subdoc_dict_add:
        case Opcode::subdoc_dict_upsert:
        case Opcode::subdoc_remove:
        case Opcode::subdoc_replace:
        case Opcode::subdoc_array_push_last:
        case Opcode::subdoc_array_push_first:
        case Opcode::subdoc_array_insert:
        case Opcode::subdoc_array_add_unique:
        case Opcode::subdoc_counter:
        case Opcode::subdoc_replace_body_with_xattr:
        case Opcode::subdoc_multi_lookup:
        case Opcode::subdoc_multi_mutation:
            return subdocument(command);
        case Opcode::observe:
            return observe(command);
        case Opcode::observe_seqno:
            return observe_seqno(command);
        case Opcode::seqno_persistence:
            return seqno_persistence(command);
        case Opcode::get_failover_log:
            return failover_log(command);
        case Opcode::get_all_vb_seqnos:
            return all_seqnos(command);
        case Opcode::get_random_key:
            return random_key(command);
        case Opcode::hello:
            return hello(command);
        case Opcode::sasl_list_mechs:
        case Opcode::sasl_auth:
        case Opcode::sasl_step:
            return sasl(command);
        case Opcode::select_bucket:
            return select_bucket(command);
        case Opcode::get_cluster_config:
            return get_cluster_config(command);
        case Opcode::get_error_map:
            return get_error_map(command);
        case Opcode::list_buckets:
            return list_buckets(command);
        case Opcode::collections_get_manifest:
        case Opcode::collections_get_id:
            return collection_id(command);
        case Opcode::collections_get_scope_id:
            return scope_id(command);
        case Opcode::stat:
            return stat(command);
        case Opcode::noop:
        case Opcode::version:
        case Opcode::quit: {
            protocol::HeaderRequest request;
            if (const auto error = decode(command.frame, request); error != protocol::RequestError::none)
                return refuse(command, error);
            if (command.frame.opcode == Opcode::version) return answer(command.origin, {.value = "7.6.0-chaise"});
            if (command.frame.opcode != Opcode::quitq) succeed(command);
            if (command.frame.opcode != Opcode::noop) close();
            return;
        }
        case Opcode::flush:
        case Opcode::verbosity:
            return fail(command.origin, Status::not_supported);
        default:
            return fail(command.origin, Status::unknown_command);
    }
}

void KvConnection::answer(const Origin& origin, const Answer& answer) {
    protocol::Response response{.opcode = origin.opcode,
                                .status = answer.status,
                                .opaque = origin.opaque,
                                .cas = answer.cas,
                                .datatype = answer.datatype,
                                .extras = answer.extras,
                                .key = answer.key,
                                .value = answer.value};
    char framing[3];
    if (has(Feature::tracing)) {
        const std::chrono::duration<double, std::micro> duration = node_.iops().now() - origin.start;
        framing[0] = 2;  // id 0, two bytes
        protocol::store_be16(framing + 1, protocol::encode_server_duration_us(duration.count()));
        response.framing_extras = {framing, sizeof framing};
    }
    append_to(out_, response);
}

void KvConnection::fail(const Origin& origin, Status status, std::string_view context, bool manifest) {
    if (!has(Feature::xerror)) {
        // Statuses that such clients don't know (protocol.md 4.1).
        switch (status) {
            case Status::locked:
                status = origin.opcode == Opcode::get_locked ? Status::etmpfail : Status::key_eexists;
                break;
            case Status::not_locked:
            case Status::sync_write_in_progress:
            case Status::sync_write_re_commit_in_progress:
                status = Status::etmpfail;
                break;
            case Status::unknown_collection:
            case Status::unknown_scope:
                if (!has(Feature::collections)) status = Status::einval;
                break;
            case Status::eaccess:
            case Status::no_bucket:
            case Status::auth_stale:
            case Status::durability_invalid_level:
            case Status::durability_impossible:
            case Status::sync_write_ambiguous:
                return close();
            default:
                break;
        }
        return answer(origin, {.status = status});
    }
    if (context.empty() && !manifest) return answer(origin, {.status = status});
    std::string json = "{";
    if (manifest) {
        const auto config = node_.bucket_config(bucket_);
        json += "\"manifest_uid\":\"" + protocol::json_hex(config ? config->manifest.uid : 0) + '"';
    }
    if (!context.empty()) {
        if (manifest) json += ',';
        json += "\"error\":{\"context\":";
        protocol::append_json_string(json, context);
        json += ",\"ref\":\"" + random_hex(2) + "\"}";
    }
    json += '}';
    answer(origin, {.status = status, .datatype = json_datatype(), .value = json});
}

void KvConnection::not_my_vbucket(const Command& command) {
    ++node_.counters().not_my_vbucket;
    const auto config = node_.bucket_config(bucket_);
    if (!config) return fail(command.origin, Status::no_bucket);
    if (!node_.cluster().options().cccp) return answer(command.origin, {.status = Status::not_my_vbucket});
    // A client that has seen this revision on this connection needs no second copy, if it said so.
    if (has(Feature::dedupe_nmvb_clustermap) && seen_ && *seen_ >= config->revision)
        return answer(command.origin, {.status = Status::not_my_vbucket});
    seen_ = config->revision;
    answer(command.origin,
           {.status = Status::not_my_vbucket, .datatype = json_datatype(), .value = *node_.config_json(bucket_)});
}

void KvConnection::flush_output() {
    if (out_.empty()) return;
    outlet_.send(out_);
    out_.clear();
    if (out_.capacity() > 4 * output_step) std::string().swap(out_);
}

void KvConnection::close() {
    if (std::exchange(closing_, true)) return;
    flush_output();
    outlet_.close();
}

// ---- writes that wait -----------------------------------------------------------------------------------------

void KvConnection::on_sync_write(std::uint64_t ticket, const KvOutcome& outcome) {
    // Perhaps from inside another client's command: what follows from it comes on a turn of its own.
    outcomes_.emplace_back(ticket, outcome);
    if (!timer_) {
        timer_ = node_.iops().timer_event_factory();
        timer_->set_handler([](void* self, int) { static_cast<KvConnection*>(self)->tell_outcomes(); }, this);
    }
    if (!timer_->active()) node_.iops().defer(*timer_);
}

void KvConnection::tell_outcomes() {
    for (const auto& [ticket, outcome] : std::exchange(outcomes_, {})) {
        const auto found = pending_.find(ticket);
        if (found == pending_.end()) continue;
        const Origin origin = found->second;
        pending_.erase(found);
        if (!closing_) finish(origin, outcome);
    }
    flush_output();
    if (std::exchange(refused_, false)) outlet_.resume();
}

// ---- maps -----------------------------------------------------------------------------------------------------

void KvConnection::on_config(const std::string& bucket) {
    if (closing_ || bucket != bucket_ || user_.empty()) return;
    if (!bucket.empty() && !node_.bucket_config(bucket)) return close();
    push_config(bucket);
}

void KvConnection::push_config(std::string_view bucket) {
    const bool brief = has(Feature::clustermap_change_notification_brief);
    if (!has(Feature::duplex) || !(brief || has(Feature::clustermap_change_notification))) return;
    if (outlet_.waiting() > push_limit) return;
    const auto revision = bucket.empty() ? node_.cluster_config()->revision : node_.bucket_config(bucket)->revision;
    if (seen_ && *seen_ >= revision) return;
    char extras[16];
    protocol::store_be64(protocol::store_be64(extras, static_cast<std::uint64_t>(revision.epoch)),
                         static_cast<std::uint64_t>(revision.revision));
    const auto json = node_.config_json(bucket);
    if (!brief) seen_ = revision;
    append_to(out_, protocol::ServerRequest{.opaque = ++pushes_,
                                            .datatype = brief ? protocol::datatype::raw : json_datatype(),
                                            .extras = {extras, sizeof extras},
                                            .key = bucket,
                                            .value = brief ? std::string_view() : std::string_view(*json)});
    flush_output();
}

// ---- odds and ends --------------------------------------------------------------------------------------------

std::uint8_t KvConnection::datatype_out(std::uint8_t datatype) const noexcept {
    const std::uint8_t json = has(Feature::json) ? protocol::datatype::json : protocol::datatype::raw;
    const std::uint8_t snappy = has(Feature::snappy) ? protocol::datatype::snappy : protocol::datatype::raw;
    return datatype & static_cast<std::uint8_t>(json | snappy);
}

std::uint8_t KvConnection::json_datatype() const noexcept { return datatype_out(protocol::datatype::json); }

std::string KvConnection::random_hex(std::size_t words) {
    std::string text;
    for (std::size_t i = 0; i < words; ++i) {
        const std::string word = protocol::json_hex(node_.iops().random());
        text.append(16 - word.size(), '0').append(word);
    }
    return text;
}

}  // namespace chaise::testing
