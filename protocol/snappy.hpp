#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

// Raw Snappy blocks (no framing format), as the SNAPPY datatype bit announces.
namespace chaise::protocol {

inline constexpr std::size_t max_inflated_document = 20u * 1024 * 1024;
inline constexpr std::size_t max_inflated_config = 30u * 1024 * 1024;

/// The length a block announces; nothing when it has none.
[[nodiscard]] std::optional<std::size_t> snappy_inflated_size(std::string_view block) noexcept;

/// Nothing when malformed or larger than `limit`, which is looked at before anything is allocated.
[[nodiscard]] std::optional<std::string> snappy_inflate(std::string_view block,
                                                        std::size_t limit = max_inflated_document);

/// A valid block; greedy matching, as the reference encoder does it.
[[nodiscard]] std::string snappy_deflate(std::string_view bytes);

}  // namespace chaise::protocol
