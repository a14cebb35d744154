#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>

namespace chaise::bench {

/// A memcached of our own on loopback, at a port that the kernel chose; ends with this object, and with this thread
/// if that is killed. One worker thread, and no limit to what it answers at a time (-R) that would get in the way.
class Memcached {
public:
    /// \param core the only one it runs on, if given. \throws std::runtime_error if it does not start.
    explicit Memcached(std::optional<std::size_t> core);
    Memcached(const Memcached&) = delete;
    Memcached& operator=(const Memcached&) = delete;
    ~Memcached();
    [[nodiscard]] const std::string& connection_string() const noexcept { return connection_string_; }

private:
    void wait_for_port(const std::string& port_file);
    pid_t pid_ = -1;
    std::string connection_string_;
};

/// Two cores that this process may use; none if it has one only.
struct Cores {
    std::size_t server;
    std::size_t client;
};
[[nodiscard]] std::optional<Cores> two_cores();
/// From now on this thread runs there only.
void pin_to(std::size_t core);

}  // namespace chaise::bench
