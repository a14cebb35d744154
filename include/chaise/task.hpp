#pragma once

/// \file
/// `Task<T>`: a coroutine type for those who have none, and `spawn(loop, task)` to start one on a loop of chaise's.

#include <concepts>
#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>

namespace chaise {

template <class T = void>
class Task;

namespace detail {

class TaskPromiseBase {
public:
    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }

    struct FinalAwaiter {
        [[nodiscard]] bool await_ready() const noexcept { return false; }
        template <class P>
        [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<P> self) const noexcept {
            const std::coroutine_handle<> waiting = self.promise().continuation_;
            return waiting ? waiting : std::noop_coroutine();
        }
        void await_resume() const noexcept {}
    };
    [[nodiscard]] FinalAwaiter final_suspend() const noexcept { return {}; }

    void set_continuation(std::coroutine_handle<> waiting) noexcept { continuation_ = waiting; }
    /// True the first time.
    [[nodiscard]] bool start() noexcept { return !std::exchange(started_, true); }

private:
    std::coroutine_handle<> continuation_;
    bool started_ = false;
};

template <class T>
class TaskPromise final : public TaskPromiseBase {
public:
    [[nodiscard]] Task<T> get_return_object() noexcept;
    template <std::convertible_to<T> U>
    void return_value(U&& value) {
        outcome_.template emplace<1>(std::forward<U>(value));
    }
    void unhandled_exception() noexcept { outcome_.template emplace<2>(std::current_exception()); }
    [[nodiscard]] T take() {
        if (outcome_.index() == 2) std::rethrow_exception(std::get<2>(outcome_));
        return std::move(std::get<1>(outcome_));
    }

private:
    std::variant<std::monostate, T, std::exception_ptr> outcome_;
};

template <>
class TaskPromise<void> final : public TaskPromiseBase {
public:
    [[nodiscard]] Task<void> get_return_object() noexcept;
    void return_void() noexcept {}
    void unhandled_exception() noexcept { exception_ = std::current_exception(); }
    void take() const {
        if (exception_) std::rethrow_exception(exception_);
    }

private:
    std::exception_ptr exception_;
};

}  // namespace detail

/// A lazy coroutine: it starts when it is awaited (once), and gives its value, or throws what it threw, to who
/// awaits it. Destroying a Task destroys its coroutine, at whatever point it waits; operations that it awaits are
/// abandoned. A Task that lives outside of the coroutine that awaits it must outlive it, or end first.
///
/// Awaiting a million tasks that finish at once in a loop needs no stack: the child runs inside the awaiting call,
/// and the parent goes on without suspending if the child is done (GCC 12's symmetric transfer is a tail call only with
/// optimisation; see compiler-traps.md).
template <class T>
class [[nodiscard("a Task does nothing until it is awaited or spawned")]] Task {
public:
    using promise_type = detail::TaskPromise<T>;
    using value_type = T;

    Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
    Task& operator=(Task&& other) noexcept {
        if (this != &other) {
            if (coroutine_) coroutine_.destroy();
            coroutine_ = std::exchange(other.coroutine_, nullptr);
        }
        return *this;
    }
    ~Task() {
        if (coroutine_) coroutine_.destroy();
    }

    class Awaiter {
    public:
        explicit Awaiter(std::coroutine_handle<promise_type> child) noexcept : child_(child) {}
        [[nodiscard]] bool await_ready() const {
            if (!child_ || !child_.promise().start()) throw std::logic_error("chaise: a Task can be awaited once");
            return false;
        }
        /// Runs the child; true if it waits for something, so that the parent must, too.
        [[nodiscard]] bool await_suspend(std::coroutine_handle<> parent) const {
            child_.resume();
            if (child_.done()) return false;
            child_.promise().set_continuation(parent);
            return true;
        }
        T await_resume() const { return child_.promise().take(); }

    private:
        std::coroutine_handle<promise_type> child_;
    };
    [[nodiscard]] Awaiter operator co_await() && noexcept { return Awaiter(coroutine_); }
    [[nodiscard]] Awaiter operator co_await() & noexcept { return Awaiter(coroutine_); }

private:
    friend promise_type;
    explicit Task(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}
    std::coroutine_handle<promise_type> coroutine_;
};

namespace detail {

template <class T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
    return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() noexcept {
    return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

}  // namespace detail

}  // namespace chaise
