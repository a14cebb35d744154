#pragma once

#include "tests/simulation/run_report.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace chaise::testing {

/// Runs one seed; with a trace to standard output if it is asked for.
using RunSeed = std::function<RunReport(std::uint64_t seed, bool trace)>;

struct SeedReport {
    std::uint64_t seed = 0;
    RunReport report;
};

/// Seeds `first` … `first + count - 1` in `jobs` processes; one seed in twenty runs twice and must give the same trace.
/// A process that dies, or stays with one seed for too long, costs that seed: another one goes on behind it. Told as
/// they come, in any order. `until_failure`: stops soon after the first seed that fails. `hits`: what all of the
/// processes count in probe_hits, if this build does.
void run_campaign(std::uint64_t first, std::uint64_t count, unsigned jobs, bool until_failure, const RunSeed& run_seed,
                  const std::function<void(SeedReport&&)>& told, std::vector<std::uint64_t>& hits);

}  // namespace chaise::testing
