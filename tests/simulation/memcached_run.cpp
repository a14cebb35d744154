// The client against a simulated memcached.

#include "cluster/memcached/server.hpp"
#include "tests/simulation/simulated_run.hpp"

#include <array>
#include <utility>

namespace chaise::testing {

namespace {

using namespace std::chrono_literals;

/// Faults of the server itself, beside those of the network.
void inject_server_faults(MemcachedServer& server, SimRandom& random) {
    using enum MemcachedFault;
    constexpr std::array kinds = {delay,        lose_answer, silence, close_before, close_after, truncate,
                                  lose_request, garbage,     stray,   duplicate,    oversized};
    for (const MemcachedFault kind : kinds) {
        if (!random.chance(0.35)) continue;
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
    MemcachedRun(std::uint64_t seed, std::ostream* trace)
        : SimulatedRun(seed, trace, verbs(), false), engine_(std::make_shared<MemcachedEngine>()) {
        workload_.also_explained(errc::protocol_error);  // the server sends garbage
        boot_server();
        connect("memcached://mc1", {});
    }

private:
    void boot_server() {
        world_.boot("mc1", [this](std::unique_ptr<IOPS> iops) {
            auto server = std::make_shared<MemcachedServer>(std::move(iops), engine_,
                                                            MemcachedServerOptions{.listen = {"mc1", 11211}});
            if (!quiet_) inject_server_faults(*server, random_);
            server_ = server;
            return std::shared_ptr<void>(server, server.get());
        });
    }

    Task<> scripted_faults() override {
        SimRandom random = world_.random("scripted faults");
        for (int i = 0; i < 3; ++i) {
            co_await pause(random, 40ms);
            world_.reset_connections("mc1");
            co_await pause(random, 40ms);
            world_.black_hole("mc1");
            co_await pause(random, 20ms);
            world_.heal("mc1");
            co_await pause(random, 40ms);
            world_.pause("mc1");
            co_await pause(random, 20ms);
            world_.resume("mc1");
        }
    }

    void servers_faults_off() override {
        quiet_ = true;
        if (const auto server = server_.lock()) server->clear_rules();
    }

    [[nodiscard]] bool is_lost(std::string_view) const override { return false; }

    void end_servers() override {
        world_.kill("mc1");
        world_.run_for(1s);
        if (!world_.alive("mc1")) return;
        world_.kill("mc1");  // an earlier random kill had its restart still to come
        world_.run_for(1s);
    }

    std::shared_ptr<MemcachedEngine> engine_;  // survives its process, as a disk would
    std::weak_ptr<MemcachedServer> server_;    // its process may be killed
    bool quiet_ = false;
};

}  // namespace

RunReport run_memcached_seed(std::uint64_t seed, std::ostream* trace) { return MemcachedRun(seed, trace).finish(); }

}  // namespace chaise::testing
