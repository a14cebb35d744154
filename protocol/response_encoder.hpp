#pragma once

#include <string>

#include "protocol/frame.hpp"

// The server's side: what a simulated server answers with.
namespace chaise::protocol {

/// A response (0x81; 0x18 when there are framing extras or `flexible` is set).
struct Response {
    Opcode opcode = Opcode::noop;
    Status status = Status::success;
    std::uint32_t opaque = 0;
    std::uint64_t cas = 0;
    std::uint8_t datatype = 0;
    bool flexible = false;
    std::string_view framing_extras{};
    std::string_view extras{};
    std::string_view key{};
    std::string_view value{};
};

/// A push (0x82).
struct ServerRequest {
    ServerOpcode opcode = ServerOpcode::clustermap_change_notification;
    std::uint32_t opaque = 0;
    std::uint8_t datatype = 0;
    std::string_view extras{};
    std::string_view key{};
    std::string_view value{};
};

[[nodiscard]] std::size_t encoded_size(const Response& r) noexcept;
char* encode(const Response& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const ServerRequest& r) noexcept;
char* encode(const ServerRequest& r, char* out) noexcept;

/// Appends anything that has an encoder to `out`.
template <class Message>
void append_to(std::string& out, const Message& message) {
    const std::size_t before = out.size();
    out.resize(before + encoded_size(message));
    encode(message, out.data() + before);
}

/// The same as one string.
template <class Message>
[[nodiscard]] std::string encoded(const Message& message) {
    std::string out;
    append_to(out, message);
    return out;
}

}  // namespace chaise::protocol
