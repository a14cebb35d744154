#pragma once

#include <cstdint>
#include <string_view>

namespace chaise::protocol {

/// CRC-32 as in zlib: by carry-less multiplication where the processor has it (half the instructions of tables for a
/// key, and no 8 KiB of tables in its cache), by tables elsewhere.
[[nodiscard, gnu::pure]] std::uint32_t crc32(std::string_view bytes) noexcept;

/// The two ways. Multiplication wants a processor with PCLMULQDQ and SSE 4.1.
[[nodiscard, gnu::pure]] std::uint32_t crc32_by_tables(std::string_view bytes) noexcept;
#if defined(__x86_64__)
[[nodiscard, gnu::pure]] std::uint32_t crc32_by_multiplication(std::string_view bytes) noexcept;
#endif

/// Couchbase's key mapping (protocol.md 6.1). The key is the logical one, without collection prefix; `vbuckets` > 0.
[[nodiscard]] inline std::uint16_t vbucket_of(std::string_view key, std::uint32_t vbuckets) noexcept {
    const std::uint32_t hash = (crc32(key) >> 16) & 0x7fff;
    // Nearly always a power of two: a division costs more than the test.
    if ((vbuckets & (vbuckets - 1)) == 0) return static_cast<std::uint16_t>(hash & (vbuckets - 1));
    return static_cast<std::uint16_t>(hash % vbuckets);
}

}  // namespace chaise::protocol
