#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

// JSON text, 64 bytes at a time: a bit for each byte.
namespace chaise::protocol {

#if defined(__SSE2__)
class JsonBlock {
public:
    static constexpr std::size_t size = 64;

    explicit JsonBlock(const char* text) noexcept : text_(text) {}
    [[nodiscard]] std::uint64_t equal(char c) const noexcept { return equal(c, 0); }
    /// With the bits of `lowered` set in each byte.
    [[nodiscard]] std::uint64_t equal(char c, char lowered) const noexcept {
        using Bytes [[gnu::vector_size(16)]] = char;
        std::uint64_t bits = 0;
#pragma GCC unroll 4
        for (unsigned i = 0; i < 4; ++i) {
            Bytes bytes;
            std::memcpy(&bytes, text_ + 16 * std::size_t{i}, sizeof bytes);
            const int mask = __builtin_ia32_pmovmskb128(std::bit_cast<Bytes>((bytes | lowered) == c));
            bits |= std::uint64_t{static_cast<std::uint32_t>(mask)} << (16 * i);
        }
        return bits;
    }

private:
    const char* text_;
};
#endif

/// Bit i: the parity of bits 0 to i.
[[nodiscard]] constexpr std::uint64_t parities(std::uint64_t bits) noexcept {
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^= bits << 32;
    return bits;
}

/// Which bytes follow a backslash that is not itself escaped (simdjson's way). `first`: the first byte does.
[[nodiscard]] constexpr std::uint64_t escaped_bytes(std::uint64_t backslashes, bool first, bool& next) noexcept {
    constexpr std::uint64_t even = 0x5555555555555555u;
    backslashes &= ~std::uint64_t{first};
    const std::uint64_t follows = backslashes << 1 | std::uint64_t{first};
    const std::uint64_t odd_starts = backslashes & ~even & ~follows;
    const std::uint64_t sum = odd_starts + backslashes;
    next = sum < backslashes;
    return (even ^ (sum << 1)) & follows;
}

}  // namespace chaise::protocol
