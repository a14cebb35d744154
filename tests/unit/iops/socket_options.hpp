#pragma once

// What the kernel was told of the socket that is connected to a port of this machine.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstdint>

namespace chaise::testing {

/// The descriptor of this process that is connected to the port on loopback; -1: none.
inline int socket_to(std::uint16_t port) {
    for (int fd = 0; fd < 1024; ++fd) {
        sockaddr_in peer{};
        socklen_t size = sizeof peer;
        if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
        if (peer.sin_family == AF_INET && ntohs(peer.sin_port) == port) return fd;
    }
    return -1;
}

inline int socket_option(int fd, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return ::getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
}

struct SocketTimes {
    int keepalive, idle, interval, count, user_timeout;
    explicit SocketTimes(int fd)
        : keepalive(socket_option(fd, SOL_SOCKET, SO_KEEPALIVE)),
          idle(socket_option(fd, IPPROTO_TCP, TCP_KEEPIDLE)),
          interval(socket_option(fd, IPPROTO_TCP, TCP_KEEPINTVL)),
          count(socket_option(fd, IPPROTO_TCP, TCP_KEEPCNT)),
          user_timeout(socket_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT)) {}
};

}  // namespace chaise::testing
