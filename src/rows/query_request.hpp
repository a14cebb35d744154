#pragma once

#include "rows/row_request.hpp"

#include <chaise/query_options.hpp>

#include <cstdint>
#include <string_view>

namespace chaise::detail {

/// A query may be over so much later here than the service was told: its own answer about that should come first.
inline constexpr Duration query_grace = std::chrono::milliseconds(500);

/// `id`: of a query that has no client_context_id.
[[nodiscard]] RowRequest n1ql_request(std::string_view bucket, std::string_view statement, const QueryOptions& options,
                                      std::string_view id);
[[nodiscard]] RowRequest analytics_request(std::string_view statement, const AnalyticsOptions& options,
                                           std::string_view id);
/// `body`: JSON object with the query.
[[nodiscard]] RowRequest search_request(std::string_view index, std::string_view body, const SearchOptions& options);

}  // namespace chaise::detail
