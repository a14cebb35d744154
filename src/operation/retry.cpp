// The retry strategies, and what a node's error map asks for.

#include "operation/retry.hpp"

#include <algorithm>
#include <chrono>
#include <limits>

namespace chaise {

std::string_view name(RetryReason reason) noexcept {
    switch (reason) {
        case RetryReason::locked:
            return "KV_LOCKED";
        case RetryReason::temporary_failure:
            return "KV_TEMPORARY_FAILURE";
        case RetryReason::sync_write_in_progress:
            return "KV_SYNC_WRITE_IN_PROGRESS";
        case RetryReason::sync_write_re_commit:
            return "KV_SYNC_WRITE_RE_COMMIT_IN_PROGRESS";
        case RetryReason::error_map:
            return "KV_ERROR_MAP_RETRY_INDICATED";
        case RetryReason::connection_lost_in_flight:
            return "SOCKET_CLOSED_WHILE_IN_FLIGHT";
    }
    return "UNKNOWN";
}

std::optional<Duration> BestEffortRetry::retry_after(const RetryRequest& request) noexcept {
    using namespace std::chrono_literals;
    if (request.suggested) return request.suggested;
    const Duration full = std::min<Duration>(500ms, 1ms * (std::int64_t{1} << std::min(request.retries, 9u)));
    const std::int64_t half = full.count() / 2;
    return Duration(half + static_cast<std::int64_t>(request.random % static_cast<std::uint64_t>(half + 1)));
}

namespace detail {

using protocol::ErrorAttribute;
using protocol::Status;

std::optional<RetryReason> retry_reason(OperationKind kind, Status status, const protocol::ErrorMap::Entry* entry) {
    switch (status) {
        case Status::locked:
            // To whom unlocks it says that he is not the holder.
            return kind == OperationKind::unlock ? std::nullopt : std::optional(RetryReason::locked);
        case Status::etmpfail:
            // So older servers answer to who unlocks what is not locked.
            return kind == OperationKind::unlock ? std::nullopt : std::optional(RetryReason::temporary_failure);
        case Status::ebusy:
        case Status::enomem:
            return RetryReason::temporary_failure;
        case Status::sync_write_in_progress:
            return RetryReason::sync_write_in_progress;
        case Status::sync_write_re_commit_in_progress:
            return RetryReason::sync_write_re_commit;
        default:
            break;
    }
    // Statuses that we know keep their meaning (protocol.md 4.2).
    if (!entry || protocol::name(status) != "UNKNOWN") return std::nullopt;
    const ErrorAttribute attributes = entry->attributes;
    if (has(attributes, ErrorAttribute::no_retry) || has(attributes, ErrorAttribute::system_constraint)) {
        return std::nullopt;
    }
    const ErrorAttribute transient = ErrorAttribute::temp | ErrorAttribute::retry_now | ErrorAttribute::retry_later |
                                     ErrorAttribute::auto_retry | ErrorAttribute::fetch_config;
    return has(attributes, transient) ? std::optional(RetryReason::error_map) : std::nullopt;
}

namespace {
constexpr Duration least_delay = std::chrono::milliseconds(1);
}

std::optional<Duration> suggested_delay(const protocol::ErrorMap::Entry& entry, std::uint32_t retries) noexcept {
    using std::chrono::milliseconds;
    if (const auto& spec = entry.retry) {
        if (retries == 0) return milliseconds(spec->after_ms);
        std::uint64_t delay = spec->interval_ms;
        const std::uint64_t most = spec->ceil_ms != 0 ? spec->ceil_ms : std::numeric_limits<std::uint32_t>::max();
        switch (spec->strategy) {
            case protocol::RetrySpec::Strategy::constant:
                break;
            case protocol::RetrySpec::Strategy::linear:
                delay *= retries;
                break;
            case protocol::RetrySpec::Strategy::exponential:
                for (std::uint32_t i = 1; i < retries && delay > 1 && delay < most; ++i) delay *= spec->interval_ms;
                break;
        }
        // Whatever it says: not once for each round trip.
        return std::max<Duration>(milliseconds(std::min(delay, most)), least_delay);
    }
    if (retries == 0 && has(entry.attributes, ErrorAttribute::retry_now)) return Duration{0};
    return std::nullopt;
}

}  // namespace detail

}  // namespace chaise
