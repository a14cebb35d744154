#include "protocol/json_text.hpp"

#include <charconv>

namespace chaise::protocol {

void append_json_string(std::string& json, std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    json += '"';
    for (const char c : text) {
        const auto code = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            (json += '\\') += c;
        else if (code < 0x20)
            ((json += "\\u00") += digits[code >> 4]) += digits[code & 15u];
        else
            json += c;
    }
    json += '"';
}

std::string json_hex(std::uint64_t value) {
    char buffer[16];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, 16);
    return {buffer, end.ptr};
}

bool parse_hex(std::string_view text, std::uint64_t& value) noexcept {
    if (text.empty() || text.size() > 16) return false;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    return end.ec == std::errc{} && end.ptr == text.data() + text.size();
}

}  // namespace chaise::protocol
