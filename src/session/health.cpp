// Is anybody there? What has come, not what was hoped for, decides. Once a request has been sent, an answer is due: the
// timer looks after silence_timeout whether anything has come since, at the cost of one branch for each write. Where
// nothing has, a NOOP asks, and who does not even answer that is left. Without requests it looks after idle_interval.

#include "bucket/core.hpp"
#include "operation/probe.hpp"
#include "session/session.hpp"

#include <algorithm>
#include <chrono>

namespace chaise::detail {

namespace {

std::chrono::microseconds at_least_a_millisecond(Duration delay) {
    return std::chrono::ceil<std::chrono::microseconds>(std::max<Duration>(delay, std::chrono::milliseconds(1)));
}

}  // namespace

void Session::expect_answer() {
    expecting_ = true;
    core_.iops().schedule(*health_timer_, at_least_a_millisecond(core_.settings().silence_timeout));
}

void Session::stop_health_timer() noexcept {
    expecting_ = false;
    if (health_timer_->active()) core_.iops().cancel(*health_timer_);
}

bool Session::probing() const noexcept {
    const Slot* const slot = core_.find(probe_);
    return slot && slot->kind == OperationKind::probe && slot->line == this && wanted(*slot);
}

bool Session::silent(TimePoint now) const noexcept {
    const Duration limit = core_.settings().silence_timeout;
    if (now - last_received_ < limit) return false;
    const Slot* oldest = pipeline_.first();
    const bool unanswered = oldest && pipeline_.begun(*oldest) && now - oldest->started >= limit;
    const bool takes_nothing = write_blocked_ && now - blocked_since_ >= limit;
    return unanswered || takes_nothing;
}

void Session::check_silence(TimePoint now) {
    if (state_ != State::ready || !silent(now)) return;
    CHAISE_PROBE(silence_found);
    connection_lost("the server was silent for longer than silence_timeout");
}

void Session::on_health_timer() {
    Core::Dispatch dispatch(core_);
    expecting_ = false;
    if (state_ != State::ready || draining_) return;
    const TimePoint now = core_.now();
    const Duration limit = core_.settings().silence_timeout;
    const Duration interval = core_.settings().idle_interval;
    if (write_blocked_ && silent(now)) return check_silence(now);  // no NOOP would come through
    const Slot* oldest = pipeline_.first();
    const bool due = oldest && pipeline_.begun(*oldest);
    const bool idle = interval > Duration{0} && now - last_received_ >= interval;
    if (probing()) return expect_answer();  // if that times out, the session is left
    if (idle || (due && silent(now))) {
        probe_ = core_.probe(*this);
        if (probe_ == 0) check_silence(now);
        if (state_ == State::ready) expect_answer();
        return;
    }
    if (due || write_blocked_) {
        expecting_ = true;
        const TimePoint since = due ? std::max(last_received_, oldest->started) : last_received_;
        core_.iops().schedule(*health_timer_, at_least_a_millisecond(since + limit - now));
    } else if (interval > Duration{0}) {
        core_.iops().schedule(*health_timer_, at_least_a_millisecond(last_received_ + interval - now));
    }
}

}  // namespace chaise::detail
