#pragma once

#include "bench/raw_socket.hpp"
#include "bench/workload.hpp"

#include <cstdint>
#include <vector>

namespace chaise::bench {

/// What the floor has before it begins.
struct FloorConnections {
    std::vector<Descriptor> nodes;
    /// By vbucket: its node's place in `nodes`. Plain memcached: empty, and one node.
    std::vector<std::uint16_t> routes;
    bool prefixed = false;  ///< keys begin with their collection
};

/// Connects. To a Couchbase cluster the same is said as chaise says, so that the servers answer both alike, and the
/// map is the one they give. \throws std::exception
[[nodiscard]] FloorConnections connect_floor(const Target& target);

}  // namespace chaise::bench
