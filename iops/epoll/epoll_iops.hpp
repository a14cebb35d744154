#pragma once

#include "iops/epoll/epoll_loop_impl.hpp"

namespace chaise {

/// One bucket's handle on an EpollLoop.
class EpollIops final : public IOPS {
public:
    explicit EpollIops(EpollLoop::Impl& loop) : loop_(&loop) { loop.add(*this); }
    ~EpollIops() override {
        if (loop_ != nullptr) loop_->remove(*this);
    }

    void update_event(IOEvent& event, EventAction action, int flags) override;
    void update_timer(TimerEvent& event, EventAction action, std::chrono::microseconds delay) override;
    void update_deferred(TimerEvent& event) override;
    void start_watching() override;
    void stop_watching() override { watching_ = false; }
    [[nodiscard]] std::unique_ptr<IOEvent> io_event_factory() override { return std::make_unique<EpollIOEvent>(*this); }
    [[nodiscard]] std::unique_ptr<TimerEvent> timer_event_factory() override {
        return std::make_unique<EpollTimerEvent>(*this);
    }
    void on_exception(std::exception_ptr exception) noexcept override;

    /// The loop has forgotten this handle and its events; the owner is told, and may destroy this.
    void loop_destroyed() noexcept {
        loop_ = nullptr;
        watching_ = false;
        notify_loop_destroyed();
    }

private:
    EpollLoop::Impl* loop_;
    bool watching_ = false;
};

}  // namespace chaise
