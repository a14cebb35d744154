#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace chaise::protocol {

/// Standard alphabet, padded.
[[nodiscard]] std::string base64_encode(std::string_view bytes);
/// Strict: padding, alphabet and zero trailing bits are required.
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);

}  // namespace chaise::protocol
