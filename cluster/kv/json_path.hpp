#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/status.hpp"

// The paths of sub-document commands (protocol.md 2.3).
namespace chaise::testing {

struct JsonStep {
    std::string name{};  ///< of a member, as it stands between the quotes in JSON
    std::size_t index = 0;
    bool element = false;  ///< of an array, by `index` or `last`
    bool last = false;
};
using JsonPath = std::vector<JsonStep>;

inline constexpr std::size_t max_json_levels = 32;

/// `a.b[0]`, `[-1]`, `` `a.b`.c ``; an empty one is the root. success, subdoc_path_einval or subdoc_path_e2big.
[[nodiscard]] protocol::Status parse_json_path(std::string_view text, JsonPath& path);

}  // namespace chaise::testing
