#pragma once

#include "rows/row_request.hpp"

#include <chaise/error.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace chaise::detail {

/// What a complete answer says of errors.
struct RowVerdict {
    errc code = errc::success;
    std::string message;
    std::int64_t server_code = 0;  ///< of queries and analytics: of the first error
    bool begun = false;            ///< some of a statement may have been carried out
    bool stale_plan = false;       ///< the prepared statement is not known (any more), or its plan is of no use
    bool elsewhere = false;        ///< another node may do better
};

/// `meta`: the answer without its rows, valid JSON; empty: the body was none. `body`: the beginning of an answer that
/// has no rows, which is told if nothing better is known.
[[nodiscard]] RowVerdict judge(const RowRequest& request, int status, std::string_view meta,
                               std::string_view body = {});

/// What a server says, as a part of one line: control characters are spaces, and it is cut behind so many bytes.
[[nodiscard]] std::string one_line(std::string_view text, std::size_t longest = 512);

}  // namespace chaise::detail
