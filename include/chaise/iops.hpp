#pragma once

/// \file
/// IOPS: one bucket's handle on an event loop. Whoever brings another loop subclasses it; the suite in
/// `chaise/testing/iops_conformance.hpp` tells whether the subclass is right.
///
/// Watchers and timers are **one-shot**: `Event::ready` disarms the event before its handler runs, and whoever
/// wants another delivery asks again, every time, also from inside the handler. An adapter may keep the kernel's
/// interest as it is and correct it lazily before the loop next blocks.
/// Source: Couchbase Python SDK 2.x `couchbase.iops` (seed-semantics.md part E).

#include <chaise/time.hpp>
#include <chaise/transport.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>
#include <memory>
#include <utility>

namespace chaise {

class HttpClient;
class IOPS;

/// What `IOPS::update_event` and `IOPS::update_timer` are asked to do (values of the seed).
enum class EventAction : int {
    watch = 1,     ///< arm it, replacing an earlier interest or delay
    unwatch = 2,   ///< disarm it; it may be armed again
    cleanup = 16,  ///< forget it; the event is not to be touched after the call
};

/// Interest and readiness (values of the seed). An error on the descriptor is reported as `rw_event`.
inline constexpr int read_event = 0x02;
inline constexpr int write_event = 0x04;
inline constexpr int rw_event = read_event | write_event;

/// What IOEvent and TimerEvent share: state and handler. Adapters subclass IOEvent and TimerEvent to keep
/// their own handles in them.
class Event {
public:
    enum class State : std::uint8_t {
        initialized,  ///< never armed
        active,       ///< armed, waiting for `ready`
        suspended,    ///< delivered or unwatched
        freed,        ///< cleaned up, for good
    };
    using Handler = void (*)(void* context, int flags);

    Event() = default;
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;
    virtual ~Event() = default;

    /// To be set before the event is first armed.
    void set_handler(Handler handler, void* context) noexcept {
        handler_ = handler;
        context_ = context;
    }
    [[nodiscard]] State state() const noexcept { return state_; }
    [[nodiscard]] bool active() const noexcept { return state_ == State::active; }

    /// Called by the loop: disarms the event, then runs its handler. Ignored (and counted) unless it is armed.
    /// The event may be gone when this returns.
    void ready(int flags) {
        if (state_ != State::active) {
            ++ignored_;
            return;
        }
        state_ = State::suspended;
        handler_(context_, flags);
    }
    /// Deliveries that came while the event was not armed: 0 on a correct adapter.
    [[nodiscard]] unsigned ignored() const noexcept { return ignored_; }

private:
    friend class IOPS;
    Handler handler_ = nullptr;
    void* context_ = nullptr;
    unsigned ignored_ = 0;
    State state_ = State::initialized;
};

/// Interest in a descriptor. While `update_event` runs, `fd()` is already the new descriptor and `flags()` still
/// the old interest. The descriptor belongs to whoever armed the event; an adapter never closes it.
class IOEvent : public Event {
public:
    [[nodiscard]] int fd() const noexcept { return fd_; }
    [[nodiscard]] int flags() const noexcept { return flags_; }
    void ready_r() { ready(read_event); }
    void ready_w() { ready(write_event); }
    void ready_rw() { ready(rw_event); }

private:
    friend class IOPS;
    int fd_ = -1;
    int flags_ = 0;
};

/// A one-shot timer; delivered as `ready(0)`.
class TimerEvent : public Event {};

/// Hears that the loop is going away while the bucket still exists.
class LoopObserver {
public:
    /// Last call from the loop. Nothing may be armed any more; waiting consumers are destroyed uncalled.
    virtual void on_loop_destroyed() noexcept = 0;

protected:
    ~LoopObserver() = default;
};

/// One bucket's (or one local cluster's) handle on a loop; owned by that bucket and never shared. All calls come
/// on the loop's thread. Must be destroyed before or with its owner; it may outlive its loop, and then does nothing.
class IOPS {
public:
    IOPS() = default;
    IOPS(const IOPS&) = delete;
    IOPS& operator=(const IOPS&) = delete;
    virtual ~IOPS();

    // ---- what an adapter implements -------------------------------------------------------------------------

    /// Arms, disarms or forgets a descriptor. `flags` is 0 for unwatch and cleanup. Never delivers inline.
    virtual void update_event(IOEvent& event, EventAction action, int flags) = 0;
    /// Arms (or moves), disarms or forgets a timer. Never delivers inline, never early by more than 1 ms; timers
    /// fire in the order of their times, equal ones in the order of arming. Zero is the next turn of the loop.
    virtual void update_timer(TimerEvent& event, EventAction action, std::chrono::microseconds delay) = 0;
    /// Only for loops that are driven by the bucket (the blocking face): run until `stop_watching`.
    virtual void start_watching() {}
    virtual void stop_watching() {}
    /// Events with room for the adapter's own handle.
    [[nodiscard]] virtual std::unique_ptr<IOEvent> io_event_factory();
    [[nodiscard]] virtual std::unique_ptr<TimerEvent> timer_event_factory();

    // ---- what an adapter may do better than the default ------------------------------------------------------

    /// `ready(0)` before the loop next blocks. Default: a zero timer.
    virtual void update_deferred(TimerEvent& event) {
        update_timer(event, EventAction::watch, std::chrono::microseconds{0});
    }
    /// Monotonic. Default: the steady clock.
    [[nodiscard]] virtual TimePoint now();
    /// Calendar time, for absolute expiry. Default: the system clock.
    [[nodiscard]] virtual WallTime wall_time();
    /// 64 uniform random bits; not only for back-off but for SASL nonces too. Default: from the system.
    [[nodiscard]] virtual std::uint64_t random();
    /// Default: POSIX stream sockets and c-ares over this IOPS's events.
    [[nodiscard]] virtual TransportFactory& transport_factory();
    /// HTTP (http.hpp) for the owner of this IOPS, who destroys it first. Default: libcurl over this IOPS's events;
    /// null: there is none here.
    [[nodiscard]] virtual std::unique_ptr<HttpClient> make_http_client();
    /// What a callback or coroutine threw, told at the end of the dispatch with the engine consistent. The loop's
    /// own run rethrows it. Default: std::terminate by rethrowing here.
    virtual void on_exception(std::exception_ptr exception) noexcept;

    // ---- what the engine calls (state is kept here, once for all adapters) ------------------------------------

    void watch(IOEvent& event, int fd, int flags) {
        event.fd_ = fd;
        update_event(event, EventAction::watch, flags);
        event.flags_ = flags;
        event.state_ = Event::State::active;
    }
    void unwatch(IOEvent& event) {
        update_event(event, EventAction::unwatch, 0);
        event.flags_ = 0;
        event.state_ = Event::State::suspended;
    }
    /// Must be called before the descriptor is closed, for every event that was ever armed.
    void cleanup(IOEvent& event) {
        update_event(event, EventAction::cleanup, 0);
        event.flags_ = 0;
        event.state_ = Event::State::freed;
    }
    void schedule(TimerEvent& event, std::chrono::microseconds delay) {
        update_timer(event, EventAction::watch, delay);
        event.state_ = Event::State::active;
    }
    void defer(TimerEvent& event) {
        update_deferred(event);
        event.state_ = Event::State::active;
    }
    void cancel(TimerEvent& event) {
        update_timer(event, EventAction::unwatch, std::chrono::microseconds{0});
        event.state_ = Event::State::suspended;
    }
    void cleanup(TimerEvent& event) {
        update_timer(event, EventAction::cleanup, std::chrono::microseconds{0});
        event.state_ = Event::State::freed;
    }

    /// The bucket that wants to hear of the loop's end; at most one.
    void set_loop_observer(LoopObserver* observer) noexcept { observer_ = observer; }

protected:
    /// For the adapter: tell the owner that the loop is going away. At most once.
    void notify_loop_destroyed() noexcept {
        if (LoopObserver* observer = std::exchange(observer_, nullptr)) observer->on_loop_destroyed();
    }

private:
    std::unique_ptr<TransportFactory> default_transports_;
    LoopObserver* observer_ = nullptr;
};

/// A loop that buckets can be made on: it hands out an IOPS for each of them.
template <class L>
concept Loop = requires(L& loop) {
    { loop.make_iops() } -> std::convertible_to<std::unique_ptr<IOPS>>;
};

}  // namespace chaise
