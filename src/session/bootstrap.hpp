#pragma once

#include "bucket/settings.hpp"
#include "protocol/frame.hpp"
#include "protocol/sasl.hpp"

#include <chaise/error.hpp>

#include <optional>
#include <string>

namespace chaise::detail {

/// What is said on a new connection to a plain memcached before requests may flow: a NOOP shows that the other side
/// speaks the binary protocol and asks for no authentication; with credentials, SASL. Never HELLO: memcached loses
/// step on an unknown command with a key (protocol.md 2.9). Bytes in, bytes out.
class Bootstrap {
public:
    enum class Progress { more, done, failed };

    /// `nonce`: printable, without commas, at least 18 characters, used once.
    Bootstrap(const Settings& settings, std::string nonce) : settings_(settings), nonce_(std::move(nonce)) {}

    /// What to send is appended to `out`.
    [[nodiscard]] Progress start(std::string& out);
    [[nodiscard]] Progress on_frame(const protocol::Frame& frame, std::string& out);

    [[nodiscard]] errc error() const noexcept { return error_; }
    [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

private:
    Progress fail(errc error, std::string reason);
    Progress on_mechanisms(const protocol::Frame& frame, std::string& out);
    Progress on_sasl(const protocol::Frame& frame, std::string& out);

    const Settings& settings_;
    std::string nonce_;
    protocol::Opcode awaited_{};
    std::optional<protocol::SaslClient> sasl_;
    std::string mechanism_;
    errc error_ = errc::success;
    std::string reason_;
};

}  // namespace chaise::detail
