#pragma once

#include <chaise/iops.hpp>
#include <chaise/testing/simulation.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "cluster/local/node_process.hpp"

namespace chaise::testing {

/// Where the nodes' processes run: in one loop, or each on a host of a simulated world. Destroying it ends them all.
class NodeHosts {
public:
    virtual ~NodeHosts() = default;
    /// No effect on a node that is alive.
    virtual void start(NodeId node) = 0;
    /// No effect on a node that is dead.
    virtual void kill(NodeId node) = 0;
    virtual void set_paused(NodeId node, bool on) = 0;
    /// For what is no node's: on no host that faults are meant for. Null: the world has ended.
    [[nodiscard]] virtual std::unique_ptr<IOPS> make_iops() = 0;
};

using MakeIops = std::function<std::unique_ptr<IOPS>()>;

[[nodiscard]] std::unique_ptr<NodeHosts> make_loop_hosts(std::shared_ptr<NodePlaces> places, MakeIops make_iops);
/// Node i is the host `prefix` + (i + 1).
[[nodiscard]] std::unique_ptr<NodeHosts> make_sim_hosts(std::shared_ptr<NodePlaces> places, SimWorld& world,
                                                        std::string prefix);

}  // namespace chaise::testing
