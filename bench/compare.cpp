#include "bench/compare.hpp"

#include "bench/client.hpp"
#include "bench/cores.hpp"
#include "support/cluster_process.hpp"
#include "support/memcached_process.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>

namespace chaise::bench {

namespace {

/// One thread, on a core of its own.
class RunningServer {
public:
    RunningServer(const Comparison& comparison, int core) {
        if (comparison.server == Server::cluster) {
            cluster_.emplace(testing::ClusterProcess::Options{
                .arguments = {"--nodes", std::to_string(comparison.nodes)}, .core = core});
            target_ = {cluster_->connection_string(), "Administrator", "password", "default"};
        } else {
            // No limit to what it answers at a time that would get in the way.
            memcached_.emplace(
                testing::MemcachedProcess::Options{.arguments = {"-R", "1000", "-m", "256"}, .core = core});
            target_ = {memcached_->connection_string(), {}, {}, {}};
        }
    }
    [[nodiscard]] const Target& target() const noexcept { return target_; }

private:
    std::optional<testing::ClusterProcess> cluster_;
    std::optional<testing::MemcachedProcess> memcached_;
    Target target_;
};

}  // namespace

std::vector<CaseReport> compare(const Comparison& comparison) {
    const std::optional<Cores> cores = two_cores();
    if (!cores) fmt::print(stderr, "chaise-bench: one core only, for the server and the client\n");
    const RunningServer server(comparison, cores ? cores->server : -1);
    if (cores) pin_to(cores->client);

    const Target& target = server.target();
    Workload workload(comparison.op, comparison.size, comparison.depth);
    preload(target, workload);

    std::vector<Case> cases{{"floor", &make_floor}};
    cases.insert(cases.end(), faces().begin(), faces().end());
    std::vector<std::unique_ptr<Client>> clients;
    std::vector<CaseReport> reports;
    for (const Case& each : cases) {
        clients.push_back(each.make(target, workload));
        reports.push_back({each.name, {}});
    }
    // A round's time comes in parts, there and back through the cases: a machine that is slower for a while, or becomes
    // slower, is so for all of them.
    constexpr std::size_t parts = 8;
    const Limit limit{
        .operations = 0, .time = comparison.turn / parts, .warm_up = warm_up_operations(target, workload)};
    for (std::size_t round = 0; round < comparison.rounds; ++round) {
        for (CaseReport& report : reports) report.rounds.emplace_back();
        for (std::size_t part = 0; part < parts; ++part) {
            for (std::size_t n = 0; n < cases.size(); ++n) {
                const std::size_t i = part % 2 == 0 ? n : cases.size() - 1 - n;
                Meter meter(limit);
                clients[i]->run(meter);
                reports[i].rounds.back().add(meter.measurement());
            }
        }
    }
    return reports;
}

}  // namespace chaise::bench
