#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace chaise::protocol {

/// RFC 1321, to spread keys over servers. Not for secrets: those go to OpenSSL, which for one short key costs several
/// times as much, allocates, and refuses MD5 altogether where it is told to keep to FIPS 140.
/// The digest as four little-endian words.
[[nodiscard]] std::array<std::uint32_t, 4> md5(std::string_view text) noexcept;

}  // namespace chaise::protocol
