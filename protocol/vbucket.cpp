#include "protocol/vbucket.hpp"

#include <array>
#include <cstring>

namespace chaise::protocol {

namespace {

constexpr std::uint32_t polynomial = 0xEDB88320;  // reflected

// tables[k][b]: the effect of byte b, k bytes ahead of the end of an eight-byte step.
consteval std::array<std::array<std::uint32_t, 256>, 8> make_tables() {
    std::array<std::array<std::uint32_t, 256>, 8> tables{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? polynomial : 0);
        tables[0][byte] = crc;
    }
    for (std::size_t k = 1; k < 8; ++k)
        for (std::size_t byte = 0; byte < 256; ++byte) {
            const std::uint32_t before = tables[k - 1][byte];
            tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
        }
    return tables;
}

alignas(64) constexpr std::array<std::array<std::uint32_t, 256>, 8> tables = make_tables();

/// Four bytes, `ahead` bytes before the end of the step, with what came before in them.
inline std::uint32_t mixed(const char* at, std::uint32_t crc, std::size_t ahead) noexcept {
    std::uint32_t word;
    std::memcpy(&word, at, sizeof word);
    const std::uint64_t wide = word ^ crc;  // spares GCC moves that extend what it takes out
    return tables[ahead + 3][wide & 0xff] ^ tables[ahead + 2][(wide >> 8) & 0xff] ^
           tables[ahead + 1][(wide >> 16) & 0xff] ^ tables[ahead][wide >> 24];
}

/// One byte by itself: loading each costs less than taking it out of a word.
inline std::uint32_t alone(const char* at, std::size_t ahead) noexcept {
    return tables[ahead][static_cast<std::uint8_t>(*at)];
}

}  // namespace

// Slicing by eight: keys are short, so this beats both a table per byte and carry-less multiplication (which starts to
// pay beyond a length that keys rarely have).
std::uint32_t crc32(std::string_view bytes) noexcept {
    std::uint32_t crc = 0xffffffff;
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; at += 8, left -= 8) {
        crc = mixed(at, crc, 4) ^ alone(at + 4, 3) ^ alone(at + 5, 2) ^ alone(at + 6, 1) ^ alone(at + 7, 0);
    }
    if (left >= 4) {
        crc = mixed(at, crc, 0);
        at += 4;
        left -= 4;
    }
    for (; left != 0; --left) crc = (crc >> 8) ^ tables[0][(crc ^ static_cast<std::uint8_t>(*at++)) & 0xff];
    return ~crc;
}

}  // namespace chaise::protocol
