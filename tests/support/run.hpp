#pragma once

#include <chaise/chaise.hpp>
#include <chaise/epoll.hpp>

#include <chrono>
#include <coroutine>
#include <memory>
#include <string_view>
#include <utility>

// Catch's own macros name their expression twice, the second time behind `false &&` in a loop's condition, and GCC 12
// evaluates a co_await there all the same: the operation would run twice.
#define CHECK_AWAIT(...)                                  \
    do {                                                  \
        const bool holds = static_cast<bool>(__VA_ARGS__); \
        INFO(#__VA_ARGS__);                               \
        CHECK(holds);                                     \
    } while (false)

namespace chaise::testing {

/// Runs one coroutine, `body(bucket)`, with a bucket on a loop of its own until it ends.
template <class F>
void with_bucket(std::string_view connection_string, const BucketOptions& options, F body) {
    EpollLoop loop;
    AsyncBucket bucket(loop, connection_string, options);
    spawn(loop, body(bucket));
    loop.run();
}
template <class F>
void with_bucket(std::string_view connection_string, F body) {
    with_bucket(connection_string, BucketOptions{}, std::move(body));
}

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
