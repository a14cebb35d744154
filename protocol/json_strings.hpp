#pragma once

#include <cstddef>
#include <string_view>

namespace chaise::protocol {

/// What an index (JsonIndex) does not tell of the strings in a text, which begins outside of them.
struct JsonStrings {
    explicit JsonStrings(std::string_view text) noexcept;

    /// So much of the text comes before a string that does not end in it, if there is one.
    std::size_t closed;
    /// And so much before a backslash that makes no character.
    std::size_t well_escaped;
};

}  // namespace chaise::protocol
