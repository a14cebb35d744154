#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace chaise::testing {

/// chaise-cluster as a child process: the program beside the one that runs. It ends with this object, and when this
/// thread dies.
class ClusterProcess {
public:
    struct Options {
        std::vector<std::string> arguments{};  ///< of chaise-cluster
        int core = -1;                         ///< the only one it runs on
    };
    /// Ready when this returns. \throws std::runtime_error if it does not start.
    ClusterProcess() : ClusterProcess(Options{}) {}
    explicit ClusterProcess(const Options& options);
    ClusterProcess(const ClusterProcess&) = delete;
    ClusterProcess& operator=(const ClusterProcess&) = delete;
    ~ClusterProcess();

    /// What it printed: "couchbase://127.0.0.1:P1,127.0.0.1:P2"
    [[nodiscard]] const std::string& connection_string() const noexcept { return connection_string_; }
    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    /// Sends a signal and waits for the end: the exit status, -1 when a signal ended it.
    int stop(int signal);
    /// What it has printed behind the connection string, up to its end; after stop().
    [[nodiscard]] std::string printed_later();

private:
    void kill() noexcept;

    std::string connection_string_;
    pid_t pid_ = -1;
    int output_ = -1;
};

}  // namespace chaise::testing
