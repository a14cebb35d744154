#include "protocol/vbucket_responses.hpp"

namespace chaise::protocol {

namespace {

constexpr std::size_t document_head = 4 + 4 + 8 + 8 + 1;  // flags, expiry, seqno, CAS, datatype

bool take_counted(std::string_view& left, std::string_view& item) noexcept {
    const auto length = load_leb128(left);
    if (!length || length->value > left.size() - length->size) return false;
    item = left.substr(length->size, length->value);
    left.remove_prefix(length->size + length->value);
    return true;
}

}  // namespace

std::optional<ObserveEntry> ObserveReader::next() noexcept {
    if (left_.empty() || malformed_) return std::nullopt;
    malformed_ = true;
    if (left_.size() < 4) return std::nullopt;
    const std::size_t key = load_be16(left_.data() + 2);
    if (left_.size() < 4 + key + 9) return std::nullopt;
    malformed_ = false;
    const char* const tail = left_.data() + 4 + key;
    const ObserveEntry entry{load_be16(left_.data()), left_.substr(4, key),
                             static_cast<ObserveState>(static_cast<std::uint8_t>(*tail)), load_be64(tail + 1)};
    left_.remove_prefix(4 + key + 9);
    return entry;
}

std::optional<ObserveSeqnoResponse> decode_observe_seqno(const Frame& frame) noexcept {
    const std::string_view value = frame.value;
    if (value.empty()) return std::nullopt;
    const auto format = static_cast<std::uint8_t>(value[0]);
    if (format > 1 || value.size() != (format == 0 ? 27u : 43u)) return std::nullopt;
    const char* const at = value.data();
    ObserveSeqnoResponse response{load_be16(at + 1), load_be64(at + 3), load_be64(at + 11), load_be64(at + 19), {}};
    if (format == 1) response.failover = {load_be64(at + 27), load_be64(at + 35)};
    return response;
}

std::optional<FailoverLogEntry> FailoverLogReader::next() noexcept {
    if (left_.size() < 16) return std::nullopt;
    const FailoverLogEntry entry{load_be64(left_.data()), load_be64(left_.data() + 8)};
    left_.remove_prefix(16);
    return entry;
}

std::optional<VbSeqno> VbSeqnosReader::next() noexcept {
    if (left_.size() < 10) return std::nullopt;
    const VbSeqno entry{load_be16(left_.data()), load_be64(left_.data() + 2)};
    left_.remove_prefix(10);
    return entry;
}

std::optional<RangeScanId> decode_range_scan_create(const Frame& frame) noexcept {
    RangeScanId id;
    if (frame.value.size() != id.size()) return std::nullopt;
    std::memcpy(id.data(), frame.value.data(), id.size());
    return id;
}

RangeScanReader::RangeScanReader(const Frame& frame) noexcept : left_(frame.value) {
    const std::uint32_t content = frame.extras.size() == 4 ? load_be32(frame.extras.data()) : 2;
    documents_ = content == 1;
    malformed_ = content > 1;
}

std::optional<RangeScanItem> RangeScanReader::next() noexcept {
    if (left_.empty() || malformed_) return std::nullopt;
    RangeScanItem item;
    malformed_ = true;
    if (documents_) {
        if (left_.size() < document_head) return std::nullopt;
        const char* const at = left_.data();
        item = {{},
                load_be32(at),
                load_be32(at + 4),
                load_be64(at + 8),
                load_be64(at + 16),
                static_cast<std::uint8_t>(at[24]),
                {}};
        left_.remove_prefix(document_head);
    }
    if (!take_counted(left_, item.key)) return std::nullopt;
    if (documents_ && !take_counted(left_, item.value)) return std::nullopt;
    malformed_ = false;
    return item;
}

}  // namespace chaise::protocol
