#pragma once

#include "bench/counters.hpp"
#include "bench/histogram.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace chaise::bench {

/// How long one measurement is: so many operations, or until so much time has passed.
struct Limit {
    std::uint64_t operations = 0;  ///< 0: by time
    std::chrono::nanoseconds time{};
    std::uint64_t warm_up = 0;  ///< operations before it
};

/// What one measurement found.
struct Measurement {
    std::uint64_t operations = 0;
    double seconds = 0;
    double cpu_ns = 0;  ///< of the thread, user and system
    Counters counted;
    Histogram latencies;

    /// And another, of the same case.
    void add(const Measurement& other) {
        operations += other.operations;
        seconds += other.seconds;
        cpu_ns += other.cpu_ns;
        counted.allocations += other.counted.allocations;
        counted.news += other.counted.news;
        counted.system_calls += other.counted.system_calls;
        latencies.merge(other.latencies);
    }

    [[nodiscard]] double ops_per_s() const { return static_cast<double>(operations) / seconds; }
    [[nodiscard]] double cpu_ns_per_op() const { return cpu_ns / static_cast<double>(operations); }
    [[nodiscard]] double allocs_per_op() const { return per_op(counted.allocations); }
    [[nodiscard]] double syscalls_per_op() const { return per_op(counted.system_calls); }
    [[nodiscard]] double latency_us(double share) const { return latencies.quantile(share) / 1000; }

private:
    [[nodiscard]] double per_op(std::uint64_t count) const {
        return static_cast<double>(count) / static_cast<double>(operations);
    }
};

/// Told of every operation, at next to no cost: it measures between two moments at which as many operations are in
/// flight as the workload wants, so that neither the start nor the end of a run counts, and it times every 37th
/// operation only (two clock readings each would cost more than what is measured).
class Meter {
public:
    explicit Meter(Limit limit) : limit_(limit) {}

    /// An operation is about to be started; false: start no more. `stamp` is 0, and changes if this one is timed.
    [[nodiscard]] bool next(std::int64_t& stamp) {
        if (--until_sample_ != 0) [[likely]]
            return true;
        return sample(stamp);
    }
    /// The operation is complete.
    void done(std::int64_t& stamp) {
        if (stamp != 0) [[unlikely]]
            record(stamp);
    }
    [[nodiscard]] const Measurement& measurement() const noexcept { return measurement_; }

private:
    enum class Phase : std::uint8_t { warming, measuring, ended };
    static constexpr std::uint64_t sample_every = 37;  // a prime: every place in a batch has its turn

    bool sample(std::int64_t& stamp);
    void record(std::int64_t& stamp);
    void begin(std::int64_t now);
    void end(std::int64_t now);

    Limit limit_;
    std::uint64_t until_sample_ = 1;
    std::uint64_t chunk_ = 0;    // operations since the last sample, with it
    std::uint64_t started_ = 0;  // as of the last sample
    Phase phase_ = Phase::warming;
    std::uint64_t began_at_operation_ = 0;
    std::int64_t began_at_ = 0;
    std::int64_t cpu_at_begin_ = 0;
    Counters counters_at_begin_;
    Measurement measurement_;
};

}  // namespace chaise::bench
