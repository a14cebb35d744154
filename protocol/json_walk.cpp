#include "protocol/json_walk.hpp"

#include <cstring>

namespace chaise::protocol {

namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_space(char c) noexcept { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/// White space, and what is a thing of its own; a quote that follows directly is not.
constexpr auto ends_scalar = [] {
    std::array<bool, 256> table{};
    for (const char c : std::string_view(" \t\r\n,:]}[{")) table[static_cast<unsigned char>(c)] = true;
    return table;
}();

/// Four hexadecimal digits; -1: they are none.
int utf16_unit(const char* at, const char* end) noexcept {
    if (end - at < 4) return -1;
    int unit = 0;
    for (const char c : std::string_view(at, 4)) {
        const int letter = c | 0x20;
        if (is_digit(c)) {
            unit = unit * 16 + (c - '0');
        } else if (letter >= 'a' && letter <= 'f') {
            unit = unit * 16 + (letter - 'a' + 10);
        } else {
            return -1;
        }
    }
    return unit;
}
/// Of a character that takes two units.
bool is_first_half(int unit) noexcept { return unit >= 0xd800 && unit < 0xdc00; }
bool is_second_half(int unit) noexcept { return unit >= 0xdc00 && unit < 0xe000; }

bool may_be_escaped(char c) noexcept {
    return c == '"' || c == '\\' || c == '/' || c == 'b' || c == 'f' || c == 'n' || c == 'r' || c == 't';
}

/// A word or a number is over; what comes then is another thing, which is in the index.
bool ends(const char* at, const char* end) noexcept {
    return at == end || ends_scalar[static_cast<unsigned char>(*at)];
}
bool is_word(std::string_view text, std::string_view wanted) noexcept {
    return text.starts_with(wanted) && ends(text.data() + wanted.size(), text.data() + text.size());
}
bool is_number(std::string_view text) noexcept {
    const char* at = text.data();
    const char* const end = at + text.size();
    const auto digits = [&] {
        const char* const from = at;
        while (at != end && is_digit(*at)) ++at;
        return at != from;
    };
    if (*at == '-') ++at;
    if (at != end && *at == '0') {
        ++at;
    } else if (!digits()) {
        return false;
    }
    if (at != end && *at == '.') {
        ++at;
        if (!digits()) return false;
    }
    if (at != end && (*at | 0x20) == 'e') {
        ++at;
        if (at != end && (*at == '+' || *at == '-')) ++at;
        if (!digits()) return false;
    }
    return ends(at, end);
}

}  // namespace

/// Neither string nor bracket.
bool JsonWalk::scalar(const char* begin) const noexcept {
    const std::string_view text(begin, static_cast<std::size_t>(text_ + size_ - begin));
    switch (*begin) {
        case 't':
            return is_word(text, "true");
        case 'f':
            return is_word(text, "false");
        case 'n':
            return is_word(text, "null");
        default:
            return is_number(text);
    }
}

JsonWalk::Found JsonWalk::value(std::size_t deepest) noexcept {
    std::array<char, max_depth> closing;  // of the containers that are open
    std::size_t depth = 0;
    const char* const text = text_;
    const std::uint32_t* next = next_;
    const std::uint32_t* const last = last_;
    for (;;) {
        if (next == last) return Found::incomplete;
        const char* const begin = text + *next++;
        const char first = *begin;
        bool named = false;  // what comes next has a name
        if (first == '{' || first == '[') {
            if (depth == deepest) return Found::invalid;
            closing[depth++] = static_cast<char>(first + 2);  // '}' is '{' + 2, and ']' is '[' + 2
            const bool empty = next != last && text[*next] == first + 2;
            if (!empty) {
                if (first == '[') continue;
                named = true;
            }
        } else if (first != '"' && !scalar(begin)) {
            return Found::invalid;
        }
        // What follows it: its container may end, and the container's may, too.
        while (!named) {
            if (depth == 0) {
                next_ = next;
                return Found::value;
            }
            if (next == last) return Found::incomplete;
            const char mark = text[*next++];
            const char close = closing[depth - 1];
            if (mark == ',') {
                if (close == ']') break;
                named = true;
            } else if (mark == close) {
                --depth;
            } else {
                return Found::invalid;
            }
        }
        if (named) {
            if (last - next < 2) return Found::incomplete;
            if (text[next[0]] != '"' || text[next[1]] != ':') return Found::invalid;
            next += 2;
        }
    }
}

void JsonWalk::distrust_end() noexcept {
    if (last_ == next_ || is_space(text_[size_ - 1])) return;
    const char first = text_[last_[-1]];
    if (first != '"' && !ends_scalar[static_cast<unsigned char>(first)]) --last_;
}

std::size_t JsonWalk::end_of_value() const noexcept {
    std::size_t end = *next_;
    while (is_space(text_[end - 1])) --end;
    return end;
}

bool well_escaped(std::string_view text) noexcept {
    const char* const end = text.data() + text.size();
    const auto next_from = [end](const char* at) {
        return static_cast<const char*>(std::memchr(at, '\\', static_cast<std::size_t>(end - at)));
    };
    for (const char* at = next_from(text.data()); at; at = next_from(at)) {
        if (end - at < 2) return false;
        const char what = at[1];
        at += 2;
        if (what == 'u') {
            const int unit = utf16_unit(at, end);
            if (unit < 0 || is_second_half(unit)) return false;
            at += 4;
            if (is_first_half(unit)) {
                if (end - at < 2 || at[0] != '\\' || at[1] != 'u' || !is_second_half(utf16_unit(at + 2, end))) {
                    return false;
                }
                at += 6;
            }
        } else if (!may_be_escaped(what)) {
            return false;
        }
    }
    return true;
}

}  // namespace chaise::protocol
