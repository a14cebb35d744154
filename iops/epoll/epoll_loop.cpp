#include "iops/epoll/epoll_iops.hpp"
#include "iops/epoll/epoll_loop_impl.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <limits>
#include <stdexcept>
#include <system_error>

namespace chaise {

OwnedFd::OwnedFd(int fd, const char* what) : fd_(fd) {
    if (fd_ < 0) throw std::system_error(errno, std::system_category(), what);
}

OwnedFd::~OwnedFd() { ::close(fd_); }

/// While the loop runs; a loop that is run from one of its handlers is a mistake.
class EpollLoop::Impl::Running {
public:
    explicit Running(Impl& loop) : loop_(loop) {
        if (loop_.running_) throw std::logic_error("chaise::EpollLoop: run from inside one of its own handlers");
        loop_.running_ = true;
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() { loop_.running_ = false; }

private:
    Impl& loop_;
};

EpollLoop::Impl::Impl()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1"),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd") {
    // Edge-triggered: it need never be read, each post is an edge.
    epoll_event request{};
    request.events = EPOLLIN | EPOLLET;
    request.data.u64 = wake_tag;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &request) != 0) {
        throw std::system_error(errno, std::system_category(), "epoll_ctl");
    }
}

void EpollLoop::Impl::close() noexcept {
    exit_hooks_.run_all();
    while (!iops_.empty()) {
        EpollIops& iops = *iops_.back();
        remove(iops);
        iops.loop_destroyed();
    }
    // Posted callables may own anything, so they go while the loop can still be talked to.
    while (detail::Posted* node = posted_.exchange(nullptr)) {
        while (node != nullptr) delete std::exchange(node, node->next);
    }
}

TimePoint EpollLoop::Impl::now() const noexcept {
    return TimePoint{std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())};
}

void EpollLoop::Impl::remove(EpollIops& iops) noexcept {
    io_.forget_owner(iops);
    timers_.forget_owner(iops);
    std::erase(iops_, &iops);
}

bool EpollLoop::Impl::nothing_pending() const noexcept {
    return io_.armed() == 0 && !timers_.has_timers() && !timers_.has_deferred() &&
           posted_.load(std::memory_order_relaxed) == nullptr;
}

void EpollLoop::Impl::run() {
    const Running running{*this};
    run_queued();
    for (;;) {
        rethrow_one();
        if (std::exchange(stop_, false)) return;
        if (work_done_ && work_ == 0) {
            work_done_ = false;
            return;
        }
        if (nothing_pending()) return;
        turn(Duration::max());
    }
}

void EpollLoop::Impl::run_while(const bool& flag) {
    const Running running{*this};
    run_queued();
    for (;;) {
        rethrow_one();
        if (!flag || std::exchange(stop_, false) || nothing_pending()) return;
        turn(Duration::max());
    }
}

bool EpollLoop::Impl::run_one_turn(std::chrono::microseconds max_wait) {
    const Running running{*this};
    const std::size_t before = delivered_;
    run_queued();
    const auto longest = std::chrono::duration_cast<std::chrono::microseconds>(Duration::max());
    const bool wait_for_nothing = delivered_ != before || stop_ || nothing_pending();
    turn(wait_for_nothing ? Duration{0} : std::clamp(max_wait, std::chrono::microseconds{0}, longest));
    rethrow_one();
    return delivered_ != before;
}

void EpollLoop::Impl::turn(Duration max_wait) {
    const bool failed = io_.sync();
    const int count = wait(failed ? Duration{0} : max_wait);

    io_.begin_turn();
    timers_.begin_turn();
    int flags = 0;
    for (int i = 0; i < count; ++i) {
        const epoll_event& readiness = batch_[static_cast<std::size_t>(i)];
        if (readiness.data.u64 == wake_tag) continue;
        io_.begin(readiness);
        while (IOEvent* event = io_.next(flags)) deliver(*event, flags);
    }
    if (failed) {
        while (io_.begin_failed()) {
            while (IOEvent* event = io_.next(flags)) deliver(*event, flags);
        }
    }
    if (timers_.has_timers()) {
        const TimePoint present = now();
        while (TimerEvent* timer = timers_.pop_due(present)) deliver(*timer, 0);
    }
    run_queued();
}

void EpollLoop::Impl::run_queued() {
    if (posted_.load(std::memory_order_relaxed) != nullptr) {
        detail::Posted* last = posted_.exchange(nullptr, std::memory_order_acquire);
        detail::Posted* first = nullptr;
        while (last != nullptr) {
            detail::Posted* const earlier = std::exchange(last->next, first);
            first = last;
            last = earlier;
        }
        while (first != nullptr) {
            std::unique_ptr<detail::Posted> node{std::exchange(first, first->next)};
            ++delivered_;
            try {
                node->run();
            } catch (...) {
                on_exception(std::current_exception());
            }
        }
    }
    timers_.begin_deferred_pass();
    while (TimerEvent* timer = timers_.pop_deferred()) deliver(*timer, 0);
}

void EpollLoop::Impl::deliver(Event& event, int flags) noexcept {
    ++delivered_;
    try {
        event.ready(flags);
    } catch (...) {
        on_exception(std::current_exception());
    }
}

void EpollLoop::Impl::rethrow_one() {
    if (exceptions_.empty()) return;
    std::exception_ptr exception = std::move(exceptions_.front());
    exceptions_.pop_front();
    std::rethrow_exception(std::move(exception));
}

Duration EpollLoop::Impl::time_to_wait(Duration max_wait) {
    if (max_wait <= Duration{0} || stop_ || timers_.has_deferred() || !exceptions_.empty()) return Duration{0};
    if (!timers_.has_timers()) return max_wait;
    return std::clamp(timers_.next_due() - now(), Duration{0}, max_wait);
}

int EpollLoop::Impl::wait(Duration timeout) {
    timeout = time_to_wait(timeout);
    bool asleep = false;
    if (timeout > Duration{0}) {
        // A post that does not see this flag yet is seen here; one that comes later sees it, and wakes the loop.
        sleeping_.store(true, std::memory_order_seq_cst);
        asleep = true;
    }
    if (posted_.load(std::memory_order_seq_cst) != nullptr) timeout = Duration{0};

    const int capacity = static_cast<int>(batch_.size());
    int count = -1;
    if (timeout == Duration{0}) {
        count = ::epoll_wait(epoll_.get(), batch_.data(), capacity, 0);
    } else if (timeout == Duration::max()) {
        count = ::epoll_wait(epoll_.get(), batch_.data(), capacity, -1);
    } else {
        if (precise_wait_) {
            const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
            const timespec limit{seconds.count(), (timeout - seconds).count()};
            count = ::epoll_pwait2(epoll_.get(), batch_.data(), capacity, &limit, nullptr);
            // Kernels before 5.11 and some sandboxes do not have it.
            if (count < 0 && (errno == ENOSYS || errno == EPERM)) precise_wait_ = false;
        }
        if (!precise_wait_) {
            const auto ms = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
            const int limit = static_cast<int>(std::min<long long>(ms, std::numeric_limits<int>::max()));
            count = ::epoll_wait(epoll_.get(), batch_.data(), capacity, limit);
        }
    }
    if (count < 0 && errno != EINTR) throw std::system_error(errno, std::system_category(), "epoll_wait");
    if (asleep) sleeping_.store(false, std::memory_order_relaxed);
    return std::max(count, 0);
}

void EpollLoop::Impl::post(std::unique_ptr<detail::Posted> node) noexcept {
    detail::Posted* const fresh = node.release();
    fresh->next = posted_.load(std::memory_order_relaxed);
    while (!posted_.compare_exchange_weak(fresh->next, fresh, std::memory_order_seq_cst, std::memory_order_relaxed)) {
    }
    if (sleeping_.load(std::memory_order_seq_cst) && sleeping_.exchange(false, std::memory_order_seq_cst)) {
        const std::uint64_t one = 1;
        // Fails only when the counter is full, and then the loop is awake.
        static_cast<void>(::write(wake_.get(), &one, sizeof one) == static_cast<ssize_t>(sizeof one));
    }
}

EpollLoop::EpollLoop() : impl_(std::make_unique<Impl>()) {}
EpollLoop::~EpollLoop() { impl_->close(); }
std::unique_ptr<IOPS> EpollLoop::make_iops() { return std::make_unique<EpollIops>(*impl_); }
void EpollLoop::run() { impl_->run(); }
bool EpollLoop::run_one_turn(std::chrono::microseconds max_wait) { return impl_->run_one_turn(max_wait); }
void EpollLoop::stop() noexcept { impl_->stop(); }
TimePoint EpollLoop::now() const { return impl_->now(); }
void EpollLoop::on_exception(std::exception_ptr exception) noexcept { impl_->on_exception(std::move(exception)); }
void EpollLoop::work_started() noexcept { impl_->work_started(); }
void EpollLoop::work_finished() noexcept { impl_->work_finished(); }
void EpollLoop::at_exit(ExitHook& hook) noexcept { impl_->at_exit(hook); }
void EpollLoop::post_node(std::unique_ptr<detail::Posted> node) { impl_->post(std::move(node)); }

}  // namespace chaise
