#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::testing::sql {

struct Token {
    enum class Kind : std::uint8_t { end, word, quoted_name, string, number, sign, parameter, bad };
    Kind kind = Kind::end;
    std::string text;  ///< of quoted names and strings: what they mean; of parameters: without the dollar
    std::size_t at = 0;
    std::size_t length = 0;
};

/// The last one is Kind::end, or Kind::bad where the text cannot be read on.
[[nodiscard]] std::vector<Token> tokens_of(std::string_view text);
/// Words and keywords in any case.
[[nodiscard]] bool same_word(std::string_view a, std::string_view upper) noexcept;

}  // namespace chaise::testing::sql
