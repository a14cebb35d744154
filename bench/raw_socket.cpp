#include "bench/raw_socket.hpp"

#include <fmt/format.h>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace chaise::bench {

void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

Descriptor::~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
}

Descriptor connect_to(const std::string& host, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); error != 0) {
        throw std::runtime_error(fmt::format("{}: {}", host, ::gai_strerror(error)));
    }
    Descriptor socket;
    for (const addrinfo* address = found; address != nullptr && socket.get() < 0; address = address->ai_next) {
        Descriptor candidate(::socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, address->ai_protocol));
        if (::connect(candidate.get(), address->ai_addr, address->ai_addrlen) == 0) socket = std::move(candidate);
    }
    ::freeaddrinfo(found);
    if (socket.get() < 0) fail("connect");
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return socket;
}

}  // namespace chaise::bench
