#include <algorithm>

#include "cluster/kv/kv_connection.hpp"
#include "protocol/vbucket_responses.hpp"

// The commands that concern a vbucket: observe, sequence numbers, failover log, a random key.
namespace chaise::testing {

using protocol::RequestError;

namespace {

constexpr std::chrono::seconds persistence_timeout{30};

bool alive(const VBucket* vbucket) noexcept { return vbucket != nullptr && vbucket->state() != VBucketState::dead; }

void append_be64(std::string& out, std::uint64_t value) {
    char bytes[8];
    protocol::store_be64(bytes, value);
    out.append(bytes, sizeof bytes);
}

void append_be16(std::string& out, std::uint16_t value) {
    char bytes[2];
    protocol::store_be16(bytes, value);
    out.append(bytes, sizeof bytes);
}

}  // namespace

void KvConnection::observe(Command& command) {
    protocol::DecodedObserve request;
    if (const RequestError error = decode(command.frame, request, decoding()); error != RequestError::none)
        return refuse(command, error);
    const auto config = node_.bucket_config(bucket_);
    if (!config) return fail(command.origin, Status::no_bucket, "No bucket selected");
    std::string value;
    while (const auto asked = request.next()) {
        const VBucket* const vbucket = node_.vbucket(bucket_, asked->vbucket);
        if (!alive(vbucket) || vbucket->state() == VBucketState::pending) return not_my_vbucket(command);
        std::string key;
        char prefix[protocol::max_leb128_size];
        key.assign(prefix, protocol::store_leb128(prefix, asked->collection.value_or(0))).append(asked->key);
        const Document* const document = vbucket->peek(key);
        auto state = protocol::ObserveState::not_found;
        if (document != nullptr) {
            const bool persisted = document->seqno <= vbucket->persisted_seqno();
            if (vbucket->read(key, command.time).status == Status::success)
                state = persisted ? protocol::ObserveState::persisted : protocol::ObserveState::found;
            else if (document->deleted && !persisted)
                state = protocol::ObserveState::logically_deleted;
        }
        const std::string_view sent = has(Feature::collections) ? std::string_view(key) : asked->key;
        append_be16(value, asked->vbucket);
        append_be16(value, static_cast<std::uint16_t>(sent.size()));
        value.append(sent).push_back(static_cast<char>(state));
        append_be64(value, document == nullptr ? 0 : document->cas);
    }
    // The header's CAS is for hints: average milliseconds to persist and to replicate.
    const auto hint = [](Duration delay) {
        return delay == paused
                   ? 0u
                   : static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(delay).count());
    };
    const std::uint64_t hints = std::uint64_t{hint(node_.cluster().persistence_delay(node_.id()))} << 32 |
                                hint(node_.cluster().options().replication_delay);
    answer(command.origin, {.cas = hints, .value = value});
}

void KvConnection::observe_seqno(Command& command) {
    protocol::ObserveSeqnoRequest request;
    if (const RequestError error = decode(command.frame, request); error != RequestError::none)
        return refuse(command, error);
    if (!node_.bucket_config(bucket_)) return fail(command.origin, Status::no_bucket, "No bucket selected");
    const VBucket* const vbucket = node_.vbucket(bucket_, request.context.vbucket);
    if (!alive(vbucket)) return not_my_vbucket(command);
    const auto& log = vbucket->failover_log();
    const auto entry = std::find_if(log.begin(), log.end(),
                                    [&](const FailoverEntry& known) { return known.uuid == request.vbucket_uuid; });
    if (entry == log.end()) return fail(command.origin, Status::key_enoent);
    const bool failed_over = entry != log.begin();
    std::string value(1, failed_over ? '\1' : '\0');
    append_be16(value, vbucket->id());
    append_be64(value, vbucket->uuid());
    append_be64(value, vbucket->persisted_seqno());
    append_be64(value, vbucket->high_seqno());
    if (failed_over) {
        append_be64(value, request.vbucket_uuid);
        append_be64(value, std::prev(entry)->seqno);
    }
    answer(command.origin, {.value = value});
}

void KvConnection::seqno_persistence(Command& command) {
    protocol::SeqnoPersistenceRequest request;
    if (const RequestError error = decode(command.frame, request); error != RequestError::none)
        return refuse(command, error);
    const auto config = node_.bucket_config(bucket_);
    if (!config) return fail(command.origin, Status::no_bucket, "No bucket selected");
    if (config->settings.type == BucketType::ephemeral) return fail(command.origin, Status::not_supported);
    if (!alive(node_.vbucket(bucket_, request.context.vbucket))) return not_my_vbucket(command);
    const std::uint64_t ticket = node_.wait_persisted(bucket_, request.context.vbucket, request.seqno,
                                                      command.time.now + persistence_timeout, *this);
    if (ticket == 0) return succeed(command);
    pending_.emplace(ticket, command.origin);
}

void KvConnection::failover_log(Command& command) {
    protocol::GetFailoverLogRequest request;
    if (const RequestError error = decode(command.frame, request); error != RequestError::none)
        return refuse(command, error);
    if (!node_.bucket_config(bucket_)) return fail(command.origin, Status::no_bucket, "No bucket selected");
    const VBucket* const vbucket = node_.vbucket(bucket_, request.context.vbucket);
    if (!alive(vbucket)) return not_my_vbucket(command);
    std::string value;
    for (const FailoverEntry& entry : vbucket->failover_log()) {
        append_be64(value, entry.uuid);
        append_be64(value, entry.seqno);
    }
    answer(command.origin, {.value = value});
}

void KvConnection::all_seqnos(Command& command) {
    protocol::GetAllVbSeqnosRequest request;
    if (const RequestError error = decode(command.frame, request); error != RequestError::none)
        return refuse(command, error);
    const auto config = node_.bucket_config(bucket_);
    if (!config) return fail(command.origin, Status::no_bucket, "No bucket selected");
    const VBucketState wanted = request.state.value_or(VBucketState::any_alive);
    std::string value;
    for (std::uint32_t id = 0; id < config->settings.vbuckets; ++id) {
        const VBucket* const vbucket = node_.vbucket(bucket_, static_cast<std::uint16_t>(id));
        if (!alive(vbucket) || (wanted != VBucketState::any_alive && vbucket->state() != wanted)) continue;
        append_be16(value, vbucket->id());
        append_be64(value, request.collection ? vbucket->high_seqno(*request.collection) : vbucket->high_seqno());
    }
    answer(command.origin, {.value = value});
}

void KvConnection::random_key(Command& command) {
    protocol::GetRandomKeyRequest request;
    if (const RequestError error = decode(command.frame, request, decoding()); error != RequestError::none)
        return refuse(command, error);
    if (request.include_xattrs.value_or(false))
        return fail(command.origin, Status::einval, "GetRandomKeyIncludeXattr was not granted");
    const auto config = node_.bucket_config(bucket_);
    if (!config) return fail(command.origin, Status::no_bucket, "No bucket selected");
    const std::uint32_t count = config->settings.vbuckets;
    const std::uint64_t first = node_.iops().random();
    for (std::uint32_t i = 0; i < count; ++i) {
        const VBucket* const vbucket = node_.vbucket(bucket_, static_cast<std::uint16_t>((first + i) % count));
        if (vbucket == nullptr || vbucket->state() != VBucketState::active || vbucket->documents() == 0) continue;
        const DocumentPtr document =
            vbucket->any(request.context.collection.value_or(0), node_.iops().random(), command.time);
        if (!document) continue;
        const std::string_view key = document->key;
        return send_document(command.origin, {.document = document, .cas = document->cas},
                             has(Feature::collections) ? key : key.substr(1));
    }
    fail(command.origin, Status::key_enoent);
}

}  // namespace chaise::testing
