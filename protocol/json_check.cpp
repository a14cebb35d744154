#include "protocol/json_check.hpp"

#include <simdjson.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string>

namespace chaise::protocol {

namespace {

constexpr std::size_t max_depth = 1024;

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
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
/// White space, and what is a thing of its own; a quote that follows directly is not.
constexpr auto ends_scalar = [] {
    std::array<bool, 256> table{};
    for (const char c : std::string_view(" \t\r\n,:]}[{")) table[static_cast<unsigned char>(c)] = true;
    return table;
}();

/// simdjson's first stage has looked at every byte: the text is UTF-8, strings end and have no control characters, and
/// where strings, brackets, colons, commas and other values begin is in its index. Its second stage would make numbers
/// and texts of them; here is only looked whether they come in an order that makes sense, and are well-formed.
class Walk {
public:
    Walk(std::string_view text, const std::uint32_t* index, std::size_t size) noexcept
        : text_(text.data()),
          end_(text.data() + text.size()),
          next_(index),
          last_(index + size),
          escape_(escape_from(text_)) {}

    [[nodiscard]] bool operator()() noexcept {
        std::array<bool, max_depth> in_object;
        std::size_t depth = 0;
        for (;;) {
            const char* const begin = take();
            if (!begin) return false;
            if (*begin == '{' || *begin == '[') {
                if (depth == max_depth) return false;
                const bool object = *begin == '{';
                in_object[depth] = object;
                const bool empty = next_ != last_ && text_[*next_] == (object ? '}' : ']');
                if (!empty) {
                    ++depth;
                    if (object && !name()) return false;
                    continue;
                }
                ++next_;
            } else if (!scalar(begin)) {
                return false;
            }
            // What follows it: its container may end, and the container's may, too.
            for (;;) {
                if (depth == 0) return next_ == last_;
                const char* const mark = take();
                if (!mark) return false;
                const bool object = in_object[depth - 1];
                if (*mark == ',') {
                    if (object && !name()) return false;
                    break;
                }
                if (*mark != (object ? '}' : ']')) return false;
                --depth;
            }
        }
    }

private:
    /// Where the next thing begins; null: there is none.
    [[nodiscard]] const char* take() noexcept { return next_ == last_ ? nullptr : text_ + *next_++; }
    /// And its colon.
    [[nodiscard]] bool name() noexcept {
        const char* const begin = take();
        if (!begin || *begin != '"' || !string()) return false;
        const char* const colon = take();
        return colon && *colon == ':';
    }
    [[nodiscard]] bool scalar(const char* begin) noexcept {
        switch (*begin) {
            case '"':
                return string();
            case 't':
                return word(begin, "true");
            case 'f':
                return word(begin, "false");
            case 'n':
                return word(begin, "null");
            default:
                return number(begin);
        }
    }
    /// Of a string that ends somewhere before the next thing: its escapes. Elsewhere there are no backslashes.
    [[nodiscard]] bool string() noexcept {
        const char* const over = next_ == last_ ? end_ : text_ + *next_;
        while (escape_ < over) {
            // The string ends, so that something follows the backslash, and the quote that ends it.
            const char what = escape_[1];
            const char* at = escape_ + 2;
            if (what == 'u') {
                const int unit = utf16_unit(at, over);
                if (unit < 0 || is_second_half(unit)) return false;
                at += 4;
                if (is_first_half(unit)) {
                    if (over - at < 2 || at[0] != '\\' || at[1] != 'u' || !is_second_half(utf16_unit(at + 2, over))) {
                        return false;
                    }
                    at += 6;
                }
            } else if (!may_be_escaped(what)) {
                return false;
            }
            escape_ = escape_from(at);
        }
        return true;
    }
    [[nodiscard]] const char* escape_from(const char* at) const noexcept {
        const void* const found = std::memchr(at, '\\', static_cast<std::size_t>(end_ - at));
        return found ? static_cast<const char*>(found) : end_;
    }
    [[nodiscard]] bool word(const char* begin, std::string_view wanted) const noexcept {
        const auto left = static_cast<std::size_t>(end_ - begin);
        return std::string_view(begin, left).starts_with(wanted) && ends(begin + wanted.size());
    }
    [[nodiscard]] bool number(const char* at) const noexcept {
        const auto digits = [&] {
            const char* const from = at;
            while (at != end_ && is_digit(*at)) ++at;
            return at != from;
        };
        if (*at == '-') ++at;
        if (at != end_ && *at == '0') {
            ++at;
        } else if (!digits()) {
            return false;
        }
        if (at != end_ && *at == '.') {
            ++at;
            if (!digits()) return false;
        }
        if (at != end_ && (*at | 0x20) == 'e') {
            ++at;
            if (at != end_ && (*at == '+' || *at == '-')) ++at;
            if (!digits()) return false;
        }
        return ends(at);
    }
    /// A word or a number is over; what comes then is another thing, which is in the index.
    [[nodiscard]] bool ends(const char* at) const noexcept {
        return at == end_ || ends_scalar[static_cast<unsigned char>(*at)];
    }

    const char* const text_;
    const char* const end_;
    const std::uint32_t* next_;
    const std::uint32_t* const last_;
    const char* escape_;  ///< the next backslash, or the end
};

}  // namespace

struct JsonCheck::Parser {
    simdjson::dom::parser dom;
    std::string copy;
};

JsonCheck::JsonCheck() : parser_(std::make_unique<Parser>()) {}
JsonCheck::~JsonCheck() = default;

bool JsonCheck::operator()(std::string_view text) {
    parser_->copy.assign(text);
    parser_->copy.append(padding, ' ');
    return padded(std::string_view(parser_->copy).substr(0, text.size()));
}

bool JsonCheck::padded(std::string_view text) {
    static_assert(padding >= simdjson::SIMDJSON_PADDING);
    if (text.empty()) return false;
    simdjson::dom::parser& dom = parser_->dom;
    if (dom.capacity() < text.size() && dom.allocate(text.size()) != simdjson::SUCCESS) return false;
    simdjson::internal::dom_parser_implementation& first_stage = *dom.implementation;
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(text.data());
    if (first_stage.stage1(bytes, text.size(), simdjson::stage1_mode::regular) != simdjson::SUCCESS) return false;
    return Walk(text, first_stage.structural_indexes.get(), first_stage.n_structural_indexes)();
}

}  // namespace chaise::protocol
