#pragma once

/// \file
/// chaise for Asio: `AsioBucket` takes completion tokens, and `co_await bucket.get("k")` works inside
/// `asio::awaitable`. Standalone Asio 1.22 or newer; header-only, compiled against the user's own Asio.

#include <chaise/asio/iops.hpp>
#include <chaise/chaise.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/dispatch.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/use_awaitable.hpp>

#include <cassert>
#include <exception>
#include <memory>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>

namespace chaise {

/// A completion token that gets the outcome as a value: `void(Expected<T, Error>)`.
template <class Token>
struct AsExpected {
    Token token;
};
/// `auto found = co_await bucket.get("k", chaise::as_expected(asio::use_awaitable));`
template <class Token>
[[nodiscard]] constexpr AsExpected<std::decay_t<Token>> as_expected(Token&& token) {
    return {std::forward<Token>(token)};
}
/// The same for the default token.
[[nodiscard]] constexpr AsExpected<asio::use_awaitable_t<>> as_expected() { return {asio::use_awaitable}; }

namespace detail {

template <class Handler>
using AsioExecutorOf = asio::associated_executor_t<Handler, asio::any_io_executor>;

template <class Executor>
[[nodiscard]] bool is_same_executor(const Executor& executor, const asio::any_io_executor& strand) noexcept {
    if constexpr (std::is_same_v<Executor, asio::any_io_executor>) {
        return executor == strand;
    } else {
#if defined(ASIO_NO_TYPEID)
        return false;  // it goes the longer way
#else
        // Asio 1.22's target() does not look at the type itself.
        return strand.target_type() == typeid(Executor) && *strand.target<Executor>() == executor;
#endif
    }
}

/// Takes an outcome to an Asio handler that runs on the bucket's own executor: where outcomes arrive anyway, and where
/// there is work as long as a read is armed.
template <class T, class Handler, bool expected>
class AsioConsumer {
public:
    template <class H>
    AsioConsumer(Slot& slot, H&& handler) : handler_(std::forward<H>(handler)) {
        auto cancellation = asio::get_associated_cancellation_slot(handler_);
        if (cancellation.is_connected()) {
            cancellable_ = true;
            cancellation.assign([&slot](asio::cancellation_type type) {
                if (type != asio::cancellation_type::none) cancel(slot);
            });
        }
    }

    void on_result(T&& result) && {
        forget_cancellation();
        if constexpr (expected) {
            std::move(handler_)(Expected<T, Error>(std::move(result)));
        } else {
            std::move(handler_)(std::exception_ptr(), std::move(result));
        }
    }
    void on_error(Error&& error) && {
        forget_cancellation();
        if constexpr (expected) {
            std::move(handler_)(Expected<T, Error>(Unexpected<Error>(std::move(error))));
        } else {
            std::move(handler_)(make_exception_ptr(std::move(error)), T());
        }
    }
    /// A signal that lives on must not find the slot.
    void on_abandoned() && { forget_cancellation(); }

protected:
    void forget_cancellation() {
        if (cancellable_) asio::get_associated_cancellation_slot(handler_).clear();
    }
    Handler handler_;

private:
    bool cancellable_ = false;
};

/// The same for a handler with an executor of its own, which is kept at work until then.
template <class T, class Handler, bool expected>
class RemoteAsioConsumer final : AsioConsumer<T, Handler, expected> {
public:
    template <class H>
    RemoteAsioConsumer(Slot& slot, H&& handler, AsioExecutorOf<Handler> executor)
        : AsioConsumer<T, Handler, expected>(slot, std::forward<H>(handler)), work_(std::move(executor)) {}

    void on_result(T&& result) && {
        if constexpr (expected) {
            std::move(*this).dispatch(Expected<T, Error>(std::move(result)));
        } else {
            std::move(*this).dispatch(std::exception_ptr(), std::move(result));
        }
    }
    void on_error(Error&& error) && {
        if constexpr (expected) {
            std::move(*this).dispatch(Expected<T, Error>(Unexpected<Error>(std::move(error))));
        } else {
            std::move(*this).dispatch(make_exception_ptr(std::move(error)), T());
        }
    }
    using AsioConsumer<T, Handler, expected>::on_abandoned;

private:
    template <class... Args>
    void dispatch(Args&&... args) && {
        this->forget_cancellation();
        asio::dispatch(work_.get_executor(),
                       Bound<std::decay_t<Args>...>{std::move(this->handler_), {std::forward<Args>(args)...}});
    }

    /// The handler with its arguments, on the way to its executor.
    template <class... Args>
    struct Bound {
        using allocator_type = asio::associated_allocator_t<Handler>;
        [[nodiscard]] allocator_type get_allocator() const noexcept { return asio::get_associated_allocator(handler); }
        void operator()() {
            std::apply([this](Args&... args) { std::move(handler)(std::move(args)...); }, arguments);
        }
        Handler handler;
        std::tuple<Args...> arguments;
    };

    asio::executor_work_guard<AsioExecutorOf<Handler>> work_;
};

/// An operation on its way through Asio, which moves it often: moves and what they leave behind cost next to nothing.
template <class T>
class InTransit {
public:
    explicit InTransit(AsyncResult<T>&& operation) noexcept : slot_(operation.release()) {}
    InTransit(InTransit&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}
    InTransit& operator=(InTransit&&) = delete;
    ~InTransit() {
        if (slot_) [[unlikely]]
            drop();
    }
    [[nodiscard]] AsyncResult<T> arrive() && noexcept { return AsyncResult<T>(std::exchange(slot_, nullptr)); }

private:
    [[gnu::noinline, gnu::cold]] void drop() noexcept { const AsyncResult<T> dropped(slot_); }
    Slot* slot_;
};

}  // namespace detail

/// What turns operations into asynchronous operations of Asio. The operation starts at the call; its AsyncResult
/// travels as an argument of the initiation.
class AsioFace {
public:
    explicit AsioFace(AsioIOPS& iops) : iops_(&iops) {}

    template <class T, class Token = asio::use_awaitable_t<>>
    auto wrap(AsyncResult<T> operation, Token&& token = {}) {
        assert_on_strand();
        return asio::async_initiate<Token, void(std::exception_ptr, T)>(Initiation<T, false>{}, token,
                                                                        detail::InTransit<T>(std::move(operation)));
    }
    template <class T, class Token>
    auto wrap(AsyncResult<T> operation, AsExpected<Token> token) {
        assert_on_strand();
        return asio::async_initiate<Token, void(Expected<T, Error>)>(Initiation<T, true>{}, token.token,
                                                                     detail::InTransit<T>(std::move(operation)));
    }
    /// Empty once the context is destroyed.
    [[nodiscard]] asio::any_io_executor get_executor() const { return iops_->get_executor(); }

private:
    template <class T, bool expected>
    struct Initiation {
        template <class Handler>
        void operator()(Handler&& handler, detail::InTransit<T>&& in_transit) const {
            using H = std::decay_t<Handler>;
            AsyncResult<T> operation = std::move(in_transit).arrive();
            detail::Slot& slot = *operation.slot();
            const auto& iops = static_cast<const AsioIOPS&>(detail::iops_of(slot));
            if (!iops.loop_alive()) [[unlikely]]
                return operation.detach();  // the handler is destroyed uncalled
            const asio::any_io_executor& strand = iops.strand();
            detail::AsioExecutorOf<H> executor = asio::get_associated_executor(handler, strand);
            if (detail::is_same_executor(executor, strand)) {
                operation.template emplace_consumer<detail::AsioConsumer<T, H, expected>>(
                    slot, std::forward<Handler>(handler));
            } else {
                operation.template emplace_consumer<detail::RemoteAsioConsumer<T, H, expected>>(
                    slot, std::forward<Handler>(handler), std::move(executor));
            }
        }
    };

    /// Calls before the loop first runs come from whatever thread makes the bucket; later ones belong on the strand.
    void assert_on_strand() const {
        assert(!iops_->has_run() || !iops_->loop_alive() || iops_->running_in_this_thread());
    }

    AsioIOPS* iops_;
};

/// The bucket of Asio services (seed: acouchbase.Bucket).
///
/// Every operation takes a completion token last; the default is `asio::use_awaitable`:
/// - `co_await bucket.get("k")` gives a ValueResult or throws the exception of the error's class (error.hpp);
/// - any other token (`asio::use_future`, a handler `void(std::exception_ptr, ValueResult)`, …);
/// - `chaise::as_expected(token)`: `void(Expected<ValueResult, Error>)`, no exceptions.
///
/// The operation starts at the call, not at the co_await. Handlers run on their associated executor, with their
/// allocator; a signal on their cancellation slot, emitted on `get_executor()`, ends the operation with
/// `errc::cancelled`. Handlers that wait when the io_context is destroyed are destroyed uncalled, as Asio's are.
///
/// Threads: the executor is wrapped in a strand unless it is known to be single-threaded (AsioOptions; an
/// `io_context{1}` is). Every call belongs on `get_executor()`, except those before the loop first runs; debug builds
/// assert it. The constructor may be called on any thread, also while others run the loop (a thread_pool always
/// does), and so may get_executor(). While the bucket is open it keeps `io_context::run()` from returning; `close()`
/// ends that.
class AsioBucket : public BasicBucket<AsioFace> {
public:
    /// `where`: an `asio::io_context`, an `asio::thread_pool` or any executor.
    /// \throws InvalidError, ArgumentError, NotSupportedError for the connection string and the options.
    template <class Where>
        requires requires(Where& where, const AsioOptions& options) { make_asio_iops(where, options); }
    AsioBucket(Where&& where, std::string_view connection_string, const BucketOptions& options = {},
               const AsioOptions& asio_options = {})
        : AsioBucket(make_asio_iops(where, asio_options).release(), connection_string, options) {}

    /// Where calls belong, and where outcomes arrive. Empty once the context is destroyed.
    [[nodiscard]] asio::any_io_executor get_executor() { return face().get_executor(); }

private:
    /// Takes over `iops`; by a plain pointer, because the face is made from it while the bucket gets it.
    AsioBucket(AsioIOPS* iops, std::string_view connection_string, const BucketOptions& options)
        : BasicBucket(AsioFace(*iops), std::unique_ptr<IOPS>((iops->hold_turns(), iops)), connection_string, options) {
        iops->release_turns();
    }
};

}  // namespace chaise
