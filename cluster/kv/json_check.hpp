#pragma once

#include <string_view>

namespace chaise::testing {

/// Whether a value is JSON (RFC 8259, any type at the top) in valid UTF-8: the server sets the datatype by it. Depth is
/// bounded.
[[nodiscard]] bool is_json(std::string_view text) noexcept;

}  // namespace chaise::testing
