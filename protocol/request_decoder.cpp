#include "protocol/request_decoder.hpp"

#include <algorithm>

namespace chaise::protocol {

namespace {

RequestContext context_of(const Frame& frame) noexcept {
    RequestContext context;
    context.opaque = frame.opaque;
    context.vbucket = frame.vbucket();
    context.datatype = frame.datatype;
    context.flexible = is_flexible(frame.magic);
    context.cas = frame.cas;
    return context;
}

bool one_of(Opcode opcode, std::initializer_list<Opcode> allowed) noexcept {
    return std::find(allowed.begin(), allowed.end(), opcode) != allowed.end();
}

RequestError key_and_extras(const Frame& frame, std::size_t extras, RequestContext& context, std::string_view& key,
                            RequestDecodeOptions options) noexcept {
    if (frame.extras.size() != extras) return RequestError::bad_extras;
    return decode_key(frame, context, key, options);
}

RequestError no_value(const Frame& frame, RequestError error) noexcept {
    return error == RequestError::none && !frame.value.empty() ? RequestError::unexpected_value : error;
}

RequestError no_key(const Frame& frame, RequestContext& context) noexcept {
    context = context_of(frame);
    return frame.key.empty() ? RequestError::none : RequestError::unexpected_key;
}

// A text in the key or the value, and nothing else.
RequestError only_value(const Frame& frame, Opcode opcode, RequestContext& context, std::string_view& text) noexcept {
    if (frame.opcode != opcode) return RequestError::bad_opcode;
    if (!frame.extras.empty()) return RequestError::bad_extras;
    text = frame.value;
    return no_key(frame, context);
}

RequestError decode_sasl(const Frame& frame, Opcode opcode, RequestContext& context, std::string_view& mechanism,
                         std::string_view& data) noexcept {
    if (frame.opcode != opcode) return RequestError::bad_opcode;
    if (!frame.extras.empty()) return RequestError::bad_extras;
    context = context_of(frame);
    mechanism = frame.key;
    data = frame.value;
    return mechanism.empty() ? RequestError::missing_key : RequestError::none;
}

}  // namespace

RequestError decode_key(const Frame& frame, RequestContext& context, std::string_view& key,
                        RequestDecodeOptions options) noexcept {
    context = context_of(frame);
    key = frame.key;
    if (key.empty()) return RequestError::missing_key;
    if (options.collections && carries_collection(frame.opcode)) {
        const auto prefix = load_leb128(key);
        if (!prefix || prefix->size == key.size()) return RequestError::bad_collection_prefix;
        if (key.size() > max_key_size + 1) return RequestError::key_too_long;
        context.collection = prefix->value;
        key.remove_prefix(prefix->size);
    } else if (key.size() > max_key_size) {
        return RequestError::key_too_long;
    }
    return RequestError::none;
}

std::string_view name(RequestError error) noexcept {
    switch (error) {
        case RequestError::none:
            return "none";
        case RequestError::bad_opcode:
            return "opcode of another command";
        case RequestError::bad_extras:
            return "wrong extras length";
        case RequestError::missing_key:
            return "missing key";
        case RequestError::unexpected_key:
            return "unexpected key";
        case RequestError::key_too_long:
            return "key too long";
        case RequestError::bad_collection_prefix:
            return "malformed collection prefix";
        case RequestError::missing_value:
            return "missing value";
        case RequestError::unexpected_value:
            return "unexpected value";
        case RequestError::bad_value:
            return "malformed value";
    }
    return "UNKNOWN";
}

RequestError decode(const Frame& frame, GetRequest& out, RequestDecodeOptions options) noexcept {
    if (!one_of(frame.opcode, {Opcode::get, Opcode::getq, Opcode::getk, Opcode::getkq, Opcode::get_replica,
                               Opcode::get_ex, Opcode::get_ex_replica, Opcode::evict_key}))
        return RequestError::bad_opcode;
    out.opcode = frame.opcode;
    return no_value(frame, key_and_extras(frame, 0, out.context, out.key, options));
}

RequestError decode(const Frame& frame, StoreRequest& out, RequestDecodeOptions options) noexcept {
    if (!one_of(loud_form(frame.opcode), {Opcode::set, Opcode::add, Opcode::replace})) return RequestError::bad_opcode;
    out.opcode = frame.opcode;
    out.value = frame.value;
    const RequestError error = key_and_extras(frame, 8, out.context, out.key, options);
    if (error != RequestError::none) return error;
    out.flags = load_be32(frame.extras.data());
    out.expiry = load_be32(frame.extras.data() + 4);
    return RequestError::none;
}

RequestError decode(const Frame& frame, ConcatRequest& out, RequestDecodeOptions options) noexcept {
    if (!one_of(loud_form(frame.opcode), {Opcode::append, Opcode::prepend})) return RequestError::bad_opcode;
    out.opcode = frame.opcode;
    out.value = frame.value;
    return key_and_extras(frame, 0, out.context, out.key, options);
}

RequestError decode(const Frame& frame, RemoveRequest& out, RequestDecodeOptions options) noexcept {
    if (loud_form(frame.opcode) != Opcode::remove) return RequestError::bad_opcode;
    out.opcode = frame.opcode;
    return no_value(frame, key_and_extras(frame, 0, out.context, out.key, options));
}

RequestError decode(const Frame& frame, CounterRequest& out, RequestDecodeOptions options) noexcept {
    if (!one_of(loud_form(frame.opcode), {Opcode::increment, Opcode::decrement})) return RequestError::bad_opcode;
    out.opcode = frame.opcode;
    const RequestError error = no_value(frame, key_and_extras(frame, 20, out.context, out.key, options));
    if (error != RequestError::none) return error;
    out.delta = load_be64(frame.extras.data());
    out.initial = load_be64(frame.extras.data() + 8);
    out.expiry = load_be32(frame.extras.data() + 16);
    return RequestError::none;
}

RequestError decode(const Frame& frame, TouchRequest& out, RequestDecodeOptions options) noexcept {
    if (frame.opcode != Opcode::touch) return RequestError::bad_opcode;
    const RequestError error = no_value(frame, key_and_extras(frame, 4, out.context, out.key, options));
    if (error == RequestError::none) out.expiry = load_be32(frame.extras.data());
    return error;
}

RequestError decode(const Frame& frame, GetAndTouchRequest& out, RequestDecodeOptions options) noexcept {
    if (!one_of(loud_form(frame.opcode), {Opcode::gat, Opcode::gatk})) return RequestError::bad_opcode;
    out.opcode = frame.opcode;
    const RequestError error = no_value(frame, key_and_extras(frame, 4, out.context, out.key, options));
    if (error == RequestError::none) out.expiry = load_be32(frame.extras.data());
    return error;
}

RequestError decode(const Frame& frame, GetLockedRequest& out, RequestDecodeOptions options) noexcept {
    if (frame.opcode != Opcode::get_locked) return RequestError::bad_opcode;
    const std::size_t extras = frame.extras.empty() ? 0 : 4;
    const RequestError error = no_value(frame, key_and_extras(frame, extras, out.context, out.key, options));
    out.lock_time.reset();
    if (error == RequestError::none && extras != 0) out.lock_time = load_be32(frame.extras.data());
    return error;
}

RequestError decode(const Frame& frame, UnlockRequest& out, RequestDecodeOptions options) noexcept {
    if (frame.opcode != Opcode::unlock_key) return RequestError::bad_opcode;
    return no_value(frame, key_and_extras(frame, 0, out.context, out.key, options));
}

RequestError decode(const Frame& frame, GetMetaRequest& out, RequestDecodeOptions options) noexcept {
    if (loud_form(frame.opcode) != Opcode::get_meta) return RequestError::bad_opcode;
    const std::size_t extras = frame.extras.empty() ? 0 : 1;
    const RequestError error = no_value(frame, key_and_extras(frame, extras, out.context, out.key, options));
    out.version.reset();
    if (error == RequestError::none && extras != 0) out.version = static_cast<std::uint8_t>(frame.extras[0]);
    return error;
}

RequestError decode(const Frame& frame, HeaderRequest& out) noexcept {
    out.opcode = frame.opcode;
    if (!frame.extras.empty()) return RequestError::bad_extras;
    return no_value(frame, no_key(frame, out.context));
}

RequestError decode(const Frame& frame, FlushRequest& out) noexcept {
    if (loud_form(frame.opcode) != Opcode::flush) return RequestError::bad_opcode;
    out.opcode = frame.opcode;
    out.expiry.reset();
    if (frame.extras.size() == 4)
        out.expiry = load_be32(frame.extras.data());
    else if (!frame.extras.empty())
        return RequestError::bad_extras;
    return no_value(frame, no_key(frame, out.context));
}

RequestError decode(const Frame& frame, VerbosityRequest& out) noexcept {
    if (frame.opcode != Opcode::verbosity) return RequestError::bad_opcode;
    if (frame.extras.size() != 4) return RequestError::bad_extras;
    out.level = load_be32(frame.extras.data());
    return no_value(frame, no_key(frame, out.context));
}

RequestError decode(const Frame& frame, StatRequest& out) noexcept {
    if (frame.opcode != Opcode::stat) return RequestError::bad_opcode;
    if (!frame.extras.empty()) return RequestError::bad_extras;
    out.context = context_of(frame);
    out.group = frame.key;
    out.value = frame.value;
    return RequestError::none;
}

RequestError decode(const Frame& frame, SaslAuthRequest& out) noexcept {
    return decode_sasl(frame, Opcode::sasl_auth, out.context, out.mechanism, out.data);
}

RequestError decode(const Frame& frame, SaslStepRequest& out) noexcept {
    return decode_sasl(frame, Opcode::sasl_step, out.context, out.mechanism, out.data);
}

RequestError decode(const Frame& frame, SelectBucketRequest& out) noexcept {
    if (frame.opcode != Opcode::select_bucket) return RequestError::bad_opcode;
    if (!frame.extras.empty()) return RequestError::bad_extras;
    out.context = context_of(frame);
    out.bucket = frame.key;
    return no_value(frame, frame.key.empty() ? RequestError::missing_key : RequestError::none);
}

RequestError decode(const Frame& frame, GetErrorMapRequest& out) noexcept {
    std::string_view value;
    const RequestError error = only_value(frame, Opcode::get_error_map, out.context, value);
    if (error != RequestError::none) return error;
    if (value.size() != 2) return RequestError::bad_value;
    out.version = load_be16(value.data());
    return RequestError::none;
}

RequestError decode(const Frame& frame, GetClusterConfigRequest& out) noexcept {
    if (frame.opcode != Opcode::get_cluster_config) return RequestError::bad_opcode;
    out.known.reset();
    if (frame.extras.size() == 16)
        out.known = ConfigRevision{static_cast<std::int64_t>(load_be64(frame.extras.data())),
                                   static_cast<std::int64_t>(load_be64(frame.extras.data() + 8))};
    else if (!frame.extras.empty())
        return RequestError::bad_extras;
    return no_value(frame, no_key(frame, out.context));
}

RequestError decode(const Frame& frame, GetCollectionIdRequest& out) noexcept {
    const RequestError error = only_value(frame, Opcode::collections_get_id, out.context, out.path);
    return error == RequestError::none && out.path.empty() ? RequestError::missing_value : error;
}

RequestError decode(const Frame& frame, GetScopeIdRequest& out) noexcept {
    const RequestError error = only_value(frame, Opcode::collections_get_scope_id, out.context, out.scope);
    return error == RequestError::none && out.scope.empty() ? RequestError::missing_value : error;
}

RequestError decode(const Frame& frame, ObserveSeqnoRequest& out) noexcept {
    std::string_view value;
    const RequestError error = only_value(frame, Opcode::observe_seqno, out.context, value);
    if (error != RequestError::none) return error;
    if (value.size() != 8) return RequestError::bad_value;
    out.vbucket_uuid = load_be64(value.data());
    return RequestError::none;
}

RequestError decode(const Frame& frame, SeqnoPersistenceRequest& out) noexcept {
    if (frame.opcode != Opcode::seqno_persistence) return RequestError::bad_opcode;
    if (frame.extras.size() != 8) return RequestError::bad_extras;
    out.seqno = load_be64(frame.extras.data());
    return no_value(frame, no_key(frame, out.context));
}

RequestError decode(const Frame& frame, GetFailoverLogRequest& out) noexcept {
    if (frame.opcode != Opcode::get_failover_log) return RequestError::bad_opcode;
    if (!frame.extras.empty()) return RequestError::bad_extras;
    return no_value(frame, no_key(frame, out.context));
}

RequestError decode(const Frame& frame, GetAllVbSeqnosRequest& out) noexcept {
    if (frame.opcode != Opcode::get_all_vb_seqnos) return RequestError::bad_opcode;
    if (frame.extras.size() != 0 && frame.extras.size() != 4 && frame.extras.size() != 8)
        return RequestError::bad_extras;
    out.state.reset();
    out.collection.reset();
    if (frame.extras.size() >= 4) {
        const std::uint32_t state = load_be32(frame.extras.data());
        if (state > static_cast<std::uint32_t>(VbucketState::dead)) return RequestError::bad_extras;
        out.state = static_cast<VbucketState>(state);
    }
    if (frame.extras.size() == 8) out.collection = load_be32(frame.extras.data() + 4);
    return no_value(frame, no_key(frame, out.context));
}

RequestError decode(const Frame& frame, GetRandomKeyRequest& out, RequestDecodeOptions options) noexcept {
    if (frame.opcode != Opcode::get_random_key) return RequestError::bad_opcode;
    const RequestError error = no_value(frame, no_key(frame, out.context));
    out.include_xattrs.reset();
    if (!options.collections && !frame.extras.empty()) return RequestError::bad_extras;
    if (options.collections) {
        if (frame.extras.size() != 4 && frame.extras.size() != 5) return RequestError::bad_extras;
        out.context.collection = load_be32(frame.extras.data());
        if (frame.extras.size() == 5) out.include_xattrs = frame.extras[4] != 0;
    }
    return error;
}

std::optional<ObserveKey> DecodedObserve::next() noexcept {
    if (left_.size() < 4) return std::nullopt;
    const std::size_t size = load_be16(left_.data() + 2);
    if (size > left_.size() - 4) return std::nullopt;
    ObserveKey key{load_be16(left_.data()), left_.substr(4, size), {}};
    if (collections_) {
        const auto prefix = load_leb128(key.key);
        if (!prefix) return std::nullopt;
        key.collection = prefix->value;
        key.key.remove_prefix(prefix->size);
    }
    if (key.key.empty() ||
        key.key.size() + (collections_ ? leb128_size(*key.collection) : 0) > max_key_size + (collections_ ? 1 : 0))
        return std::nullopt;
    left_.remove_prefix(4 + size);
    return key;
}

RequestError decode(const Frame& frame, DecodedObserve& out, RequestDecodeOptions options) noexcept {
    const RequestError error = only_value(frame, Opcode::observe, out.context, out.left_);
    if (error != RequestError::none) return error;
    if (frame.value.empty()) return RequestError::missing_value;
    out.collections_ = options.collections;
    DecodedObserve walk = out;
    while (walk.next()) {
    }
    return walk.left_.empty() ? RequestError::none : RequestError::bad_value;
}

RequestError decode(const Frame& frame, DecodedHello& out) noexcept {
    if (frame.opcode != Opcode::hello) return RequestError::bad_opcode;
    if (!frame.extras.empty()) return RequestError::bad_extras;
    out.context = context_of(frame);
    out.agent = frame.key;
    out.codes = frame.value;
    return frame.value.size() % 2 == 0 ? RequestError::none : RequestError::bad_value;
}

DecodedFrameInfos decode_frame_infos(std::string_view framing_extras) noexcept {
    DecodedFrameInfos result;
    FrameInfoReader reader(framing_extras);
    while (const auto raw = reader.next()) {
        const DecodedFrameInfo decoded = decode_request_frame_info(*raw);
        result.error = result.count == DecodedFrameInfos::capacity ? FrameInfoError::unknown_id : decoded.error;
        if (result.error != FrameInfoError::none) return result;
        result.storage[result.count++] = decoded.info;
    }
    if (reader.malformed()) result.error = FrameInfoError::malformed;
    return result;
}

}  // namespace chaise::protocol
