#pragma once

#include <string>
#include <string_view>

namespace chaise::testing {

/// What `with_steps` calls; it must return true.
inline constexpr std::string_view step_function = "__chaise_step";

/// JavaScript (ES5) that does what `source` does and calls `step_function` in each turn of a loop and at the beginning
/// of each function. Debian's Duktape is built without its own bound on execution, so whatever may go on for ever is
/// made to count: only loops and calls can. `source` must be what a compiler takes.
[[nodiscard]] std::string with_steps(std::string_view source);

}  // namespace chaise::testing
