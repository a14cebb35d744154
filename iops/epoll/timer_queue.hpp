#pragma once

#include <chaise/iops.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace chaise {

class TimerQueue;

/// A place in a circular list.
struct TimerLink {
    TimerLink* previous = this;
    TimerLink* next = this;

    TimerLink() = default;
    TimerLink(const TimerLink&) = delete;
    TimerLink& operator=(const TimerLink&) = delete;

    [[nodiscard]] bool alone() const noexcept { return next == this; }
    void remove() noexcept {
        previous->next = next;
        next->previous = previous;
        previous = next = this;
    }
    void insert_before(TimerLink& other) noexcept {
        previous = other.previous;
        next = &other;
        other.previous->next = this;
        other.previous = this;
    }
};

/// A timer of the loop: in the heap, in a list of deferred events, or in neither.
class EpollTimerEvent final : public TimerEvent, private TimerLink {
public:
    explicit EpollTimerEvent(const IOPS& owner) noexcept : owner_(&owner) {}
    ~EpollTimerEvent() override;

private:
    friend class TimerQueue;
    static constexpr std::size_t nowhere = static_cast<std::size_t>(-1);
    const IOPS* owner_;
    TimerQueue* queue_ = nullptr;
    std::size_t position_ = nowhere;  // in the heap
};

/// Timers by time, then by order of arming (a 4-ary heap that timers know their place in), and deferred events.
class TimerQueue {
public:
    TimerQueue() = default;
    TimerQueue(const TimerQueue&) = delete;
    TimerQueue& operator=(const TimerQueue&) = delete;
    ~TimerQueue();

    void arm(EpollTimerEvent& timer, TimePoint due);
    void defer(EpollTimerEvent& timer) noexcept;
    void disarm(EpollTimerEvent& timer) noexcept;
    void forget_owner(const IOPS& owner) noexcept;

    [[nodiscard]] bool has_timers() const noexcept { return !heap_.empty(); }
    [[nodiscard]] TimePoint next_due() const noexcept { return heap_.front().due; }
    [[nodiscard]] bool has_deferred() const noexcept { return !deferred_.alone(); }

    /// Timers that are armed from now on are not due before the next call.
    void begin_turn() noexcept { turn_limit_ = next_order_; }
    /// The next timer that is due, already disarmed; nullptr if there is none.
    TimerEvent* pop_due(TimePoint now) noexcept;
    /// What is deferred from now on waits for the next pass.
    void begin_deferred_pass() noexcept;
    TimerEvent* pop_deferred() noexcept;

private:
    struct Node {
        TimePoint due;
        std::uint64_t order;
        EpollTimerEvent* timer;
        [[nodiscard]] bool before(const Node& other) const noexcept {
            return due != other.due ? due < other.due : order < other.order;
        }
    };

    void place(std::size_t position, const Node& node) noexcept;
    void sift_up(std::size_t position, const Node& node) noexcept;
    void sift_down(std::size_t position, const Node& node) noexcept;
    void restore(std::size_t position, const Node& node) noexcept;
    static void drop(TimerLink& list, const IOPS* owner) noexcept;

    std::vector<Node> heap_;
    std::uint64_t next_order_ = 0;
    std::uint64_t turn_limit_ = 0;
    TimerLink deferred_;
    TimerLink passing_;  // the deferred events of this pass
};

}  // namespace chaise
