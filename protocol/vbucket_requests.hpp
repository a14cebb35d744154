#pragma once

#include <array>
#include <span>
#include <string>

#include "protocol/request_context.hpp"

// Encoders of the commands that ask about a vbucket: observe, sequence numbers, failover log, range scan.
namespace chaise::protocol {

struct ObserveKey {
    std::uint16_t vbucket = 0;
    std::string_view key{};
    std::optional<std::uint32_t> collection{};
};

struct ObserveRequest {
    RequestContext context{};
    std::span<const ObserveKey> keys{};
};

/// context.vbucket names the vbucket.
struct ObserveSeqnoRequest {
    RequestContext context{};
    std::uint64_t vbucket_uuid = 0;
};

/// The answer comes when that much is persisted.
struct SeqnoPersistenceRequest {
    RequestContext context{};
    std::uint64_t seqno = 0;
};

struct GetFailoverLogRequest {
    RequestContext context{};
};

enum class VbucketState : std::uint32_t { any_alive = 0, active = 1, replica = 2, pending = 3, dead = 4 };

struct GetAllVbSeqnosRequest {
    RequestContext context{};
    std::optional<VbucketState> state{};
    std::optional<std::uint32_t> collection{};  ///< needs state; in the extras
};

using RangeScanId = std::array<std::uint8_t, 16>;

struct RangeScanBound {
    std::string_view key{};  ///< raw; encoded as base64
    bool exclusive = false;
};
struct RangeScanRange {
    RangeScanBound start{};
    RangeScanBound end{};
};
struct RangeScanSampling {
    std::uint64_t samples = 0;
    std::optional<std::uint64_t> seed{};
};
struct RangeScanSnapshot {
    std::uint64_t vbucket_uuid = 0;
    std::uint64_t seqno = 0;
    std::optional<bool> seqno_exists{};
    std::optional<std::uint32_t> timeout_ms{};
};

/// Set exactly one of range and sampling. The value is JSON, so context.datatype must be json.
struct RangeScanCreateRequest {
    RequestContext context{};
    std::optional<std::uint32_t> collection{};  ///< absent: the default collection
    std::optional<RangeScanRange> range{};
    std::optional<RangeScanSampling> sampling{};
    std::optional<bool> key_only{};
    std::optional<bool> include_xattrs{};
    std::optional<RangeScanSnapshot> snapshot{};
    std::string_view name{};  ///< at most 50 bytes
};

struct RangeScanContinueRequest {
    RequestContext context{};
    RangeScanId scan_id{};
    std::uint32_t item_limit = 0;  ///< 0: none, as for the other two
    std::uint32_t time_limit_ms = 0;
    std::uint32_t byte_limit = 0;
};

struct RangeScanCancelRequest {
    RequestContext context{};
    RangeScanId scan_id{};
};

[[nodiscard]] std::size_t encoded_size(const ObserveRequest& r) noexcept;
char* encode(const ObserveRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const ObserveSeqnoRequest& r) noexcept;
char* encode(const ObserveSeqnoRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const SeqnoPersistenceRequest& r) noexcept;
char* encode(const SeqnoPersistenceRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const GetFailoverLogRequest& r) noexcept;
char* encode(const GetFailoverLogRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const GetAllVbSeqnosRequest& r) noexcept;
char* encode(const GetAllVbSeqnosRequest& r, char* out) noexcept;
/// Not hot: both make the JSON text.
[[nodiscard]] std::size_t encoded_size(const RangeScanCreateRequest& r);
char* encode(const RangeScanCreateRequest& r, char* out);
[[nodiscard]] std::string range_scan_json(const RangeScanCreateRequest& r);
[[nodiscard]] std::size_t encoded_size(const RangeScanContinueRequest& r) noexcept;
char* encode(const RangeScanContinueRequest& r, char* out) noexcept;
[[nodiscard]] std::size_t encoded_size(const RangeScanCancelRequest& r) noexcept;
char* encode(const RangeScanCancelRequest& r, char* out) noexcept;

}  // namespace chaise::protocol
