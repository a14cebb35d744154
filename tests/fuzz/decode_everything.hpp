#pragma once

#include "protocol/request_decoder.hpp"
#include "protocol/responses.hpp"
#include "protocol/sasl.hpp"
#include "protocol/snappy.hpp"

namespace chaise::testing {

/// Gives a frame to every decoder there is, whatever its opcode says, and looks at every byte of what they hand out: a
/// read past the end shows under ASan. Returns a sum, so that nothing is optimised away.
class DecodeEverything {
public:
    std::size_t operator()(const protocol::Frame& frame) {
        using namespace protocol;
        sum_ = 0;
        look(frame.framing_extras, frame.extras, frame.key, frame.value);
        if (const auto r = decode_value(frame)) look(r->key, r->value);
        if (const auto r = decode_random_key(frame)) look(r->key, r->value);
        count(decode_mutation(frame));
        count(decode_counter(frame));
        count(decode_get_meta(frame));
        count(decode_collection_id(frame));
        count(decode_observe_seqno(frame));
        count(decode_range_scan_create(frame));
        count(decode_hello(frame));
        count(decode_response_frame_infos(frame.framing_extras));
        if (const auto r = split_collection_key(frame.key)) look(r->key);
        if (const auto r = decode_config_push(frame)) look(r->bucket, r->config);
        const StatEntry stat = decode_stat(frame);
        look(stat.key, stat.value);
        look(decode_error_context(frame).context);
        count(decode_error_map(frame.value));
        count(decode_manifest(frame.value));
        for (MultiLookupReader reader(frame); const auto r = reader.next();) look(r->value);
        for (MultiMutationReader reader(frame); const auto r = reader.next();) look(r->value);
        for (ObserveReader reader(frame); const auto r = reader.next();) look(r->key);
        for (RangeScanReader reader(frame); const auto r = reader.next();) look(r->key, r->value);
        for (FailoverLogReader reader(frame); const auto r = reader.next();) sum_ += r->seqno;
        for (VbSeqnosReader reader(frame); const auto r = reader.next();) sum_ += r->seqno;
        for (Words words(frame.value); const auto r = words.next();) look(*r);
        if (auto section = XattrSection::parse(frame.value)) {
            look(section->body());
            while (const auto r = section->next()) look(r->name, r->value);
        }
        if (const auto r = snappy_inflate(frame.value, 1u << 20)) look(*r);
        decode_request(frame);
        decode_sasl(frame.value);
        return sum_;
    }

private:
    template <class... Views>
    void look(const Views&... views) {
        const auto one = [this](std::string_view view) {
            for (const char c : view) sum_ += static_cast<unsigned char>(c);
        };
        (one(views), ...);
    }
    template <class T>
    void count(const std::optional<T>& decoded) {
        sum_ += decoded ? 1u : 0u;
    }
    void decode_request(const protocol::Frame& frame) {
        using namespace protocol;
        const DecodedFrameInfos infos = decode_frame_infos(frame.framing_extras);
        for (const RequestFrameInfo& info : infos.infos()) look(info.text);
        for (const bool collections : {false, true}) {
            const RequestDecodeOptions options{collections};
            keyed<GetRequest>(frame, options);
            keyed<StoreRequest>(frame, options);
            keyed<ConcatRequest>(frame, options);
            keyed<RemoveRequest>(frame, options);
            keyed<CounterRequest>(frame, options);
            keyed<TouchRequest>(frame, options);
            keyed<GetAndTouchRequest>(frame, options);
            keyed<GetLockedRequest>(frame, options);
            keyed<UnlockRequest>(frame, options);
            keyed<GetMetaRequest>(frame, options);
        }
        plain<HeaderRequest, FlushRequest, VerbosityRequest, StatRequest, SaslAuthRequest, SaslStepRequest,
              SelectBucketRequest, GetErrorMapRequest, GetClusterConfigRequest, GetCollectionIdRequest,
              GetScopeIdRequest, ObserveSeqnoRequest>(frame);
        DecodedHello hello;
        if (decode(frame, hello) == RequestError::none)
            for (std::size_t i = 0; i < hello.size(); ++i) sum_ += static_cast<std::size_t>(hello[i]);
    }
    template <class Request>
    void keyed(const protocol::Frame& frame, protocol::RequestDecodeOptions options) {
        Request request;
        if (decode(frame, request, options) == protocol::RequestError::none) look(request.key);
    }
    template <class... Requests>
    void plain(const protocol::Frame& frame) {
        const auto one = [&](auto request) {
            sum_ += decode(frame, request) == protocol::RequestError::none ? 1u : 0u;
        };
        (one(Requests{}), ...);
    }
    void decode_sasl(std::string_view text) {
        using namespace protocol;
        look(choose_mechanism(text, {.allow_plain = true, .tls = false}));
        if (const auto r = parse_plain_message(text)) look(r->authzid, r->authcid, r->password);
        if (const auto r = parse_oauthbearer_message(text)) look(r->user, r->token);
        std::string why;
        if (const auto r = parse_server_first(text, why)) look(r->nonce, r->salt);
    }

    std::size_t sum_ = 0;
};

}  // namespace chaise::testing
