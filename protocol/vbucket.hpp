#pragma once

#include <cstdint>
#include <string_view>

namespace chaise::protocol {

/// CRC-32 as in zlib.
[[nodiscard, gnu::pure]] std::uint32_t crc32(std::string_view bytes) noexcept;

/// Couchbase's key mapping (protocol.md 6.1). The key is the logical one, without collection prefix; `vbuckets` > 0.
[[nodiscard]] inline std::uint16_t vbucket_of(std::string_view key, std::uint32_t vbuckets) noexcept {
    const std::uint32_t hash = (crc32(key) >> 16) & 0x7fff;
    // Nearly always a power of two: a division costs more than the test.
    if ((vbuckets & (vbuckets - 1)) == 0) return static_cast<std::uint16_t>(hash & (vbuckets - 1));
    return static_cast<std::uint16_t>(hash % vbuckets);
}

}  // namespace chaise::protocol
