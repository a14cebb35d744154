#include "protocol/xattr.hpp"

#include "protocol/byte_order.hpp"

namespace chaise::protocol {

std::optional<XattrSection> XattrSection::parse(std::string_view value) noexcept {
    if (value.size() < 4) return std::nullopt;
    const std::uint32_t total = load_be32(value.data());
    if (total > value.size() - 4) return std::nullopt;
    XattrSection section;
    section.left_ = value.substr(4, total);
    section.body_ = value.substr(4 + std::size_t{total});
    return section;
}

std::optional<Xattr> XattrSection::next() noexcept {
    if (left_.empty() || malformed_) return std::nullopt;
    malformed_ = true;
    if (left_.size() < 4) return std::nullopt;
    const std::uint32_t length = load_be32(left_.data());
    if (length > left_.size() - 4) return std::nullopt;
    const std::string_view pair = left_.substr(4, length);
    // name NUL value NUL, and nothing else.
    const std::size_t first = pair.find('\0');
    if (first == std::string_view::npos || first == 0 || pair.back() != '\0' || first + 1 == pair.size())
        return std::nullopt;
    const std::string_view value = pair.substr(first + 1, pair.size() - first - 2);
    if (value.find('\0') != std::string_view::npos) return std::nullopt;
    malformed_ = false;
    left_.remove_prefix(4 + std::size_t{length});
    return Xattr{pair.substr(0, first), value};
}

}  // namespace chaise::protocol
