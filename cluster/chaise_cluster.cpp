// chaise-cluster: a Couchbase cluster on loopback, to play with and to test clients of any language against. Prints its
// connection string when it is ready, and serves until SIGTERM or SIGINT.

#include <chaise/epoll.hpp>
#include <chaise/testing/local_cluster.hpp>

#include <CLI/CLI.hpp>

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <system_error>

#include "cluster/http/control_http.hpp"
#include "cluster/http/http_conversation.hpp"
#include "cluster/net/conversation_server.hpp"

namespace {

using namespace chaise;
using namespace chaise::testing;

/// SIGTERM and SIGINT, told by the loop.
class Signals {
public:
    explicit Signals(EpollLoop& loop) : loop_(loop), iops_(loop.make_iops()), event_(iops_->io_event_factory()) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigprocmask(SIG_BLOCK, &set, nullptr);
        fd_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
        if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
        event_->set_handler([](void* self, int) { static_cast<Signals*>(self)->arrived(); }, this);
        iops_->watch(*event_, fd_, read_event);
    }
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;
    ~Signals() {
        iops_->cleanup(*event_);
        close(fd_);
    }
    [[nodiscard]] bool received() const noexcept { return received_; }

private:
    void arrived() {
        received_ = true;
        loop_.stop();
    }

    EpollLoop& loop_;
    std::unique_ptr<IOPS> iops_;
    std::unique_ptr<IOEvent> event_;
    int fd_ = -1;
    bool received_ = false;
};

/// A cluster's controls, where they can be reached.
class ControlServer {
public:
    ControlServer(EpollLoop& loop, LocalCluster& cluster, std::uint16_t port)
        : iops_(loop.make_iops()),
          handler_(cluster),
          server_(*iops_, Endpoint{"127.0.0.1", port}, http_conversations(handler_)) {}
    [[nodiscard]] std::string address() const { return server_.endpoint().to_string(); }

private:
    std::unique_ptr<IOPS> iops_;
    ControlHttp handler_;
    ConversationServer server_;
};

int serve(const LocalClusterOptions& options, std::optional<std::uint16_t> control_port) {
    EpollLoop loop;
    const Signals signals(loop);
    LocalCluster cluster(loop, options);
    std::optional<ControlServer> control;
    std::printf("%s\n", cluster.connection_string().c_str());
    if (control_port) {
        control.emplace(loop, cluster, *control_port);
        std::printf("http://%s\n", control->address().c_str());
    }
    if (std::fflush(stdout) != 0) throw std::system_error(errno, std::generic_category(), "standard output");
    while (!signals.received()) {
        try {
            loop.run();
        } catch (const std::exception& error) {  // one client's trouble is not the cluster's
            std::fprintf(stderr, "chaise-cluster: %s\n", error.what());
        }
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    LocalClusterOptions options;
    options.vbuckets = 1024;
    double replication_delay = 0;
    double persistence_delay = 0;

    CLI::App app{"A Couchbase cluster on 127.0.0.1, in one process, in memory. Prints its connection string."};
    app.add_option("--nodes", options.nodes, "1 to 64")->capture_default_str();
    app.add_option("--replicas", options.replicas, "of each document: 0 to 3, less than the nodes")
        ->capture_default_str();
    app.add_option("--bucket", options.bucket)->capture_default_str();
    app.add_option("--user", options.username, "who may do everything")->capture_default_str();
    app.add_option("--password", options.password)->capture_default_str();
    app.add_option("--vbuckets", options.vbuckets, "a power of two, up to 1024")->capture_default_str();
    app.add_option("--replication-delay-ms", replication_delay, "from a write to its replicas")
        ->check(CLI::Range(0.0, 1e9))
        ->capture_default_str();
    app.add_option("--persistence-delay-ms", persistence_delay, "from a write to the disk")
        ->check(CLI::Range(0.0, 1e9))
        ->capture_default_str();
    std::optional<std::uint16_t> control_port;
    app.add_option("--control", control_port,
                   "serve controls over HTTP at this port of 127.0.0.1 (0: any that is free), and print where: kill, "
                   "restart, failover, rebalance … (cluster/http/control_http.hpp lists them)");
    CLI11_PARSE(app, argc, argv);

    using Milliseconds = std::chrono::duration<double, std::milli>;
    options.replication_delay = std::chrono::duration_cast<Duration>(Milliseconds(replication_delay));
    options.persistence_delay = std::chrono::duration_cast<Duration>(Milliseconds(persistence_delay));
    try {
        return serve(options, control_port);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "chaise-cluster: %s\n", error.what());
        return 1;
    }
}
