#pragma once

/// \file
/// chaise for Asio: `AsioBucket` takes completion tokens, and `co_await bucket.get("k")` works inside
/// `asio::awaitable`. Standalone Asio 1.22 or newer; header-only, compiled against the user's own Asio.

#include <chaise/asio/awaitable.hpp>
#include <chaise/asio/expected_token.hpp>
#include <chaise/asio/initiation.hpp>
#include <chaise/asio/iops.hpp>
#include <chaise/asio/rows.hpp>
#include <chaise/chaise.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/use_awaitable.hpp>

#include <cassert>
#include <exception>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace chaise {

/// What turns operations into asynchronous operations of Asio. The operation starts at the call; its AsyncResult
/// travels as an argument of the initiation.
class AsioFace {
public:
    explicit AsioFace(AsioIOPS& iops) : iops_(&iops) {}

    /// Typed operations (typed.hpp) go Asio's own way: their results are decoded on the way.
    template <class T>
        requires requires { typename AsyncResult<T>::decodes; }
    [[nodiscard]] asio::awaitable<T> wrap(AsyncResult<T> operation) {
        return wrap(std::move(operation), asio::use_awaitable);
    }
    template <class T>
        requires requires { typename AsyncResult<T>::decodes; }
    [[nodiscard]] asio::awaitable<Expected<T, Error>> wrap(AsyncResult<T> operation, AsExpected<void>) {
        return wrap(std::move(operation), as_expected(asio::use_awaitable));
    }
    template <class T>
    [[nodiscard]] AsioAwaitable<T> wrap(AsyncResult<T> operation) {
        assert_on_strand();
        return AsioAwaitable<T>(std::move(operation));
    }
    template <class T, class Token>
    auto wrap(AsyncResult<T> operation, Token&& token) {
        assert_on_strand();
        return asio::async_initiate<Token, void(std::exception_ptr, T)>(detail::AsioInitiation<T, false>{}, token,
                                                                        detail::InTransit<T>(std::move(operation)));
    }
    template <class T>
    [[nodiscard]] AsioAwaitable<Expected<T, Error>> wrap(AsyncResult<T> operation, AsExpected<void>) {
        assert_on_strand();
        return AsioAwaitable<Expected<T, Error>>(std::move(operation));
    }
    template <class T, class Token>
    auto wrap(AsyncResult<T> operation, AsExpected<Token> token) {
        assert_on_strand();
        return asio::async_initiate<Token, void(Expected<T, Error>)>(detail::AsioInitiation<T, true>{}, token.token,
                                                                     detail::InTransit<T>(std::move(operation)));
    }
    [[nodiscard]] AsioRows rows(std::unique_ptr<detail::RowSource> source) {
        assert_on_strand();
        return AsioRows(*iops_, std::move(source));
    }
    /// Empty once the context is destroyed.
    [[nodiscard]] asio::any_io_executor get_executor() const { return iops_->get_executor(); }

private:
    /// Calls before the loop first runs come from whatever thread makes the bucket; later ones belong on the strand.
    void assert_on_strand() const {
        assert(!iops_->has_run() || !iops_->loop_alive() || iops_->running_in_this_thread());
    }

    AsioIOPS* iops_;
};

/// What AsioBucket gives.
using AsioCollection = BasicCollection<AsioFace>;
using AsioScope = BasicScope<AsioFace>;
using AsioViewPages = BasicViewPages<AsioFace>;

/// The bucket of Asio services (seed: acouchbase.Bucket).
///
/// Every operation takes a completion token last:
/// - without one, `co_await bucket.get("k")` in any `asio::awaitable` gives a ValueResult or throws the exception of
///   the error's class (error.hpp). What is awaited is an AsioAwaitable, which becomes an
///   `asio::awaitable<ValueResult>` where one is asked for, and is taken by Asio's `||` and `&&`;
/// - with one (`asio::use_awaitable`, `asio::use_future`, a handler `void(std::exception_ptr, ValueResult)`, …), what
///   Asio makes of it;
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
