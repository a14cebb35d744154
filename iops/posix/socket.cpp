#include "iops/posix/socket.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>

namespace chaise::posix {

Socket::~Socket() {
    if (fd_ >= 0) ::close(fd_);
}

std::error_code last_error() noexcept { return {errno, std::system_category()}; }

std::optional<Address> parse_address(std::string_view address, std::uint16_t port) {
    Address result;
    const std::size_t percent = address.find('%');
    const std::string host{address.substr(0, percent)};
    in_addr v4{};
    in6_addr v6{};
    if (percent == std::string_view::npos && ::inet_pton(AF_INET, host.c_str(), &v4) == 1) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(port);
        in.sin_addr = v4;
        std::memcpy(&result.storage, &in, sizeof in);
        result.length = sizeof in;
        return result;
    }
    if (::inet_pton(AF_INET6, host.c_str(), &v6) != 1) return std::nullopt;
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    in6.sin6_addr = v6;
    if (percent != std::string_view::npos) {
        const std::string zone{address.substr(percent + 1)};
        const char* const end = zone.data() + zone.size();
        const auto [stop, error] = std::from_chars(zone.data(), end, in6.sin6_scope_id);
        if (error != std::errc{} || stop != end) in6.sin6_scope_id = ::if_nametoindex(zone.c_str());
        if (in6.sin6_scope_id == 0) return std::nullopt;
    }
    std::memcpy(&result.storage, &in6, sizeof in6);
    result.length = sizeof in6;
    return result;
}

std::string numeric_address(const sockaddr& address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (address.sa_family == AF_INET) {
        sockaddr_in in{};
        std::memcpy(&in, &address, sizeof in);
        ::inet_ntop(AF_INET, &in.sin_addr, text.data(), text.size());
        return text.data();
    }
    if (address.sa_family == AF_INET6) {
        sockaddr_in6 in6{};
        std::memcpy(&in6, &address, sizeof in6);
        ::inet_ntop(AF_INET6, &in6.sin6_addr, text.data(), text.size());
        std::string result = text.data();
        if (in6.sin6_scope_id != 0) result += '%' + std::to_string(in6.sin6_scope_id);
        return result;
    }
    return {};
}

bool is_numeric(std::string_view host) { return parse_address(host, 0).has_value(); }

Endpoint Address::to_endpoint() const {
    // sin_port and sin6_port stand at the same place.
    sockaddr_in in{};
    std::memcpy(&in, &storage, sizeof in);
    Endpoint endpoint;
    endpoint.address = numeric_address(*get());
    if (!endpoint.address.empty()) endpoint.port = ntohs(in.sin_port);
    return endpoint;
}

void set_stream_options(int fd, std::chrono::milliseconds user_timeout, std::chrono::seconds keepalive) noexcept {
    const auto set = [fd](int level, int name, int value) { ::setsockopt(fd, level, name, &value, sizeof value); };
    set(IPPROTO_TCP, TCP_NODELAY, 1);
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    if (user_timeout.count() > 0) set(IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(user_timeout.count()));
    if (keepalive.count() > 0) {
        const int idle = static_cast<int>(std::min<std::int64_t>(keepalive.count(), StreamOptions::longest_keepalive));
        set(IPPROTO_TCP, TCP_KEEPIDLE, idle);
        set(IPPROTO_TCP, TCP_KEEPINTVL, std::max(1, idle / 6));
        set(IPPROTO_TCP, TCP_KEEPCNT, 5);
    }
}

}  // namespace chaise::posix
