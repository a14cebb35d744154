#include "iops/epoll/timer_queue.hpp"

#include <algorithm>

namespace chaise {

EpollTimerEvent::~EpollTimerEvent() {
    if (queue_ != nullptr) queue_->disarm(*this);
}

TimerQueue::~TimerQueue() {
    for (const Node& node : heap_) node.timer->queue_ = nullptr;
    drop(deferred_, nullptr);
    drop(passing_, nullptr);
}

void TimerQueue::arm(EpollTimerEvent& timer, TimePoint due) {
    const Node node{due, next_order_++, &timer};
    if (timer.queue_ != nullptr && timer.position_ != EpollTimerEvent::nowhere) {
        restore(timer.position_, node);
        return;
    }
    heap_.push_back(node);
    timer.remove();
    timer.queue_ = this;
    sift_up(heap_.size() - 1, node);
}

void TimerQueue::defer(EpollTimerEvent& timer) noexcept {
    disarm(timer);
    timer.queue_ = this;
    timer.insert_before(deferred_);
}

void TimerQueue::disarm(EpollTimerEvent& timer) noexcept {
    if (timer.queue_ == nullptr) return;
    timer.queue_ = nullptr;
    timer.remove();
    const std::size_t position = std::exchange(timer.position_, EpollTimerEvent::nowhere);
    if (position == EpollTimerEvent::nowhere) return;
    const Node last = heap_.back();
    heap_.pop_back();
    if (position < heap_.size()) restore(position, last);
}

void TimerQueue::forget_owner(const IOPS& owner) noexcept {
    for (std::size_t i = 0; i < heap_.size();) {
        if (heap_[i].timer->owner_ == &owner) {
            disarm(*heap_[i].timer);
            i = 0;  // the heap was rearranged
        } else {
            ++i;
        }
    }
    drop(deferred_, &owner);
    drop(passing_, &owner);
}

TimerEvent* TimerQueue::pop_due(TimePoint now) noexcept {
    if (heap_.empty() || heap_.front().due > now || heap_.front().order >= turn_limit_) return nullptr;
    EpollTimerEvent& timer = *heap_.front().timer;
    disarm(timer);
    return &timer;
}

void TimerQueue::begin_deferred_pass() noexcept {
    if (deferred_.alone()) return;
    passing_.insert_before(deferred_);
    deferred_.remove();
}

TimerEvent* TimerQueue::pop_deferred() noexcept {
    if (passing_.alone()) return nullptr;
    auto& timer = static_cast<EpollTimerEvent&>(*passing_.next);
    disarm(timer);
    return &timer;
}

void TimerQueue::place(std::size_t position, const Node& node) noexcept {
    heap_[position] = node;
    node.timer->position_ = position;
}

void TimerQueue::sift_up(std::size_t position, const Node& node) noexcept {
    while (position > 0) {
        const std::size_t parent = (position - 1) / 4;
        if (!node.before(heap_[parent])) break;
        place(position, heap_[parent]);
        position = parent;
    }
    place(position, node);
}

void TimerQueue::sift_down(std::size_t position, const Node& node) noexcept {
    for (;;) {
        const std::size_t first = position * 4 + 1;
        if (first >= heap_.size()) break;
        const std::size_t last = std::min(first + 4, heap_.size());
        std::size_t least = first;
        for (std::size_t child = first + 1; child < last; ++child) {
            if (heap_[child].before(heap_[least])) least = child;
        }
        if (!heap_[least].before(node)) break;
        place(position, heap_[least]);
        position = least;
    }
    place(position, node);
}

void TimerQueue::restore(std::size_t position, const Node& node) noexcept {
    if (position > 0 && node.before(heap_[(position - 1) / 4])) {
        sift_up(position, node);
    } else {
        sift_down(position, node);
    }
}

void TimerQueue::drop(TimerLink& list, const IOPS* owner) noexcept {
    for (TimerLink* link = list.next; link != &list;) {
        auto& timer = static_cast<EpollTimerEvent&>(*link);
        link = link->next;
        if (owner != nullptr && timer.owner_ != owner) continue;
        timer.remove();
        timer.queue_ = nullptr;
    }
}

}  // namespace chaise
