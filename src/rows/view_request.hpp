#pragma once

#include "rows/row_request.hpp"

#include <chaise/view_options.hpp>

#include <string_view>

namespace chaise::detail {

/// A query string that is longer, and cannot be made shorter by sending `keys` in the body, is refused.
inline constexpr std::size_t longest_view_parameters = 2048;

/// Checks the options, and encodes them.
[[nodiscard]] RowRequest view_request(std::string_view bucket, std::string_view design, std::string_view view,
                                      const ViewOptions& options);

}  // namespace chaise::detail
