#pragma once

#include <chaise/epoll.hpp>

#include <functional>
#include <memory>
#include <thread>

namespace chaise::testing {

/// A thread with a loop in it.
class ClusterThread {
public:
    ClusterThread();
    ClusterThread(const ClusterThread&) = delete;
    ClusterThread& operator=(const ClusterThread&) = delete;
    /// Stops the loop and waits for the thread; what lives on the loop is to be gone before.
    ~ClusterThread();

    /// Calls f() there and waits; what it throws is thrown here. Any thread, that one too.
    void call(const std::function<void()>& f);
    [[nodiscard]] EpollLoop& loop() noexcept { return loop_; }

private:
    void run() noexcept;

    EpollLoop loop_;
    std::unique_ptr<IOPS> idle_iops_;
    std::unique_ptr<TimerEvent> idle_;
    bool stopping_ = false;  // the thread's own
    std::thread thread_;
};

}  // namespace chaise::testing
