#include "iops/sim/sim_iops.hpp"

#include "iops/sim/sim_http.hpp"

#include <algorithm>
#include <cassert>
#include <system_error>
#include <utility>

namespace chaise::testing::sim {

SimTimer::SimTimer(std::shared_ptr<Core> core, Host& host) noexcept
    : Scheduled(Kind::timer, &host), core_(std::move(core)) {
    trace_id = ++core_->next_timer_id;
}

SimTimer::~SimTimer() { core_->cancel(*this); }

SimIops::SimIops(std::shared_ptr<Core> core, Host& host, const SimRandom& random)
    : core_(std::move(core)), host_(host), incarnation_(host.incarnation), random_(random), transports_(core_, host) {
    core_->iops.push_back(this);
}

SimIops::~SimIops() { std::erase(core_->iops, this); }

void SimIops::update_event(IOEvent&, EventAction action, int) {
    if (action != EventAction::watch) return;
    throw std::system_error(std::make_error_code(std::errc::operation_not_supported),
                            "SimWorld has no descriptors: use transport_factory()");
}

void SimIops::update_timer(TimerEvent& event, EventAction action, std::chrono::microseconds delay) {
    assert(dynamic_cast<SimTimer*>(&event) != nullptr && "timers come from timer_event_factory()");
    auto& timer = static_cast<SimTimer&>(event);
    if (action == EventAction::watch && alive()) {
        // Any number of microseconds may be asked for, more than there are nanoseconds to count them in.
        constexpr std::chrono::microseconds longest = std::chrono::years{100};
        core_->schedule(timer, std::min(delay, longest));
    } else {
        core_->cancel(timer);
    }
}

std::unique_ptr<TimerEvent> SimIops::timer_event_factory() { return std::make_unique<SimTimer>(core_, host_); }

std::unique_ptr<HttpClient> SimIops::make_http_client() { return std::make_unique<SimHttpClient>(*this); }

void SimIops::on_exception(std::exception_ptr exception) noexcept { core_->exceptions.push_back(std::move(exception)); }

}  // namespace chaise::testing::sim
