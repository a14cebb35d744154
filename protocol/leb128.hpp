#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

// Unsigned LEB128 of 32 bits, canonical only (protocol.md 1.6).
namespace chaise::protocol {

inline constexpr std::size_t max_leb128_size = 5;

[[nodiscard]] constexpr std::size_t leb128_size(std::uint32_t value) noexcept {
    if (value < 1u << 7) return 1;
    if (value < 1u << 14) return 2;
    if (value < 1u << 21) return 3;
    if (value < 1u << 28) return 4;
    return 5;
}

inline char* store_leb128(char* to, std::uint32_t value) noexcept {
    while (value >= 0x80) {
        *to++ = static_cast<char>((value & 0x7f) | 0x80);
        value >>= 7;
    }
    *to++ = static_cast<char>(value);
    return to;
}

struct Leb128 {
    std::uint32_t value;
    std::size_t size;  ///< bytes it took
};

/// Nothing when there is no stop byte in the input's first five bytes, the value exceeds 32 bits, or a shorter form
/// exists.
[[nodiscard]] constexpr std::optional<Leb128> load_leb128(std::string_view input) noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < input.size() && i < max_leb128_size; ++i) {
        const auto byte = static_cast<std::uint8_t>(input[i]);
        value |= std::uint64_t{byte & 0x7fu} << (7 * i);
        if ((byte & 0x80) != 0) continue;
        if ((i > 0 && byte == 0) || value > 0xffffffffu) return std::nullopt;
        return Leb128{static_cast<std::uint32_t>(value), i + 1};
    }
    return std::nullopt;
}

}  // namespace chaise::protocol
