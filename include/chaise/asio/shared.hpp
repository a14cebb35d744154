#pragma once

/// \file
/// Inner part of the Asio adapter: what its handlers share with the objects they were started by. Not an API.
///
/// Asio keeps a handler until its operation is really gone, which is later than the destruction of the transport,
/// event or IOPS that started it. So each of those is a thin face on a reference-counted object; the handlers hold
/// references, and find out that their face is gone. The memory of a handler comes from fixed storage in the same
/// object, so that nothing is allocated once the object exists.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <system_error>
#include <utility>

namespace chaise::detail {

/// Storage for the few handlers that one object has under way; what does not fit comes from the heap.
///
/// Asio frees a handler's memory on whichever thread completes it, before the handler reaches the strand: hence
/// the atomic marks.
class AsioHandlerMemory {
public:
    static constexpr std::size_t slot_count = 6;
    static constexpr std::size_t slot_size = 384;

    AsioHandlerMemory() = default;
    AsioHandlerMemory(const AsioHandlerMemory&) = delete;
    AsioHandlerMemory& operator=(const AsioHandlerMemory&) = delete;

    [[nodiscard]] void* allocate(std::size_t size) {
        if (size <= slot_size) {
            for (Slot& slot : slots_) {
                if (!slot.taken.exchange(true, std::memory_order_acquire)) return slot.bytes.data();
            }
        }
        return ::operator new(size);
    }
    void deallocate(void* memory) noexcept {
        for (Slot& slot : slots_) {
            if (memory == slot.bytes.data()) {
                slot.taken.store(false, std::memory_order_release);
                return;
            }
        }
        ::operator delete(memory);
    }

private:
    struct Slot {
        alignas(std::max_align_t) std::array<std::byte, slot_size> bytes;
        std::atomic<bool> taken{false};
    };
    std::array<Slot, slot_count> slots_;
};

/// What Asio's handlers keep alive.
class AsioShared {
public:
    AsioShared() = default;
    AsioShared(const AsioShared&) = delete;
    AsioShared& operator=(const AsioShared&) = delete;

    void add_ref() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
    }
    [[nodiscard]] AsioHandlerMemory& handler_memory() noexcept { return memory_; }

protected:
    virtual ~AsioShared() = default;

private:
    std::atomic<unsigned> references_{0};
    AsioHandlerMemory memory_;
};

template <class T>
class AsioRef {
public:
    AsioRef() = default;
    explicit AsioRef(T* object) noexcept : object_(object) {
        if (object_ != nullptr) object_->add_ref();
    }
    AsioRef(const AsioRef& other) noexcept : AsioRef(other.object_) {}
    AsioRef(AsioRef&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    AsioRef& operator=(AsioRef other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }
    ~AsioRef() {
        if (object_ != nullptr) object_->release();
    }
    [[nodiscard]] static AsioRef adopt(T* object) noexcept {
        AsioRef reference;
        reference.object_ = object;
        return reference;
    }

    [[nodiscard]] T* get() const noexcept { return object_; }
    T* operator->() const noexcept { return object_; }
    T& operator*() const noexcept { return *object_; }
    explicit operator bool() const noexcept { return object_ != nullptr; }

private:
    T* object_ = nullptr;
};

/// The allocator of our handlers. Memory that is in use keeps its object alive: a strand allocates with the handler's
/// allocator what it then queues without the handler.
template <class T>
class AsioHandlerAllocator {
public:
    using value_type = T;

    explicit AsioHandlerAllocator(AsioShared& owner) noexcept : owner_(&owner) {}
    template <class U>
    AsioHandlerAllocator(const AsioHandlerAllocator<U>& other) noexcept : owner_(other.owner_) {}

    [[nodiscard]] T* allocate(std::size_t count) {
        static_assert(alignof(T) <= alignof(std::max_align_t));
        void* const memory = owner_->handler_memory().allocate(count * sizeof(T));
        owner_->add_ref();
        return static_cast<T*>(memory);
    }
    void deallocate(T* memory, std::size_t) noexcept {
        AsioShared* const owner = owner_;  // this allocator may stand in the object
        owner->handler_memory().deallocate(memory);
        owner->release();
    }

    template <class U>
    bool operator==(const AsioHandlerAllocator<U>& other) const noexcept {
        return owner_ == other.owner_;
    }

private:
    template <class>
    friend class AsioHandlerAllocator;
    AsioShared* owner_;
};

/// A handler without arguments: for post, defer and dispatch.
class AsioTurn {
public:
    using Function = void (*)(AsioShared& target);
    using allocator_type = AsioHandlerAllocator<void>;

    AsioTurn(AsioShared& target, Function function) noexcept : target_(&target), function_(function) {}

    [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type{*target_}; }
    void operator()() { function_(*target_); }

private:
    AsioRef<AsioShared> target_;
    Function function_;
};

/// A handler that ends an Asio operation. The tag tells a current operation from one that was cancelled after it
/// had already succeeded.
class AsioCompletion {
public:
    using Function = void (*)(AsioShared& target, const std::error_code& error, std::uint64_t tag);
    using allocator_type = AsioHandlerAllocator<void>;

    AsioCompletion(AsioShared& target, Function function, std::uint64_t tag = 0) noexcept
        : target_(&target), function_(function), tag_(tag) {}

    [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type{*target_}; }
    void operator()(const std::error_code& error) { function_(*target_, error, tag_); }

private:
    AsioRef<AsioShared> target_;
    Function function_;
    std::uint64_t tag_;
};

}  // namespace chaise::detail
