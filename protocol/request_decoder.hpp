#pragma once

#include <array>
#include <span>

#include "protocol/requests.hpp"

// The server's side: strict readers of requests. They fill the request's fields and context except context.frame_infos
// (decode_frame_infos below), with views into the frame.
namespace chaise::protocol {

/// Why a server answers EINVAL.
enum class RequestError : std::uint8_t {
    none,
    bad_opcode,  ///< not one of the request type's
    bad_extras,  ///< of a length the command does not have
    missing_key,
    unexpected_key,
    key_too_long,           ///< over 250 bytes, or 251 with the collection prefix
    bad_collection_prefix,  ///< not canonical LEB128, or nothing behind it
    missing_value,
    unexpected_value,
    bad_value,  ///< not of the form the command has
};

[[nodiscard]] std::string_view name(RequestError error) noexcept;

/// How the connection stands.
struct RequestDecodeOptions {
    bool collections = false;  ///< HELLO Collections was granted: keys carry the prefix
};

/// Context and key of any command that has a key; the rest is the command's own.
RequestError decode_key(const Frame& frame, RequestContext& context, std::string_view& key,
                        RequestDecodeOptions options) noexcept;

RequestError decode(const Frame& frame, GetRequest& out, RequestDecodeOptions options = {}) noexcept;
RequestError decode(const Frame& frame, StoreRequest& out, RequestDecodeOptions options = {}) noexcept;
RequestError decode(const Frame& frame, ConcatRequest& out, RequestDecodeOptions options = {}) noexcept;
RequestError decode(const Frame& frame, RemoveRequest& out, RequestDecodeOptions options = {}) noexcept;
RequestError decode(const Frame& frame, CounterRequest& out, RequestDecodeOptions options = {}) noexcept;
RequestError decode(const Frame& frame, TouchRequest& out, RequestDecodeOptions options = {}) noexcept;
RequestError decode(const Frame& frame, GetAndTouchRequest& out, RequestDecodeOptions options = {}) noexcept;
RequestError decode(const Frame& frame, GetLockedRequest& out, RequestDecodeOptions options = {}) noexcept;
RequestError decode(const Frame& frame, UnlockRequest& out, RequestDecodeOptions options = {}) noexcept;
RequestError decode(const Frame& frame, GetMetaRequest& out, RequestDecodeOptions options = {}) noexcept;
RequestError decode(const Frame& frame, HeaderRequest& out) noexcept;  ///< any command without a body
RequestError decode(const Frame& frame, FlushRequest& out) noexcept;
RequestError decode(const Frame& frame, VerbosityRequest& out) noexcept;
RequestError decode(const Frame& frame, StatRequest& out) noexcept;
RequestError decode(const Frame& frame, SaslAuthRequest& out) noexcept;
RequestError decode(const Frame& frame, SaslStepRequest& out) noexcept;
RequestError decode(const Frame& frame, SelectBucketRequest& out) noexcept;
RequestError decode(const Frame& frame, GetErrorMapRequest& out) noexcept;
RequestError decode(const Frame& frame, GetClusterConfigRequest& out) noexcept;
RequestError decode(const Frame& frame, GetCollectionIdRequest& out) noexcept;
RequestError decode(const Frame& frame, GetScopeIdRequest& out) noexcept;
RequestError decode(const Frame& frame, ObserveSeqnoRequest& out) noexcept;
RequestError decode(const Frame& frame, SeqnoPersistenceRequest& out) noexcept;
RequestError decode(const Frame& frame, GetFailoverLogRequest& out) noexcept;
RequestError decode(const Frame& frame, GetAllVbSeqnosRequest& out) noexcept;
/// With collections the collection's id is required; it is put into context.collection.
RequestError decode(const Frame& frame, GetRandomKeyRequest& out, RequestDecodeOptions options = {}) noexcept;

/// OBSERVE: the keys, as next() gives them; all of them have been checked.
class DecodedObserve {
public:
    RequestContext context;
    [[nodiscard]] std::optional<ObserveKey> next() noexcept;

private:
    friend RequestError decode(const Frame& frame, DecodedObserve& out, RequestDecodeOptions options) noexcept;
    std::string_view left_;
    bool collections_ = false;
};
RequestError decode(const Frame& frame, DecodedObserve& out, RequestDecodeOptions options = {}) noexcept;

/// HELLO: the features that were asked for, in order; unknown codes too.
struct DecodedHello {
    RequestContext context;
    std::string_view agent;
    std::string_view codes;  ///< big-endian pairs of bytes
    [[nodiscard]] std::size_t size() const noexcept { return codes.size() / 2; }
    [[nodiscard]] Feature operator[](std::size_t i) const noexcept {
        return static_cast<Feature>(load_be16(codes.data() + 2 * i));
    }
};
RequestError decode(const Frame& frame, DecodedHello& out) noexcept;

/// The frame infos of a request, in order. More than fit are `unknown_id`: no client sends so many.
struct DecodedFrameInfos {
    static constexpr std::size_t capacity = 16;
    std::array<RequestFrameInfo, capacity> storage{};
    std::size_t count = 0;
    FrameInfoError error = FrameInfoError::none;
    [[nodiscard]] std::span<const RequestFrameInfo> infos() const noexcept { return {storage.data(), count}; }
};
[[nodiscard]] DecodedFrameInfos decode_frame_infos(std::string_view framing_extras) noexcept;

}  // namespace chaise::protocol
