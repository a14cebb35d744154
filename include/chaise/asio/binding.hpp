#pragma once

/// \file
/// Inner part of the Asio adapter: the one place that decides whether the user's executor is wrapped in a strand,
/// and the executor behind a narrow interface that keeps our handlers' allocators (`any_io_executor` loses them).

#include <chaise/asio/shared.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/bind_executor.hpp>
#include <asio/defer.hpp>
#include <asio/dispatch.hpp>
#include <asio/execution_context.hpp>
#include <asio/io_context.hpp>
#include <asio/query.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <asio/thread_pool.hpp>

#include <memory>
#include <type_traits>
#include <typeinfo>
#include <utility>

namespace chaise {

/// How an AsioIOPS uses the executor it is given.
struct AsioOptions {
    /// The executor never runs two handlers at once (an io_context run by one thread), so no strand is needed.
    /// False by default. A strand is used as it is, and an `asio::io_context` made with concurrency hint 1 counts
    /// as single-threaded, whatever stands here.
    bool single_threaded = false;
};

namespace detail {

class AsioBinding {
public:
    explicit AsioBinding(asio::any_io_executor executor) : executor_(std::move(executor)) {}
    AsioBinding(const AsioBinding&) = delete;
    AsioBinding& operator=(const AsioBinding&) = delete;
    virtual ~AsioBinding() = default;

    /// Runs `turn` later, never inside this call.
    virtual void post(AsioTurn turn) = 0;
    /// Runs `turn` now if this thread runs the strand already.
    virtual void dispatch(AsioTurn turn) = 0;
    /// Waits for `timer`. Bound to the strand by its own type: through `any_io_executor` the completion would be
    /// allocated elsewhere.
    virtual void wait(asio::steady_timer& timer, AsioCompletion completion) = 0;
    /// True as well where the executor has no means to tell.
    [[nodiscard]] virtual bool running_in_this_thread() const noexcept = 0;
    /// The strand, or what takes its place: what every Asio object of ours is made with.
    [[nodiscard]] const asio::any_io_executor& executor() const noexcept { return executor_; }
    [[nodiscard]] virtual asio::execution_context& context() const = 0;

private:
    asio::any_io_executor executor_;
};

template <class Executor>
class AsioBindingOf final : public AsioBinding {
public:
    explicit AsioBindingOf(const Executor& executor) : AsioBinding(executor), executor_(executor) {}

    // defer, not post: the handler that runs now is followed by this one on the same thread, without a lock.
    void post(AsioTurn turn) override { asio::defer(executor_, std::move(turn)); }
    void dispatch(AsioTurn turn) override { asio::dispatch(executor_, std::move(turn)); }
    void wait(asio::steady_timer& timer, AsioCompletion completion) override {
        timer.async_wait(asio::bind_executor(executor_, std::move(completion)));
    }
    bool running_in_this_thread() const noexcept override {
        if constexpr (requires { executor_.running_in_this_thread(); }) {
            return executor_.running_in_this_thread();
        } else {
            return true;
        }
    }
    asio::execution_context& context() const override { return asio::query(executor_, asio::execution::context); }

private:
    Executor executor_;
};

template <class T>
inline constexpr bool is_asio_strand = false;
template <class T>
inline constexpr bool is_asio_strand<asio::strand<T>> = true;

template <class T>
inline constexpr bool is_io_context_executor = false;
template <class Allocator, auto Bits>
inline constexpr bool is_io_context_executor<asio::io_context::basic_executor_type<Allocator, Bits>> = true;

/// Asio has no public question for the concurrency hint; where this one is not understood, the answer is no.
template <class Scheduler = asio::detail::scheduler>
[[nodiscard]] bool has_concurrency_hint_1(asio::execution_context& context) {
    if constexpr (requires(const Scheduler& scheduler) { scheduler.concurrency_hint() == 1; }) {
        return asio::has_service<Scheduler>(context) && asio::use_service<Scheduler>(context).concurrency_hint() == 1;
    } else {
        return false;
    }
}

template <class Executor>
[[nodiscard]] std::unique_ptr<AsioBinding> bind_asio_executor(const Executor& executor, const AsioOptions& options) {
    if constexpr (is_asio_strand<Executor>) {
        return std::make_unique<AsioBindingOf<Executor>>(executor);
    } else {
        bool single = options.single_threaded;
        if constexpr (is_io_context_executor<Executor>) {
            if (!single) single = has_concurrency_hint_1(asio::query(executor, asio::execution::context));
        }
        if (single) return std::make_unique<AsioBindingOf<Executor>>(executor);
        return std::make_unique<AsioBindingOf<asio::strand<Executor>>>(asio::make_strand(executor));
    }
}

/// A type-erased executor is looked into, so that a strand is not put into a second strand (handlers of the user's
/// strand could then not call us) and so that the usual executors do without the type erasure.
[[nodiscard]] inline std::unique_ptr<AsioBinding> bind_asio_executor(const asio::any_io_executor& executor,
                                                                     const AsioOptions& options) {
    std::unique_ptr<AsioBinding> binding;
#if !defined(ASIO_NO_TYPEID)
    const auto try_as = [&]<class Executor>(std::type_identity<Executor>) {
        // Asio 1.22's target() does not look at the type itself.
        if (binding != nullptr || executor.target_type() != typeid(Executor)) return;
        binding = bind_asio_executor(*executor.target<Executor>(), options);
    };
    try_as(std::type_identity<asio::io_context::executor_type>{});
    try_as(std::type_identity<asio::strand<asio::io_context::executor_type>>{});
    try_as(std::type_identity<asio::strand<asio::any_io_executor>>{});
    try_as(std::type_identity<asio::thread_pool::executor_type>{});
    try_as(std::type_identity<asio::strand<asio::thread_pool::executor_type>>{});
#endif
    if (binding == nullptr) binding = bind_asio_executor<asio::any_io_executor>(executor, options);
    return binding;
}

}  // namespace detail
}  // namespace chaise
