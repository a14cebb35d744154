#pragma once

#include <cstdint>
#include <string>

namespace chaise::protocol {

/// Datatype bits of the header (protocol.md 1.3). Each may be sent only when its HELLO feature was granted.
namespace datatype {
inline constexpr std::uint8_t raw = 0x00;
inline constexpr std::uint8_t json = 0x01;
inline constexpr std::uint8_t snappy = 0x02;
inline constexpr std::uint8_t xattr = 0x04;
inline constexpr std::uint8_t known = json | snappy | xattr;
}  // namespace datatype

/// "raw", or the names of the bits joined by commas ("snappy,json"); bits without a name are shown in hex.
[[nodiscard]] std::string datatype_name(std::uint8_t bits);

}  // namespace chaise::protocol
