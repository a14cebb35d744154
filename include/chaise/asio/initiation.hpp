#pragma once

/// \file
/// Inner part of the Asio adapter: how an outcome reaches an Asio handler. Not an API.

#include <chaise/asio/iops.hpp>
#include <chaise/async_result.hpp>
#include <chaise/error.hpp>
#include <chaise/expected.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/dispatch.hpp>
#include <asio/executor_work_guard.hpp>

#include <exception>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>

namespace chaise::detail {

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

[[gnu::noinline, gnu::cold]] inline void connect_signal(Slot& slot, asio::cancellation_slot signal) {
    signal.assign([&slot](asio::cancellation_type type) {
        if (type != asio::cancellation_type::none) cancel(slot);
    });
}
/// A signal on the handler's cancellation slot ends the operation from now on. False if none can come.
template <class Handler>
[[nodiscard]] bool cancel_by_signal(Slot& slot, const Handler& handler) {
    const auto signal = asio::get_associated_cancellation_slot(handler);
    if (!signal.is_connected()) [[likely]]
        return false;
    connect_signal(slot, signal);
    return true;
}

/// Takes an outcome to an Asio handler that runs on the bucket's own executor: where outcomes arrive anyway, and where
/// there is work as long as a read is armed.
template <class T, class Handler, bool expected>
class AsioConsumer {
public:
    template <class H>
    AsioConsumer(Slot& slot, H&& handler)
        : handler_(std::forward<H>(handler)), cancellable_(cancel_by_signal(slot, handler_)) {}

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
    bool cancellable_;
};

/// A handler with its arguments, on the way to its executor.
template <class Handler, class... Args>
struct AsioBound {
    using allocator_type = asio::associated_allocator_t<Handler>;
    [[nodiscard]] allocator_type get_allocator() const noexcept { return asio::get_associated_allocator(handler); }
    void operator()() {
        std::apply([this](Args&... args) { std::move(handler)(std::move(args)...); }, arguments);
    }
    Handler handler;
    std::tuple<Args...> arguments;
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
        asio::dispatch(work_.get_executor(), AsioBound<Handler, std::decay_t<Args>...>{std::move(this->handler_),
                                                                                       {std::forward<Args>(args)...}});
    }

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
    [[nodiscard]] Slot* slot() const noexcept { return slot_; }
    [[nodiscard]] AsyncResult<T> arrive() && noexcept { return AsyncResult<T>(release()); }
    /// Gives the handle's share of the slot away.
    [[nodiscard]] Slot* release() noexcept { return std::exchange(slot_, nullptr); }

private:
    [[gnu::noinline, gnu::cold]] void drop() noexcept { const AsyncResult<T> dropped(slot_); }
    Slot* slot_;
};

/// That of a typed operation (typed.hpp), which also knows how its result is decoded.
template <class T>
    requires requires { typename AsyncResult<T>::decodes; }
class InTransit<T> {
public:
    explicit InTransit(AsyncResult<T>&& operation) : operation_(std::move(operation)) {}
    [[nodiscard]] AsyncResult<T> arrive() && { return std::move(operation_); }

private:
    AsyncResult<T> operation_;
};

/// Attaches an Asio handler to its operation.
template <class T, bool expected>
struct AsioInitiation {
    template <class Handler>
    void operator()(Handler&& handler, InTransit<T>&& in_transit) const {
        using H = std::decay_t<Handler>;
        AsyncResult<T> operation = std::move(in_transit).arrive();
        Slot& slot = *operation.slot();
        const auto& iops = static_cast<const AsioIOPS&>(iops_of(slot));
        if (!iops.loop_alive()) [[unlikely]]
            return operation.detach();  // the handler is destroyed uncalled
        const asio::any_io_executor& strand = iops.strand();
        AsioExecutorOf<H> executor = asio::get_associated_executor(handler, strand);
        if (is_same_executor(executor, strand)) {
            operation.template emplace_consumer<AsioConsumer<T, H, expected>>(slot, std::forward<Handler>(handler));
        } else {
            operation.template emplace_consumer<RemoteAsioConsumer<T, H, expected>>(
                slot, std::forward<Handler>(handler), std::move(executor));
        }
    }
};

}  // namespace chaise::detail
