#include "protocol/subdocument_responses.hpp"

namespace chaise::protocol {

namespace {

// `length u32, value`.
bool take_value(std::string_view& left, std::string_view& value) noexcept {
    if (left.size() < 4) return false;
    const std::uint32_t length = load_be32(left.data());
    if (length > left.size() - 4) return false;
    value = left.substr(4, length);
    left.remove_prefix(4 + std::size_t{length});
    return true;
}

}  // namespace

std::optional<LookupResult> MultiLookupReader::next() noexcept {
    if (left_.empty() || malformed_) return std::nullopt;
    LookupResult result;
    malformed_ = left_.size() < 2;
    if (malformed_) return std::nullopt;
    result.status = static_cast<Status>(load_be16(left_.data()));
    left_.remove_prefix(2);
    malformed_ = !take_value(left_, result.value);
    if (malformed_) return std::nullopt;
    return result;
}

std::optional<PathMutationResult> MultiMutationReader::next() noexcept {
    if (left_.empty() || malformed_) return std::nullopt;
    PathMutationResult result;
    malformed_ = left_.size() < 3;
    if (malformed_) return std::nullopt;
    result.index = static_cast<std::uint8_t>(left_[0]);
    result.status = static_cast<Status>(load_be16(left_.data() + 1));
    left_.remove_prefix(3);
    // Only successes have a value.
    malformed_ = result.status == Status::success && !take_value(left_, result.value);
    if (malformed_) return std::nullopt;
    return result;
}

}  // namespace chaise::protocol
