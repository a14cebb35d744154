#include "cluster/local/rebalancer.hpp"

#include <algorithm>
#include <utility>

namespace chaise::testing {

Rebalancer::Rebalancer(std::shared_ptr<ClusterState> state, std::unique_ptr<IOPS> iops)
    : state_(std::move(state)), iops_(std::move(iops)), timer_(iops_->timer_event_factory()) {
    timer_->set_handler([](void* self, int) { static_cast<Rebalancer*>(self)->move(); }, this);
}

Rebalancer::~Rebalancer() { iops_->cleanup(*timer_); }

void Rebalancer::start(std::chrono::microseconds pace) {
    pace_ = pace;
    moved_ = iops_->now();
    iops_->schedule(*timer_, pace_);
}

void Rebalancer::move() {
    switch (state_->next_move()) {
        case ClusterState::Move::moved:
            moved_ = iops_->now();
            return iops_->schedule(*timer_, pace_);
        case ClusterState::Move::waiting:
            if (iops_->now() - moved_ > patience) return state_->end_rebalance();
            return iops_->schedule(*timer_, std::max(pace_, std::chrono::microseconds(1000)));
        case ClusterState::Move::done:
        case ClusterState::Move::failed:
            return;
    }
}

}  // namespace chaise::testing
