#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/byte_order.hpp"
#include "protocol/magic.hpp"
#include "protocol/opcode.hpp"
#include "protocol/status.hpp"

// One frame, parsed in place: the receive path of the client.
namespace chaise::protocol {

inline constexpr std::size_t header_size = 24;
/// Bodies that are announced larger than this are a protocol error (protocol.md 1.8).
inline constexpr std::uint32_t default_max_body = 32u * 1024 * 1024;
/// By server rule, without the collection prefix.
inline constexpr std::size_t max_key_size = 250;

/// Views into the parsed input; valid as long as the input is.
struct Frame {
    Magic magic{};
    Opcode opcode{};
    std::uint8_t datatype = 0;
    std::uint16_t specific = 0;  ///< vbucket of requests, status of responses
    std::uint32_t opaque = 0;
    std::uint64_t cas = 0;
    std::string_view framing_extras;
    std::string_view extras;
    std::string_view key;
    std::string_view value;

    [[nodiscard]] Status status() const noexcept { return static_cast<Status>(specific); }
    [[nodiscard]] std::uint16_t vbucket() const noexcept { return specific; }
    [[nodiscard]] ServerOpcode server_opcode() const noexcept { return static_cast<ServerOpcode>(opcode); }
};

enum class ParseStatus : std::uint8_t { complete, need_more, error };

/// Why a stream is corrupt; the connection must be closed.
enum class FrameError : std::uint8_t {
    none,
    bad_magic,            ///< not one of the six magics
    body_too_large,       ///< longer than max_body
    lengths_exceed_body,  ///< framing extras + extras + key > body
    bad_frame_info,       ///< frame infos run past the framing extras
};

[[nodiscard]] constexpr std::string_view name(FrameError error) noexcept {
    switch (error) {
        case FrameError::none:
            return "none";
        case FrameError::bad_magic:
            return "unknown magic";
        case FrameError::body_too_large:
            return "body too large";
        case FrameError::lengths_exceed_body:
            return "framing extras, extras and key exceed the body";
        case FrameError::bad_frame_info:
            return "frame info runs past the framing extras";
    }
    return "UNKNOWN";
}

struct ParseResult {
    ParseStatus status = ParseStatus::need_more;
    /// complete: bytes of this frame. need_more: bytes this frame needs in all, as far as is known (24, or 24 + body).
    std::size_t size = header_size;
    FrameError error = FrameError::none;
};

namespace detail {

// Whether a list of frame infos ends exactly where its bytes end (protocol.md 1.5).
[[gnu::noinline]] inline bool frame_infos_well_formed(const char* at, std::size_t left) noexcept {
    while (left != 0) {
        const auto head = static_cast<std::uint8_t>(*at++);
        --left;
        if ((head >> 4) == 15) {
            if (left == 0) return false;
            ++at;
            --left;
        }
        std::size_t length = head & 15u;
        if (length == 15) {
            if (left == 0) return false;
            length += static_cast<std::uint8_t>(*at++);
            --left;
        }
        if (length > left) return false;
        at += length;
        left -= length;
    }
    return true;
}

inline ParseResult parse_error(FrameError error) noexcept { return {ParseStatus::error, 0, error}; }

// `head` is the first eight bytes, in host order. Inlined once for each magic that matters, with what it implies.
[[gnu::always_inline]] inline ParseResult parse_body(std::string_view input, Frame& out, std::uint32_t max_body,
                                                     std::uint64_t head, std::size_t framing,
                                                     std::size_t key) noexcept {
    const char* const at = input.data();
    const std::size_t extras = (head >> 24) & 0xff;
    const std::uint32_t body = load_be32(at + 8);
    if (body > max_body) [[unlikely]]
        return parse_error(FrameError::body_too_large);
    const std::size_t before_value = framing + extras + key;
    if (before_value > body) [[unlikely]]
        return parse_error(FrameError::lengths_exceed_body);
    const std::size_t size = header_size + body;
    if (input.size() < size) [[unlikely]]
        return {ParseStatus::need_more, size, FrameError::none};
    const char* part = at + header_size;
    // Nearly always the one that is there is the server's duration: id 0, two bytes.
    if (framing != 0 && !(framing == 3 && *part == 2) && !frame_infos_well_formed(part, framing)) [[unlikely]]
        return parse_error(FrameError::bad_frame_info);

    out.magic = static_cast<Magic>(head >> 56);
    out.opcode = static_cast<Opcode>(static_cast<std::uint8_t>(head >> 48));
    out.datatype = static_cast<std::uint8_t>(head >> 16);
    out.specific = static_cast<std::uint16_t>(head);
    out.opaque = load_be32(at + 12);
    out.cas = load_be64(at + 16);
    out.framing_extras = {part, framing};
    part += framing;
    out.extras = {part, extras};
    part += extras;
    out.key = {part, key};
    part += key;
    out.value = {part, body - before_value};
    return {ParseStatus::complete, size, FrameError::none};
}

// Every magic but those of responses, and what is shorter than a header.
[[gnu::noinline]] inline ParseResult parse_frame_general(std::string_view input, Frame& out,
                                                         std::uint32_t max_body) noexcept {
    if (input.empty()) return {};
    const auto magic = static_cast<Magic>(static_cast<std::uint8_t>(input[0]));
    if (!is_known(magic)) return parse_error(FrameError::bad_magic);
    if (input.size() < header_size) return {};
    const std::uint64_t head = load_be64(input.data());
    const std::size_t key = (head >> 32) & 0xffff;
    if (is_flexible(magic)) return parse_body(input, out, max_body, head, key >> 8, key & 0xff);
    return parse_body(input, out, max_body, head, 0, key);
}

}  // namespace detail

/// Parses the frame at the start of `input`, whatever its magic. `out` is written only when the frame is complete.
/// Never reads past `input`. Classic responses take the short way: one load yields magic, opcode, lengths, datatype and
/// status. So do those of Couchbase nodes, which add how long it took.
inline ParseResult parse_frame(std::string_view input, Frame& out, std::uint32_t max_body = default_max_body) noexcept {
    if (input.size() >= header_size) [[likely]] {
        const std::uint64_t head = load_be64(input.data());
        if (static_cast<Magic>(head >> 56) == Magic::client_response) [[likely]] {
            return detail::parse_body(input, out, max_body, head, 0, (head >> 32) & 0xffff);
        }
        if (static_cast<Magic>(head >> 56) == Magic::alt_client_response) {
            return detail::parse_body(input, out, max_body, head, (head >> 40) & 0xff, (head >> 32) & 0xff);
        }
    }
    return detail::parse_frame_general(input, out, max_body);
}

}  // namespace chaise::protocol
