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

constexpr ContainerAddOptions as_add(const ContainerChangeOptions& o) noexcept {
    return {
        .create = false, .cas = o.cas, .expiry = o.expiry, .preserve_expiry = o.preserve_expiry, .timeout = o.timeout};
}
constexpr ContainerAddOptions as_add(const ContainerTakeOptions& o) noexcept {
    return {.create = false, .cas = 0, .expiry = o.expiry, .preserve_expiry = o.preserve_expiry, .timeout = o.timeout};
}
constexpr ContainerAddOptions as_add(const ContainerReadOptions& o) noexcept {
    return {.create = false, .cas = 0, .expiry = {}, .preserve_expiry = false, .timeout = o.timeout};
}

}  // namespace chaise::detail
