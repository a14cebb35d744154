#include "protocol/json_members.hpp"

#include <chaise/row.hpp>

#include <charconv>

namespace chaise {

Row::Row(std::string json) {
    auto owner = std::make_shared<const std::string>(std::move(json));
    json_ = *owner;
    owner_ = std::move(owner);
}

std::string_view Row::member(std::string_view name) const noexcept { return protocol::json_member(json_, name); }

std::optional<std::string> Row::docid() const { return protocol::json_unquoted(member("id")); }

std::string_view RowsMeta::member(std::string_view name) const noexcept { return protocol::json_member(json_, name); }

std::optional<std::uint64_t> RowsMeta::total_rows() const noexcept {
    const std::string_view text = member("total_rows");
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace chaise
