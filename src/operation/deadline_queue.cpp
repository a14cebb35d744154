#include "operation/deadline_queue.hpp"

namespace chaise::detail {

Slot* DeadlineQueue::first() const noexcept {
    Slot* first = heap_.empty() ? nullptr : heap_.front();
    for (const Lane& lane : lanes_) {
        if (lane.head && (!first || lane.head->deadline < first->deadline)) first = lane.head;
    }
    return first;
}

void DeadlineQueue::add_slowly(Slot& slot, Duration timeout) {
    std::size_t empty = lane_count;
    for (std::size_t i = 0; i < lane_count; ++i) {
        if (lanes_[i].timeout == timeout) return append(i, slot);
        if (!lanes_[i].head && empty == lane_count) empty = i;
    }
    if (empty != lane_count) {
        lanes_[empty].timeout = timeout;
        return append(empty, slot);
    }
    heap_.push_back(&slot);
    slot.deadline_lane = in_heap;
    sift_up(heap_.size() - 1);
}

void DeadlineQueue::place(Slot& slot, std::size_t at) noexcept {
    heap_[at] = &slot;
    slot.deadline_index = static_cast<std::uint32_t>(at);
}

void DeadlineQueue::sift_up(std::size_t at) noexcept {
    Slot& slot = *heap_[at];
    while (at > 0) {
        const std::size_t parent = (at - 1) / 2;
        if (heap_[parent]->deadline <= slot.deadline) break;
        place(*heap_[parent], at);
        at = parent;
    }
    place(slot, at);
}

void DeadlineQueue::sift_down(std::size_t at) noexcept {
    Slot& slot = *heap_[at];
    while (true) {
        std::size_t child = 2 * at + 1;
        if (child >= heap_.size()) break;
        if (child + 1 < heap_.size() && heap_[child + 1]->deadline < heap_[child]->deadline) ++child;
        if (slot.deadline <= heap_[child]->deadline) break;
        place(*heap_[child], at);
        at = child;
    }
    place(slot, at);
}

void DeadlineQueue::remove_from_heap(Slot& slot) noexcept {
    const std::size_t at = slot.deadline_index;
    Slot& last = *heap_.back();
    heap_.pop_back();
    slot.deadline_lane = 0;
    if (&last == &slot) return;
    place(last, at);
    sift_up(at);
    sift_down(last.deadline_index);
}

}  // namespace chaise::detail
