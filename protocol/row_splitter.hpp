#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// The answers of views, queries, searches and analytics: one JSON object with a long array of rows in it. They are
// taken apart while they arrive, in pieces that end anywhere.
namespace chaise::protocol {

/// Of an input that passes two limits, which one is told depends on its pieces.
enum class RowSplitError : std::uint8_t {
    none,
    invalid_json,
    truncated,  ///< the input ended before the document did
    trailing,   ///< something follows the document
    row_too_large,
    meta_too_large,
    too_deep,
};
/// In words.
[[nodiscard]] std::string_view name(RowSplitError error) noexcept;

/// Splits `{"total_rows":3,"rows":[ROW,ROW],"errors":[…]}` into the rows and the rest. Time is proportional to the
/// input, memory to the largest row and to the rest, both bounded.
///
/// What is outside of the rows is checked to be JSON, at the end. Of a row only its extent is found, by its strings and
/// brackets: it is JSON if a parser says so, and then so is the whole document.
class RowSplitter {
public:
    struct Limits {
        std::size_t max_row = std::size_t{64} << 20;
        std::size_t max_meta = std::size_t{16} << 20;
        unsigned max_depth = 1000;  ///< of a row, or of a value beside them
    };
    enum class Step : std::uint8_t {
        row,   ///< there is one
        more,  ///< the input is used up
        failed,
    };

    /// `array`: the name of the member of the document whose elements are the rows, as it is written there; empty: it
    /// has none.
    explicit RowSplitter(std::string_view array) : RowSplitter(array, Limits()) {}
    RowSplitter(std::string_view array, Limits limits) : array_(array), limits_(limits) {}

    /// Goes on with `input`, and takes off what it has used. `row` is valid until the next call, as long as the input
    /// is. After a failure it fails again.
    [[nodiscard]] Step next(std::string_view& input, std::string_view& row);
    /// After a row: `size` bytes of `input`, up to the end of another one, have been looked at by a RowFinder.
    void skip_rows(std::string_view& input, std::size_t size) noexcept {
        offset_ += size;
        input.remove_prefix(size);
    }
    /// The input has ended. False: it must not have ended here, or what is beside the rows is no JSON.
    [[nodiscard]] bool finish();

    /// After finish(): the document without its rows, `{"total_rows":3,"rows":[],"errors":[…]}`, and without white
    /// space around names and values; before that and after an error, what has come of it.
    [[nodiscard]] const std::string& meta() const noexcept { return meta_; }
    /// The array has begun.
    [[nodiscard]] bool in_rows() const noexcept { return seen_array_; }
    /// The document is complete; only white space may follow.
    [[nodiscard]] bool complete() const noexcept { return state_ == State::end; }
    [[nodiscard]] const Limits& limits() const noexcept { return limits_; }
    [[nodiscard]] RowSplitError error() const noexcept { return error_; }
    /// How much of the input came before what is wrong.
    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }

private:
    enum class State : std::uint8_t {
        begin,
        first_name,  ///< or the end of an empty object
        in_name,
        colon,
        value,
        in_value,
        after_value,
        next_name,
        first_row,  ///< or the end of an empty array
        in_row,
        after_row,
        next_row,
        end,
        failed,
    };
    enum class Kind : std::uint8_t { container, string, scalar };

    [[nodiscard]] bool begin_value(char first) noexcept;
    [[nodiscard]] std::size_t end_of_value(std::string_view text);
    [[nodiscard]] std::size_t end_of_container(std::string_view text);
    [[nodiscard]] std::size_t end_of_string(std::string_view text) noexcept;
    [[nodiscard]] bool envelope(std::string_view& input);
    [[nodiscard]] Step row_part(std::string_view& input, std::string_view& row);
    [[nodiscard]] bool value_part(std::string_view& input);
    [[nodiscard]] bool add_meta(std::string_view text);
    bool fail(RowSplitError error) noexcept {
        error_ = error;
        state_ = State::failed;
        return false;
    }

    std::string array_;
    Limits limits_;
    std::string meta_;
    std::string partial_;  ///< of a row that goes on in the next piece
    bool partial_given_ = false;
    std::size_t name_begin_ = 0;  ///< in meta_
    std::uint64_t offset_ = 0;
    unsigned depth_ = 0;
    State state_ = State::begin;
    Kind kind_ = Kind::container;
    RowSplitError error_ = RowSplitError::none;
    bool in_string_ = false;
    bool escaped_ = false;   ///< the next byte is
    bool is_array_ = false;  ///< the name that was just read is that of the rows
    bool seen_array_ = false;
};

}  // namespace chaise::protocol
