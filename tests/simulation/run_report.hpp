#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace chaise::testing {

/// What one seed did, and what is wrong with it.
struct RunReport {
    std::vector<std::string> complaints;
    std::string shape;   ///< what the seed drew beside the faults
    std::string faults;  ///< what was injected, how often
    std::uint64_t trace_hash = 0;
    std::uint64_t operations = 0;
    std::uint64_t succeeded = 0;
    std::uint64_t ambiguous = 0;
    std::uint64_t not_done = 0;
    std::uint64_t cancelled = 0;
    std::uint64_t rerouted = 0;              ///< answers "not my vbucket"
    std::uint64_t operations_at_a_time = 0;  ///< the most that one bucket had under way
    std::uint64_t connects_in_a_second = 0;  ///< the most attempts by one bucket at one address
    std::uint64_t fault_count = 0;
    std::size_t fault_kinds = 0;
    std::uint64_t connections = 0;
    double virtual_seconds = 0;
};

/// Two buckets, eight to twelve coroutines and a simulated memcached in one thread on virtual time; operations,
/// faults and times drawn from the seed. `trace`: a line for each event, or null.
[[nodiscard]] RunReport run_memcached_seed(std::uint64_t seed, std::ostream* trace);
/// The same with a LocalCluster of two to four nodes.
[[nodiscard]] RunReport run_cluster_seed(std::uint64_t seed, std::ostream* trace);

}  // namespace chaise::testing
