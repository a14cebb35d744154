#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace chaise::testing {

/// JavaScript (ES5) that does what `source` does and calls `step`, which must return true, in each turn of a loop and
/// at the beginning of each function. Debian's Duktape is built without its own bound on execution, so whatever may go
/// on for ever is made to count: only loops and calls can. `source` must be what a compiler takes, and must not know
/// the name `step`. Nothing: it cannot be told without a parser what is code, as behind a brace that a slash follows.
[[nodiscard]] std::optional<std::string> with_steps(std::string_view source, std::string_view step);

}  // namespace chaise::testing
