#pragma once

// Mutations that keep the expiry that the document has (HELLO PreserveExpiry). Off the way of those that do not.

#include <chaise/detail/slot.hpp>
#include <chaise/options.hpp>

#include <string_view>

namespace chaise::detail {

/// Whether `preserve_expiry` may be asked for in a mutation of this key; else the operation is rejected. A node that is
/// not connected yet may still refuse (Core::adapt).
[[nodiscard]] bool check_preserve_expiry(Core& core, Slot& slot, std::string_view key);

}  // namespace chaise::detail
