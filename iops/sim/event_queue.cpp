#include "iops/sim/sim_core.hpp"

#include <algorithm>

namespace chaise::testing::sim {

void EventQueue::push(Scheduled& node, std::int64_t time) {
    heap_.emplace_back();
    sift_up(heap_.size() - 1, Entry{time, sequence_++, &node});
}

void EventQueue::remove(Scheduled& node) noexcept {
    const std::size_t at = node.position_;
    node.position_ = Scheduled::idle;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (at == heap_.size()) return;
    if (at > 0 && last.before(heap_[(at - 1) / 4])) {
        sift_up(at, last);
    } else {
        sift_down(at, last);
    }
}

Scheduled& EventQueue::pop() noexcept {
    Scheduled& node = *heap_.front().node;
    remove(node);
    return node;
}

void EventQueue::sift_up(std::size_t at, const Entry& entry) noexcept {
    while (at > 0) {
        const std::size_t parent = (at - 1) / 4;
        if (!entry.before(heap_[parent])) break;
        place(at, heap_[parent]);
        at = parent;
    }
    place(at, entry);
}

void EventQueue::sift_down(std::size_t at, const Entry& entry) noexcept {
    for (;;) {
        const std::size_t first = at * 4 + 1;
        if (first >= heap_.size()) break;
        std::size_t least = first;
        for (std::size_t child = first + 1; child < std::min(first + 4, heap_.size()); ++child) {
            if (heap_[child].before(heap_[least])) least = child;
        }
        if (!heap_[least].before(entry)) break;
        place(at, heap_[least]);
        at = least;
    }
    place(at, entry);
}

}  // namespace chaise::testing::sim
