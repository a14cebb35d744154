#pragma once

#include <optional>
#include <string>
#include <string_view>

// Looking into texts that are known to be JSON, without a parser's memory.
namespace chaise::protocol {

/// The members of an object, one after another. The text must be valid (JsonCheck); of another value there are none.
class JsonMembers {
public:
    explicit JsonMembers(std::string_view object) noexcept;
    /// `name` with its quotes and escapes, `value` as it is written. False: that was the last.
    [[nodiscard]] bool next(std::string_view& name, std::string_view& value) noexcept;

private:
    std::string_view left_;
};

/// The elements of an array, in the same way.
class JsonElements {
public:
    explicit JsonElements(std::string_view array) noexcept;
    [[nodiscard]] bool next(std::string_view& value) noexcept;

private:
    std::string_view left_;
};

/// The value of the first member of that name (without quotes, as it is written); empty: there is none.
[[nodiscard]] std::string_view json_member(std::string_view object, std::string_view name) noexcept;
/// What a JSON string means. Nothing: it is something else.
[[nodiscard]] std::optional<std::string> json_unquoted(std::string_view text);

}  // namespace chaise::protocol
