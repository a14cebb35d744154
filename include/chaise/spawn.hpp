#pragma once

/// \file
/// `chaise::spawn(loop, task)`: a root coroutine on one of chaise's loops (`EpollLoop`, `SimWorld`).

#include <chaise/detail/exit_hook.hpp>
#include <chaise/task.hpp>

#include <coroutine>
#include <exception>
#include <utility>

namespace chaise {

namespace detail {

/// The coroutine at the root of a chain of tasks. It owns itself, until it ends or its loop does.
template <class L>
struct Root {
    class promise_type : public ExitHook {
    public:
        promise_type(L& loop, Task<void>&) : ExitHook(&promise_type::destroy) { loop.at_exit(*this); }
        [[nodiscard]] Root get_return_object() noexcept {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
        [[nodiscard]] std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept { std::terminate(); }  // run() catches everything

    private:
        static void destroy(ExitHook& hook) noexcept {
            std::coroutine_handle<promise_type>::from_promise(static_cast<promise_type&>(hook)).destroy();
        }
    };
    std::coroutine_handle<> handle;

    static Root run(L& loop, Task<void> task) {
        try {
            co_await task;
        } catch (...) {
            loop.on_exception(std::current_exception());
        }
        loop.work_finished();
    }
};

}  // namespace detail

/// Starts `task` on the loop's next turn. The loop counts it: `run()` returns when all that was spawned has ended.
/// What the task throws leaves `run()`. If the loop is destroyed first, so is the task, at whatever point it waits.
///
/// Thread rule: the loop's thread.
template <class L>
void spawn(L& loop, Task<void> task) {
    const std::coroutine_handle<> root = detail::Root<L>::run(loop, std::move(task)).handle;
    loop.work_started();
    loop.post([root] { root.resume(); });
}

}  // namespace chaise
