#pragma once

#include "bench/meter.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace chaise::bench {

/// One case's measurements, one for each round.
struct CaseReport {
    std::string_view name;
    std::vector<Measurement> rounds;

    /// Median over the rounds.
    [[nodiscard]] double median(double (Measurement::*figure)() const) const;
    /// Of all rounds together, in microseconds.
    [[nodiscard]] double latency_us(double share) const;
};

/// Median over the rounds of one case's figure ÷ the other's in the same round: what the machine did meanwhile
/// happened to both.
[[nodiscard]] double median_ratio(const CaseReport& a, const CaseReport& b, double (Measurement::*figure)() const);

/// A table for people, with ratios if there is a floor.
[[nodiscard]] std::string as_text(const std::vector<CaseReport>& cases);
/// One case by itself: `{"name": …, "ops_per_s": …, …, "p999_us": …}`
[[nodiscard]] std::string as_json(const CaseReport& report);
/// `{"cases": […]}`
[[nodiscard]] std::string as_json(const std::vector<CaseReport>& cases);

}  // namespace chaise::bench
