#pragma once

// One call of an operation on a data structure. Not for users.

#include <chaise/detail/slot.hpp>
#include <chaise/options.hpp>

#include <cstdint>
#include <string_view>

namespace chaise::detail {

/// What the operations on data structures have in common, as the engine takes it.
struct ContainerCall {
    OperationKind kind;
    std::string_view key{};
    std::string_view member{};  ///< of a map
    std::int64_t index = 0;     ///< of a list
    std::string_view value{};
    ContainerAddOptions options{};
};

template <class Options>
constexpr ContainerAddOptions as_add(const Options& o) noexcept {
    ContainerAddOptions all{.timeout = o.timeout};
    if constexpr (requires { o.cas; }) all.cas = o.cas;
    if constexpr (requires { o.expiry; }) {
        all.expiry = o.expiry;
        all.preserve_expiry = o.preserve_expiry;
    }
    if constexpr (requires { o.durability; }) {
        all.persist_to = o.persist_to;
        all.replicate_to = o.replicate_to;
        all.durability = o.durability;
    }
    return all;
}

}  // namespace chaise::detail
