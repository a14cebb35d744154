#include "protocol/json_walk.hpp"

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

/// A word or a number is over; what comes then is another thing, which is in the index.
bool ends(const char* at, const char* end) noexcept {
    return at == end || ends_scalar[static_cast<unsigned char>(*at)];
}
bool is_word(std::string_view text, std::string_view wanted) noexcept {
    return text.starts_with(wanted) && ends(text.data() + wanted.size(), text.data() + text.size());
}
/// Goes on behind digits. False: there are none.
bool digits(const char*& at, const char* end) noexcept {
    if (at == end || !is_digit(*at)) return false;
    do ++at;
    while (at != end && is_digit(*at));
    return true;
}
bool is_number(const char* at, const char* end) noexcept {
    if (*at == '-') ++at;
    if (at != end && *at == '0') {
        ++at;
    } else if (!digits(at, end)) {
        return false;
    }
    if (ends(at, end)) return true;
    if (*at == '.' && !digits(++at, end)) return false;
    if (at != end && (*at | 0x20) == 'e') {
        ++at;
        if (at != end && (*at == '+' || *at == '-')) ++at;
        if (!digits(at, end)) return false;
    }
    return ends(at, end);
}

}  // namespace

/// Neither string nor bracket.
bool JsonWalk::scalar(const char* begin) const noexcept {
    const char* const end = text_ + size_;
    const std::string_view text(begin, static_cast<std::size_t>(end - begin));
    if (*begin == 't') return is_word(text, "true");
    if (*begin == 'f') return is_word(text, "false");
    return *begin == 'n' ? is_word(text, "null") : is_number(begin, end);
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

}  // namespace chaise::protocol
