#pragma once

#include "bucket/core.hpp"
#include "bucket/parts.hpp"

#include <chaise/task.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <utility>

namespace chaise::detail {

/// An operation of the user's that is written as a coroutine, of requests that have no slots. A pause is its one part,
/// which ends in a turn of its own when the coroutine has ended: so its frame is never destroyed inside itself.
template <class T>
class TaskParts final : public Parts {
public:
    /// Given the time that it has, by which it ends itself.
    using Run = std::function<Task<T>(Duration)>;

    /// `changes`: when it does not end by itself, it may have happened.
    TaskParts(Run run, bool changes) : run_(std::move(run)), changes_(changes) {}

    void start(Core& core, Slot& whole, Duration left) override {
        core_ = &core;
        pause_ = &core.add_part(whole, OperationKind::pause, protocol::Opcode::noop);
        core.pause(*pause_, left + grace);
        auto runs = task_.emplace(outcome(left)).operator co_await();
        if (!runs.await_ready()) static_cast<void>(runs.await_suspend(std::noop_coroutine()));
    }
    void done(std::size_t, OperationKind, void*, Error* error) override {
        pause_ = nullptr;
        if (error && !result_ && !error_) error_ = attach_to(std::move(*error));
    }
    void finish(Core& core, Slot& whole) override {
        if (result_) return core.deliver(whole, *result_);
        Error late =
            error_
                ? std::move(*error_)
                : attach_to(core.make_error_of_whole(whole, errc::timeout_after_send, "it was not done in time", {}));
        core.deliver_error(whole, late);
    }
    [[nodiscard]] Error attach_to(Error error) override {
        if (!changes_ || !task_) return error;
        ErrorContext context = error.context();
        context.may_have_happened = true;
        return {error.code(), std::move(context)};
    }

private:
    /// The errors of its requests say more than ours.
    static constexpr Duration grace = std::chrono::milliseconds(200);

    Task<> outcome(Duration left) {
        try {
            result_.emplace(co_await run_(left));
        } catch (const Exception& exception) {
            error_ = exception.error();
        }
        if (pause_) core_->end_pause_soon(*pause_);
    }

    Run run_;
    const bool changes_;
    Core* core_ = nullptr;
    Slot* pause_ = nullptr;
    std::optional<T> result_;
    std::optional<Error> error_;
    std::optional<Task<>> task_;
};

}  // namespace chaise::detail
