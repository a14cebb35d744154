#pragma once

// Mutations that keep the expiry that the document has (HELLO PreserveExpiry). Off the way of those that do not.

#include <chaise/detail/slot.hpp>
#include <chaise/options.hpp>

#include <string_view>

namespace chaise::detail {

/// Whether `preserve_expiry` may be asked for in a mutation of this key; else the operation is rejected. A node that is
/// not connected yet may still refuse (Core::adapt).
[[nodiscard]] bool check_preserve_expiry(Core& core, Slot& slot, std::string_view key);

/// upsert or replace, checked but for its expiry, into the slot acquired for it.
void store_preserving(Core& core, Slot& slot, OperationKind kind, std::string_view key, std::string_view value,
                      StoreOptions options);
/// counter, likewise checked.
void count_preserving(Core& core, Slot& slot, std::string_view key, CounterOptions options);

}  // namespace chaise::detail
