#pragma once

/// \file
/// chaise inside the user's Asio: an IOPS on an `asio::io_context`, an `asio::thread_pool` or any other executor.
///
/// Header-only, so that it is compiled against the user's own Asio: standalone, 1.22 or newer.

#include <chaise/asio/binding.hpp>
#include <chaise/asio/core.hpp>
#include <chaise/asio/events.hpp>
#include <chaise/asio/transport.hpp>
#include <chaise/iops.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/execution_context.hpp>
#include <asio/post.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

namespace chaise {

namespace detail {

/// On this thread a coroutine is being resumed by an IOPS whose strand is its executor: it need not be asked for it
/// again when it awaits the next operation.
class AsioResumption {
public:
    AsioResumption(const IOPS* iops, const void* coroutine) noexcept
        : iops_(iops), coroutine_(coroutine), outer_(std::exchange(innermost_, this)) {}
    AsioResumption(const AsioResumption&) = delete;
    AsioResumption& operator=(const AsioResumption&) = delete;
    ~AsioResumption() { innermost_ = outer_; }
    [[nodiscard]] static bool is(const IOPS* iops, const void* coroutine) noexcept {
        return innermost_ && innermost_->coroutine_ == coroutine && innermost_->iops_ == iops;
    }
    /// Another may have its address.
    static void forget(const IOPS* iops) noexcept {
        for (AsioResumption* one = innermost_; one; one = one->outer_) {
            if (one->iops_ == iops) one->iops_ = nullptr;
        }
    }

private:
    inline static constinit thread_local AsioResumption* innermost_ = nullptr;
    const IOPS* iops_;
    const void* const coroutine_;
    AsioResumption* const outer_;
};

}  // namespace detail

/// An IOPS in a loop that the user owns and runs.
///
/// Threads: everything runs on one strand (see AsioOptions), and everything must be called on it, the constructor
/// excepted; also what a call on this IOPS's transports and events is. Until the loop runs for the first time, any
/// one thread may call.
///
/// Life: an armed read, timer or watch is work that keeps `io_context::run()` from returning; nothing else of this
/// class is, and nothing after its destruction. When the context is destroyed first, the LoopObserver is told once,
/// from the context's destructor; all sockets are closed by then, and later calls do nothing.
///
/// Nothing is allocated per read, write, timer or deferred call once the objects exist, except that a handler that
/// changes threads on its way to the strand may cost Asio an allocation of its own.
///
/// What a callback throws is thrown out of the `run()` of the context, from whichever thread runs the strand;
/// `asio::thread_pool` ends the program then, as it does for any handler.
class AsioIOPS final : public IOPS {
public:
    template <class Executor>
        requires std::is_convertible_v<const Executor&, asio::any_io_executor>
    explicit AsioIOPS(const Executor& executor, const AsioOptions& options = {})
        : core_(new detail::AsioCore(detail::bind_asio_executor(executor, options))), transports_(*core_, *this) {
        core_->set_owner(this, [](void* self) { static_cast<AsioIOPS*>(self)->notify_loop_destroyed(); });
    }
    ~AsioIOPS() override {
        detail::AsioResumption::forget(this);
        core_->close();
    }

    /// The strand; the executor that was given, if that is single-threaded or a strand. Whatever calls into the
    /// bucket is to run on it. Empty once the context is destroyed.
    [[nodiscard]] asio::any_io_executor get_executor() const {
        return core_->loop_alive() ? core_->binding().executor() : asio::any_io_executor();
    }
    /// The same, without a copy; only while the context lives.
    [[nodiscard]] const asio::any_io_executor& strand() const noexcept { return core_->binding().executor(); }
    /// Whether this thread runs the strand now. True as well where that can't be known: on a single-threaded
    /// executor of a type without `running_in_this_thread()`.
    [[nodiscard]] bool running_in_this_thread() const noexcept {
        return core_->loop_alive() && core_->binding().running_in_this_thread();
    }
    /// The context has run, at least once: from then on calls belong on the strand.
    [[nodiscard]] bool has_run() const noexcept { return core_->has_run(); }
    /// For who makes this IOPS's owner on one thread while others run the loop already: after hold_turns(), what
    /// is scheduled and deferred (nothing else may be asked for) waits for release_turns(), the last call off the
    /// strand.
    void hold_turns() noexcept { core_->hold_turns(); }
    void release_turns() { core_->release_turns(); }
    /// False once the context is destroyed.
    [[nodiscard]] bool loop_alive() const noexcept { return core_->loop_alive(); }

    void update_event(IOEvent& event, EventAction action, int flags) override {
        detail::AsioDescriptorWatch& watch = static_cast<detail::AsioIOEvent&>(event).watch();
        switch (action) {
            case EventAction::watch:
                return watch.watch(event.fd(), flags);
            case EventAction::unwatch:
                return watch.unwatch();
            case EventAction::cleanup:
                return watch.give_back();
        }
    }
    void update_timer(TimerEvent& event, EventAction action, std::chrono::microseconds delay) override {
        auto& timer = static_cast<detail::AsioTimerEvent&>(event);
        if (action == EventAction::watch) {
            core_->schedule(timer, delay);
        } else {
            core_->cancel(timer);
        }
    }
    void update_deferred(TimerEvent& event) override { core_->defer(static_cast<detail::AsioTimerEvent&>(event)); }
    [[nodiscard]] std::unique_ptr<IOEvent> io_event_factory() override {
        return std::make_unique<detail::AsioIOEvent>(*core_);
    }
    [[nodiscard]] std::unique_ptr<TimerEvent> timer_event_factory() override {
        return std::make_unique<detail::AsioTimerEvent>();
    }
    [[nodiscard]] TimePoint now() override { return detail::AsioCore::now(); }
    [[nodiscard]] TransportFactory& transport_factory() override { return transports_; }
    /// Dropped if the context is destroyed: there is no `run()` left to throw from.
    void on_exception(std::exception_ptr exception) noexcept override {
        if (!core_->loop_alive()) return;
        asio::post(core_->binding().executor(),
                   [exception = std::move(exception)]() mutable { std::rethrow_exception(std::move(exception)); });
    }

private:
    detail::AsioRef<detail::AsioCore> core_;
    detail::AsioTransportFactory transports_;
};

/// An IOPS for one bucket on `executor`. \see AsioOptions
template <class Executor>
    requires std::is_convertible_v<const Executor&, asio::any_io_executor>
[[nodiscard]] std::unique_ptr<AsioIOPS> make_asio_iops(const Executor& executor, const AsioOptions& options = {}) {
    return std::make_unique<AsioIOPS>(executor, options);
}

/// An IOPS for one bucket on an `asio::io_context` or `asio::thread_pool`.
template <class Context>
    requires std::is_convertible_v<Context&, asio::execution_context&>
[[nodiscard]] std::unique_ptr<AsioIOPS> make_asio_iops(Context& context, const AsioOptions& options = {}) {
    return std::make_unique<AsioIOPS>(context.get_executor(), options);
}

}  // namespace chaise
