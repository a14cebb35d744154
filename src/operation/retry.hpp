#pragma once

#include "protocol/session_responses.hpp"
#include "protocol/status.hpp"

#include <chaise/detail/slot.hpp>
#include <chaise/retry.hpp>

#include <cstdint>
#include <optional>

namespace chaise::detail {

/// Why an operation that was answered with `status` could be tried again; nothing: it has failed. `entry`: what the
/// node's error map says of the status, if anything.
[[nodiscard]] std::optional<RetryReason> retry_reason(OperationKind kind, protocol::Status status,
                                                      const protocol::ErrorMap::Entry* entry);
/// What the error map wants before the retry that follows on `retries` others.
[[nodiscard]] std::optional<Duration> suggested_delay(const protocol::ErrorMap::Entry& entry,
                                                      std::uint32_t retries) noexcept;

}  // namespace chaise::detail
