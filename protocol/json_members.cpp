#include "protocol/json_members.hpp"

#include <simdjson.h>

namespace chaise::protocol {

namespace {

void skip_space(std::string_view& text) noexcept {
    const std::size_t at = text.find_first_not_of(" \t\r\n");
    text.remove_prefix(at == std::string_view::npos ? text.size() : at);
}

std::size_t string_size(std::string_view text) noexcept {
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (text[i] == '\\') {
            ++i;
        } else if (text[i] == '"') {
            return i + 1;
        }
    }
    return text.size();
}

/// Of the value that the text begins with.
std::size_t value_size(std::string_view text) noexcept {
    if (text.empty()) return 0;
    if (text.front() == '"') return string_size(text);
    if (text.front() != '{' && text.front() != '[') return std::min(text.find_first_of(",]} \t\r\n"), text.size());
    std::size_t depth = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '"') {
            i += string_size(text.substr(i)) - 1;
        } else if (c == '{' || c == '[') {
            ++depth;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return i + 1;
        }
    }
    return text.size();
}

std::string_view take(std::string_view& text, std::size_t size) noexcept {
    const std::string_view out = text.substr(0, size);
    text.remove_prefix(out.size());
    skip_space(text);
    return out;
}

std::string_view inside(std::string_view text, char open) noexcept {
    skip_space(text);
    if (text.empty() || text.front() != open) return {};
    text.remove_prefix(1);
    skip_space(text);
    return text;
}

/// Behind a member or an element.
void skip_comma(std::string_view& text) noexcept {
    if (!text.empty() && text.front() == ',') {
        static_cast<void>(take(text, 1));
    } else {
        text = {};
    }
}

}  // namespace

JsonMembers::JsonMembers(std::string_view object) noexcept : left_(inside(object, '{')) {}

bool JsonMembers::next(std::string_view& name, std::string_view& value) noexcept {
    if (left_.empty() || left_.front() != '"') return false;
    name = take(left_, string_size(left_));
    static_cast<void>(take(left_, 1));  // the colon
    value = take(left_, value_size(left_));
    skip_comma(left_);
    return true;
}

JsonElements::JsonElements(std::string_view array) noexcept : left_(inside(array, '[')) {}

bool JsonElements::next(std::string_view& value) noexcept {
    if (left_.empty() || left_.front() == ']') return false;
    value = take(left_, value_size(left_));
    skip_comma(left_);
    return true;
}

std::string_view json_member(std::string_view object, std::string_view name) noexcept {
    JsonMembers members(object);
    for (std::string_view each, value; members.next(each, value);) {
        if (each.size() == name.size() + 2 && each.substr(1, name.size()) == name) return value;
    }
    return {};
}

std::optional<std::string> json_unquoted(std::string_view text) {
    if (text.size() < 2 || text.front() != '"') return std::nullopt;
    if (text.find('\\') == std::string_view::npos) return std::string(text.substr(1, text.size() - 2));
    simdjson::dom::parser parser;
    std::string_view plain;
    if (parser.parse(simdjson::padded_string(text)).get(plain) != simdjson::SUCCESS) return std::nullopt;
    return std::string(plain);
}

}  // namespace chaise::protocol
