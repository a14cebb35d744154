#pragma once

#include <chaise/iops.hpp>
#include <chaise/testing/iops_conformance.hpp>

#include <poll.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <vector>

/// What a PollLoop does wrong.
enum class Fault {
    none,
    fires_twice,             ///< delivers each readiness and each timer two times
    keeps_armed,             ///< a watcher that has fired goes on being delivered
    loses_rearm,             ///< disarms after the handler, not before
    delivers_after_cleanup,  ///< takes CLEANUP for a word
    delivers_after_unwatch,  ///< does not look again before it delivers the rest of a turn
    swaps_timers,            ///< the last timer that is due comes first
    fires_inline,            ///< what is ready is delivered inside watch and schedule
    fires_early,             ///< timers come 3 ms too soon
    mixes_up_descriptors,    ///< goes by the number of a descriptor, not by the event
    defers_late,             ///< what is deferred waits for the next timer
    swallows_exceptions,
};

/// A small IOPS on poll(2): right with Fault::none, and wrong in one way with each of the others.
class PollLoop final : public chaise::testing::ConformanceDriver {
    using IOEvent = chaise::IOEvent;
    using TimerEvent = chaise::TimerEvent;
    using EventAction = chaise::EventAction;
    using TimePoint = chaise::TimePoint;

public:
    explicit PollLoop(Fault fault) : fault_(fault) {}

    std::unique_ptr<chaise::IOPS> make_iops() override { return std::make_unique<Iops>(*this); }

    bool run_until(const std::function<bool()>& done, std::chrono::milliseconds max_time) override {
        const TimePoint end = clock_.now() + max_time;
        while (!done()) {
            if (clock_.now() >= end) return false;
            turn(end);
        }
        return true;
    }

private:
    struct Watch {
        IOEvent* event;
        int fd;
        int flags;
        std::uint64_t serial;
    };
    struct Timer {
        TimerEvent* event;
        TimePoint due;
        std::uint64_t serial;
    };

    class Iops final : public chaise::IOPS {
    public:
        explicit Iops(PollLoop& loop) : loop_(loop) {}
        void update_event(IOEvent& event, EventAction action, int flags) override {
            loop_.update(event, action, flags);
        }
        void update_timer(TimerEvent& event, EventAction action, std::chrono::microseconds delay) override {
            loop_.update(event, action, delay, now());
        }
        void update_deferred(TimerEvent& event) override {
            const bool late = loop_.fault_ == Fault::defers_late;
            update_timer(event, EventAction::watch, late ? std::chrono::seconds{2} : std::chrono::seconds{0});
        }
        void on_exception(std::exception_ptr exception) noexcept override { loop_.keep(std::move(exception)); }

    private:
        PollLoop& loop_;
    };
    /// Only for its clock.
    class Clock final : public chaise::IOPS {
    public:
        void update_event(IOEvent&, EventAction, int) override {}
        void update_timer(TimerEvent&, EventAction, std::chrono::microseconds) override {}
    };

    template <class Entries, class E>
    static auto find(Entries& entries, const E& event) {
        return std::find_if(entries.begin(), entries.end(), [&](const auto& entry) { return entry.event == &event; });
    }

    void update(IOEvent& event, EventAction action, int flags) {
        if (action == EventAction::cleanup && fault_ == Fault::delivers_after_cleanup) return;
        if (action == EventAction::cleanup && twice_ == &event) twice_ = nullptr;
        const auto found = find(watches_, event);
        if (found != watches_.end()) watches_.erase(found);
        if (action != EventAction::watch) return;
        watches_.push_back({&event, event.fd(), flags, ++serial_});
        if (fault_ == Fault::fires_inline) {
            pollfd one{event.fd(), to_poll(flags), 0};
            if (::poll(&one, 1, 0) > 0) deliver(event, from_poll(one.revents, flags));
        }
    }

    void update(TimerEvent& event, EventAction action, std::chrono::microseconds delay, TimePoint now) {
        if (action == EventAction::cleanup && fault_ == Fault::delivers_after_cleanup) return;
        if (action == EventAction::cleanup && twice_ == &event) twice_ = nullptr;
        const auto found = find(timers_, event);
        if (found != timers_.end()) timers_.erase(found);
        if (action != EventAction::watch) return;
        using namespace std::chrono_literals;
        delay = std::clamp<std::chrono::microseconds>(delay, 0us, 24h);
        if (fault_ == Fault::fires_inline && delay == 0us) deliver(event, 0);
        if (fault_ == Fault::fires_early) delay = std::max<std::chrono::microseconds>(delay - 3ms, 0us);
        timers_.push_back({&event, now + delay, ++serial_});
    }

    static short to_poll(int flags) {
        const int mask =
            ((flags & chaise::read_event) != 0 ? POLLIN : 0) | ((flags & chaise::write_event) != 0 ? POLLOUT : 0);
        return static_cast<short>(mask);
    }
    static int from_poll(short ready, int flags) {
        if ((ready & (POLLERR | POLLHUP | POLLNVAL)) != 0) return chaise::rw_event;
        return flags &
               (((ready & POLLIN) != 0 ? chaise::read_event : 0) | ((ready & POLLOUT) != 0 ? chaise::write_event : 0));
    }

    void keep(std::exception_ptr exception) noexcept {
        if (fault_ != Fault::swallows_exceptions) exceptions_.push_back(std::move(exception));
    }
    void deliver(chaise::Event& event, int flags) {
        try {
            event.ready(flags);
        } catch (...) {
            keep(std::current_exception());
        }
    }

    /// Delivers one entry as the fault has it. The event may be gone afterwards; `entries` tells.
    template <class Entry>
    void fire(std::vector<Entry>& entries, const Entry& entry, int flags) {
        auto* const event = entry.event;
        const auto is_same = [&](const Entry& other) { return other.event == event && other.serial == entry.serial; };
        if (fault_ != Fault::loses_rearm && fault_ != Fault::keeps_armed) std::erase_if(entries, is_same);
        if (fault_ == Fault::fires_twice) {
            twice_ = event;
            deliver(*event, flags);
            if (std::exchange(twice_, nullptr) != nullptr) deliver(*event, flags);
            return;
        }
        deliver(*event, flags);
        if (fault_ == Fault::loses_rearm)
            std::erase_if(entries, [&](const Entry& other) { return other.event == event; });
    }

    void turn(TimePoint end) {
        if (exceptions_.empty()) wait(end);
        if (!exceptions_.empty()) {
            std::exception_ptr exception = std::move(exceptions_.front());
            exceptions_.pop_front();
            std::rethrow_exception(std::move(exception));
        }
    }

    void wait(TimePoint end) {
        for (const Timer& timer : timers_) end = std::min(end, timer.due);
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - clock_.now()).count();
        std::vector<pollfd> fds;
        for (const Watch& watch : watches_) fds.push_back({watch.fd, to_poll(watch.flags), 0});
        ::poll(fds.data(), fds.size(), static_cast<int>(std::max<long long>(left, 0)));
        const std::vector<Watch> batch = watches_;
        for (std::size_t i = 0; i < batch.size(); ++i) {
            const int flags = from_poll(fds[i].revents, batch[i].flags);
            if (flags == 0) continue;
            const auto found = std::find_if(watches_.begin(), watches_.end(), [&](const Watch& watch) {
                if (fault_ == Fault::mixes_up_descriptors) return watch.fd == batch[i].fd;
                return watch.event == batch[i].event && watch.serial == batch[i].serial;
            });
            if (found != watches_.end()) {
                fire(watches_, Watch{*found}, flags);
            } else if (fault_ == Fault::delivers_after_unwatch) {
                deliver(*batch[i].event, flags);
            }
        }
        fire_timers();
    }

    void fire_timers() {
        const TimePoint now = clock_.now();
        std::vector<Timer> due;
        for (const Timer& timer : timers_) {
            if (timer.due <= now) due.push_back(timer);
        }
        std::sort(due.begin(), due.end(),
                  [](const Timer& a, const Timer& b) { return a.due != b.due ? a.due < b.due : a.serial < b.serial; });
        if (fault_ == Fault::swaps_timers) std::reverse(due.begin(), due.end());
        for (const Timer& timer : due) {
            const bool armed = std::any_of(timers_.begin(), timers_.end(), [&](const Timer& other) {
                return other.event == timer.event && other.serial == timer.serial;
            });
            if (armed) {
                fire(timers_, timer, 0);
            } else if (fault_ == Fault::delivers_after_unwatch) {
                deliver(*timer.event, 0);
            }
        }
    }

    Fault fault_;
    Clock clock_;
    std::vector<Watch> watches_;
    std::vector<Timer> timers_;
    std::uint64_t serial_ = 0;
    std::deque<std::exception_ptr> exceptions_;
    chaise::Event* twice_ = nullptr;  // being delivered; nullptr once it was cleaned up, and may be gone
};
