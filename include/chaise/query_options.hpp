#pragma once

/// \file
/// What is asked of the query service (N1QL, SQL++), and of search and analytics. JSON is given as text; options are
/// trivially destructible, as those of views (view_options.hpp).

#include <chaise/time.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

namespace chaise {

class MutationState;

enum class ScanConsistency : std::uint8_t {
    not_bounded,   ///< as the index is
    request_plus,  ///< with everything that was there when the query came
};

enum class QueryProfile : std::uint8_t { off, phases, timings };

/// Options of n1ql_query. What is not set is not sent, and the server's default holds.
struct QueryOptions {
    /// JSON array, for `?`, `$1`, `$2`: `R"(["a", 12])"`.
    std::string_view positional{};
    /// JSON object, for `$name`; the names with or without `$`. Both kinds may be given.
    std::string_view named{};
    std::optional<ScanConsistency> scan_consistency{};
    /// The query sees these mutations (at_plus), which must be this bucket's; read before the call returns. Not with
    /// scan_consistency.
    const MutationState* consistent_with = nullptr;
    /// A statement that changes anything is refused by the server; and it may go to another node when one fails.
    std::optional<bool> readonly{};
    std::optional<bool> metrics{};
    std::optional<QueryProfile> profile{};
    /// Comes back in the meta data; empty: chosen.
    std::string_view client_context_id{};
    /// "default:`bucket`.`scope`": where names of collections are looked up.
    std::string_view query_context{};
    /// How long the service may wait for the index with request_plus and consistent_with; not less than 0.
    std::optional<Duration> scan_wait{};
    std::optional<std::uint64_t> scan_cap{};
    std::optional<std::uint64_t> pipeline_batch{};
    std::optional<std::uint64_t> pipeline_cap{};
    std::optional<std::uint64_t> max_parallelism{};
    std::optional<bool> preserve_expiry{};
    std::optional<bool> use_fts{};
    /// False: the statement is prepared, and its plan used again by this bucket's queries of the same text.
    bool adhoc = true;
    /// JSON object: members of the request that are not here; they must not name one that is set.
    std::string_view more{};
    /// Sent: the service gives up after it (1080). Here, as in ViewOptions, and half a second longer than that.
    Duration timeout = std::chrono::seconds(75);
};
static_assert(std::is_trivially_destructible_v<QueryOptions>);

/// Options of search_query, whose body the caller writes. These become members of it, and must not be there already.
struct SearchOptions {
    std::optional<std::uint64_t> limit{};  ///< "size"
    std::optional<std::uint64_t> skip{};   ///< "from"
    std::optional<bool> explain{};
    std::string_view fields{};  ///< JSON array
    std::string_view sort{};    ///< JSON array
    std::string_view facets{};  ///< JSON object
    /// The search sees these mutations (at_plus); read before the call returns. Not with "ctl" in the body.
    const MutationState* consistent_with = nullptr;
    /// Sent as "ctl", unless the body has that.
    Duration timeout = std::chrono::seconds(75);
};
static_assert(std::is_trivially_destructible_v<SearchOptions>);

/// Options of analytics_query.
struct AnalyticsOptions {
    std::string_view positional{};  ///< as in QueryOptions
    std::string_view named{};
    std::optional<ScanConsistency> scan_consistency{};
    std::optional<bool> readonly{};
    std::string_view client_context_id{};
    std::string_view query_context{};
    bool priority = false;  ///< before those without it
    std::string_view more{};
    Duration timeout = std::chrono::seconds(75);
};
static_assert(std::is_trivially_destructible_v<AnalyticsOptions>);

}  // namespace chaise
