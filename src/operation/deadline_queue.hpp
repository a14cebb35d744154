#pragma once

#include <chaise/detail/slot.hpp>

#include <array>
#include <optional>
#include <vector>

namespace chaise::detail {

/// The deadlines of all operations of a bucket, in order. Operations with one timeout expire in the order of their
/// start, so each of the first few timeouts in use has a list of its own, and adding to it is O(1); what does not
/// find a list goes into a heap.
class DeadlineQueue {
public:
    /// `slot.deadline` is set to `now + timeout`. `now` must not go back between calls.
    void add(Slot& slot, TimePoint now, Duration timeout) {
        slot.deadline = now + timeout;
        if (lanes_[0].timeout == timeout) {
            append(0, slot);
        } else {
            add_slowly(slot, timeout);
        }
    }
    void remove(Slot& slot) noexcept {
        if (slot.deadline_lane == in_heap) {
            remove_from_heap(slot);
        } else if (slot.deadline_lane != 0) {
            Lane& lane = lanes_[slot.deadline_lane - 1u];
            (slot.deadline_prev ? slot.deadline_prev->deadline_next : lane.head) = slot.deadline_next;
            (slot.deadline_next ? slot.deadline_next->deadline_prev : lane.tail) = slot.deadline_prev;
            slot.deadline_lane = 0;
        }
    }
    /// The operation that expires first, or null.
    [[nodiscard]] Slot* first() const noexcept;

private:
    static constexpr std::size_t lane_count = 8;
    static constexpr std::uint8_t in_heap = 255;
    struct Lane {
        Duration timeout{};
        Slot* head = nullptr;
        Slot* tail = nullptr;
    };
    void append(std::size_t index, Slot& slot) noexcept {
        Lane& lane = lanes_[index];
        slot.deadline_lane = static_cast<std::uint8_t>(index + 1);
        slot.deadline_next = nullptr;
        slot.deadline_prev = lane.tail;
        (lane.tail ? lane.tail->deadline_next : lane.head) = &slot;
        lane.tail = &slot;
    }
    void add_slowly(Slot& slot, Duration timeout);
    void remove_from_heap(Slot& slot) noexcept;
    void place(Slot& slot, std::size_t at) noexcept;
    void sift_up(std::size_t at) noexcept;
    void sift_down(std::size_t at) noexcept;

    std::array<Lane, lane_count> lanes_;
    std::vector<Slot*> heap_;
};

}  // namespace chaise::detail
