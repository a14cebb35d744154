#include "cluster/local/cluster_thread.hpp"

#include <chrono>
#include <exception>
#include <future>

namespace chaise::testing {

ClusterThread::ClusterThread()
    : idle_iops_(loop_.make_iops()), idle_(idle_iops_->timer_event_factory()), thread_([this] { run(); }) {}

ClusterThread::~ClusterThread() {
    loop_.post([this] {
        stopping_ = true;
        loop_.stop();
    });
    thread_.join();
    idle_iops_->cleanup(*idle_);
}

void ClusterThread::call(const std::function<void()>& f) {
    if (std::this_thread::get_id() == thread_.get_id()) return f();
    std::promise<void> done;
    loop_.post([&] {
        try {
            f();
            done.set_value();
        } catch (...) {
            done.set_exception(std::current_exception());
        }
    });
    done.get_future().get();
}

void ClusterThread::run() noexcept {
    // A loop where nothing is armed would return; a cluster whose nodes are all dead is still one.
    idle_->set_handler(
        [](void* context, int) {
            auto& self = *static_cast<ClusterThread*>(context);
            self.idle_iops_->schedule(*self.idle_, std::chrono::hours{1});
        },
        this);
    idle_iops_->schedule(*idle_, std::chrono::hours{1});
    while (!stopping_) {
        try {
            loop_.run();
        } catch (...) {  // one client's trouble is not the cluster's
        }
    }
}

}  // namespace chaise::testing
