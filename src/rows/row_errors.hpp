#pragma once

#include "rows/row_request.hpp"

#include <chaise/error.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace chaise::detail {

/// What a complete answer says of errors.
struct RowVerdict {
    errc code = errc::success;
    std::string message;
    std::int64_t server_code = 0;  ///< of queries and analytics: of the first error
    bool stale_plan = false;       ///< the prepared statement is not known (any more), or its plan is of no use
    bool elsewhere = false;        ///< another node may do better
};

/// `meta`: the answer without its rows, valid JSON; empty: the body was none.
[[nodiscard]] RowVerdict judge(const RowRequest& request, int status, std::string_view meta);

}  // namespace chaise::detail
