#pragma once

#include <optional>

#include "protocol/frame.hpp"
#include "protocol/vbucket_requests.hpp"

// Decoders of the answers about vbuckets: observe, sequence numbers, failover log, range scan.
namespace chaise::protocol {

enum class ObserveState : std::uint8_t {
    found = 0x00,              ///< not yet persisted
    persisted = 0x01,          ///< found and persisted
    not_found = 0x80,          ///< on the node that persisted a delete: deletion persisted
    logically_deleted = 0x81,  ///< deletion not yet persisted
};

struct ObserveEntry {
    std::uint16_t vbucket = 0;
    std::string_view key{};  ///< with the collection prefix if there is one
    ObserveState state = ObserveState::found;
    std::uint64_t cas = 0;
};

class ObserveReader {
public:
    explicit ObserveReader(const Frame& frame) noexcept : left_(frame.value) {}
    [[nodiscard]] std::optional<ObserveEntry> next() noexcept;
    [[nodiscard]] bool malformed() const noexcept { return malformed_; }

private:
    std::string_view left_;
    bool malformed_ = false;
};

/// Averages that OBSERVE hides in the header's CAS.
struct ObserveHints {
    std::uint32_t persist_ms = 0;
    std::uint32_t replicate_ms = 0;
};
[[nodiscard]] inline ObserveHints observe_hints(const Frame& frame) noexcept {
    return {static_cast<std::uint32_t>(frame.cas >> 32), static_cast<std::uint32_t>(frame.cas)};
}

struct ObserveSeqnoResponse {
    /// There was a failover: the vbucket has another history than the one asked for.
    struct Failover {
        std::uint64_t old_vbucket_uuid = 0;
        std::uint64_t last_received_seqno = 0;  ///< of the old history; what is above it is lost
    };
    std::uint16_t vbucket = 0;
    std::uint64_t vbucket_uuid = 0;
    std::uint64_t last_persisted_seqno = 0;
    std::uint64_t current_seqno = 0;
    std::optional<Failover> failover{};  ///< format 1
};
[[nodiscard]] std::optional<ObserveSeqnoResponse> decode_observe_seqno(const Frame& frame) noexcept;

struct FailoverLogEntry {
    std::uint64_t vbucket_uuid = 0;
    std::uint64_t seqno = 0;
};

/// Newest first. Entries have one size, so malformed() tells at any time whether the last one is cut.
class FailoverLogReader {
public:
    explicit FailoverLogReader(const Frame& frame) noexcept : left_(frame.value) {}
    [[nodiscard]] bool malformed() const noexcept { return left_.size() % 16 != 0; }
    [[nodiscard]] std::optional<FailoverLogEntry> next() noexcept;

private:
    std::string_view left_;
};

struct VbSeqno {
    std::uint16_t vbucket = 0;
    std::uint64_t seqno = 0;
};

class VbSeqnosReader {
public:
    explicit VbSeqnosReader(const Frame& frame) noexcept : left_(frame.value) {}
    [[nodiscard]] bool malformed() const noexcept { return left_.size() % 10 != 0; }
    [[nodiscard]] std::optional<VbSeqno> next() noexcept;

private:
    std::string_view left_;
};

[[nodiscard]] std::optional<RangeScanId> decode_range_scan_create(const Frame& frame) noexcept;

struct RangeScanItem {
    std::string_view key{};
    /// Below: only when the scan brings documents.
    std::uint32_t flags = 0;
    std::uint32_t expiry = 0;
    std::uint64_t seqno = 0;
    std::uint64_t cas = 0;
    std::uint8_t datatype = 0;
    std::string_view value{};
};

/// The items of one frame of an answer to RANGE_SCAN_CONTINUE; they are whole within it.
class RangeScanReader {
public:
    /// Malformed at once when the extras do not say whether there are keys or documents.
    explicit RangeScanReader(const Frame& frame) noexcept;
    [[nodiscard]] bool documents() const noexcept { return documents_; }
    [[nodiscard]] std::optional<RangeScanItem> next() noexcept;
    [[nodiscard]] bool malformed() const noexcept { return malformed_; }

private:
    std::string_view left_;
    bool documents_ = false;
    bool malformed_ = false;
};

}  // namespace chaise::protocol
