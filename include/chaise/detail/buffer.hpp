#pragma once

// The receive buffer that results share. Not for users.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace chaise::detail {

/// Bytes behind the data that may be read (their content means nothing), as simdjson wants.
inline constexpr std::size_t buffer_padding = 64;

/// A counted block of bytes. The count is atomic: results may travel to other threads and die there; the last
/// owner frees the block, on whatever thread. Blocks are recycled only by who still owns one (see BufferPool).
class Buffer {
public:
    static Buffer* make(std::size_t capacity) {
        void* memory = ::operator new(sizeof(Buffer) + capacity + buffer_padding);
        return new (memory) Buffer(capacity);
    }
    [[nodiscard]] char* data() noexcept { return reinterpret_cast<char*>(this + 1); }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    void add_ref() noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept {
        if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
    }
    /// Nobody but the caller owns it, and what others did to it is visible.
    [[nodiscard]] bool unique() const noexcept { return refs_.load(std::memory_order_acquire) == 1; }

private:
    explicit Buffer(std::size_t capacity) noexcept : capacity_(capacity) {}
    void destroy() noexcept {
        this->~Buffer();
        ::operator delete(static_cast<void*>(this));
    }
    std::atomic<std::uint32_t> refs_{1};
    std::size_t capacity_;
};

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
