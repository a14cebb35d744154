#pragma once

#include <cstddef>
#include <string_view>

// Requests that change their collection after they were encoded (protocol.md 1.6).
namespace chaise::protocol {

/// The collection prefix that the key of an encoded request begins with. `request`: one whole request whose opcode
/// carries a collection, encoded with one. Empty if its key does not begin with canonical LEB128.
[[nodiscard]] std::string_view key_prefix(std::string_view request) noexcept;

/// Writes the request once more, with `prefix` in place of the first `old_size` bytes of its key, to `out`, which has
/// room for `request.size() - old_size + prefix.size()` bytes and does not overlap. Classic and flexible framing; the
/// lengths in the header follow. Returns the end. The new key must be at most 255 bytes long.
char* replace_key_prefix(std::string_view request, std::size_t old_size, std::string_view prefix, char* out) noexcept;

}  // namespace chaise::protocol
