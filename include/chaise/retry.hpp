#pragma once

/// \file
/// Whether and when an operation is tried again after an answer that says "not now" (SDK-RFC 49, protocol.md 4.6).

#include <chaise/time.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace chaise {

/// Why an operation could be tried again. Each of them but `connection_lost_in_flight` says that the server did not
/// execute it, so that operations which are not idempotent may be repeated, too; after a lost connection the strategy
/// is asked for idempotent ones only. (What a strategy is not asked for: a node that is not connected yet is waited
/// for, and NOT_MY_VBUCKET follows the cluster map, until the operation's timeout.)
enum class RetryReason : std::uint8_t {
    locked,                     ///< LOCKED: another holds the document's lock (of unlock it is an error)
    temporary_failure,          ///< ETMPFAIL, EBUSY, ENOMEM of a Couchbase node
    sync_write_in_progress,     ///< another durable write to the document is under way
    sync_write_re_commit,       ///< a durable write to it is being committed anew
    error_map,                  ///< a status that only the node's error map knows, and calls transient
    connection_lost_in_flight,  ///< the connection was lost while an idempotent operation was in flight
};
/// As SDK-RFC 49 writes it: "KV_LOCKED", …
[[nodiscard]] std::string_view name(RetryReason reason) noexcept;

/// What a strategy decides by.
struct RetryRequest {
    std::string_view operation{};         ///< "get", "upsert", …
    RetryReason reason{};                 ///< why it could be tried again now
    bool idempotent = false;              ///< executing it twice does no harm
    std::uint32_t retries = 0;            ///< attempts beyond the first so far, for whatever reason
    Duration time_spent{};                ///< since the call
    Duration time_left{};                 ///< until its timeout
    std::optional<Duration> suggested{};  ///< by the node's error map, for this retry
    std::uint64_t random = 0;             ///< drawn anew for each question, by the loop (the simulator's is seeded)
};

/// Decides about retries. One object may serve many buckets, on several threads if they do.
class RetryStrategy {
public:
    virtual ~RetryStrategy() = default;
    /// After how long the operation is tried again; nothing: it ends with the error now. It ends with it at once, too,
    /// if the delay would reach its timeout. A lost connection: the delay is that of connecting again, whatever this
    /// says. Called on the bucket's loop; must not throw and not call into the bucket.
    [[nodiscard]] virtual std::optional<Duration> retry_after(const RetryRequest& request) noexcept = 0;
};

/// The default: after what the error map suggests, otherwise 1 ms doubling to 500 ms, each drawn from its upper half so
/// that many who are refused together do not come back together.
class BestEffortRetry : public RetryStrategy {
public:
    [[nodiscard]] std::optional<Duration> retry_after(const RetryRequest& request) noexcept override;
};

/// Never: every error comes at once.
class FailFastRetry : public RetryStrategy {
public:
    [[nodiscard]] std::optional<Duration> retry_after(const RetryRequest&) noexcept override { return std::nullopt; }
};

}  // namespace chaise
