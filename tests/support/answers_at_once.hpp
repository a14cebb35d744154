#pragma once

#include <chaise/retry.hpp>

namespace chaise::testing {

/// For tests that want to see the servers' answers as they come: only what a lost connection cost is tried again.
struct AnswersAtOnce : RetryStrategy {
    std::optional<Duration> retry_after(const RetryRequest& request) noexcept override {
        return request.reason == RetryReason::connection_lost_in_flight ? std::optional(Duration{0}) : std::nullopt;
    }
    [[nodiscard]] static AnswersAtOnce* instance() {
        static AnswersAtOnce strategy;
        return &strategy;
    }
};

}  // namespace chaise::testing
