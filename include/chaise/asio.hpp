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

/// Takes an outcome to an Asio handler: on the handler's executor, with its allocator and cancellation slot.
template <class T, class Handler, bool expected>
class AsioConsumer {
public:
    using Executor = asio::associated_executor_t<Handler, asio::any_io_executor>;
    using CancellationSlot = asio::associated_cancellation_slot_t<Handler>;

    AsioConsumer(Handler handler, const asio::any_io_executor& strand) : handler_(std::move(handler)) {
        Executor executor = asio::get_associated_executor(handler_, strand);
        // The bucket's own executor is where outcomes arrive, and has work as long as a read is armed.
        if (!same(executor, strand)) work_.emplace(std::move(executor));
    }

    void cancel_with(Slot& slot) {
        CancellationSlot cancellation = asio::get_associated_cancellation_slot(handler_);
        if (cancellation.is_connected()) {
            cancellation.assign([&slot](asio::cancellation_type type) {
                if (type != asio::cancellation_type::none) cancel(slot);
            });
        }
    }
    [[nodiscard]] const Handler& handler() const noexcept { return handler_; }

    void on_result(T&& result) && {
        if constexpr (expected) {
            std::move(*this).complete(Expected<T, Error>(std::move(result)));
        } else {
            std::move(*this).complete(std::exception_ptr(), std::move(result));
        }
    }
    void on_error(Error&& error) && {
        if constexpr (expected) {
            std::move(*this).complete(Expected<T, Error>(Unexpected<Error>(std::move(error))));
        } else {
            std::move(*this).complete(make_exception_ptr(std::move(error)), T());
        }
    }

private:
    static bool same(const Executor& executor, const asio::any_io_executor& strand) noexcept {
        if constexpr (std::is_same_v<Executor, asio::any_io_executor>) {
            return executor == strand;
        } else {
            const Executor* target = strand.target<Executor>();
            return target != nullptr && *target == executor;
        }
    }

    template <class... Args>
    void complete(Args&&... args) && {
        CancellationSlot cancellation = asio::get_associated_cancellation_slot(handler_);
        if (cancellation.is_connected()) cancellation.clear();
        Handler handler(std::move(handler_));
        if (!work_) return std::move(handler)(std::forward<Args>(args)...);
        const Executor executor = work_->get_executor();
        asio::dispatch(executor, Bound<std::decay_t<Args>...>{std::move(handler), {std::forward<Args>(args)...}});
    }

    /// The handler with its arguments, on the way to another executor.
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

    Handler handler_;
    std::optional<asio::executor_work_guard<Executor>> work_;
};

}  // namespace detail

/// What turns operations into asynchronous operations of Asio. The operation starts at the call; its AsyncResult
/// travels as an argument of the initiation.
class AsioFace {
public:
    explicit AsioFace(AsioIOPS& iops) : iops_(&iops), strand_(iops.get_executor()) {}

    template <class T, class Token = asio::use_awaitable_t<>>
    auto wrap(AsyncResult<T> operation, Token&& token = {}) {
        assert_on_strand();
        return asio::async_initiate<Token, void(std::exception_ptr, T)>(Initiation<T, false>{strand_}, token,
                                                                        std::move(operation));
    }
    template <class T, class Token>
    auto wrap(AsyncResult<T> operation, AsExpected<Token> token) {
        assert_on_strand();
        return asio::async_initiate<Token, void(Expected<T, Error>)>(Initiation<T, true>{strand_}, token.token,
                                                                     std::move(operation));
    }
    [[nodiscard]] const asio::any_io_executor& get_executor() const noexcept { return strand_; }

private:
    template <class T, bool expected>
    struct Initiation {
        using executor_type = asio::any_io_executor;
        [[nodiscard]] executor_type get_executor() const noexcept { return strand; }

        template <class Handler>
        void operator()(Handler&& handler, AsyncResult<T> operation) const {
            using Consumer = detail::AsioConsumer<T, std::decay_t<Handler>, expected>;
            Consumer consumer(std::forward<Handler>(handler), strand);
            consumer.cancel_with(*operation.slot());
            operation.consume(std::move(consumer));
        }
        asio::any_io_executor strand;
    };

    /// Calls before the loop first runs come from whatever thread makes the bucket; later ones belong on the strand.
    void assert_on_strand() const {
        assert(!iops_->has_run() || iops_->running_in_this_thread());
    }

    AsioIOPS* iops_;
    asio::any_io_executor strand_;
};

/// The bucket of Asio services (seed: acouchbase.Bucket).
///
/// Every operation takes a completion token last; the default is `asio::use_awaitable`:
/// - `co_await bucket.get("k")` gives a ValueResult or throws the exception of the error's class (error.hpp);
/// - any other token (`asio::use_future`, a handler `void(std::exception_ptr, ValueResult)`, …);
/// - `chaise::as_expected(token)`: `void(Expected<ValueResult, Error>)`, no exceptions.
///
/// The operation starts at the call. Handlers run on their associated executor, with their allocator; a signal on
/// their cancellation slot ends the operation with `errc::cancelled`.
///
/// Threads: the executor is wrapped in a strand unless it is known to be single-threaded (AsioOptions; an
/// `io_context{1}` is). Every call belongs on `get_executor()`, except those before the loop first runs; debug builds
/// assert it. While the bucket is open it keeps `io_context::run()` from returning; `close()` ends that.
class AsioBucket : public BasicBucket<AsioFace> {
public:
    /// `where`: an `asio::io_context`, an `asio::thread_pool` or any executor.
    /// \throws InvalidError, ArgumentError, NotSupportedError for the connection string and the options.
    template <class Where>
        requires requires(Where& where, const AsioOptions& options) { make_asio_iops(where, options); }
    AsioBucket(Where&& where, std::string_view connection_string, const BucketOptions& options = {},
               const AsioOptions& asio_options = {})
        : AsioBucket(make_asio_iops(where, asio_options).release(), connection_string, options) {}

    /// Where calls belong, and where outcomes arrive.
    [[nodiscard]] asio::any_io_executor get_executor() { return face().get_executor(); }

private:
    /// Takes over `iops`; by a plain pointer, because the face is made from it while the bucket gets it.
    AsioBucket(AsioIOPS* iops, std::string_view connection_string, const BucketOptions& options)
        : BasicBucket(AsioFace(*iops), std::unique_ptr<IOPS>(iops), connection_string, options) {}
};

}  // namespace chaise
