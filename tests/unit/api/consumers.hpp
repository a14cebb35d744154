#pragma once

// Consumers for tests: captures that are counted, and a coroutine that the test can destroy.

#include <chaise/async_bucket.hpp>

#include <coroutine>
#include <exception>
#include <utility>

namespace chaise::testing {

/// How many of it live; a copy or a double destruction shows.
class Counted {
public:
    static inline int alive = 0;
    static inline int made = 0;
    Counted() { ++alive, ++made; }
    Counted(const Counted&) { ++alive, ++made; }
    Counted(Counted&&) noexcept { ++alive, ++made; }
    Counted& operator=(const Counted&) = default;
    Counted& operator=(Counted&&) noexcept = default;
    ~Counted() { --alive; }
};

/// A coroutine that keeps its frame and throws into whoever resumed it: someone's own coroutine type. `go` starts it.
class Script {
public:
    struct promise_type {
        Script get_return_object() { return Script(std::coroutine_handle<promise_type>::from_promise(*this)); }
        std::suspend_always initial_suspend() const noexcept { return {}; }
        std::suspend_always final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() const { throw; }
    };
    Script() = default;
    Script(Script&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
    Script& operator=(Script&& other) noexcept {
        std::swap(coroutine_, other.coroutine_);
        return *this;
    }
    ~Script() { destroy(); }
    void destroy() {
        if (auto coroutine = std::exchange(coroutine_, nullptr)) coroutine.destroy();
    }
    [[nodiscard]] bool done() const { return coroutine_.done(); }
    void resume() const { coroutine_.resume(); }

private:
    explicit Script(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}
    std::coroutine_handle<promise_type> coroutine_;
};

[[nodiscard]] inline Script go(Script script) {
    script.resume();
    return script;
}

}  // namespace chaise::testing
