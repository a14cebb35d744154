#pragma once

#include <cstdint>
#include <string_view>

namespace chaise::protocol {

/// First byte of every frame (protocol.md 1.1): who speaks, and which header layout follows.
enum class Magic : std::uint8_t {
    alt_client_request = 0x08,   ///< flexible: framing extras, one-byte key length
    alt_client_response = 0x18,  ///< flexible; servers may use it for any reply
    client_request = 0x80,
    client_response = 0x81,
    server_request = 0x82,   ///< push, needs HELLO Duplex
    server_response = 0x83,  ///< answer to a push
};

[[nodiscard]] constexpr std::string_view name(Magic magic) noexcept {
    switch (magic) {
        case Magic::alt_client_request:
            return "ALT_CLIENT_REQUEST";
        case Magic::alt_client_response:
            return "ALT_CLIENT_RESPONSE";
        case Magic::client_request:
            return "CLIENT_REQUEST";
        case Magic::client_response:
            return "CLIENT_RESPONSE";
        case Magic::server_request:
            return "SERVER_REQUEST";
        case Magic::server_response:
            return "SERVER_RESPONSE";
    }
    return "UNKNOWN";
}

/// Flexible layout: byte 2 is the framing extras length, byte 3 the key length.
[[nodiscard]] constexpr bool is_flexible(Magic magic) noexcept {
    return magic == Magic::alt_client_request || magic == Magic::alt_client_response;
}

/// Bytes 6..7 are a status, not a vbucket.
[[nodiscard]] constexpr bool is_response(Magic magic) noexcept {
    return magic == Magic::client_response || magic == Magic::alt_client_response || magic == Magic::server_response;
}

[[nodiscard]] constexpr bool is_known(Magic magic) noexcept { return name(magic) != "UNKNOWN"; }

}  // namespace chaise::protocol
