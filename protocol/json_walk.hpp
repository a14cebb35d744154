#pragma once

#include "protocol/json_index.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace chaise::protocol {

/// Walks from value to value of a text by its index, and says whether what makes them comes in an order that makes
/// sense and is well-formed; but for what is in strings (JsonStrings).
class JsonWalk {
public:
    static constexpr std::size_t max_depth = 1024;
    enum class Found : std::uint8_t {
        value,
        incomplete,  ///< the index ends before the value does
        invalid,
    };

    JsonWalk(std::string_view text, const JsonIndex& index) noexcept
        : text_(text.data()), size_(text.size()), next_(index.offsets()), last_(index.offsets() + index.size()) {}

    /// A value, its brackets no deeper than `deepest`, which is max_depth or less.
    [[nodiscard]] Found value(std::size_t deepest) noexcept;
    /// The text may end in the midst of a number or a word: one that is last in it is not looked at.
    void distrust_end() noexcept;

    /// Where the next thing begins; behind the last one the size of the text.
    [[nodiscard]] std::size_t offset() const noexcept { return *next_; }
    [[nodiscard]] bool at_end() const noexcept { return next_ == last_; }
    /// Behind a value: where it is over.
    [[nodiscard]] std::size_t end_of_value() const noexcept;
    /// Goes on behind such a mark, if it comes.
    [[nodiscard]] bool mark(char wanted) noexcept {
        if (next_ == last_ || text_[*next_] != wanted) return false;
        ++next_;
        return true;
    }

private:
    [[nodiscard]] bool scalar(const char* begin) const noexcept;

    const char* const text_;
    const std::size_t size_;
    const std::uint32_t* next_;
    const std::uint32_t* last_;
};

}  // namespace chaise::protocol
