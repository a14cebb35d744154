#include <chaise/testing/sim_faults.hpp>

#include <algorithm>
#include <cstdio>
#include <numeric>

namespace chaise::testing {

namespace {

struct Rate {
    SimFault fault;
    double SimFaults::* member;
    double usual;  // a client survives this, and in a run of some hundred operations it happens
};

constexpr Rate rates[] = {
    {SimFault::partial_read, &SimFaults::partial_read, 0.3},
    {SimFault::partial_write, &SimFaults::partial_write, 0.3},
    {SimFault::delay, &SimFaults::delay, 0.03},
    {SimFault::small_pipe, &SimFaults::small_pipe, 0.3},
    {SimFault::reset, &SimFaults::reset, 0.004},
    {SimFault::half_open, &SimFaults::half_open, 0.001},
    {SimFault::slow_close, &SimFaults::slow_close, 0.3},
    {SimFault::connect_refused, &SimFaults::connect_refused, 0.2},
    {SimFault::connect_hung, &SimFaults::connect_hung, 0.05},
    {SimFault::resolve_slow, &SimFaults::resolve_slow, 0.3},
    {SimFault::resolve_failed, &SimFaults::resolve_failed, 0.1},
    {SimFault::host_paused, &SimFaults::host_paused, 1},
    {SimFault::host_killed, &SimFaults::host_killed, 0.3},
    {SimFault::black_hole, &SimFaults::black_hole, 0.5},
    {SimFault::partition, &SimFaults::partition, 0.5},
    {SimFault::clock_jump, &SimFaults::clock_jump, 0.3},
};
static_assert(std::size(rates) == sim_fault_kinds);

}  // namespace

std::string_view to_string(SimFault fault) noexcept {
    switch (fault) {
        case SimFault::partial_read:
            return "partial_read";
        case SimFault::partial_write:
            return "partial_write";
        case SimFault::delay:
            return "delay";
        case SimFault::small_pipe:
            return "small_pipe";
        case SimFault::reset:
            return "reset";
        case SimFault::half_open:
            return "half_open";
        case SimFault::slow_close:
            return "slow_close";
        case SimFault::connect_refused:
            return "connect_refused";
        case SimFault::connect_hung:
            return "connect_hung";
        case SimFault::resolve_slow:
            return "resolve_slow";
        case SimFault::resolve_failed:
            return "resolve_failed";
        case SimFault::host_paused:
            return "host_paused";
        case SimFault::host_killed:
            return "host_killed";
        case SimFault::black_hole:
            return "black_hole";
        case SimFault::partition:
            return "partition";
        case SimFault::clock_jump:
            return "clock_jump";
    }
    return "?";
}

SimFaults SimFaults::all() noexcept {
    SimFaults faults;
    for (const Rate& rate : rates) faults.*rate.member = rate.usual;
    return faults;
}

SimFaults SimFaults::swarm(SimRandom& random) noexcept {
    SimFaults faults;
    for (const Rate& rate : rates) {
        const bool on = random() >> 63 != 0;
        const double strength = static_cast<double>(random.between(64, 512)) / 256;
        if (on) faults.*rate.member = std::min(rate.usual * strength, 1.0);
    }
    faults.host_fault_interval = std::chrono::milliseconds{random.between(50, 500)};
    faults.host_fault_length = std::chrono::milliseconds{random.between(5, 150)};
    return faults;
}

double SimFaults::rate(SimFault fault) const noexcept { return this->*rates[static_cast<std::size_t>(fault)].member; }

std::string SimFaults::to_string() const {
    std::string text;
    for (const Rate& rate : rates) {
        if (!(this->*rate.member > 0)) continue;
        char number[32];
        std::snprintf(number, sizeof number, "=%.3g", this->*rate.member);
        text.append(text.empty() ? "" : " ").append(testing::to_string(rate.fault)).append(number);
    }
    return text.empty() ? "none" : text;
}

std::uint64_t SimFaultCounts::total() const noexcept {
    return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
}

std::size_t SimFaultCounts::kinds() const noexcept {
    return static_cast<std::size_t>(std::count_if(counts_.begin(), counts_.end(), [](auto n) { return n > 0; }));
}

std::string SimFaultCounts::to_string() const {
    std::string text;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        if (counts_[i] == 0) continue;
        text.append(text.empty() ? "" : " ").append(testing::to_string(static_cast<SimFault>(i)));
        text.append("=").append(std::to_string(counts_[i]));
    }
    return text.empty() ? "none" : text;
}

}  // namespace chaise::testing
