#include "protocol/md5.hpp"

#include <bit>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

namespace chaise::protocol {

namespace {

using State = std::array<std::uint32_t, 4>;

/// floor(2^32 * |sin(i + 1)|), by round.
constexpr std::array<std::uint32_t, 64> sines = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};

std::uint32_t load_le32(const char* from) noexcept {
    std::uint32_t value;
    std::memcpy(&value, from, sizeof value);
    if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap32(value);
    return value;
}

template <std::size_t... i, class Step>
[[gnu::always_inline]] inline void sixteen(std::index_sequence<i...>, Step step) noexcept {
    (step(std::integral_constant<std::size_t, i>{}), ...);
}

void add_block(State& state, const char* block) noexcept {
    std::array<std::uint32_t, 16> words;
    for (std::size_t i = 0; i < words.size(); ++i) words[i] = load_le32(block + 4 * i);
    std::uint32_t a = state[0];
    std::uint32_t b = state[1];
    std::uint32_t c = state[2];
    std::uint32_t d = state[3];
    const auto step = [&](std::uint32_t mixed, std::size_t i, std::size_t word, int shift) {
        const std::uint32_t sum = a + mixed + sines[i] + words[word];
        a = d;
        d = c;
        c = b;
        b += std::rotl(sum, shift);
    };
    constexpr std::array<std::array<int, 4>, 4> shifts = {
        {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}}};
    constexpr auto each = std::make_index_sequence<16>{};
    sixteen(each, [&](auto i) { step(d ^ (b & (c ^ d)), i, i, shifts[0][i % 4]); });
    sixteen(each, [&](auto i) { step(c ^ (d & (b ^ c)), 16 + i, (5 * i + 1) % 16, shifts[1][i % 4]); });
    sixteen(each, [&](auto i) { step(b ^ c ^ d, 32 + i, (3 * i + 5) % 16, shifts[2][i % 4]); });
    sixteen(each, [&](auto i) { step(c ^ (b | ~d), 48 + i, 7 * i % 16, shifts[3][i % 4]); });
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

}  // namespace

std::array<std::uint32_t, 4> md5(std::string_view text) noexcept {
    constexpr std::size_t block = 64;
    State state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    const std::uint64_t bits = std::uint64_t{text.size()} * 8;
    for (; text.size() >= block; text.remove_prefix(block)) add_block(state, text.data());
    std::array<char, 2 * block> last{};
    if (!text.empty()) std::memcpy(last.data(), text.data(), text.size());
    last[text.size()] = '\x80';
    const std::size_t size = text.size() + 9 <= block ? block : 2 * block;
    for (std::size_t i = 0; i < 8; ++i) last[size - 8 + i] = static_cast<char>(bits >> (8 * i));
    add_block(state, last.data());
    if (size != block) add_block(state, last.data() + block);
    return state;
}

}  // namespace chaise::protocol
