#pragma once

/// \file
/// Inner part of the Asio adapter: what one AsioIOPS and everything made by it have in common: the strand, the
/// timers, and the list of all that must let go of Asio when the IOPS or the loop ends. Not an API.

#include <chaise/asio/binding.hpp>
#include <chaise/asio/shared.hpp>
#include <chaise/iops.hpp>

#include <asio/error.hpp>
#include <asio/execution_context.hpp>
#include <asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace chaise::detail {

class AsioCore;

/// Asio 1.22 has a system category of its own, which knows few of the generic conditions.
[[nodiscard]] inline std::error_code to_std_error(const std::error_code& error) noexcept {
    if (error.category() == asio::error::get_system_category()) return {error.value(), std::system_category()};
    return error;
}

/// Something of ours that holds Asio objects: a stream, a listener, a watched descriptor.
class AsioAttachment : public AsioShared {
public:
    explicit AsioAttachment(AsioCore& core);

    [[nodiscard]] AsioCore& core() const noexcept { return *core_; }
    /// For the face's destructor, on the strand. (The last reference may go on any thread, with a late handler.)
    void leave() noexcept;

protected:
    /// Destroys the Asio objects and forgets who is to be called. Completions that still come find nobody.
    virtual void detach() noexcept = 0;
    ~AsioAttachment() override;

private:
    friend class AsioCore;
    AsioRef<AsioCore> core_;
    bool attached_ = true;
    AsioAttachment* previous_ = nullptr;
    AsioAttachment* next_ = nullptr;
};

/// Per execution context: tells every core when the context is destroyed. `shutdown` comes while all services are
/// still there, so Asio objects can be, and must be, destroyed in it.
class AsioLoopWatch final : public asio::execution_context::service {
public:
    using key_type = AsioLoopWatch;
    static inline asio::execution_context::id id;

    explicit AsioLoopWatch(asio::execution_context& context) : asio::execution_context::service(context) {}

    void add(AsioCore& core);
    void remove(AsioCore& core) noexcept;

private:
    void shutdown() override;

    std::mutex mutex_;  // IOPS on different strands of one context come and go at the same time
    AsioCore* first_ = nullptr;
};

/// A timer or a deferred call; linked into its core's queues.
class AsioTimerEvent final : public TimerEvent {
public:
    AsioTimerEvent() = default;
    ~AsioTimerEvent() override;

private:
    friend class AsioCore;
    static constexpr std::size_t not_queued = std::numeric_limits<std::size_t>::max();

    AsioCore* core_ = nullptr;  // while it is in one of the queues
    AsioTimerEvent* previous_deferred_ = nullptr;
    AsioTimerEvent* next_deferred_ = nullptr;
    TimePoint deadline_;
    std::uint64_t sequence_ = 0;
    std::size_t position_ = not_queued;  // in the heap
    bool deferred_ = false;
};

/// All timers of one IOPS stand in one ordered queue with a single `steady_timer` behind it. Asio would run equal
/// timers in any order, and on several threads even different ones; and a zero timer would cost it two system calls.
class AsioCore final : public AsioShared {
public:
    explicit AsioCore(std::unique_ptr<AsioBinding> binding)
        : binding_(std::move(binding)), watch_(&asio::use_service<AsioLoopWatch>(binding_->context())) {
        timer_.emplace(binding_->executor());
        watch_->add(*this);
    }

    /// False once the IOPS or the loop is gone: nothing can be started any more.
    [[nodiscard]] bool open() const noexcept { return open_; }
    [[nodiscard]] AsioBinding& binding() const noexcept { return *binding_; }
    [[nodiscard]] bool loop_alive() const noexcept { return binding_ != nullptr; }
    /// The user has run the loop, at least once.
    [[nodiscard]] bool has_run() const noexcept { return has_run_; }

    /// Who is told when the loop is destroyed.
    void set_owner(void* owner, void (*on_loop_destroyed)(void* owner)) noexcept {
        owner_ = owner;
        on_loop_destroyed_ = on_loop_destroyed;
    }

    // ---- timers ---------------------------------------------------------------------------------------------

    [[nodiscard]] static TimePoint now() noexcept {
        return TimePoint{std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())};
    }

    void schedule(AsioTimerEvent& event, std::chrono::microseconds delay) {
        forget(event);
        if (!open_) return;
        event.deadline_ = deadline_after(delay);
        event.sequence_ = ++sequence_;
        event.core_ = this;
        event.position_ = heap_.size();
        heap_.push_back(&event);
        sift_up(event.position_);
        if (delay <= std::chrono::microseconds::zero()) {
            request_turn();
        } else {
            arm_timer();
        }
    }

    void defer(AsioTimerEvent& event) {
        cancel(event);
        if (!open_) return;
        event.core_ = this;
        event.deferred_ = true;
        event.sequence_ = ++sequence_;
        event.previous_deferred_ = last_deferred_;
        (last_deferred_ != nullptr ? last_deferred_->next_deferred_ : first_deferred_) = &event;
        last_deferred_ = &event;
        request_turn();
    }

    void cancel(AsioTimerEvent& event) noexcept {
        forget(event);
        if (heap_.empty()) stop_timer();
    }

    /// What is scheduled and deferred is only noted until release_turns().
    // (Not release(): that is the reference count, which AsioRef would then miss.)
    void hold_turns() noexcept { turn_requested_ = true; }
    void release_turns() { post_turn(); }

    // ---- life and death -------------------------------------------------------------------------------------

    void attach(AsioAttachment& attachment) noexcept {
        attachment.next_ = attachments_;
        if (attachments_ != nullptr) attachments_->previous_ = &attachment;
        attachments_ = &attachment;
    }
    void remove(AsioAttachment& attachment) noexcept {
        if (!std::exchange(attachment.attached_, false)) return;
        (attachment.previous_ != nullptr ? attachment.previous_->next_ : attachments_) = attachment.next_;
        if (attachment.next_ != nullptr) attachment.next_->previous_ = attachment.previous_;
        attachment.previous_ = attachment.next_ = nullptr;
    }

    /// The IOPS is destroyed: everything lets go of the loop, so that nothing of ours keeps it running.
    void close() noexcept {
        owner_ = nullptr;
        let_go();
    }

private:
    friend class AsioLoopWatch;

    ~AsioCore() override {
        let_go();
        if (watch_ != nullptr) watch_->remove(*this);
    }

    void let_go() noexcept {
        open_ = false;
        while (attachments_ != nullptr) {
            const AsioRef<AsioAttachment> attachment(attachments_);
            remove(*attachment);
            attachment->detach();
        }
        while (!heap_.empty()) forget(*heap_.back());
        while (first_deferred_ != nullptr) forget(*first_deferred_);
        ++wait_generation_;
        waiting_ = false;
        timer_.reset();
    }

    /// From the context's destructor. The strand and the timer must not outlive their services.
    void loop_destroyed() noexcept {
        let_go();
        watch_ = nullptr;
        binding_.reset();
        if (void* owner = std::exchange(owner_, nullptr)) on_loop_destroyed_(owner);
    }

    friend class AsioTimerEvent;

    static TimePoint deadline_after(std::chrono::microseconds delay) noexcept {
        const TimePoint start = now();
        if (delay <= std::chrono::microseconds::zero()) return start;
        const auto longest = std::chrono::duration_cast<std::chrono::microseconds>(TimePoint::max() - start);
        return delay < longest ? start + delay : TimePoint::max();
    }

    static bool before(const AsioTimerEvent& a, const AsioTimerEvent& b) noexcept {
        return a.deadline_ != b.deadline_ ? a.deadline_ < b.deadline_ : a.sequence_ < b.sequence_;
    }
    void place(AsioTimerEvent& event, std::size_t position) noexcept {
        heap_[position] = &event;
        event.position_ = position;
    }
    void sift_up(std::size_t position) noexcept {
        AsioTimerEvent& event = *heap_[position];
        while (position > 0) {
            const std::size_t parent = (position - 1) / 2;
            if (!before(event, *heap_[parent])) break;
            place(*heap_[parent], position);
            position = parent;
        }
        place(event, position);
    }
    void sift_down(std::size_t position) noexcept {
        AsioTimerEvent& event = *heap_[position];
        for (;;) {
            std::size_t child = 2 * position + 1;
            if (child >= heap_.size()) break;
            if (child + 1 < heap_.size() && before(*heap_[child + 1], *heap_[child])) ++child;
            if (!before(*heap_[child], event)) break;
            place(*heap_[child], position);
            position = child;
        }
        place(event, position);
    }

    /// Takes the event out of whichever queue it is in.
    void forget(AsioTimerEvent& event) noexcept {
        if (event.position_ != AsioTimerEvent::not_queued) {
            const std::size_t position = std::exchange(event.position_, AsioTimerEvent::not_queued);
            AsioTimerEvent& last = *heap_.back();
            heap_.pop_back();
            if (&last != &event) {
                place(last, position);
                sift_down(position);
                sift_up(last.position_);
            }
        }
        if (event.deferred_) {
            AsioTimerEvent* const previous = event.previous_deferred_;
            AsioTimerEvent* const next = event.next_deferred_;
            (previous != nullptr ? previous->next_deferred_ : first_deferred_) = next;
            (next != nullptr ? next->previous_deferred_ : last_deferred_) = previous;
            event.previous_deferred_ = event.next_deferred_ = nullptr;
            event.deferred_ = false;
        }
        event.core_ = nullptr;
    }

    void request_turn() {
        if (turn_requested_) return;
        turn_requested_ = true;
        post_turn();
    }
    void post_turn() {
        binding_->post(AsioTurn(*this, [](AsioShared& self) { static_cast<AsioCore&>(self).turn(); }));
    }

    /// Sets the steady timer for the first deadline, unless it is set for one that is no later: then it comes too
    /// early, looks, and is set again. A turn that is under way does so at its end.
    void arm_timer() {
        if (in_turn_ || turn_requested_ || heap_.empty()) return;
        const TimePoint first = heap_.front()->deadline_;
        if (waiting_ && waiting_for_ <= first) return;
        const std::uint64_t generation = ++wait_generation_;
        timer_->expires_at(asio::steady_timer::time_point(
            std::chrono::duration_cast<asio::steady_timer::duration>(first.time_since_epoch())));
        waiting_ = true;
        waiting_for_ = first;
        binding_->wait(*timer_, AsioCompletion(
                                    *this,
                                    [](AsioShared& self, const std::error_code& error, std::uint64_t tag) {
                                        static_cast<AsioCore&>(self).on_timer(error, tag);
                                    },
                                    generation));
    }
    void stop_timer() noexcept {
        if (!waiting_) return;
        waiting_ = false;
        ++wait_generation_;
        timer_->cancel();
    }
    void on_timer(const std::error_code& error, std::uint64_t generation) {
        if (generation != wait_generation_ || error == asio::error::operation_aborted) return;
        waiting_ = false;
        if (!turn_requested_) turn();  // a requested turn is on its way already
    }

    /// Delivers what is due: what is armed in the course of it waits for the next turn.
    void turn() {
        turn_requested_ = false;
        has_run_ = true;
        if (!open_) return;
        const std::uint64_t last = sequence_;
        const TimePoint time = now();
        in_turn_ = true;
        struct End {  // also when a handler throws: the others must not be lost
            AsioCore& core;
            ~End() {
                core.in_turn_ = false;
                if (!core.open_) return;
                if (core.first_deferred_ != nullptr ||
                    (!core.heap_.empty() && core.heap_.front()->deadline_ <= now())) {
                    core.request_turn();
                } else if (core.heap_.empty()) {
                    core.stop_timer();
                } else {
                    core.arm_timer();
                }
            }
        } end{*this};
        while (first_deferred_ != nullptr && first_deferred_->sequence_ <= last) deliver(*first_deferred_);
        while (!heap_.empty() && heap_.front()->deadline_ <= time && heap_.front()->sequence_ <= last) {
            deliver(*heap_.front());
        }
    }
    void deliver(AsioTimerEvent& event) {
        forget(event);
        event.ready(0);
    }

    std::unique_ptr<AsioBinding> binding_;
    AsioLoopWatch* watch_;
    AsioCore* next_watched_ = nullptr;
    AsioCore* previous_watched_ = nullptr;
    void* owner_ = nullptr;
    void (*on_loop_destroyed_)(void* owner) = nullptr;

    std::vector<AsioTimerEvent*> heap_;
    AsioTimerEvent* first_deferred_ = nullptr;
    AsioTimerEvent* last_deferred_ = nullptr;
    AsioAttachment* attachments_ = nullptr;
    std::optional<asio::steady_timer> timer_;
    TimePoint waiting_for_;
    std::uint64_t sequence_ = 0;
    std::uint64_t wait_generation_ = 0;
    bool waiting_ = false;
    bool turn_requested_ = false;
    bool in_turn_ = false;
    bool has_run_ = false;
    bool open_ = true;
};

inline AsioTimerEvent::~AsioTimerEvent() {
    if (core_ != nullptr) core_->cancel(*this);
}

inline AsioAttachment::AsioAttachment(AsioCore& core) : core_(&core) { core.attach(*this); }
inline AsioAttachment::~AsioAttachment() { core_->remove(*this); }
inline void AsioAttachment::leave() noexcept {
    core_->remove(*this);
    detach();
}

inline void AsioLoopWatch::add(AsioCore& core) {
    const std::lock_guard lock(mutex_);
    core.next_watched_ = first_;
    if (first_ != nullptr) first_->previous_watched_ = &core;
    first_ = &core;
}

inline void AsioLoopWatch::remove(AsioCore& core) noexcept {
    const std::lock_guard lock(mutex_);
    if (core.previous_watched_ == nullptr && first_ != &core) return;
    (core.previous_watched_ != nullptr ? core.previous_watched_->next_watched_ : first_) = core.next_watched_;
    if (core.next_watched_ != nullptr) core.next_watched_->previous_watched_ = core.previous_watched_;
    core.next_watched_ = core.previous_watched_ = nullptr;
}

inline void AsioLoopWatch::shutdown() {
    for (;;) {
        AsioRef<AsioCore> core;
        {
            const std::lock_guard lock(mutex_);
            if (first_ == nullptr) return;
            core = AsioRef<AsioCore>(first_);
        }
        remove(*core);
        core->loop_destroyed();
    }
}

}  // namespace chaise::detail
