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

}  // namespace

// Slicing by eight: keys are short, so this beats both a table per byte and carry-less multiplication (which starts to
// pay beyond a length that keys rarely have).
std::uint32_t crc32(std::string_view bytes) noexcept {
    std::uint32_t crc = 0xffffffff;
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    while (left >= 8) {
        std::uint64_t word;
        std::memcpy(&word, at, sizeof word);
        word ^= crc;
        crc = tables[7][word & 0xff] ^ tables[6][(word >> 8) & 0xff] ^ tables[5][(word >> 16) & 0xff] ^
              tables[4][(word >> 24) & 0xff] ^ tables[3][(word >> 32) & 0xff] ^ tables[2][(word >> 40) & 0xff] ^
              tables[1][(word >> 48) & 0xff] ^ tables[0][word >> 56];
        at += 8;
        left -= 8;
    }
    if (left >= 4) {
        std::uint32_t word;
        std::memcpy(&word, at, sizeof word);
        word ^= crc;
        crc = tables[3][word & 0xff] ^ tables[2][(word >> 8) & 0xff] ^ tables[1][(word >> 16) & 0xff] ^
              tables[0][word >> 24];
        at += 4;
        left -= 4;
    }
    for (; left != 0; --left) crc = (crc >> 8) ^ tables[0][(crc ^ static_cast<std::uint8_t>(*at++)) & 0xff];
    return ~crc;
}

}  // namespace chaise::protocol
