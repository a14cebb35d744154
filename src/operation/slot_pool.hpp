#pragma once

#include <chaise/detail/slot.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

namespace chaise::detail {

/// Slots at fixed addresses, in slabs. A slot's opaque is its index and its generation, so that a response to an
/// earlier user of the slot does not meet the present one.
class SlotPool {
public:
    static constexpr unsigned index_bits = 20;
    static constexpr std::uint32_t index_mask = (1u << index_bits) - 1;
    static constexpr std::size_t slab_size = 256;

    /// \throws std::bad_alloc with a million slots in use.
    [[gnu::always_inline]] Slot& acquire() {
        if (!free_) [[unlikely]]
            grow();
        Slot& slot = *free_;
        free_ = slot.next;
        slot.next = nullptr;
        ++in_use_;
        return slot;
    }
    void release(Slot& slot) noexcept {
        slot.opaque += 1u << index_bits;
        slot.next = free_;
        free_ = &slot;
        --in_use_;
    }
    /// The slot whose present opaque this is, in use or not, or null.
    [[nodiscard]] Slot* find(std::uint32_t opaque) noexcept {
        const std::uint32_t index = opaque & index_mask;
        if (index >= capacity_) [[unlikely]]
            return nullptr;
        Slot& slot = (*slabs_[index / slab_size])[index % slab_size];
        return slot.opaque == opaque ? &slot : nullptr;
    }
    [[nodiscard]] std::size_t in_use() const noexcept { return in_use_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

    template <class F>
    void for_each_in_use(F&& f) {
        for (std::size_t s = 0; s < slabs_.size(); ++s) {
            for (Slot& slot : *slabs_[s]) {
                if (slot.owners != 0) f(slot);
            }
        }
    }

private:
    using Slab = std::array<Slot, slab_size>;
    [[gnu::noinline]] void grow() {
        const auto first = static_cast<std::uint32_t>(capacity());
        if (first > index_mask) throw std::bad_alloc();
        slabs_.push_back(std::make_unique<Slab>());
        capacity_ += slab_size;
        Slab& slab = *slabs_.back();
        for (std::size_t i = slab_size; i-- > 0;) {
            slab[i].opaque = (1u << index_bits) + first + static_cast<std::uint32_t>(i);  // 0 is nobody's
            slab[i].next = free_;
            free_ = &slab[i];
        }
    }
    std::vector<std::unique_ptr<Slab>> slabs_;
    Slot* free_ = nullptr;
    std::size_t in_use_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace chaise::detail
