#pragma once

// The receive buffer that results share. Not for users.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace chaise::detail {

/// Bytes behind the data that may be read (their content means nothing), as simdjson wants.
inline constexpr std::size_t buffer_padding = 64;

/// A counted block of bytes. The count is atomic: results may travel to other threads and die there; the last of them
/// frees the block, on whatever thread. Its keeper (KeptBuffer) is the engine, which alone reads into it and lends it;
/// it takes references from the count by the hundred, because each atomic step costs as much as a dozen others. What
/// dies where the keeper is at work, as most results do, goes back to those in hand.
class Buffer {
public:
    /// While one lives, its thread is the keeper's. One inside another ends both: nothing but speed is lost.
    class AtWork {
    public:
        explicit AtWork(Buffer* buffer) noexcept { at_work_ = buffer; }
        AtWork(const AtWork&) = delete;
        AtWork& operator=(const AtWork&) = delete;
        ~AtWork() { at_work_ = nullptr; }
    };

    static Buffer* make(std::size_t capacity) {
        void* memory = ::operator new(sizeof(Buffer) + capacity + buffer_padding);
        return new (memory) Buffer(capacity);
    }
    [[nodiscard]] char* data() noexcept { return reinterpret_cast<char*>(this + 1); }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    void add_ref() noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept {
        if (at_work_ == this) {
            ++in_hand_;
        } else {
            release(1);
        }
    }
    /// The keeper's: a reference to give away.
    void lend() noexcept {
        if (in_hand_ == 0) [[unlikely]] {
            refs_.fetch_add(batch, std::memory_order_relaxed);
            in_hand_ = batch;
        }
        --in_hand_;
    }
    /// The keeper's: nobody else owns it, and what others did to it is visible.
    [[nodiscard]] bool unique() const noexcept { return refs_.load(std::memory_order_acquire) == 1 + in_hand_; }
    /// The keeper gives it up.
    void abandon() noexcept {
        if (at_work_ == this) at_work_ = nullptr;
        release(1 + std::exchange(in_hand_, 0));
    }

private:
    static constexpr std::uint32_t batch = 256;

    explicit Buffer(std::size_t capacity) noexcept : capacity_(capacity) {}
    void release(std::uint32_t references) noexcept {
        if (refs_.fetch_sub(references, std::memory_order_acq_rel) == references) destroy();
    }
    void destroy() noexcept {
        this->~Buffer();
        ::operator delete(static_cast<void*>(this));
    }
    inline static constinit thread_local Buffer* at_work_ = nullptr;
    std::atomic<std::uint32_t> refs_{1};
    std::uint32_t in_hand_ = 0;  ///< counted in refs_, not given away yet
    std::size_t capacity_;
};

struct AbandonBuffer {
    void operator()(Buffer* buffer) const noexcept { buffer->abandon(); }
};
/// The keeper's own hold on a block.
using KeptBuffer = std::unique_ptr<Buffer, AbandonBuffer>;

/// Owns one reference.
class BufferRef {
public:
    BufferRef() noexcept = default;
    /// Takes over the reference.
    explicit BufferRef(Buffer* buffer) noexcept : buffer_(buffer) {}
    BufferRef(const BufferRef& other) noexcept : buffer_(other.buffer_) {
        if (buffer_) buffer_->add_ref();
    }
    BufferRef(BufferRef&& other) noexcept : buffer_(std::exchange(other.buffer_, nullptr)) {}
    BufferRef& operator=(BufferRef other) noexcept {
        std::swap(buffer_, other.buffer_);
        return *this;
    }
    ~BufferRef() {
        if (buffer_) buffer_->release();
    }
    [[nodiscard]] Buffer* get() const noexcept { return buffer_; }
    [[nodiscard]] Buffer* operator->() const noexcept { return buffer_; }
    [[nodiscard]] explicit operator bool() const noexcept { return buffer_ != nullptr; }

private:
    Buffer* buffer_ = nullptr;
};

}  // namespace chaise::detail
