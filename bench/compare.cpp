#include "bench/compare.hpp"

#include "bench/client.hpp"
#include "bench/cores.hpp"
#include "support/memcached_process.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <optional>

namespace chaise::bench {

std::vector<CaseReport> compare(const Comparison& comparison) {
    const std::optional<Cores> cores = two_cores();
    if (!cores) fmt::print(stderr, "chaise-bench: one core only, for the server and the client\n");
    // One thread, on a core of its own, and no limit to what it answers at a time that would get in the way.
    const testing::MemcachedProcess server(
        {.arguments = {"-R", "1000", "-m", "256"}, .core = cores ? cores->server : -1});
    if (cores) pin_to(cores->client);

    const Target target{server.connection_string(), {}, {}};
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
    const Limit limit{.operations = 0, .time = comparison.turn, .warm_up = warm_up_operations(workload)};
    for (std::size_t round = 0; round < comparison.rounds; ++round) {
        for (std::size_t i = 0; i < cases.size(); ++i) {
            Meter meter(limit);
            clients[i]->run(meter);
            reports[i].rounds.push_back(meter.measurement());
        }
    }
    return reports;
}

}  // namespace chaise::bench
