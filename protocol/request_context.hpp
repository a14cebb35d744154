#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "protocol/byte_order.hpp"
#include "protocol/frame.hpp"
#include "protocol/frame_info.hpp"
#include "protocol/leb128.hpp"

// What every request has beside its own fields, and the shared parts of the encoders.
namespace chaise::protocol {

struct RequestContext {
    std::uint32_t opaque = 0;
    std::uint16_t vbucket = 0;
    std::uint8_t datatype = 0;
    /// Flexible framing even without a frame info (it is chosen by itself when there is one).
    bool flexible = false;
    std::uint64_t cas = 0;
    /// Prefixed to the keys of commands that carry a collection; leave empty unless HELLO Collections was granted.
    std::optional<std::uint32_t> collection{};
    /// Sent in this order; must outlive the encoding.
    std::span<const RequestFrameInfo> frame_infos{};
};

namespace detail {

[[nodiscard]] inline bool is_flexible(const RequestContext& context) noexcept {
    return context.flexible || !context.frame_infos.empty();
}

[[nodiscard]] inline std::size_t framing_size(const RequestContext& context) noexcept {
    return context.frame_infos.empty() ? 0 : encoded_size(context.frame_infos);
}

[[nodiscard]] inline std::size_t prefix_size(const RequestContext& context) noexcept {
    return context.collection ? leb128_size(*context.collection) : 0;
}

inline char* put(char* out, std::string_view bytes) noexcept {
    if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
    return out + bytes.size();
}

// The hot forms know that there is something to copy: no test.
inline char* put_key(const RequestContext& context, std::string_view key, char* out) noexcept {
    if (context.collection) out = store_leb128(out, *context.collection);
    std::memcpy(out, key.data(), key.size());
    return out + key.size();
}

// Header words in host order, stored with one swap each.
inline void put_classic_header(const RequestContext& context, Opcode opcode, std::size_t extras, std::size_t key,
                               std::size_t value, char* out) noexcept {
    const std::size_t body = extras + key + value;
    store_be64(out, (std::uint64_t{static_cast<std::uint8_t>(Magic::client_request)} << 56) |
                        (std::uint64_t{static_cast<std::uint8_t>(opcode)} << 48) | (std::uint64_t{key} << 32) |
                        (std::uint64_t{extras} << 24) | (std::uint64_t{context.datatype} << 16) | context.vbucket);
    store_be64(out + 8, (std::uint64_t{body} << 32) | context.opaque);
    store_be64(out + 16, context.cas);
}

char* put_flexible_header(const RequestContext& context, Opcode opcode, std::size_t extras, std::size_t key,
                          std::size_t value, char* out) noexcept;

// Writes the header and the frame infos; returns where the extras go. `key` counts the collection prefix.
inline char* put_header(const RequestContext& context, Opcode opcode, std::size_t extras, std::size_t key,
                        std::size_t value, char* out) noexcept {
    assert(key <= 0xffff && extras <= 0xff);
    // A copy: what a call is given by reference must lie in memory, even on the path without the call.
    if (is_flexible(context)) [[unlikely]]
        return put_flexible_header(RequestContext(context), opcode, extras, key, value, out);
    put_classic_header(context, opcode, extras, key, value, out);
    return out + header_size;
}

}  // namespace detail

}  // namespace chaise::protocol
