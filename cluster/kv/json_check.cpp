#include "cluster/kv/json_check.hpp"

#include <bitset>
#include <cstddef>
#include <cstdint>

namespace chaise::testing {

namespace {

constexpr std::size_t max_depth = 1024;

class Checker {
public:
    explicit Checker(std::string_view text) noexcept : at_(text.data()), end_(text.data() + text.size()) {}

    // Containers are kept on a stack of one bit each: whether it is an object.
    bool run() noexcept {
        std::size_t depth = 0;
        bool wants_value = true;
        while (true) {
            space();
            if (wants_value) {
                if (at_ == end_) return false;
                if (*at_ == '{' || *at_ == '[') {
                    if (depth == max_depth) return false;
                    const bool object = *at_++ == '{';
                    objects_[depth++] = object;
                    space();
                    if (take(object ? '}' : ']')) {
                        --depth;
                        wants_value = false;
                    } else if (object && !name()) {
                        return false;
                    }
                    continue;
                }
                if (!scalar()) return false;
                wants_value = false;
                continue;
            }
            if (depth == 0) return at_ == end_;
            const bool object = objects_[depth - 1];
            if (take(',')) {
                space();
                if (object && !name()) return false;
                wants_value = true;
            } else if (take(object ? '}' : ']')) {
                --depth;
            } else {
                return false;
            }
        }
    }

private:
    void space() noexcept {
        while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
    }
    bool take(char c) noexcept {
        if (at_ == end_ || *at_ != c) return false;
        ++at_;
        return true;
    }
    bool word(std::string_view text) noexcept {
        if (static_cast<std::size_t>(end_ - at_) < text.size() || std::string_view(at_, text.size()) != text)
            return false;
        at_ += text.size();
        return true;
    }
    bool digits() noexcept {
        const char* const start = at_;
        while (at_ != end_ && *at_ >= '0' && *at_ <= '9') ++at_;
        return at_ != start;
    }
    bool number() noexcept {
        take('-');
        if (!take('0') && !digits()) return false;
        if (take('.') && !digits()) return false;
        if (take('e') || take('E')) {
            if (!take('+')) take('-');
            if (!digits()) return false;
        }
        return true;
    }
    bool name() noexcept {
        if (!take('"') || !rest_of_string()) return false;
        space();
        return take(':');
    }
    bool scalar() noexcept {
        switch (*at_) {
            case '"':
                ++at_;
                return rest_of_string();
            case 't':
                return word("true");
            case 'f':
                return word("false");
            case 'n':
                return word("null");
            default:
                return number();
        }
    }
    bool rest_of_string() noexcept {
        while (at_ != end_) {
            const auto c = static_cast<std::uint8_t>(*at_++);
            if (c == '"') return true;
            if (c < 0x20) return false;
            if (c == '\\') {
                if (!escape()) return false;
            } else if (c >= 0x80 && !rest_of_character(c)) {
                return false;
            }
        }
        return false;
    }
    bool escape() noexcept {
        if (at_ == end_) return false;
        const char c = *at_++;
        if (c != 'u') return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
        for (int i = 0; i < 4; ++i, ++at_) {
            if (at_ == end_) return false;
            const char digit = *at_;
            if (!((digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f') || (digit >= 'A' && digit <= 'F')))
                return false;
        }
        return true;
    }
    // UTF-8 without overlong forms, surrogates and what is beyond U+10FFFF.
    bool rest_of_character(std::uint8_t lead) noexcept {
        std::size_t more = 0;
        std::uint8_t low = 0x80;
        std::uint8_t high = 0xbf;
        if (lead >= 0xc2 && lead <= 0xdf) {
            more = 1;
        } else if ((lead & 0xf0) == 0xe0) {
            more = 2;
            if (lead == 0xe0) low = 0xa0;
            if (lead == 0xed) high = 0x9f;
        } else if (lead >= 0xf0 && lead <= 0xf4) {
            more = 3;
            if (lead == 0xf0) low = 0x90;
            if (lead == 0xf4) high = 0x8f;
        } else {
            return false;
        }
        for (; more != 0; --more, ++at_) {
            if (at_ == end_) return false;
            const auto c = static_cast<std::uint8_t>(*at_);
            if (c < low || c > high) return false;
            low = 0x80;
            high = 0xbf;
        }
        return true;
    }

    const char* at_;
    const char* end_;
    std::bitset<max_depth> objects_;
};

}  // namespace

bool is_json(std::string_view text) noexcept {
    // Most values that are no JSON show it at once.
    const std::size_t first = text.find_first_not_of(" \n\r\t");
    if (first == std::string_view::npos) return false;
    constexpr std::string_view starts = "{[\"-0123456789tfn";
    if (starts.find(text[first]) == std::string_view::npos) return false;
    return Checker(text).run();
}

}  // namespace chaise::testing
