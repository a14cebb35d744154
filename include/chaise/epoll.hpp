#pragma once

/// \file
/// chaise's own event loop, on Linux's epoll.

#include <chaise/detail/exit_hook.hpp>
#include <chaise/iops.hpp>

#include <chrono>
#include <concepts>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

namespace chaise {

namespace detail {

/// A callable on its way to a loop.
class Posted {
public:
    Posted() = default;
    Posted(const Posted&) = delete;
    Posted& operator=(const Posted&) = delete;
    virtual ~Posted() = default;
    virtual void run() = 0;

    Posted* next = nullptr;
};

template <class F>
class PostedFunction final : public Posted {
public:
    template <class G>
    explicit PostedFunction(G&& function) : function_(std::forward<G>(function)) {}
    void run() override { std::move(function_)(); }

private:
    F function_;
};

}  // namespace detail

/// An event loop for one thread. It is used from the thread that runs it, except `post`, which any thread may call.
///
/// One turn: wait, deliver I/O, then the timers that are due (a reply that is already in the socket wins over its
/// deadline), then what was posted, then what was deferred. What a handler arms, posts or defers is delivered in a
/// later turn, except that what was deferred outside of the last step still runs before the loop blocks.
///
/// What a handler throws is kept while the rest of the turn is delivered, then leaves `run`, `run_one_turn`, `poll`
/// or the blocking face, one exception per turn. The loop may be run again.
///
/// Source: Couchbase Python SDK 2.x `couchbase.iops` (seed-semantics.md part E); `epoll(7)`.
class EpollLoop {
public:
    /// \throws std::system_error without descriptors for the epoll instance and its wake-up.
    EpollLoop();
    EpollLoop(const EpollLoop&) = delete;
    EpollLoop& operator=(const EpollLoop&) = delete;
    /// Runs the exit hooks, tells every IOPS that is still there, and destroys posted callables unrun.
    ~EpollLoop();

    /// A handle for one bucket or one cluster. It may outlive the loop, and then does nothing.
    [[nodiscard]] std::unique_ptr<IOPS> make_iops();

    /// Runs until `stop` was called, or counted work had been started and all of it has finished, or nothing is
    /// armed, deferred or posted. \throws what a handler threw; std::logic_error inside a handler.
    void run();
    /// One turn that waits for at most `max_wait`, and not at all if nothing is armed. Tells whether a handler was
    /// run. \throws as `run`.
    bool run_one_turn(std::chrono::microseconds max_wait = std::chrono::microseconds::max());
    /// One turn that does not wait. \throws as `run`.
    bool poll() { return run_one_turn(std::chrono::microseconds{0}); }
    /// Makes `run` return after the present turn, or the next `run` return at once. May be called any number of
    /// times. From other threads: `post([&] { loop.stop(); })`.
    void stop() noexcept;

    /// Runs `function` on the loop's thread in a later step, once. Callables need only be movable. Any thread; what
    /// one thread posts keeps its order. Allocates.
    template <class F>
        requires std::invocable<std::decay_t<F>>
    void post(F&& function) {
        post_node(std::make_unique<detail::PostedFunction<std::decay_t<F>>>(std::forward<F>(function)));
    }

    /// Monotonic time, read from the clock.
    [[nodiscard]] TimePoint now() const;

    // ---- for chaise::spawn and the like -----------------------------------------------------------------------

    /// Keeps an exception for the end of this turn.
    void on_exception(std::exception_ptr exception) noexcept;
    /// Counts work that `run` waits for. Work alone does not keep `run` waiting if nothing is armed.
    void work_started() noexcept;
    void work_finished() noexcept;
    /// Has `hook` run when the loop is destroyed, while its IOPS still work.
    void at_exit(ExitHook& hook) noexcept;

    class Impl;

private:
    void post_node(std::unique_ptr<detail::Posted> node);
    std::unique_ptr<Impl> impl_;
};

}  // namespace chaise
