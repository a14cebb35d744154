// The client against a simulated memcached.

#include "cluster/memcached/server.hpp"
#include "tests/simulation/simulated_run.hpp"

#include <array>
#include <string>
#include <utility>
#include <vector>

namespace chaise::testing {

namespace {

using namespace std::chrono_literals;

/// Faults of the server itself, beside those of the network.
/// `losing`: single answers, and requests, are lost among others. No server over TCP does so, and of several keys read
/// at once those that are not there are told by having no answer: hence not where there are such reads.
void inject_server_faults(MemcachedServer& server, SimRandom& random, bool losing) {
    using enum MemcachedFault;
    constexpr std::array kinds = {delay,        lose_answer, silence, close_before, close_after, truncate,
                                  lose_request, garbage,     stray,   duplicate,    oversized};
    for (const MemcachedFault kind : kinds) {
        if (!random.chance(0.35)) continue;
        if (!losing && (kind == lose_answer || kind == lose_request)) continue;
        const bool often = kind == delay || kind == stray || kind == duplicate;
        server.inject({.fault = kind,
                       .times = often ? 0 : random.between(1, 3),
                       .probability = often ? 0.05 : 0.01,
                       .delay = Duration(static_cast<std::int64_t>(random.between(100'000, 40'000'000))),
                       .bytes = random.between(1, 60)});
    }
}

std::vector<Verb> verbs() {
    using enum Verb;
    return {get, get, get, upsert, upsert, insert, replace, remove, append};
}

class MemcachedRun final : public SimulatedRun {
public:
    MemcachedRun(std::uint64_t seed, std::ostream* trace) : SimulatedRun(seed, trace, verbs(), false) {
        losing_ = random_.chance(0.5);
        workload_.reads_of_several(!losing_);
        workload_.also_explained(errc::protocol_error);  // the server sends garbage
        // Every third seed has three hosts, with the keys on a ring.
        std::string all;
        for (std::size_t i = 0; i < (seed % 3 == 0 ? 3 : 1); ++i) {
            hosts_.push_back({"mc" + std::to_string(i + 1), std::make_shared<MemcachedEngine>(), {}});
            all += (i == 0 ? "" : ",") + hosts_[i].name;
        }
        for (Host& host : hosts_) boot_server(host);
        connect("memcached://" + all, {});
    }

private:
    struct Host {
        std::string name;
        std::shared_ptr<MemcachedEngine> engine;  // survives its process, as a disk would
        std::weak_ptr<MemcachedServer> server;    // its process may be killed
    };

    void boot_server(Host& host) {
        world_.boot(host.name, [this, &host](std::unique_ptr<IOPS> iops) {
            auto server = std::make_shared<MemcachedServer>(std::move(iops), host.engine,
                                                            MemcachedServerOptions{.listen = {host.name, 11211}});
            if (!quiet_) inject_server_faults(*server, random_, losing_);
            host.server = server;
            return std::shared_ptr<void>(server, server.get());
        });
    }

    Task<> scripted_faults() override {
        SimRandom random = world_.random("scripted faults");
        for (std::size_t i = 0; i < 3; ++i) {
            const std::string& host = hosts_[i % hosts_.size()].name;
            co_await pause(random, 40ms);
            world_.reset_connections(host);
            co_await pause(random, 40ms);
            world_.black_hole(host);
            co_await pause(random, 20ms);
            world_.heal(host);
            co_await pause(random, 40ms);
            world_.pause(host);
            co_await pause(random, 20ms);
            world_.resume(host);
        }
    }

    void servers_faults_off() override {
        quiet_ = true;
        for (const Host& host : hosts_) {
            if (const auto server = host.server.lock()) server->clear_rules();
        }
    }

    [[nodiscard]] bool is_lost(std::string_view) const override { return false; }

    void end_servers() override {
        for (const Host& host : hosts_) world_.kill(host.name);
        world_.run_for(1s);
        for (const Host& host : hosts_) {
            if (world_.alive(host.name)) world_.kill(host.name);  // an earlier random kill had its restart to come
        }
        world_.run_for(1s);
    }

    std::vector<Host> hosts_;
    bool quiet_ = false;
    bool losing_ = false;
};

}  // namespace

RunReport run_memcached_seed(std::uint64_t seed, std::ostream* trace) { return MemcachedRun(seed, trace).finish(); }

}  // namespace chaise::testing
