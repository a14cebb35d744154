#include "iops/conformance/check.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <stdexcept>

namespace chaise::testing::conformance {

namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;

/// Keeps the loop busy, where time passes meanwhile.
void spin(Check& check, microseconds duration) {
    if (check.options().virtual_time) return;
    const TimePoint start = check.iops().now();
    while (check.iops().now() - start < duration) {
    }
}

/// A delay that no check waits for.
constexpr microseconds far_away = 1h;
/// Timers may be early by this much.
constexpr microseconds grain = 1ms;

void timer_not_inline(Check& check) {
    TimerProbe zero{check};
    TimerProbe deferred{check};
    zero.schedule(0us);
    check.expect(zero.count == 0 && zero.ignored() == 0 && zero.active(), "a zero timer does not fire inside schedule");
    deferred.defer();
    check.expect(deferred.count == 0 && deferred.ignored() == 0 && deferred.active(),
                 "a deferred event does not fire inside defer");
    bool inside = false;
    bool nested = false;
    TimerProbe inner{check, [&] { nested = nested || inside; }};
    TimerProbe outer{check, [&] {
                         inside = true;
                         inner.schedule(0us);
                         inner.defer();
                         inside = false;
                     }};
    outer.schedule(0us);
    check.run_until([&] { return zero.count > 0 && deferred.count > 0 && inner.count > 0; }, "all of them fire later");
    check.expect(!nested, "what a handler arms does not fire inside that handler");
}

void timer_once(Check& check) {
    TimerProbe zero{check};
    TimerProbe soon{check};
    TimerProbe deferred{check};
    zero.schedule(0us);
    soon.schedule(1ms);
    deferred.defer();
    check.run_until([&] { return zero.count > 0 && soon.count > 0 && deferred.count > 0; }, "each timer fires");
    check.run_quietly();
    check.expect(zero.count == 1 && soon.count == 1 && deferred.count == 1, "a timer fires once");
    check.expect(zero.ignored() == 0 && soon.ignored() == 0 && deferred.ignored() == 0,
                 "a timer that has fired is not delivered again");
    check.expect(soon.flags == 0, "a timer is delivered with flags 0");
}

void timer_fires_once_when_rearmed(Check& check) {
    TimerProbe timer{check};
    timer.on([&] { timer.schedule(far_away); });
    timer.schedule(1ms);
    check.run_until([&] { return timer.count > 0; }, "the timer fires");
    check.run_quietly();
    check.expect(timer.count == 1, "a timer that was armed again for later is not delivered a second time at once");
}

/// Arms timers 3 units apart, out of order, and looks at the order in which they fire. A machine that is too busy to
/// arm them within one step mixes up what is to be seen: then they are armed once more.
void fire_in_order(Check& check, microseconds unit, bool loop_is_busy, const char* what) {
    const std::array<int, 8> delays{17, 5, 11, 2, 20, 14, 8, 23};
    for (int attempt = 0; attempt < 50; ++attempt) {
        std::vector<int> fired;
        std::deque<TimerProbe> timers;
        const TimePoint start = check.iops().now();
        for (const int delay : delays) {
            timers.emplace_back(check, [&fired, delay] { fired.push_back(delay); });
            timers.back().schedule(delay * unit);
        }
        const bool quickly = check.iops().now() - start < 3 * unit;
        TimerProbe busy{check, [&] { spin(check, 30 * unit); }};
        if (loop_is_busy) busy.defer();
        check.run_until([&] { return fired.size() == delays.size(); }, "all timers fire");
        if (quickly || check.options().virtual_time) {
            check.expect(std::is_sorted(fired.begin(), fired.end()), what);
            return;
        }
    }
}

void timer_order(Check& check) {
    fire_in_order(check, 1ms, false, "timers fire in the order of their times");
    // With the loop too busy to fire them one by one.
    fire_in_order(check, 100us, true, "timers that are due together fire in that order, too");
}

void timer_order_of_arming(Check& check) {
    std::vector<int> fired;
    std::deque<TimerProbe> timers;
    const auto arm = [&](int number, microseconds delay) {
        timers.emplace_back(check, [&fired, number] { fired.push_back(number); });
        timers.back().schedule(delay);
    };
    for (int i = 0; i < 20; ++i) arm(i, 0us);
    for (int i = 20; i < 40; ++i) arm(i, 3ms);
    check.run_until([&] { return fired.size() == timers.size(); }, "all timers fire");
    check.expect(std::is_sorted(fired.begin(), fired.end()), "equal timers fire in the order of arming");
}

void timer_not_early(Check& check) {
    for (const microseconds delay : {microseconds{300}, microseconds{1500}, microseconds{5000}, microseconds{20000}}) {
        TimerProbe timer{check};
        const TimePoint start = check.iops().now();
        timer.schedule(delay);
        if (!check.run_until([&] { return timer.count > 0; }, "the timer fires")) return;
        const auto elapsed = check.iops().now() - start;
        check.expect(elapsed >= delay - grain, "no timer is early by more than 1 ms");
        check.expect(elapsed < delay + check.options().patience / 2, "no timer is late by seconds");
    }
}

void timer_moved(Check& check) {
    TimerProbe sooner{check};
    sooner.schedule(far_away);
    sooner.schedule(2ms);
    check.run_until([&] { return sooner.count > 0; }, "a timer that was moved to an earlier time fires then");

    TimerProbe later{check};
    const TimePoint start = check.iops().now();
    later.schedule(2ms);
    later.schedule(30ms);
    check.run_until([&] { return later.count > 0; }, "a timer that was moved to a later time fires");
    check.expect(check.iops().now() - start >= 30ms - grain, "a timer that was moved does not fire at its old time");
    check.run_quietly();
    check.expect(later.count == 1 && sooner.count == 1, "a timer that was moved fires once");

    TimerProbe deferred{check};
    deferred.schedule(far_away);
    deferred.defer();
    check.run_until([&] { return deferred.count > 0; }, "an armed timer may be deferred");
    deferred.defer();
    deferred.schedule(far_away);
    check.run_quietly();
    check.expect(deferred.count == 1, "a deferred event that is then scheduled waits for its time");
}

void timer_rearmed_in_handler(Check& check) {
    // Lost in the Couchbase Python SDK once: PYCBC-267.
    TimerProbe timer{check};
    timer.on([&] {
        if (timer.count < 20) timer.schedule(timer.count % 2 == 0 ? microseconds{0} : microseconds{500});
    });
    timer.schedule(0us);
    check.run_until([&] { return timer.count >= 20; }, "a timer that is armed again inside its handler fires again");

    TimerProbe cancelled{check};
    cancelled.on([&] {
        cancelled.cancel();
        if (cancelled.count < 3) cancelled.schedule(0us);
    });
    cancelled.schedule(0us);
    check.run_until([&] { return cancelled.count >= 3; }, "also if its handler cancels it first");
    check.run_quietly();
    check.expect(timer.count == 20 && timer.ignored() == 0 && cancelled.count == 3,
                 "and not oftener than it was armed");
}

void timer_cancelled(Check& check) {
    TimerProbe timer{check};
    timer.schedule(0us);
    timer.cancel();
    TimerProbe deferred{check};
    deferred.defer();
    deferred.cancel();
    TimerProbe never_armed{check};
    never_armed.cancel();
    check.run_quietly();
    check.expect(timer.count == 0 && timer.ignored() == 0, "a cancelled timer does not fire");
    check.expect(deferred.count == 0 && deferred.ignored() == 0, "a cancelled deferred event is not delivered");
    timer.schedule(0us);
    deferred.defer();
    check.run_until([&] { return timer.count == 1 && deferred.count == 1; }, "they may be armed again");
}

void timer_cleaned_up(Check& check) {
    TimerProbe timer{check};
    TimerProbe deferred{check};
    timer.schedule(0us);
    deferred.defer();
    timer.cleanup();
    deferred.cleanup();
    check.run_quietly();
    check.expect(timer.count == 0 && timer.ignored() == 0, "a timer that was cleaned up is not touched any more");
    check.expect(deferred.count == 0 && deferred.ignored() == 0,
                 "a deferred event that was cleaned up is not touched any more");
}

/// Two timers are due in one turn; the first one disposes of the second.
void other_in_same_batch(Check& check, void (*dispose)(TimerProbe&), bool deferred, std::string_view what) {
    TimerProbe second{check};
    TimerProbe first{check, [&] { dispose(second); }};
    if (deferred) {
        first.defer();
        second.defer();
    } else {
        first.schedule(0us);
        second.schedule(0us);
    }
    check.run_until([&] { return first.count > 0; }, "the first timer fires");
    check.run_quietly();
    check.expect(second.count == 0 && second.ignored() == 0, what);
}

void timer_cancelled_by_other(Check& check) {
    for (const bool deferred : {false, true}) {
        other_in_same_batch(
            check, [](TimerProbe& other) { other.cancel(); }, deferred,
            "a timer that is cancelled by another's handler in the same turn does not fire");
    }
}

void timer_cleaned_up_by_other(Check& check) {
    for (const bool deferred : {false, true}) {
        other_in_same_batch(
            check, [](TimerProbe& other) { other.cleanup(); }, deferred,
            "a timer that is cleaned up by another's handler in the same turn is not touched");
    }
}

void timer_destroyed_in_handler(Check& check) {
    int fired = 0;
    TimerProbe timer{check};
    timer.on([&] {
        ++fired;
        timer.destroy();
    });
    TimerProbe deferred{check};
    deferred.on([&] {
        ++fired;
        deferred.destroy();
    });
    timer.schedule(1ms);
    deferred.defer();
    check.run_until([&] { return fired == 2; }, "timers that destroy themselves fire");
    check.run_quietly();
    check.expect(fired == 2, "once");
}

void defer_before_blocking(Check& check) {
    std::vector<int> order;
    TimerProbe distant{check};
    distant.schedule(far_away);
    TimerProbe second{check, [&] { order.push_back(2); }};
    TimerProbe inner{check, [&] { order.push_back(3); }};
    TimerProbe first{check, [&] {
                         order.push_back(1);
                         inner.defer();
                     }};
    first.defer();
    second.defer();
    const TimePoint start = check.iops().now();
    check.run_until([&] { return order.size() == 3; }, "deferred events are delivered before the loop blocks");
    check.expect(check.iops().now() - start < 1s, "deferred events are delivered without waiting for anything else");
    check.expect(order == std::vector<int>{1, 2, 3}, "deferred events are delivered in the order of deferring");
    check.expect(distant.count == 0, "a timer that is far away does not fire");
}

void defer_forever(Check& check) {
    TimerProbe timer{check};
    TimerProbe endless{check};
    endless.on([&] {
        // On a busy machine the timer may be due before the first delivery.
        if (timer.count == 0 || endless.count < 2) endless.defer();
    });
    endless.defer();
    timer.schedule(2ms);
    check.run_until([&] { return timer.count > 0; }, "an event that defers itself for ever does not starve timers");
    check.run_until([&] { return endless.count > 1; }, "an event that defers itself is delivered again");
}

void timer_longest(Check& check) {
    TimerProbe longest{check};
    TimerProbe negative{check};
    TimerProbe soon{check};
    longest.schedule(microseconds::max());
    negative.schedule(microseconds{-5});
    soon.schedule(1ms);
    check.run_until([&] { return soon.count == 1 && negative.count == 1; }, "other timers fire beside the longest one");
    check.run_quietly();
    check.expect(longest.count == 0, "the longest delay is not a short one");
}

void timer_ten_thousand(Check& check) {
    struct Armed {
        TimePoint earliest;
        TimePoint latest;
    };
    constexpr std::size_t total = 10'000;
    std::vector<std::size_t> fired;
    std::vector<Armed> armed;
    std::deque<TimerProbe> timers;
    std::uint32_t random = 12345;
    fired.reserve(total);
    for (std::size_t i = 0; i < total; ++i) {
        random = random * 1664525u + 1013904223u;
        const microseconds delay{(random >> 8) % 60'000};
        timers.emplace_back(check, [&fired, i] { fired.push_back(i); });
        const TimePoint before = check.iops().now();
        timers.back().schedule(delay);
        armed.push_back({before + delay, check.iops().now() + delay});
        if (i % 4 == 3) timers[i - 1].schedule(far_away);
    }
    for (std::size_t i = 2; i < total; i += 4) timers[i].cancel();
    check.run_until([&] { return fired.size() >= total - total / 4; }, "ten thousand timers less the cancelled fire");
    check.run_quietly();
    check.expect(fired.size() == total - total / 4, "and no cancelled one");
    bool ordered = true;
    TimePoint latest_start{};
    for (const std::size_t i : fired) {
        ordered = ordered && armed[i].latest + grain >= latest_start;
        latest_start = std::max(latest_start, armed[i].earliest);
    }
    check.expect(ordered, "ten thousand timers fire in the order of their times");
}

void exception_rethrown(Check& check) {
    TimerProbe after{check};
    TimerProbe first{check, [&] { check.iops().on_exception(std::make_exception_ptr(std::runtime_error("one"))); }};
    TimerProbe second{check, [&] { check.iops().on_exception(std::make_exception_ptr(std::runtime_error("two"))); }};
    first.schedule(0us);
    second.schedule(0us);
    after.schedule(1ms);
    std::vector<std::string> caught;
    for (int i = 0; i < 3; ++i) {
        try {
            if (check.driver().run_until([&] { return after.count > 0 && caught.size() == 2; },
                                         check.options().patience)) {
                break;
            }
        } catch (const std::runtime_error& e) {
            caught.emplace_back(e.what());
        }
    }
    check.expect(caught == std::vector<std::string>{"one", "two"},
                 "the loop's run rethrows each exception that on_exception was given, in order");
    check.expect(after.count == 1, "the loop runs on after an exception");
}

void exception_thrown_by_handler(Check& check) {
    TimerProbe thrower{check, [] { throw std::runtime_error("thrown"); }};
    TimerProbe beside{check};
    TimerProbe after{check};
    thrower.schedule(0us);
    beside.schedule(0us);
    after.schedule(1ms);
    int caught = 0;
    for (int i = 0; i < 2; ++i) {
        try {
            check.run_until([&] { return caught > 0 && after.count > 0; }, "the loop runs on after a handler threw");
        } catch (const std::runtime_error&) {
            ++caught;
        }
    }
    check.expect(caught == 1, "what a handler throws leaves the loop's run, once");
    check.expect(beside.count == 1 && after.count == 1, "and keeps no other timer from firing");
}

void two_iops(Check& check) {
    std::unique_ptr<IOPS> other = check.driver().make_iops();
    TimerProbe mine{check};
    mine.schedule(2ms);
    {
        TimerProbe theirs{check, *other};
        theirs.schedule(0us);
        check.run_until([&] { return theirs.count > 0; }, "two IOPS share one loop");
        theirs.schedule(far_away);
        theirs.destroy();
    }
    other.reset();
    check.run_until([&] { return mine.count > 0; }, "an IOPS goes on when another of its loop is destroyed");
}

void blocking_face(Check& check) {
    TimerProbe timer{check, [&] { check.iops().stop_watching(); }};
    for (int i = 1; i <= 3; ++i) {
        timer.schedule(1ms);
        check.iops().start_watching();
        check.expect(timer.count == i, "start_watching runs the loop until stop_watching");
    }
}

bool always(const ConformanceOptions&) { return true; }
bool if_real_time(const ConformanceOptions& options) { return !options.virtual_time; }
bool if_blocking(const ConformanceOptions& options) { return options.blocking; }

}  // namespace

std::vector<NamedCheck> timer_checks() {
    return {
        {"timer_not_inline", timer_not_inline, always},
        {"timer_once", timer_once, always},
        {"timer_fires_once_when_rearmed", timer_fires_once_when_rearmed, always},
        {"timer_order", timer_order, always},
        {"timer_order_of_arming", timer_order_of_arming, always},
        {"timer_not_early", timer_not_early, always},
        {"timer_moved", timer_moved, always},
        {"timer_rearmed_in_handler", timer_rearmed_in_handler, always},
        {"timer_cancelled", timer_cancelled, always},
        {"timer_cleaned_up", timer_cleaned_up, always},
        {"timer_cancelled_by_other", timer_cancelled_by_other, always},
        {"timer_cleaned_up_by_other", timer_cleaned_up_by_other, always},
        {"timer_destroyed_in_handler", timer_destroyed_in_handler, always},
        {"defer_before_blocking", defer_before_blocking, always},
        {"defer_forever", defer_forever, if_real_time},
        {"timer_longest", timer_longest, always},
        {"timer_ten_thousand", timer_ten_thousand, always},
        {"exception_rethrown", exception_rethrown, always},
        {"exception_thrown_by_handler", exception_thrown_by_handler, always},
        {"two_iops", two_iops, always},
        {"blocking_face", blocking_face, if_blocking},
    };
}

}  // namespace chaise::testing::conformance
