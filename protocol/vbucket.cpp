#include "protocol/vbucket.hpp"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#include <atomic>
#endif

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

// Slicing by eight.
std::uint32_t crc32_by_tables(std::string_view bytes) noexcept {
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

#if defined(__x86_64__)

namespace {

// Carry-less multiplication. Polynomials are reflected, as CRC-32 has them: of a word of n bits, bit i is the
// coefficient of x^(n-1-i); the product of two words of 64 bits, read as one of 128, is then a * b * x.

/// x^power modulo the CRC's polynomial: 32 bits.
consteval std::uint32_t power_of_x(unsigned power) {
    std::uint32_t rest = 0x80000000;  // 1
    for (; power != 0; --power) rest = (rest >> 1) ^ ((rest & 1) != 0 ? polynomial : 0);
    return rest;
}

/// What is multiplied with to add `power` to the exponents of a word of 64 bits (one is added by the multiplication).
consteval std::int64_t fold(unsigned power) {
    return static_cast<std::int64_t>(std::uint64_t{power_of_x(power - 1)} << 32);
}

/// The same, as a multiple of x^32.
consteval std::int64_t fold_to_front(unsigned power) { return static_cast<std::int64_t>(power_of_x(power - 33)); }

/// x^95 / the polynomial, for Barrett's reduction: 64 bits.
consteval std::int64_t reciprocal() {
    std::uint64_t quotient = 0;
    std::uint32_t rest = power_of_x(31);  // of x^95: what is left when its first 32 coefficients have been taken down
    for (int bit = 0; bit < 64; ++bit) {
        quotient |= std::uint64_t{rest & 1} << bit;
        rest = (rest >> 1) ^ ((rest & 1) != 0 ? polynomial : 0);
    }
    return static_cast<std::int64_t>(quotient);
}

constexpr std::size_t longest_multiplied = 255;  // keys have 250 bytes at most

/// The CRC of so many zeros. CRC-32 is linear but for what it begins and ends with, and that depends on the length
/// only.
consteval std::array<std::uint32_t, longest_multiplied + 1> crcs_of_zeros() {
    std::array<std::uint32_t, longest_multiplied + 1> crcs{};
    std::uint32_t crc = 0xffffffff;
    for (std::uint32_t& each : crcs) {
        each = ~crc;
        crc = (crc >> 8) ^ tables[0][crc & 0xff];
    }
    return crcs;
}

alignas(64) constexpr std::array<std::uint32_t, longest_multiplied + 1> of_zeros = crcs_of_zeros();

// From byte r on: a shuffle that moves the first r bytes of sixteen to the end and puts zeros before them.
alignas(32) constexpr std::array<std::uint8_t, 32> to_the_end = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,  //
                                                                 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,  //
                                                                 0,    1,    2,    3,    4,    5,    6,    7,     //
                                                                 8,    9,    10,   11,   12,   13,   14,   15};

template <class Word>
inline std::uint64_t word_at(const char* at) noexcept {
    Word word;
    std::memcpy(&word, at, sizeof word);
    return word;
}

/// Up to seven bytes behind zeros.
inline std::uint64_t few(const char* at, std::size_t size) noexcept {
    const std::size_t room = 8 * (8 - size);
    if (size >= 4) return (word_at<std::uint32_t>(at + size - 4) << 32) | (word_at<std::uint32_t>(at) << room);
    if (size == 0) return 0;
    return (word_at<std::uint8_t>(at + size - 1) << 56) |
           (word_at<std::uint8_t>(at + size / 2) << (room + 8 * (size / 2))) | (word_at<std::uint8_t>(at) << room);
}

}  // namespace

// Zeros before the bytes, which change nothing in the linear part, make whole blocks of sixteen; the first is folded
// into the next, and so on; the last is reduced. (Gopal et al., Fast CRC Computation Using PCLMULQDQ, Intel 2009.)
[[gnu::target("pclmul,sse4.1")]] std::uint32_t crc32_by_multiplication(std::string_view bytes) noexcept {
    if (bytes.size() > longest_multiplied) return crc32_by_tables(bytes);
    const char* at = bytes.data();
    const char* const end = at + bytes.size();
    const auto block_at = [](const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); };
    __m128i folded;
    if (bytes.size() >= 16) {
        const std::size_t first = bytes.size() % 16;
        folded = _mm_shuffle_epi8(block_at(at), block_at(to_the_end.data() + first));
        at += first;
        const __m128i next_block = _mm_set_epi64x(fold(128), fold(192));
        do {
            folded = _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(folded, next_block, 0x00),
                                                 _mm_clmulepi64_si128(folded, next_block, 0x11)),
                                   block_at(at));
            at += 16;
        } while (at != end);
    } else if (bytes.size() >= 8) {
        // The two words may share bytes: what the second has is shifted out of the first (by up to 64 bits).
        const std::uint64_t first = word_at<std::uint64_t>(at) << (8 * (15 - bytes.size())) << 8;
        folded = _mm_set_epi64x(static_cast<std::int64_t>(word_at<std::uint64_t>(end - 8)),
                                static_cast<std::int64_t>(first));
    } else {
        folded = _mm_set_epi64x(static_cast<std::int64_t>(few(at, bytes.size())), 0);
    }
    // 128 bits, of which the remainder times x^32 is wanted, to 96 bits at the front; these by their quotient.
    const __m128i front = _mm_set_epi64x(reciprocal(), fold_to_front(128));
    const __m128i wide = _mm_xor_si128(_mm_clmulepi64_si128(folded, front, 0x00), _mm_srli_si128(folded, 8));
    const __m128i quotient = _mm_clmulepi64_si128(wide, front, 0x10);
    const __m128i back = _mm_set_epi64x(0, static_cast<std::int64_t>(std::uint64_t{polynomial} << 1));
    const __m128i rest = _mm_xor_si128(wide, _mm_clmulepi64_si128(quotient, back, 0x00));
    return static_cast<std::uint32_t>(_mm_extract_epi32(rest, 2)) ^ of_zeros[bytes.size()];
}

namespace {

using Crc32 = std::uint32_t (*)(std::string_view) noexcept;

std::uint32_t first_crc32(std::string_view bytes) noexcept;

constinit std::atomic<Crc32> chosen = first_crc32;

/// The first call finds out what the processor has; threads that do so at once find the same.
std::uint32_t first_crc32(std::string_view bytes) noexcept {
    const bool multiplies = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
    const Crc32 best = multiplies ? crc32_by_multiplication : crc32_by_tables;
    chosen.store(best, std::memory_order_relaxed);
    return best(bytes);
}

}  // namespace

std::uint32_t crc32(std::string_view bytes) noexcept { return chosen.load(std::memory_order_relaxed)(bytes); }

#else

std::uint32_t crc32(std::string_view bytes) noexcept { return crc32_by_tables(bytes); }

#endif

}  // namespace chaise::protocol
