#pragma once

// A loop without an operating system: time is a number, the network is what the test says. Every step is the test's.

#include "tests/unit/engine/script_net.hpp"

#include <chaise/detail/exit_hook.hpp>
#include <chaise/iops.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <list>
#include <memory>
#include <utility>

namespace chaise::testing {

class ScriptIops;
class ScriptTimer;

class ScriptLoop {
public:
    ScriptLoop();
    ScriptLoop(const ScriptLoop&) = delete;
    ScriptLoop& operator=(const ScriptLoop&) = delete;
    ~ScriptLoop();

    ScriptNet net;

    [[nodiscard]] std::unique_ptr<IOPS> make_iops();
    [[nodiscard]] TimePoint now() const { return now_; }
    WallTime wall{std::chrono::seconds{1'700'000'000}};

    /// One turn: I/O, timers that are due, what was posted, what was deferred. Tells whether anything was done.
    bool turn();
    /// Turns until nothing is left to do at this time.
    void run();
    /// Time passes; what becomes due happens at its time.
    void advance(Duration by);
    /// Time passes unnoticed.
    void jump(Duration by) { now_ += by; }

    // What chaise::spawn wants.
    template <class F>
    void post(F&& function) {
        posted_.push_back(std::make_unique<Function<std::decay_t<F>>>(std::forward<F>(function)));
    }
    void on_exception(std::exception_ptr exception) noexcept;
    void work_started() noexcept { ++work; }
    void work_finished() noexcept { --work; }
    void at_exit(ExitHook& hook) noexcept { hooks_.add(hook); }

    int work = 0;
    unsigned turns = 0;
    [[nodiscard]] std::size_t armed_timers() const { return armed_->size(); }
    [[nodiscard]] bool in_turn() const { return in_turn_; }

private:
    friend class ScriptIops;
    struct Callable {
        virtual ~Callable() = default;
        virtual void call() = 0;
    };
    template <class F>
    struct Function final : Callable {
        explicit Function(F f) : function(std::move(f)) {}
        void call() override { function(); }
        F function;
    };

    template <class F>
    void guarded(F&& function);
    void rethrow();

    bool deliver_io();
    void look_up(ScriptNet::Step& step);
    void resolve(ScriptNet::Step& step);
    void connect(ScriptNet::Step& step);
    void read(Link& link);
    bool deliver_timers();
    bool deliver_posted();
    bool deliver_deferred();

    TimePoint now_{std::chrono::hours(1)};
    bool in_turn_ = false;
    std::shared_ptr<std::list<ScriptTimer*>> armed_ = std::make_shared<std::list<ScriptTimer*>>();
    std::shared_ptr<std::list<ScriptTimer*>> deferred_ = std::make_shared<std::list<ScriptTimer*>>();
    std::deque<std::unique_ptr<Callable>> posted_;
    std::deque<std::exception_ptr> exceptions_;
    std::list<ScriptIops*> iops_;
    ExitHooks hooks_;
    std::uint64_t random_ = 12345;
};

}  // namespace chaise::testing
