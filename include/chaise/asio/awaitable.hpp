#pragma once

/// \file
/// `co_await bucket.get("k")` inside `asio::awaitable`, without a coroutine of its own for each operation.
///
/// `asio::use_awaitable` makes an inner coroutine per operation, whose frame, executor and cold memory cost more than
/// the operation. Later versions of Asio await an asynchronous operation in the caller's frame; this does the same,
/// from 1.22 on. The way in is a specialisation of `asio::awaitable` for a type of ours: the one thing that every
/// version hands through to the language as it is.

#include <chaise/asio/initiation.hpp>
#include <chaise/async_result.hpp>
#include <chaise/error.hpp>
#include <chaise/expected.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

namespace chaise {

/// What an AsioAwaitable gives to Asio's own algorithms (`a || b`, `co_spawn`): it is a V.
template <class V>
class AsioValue : public V {
public:
    using V::V;
    AsioValue() = default;
    // NOLINTNEXTLINE(google-explicit-constructor): it takes the place of a V
    AsioValue(V&& value) noexcept(std::is_nothrow_move_constructible_v<V>) : V(std::move(value)) {}
};

/// An operation of an AsioBucket without a completion token. V: its result, or an Expected of it.
template <class V, class Executor = asio::any_io_executor>
using AsioAwaitable = asio::awaitable<AsioValue<V>, Executor>;

namespace detail {

/// Owns the coroutine's stack while it waits, as Asio's own handlers do: destroyed uncalled, it destroys the stack.
template <class Executor>
class AsioWaitingThread : public asio::detail::awaitable_thread<Executor> {
public:
    using Frame = asio::detail::awaitable_frame_base<Executor>;

    explicit AsioWaitingThread(Frame& frame) : AsioWaitingThread(frame, *frame.detach_thread()) {}
    AsioWaitingThread(Frame& frame, asio::detail::awaitable_thread<Executor>& from) noexcept
        : asio::detail::awaitable_thread<Executor>(std::move(from)), frame_(&frame) {}

    void resume() {
        frame_->attach_thread(this);
        this->pump();
    }

private:
    Frame* frame_;
};

/// What a waiting coroutine and its operation know of each other; lies in the coroutine's frame. The outcome is the
/// engine's or a handler's, and moved from first thing on resumption.
template <class Result, class Executor>
class AsioArrival {
    using Thread = AsioWaitingThread<Executor>;

public:
    explicit AsioArrival(AsyncResult<Result>&& operation) noexcept : operation_(std::move(operation)) {}
    /// Only before it waits.
    AsioArrival(AsioArrival&& other) noexcept : operation_(std::move(other.operation_)) {}
    AsioArrival& operator=(AsioArrival&&) = delete;
    ~AsioArrival() = default;

    [[nodiscard]] bool valid() const noexcept { return operation_.slot() != nullptr; }

    void wait(typename Thread::Frame& frame) {
        asio::detail::awaitable_thread<Executor>& from = *frame.detach_thread();
        Thread& thread = *::new (static_cast<void*>(thread_)) Thread(frame, from);
        Slot& slot = *operation_.slot();
        iops_ = &iops_of(slot);
        if (!AsioResumption::is(iops_, &from) && !on_strand(thread, *iops_)) [[unlikely]]
            return wait_elsewhere();
        cancellable_ = cancel_by_signal(slot, thread);
        attach(slot, Consumer::callbacks, &AsioArrival::arrive, this);
        static_cast<void>(operation_.release());  // arrive() returns the handle's share
    }

    [[nodiscard]] bool has_result() const noexcept { return result_ != nullptr; }
    [[nodiscard]] Result&& result() noexcept { return std::move(*result_); }
    [[nodiscard]] Error&& error() noexcept { return std::move(*error_); }

private:
    /// The thread as a handler, for an executor that is not the bucket's.
    struct Handler : Thread {
        Handler(Thread&& thread, AsioArrival& arrival) : Thread(std::move(thread)), arrival_(&arrival) {}
        void operator()(Expected<Result, Error>&& outcome) {
            arrival_->result_ = outcome ? &*outcome : nullptr;
            arrival_->error_ = outcome ? nullptr : &outcome.error();
            this->resume();
        }
        AsioArrival* arrival_;
    };

    [[gnu::noinline]] static bool on_strand(const Thread& thread, const IOPS& bucket_iops) {
        const auto& iops = static_cast<const AsioIOPS&>(bucket_iops);
        return iops.loop_alive() && is_same_executor(thread.get_executor(), iops.strand());
    }
    [[gnu::noinline]] void wait_elsewhere() {
        AsioInitiation<Result, true>{}(Handler(take_thread(), *this), std::move(operation_));
    }
    // Moved from it owns nothing, and needs no destructor.
    [[nodiscard]] Thread take_thread() noexcept { return std::move(*std::launder(reinterpret_cast<Thread*>(thread_))); }

    [[gnu::flatten]] static void arrive(Slot& slot, void* result, Error* error) {
        auto& self = *static_cast<AsioArrival*>(slot.context);
        Thread thread = self.take_thread();  // the frame may end while it runs
        const AsioResumption resumption(self.iops_, static_cast<asio::detail::awaitable_thread<Executor>*>(&thread));
        slot.owners = static_cast<std::uint8_t>(slot.owners & ~owned_by_handle);
        unowned(slot);
        if (self.cancellable_) thread.get_cancellation_slot().clear();
        if (!result && !error) return;  // the loop is gone, and the stack goes with the thread
        self.result_ = static_cast<Result*>(result);
        self.error_ = error;
        thread.resume();
    }

    InTransit<Result> operation_;
    // Written when it waits, and when that ends: Asio moves it twice on the way there.
    const IOPS* iops_;
    bool cancellable_;
    Result* result_;
    Error* error_;
    alignas(Thread) std::byte thread_[sizeof(Thread)];
};

template <class V>
struct AsioOutcome {
    using Result = V;
    static constexpr bool expected = false;
};
template <class T>
struct AsioOutcome<Expected<T, Error>> {
    using Result = T;
    static constexpr bool expected = true;
};

}  // namespace detail
}  // namespace chaise

/// Move-only, awaited at most once. Dropped unawaited, the operation goes on unobserved.
template <class V, class Executor>
class [[nodiscard]] asio::awaitable<chaise::AsioValue<V>, Executor> {
    using Outcome = chaise::detail::AsioOutcome<V>;
    using Result = typename Outcome::Result;

public:
    using value_type = chaise::AsioValue<V>;
    using executor_type = Executor;

    explicit awaitable(chaise::AsyncResult<Result> operation) noexcept : arrival_(std::move(operation)) {}

    /// For who wants Asio's own type.
    [[nodiscard]] operator asio::awaitable<V, Executor>() && { return as_asio(std::move(*this)); }

    [[nodiscard]] bool valid() const noexcept { return arrival_.valid(); }

    bool await_ready() const noexcept { return false; }
    template <class U>
    void await_suspend(std::coroutine_handle<asio::detail::awaitable_frame<U, Executor>> waiting) {
        arrival_.wait(waiting.promise());
    }
    V await_resume() {
        if (arrival_.has_result()) return arrival_.result();
        if constexpr (Outcome::expected) {
            return chaise::Unexpected<chaise::Error>(arrival_.error());
        } else {
            chaise::throw_error(arrival_.error());
        }
    }

private:
    static asio::awaitable<V, Executor> as_asio(awaitable operation) { co_return co_await std::move(operation); }

    chaise::detail::AsioArrival<Result, Executor> arrival_;
};
