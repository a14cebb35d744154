#pragma once

#include <cstddef>
#include <string_view>

// Looking into documents that are JSON arrays of strings, numbers, booleans and nulls.
namespace chaise::protocol {

/// One JSON string, number, boolean or null, and nothing else.
[[nodiscard]] bool is_json_scalar(std::string_view text);

enum class ArraySearchStatus { found, missing, not_json, not_an_array };
struct ArraySearch {
    ArraySearchStatus status = ArraySearchStatus::missing;
    std::size_t index = 0;
};
/// The first element that equals the scalar: strings by what they mean, numbers by their value.
[[nodiscard]] ArraySearch find_in_array(std::string_view document, std::string_view scalar);

}  // namespace chaise::protocol
