#pragma once

#include <chaise/testing/iops_conformance.hpp>

#include <vector>

namespace chaise::testing::conformance {

/// One check under way: its loop, its IOPS, what failed, and the events that it has cleaned up. Those are kept to
/// the end of the check, so that an adapter that delivers to them is caught in the act and not in freed memory.
class Check {
public:
    Check(ConformanceDriver& driver, const ConformanceOptions& options)
        : options_(options), driver_(driver), iops_(driver.make_iops()) {}

    [[nodiscard]] IOPS& iops() { return *iops_; }
    [[nodiscard]] ConformanceDriver& driver() { return driver_; }
    [[nodiscard]] const ConformanceOptions& options() const { return options_; }

    void expect(bool condition, std::string_view what) {
        if (!condition) failures_.emplace_back(what);
    }
    /// Runs the loop until `done` holds; a failure with that text if it does not in time.
    bool run_until(const std::function<bool()>& done, std::string_view what) {
        const bool held = driver_.run_until(done, options_.patience);
        expect(held, what);
        return held;
    }
    /// Gives the loop some turns for what must not happen. A timer keeps it from giving up at once.
    void run_quietly();
    /// As `run_quietly`, but returns after a few turns.
    void run_turns(int turns);

    void keep(std::unique_ptr<Event> event) { kept_.push_back(std::move(event)); }
    [[nodiscard]] const std::vector<std::string>& failures() const { return failures_; }

private:
    const ConformanceOptions& options_;
    ConformanceDriver& driver_;
    std::unique_ptr<IOPS> iops_;
    std::vector<std::unique_ptr<Event>> kept_;  // goes before its IOPS
    std::vector<std::string> failures_;
};

/// An event that counts its deliveries and runs a function at each.
template <class E>
class Probe {
public:
    explicit Probe(Check& check, std::function<void()> function = {})
        : Probe(check, check.iops(), std::move(function)) {}
    Probe(Check& check, IOPS& iops, std::function<void()> function = {})
        : check_(check), iops_(iops), event_(make(iops, static_cast<E*>(nullptr))), function_(std::move(function)) {
        event_->set_handler(
            [](void* self, int ready) {
                auto& probe = *static_cast<Probe*>(self);
                ++probe.count;
                probe.flags = ready;
                if (probe.function_) probe.function_();
            },
            this);
    }
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;
    ~Probe() {
        if (!event_) return;
        cleanup();
        check_.keep(std::move(event_));
    }

    void on(std::function<void()> function) { function_ = std::move(function); }
    void watch(int fd, int interest) { iops_.watch(*event_, fd, interest); }
    void unwatch() { iops_.unwatch(*event_); }
    void schedule(std::chrono::microseconds delay) { iops_.schedule(*event_, delay); }
    void defer() { iops_.defer(*event_); }
    void cancel() { iops_.cancel(*event_); }
    void cleanup() {
        const Event::State state = event_->state();
        if (state != Event::State::freed && state != Event::State::initialized) iops_.cleanup(*event_);
    }
    /// Cleans it up and gives its memory back at once.
    void destroy() {
        cleanup();
        event_.reset();
    }
    /// Deliveries that came while it was not armed.
    [[nodiscard]] unsigned ignored() const { return event_->ignored(); }
    [[nodiscard]] bool active() const { return event_->active(); }

    int count = 0;
    int flags = 0;

private:
    static std::unique_ptr<IOEvent> make(IOPS& iops, IOEvent*) { return iops.io_event_factory(); }
    static std::unique_ptr<TimerEvent> make(IOPS& iops, TimerEvent*) { return iops.timer_event_factory(); }

    Check& check_;
    IOPS& iops_;
    std::unique_ptr<E> event_;
    std::function<void()> function_;
};

using IoProbe = Probe<IOEvent>;
using TimerProbe = Probe<TimerEvent>;

struct NamedCheck {
    const char* name;
    void (*run)(Check&);
    bool (*applies)(const ConformanceOptions&);
};

[[nodiscard]] std::vector<NamedCheck> io_checks();
[[nodiscard]] std::vector<NamedCheck> timer_checks();
[[nodiscard]] std::vector<NamedCheck> transport_checks();

}  // namespace chaise::testing::conformance
