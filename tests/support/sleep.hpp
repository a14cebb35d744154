#pragma once

#include <chaise/iops.hpp>

#include <chrono>
#include <coroutine>
#include <memory>

namespace chaise::testing {

/// `co_await Sleep(iops, 1s)`: a timer of the loop's.
class Sleep {
public:
    Sleep(IOPS& iops, Duration duration) : iops_(iops), duration_(duration), timer_(iops.timer_event_factory()) {}
    ~Sleep() { iops_.cleanup(*timer_); }
    Sleep(const Sleep&) = delete;
    Sleep& operator=(const Sleep&) = delete;

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
        handle_ = handle;
        timer_->set_handler([](void* self, int) { static_cast<Sleep*>(self)->handle_.resume(); }, this);
        iops_.schedule(*timer_, std::chrono::ceil<std::chrono::microseconds>(duration_));
    }
    void await_resume() const noexcept {}

private:
    IOPS& iops_;
    Duration duration_;
    std::unique_ptr<TimerEvent> timer_;
    std::coroutine_handle<> handle_;
};

}  // namespace chaise::testing
