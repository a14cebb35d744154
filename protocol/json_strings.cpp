#include "protocol/json_strings.hpp"

#include "protocol/json_bits.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace chaise::protocol {

namespace {

/// Four hexadecimal digits; -1: they are none.
int utf16_unit(std::string_view text) noexcept {
    if (text.size() < 4) return -1;
    int unit = 0;
    for (const char c : text.substr(0, 4)) {
        const int letter = c | 0x20;
        if (c >= '0' && c <= '9') {
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

/// Stands for a character by itself, behind a backslash.
constexpr auto stands_for_one = [] {
    std::array<bool, 256> table{};
    for (const char c : std::string_view("\"\\/bfnrt")) table[static_cast<unsigned char>(c)] = true;
    return table;
}();

/// Looks at what follows each backslash, one after the other.
class Escapes {
public:
    explicit Escapes(std::string_view text) noexcept : text_(text), good_(text.size()) {}

    /// The byte there follows a backslash.
    void look_at(std::size_t at) noexcept {
        if (!stands_for_one[static_cast<unsigned char>(text_[at])]) look_at_unit(at);
    }
    /// So much comes before the first that is wrong.
    [[nodiscard]] std::size_t good() const noexcept { return good_; }

private:
    [[gnu::noinline]] void look_at_unit(std::size_t at) noexcept {
        if (at == second_) return;
        const std::string_view rest = text_.substr(at);
        const int unit = rest.front() == 'u' ? utf16_unit(rest.substr(1)) : -1;
        bool good = unit >= 0 && !is_second_half(unit);
        if (good && is_first_half(unit)) {
            const std::string_view second = rest.substr(5);
            good = second.starts_with("\\u") && is_second_half(utf16_unit(second.substr(2)));
            second_ = at + 6;
        }
        if (!good) good_ = std::min(good_, at - 1);
    }

    std::string_view text_;
    std::size_t good_;
    std::size_t second_ = 0;  ///< the second half of a character that has been looked at
};

}  // namespace

JsonStrings::JsonStrings(std::string_view text) noexcept {
    Escapes escapes(text);
    bool open = false;
    bool escaped = false;  // the next byte is
    std::size_t at = 0;
#if defined(__SSE2__)
    std::uint64_t toggles = 0;
    for (; text.size() - at >= JsonBlock::size; at += JsonBlock::size) {
        const JsonBlock block(text.data() + at);
        std::uint64_t quotes = block.equal('"');
        const std::uint64_t backslashes = block.equal('\\');
        if ((backslashes | std::uint64_t{escaped}) != 0) {
            const std::uint64_t after = escaped_bytes(backslashes, escaped, escaped);
            quotes &= ~after;
            for (std::uint64_t left = after; left != 0; left &= left - 1) {
                escapes.look_at(at + static_cast<std::size_t>(std::countr_zero(left)));
            }
        }
        toggles ^= quotes;
    }
    open = (std::popcount(toggles) & 1) != 0;
#endif
    for (; at < text.size(); ++at) {
        if (escaped) {
            escaped = false;
            escapes.look_at(at);
        } else if (text[at] == '\\') {
            escaped = true;
        } else if (text[at] == '"') {
            open = !open;
        }
    }
    closed = text.size();
    while (open) {  // its quote is the last one that is not escaped
        closed = text.substr(0, closed).rfind('"');
        const std::size_t slashes = closed - 1 - text.substr(0, closed).find_last_not_of('\\');
        open = slashes % 2 != 0;
    }
    well_escaped = escaped ? std::min(escapes.good(), text.size() - 1) : escapes.good();
}

}  // namespace chaise::protocol
