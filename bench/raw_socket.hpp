#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>

// Sockets without chaise, for the floor.
namespace chaise::bench {

/// \throws std::system_error with errno
[[noreturn]] void fail(const char* what);

/// A descriptor that closes itself.
class Descriptor {
public:
    explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor();
    [[nodiscard]] int get() const noexcept { return fd_; }

private:
    int fd_;
};

/// A stream to the first address that takes it, without Nagle's delay. \throws std::exception
[[nodiscard]] Descriptor connect_to(const std::string& host, std::uint16_t port);

}  // namespace chaise::bench
