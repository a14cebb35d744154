#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "protocol/feature.hpp"
#include "protocol/frame.hpp"
#include "protocol/session_requests.hpp"

// Decoders of session responses: HELLO, SASL, statistics, error map, error context, pushes, collections.
namespace chaise::protocol {

/// Granted features; nothing when the value is odd.
[[nodiscard]] std::optional<FeatureSet> decode_hello(const Frame& frame) noexcept;

/// Walks names separated by spaces (SASL mechanisms, buckets): `while (auto name = words.next())`.
class Words {
public:
    explicit Words(std::string_view text) noexcept : left_(text) {}
    [[nodiscard]] std::optional<std::string_view> next() noexcept;

private:
    std::string_view left_;
};

/// One frame of the answer to STAT; `last` is the terminator (neither key nor value).
struct StatEntry {
    std::string_view key{};
    std::string_view value{};
    bool last = false;
};
[[nodiscard]] StatEntry decode_stat(const Frame& frame) noexcept;

/// Extras of COLLECTIONS_GET_ID and COLLECTIONS_GET_SCOPE_ID.
struct CollectionIdResponse {
    std::uint64_t manifest_uid = 0;
    std::uint32_t id = 0;
};
[[nodiscard]] std::optional<CollectionIdResponse> decode_collection_id(const Frame& frame) noexcept;

/// CLUSTERMAP_CHANGE_NOTIFICATION. Very old servers sent a u32 revision and no epoch.
struct ConfigPush {
    ConfigRevision revision{};
    std::string_view bucket{};  ///< empty: the cluster-level map
    std::string_view config{};  ///< empty: brief, ask for the map
};
[[nodiscard]] std::optional<ConfigPush> decode_config_push(const Frame& frame) noexcept;

/// What an error's value tells (protocol.md 4.3). Empty when the value is no such JSON.
struct ErrorContext {
    std::string context;
    std::string reference;
    std::optional<std::uint64_t> manifest_uid;
    [[nodiscard]] bool empty() const noexcept { return context.empty() && reference.empty() && !manifest_uid; }
};
[[nodiscard]] ErrorContext decode_error_context(const Frame& frame);

/// "retry" of an entry of the error map: the delays that auto-retry asks for, in ms.
struct RetrySpec {
    enum class Strategy : std::uint8_t { constant, linear, exponential };
    Strategy strategy = Strategy::constant;
    std::uint32_t interval_ms = 0;      ///< constant: the delay; linear: times the retries; exponential: to their power
    std::uint32_t after_ms = 0;         ///< before the first retry
    std::uint32_t ceil_ms = 0;          ///< no delay is longer; 0: none is too long
    std::uint32_t max_duration_ms = 0;  ///< no retries after so long; 0: no bound
};

/// A node's answer to GET_ERROR_MAP (protocol.md 4.2): it classifies the statuses that name(Status) does not know.
struct ErrorMap {
    struct Entry {
        std::string name;
        std::string description;
        ErrorAttribute attributes = ErrorAttribute::none;
        std::optional<RetrySpec> retry{};
    };
    int version = 0;
    int revision = 0;
    std::map<std::uint16_t, Entry> errors;
    [[nodiscard]] const Entry* find(Status status) const noexcept;
};
[[nodiscard]] std::optional<ErrorMap> decode_error_map(std::string_view json);

}  // namespace chaise::protocol
