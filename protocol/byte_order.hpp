#pragma once

#include <cstdint>
#include <cstring>

// Big-endian loads and stores at unaligned addresses; each compiles to one load or store and a byte swap.
namespace chaise::protocol {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "byte_order.hpp swaps: the host is expected to be little-endian");

[[nodiscard]] inline std::uint16_t load_be16(const char* from) noexcept {
    std::uint16_t raw;
    std::memcpy(&raw, from, sizeof raw);
    return __builtin_bswap16(raw);
}

[[nodiscard]] inline std::uint32_t load_be32(const char* from) noexcept {
    std::uint32_t raw;
    std::memcpy(&raw, from, sizeof raw);
    return __builtin_bswap32(raw);
}

[[nodiscard]] inline std::uint64_t load_be64(const char* from) noexcept {
    std::uint64_t raw;
    std::memcpy(&raw, from, sizeof raw);
    return __builtin_bswap64(raw);
}

/// Stores return the byte after what they wrote, so that encoders read as a chain.
inline char* store_be8(char* to, std::uint8_t value) noexcept {
    *to = static_cast<char>(value);
    return to + 1;
}

inline char* store_be16(char* to, std::uint16_t value) noexcept {
    const std::uint16_t raw = __builtin_bswap16(value);
    std::memcpy(to, &raw, sizeof raw);
    return to + sizeof raw;
}

inline char* store_be32(char* to, std::uint32_t value) noexcept {
    const std::uint32_t raw = __builtin_bswap32(value);
    std::memcpy(to, &raw, sizeof raw);
    return to + sizeof raw;
}

inline char* store_be64(char* to, std::uint64_t value) noexcept {
    const std::uint64_t raw = __builtin_bswap64(value);
    std::memcpy(to, &raw, sizeof raw);
    return to + sizeof raw;
}

}  // namespace chaise::protocol
