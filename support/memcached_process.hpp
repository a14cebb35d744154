#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace chaise::testing {

/// A real memcached on loopback, at a port that the kernel chose; it ends with this object, and when this thread dies.
class MemcachedProcess {
public:
    struct Options {
        std::vector<std::string> arguments{};  ///< beyond address and port
        /// SASL mechanisms, by Cyrus' names; empty: no authentication.
        std::string mechanisms{};
        std::string user{};  ///< "ada@realm"
        std::string password{};
        int core = -1;  ///< the only one it runs on
    };
    /// \throws std::runtime_error if it does not start.
    MemcachedProcess() : MemcachedProcess(Options{}) {}
    explicit MemcachedProcess(Options options);
    MemcachedProcess(const MemcachedProcess&) = delete;
    MemcachedProcess& operator=(const MemcachedProcess&) = delete;
    ~MemcachedProcess();

    [[nodiscard]] int port() const noexcept { return port_; }
    /// "memcached://127.0.0.1:port"
    [[nodiscard]] const std::string& connection_string() const noexcept { return connection_string_; }
    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    /// Stops answering, without closing anything (SIGSTOP), and goes on.
    void pause() const;
    void resume() const;
    /// At once (SIGKILL).
    void kill();

private:
    void start(const Options& options);
    void write_sasl_files(const Options& options) const;
    void wait_for_port();

    std::string directory_;
    std::string connection_string_;
    pid_t pid_ = -1;
    int port_ = 0;
};

}  // namespace chaise::testing
