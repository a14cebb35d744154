#include <algorithm>

#include "cluster/kv/json_check.hpp"
#include "cluster/kv/kv_connection.hpp"
#include "protocol/data_responses.hpp"
#include "protocol/snappy.hpp"

// The commands that concern one document (protocol.md 2.1): checked as Couchbase checks them, then done by the vbucket.
namespace chaise::testing {

using protocol::RequestError;
using protocol::RequestFrameInfoId;
namespace datatype = protocol::datatype;

namespace {

constexpr std::chrono::milliseconds default_durability_timeout{30'000};

// Others answer EINVAL to a CAS.
bool takes_cas(protocol::Opcode opcode) noexcept {
    using enum protocol::Opcode;
    switch (protocol::loud_form(opcode)) {
        case set:
        case replace:
        case remove:
        case append:
        case prepend:
        case unlock_key:
            return true;
        case subdoc_multi_mutation:
            return true;
        default:
            return protocol::is_subdoc_single(opcode) && !protocol::is_subdoc_lookup(opcode);
    }
}

bool takes_value(protocol::Opcode opcode) noexcept {
    using enum protocol::Opcode;
    switch (protocol::loud_form(opcode)) {
        case set:
        case add:
        case replace:
        case append:
        case prepend:
            return true;
        default:
            return false;
    }
}

struct TokenExtras {
    explicit TokenExtras(const KvOutcome& outcome) noexcept {
        protocol::store_be64(protocol::store_be64(bytes, outcome.uuid), outcome.seqno);
    }
    [[nodiscard]] std::string_view view() const noexcept { return {bytes, sizeof bytes}; }
    char bytes[16];
};

}  // namespace

// False: answered.
bool KvConnection::frame_infos(Command& command) {
    if (command.frame.framing_extras.empty()) return true;
    const auto refuse_with = [&](Status status, std::string_view context) {
        fail(command.origin, status, context);
        return false;
    };
    const auto decoded = protocol::decode_frame_infos(command.frame.framing_extras);
    switch (decoded.error) {
        case protocol::FrameInfoError::none:
            break;
        case protocol::FrameInfoError::unknown_id:
            return refuse_with(Status::unknown_frame_info, {});
        case protocol::FrameInfoError::bad_durability:
            return refuse_with(Status::durability_invalid_level, {});
        case protocol::FrameInfoError::malformed:
        case protocol::FrameInfoError::bad_length:
            return refuse_with(Status::einval, "malformed frame info");
    }
    for (const protocol::RequestFrameInfo& info : decoded.infos()) {
        switch (info.id) {
            case RequestFrameInfoId::barrier:  // may_start() has seen to it
            case RequestFrameInfoId::open_tracing_context:
                break;
            case RequestFrameInfoId::durability: {
                if (!protocol::accepts_durability(command.frame.opcode))
                    return refuse_with(Status::einval, "the command takes no durability");
                const auto timeout = info.number ? std::chrono::milliseconds(*info.number) : default_durability_timeout;
                command.write.durability = Durability{info.level, command.time.now + timeout, this};
                break;
            }
            case RequestFrameInfoId::preserve_ttl:
                if (!protocol::accepts_preserve_ttl(command.frame.opcode))
                    return refuse_with(Status::not_supported, "the command does not preserve the expiry");
                command.write.preserve_expiry = true;
                break;
            case RequestFrameInfoId::dcp_stream_id:
                return refuse_with(Status::einval, "not a DCP command");
            case RequestFrameInfoId::impersonate:
            case RequestFrameInfoId::impersonate_extra_privilege:
            case RequestFrameInfoId::impersonate_with_token:
                return refuse_with(Status::eaccess, "no privilege to impersonate");
        }
    }
    return true;
}

bool KvConnection::locate(Command& command, const protocol::RequestContext& context, VBucketState state) {
    const auto refuse_with = [&](Status status, std::string_view text) {
        fail(command.origin, status, text);
        return false;
    };
    std::uint8_t allowed = datatype::raw;
    if (takes_value(command.frame.opcode)) allowed = datatype_out(datatype::known);
    if ((context.datatype & ~allowed) != 0) return refuse_with(Status::einval, "datatype was not negotiated");
    if (context.cas != 0 && !takes_cas(command.frame.opcode))
        return refuse_with(Status::einval, "the command takes no CAS");
    const auto config = bucket_.empty() ? nullptr : node_.bucket_config(bucket_);
    if (!config) return refuse_with(Status::no_bucket, "No bucket selected");
    if (command.write.durability && config->settings.type == BucketType::ephemeral &&
        command.write.durability->level != protocol::DurabilityLevel::majority)
        return refuse_with(Status::durability_invalid_level, {});
    if (has(Feature::collections)) {
        command.key = command.frame.key;
    } else {
        scratch_.assign(1, '\0').append(command.frame.key);
        command.key = scratch_;
    }
    command.vbucket = node_.vbucket(bucket_, context.vbucket);
    if (command.vbucket == nullptr || command.vbucket->state() != state) {
        not_my_vbucket(command);
        return false;
    }
    if (context.collection.value_or(0) != 0) {
        const auto& scopes = config->manifest.scopes;
        const bool known = std::any_of(scopes.begin(), scopes.end(), [&](const auto& scope) {
            return std::any_of(scope.collections.begin(), scope.collections.end(),
                               [&](const auto& collection) { return collection.uid == *context.collection; });
        });
        if (!known) {
            fail(command.origin, Status::unknown_collection, {}, true);
            return false;
        }
    }
    command.write.cas = context.cas;
    return true;
}

// As the wire says it, and no later than the collection allows.
std::uint32_t KvConnection::expiry(const Command& command, std::uint32_t wire) const {
    const std::uint32_t absolute = absolute_expiry(wire, command.time);
    const auto id = protocol::load_leb128(command.key)->value;
    for (const auto& scope : node_.bucket_config(bucket_)->manifest.scopes) {
        for (const auto& collection : scope.collections) {
            if (collection.uid != id || collection.max_ttl.value_or(0) <= 0) continue;
            const auto latest = static_cast<std::uint32_t>(command.time.seconds() + *collection.max_ttl);
            return absolute == 0 ? latest : std::min(absolute, latest);
        }
    }
    return absolute;
}

void KvConnection::send_document(const Origin& origin, const KvOutcome& outcome, std::string_view key) {
    const Document& document = *outcome.document;
    char flags[4];
    protocol::store_be32(flags, document.flags);
    std::string_view value = document.value;
    std::uint8_t type = document.datatype;
    if ((type & datatype::snappy) != 0 && !has(Feature::snappy)) {
        inflated_ = protocol::snappy_inflate(value).value_or(std::string{});
        value = inflated_;
        type &= static_cast<std::uint8_t>(~datatype::snappy);
    }
    answer(origin, {.cas = outcome.cas,
                    .datatype = datatype_out(type),
                    .extras = {flags, sizeof flags},
                    .key = key,
                    .value = value});
}

// Of writes.
void KvConnection::finish(const Command& command, const KvOutcome& outcome) {
    if (outcome.pending != 0) {
        pending_.emplace(outcome.pending, command.origin);
        return;
    }
    if (const auto& witness = node_.cluster().witness(); witness && outcome.status == Status::success) {
        const auto split = protocol::split_collection_key(command.key);
        witness(node_.id(), command.origin.opcode, split ? split->key : command.key, command.frame.value);
    }
    finish(command.origin, outcome);
}

void KvConnection::finish(const Origin& origin, const KvOutcome& outcome) {
    if (outcome.status != Status::success) return fail(origin, outcome.status);
    if (origin.opcode == Opcode::seqno_persistence) return answer(origin, {});
    if (origin.returns_value) return send_document(origin, outcome);  // quiet ones, too: a hit is told
    if (protocol::quiet(origin.opcode)) return;
    Answer success{.cas = outcome.cas};
    const TokenExtras token(outcome);
    if (has(Feature::mutation_seqno) && outcome.seqno != 0 && origin.opcode != Opcode::touch && !on_memcached_bucket())
        success.extras = token.view();
    char number[8];
    if (origin.counter) {
        // A durable one is told by its document.
        std::uint64_t value = 0;
        for (const char digit : outcome.document->value) value = value * 10 + static_cast<std::uint64_t>(digit - '0');
        protocol::store_be64(number, value);
        success.value = {number, sizeof number};
    }
    if (!origin.value.empty()) {
        success.value = origin.value;
        success.datatype = origin.datatype;
    }
    success.status = origin.success;
    answer(origin, success);
}

void KvConnection::get(Command& command) {
    protocol::GetRequest request;
    if (const RequestError error = decode(command.frame, request, decoding()); error != RequestError::none)
        return refuse(command, error);
    const bool replica = request.opcode == Opcode::get_replica;
    if (!locate(command, request.context, replica ? VBucketState::replica : VBucketState::active)) return;
    ++node_.counters().gets;
    if (request.opcode == Opcode::evict_key) {
        const Status status = command.vbucket->evict(command.key, command.time).status;
        return status == Status::success ? succeed(command) : fail(command.origin, status);
    }
    const KvOutcome outcome =
        replica ? command.vbucket->read(command.key, command.time) : command.vbucket->get(command.key, command.time);
    if (outcome.status != Status::success) {
        if (!protocol::quiet(request.opcode)) fail(command.origin, outcome.status);
        return;
    }
    ++node_.counters().get_hits;
    const bool with_key = protocol::loud_form(request.opcode) == Opcode::getk;
    send_document(command.origin, outcome, with_key ? command.frame.key : std::string_view{});
}

void KvConnection::store(Command& command) {
    protocol::StoreRequest request;
    if (const RequestError error = decode(command.frame, request, decoding()); error != RequestError::none)
        return refuse(command, error);
    if (!locate(command, request.context, VBucketState::active)) return;
    ++node_.counters().sets;
    // The client's word for JSON is not taken: the value tells.
    std::uint8_t type = request.context.datatype & datatype::snappy;
    if (type != 0) {
        const auto size = protocol::snappy_inflated_size(request.value);
        if (size && *size > max_document_size) return fail(command.origin, Status::e2big);
        const auto text = protocol::snappy_inflate(request.value, max_document_size);
        if (!text) return fail(command.origin, Status::einval, "Failed to inflate payload");
        if (is_json(*text)) type |= datatype::json;
    } else if (request.value.size() > max_document_size) {
        return fail(command.origin, Status::e2big);
    } else if (is_json(request.value)) {
        type |= datatype::json;
    }
    const Opcode loud = protocol::loud_form(request.opcode);
    const StoreMode mode = loud == Opcode::add       ? StoreMode::add
                           : loud == Opcode::replace ? StoreMode::replace
                                                     : StoreMode::set;
    finish(command, command.vbucket->store(mode, command.key, std::string(request.value), type, request.flags,
                                           expiry(command, request.expiry), command.write, command.time));
}

void KvConnection::concat(Command& command) {
    protocol::ConcatRequest request;
    if (const RequestError error = decode(command.frame, request, decoding()); error != RequestError::none)
        return refuse(command, error);
    if (!locate(command, request.context, VBucketState::active)) return;
    ++node_.counters().sets;
    std::string_view part = request.value;
    if ((request.context.datatype & datatype::snappy) != 0) {
        auto text = protocol::snappy_inflate(part, max_document_size);
        if (!text) return fail(command.origin, Status::einval, "Failed to inflate payload");
        inflated_ = std::move(*text);
        part = inflated_;
    }
    const bool append = protocol::loud_form(request.opcode) == Opcode::append;
    finish(command, command.vbucket->concat(append, command.key, part, command.write, command.time));
}

void KvConnection::remove(Command& command) {
    protocol::RemoveRequest request;
    if (const RequestError error = decode(command.frame, request, decoding()); error != RequestError::none)
        return refuse(command, error);
    if (!locate(command, request.context, VBucketState::active)) return;
    finish(command, command.vbucket->remove(command.key, command.write, command.time));
}

void KvConnection::counter(Command& command) {
    protocol::CounterRequest request;
    if (const RequestError error = decode(command.frame, request, decoding()); error != RequestError::none)
        return refuse(command, error);
    if (!locate(command, request.context, VBucketState::active)) return;
    command.origin.counter = true;
    std::optional<std::uint64_t> initial;
    std::uint32_t expires = 0;
    if (request.expiry != protocol::counter_no_create) {
        initial = request.initial;
        expires = expiry(command, request.expiry);
    }
    const bool up = protocol::loud_form(request.opcode) == Opcode::increment;
    finish(command,
           command.vbucket->add_delta(up, command.key, request.delta, initial, expires, command.write, command.time));
}

void KvConnection::touch(Command& command) {
    protocol::TouchRequest request;
    if (const RequestError error = decode(command.frame, request, decoding()); error != RequestError::none)
        return refuse(command, error);
    if (!locate(command, request.context, VBucketState::active)) return;
    finish(command, command.vbucket->touch(command.key, expiry(command, request.expiry), command.write, command.time));
}

void KvConnection::get_and_touch(Command& command) {
    protocol::GetAndTouchRequest request;
    if (const RequestError error = decode(command.frame, request, decoding()); error != RequestError::none)
        return refuse(command, error);
    if (!locate(command, request.context, VBucketState::active)) return;
    command.origin.returns_value = true;
    const KvOutcome outcome =
        command.vbucket->touch(command.key, expiry(command, request.expiry), command.write, command.time);
    if (protocol::quiet(request.opcode) && outcome.status == Status::key_enoent) return;
    finish(command, outcome);
}

void KvConnection::get_locked(Command& command) {
    protocol::GetLockedRequest request;
    if (const RequestError error = decode(command.frame, request, decoding()); error != RequestError::none)
        return refuse(command, error);
    if (!locate(command, request.context, VBucketState::active)) return;
    const KvOutcome outcome = command.vbucket->lock(command.key, request.lock_time.value_or(0), command.time);
    if (outcome.status != Status::success) return fail(command.origin, outcome.status);
    send_document(command.origin, outcome);
}

void KvConnection::unlock(Command& command) {
    protocol::UnlockRequest request;
    if (const RequestError error = decode(command.frame, request, decoding()); error != RequestError::none)
        return refuse(command, error);
    if (request.context.cas == 0) return fail(command.origin, Status::einval, "the CAS of the lock is missing");
    if (!locate(command, request.context, VBucketState::active)) return;
    const Status status = command.vbucket->unlock(command.key, request.context.cas, command.time).status;
    if (status != Status::success) return fail(command.origin, status);
    succeed(command);
}

void KvConnection::get_meta(Command& command) {
    protocol::GetMetaRequest request;
    if (const RequestError error = decode(command.frame, request, decoding()); error != RequestError::none)
        return refuse(command, error);
    if (request.version && *request.version != 1 && *request.version != 2)
        return fail(command.origin, Status::einval, "version 1 or 2");
    if (!locate(command, request.context, VBucketState::active)) return;
    const DocumentPtr document = command.vbucket->meta(command.key, command.time);
    if (!document) {
        if (!protocol::quiet(command.frame.opcode)) fail(command.origin, Status::key_enoent);
        return;
    }
    char extras[21];
    char* end = protocol::store_be32(extras, document->deleted ? 1 : 0);
    end = protocol::store_be32(end, document->flags);
    end = protocol::store_be32(end, document->expiry);
    end = protocol::store_be64(end, document->revision);
    if (request.version.value_or(1) == 2) end = protocol::store_be8(end, document->datatype);
    const bool locked = command.vbucket->locked(command.key, command.time);
    answer(command.origin, {.cas = locked ? protocol::locked_cas : document->cas,
                            .extras = {extras, static_cast<std::size_t>(end - extras)}});
}

}  // namespace chaise::testing
