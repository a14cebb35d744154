#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cluster/json/json.hpp"
#include "cluster/query/sql.hpp"

namespace chaise::testing::sql {

/// What `$1`, `?` and `$name` stand for.
struct Parameters {
    std::vector<Json> positional;
    Json named = Json::object();
};

/// The row that an expression is evaluated for.
struct RowContext {
    const Parameters& parameters;
    std::string alias{};             ///< empty: there is no FROM
    const Json* document = nullptr;  ///< what the alias means
    Json meta{};
    /// What each COUNT came to, by its place in the tree.
    const std::map<const Expression*, std::uint64_t>* counts = nullptr;
    /// Bytes that were made for the row so far; beyond row_max it is an error.
    mutable std::size_t copied = 0;
};

/// A short statement may name a large value many times: `[$a, $a, …]`.
inline constexpr std::size_t row_max = std::size_t{128} * 1024 * 1024;

/// A parameter that was not given, or a row that is too large.
struct EvaluationError {
    std::string message;
    int code = 5010;
};

/// \throws EvaluationError
[[nodiscard]] Json evaluate(const Expression& expression, const RowContext& row);

/// SQL++'s order of values: missing, null, false, true, numbers, strings by their bytes, arrays, objects.
[[nodiscard]] int compare(const Json& a, const Json& b) noexcept;

}  // namespace chaise::testing::sql
