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
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

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

struct Arguments {
    LocalClusterOptions cluster;
    Duration replication_spread{};
    Duration persistence_spread{};
    std::optional<std::uint16_t> control_port{};
};

int serve(const Arguments& arguments) {
    EpollLoop loop;
    const Signals signals(loop);
    LocalCluster cluster(loop, arguments.cluster);
    cluster.set_replication_spread(arguments.replication_spread);
    cluster.set_persistence_spread(arguments.persistence_spread);
    std::optional<ControlServer> control;
    std::printf("%s\n", cluster.connection_string().c_str());
    if (arguments.control_port) {
        control.emplace(loop, cluster, *arguments.control_port);
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

void add_delay(CLI::App& app, const char* name, Duration& delay, const char* meaning) {
    const auto read = [&delay](const double& milliseconds) {
        delay = std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(milliseconds));
    };
    app.add_option_function<double>(name, read, meaning)->check(CLI::Range(0.0, 1e9))->default_str("0");
}

void add_switch(CLI::App& app, const char* name, bool& value, const char* meaning) {
    app.add_option(name, value, meaning)->check(CLI::IsMember({"on", "off"}))->default_str("on");
}

/// By name only: CLI11's transformers take, and print, the numbers of an enum too.
template <class E>
CLI::Option* add_choice(CLI::App& app, const char* name, E& value, const std::map<std::string, E>& choices,
                        const char* first, const char* meaning) {
    std::vector<std::string> names;
    for (const auto& [choice, meant] : choices) names.push_back(choice);
    const auto read = [&value, choices](const std::string& choice) { value = choices.at(choice); };
    return app.add_option_function<std::string>(name, read, meaning)
        ->check(CLI::IsMember(std::move(names)))
        ->default_str(first);
}

void add_options(CLI::App& app, Arguments& arguments) {
    LocalClusterOptions& cluster = arguments.cluster;
    app.add_option("--nodes", cluster.nodes, "1 to 64")->capture_default_str();
    app.add_option("--replicas", cluster.replicas, "of each document: 0 to 3, less than the nodes")
        ->capture_default_str();
    app.add_option("--bucket", cluster.bucket, "its name; '': there is none")->capture_default_str();
    add_choice(app, "--bucket-type", cluster.bucket_type,
               {{"couchbase", LocalBucketType::couchbase},
                {"ephemeral", LocalBucketType::ephemeral},
                {"memcached", LocalBucketType::memcached}},
               "couchbase", "couchbase, ephemeral (nothing persists), memcached (no vbuckets, no replicas)");
    app.add_option("--user", cluster.username, "who may do everything")->capture_default_str();
    app.add_option("--password", cluster.password)->capture_default_str();
    app.add_option("--vbuckets", cluster.vbuckets, "a power of two, up to 1024")->capture_default_str();
    add_delay(app, "--replication-delay-ms", cluster.replication_delay, "from a write to its replicas");
    add_delay(app, "--replication-spread-ms", arguments.replication_spread,
              "beside it a random part of this, for each write its own");
    add_delay(app, "--persistence-delay-ms", cluster.persistence_delay, "from a write to the disk");
    add_delay(app, "--persistence-spread-ms", arguments.persistence_spread,
              "beside it a random part of this, for each write its own");
    add_delay(app, "--config-delay-ms", cluster.config_delay, "from a new map to the nodes that believe it");
    add_switch(app, "--cccp", cluster.cccp, "on, off: key-value connections give maps; off: only HTTP does");
    add_switch(app, "--terse-streams", cluster.terse_streams,
               "on, off: HTTP has /pools/default/bs/BUCKET beside bucketsStreaming");
    app.add_option("--seed", cluster.seed, "of uuids: the same seed gives the same cluster")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    app.add_option("--groups", cluster.server_groups, "the server group of each node: A,B,A; default: all \"Group 1\"")
        ->delimiter(',')
        ->allow_extra_args(false);
    app.add_option("--internal-address", cluster.addresses.internal,
                   "a host name that maps give for every node in place of 127.0.0.1");
    CLI::Option* const external =
        app.add_option("--external-address", cluster.addresses.external,
                       "a host name for every node in alternateAddresses.external, for clients with network=external");
    add_choice(app, "--external-ports", cluster.addresses.ports,
               {{"same", ExternalPorts::same}, {"own", ExternalPorts::own}, {"translated", ExternalPorts::translated}},
               "same",
               "same: not told; own: told, those of the nodes; translated: told, and 11210, 8091 … as the inner ones")
        ->needs(external);
    app.add_option("--control", arguments.control_port,
                   "serve controls over HTTP at this port of 127.0.0.1 (0: any that is free), and print where: kill, "
                   "restart, failover, rebalance … (cluster/http/control_http.hpp lists them)");
}

/// What would be taken and do nothing. \throws CLI::ValidationError
void refuse_contradictions(const CLI::App& app, const LocalClusterOptions& cluster) {
    const auto exclude = [&](const std::string& what, std::initializer_list<const char*> options) {
        for (const char* option : options)
            if (app.count(option) != 0) throw CLI::ValidationError(option, "makes no sense with " + what);
    };
    if (cluster.bucket.empty()) exclude("an empty --bucket", {"--bucket-type", "--replicas", "--vbuckets"});
    if (cluster.bucket_type == LocalBucketType::memcached) {
        exclude("--bucket-type memcached",
                {"--replicas", "--vbuckets", "--replication-delay-ms", "--replication-spread-ms",
                 "--persistence-delay-ms", "--persistence-spread-ms"});
    }
    if (cluster.bucket_type == LocalBucketType::ephemeral) {
        exclude("--bucket-type ephemeral", {"--persistence-delay-ms", "--persistence-spread-ms"});
    }
    for (const auto& [option, value] : {std::pair("--internal-address", &cluster.addresses.internal),
                                        std::pair("--external-address", &cluster.addresses.external)}) {
        if (app.count(option) != 0 && value->empty()) throw CLI::ValidationError(option, "is empty");
    }
}

}  // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    arguments.cluster.vbuckets = 1024;
    CLI::App app{"A Couchbase cluster on 127.0.0.1, in one process, in memory. Prints its connection string."};
    add_options(app, arguments);
    try {
        app.parse(argc, argv);
        refuse_contradictions(app, arguments.cluster);
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    }
    try {
        return serve(arguments);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "chaise-cluster: %s\n", error.what());
        return 1;
    }
}
