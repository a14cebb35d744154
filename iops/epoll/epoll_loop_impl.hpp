#pragma once

#include <chaise/epoll.hpp>

#include "iops/epoll/io_table.hpp"
#include "iops/epoll/timer_queue.hpp"

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <vector>

namespace chaise {

class EpollIops;

/// A descriptor that is closed with its owner.
class OwnedFd {
public:
    explicit OwnedFd(int fd, const char* what);
    OwnedFd(const OwnedFd&) = delete;
    OwnedFd& operator=(const OwnedFd&) = delete;
    ~OwnedFd();
    [[nodiscard]] int get() const noexcept { return fd_; }

private:
    int fd_;
};

class EpollLoop::Impl {
public:
    Impl();
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl() = default;
    /// What ~EpollLoop does while the loop can still be called: exit hooks, observers, posted callables.
    void close() noexcept;

    // For its IOPS.
    [[nodiscard]] IoTable& io() noexcept { return io_; }
    [[nodiscard]] TimerQueue& timers() noexcept { return timers_; }
    [[nodiscard]] TimePoint now() const noexcept;
    void add(EpollIops& iops) { iops_.push_back(&iops); }
    void remove(EpollIops& iops) noexcept;
    /// The blocking face: turns until `flag` is false, `stop` was called or nothing is pending.
    void run_while(const bool& flag);

    // For EpollLoop.
    void run();
    bool run_one_turn(std::chrono::microseconds max_wait);
    void stop() noexcept { stop_ = true; }
    void post(std::unique_ptr<detail::Posted> node) noexcept;
    void on_exception(std::exception_ptr exception) noexcept { exceptions_.push_back(std::move(exception)); }
    void work_started() noexcept { ++work_; }
    void work_finished() noexcept { work_done_ = --work_ == 0; }
    void at_exit(ExitHook& hook) noexcept { exit_hooks_.add(hook); }

private:
    class Running;

    [[nodiscard]] bool nothing_pending() const noexcept;
    void turn(Duration max_wait);
    void run_queued();
    int wait(Duration timeout);
    [[nodiscard]] Duration time_to_wait(Duration max_wait);
    void deliver(Event& event, int flags) noexcept;
    void rethrow_one();

    static constexpr std::uint64_t wake_tag = ~std::uint64_t{0};

    OwnedFd epoll_;
    OwnedFd wake_;
    IoTable io_{epoll_.get()};
    TimerQueue timers_;
    std::atomic<detail::Posted*> posted_{nullptr};  // the last one first
    std::atomic<bool> sleeping_{false};             // whether a post has to wake the loop
    std::deque<std::exception_ptr> exceptions_;
    std::vector<EpollIops*> iops_;
    ExitHooks exit_hooks_;
    std::size_t work_ = 0;
    std::size_t delivered_ = 0;
    bool work_done_ = false;
    bool stop_ = false;
    bool running_ = false;
    bool precise_wait_ = true;  // epoll_pwait2 is there
    std::array<epoll_event, 256> batch_;
};

}  // namespace chaise
