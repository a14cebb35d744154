#pragma once

/// \file
/// `std::stop_token` for operations: `co_await chaise::stoppable(bucket.get("k"), token)`.

#include <chaise/async_result.hpp>

#include <concepts>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

namespace chaise {

namespace detail {

/// While it lives, a request to stop cancels the operation. The slot must outlive it, or be another's by then.
class StopLink {
public:
    StopLink(std::stop_token token, Slot& slot) : callback_(std::move(token), Cancel{&slot}) {}

private:
    struct Cancel {
        Slot* slot;
        void operator()() const { cancel(*slot); }
    };
    std::stop_callback<Cancel> callback_;
};

/// An awaiter that a request to stop ends. Base: the awaiter of the operation itself.
template <class Base>
class StoppableAwaiter : public Base {
public:
    StoppableAwaiter(Slot* slot, std::stop_token token) : Base(slot), slot_(slot), token_(std::move(token)) {}
    void await_suspend(std::coroutine_handle<> handle) {
        Base::await_suspend(handle);
        link_.emplace(std::move(token_), *slot_);  // if it has been requested: the outcome comes on the next turn
    }
    decltype(auto) await_resume() {
        link_.reset();  // the slot will be another's
        return Base::await_resume();
    }

private:
    Slot* slot_;
    std::stop_token token_;
    std::optional<StopLink> link_;
};

}  // namespace detail

/// An operation that ends with `errc::cancelled` when a stop is requested, as by `AsyncResult::cancel()`: whoever waits
/// for it is released on the next turn of the loop, the response is skipped when it comes, the connection goes on. What
/// was there before the request is the outcome all the same. Made by stoppable().
///
/// - `co_await stoppable(bucket.get("k"), token)`, and `co_await stoppable(…, token).as_expected()`
/// - `stoppable(bucket.get("k"), token).set_callbacks(callback, errback)` (allocates memory)
///
/// Thread rule: the loop's thread only, and that is where `request_stop()` must be called, too; from another thread
/// post it to the loop (`EpollLoop::post`, `asio::post`).
template <class T>
class [[nodiscard("await it, or set callbacks")]] StoppableOperation {
public:
    StoppableOperation(AsyncResult<T> operation, std::stop_token token) noexcept
        : operation_(std::move(operation)), token_(std::move(token)) {}

    [[nodiscard]] auto operator co_await() noexcept {
        return detail::StoppableAwaiter<detail::Awaiter<T>>(operation_.slot(), token_);
    }

    /// For co_await: an Expected instead of exceptions.
    class Expecting {
    public:
        Expecting(AsyncResult<T> operation, std::stop_token token) noexcept
            : operation_(std::move(operation)), token_(std::move(token)) {}
        [[nodiscard]] auto operator co_await() noexcept {
            return detail::StoppableAwaiter<detail::ExpectedAwaiter<T>>(operation_.slot(), token_);
        }

    private:
        AsyncResult<T> operation_;
        std::stop_token token_;
    };
    [[nodiscard]] Expecting as_expected() && noexcept { return Expecting(std::move(operation_), std::move(token_)); }

    /// As AsyncResult::set_callbacks().
    template <std::invocable<T> Callback, std::invocable<const Error&> Errback>
    void set_callbacks(Callback&& callback, Errback&& errback) && {
        using C = Consumer<std::decay_t<Callback>, std::decay_t<Errback>>;
        detail::Slot* const slot = operation_.slot();
        C* consumer = nullptr;
        operation_.template emplace_consumer<C>(consumer, std::forward<Callback>(callback),
                                                std::forward<Errback>(errback));
        if (slot->target) consumer->link.emplace(std::move(token_), *slot);  // else it went with its loop
    }

private:
    template <class Callback, class Errback>
    struct Consumer {
        /// `self`: is told where it lies.
        template <class F, class E>
        Consumer(Consumer*& self, F&& f, E&& e) : callback(std::forward<F>(f)), errback(std::forward<E>(e)) {
            self = this;
        }
        // Nothing moves it: the link knows the slot only, but it cannot be moved itself.
        Consumer(const Consumer&) = delete;
        Consumer& operator=(const Consumer&) = delete;
        void on_result(T&& result) && {
            link.reset();  // the slot is another's
            callback(std::move(result));
        }
        void on_error(Error&& error) && {
            link.reset();
            errback(static_cast<const Error&>(error));
        }
        Callback callback;
        Errback errback;
        std::optional<detail::StopLink> link;
    };

    AsyncResult<T> operation_;
    std::stop_token token_;
};

/// \see StoppableOperation
template <class T>
[[nodiscard]] StoppableOperation<T> stoppable(AsyncResult<T> operation, std::stop_token token) noexcept {
    return StoppableOperation<T>(std::move(operation), std::move(token));
}

}  // namespace chaise
