#pragma once

/// \file
/// The headers of an HTTP answer.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace chaise {

/// The headers of an HTTP answer, in the order in which they were sent. Small enough to copy.
class HttpHeaders {
public:
    /// Of names and values together; more is an error of the exchange.
    static constexpr std::size_t most_bytes = std::size_t{64} * 1024;

    /// The value of the first header of that name (RFC 9110, 5.1: upper and lower case are the same), without the
    /// spaces around it; empty if there is none. Valid as long as this object is not changed.
    [[nodiscard]] std::string_view get(std::string_view name) const noexcept {
        for (std::string_view rest = text_; !rest.empty();) {
            const std::string_view line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(line.size() + 1);
            const std::size_t colon = line.find(':');
            if (same_name(line.substr(0, colon), name)) return line.substr(colon + 2);
        }
        return {};
    }
    [[nodiscard]] bool empty() const noexcept { return text_.empty(); }
    /// All of them, a line each: "Name: value\n".
    [[nodiscard]] const std::string& text() const noexcept { return text_; }

    /// For HTTP clients: one more. False if it would be too much; nothing is added then.
    [[nodiscard]] bool add(std::string_view name, std::string_view value) {
        if (text_.size() + name.size() + value.size() + 3 > most_bytes) return false;
        text_.append(name).append(": ").append(trimmed(value)).append("\n");
        return true;
    }
    void clear() noexcept { text_.clear(); }

    [[nodiscard]] static bool same_name(std::string_view a, std::string_view b) noexcept {
        const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; };
        return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
    }

private:
    static std::string_view trimmed(std::string_view value) noexcept {
        const auto space = [](char c) { return c == ' ' || c == '\t'; };
        while (!value.empty() && space(value.front())) value.remove_prefix(1);
        while (!value.empty() && space(value.back())) value.remove_suffix(1);
        return value;
    }

    std::string text_;
};

}  // namespace chaise
