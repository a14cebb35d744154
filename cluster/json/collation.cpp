#include "cluster/json/collation.hpp"

#include <array>
#include <bit>
#include <cstdint>

namespace chaise::testing {

namespace {

// Strings are three sequences of weights, each ended by `level_end`, which is below all weights; the usual weights at
// the end of the second and third are left out, being the lowest there are.
constexpr char level_end = 1;
constexpr char end_of_list = 0;  // below every tag
constexpr char secondary_usual = 0x20;
constexpr char tertiary_lower = 2;
constexpr char tertiary_upper = 3;

enum Tag : char { tag_null = 1, tag_false, tag_true, tag_number, tag_string, tag_array, tag_object };

constexpr bool is_letter(unsigned char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// The first level's weight of each ASCII character.
constexpr std::array<char, 128> ascii_weights() {
    std::array<char, 128> weights{};
    char next = 2;
    for (unsigned char c = 0; c < 9; ++c) weights[c] = next++;
    for (unsigned char c = 14; c < 32; ++c) weights[c] = next++;
    weights[127] = next++;
    for (const char c : std::string_view("\t\n\v\f\r `^_-,;:!?.'\"()[]{}@*/\\&#%+<=>|~$0123456789")) {
        weights[static_cast<unsigned char>(c)] = next++;
    }
    for (unsigned char c = 'a'; c <= 'z'; ++c) {
        weights[c] = next;
        weights[static_cast<unsigned char>(c - 'a' + 'A')] = next++;
    }
    return weights;
}
constexpr auto weights = ascii_weights();

// Of U+00C0 to U+00FF; a blank: stands for itself.
constexpr std::string_view latin1_bases = "AAAAAA CEEEEIIII NOOOOO OUUUUY  aaaaaa ceeeeiiii nooooo ouuuuy y";
static_assert(latin1_bases.size() == 64);

// Text is valid UTF-8.
std::uint32_t next_point(std::string_view text, std::size_t& at) noexcept {
    const auto first = static_cast<unsigned char>(text[at++]);
    if (first < 0x80) return first;
    const int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    std::uint32_t point = first & (0x3fu >> more);
    for (int i = 0; i < more && at < text.size(); ++i) {
        point = point << 6 | (static_cast<unsigned char>(text[at++]) & 0x3f);
    }
    return point;
}

void append_without_usual(std::string& key, std::string& level, char usual) {
    const std::size_t last = level.find_last_not_of(usual);
    key.append(level, 0, last == std::string::npos ? 0 : last + 1);
    key += level_end;
}

void append_number(std::string& key, double number) {
    if (number == 0) number = 0;  // not -0
    auto bits = std::bit_cast<std::uint64_t>(number);
    bits = (bits >> 63) != 0 ? ~bits : bits | std::uint64_t{1} << 63;
    for (int shift = 56; shift >= 0; shift -= 8) key += static_cast<char>(bits >> shift & 0xff);
}

void append(std::string& key, const Json& value) {
    switch (value.kind) {
        case Json::Kind::missing:
        case Json::Kind::null:
            key += tag_null;
            break;
        case Json::Kind::boolean:
            key += value.truth ? tag_true : tag_false;
            break;
        case Json::Kind::number:
            key += tag_number;
            append_number(key, value.number);
            break;
        case Json::Kind::string:
            append_string_collation(key, value.text);
            break;
        case Json::Kind::array:
            key += tag_array;
            for (const Json& item : value.items) append(key, item);
            key += end_of_list;
            break;
        case Json::Kind::object:
            key += tag_object;
            for (const Json::Member& member : value.members) {
                append_string_collation(key, member.first);
                append(key, member.second);
            }
            key += end_of_list;
            break;
    }
}

}  // namespace

void append_string_collation(std::string& key, std::string_view text) {
    std::string accents;
    std::string cases;
    key += tag_string;
    for (std::size_t at = 0; at < text.size();) {
        std::uint32_t point = next_point(text, at);
        char accent = secondary_usual;
        if (point >= 0xc0 && point < 0x100 && latin1_bases[point - 0xc0] != ' ') {
            accent = static_cast<char>(secondary_usual + 1 + (point & 0x1f));
            point = static_cast<unsigned char>(latin1_bases[point - 0xc0]);
        }
        if (point < 0x80) {
            key += weights[point];
        } else {
            key += static_cast<char>(0xf0);
            for (int shift = 16; shift >= 0; shift -= 8) key += static_cast<char>(point >> shift & 0xff);
        }
        accents += accent;
        const bool upper = point < 0x80 && is_letter(static_cast<unsigned char>(point)) && point < 'a';
        cases += upper ? tertiary_upper : tertiary_lower;
    }
    key += level_end;
    append_without_usual(key, accents, secondary_usual);
    append_without_usual(key, cases, tertiary_lower);
}

std::string collation_key(const Json& value) {
    std::string key;
    append(key, value);
    return key;
}

}  // namespace chaise::testing
