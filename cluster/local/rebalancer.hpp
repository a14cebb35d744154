#pragma once

#include <chaise/iops.hpp>

#include <chrono>
#include <memory>

#include "cluster/kv/cluster_state.hpp"

namespace chaise::testing {

/// Takes a rebalance from vbucket to vbucket, in time. Who begins it (ClusterState::begin_…) starts it.
class Rebalancer {
public:
    Rebalancer(std::shared_ptr<ClusterState> state, std::unique_ptr<IOPS> iops);
    Rebalancer(const Rebalancer&) = delete;
    Rebalancer& operator=(const Rebalancer&) = delete;
    ~Rebalancer();

    void start(std::chrono::microseconds pace);

private:
    void move();

    /// Of asking in vain, at the pace of moving but at least 1 ms each.
    static constexpr std::chrono::seconds patience{60};

    std::shared_ptr<ClusterState> state_;
    std::unique_ptr<IOPS> iops_;
    std::unique_ptr<TimerEvent> timer_;
    std::chrono::microseconds pace_{};
    TimePoint moved_{};  // when something did
};

}  // namespace chaise::testing
