#pragma once

#include "bench/report.hpp"
#include "bench/workload.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace chaise::bench {

enum class Server : std::uint8_t { memcached, cluster };

struct Comparison {
    Server server = Server::memcached;
    std::size_t nodes = 1;  ///< of the cluster
    Op op = Op::get;
    std::size_t size = 256;
    std::size_t depth = 100;
    std::size_t rounds = 15;
    std::chrono::nanoseconds turn = std::chrono::milliseconds(400);  ///< one case in one round
};

/// Starts a memcached or a chaise-cluster, on a core of its own, and takes turns: floor, callback, await, asio, again
/// and again. Pins this thread.
[[nodiscard]] std::vector<CaseReport> compare(const Comparison& comparison);

}  // namespace chaise::bench
