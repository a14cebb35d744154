#pragma once

/// \file
/// AsyncResult: the handle of an operation that has been started, and the awaitable layer.

#include <chaise/detail/slot.hpp>
#include <chaise/error.hpp>
#include <chaise/expected.hpp>

#include <concepts>
#include <coroutine>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace chaise {

template <class T>
class AsyncResult;

namespace detail {

/// Where an awaiting coroutine learns its outcome. The result is handed over by address and moved once: the coroutine
/// is resumed while the engine still holds it, and takes it first thing, in await_resume.
template <class T>
class AwaiterBase {
public:
    /// The operation lives elsewhere, and for longer.
    explicit AwaiterBase(Slot* slot) noexcept : slot_(slot) {}
    /// It is this awaiter's.
    explicit AwaiterBase(AsyncResult<T>&& operation) noexcept : slot_(operation.release()), owns_(true) {}
    AwaiterBase(const AwaiterBase&) = delete;
    AwaiterBase& operator=(const AwaiterBase&) = delete;
    ~AwaiterBase() {
        if (slot_ && (handle_ || owns_)) [[unlikely]]
            leave();
    }
    /// The operation goes first.
    static void forget(Slot& slot) noexcept { static_cast<AwaiterBase*>(slot.context)->slot_ = nullptr; }

    [[nodiscard]] bool await_ready() {
        if (!slot_) throw_no_operation();
        return slot_->outcome != Outcome::none && take_waiting(*slot_);
    }
    void await_suspend(std::coroutine_handle<> handle) {
        attach(*slot_, Consumer::await, &AwaiterBase::arrive, this);  // may throw, and the slot is another's then
        handle_ = handle;
    }

protected:
    [[nodiscard]] bool has_result() const noexcept { return result_ != nullptr; }
    [[nodiscard]] T take_result() {
        if (!waited_) return std::move(*result_);
        T result(std::move(*result_));  // out of the slot
        result_->~T();
        return result;
    }
    [[nodiscard]] Error take_error() {
        Error error = std::move(*error_);
        if (waited_) delete error_;
        return error;
    }

private:
    [[noreturn]] static void throw_no_operation() {
        throw std::logic_error("chaise: co_await on an AsyncResult that refers to no operation");
    }
    /// The outcome came before this consumer, and waited in the slot.
    bool take_waiting(Slot& slot) {
        require_no_consumer(slot);
        slot.consumer = Consumer::await;
        if (slot.outcome == Outcome::result) {
            result_ = std::launder(reinterpret_cast<T*>(slot.storage));
        } else {
            result_ = nullptr;
            error_ = std::exchange(slot.error, nullptr);
        }
        slot.outcome = Outcome::none;
        waited_ = true;
        return true;
    }
    /// The coroutine is destroyed while it waits; or the outcome, which came first, has been taken from the slot.
    [[gnu::noinline]] void leave() noexcept {
        if (handle_) drop(*slot_);
        if (owns_) const AsyncResult<T> ended(slot_);
    }
    static void arrive(Slot& slot, void* result, Error* error) {
        auto& self = *static_cast<AwaiterBase*>(slot.context);
        self.slot_ = nullptr;
        if (self.owns_) slot.owners = static_cast<std::uint8_t>(slot.owners & ~owned_by_handle);
        if (!result && !error) return unowned(slot);  // the loop is gone: the coroutine is its owner's to destroy
        self.result_ = static_cast<T*>(result);
        self.error_ = error;
        const std::coroutine_handle<> handle = self.handle_;
        unowned(slot);
        handle.resume();
    }

    Slot* slot_;
    T* result_;     // written with the outcome
    Error* error_;  // if there is no result
    std::coroutine_handle<> handle_;
    bool waited_ = false;
    bool owns_ = false;
};

/// `co_await op`: T, or the exception of the error's class.
template <class T>
class Awaiter : public AwaiterBase<T> {
public:
    using AwaiterBase<T>::AwaiterBase;
    T await_resume() {
        if (!this->has_result()) throw_error(this->take_error());
        return this->take_result();
    }
};

/// `co_await op.as_expected()`
template <class T>
class ExpectedAwaiter : public AwaiterBase<T> {
public:
    using AwaiterBase<T>::AwaiterBase;
    [[nodiscard]] Expected<T, Error> await_resume() {
        if (!this->has_result()) return Unexpected<Error>(this->take_error());
        return this->take_result();
    }
};

/// `std::move(op).as_expected()`: owns the operation, so that it may also be kept in a variable.
template <class T>
class ExpectedOperation {
public:
    explicit ExpectedOperation(AsyncResult<T> operation) noexcept : operation_(std::move(operation)) {}
    [[nodiscard]] ExpectedAwaiter<T> operator co_await() & noexcept { return operation_.as_expected(); }
    [[nodiscard]] ExpectedAwaiter<T> operator co_await() && noexcept {
        return ExpectedAwaiter<T>(std::move(operation_));
    }

private:
    AsyncResult<T> operation_;
};

/// A consumer object with `on_result(T&&)` and `on_error(Error&&)`, kept in the slot if it fits there. One that goes
/// with its loop is told by `on_abandoned()`, if it has that.
template <class T, class C>
struct ConsumerTarget {
    static constexpr bool in_slot =
        sizeof(C) <= slot_storage && alignof(C) <= alignof(std::max_align_t) && std::is_nothrow_move_constructible_v<C>;

    /// Makes the consumer where it stays until the outcome comes.
    template <class... Args>
    static void emplace(Slot& slot, Args&&... args) {
        require_no_consumer(slot);
        // A result that came first occupies the storage until it has been delivered.
        if (in_slot && slot.outcome != Outcome::result) {
            if constexpr (in_slot) {
                C* stored = ::new (static_cast<void*>(slot.storage)) C(std::forward<Args>(args)...);
                attach(slot, Consumer::callbacks, &deliver_stored, stored);
            }
        } else {
            auto owned = std::make_unique<C>(std::forward<Args>(args)...);
            attach(slot, Consumer::callbacks, &deliver_owned, owned.get());
            static_cast<void>(owned.release());
        }
    }

private:
    static void run(C& consumer, Slot& slot, void* result, Error* error) {
        unowned(slot);
        if (result) {
            std::move(consumer).on_result(std::move(*static_cast<T*>(result)));
        } else if (error) {
            std::move(consumer).on_error(std::move(*error));
        } else if constexpr (requires { std::move(consumer).on_abandoned(); }) {
            std::move(consumer).on_abandoned();
        }
    }
    static void deliver_stored(Slot& slot, void* result, Error* error) {
        C* stored = std::launder(static_cast<C*>(slot.context));
        C consumer(std::move(*stored));
        stored->~C();
        run(consumer, slot, result, error);
    }
    static void deliver_owned(Slot& slot, void* result, Error* error) {
        std::unique_ptr<C> owned(static_cast<C*>(slot.context));
        run(*owned, slot, result, error);
    }
};

template <class F, class E>
struct CallbackPair {
    F callback;
    E errback;
    template <class T>
    void on_result(T&& result) && {
        callback(std::forward<T>(result));
    }
    void on_error(Error&& error) && { errback(static_cast<const Error&>(error)); }
};

}  // namespace detail

/// An operation that has been started: move-only, with **one consumer**, attached at any time before or after the
/// outcome is there.
///
/// - `set_callbacks(callback, errback)`: exactly one of them is called, exactly once, on the loop's thread, never
///   inside the call that started the operation; neither, if the loop is destroyed first. Functions of up to 192 bytes
///   together that move without throwing are kept without allocation.
/// - `co_await op` gives T or throws the exception of the error's class (error.hpp);
///   `co_await op.as_expected()` gives `Expected<T, Error>`. In any coroutine whose promise has no `await_transform`.
///   `auto a = b.get(x); auto c = b.get(y); co_await a; co_await c;` is right. (Who wraps this awaitable in one of his
///   own calls `await_resume` inside the resumption: the outcome is not there any more afterwards.)
/// - `detach()`: nobody wants to know.
///
/// Dropped with callbacks set, they are still called. Dropped without a consumer, the operation goes on unobserved
/// and an error goes to the bucket's `on_unobserved`. Destroyed while a coroutine awaits it, the operation is
/// abandoned and nothing is called. A second consumer is a `std::logic_error`. May outlive its bucket.
///
/// Thread rule: the loop's thread only.
template <class T>
class [[nodiscard("await it, set callbacks, or detach() it")]] AsyncResult {
    static_assert(sizeof(T) <= detail::slot_storage && std::is_nothrow_move_constructible_v<T>);

public:
    using value_type = T;

    AsyncResult() noexcept = default;
    AsyncResult(AsyncResult&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}
    AsyncResult& operator=(AsyncResult&& other) noexcept {
        if (this != &other) {
            if (slot_) reset();
            slot_ = std::exchange(other.slot_, nullptr);
        }
        return *this;
    }
    ~AsyncResult() {
        if (slot_) reset();
    }

    /// Refers to an operation.
    [[nodiscard]] bool valid() const noexcept { return slot_ != nullptr; }

    /// `callback(T)` or `errback(const Error&)`. What they throw goes to the loop's run (IOPS::on_exception).
    template <std::invocable<T> Callback, std::invocable<const Error&> Errback>
    void set_callbacks(Callback&& callback, Errback&& errback) {
        consume(detail::CallbackPair<std::decay_t<Callback>, std::decay_t<Errback>>{std::forward<Callback>(callback),
                                                                                    std::forward<Errback>(errback)});
    }

    /// The seed's two fields, one by one: `callback` for success ...
    template <std::invocable<T> Callback>
    void set_callback(Callback&& callback) {
        if (Fields* both = fields()) both->callback = std::forward<Callback>(callback);
    }
    /// ... and `errback` for errors. An outcome whose field is not set counts as unobserved.
    template <std::invocable<const Error&> Errback>
    void set_errback(Errback&& errback) {
        if (Fields* both = fields()) both->errback = std::forward<Errback>(errback);
    }

    [[nodiscard]] detail::Awaiter<T> operator co_await() & noexcept { return detail::Awaiter<T>(slot_); }
    [[nodiscard]] detail::Awaiter<T> operator co_await() && noexcept { return detail::Awaiter<T>(std::move(*this)); }
    /// For co_await: an Expected instead of exceptions.
    [[nodiscard]] detail::ExpectedAwaiter<T> as_expected() & noexcept { return detail::ExpectedAwaiter<T>(slot_); }
    [[nodiscard]] detail::ExpectedOperation<T> as_expected() && noexcept {
        return detail::ExpectedOperation<T>(std::move(*this));
    }

    /// The consumer, now or later attached, gets `errc::cancelled` on the next turn (nothing if the outcome is there
    /// already); the request may have been executed. The response, when it comes, is skipped.
    void cancel() {
        if (slot_) detail::cancel(*slot_);
    }
    /// Drops the handle; nothing is called, not even `on_unobserved`. Callbacks that are set already are still called.
    void detach() noexcept {
        if (!slot_) return;
        if (slot_->consumer == detail::Consumer::none) detail::detach(*slot_);
        reset();
    }

    /// Of a multi operation: the entries that have their outcome, in the caller's order, while the others are under way
    /// (a copy; mutations that await copies have theirs at the end). Once it has been delivered: empty.
    [[nodiscard]] T so_far() const
        requires requires(const detail::Slot& slot) { T::so_far(slot); }
    {
        return slot_ ? T::so_far(*slot_) : T();
    }

    /// For faces: `consumer.on_result(T&&)` or `consumer.on_error(Error&&)` is called once.
    template <class C>
    void consume(C consumer) {
        emplace_consumer<C>(std::move(consumer));
    }
    /// The same, made in place from `args`.
    template <class C, class... Args>
    void emplace_consumer(Args&&... args) {
        if (!slot_) throw std::logic_error("chaise: a consumer for an AsyncResult that refers to no operation");
        detail::ConsumerTarget<T, C>::emplace(*slot_, std::forward<Args>(args)...);
    }

    /// For faces: what `detail::cancel` takes, until the outcome is delivered.
    [[nodiscard]] detail::Slot* slot() const noexcept { return slot_; }
    /// For faces: gives the handle's share of the slot away.
    [[nodiscard]] detail::Slot* release() noexcept { return std::exchange(slot_, nullptr); }
    /// For the engine, and back from release(): takes over the handle's share of the slot.
    explicit AsyncResult(detail::Slot* slot) noexcept : slot_(slot) {}

private:
    struct Fields {
        detail::Core* core;
        std::function<void(T)> callback;
        std::function<void(const Error&)> errback;
        void on_result(T&& result) && {
            if (callback) callback(std::move(result));
        }
        void on_error(Error&& error) && {
            if (errback) {
                errback(error);
            } else {
                detail::report_unobserved(*core, error);
            }
        }
    };
    /// The fields' consumer: made by the first field that is set, and found again in the slot by the second. Null if
    /// the loop is gone, and the consumer with it.
    Fields* fields() {
        if (!slot_) throw std::logic_error("chaise: a consumer for an AsyncResult that refers to no operation");
        if (slot_->consumer != detail::Consumer::fields) {
            consume(Fields{slot_->core, {}, {}});
            slot_->consumer = detail::Consumer::fields;
        } else if (!slot_->target && slot_->context) {
            detail::require_no_consumer(*slot_);  // delivered already
        }
        return static_cast<Fields*>(slot_->context);
    }

    [[gnu::always_inline]] void reset() noexcept {
        detail::Slot* slot = std::exchange(slot_, nullptr);
        slot->owners = static_cast<std::uint8_t>(slot->owners & ~detail::owned_by_handle);
        // Most often its callbacks are waited for.
        if (slot->consumer != detail::Consumer::callbacks || slot->outcome != detail::Outcome::none ||
            slot->owners == 0) {
            end(*slot);
        }
    }
    [[gnu::noinline]] static void end(detail::Slot& slot) noexcept {
        const bool awaited = slot.consumer == detail::Consumer::await && slot.target;
        if (slot.outcome != detail::Outcome::none || awaited) {
            if (awaited) detail::AwaiterBase<T>::forget(slot);
            detail::drop(slot);
        } else {
            detail::unowned(slot);
        }
    }

    detail::Slot* slot_ = nullptr;
};

}  // namespace chaise
