#include "bench/meter.hpp"

#include <ctime>

namespace chaise::bench {

static std::int64_t read_clock(clockid_t clock) noexcept {
    timespec time{};
    clock_gettime(clock, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

void Meter::begin(std::int64_t now) {
    phase_ = Phase::measuring;
    began_at_operation_ = started_;
    began_at_ = now;
    cpu_at_begin_ = read_clock(CLOCK_THREAD_CPUTIME_ID);
    counters_at_begin_ = counters;
}

void Meter::end(std::int64_t now) {
    phase_ = Phase::ended;
    const Counters at_end = counters;
    measurement_.cpu_ns = static_cast<double>(read_clock(CLOCK_THREAD_CPUTIME_ID) - cpu_at_begin_);
    measurement_.seconds = static_cast<double>(now - began_at_) * 1e-9;
    measurement_.operations = started_ - began_at_operation_;
    measurement_.counted = {at_end.allocations - counters_at_begin_.allocations, at_end.news - counters_at_begin_.news,
                            at_end.system_calls - counters_at_begin_.system_calls};
}

bool Meter::sample(std::int64_t& stamp) {
    started_ += chunk_;
    const std::int64_t now = read_clock(CLOCK_MONOTONIC);
    if (phase_ == Phase::warming && started_ >= limit_.warm_up) begin(now);
    if (phase_ == Phase::measuring && started_ > began_at_operation_) {
        const bool enough = limit_.operations != 0 ? started_ - began_at_operation_ >= limit_.operations
                                                   : now - began_at_ >= limit_.time.count();
        if (enough) end(now);
    }
    if (phase_ == Phase::ended) {
        until_sample_ = 1;
        chunk_ = 0;
        return false;
    }
    stamp = now;
    chunk_ = sample_every;
    if (phase_ == Phase::warming) {
        chunk_ = std::min(chunk_, limit_.warm_up - started_);
    } else if (limit_.operations != 0) {
        chunk_ = std::min(chunk_, began_at_operation_ + limit_.operations - started_);
    }
    until_sample_ = chunk_;
    return true;
}

void Meter::record(std::int64_t& stamp) {
    if (phase_ == Phase::measuring && stamp >= began_at_) {
        measurement_.latencies.add(static_cast<std::uint64_t>(read_clock(CLOCK_MONOTONIC) - stamp));
    }
    stamp = 0;
}

}  // namespace chaise::bench
