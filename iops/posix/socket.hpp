#pragma once

#include <chaise/transport.hpp>

#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <optional>
#include <utility>

namespace chaise::posix {

/// A descriptor that is closed with its owner.
class Socket {
public:
    Socket() = default;
    explicit Socket(int fd) noexcept : fd_(fd) {}
    Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Socket& operator=(Socket&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Socket();
    [[nodiscard]] int fd() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }

private:
    int fd_ = -1;
};

/// A socket address with its length.
struct Address {
    sockaddr_storage storage{};
    socklen_t length = sizeof(sockaddr_storage);

    [[nodiscard]] sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
    [[nodiscard]] const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
    [[nodiscard]] Endpoint to_endpoint() const;
};

/// A numeric endpoint ("127.0.0.1", "::1", "fe80::1%eth0"); nothing if it is not numeric.
[[nodiscard]] std::optional<Address> parse_address(std::string_view address, std::uint16_t port);
/// The numeric form of a socket address, without port; empty if it is neither IPv4 nor IPv6.
[[nodiscard]] std::string numeric_address(const sockaddr& address);
[[nodiscard]] bool is_numeric(std::string_view host);

[[nodiscard]] std::error_code last_error() noexcept;

/// TCP_NODELAY, SO_KEEPALIVE and, unless 0, TCP_USER_TIMEOUT and the times of keepalive. A stream that is not TCP is
/// left as it is.
void set_stream_options(int fd, std::chrono::milliseconds user_timeout, std::chrono::seconds keepalive = {}) noexcept;

}  // namespace chaise::posix
