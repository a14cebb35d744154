#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// Writing the little JSON that the protocol itself needs.
namespace chaise::protocol {

/// With quotes; escapes what JSON demands.
void append_json_string(std::string& json, std::string_view text);
/// Lower case without 0x, as collection and manifest ids are written.
[[nodiscard]] std::string json_hex(std::uint64_t value);
/// The inverse; false on anything but 1 to 16 hex digits.
[[nodiscard]] bool parse_hex(std::string_view text, std::uint64_t& value) noexcept;

}  // namespace chaise::protocol
