#pragma once

#include <chaise/detail/slot.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace chaise::detail {

/// Slots at fixed addresses, in slabs. A slot's opaque is its index and its generation, so that a response to an
/// earlier user of the slot does not meet the present one. Slabs are kept: `limit` bounds what that comes to.
///
/// No more than `limit` slots are in use without anybody noticing: the list of free ones then is empty, so that only
/// who finds it so has to ask. Who is to be told that he comes too late gets a slot beyond the limit, and so does
/// everybody once the pool is shut; as long as it is `crowded()`, what comes back may have to be diverted.
class SlotPool {
public:
    static constexpr unsigned index_bits = 20;
    static constexpr std::uint32_t index_mask = (1u << index_bits) - 1;
    static constexpr std::size_t slab_size = 256;

    explicit SlotPool(std::size_t limit = std::size_t{1} << index_bits) noexcept : limit_(limit) {}

    /// \throws std::bad_alloc with a million slots in use.
    [[gnu::always_inline]] Slot& acquire() {
        if (!free_) [[unlikely]]
            static_cast<void>(refill());
        return take();
    }
    /// take() gets one within the limit.
    [[nodiscard]] bool has_free() const noexcept { return free_ != nullptr; }
    /// Without one: now take() gets one. False: one beyond the limit, or the pool is shut.
    /// \throws std::bad_alloc
    [[gnu::noinline, gnu::cold]] bool refill() {
        const bool within = in_use_ < limit_ && !shut_;
        if (!reserve_) grow();
        Slot* last = free_ = reserve_;
        for (std::size_t n = within ? limit_ - in_use_ : 1; n > 1 && last->next; --n) last = last->next;
        reserve_ = std::exchange(last->next, nullptr);
        return within;
    }
    /// Asked after a release, while there are, or were, slots beyond the limit: what was released last is not to be
    /// found free.
    [[nodiscard]] bool diverts() const noexcept { return shut_ || in_use_ >= limit_; }
    void divert() noexcept {
        Slot& slot = *free_;
        free_ = slot.next;
        slot.next = reserve_;
        reserve_ = &slot;
    }
    /// There still are slots beyond the limit.
    [[nodiscard]] bool crowded() const noexcept { return shut_ || in_use_ > limit_; }
    /// One more, for a slot that is in use and does not count; and one less.
    void raise_limit() noexcept { ++limit_; }
    void lower_limit() noexcept {
        --limit_;
        if (free_) divert();
    }
    /// From now on everybody is late.
    void shut() noexcept {
        shut_ = true;
        while (free_) divert();
    }
    [[gnu::always_inline]] Slot& take() {
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
        Slot* slot = &(*slabs_[index / slab_size])[index % slab_size];
        asm("" : "+r"(slot));  // or GCC computes the address anew for each of its fields that is written
        return slot->opaque == opaque ? slot : nullptr;
    }
    [[nodiscard]] std::size_t limit() const noexcept { return limit_; }
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
    void grow() {
        const auto first = static_cast<std::uint32_t>(capacity());
        if (first > index_mask) throw std::bad_alloc();
        slabs_.push_back(std::make_unique<Slab>());
        capacity_ += slab_size;
        Slab& slab = *slabs_.back();
        for (std::size_t i = slab_size; i-- > 0;) {
            slab[i].opaque = (1u << index_bits) + first + static_cast<std::uint32_t>(i);  // 0 is nobody's
            slab[i].next = reserve_;
            reserve_ = &slab[i];
        }
    }
    std::vector<std::unique_ptr<Slab>> slabs_;
    Slot* free_ = nullptr;
    Slot* reserve_ = nullptr;  ///< free, but beyond the limit
    std::size_t in_use_ = 0;
    std::size_t capacity_ = 0;
    std::size_t limit_;
    bool shut_ = false;
};

}  // namespace chaise::detail
