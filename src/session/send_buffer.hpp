#pragma once

#include <chaise/detail/slot.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace chaise::detail {

class Core;

/// Encoded requests lie in blocks, each pinned by its slot until the operation is done, so that sending one again
/// needs no copy.
class SendBlock {
public:
    static constexpr std::size_t standard_capacity = 64 * 1024;

    static SendBlock* make(std::size_t capacity) {
        void* memory = ::operator new(sizeof(SendBlock) + capacity);
        return new (memory) SendBlock(capacity);
    }
    static void destroy(SendBlock* block) noexcept {
        block->~SendBlock();
        ::operator delete(static_cast<void*>(block));
    }
    [[nodiscard]] char* data() noexcept { return reinterpret_cast<char*>(this + 1); }

    std::size_t capacity;
    std::size_t used = 0;
    std::size_t pins = 0;
    SendBlock* next_free = nullptr;

private:
    explicit SendBlock(std::size_t bytes) noexcept : capacity(bytes) {}
};

/// What the blocks of all the lines of a bucket come to.
struct ByteBudget {
    std::size_t most = 0;
    std::size_t used = 0;
    /// Gives back the blocks in which no request lies.
    void (*release_idle)(Core&) noexcept = nullptr;
    Core* core = nullptr;
};

/// Where one session encodes its requests.
class SendBuffer {
public:
    /// `budget`: shared with others; null: none. Must outlive it.
    explicit SendBuffer(std::size_t max_bytes, ByteBudget* budget = nullptr) noexcept
        : max_bytes_(max_bytes), block_capacity_(std::min(SendBlock::standard_capacity, max_bytes)), budget_(budget) {}
    SendBuffer(const SendBuffer&) = delete;
    SendBuffer& operator=(const SendBuffer&) = delete;
    ~SendBuffer() {
        if (budget_) budget_->used -= bytes_;
        if (tail_) SendBlock::destroy(tail_);
        while (SendBlock* block = free_) {
            free_ = block->next_free;
            SendBlock::destroy(block);
        }
    }

    /// Room for a request of `size` bytes, pinned by `slot`; null if that would exceed the bound. The memory of
    /// blocks counts against the bound, not only the requests: one slow operation pins a whole block.
    [[nodiscard]] char* reserve(Slot& slot, std::size_t size) {
        if (!tail_ || tail_->capacity - tail_->used < size) [[unlikely]] {
            if (!next_block(size)) return nullptr;
        }
        slot.block = tail_;
        slot.offset = static_cast<std::uint32_t>(tail_->used);
        slot.length = static_cast<std::uint32_t>(size);
        tail_->used += size;
        ++tail_->pins;
        return tail_->data() + slot.offset;
    }
    void unpin(Slot& slot) noexcept { unpin(std::exchange(slot.block, nullptr)); }
    void unpin(SendBlock* block) noexcept {
        if (--block->pins != 0) return;
        if (block == tail_ && block->capacity == block_capacity_) {
            block->used = 0;
        } else {
            if (block == tail_) tail_ = nullptr;  // made for one big request: not kept
            retire(block);
        }
    }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::size_t max_bytes() const noexcept { return max_bytes_; }
    void release_idle() noexcept {
        if (tail_ && tail_->pins == 0) drop_tail();
    }
    /// reserve() would find room.
    [[nodiscard]] bool has_room(std::size_t size) const noexcept {
        if (tail_ && tail_->capacity - tail_->used >= size) return true;
        const std::size_t idle = tail_ && tail_->pins == 0 ? tail_->capacity : 0;
        return fits(std::max(size, block_capacity_), idle);
    }

private:
    static constexpr std::size_t max_free = 16;

    bool next_block(std::size_t size) {
        const std::size_t capacity = std::max(size, block_capacity_);
        if (tail_ && tail_->pins == 0) drop_tail();
        if (budget_ && budget_->used + capacity > budget_->most && budget_->release_idle) [[unlikely]]
            budget_->release_idle(*budget_->core);
        if (!fits(capacity, 0)) return false;
        SendBlock* block = nullptr;
        if (capacity == block_capacity_ && free_) {
            block = free_;
            free_ = block->next_free;
            --free_count_;
        } else {
            block = SendBlock::make(capacity);
        }
        bytes_ += capacity;
        if (budget_) budget_->used += capacity;
        tail_ = block;
        return true;
    }
    [[nodiscard]] bool fits(std::size_t capacity, std::size_t returned) const noexcept {
        return bytes_ - returned + capacity <= max_bytes_ &&
               (!budget_ || budget_->used - returned + capacity <= budget_->most);
    }
    void drop_tail() noexcept {
        SendBlock* block = tail_;
        tail_ = nullptr;
        retire(block);
    }
    void retire(SendBlock* block) noexcept {
        bytes_ -= block->capacity;
        if (budget_) budget_->used -= block->capacity;
        if (block->capacity == block_capacity_ && free_count_ < max_free) {
            block->used = 0;
            block->next_free = free_;
            free_ = block;
            ++free_count_;
        } else {
            SendBlock::destroy(block);
        }
    }

    SendBlock* tail_ = nullptr;
    SendBlock* free_ = nullptr;
    std::size_t free_count_ = 0;
    std::size_t bytes_ = 0;
    std::size_t max_bytes_;
    std::size_t block_capacity_;
    ByteBudget* budget_;
};

}  // namespace chaise::detail
