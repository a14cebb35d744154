#pragma once

#include <cstdint>
#include <string>

namespace chaise::testing {

/// Answer to GET_ERROR_MAP (protocol.md 4.2). Version 1 lacks the attributes that came with version 2; empty for 0.
[[nodiscard]] std::string error_map_json(std::uint16_t version);

}  // namespace chaise::testing
