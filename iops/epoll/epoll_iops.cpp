#include "iops/epoll/epoll_iops.hpp"

#include <algorithm>

namespace chaise {

void EpollIops::update_event(IOEvent& event, EventAction action, int flags) {
    if (loop_ == nullptr) return;
    auto& own = static_cast<EpollIOEvent&>(event);
    switch (action) {
        case EventAction::watch:
            loop_->io().arm(own, event.fd(), flags);
            break;
        case EventAction::unwatch:
            loop_->io().disarm(own);
            break;
        case EventAction::cleanup:
            loop_->io().forget(own);
            break;
    }
}

void EpollIops::update_timer(TimerEvent& event, EventAction action, std::chrono::microseconds delay) {
    if (loop_ == nullptr) return;
    auto& own = static_cast<EpollTimerEvent&>(event);
    if (action != EventAction::watch) return loop_->timers().disarm(own);
    const TimePoint now = loop_->now();
    // Compared in microseconds: the longest delays do not fit into nanoseconds.
    const auto room = std::chrono::duration_cast<std::chrono::microseconds>(TimePoint::max() - now);
    loop_->timers().arm(own, now + std::clamp(delay, std::chrono::microseconds{0}, room));
}

void EpollIops::update_deferred(TimerEvent& event) {
    if (loop_ != nullptr) loop_->timers().defer(static_cast<EpollTimerEvent&>(event));
}

void EpollIops::start_watching() {
    if (loop_ == nullptr) return;
    watching_ = true;
    loop_->run_while(watching_);
}

void EpollIops::on_exception(std::exception_ptr exception) noexcept {
    // Without a loop nobody is left who could be told.
    if (loop_ != nullptr) loop_->on_exception(std::move(exception));
}

}  // namespace chaise
