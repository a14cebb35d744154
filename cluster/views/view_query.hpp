#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/json/json.hpp"
#include "cluster/views/design_document.hpp"

namespace chaise::testing {

/// What is asked of a view (protocol.md 8.1).
struct ViewQuery {
    enum class Stale : std::uint8_t { ok, update_after, updated };
    /// Rows from one place to another, in the direction of the query. Orders are collation keys; empty: open.
    struct Range {
        std::string start;
        std::string end;
        std::string start_id{};
        std::string end_id{};
        bool inclusive = true;
    };

    Stale stale = Stale::update_after;
    bool descending = false;
    std::uint64_t limit = UINT64_MAX;
    std::uint64_t skip = 0;
    std::vector<Range> ranges{{}};  ///< one after another; several for `keys`
    bool reduce = false;            ///< true also when nothing is said and the view has one
    bool group = false;
    std::uint64_t group_level = 0;  ///< elements of array keys; with `group` all
    bool stop_on_error = false;
    bool full_set = false;
    bool debug = false;
};

struct ViewQueryError {
    std::string error;
    std::string reason;
};

/// From the target's query string and, of a POST, the body. Parameters that are not known are let pass, as the server
/// does.
[[nodiscard]] std::optional<ViewQueryError> parse_view_query(std::string_view parameters, std::string_view body,
                                                             const ViewDefinition& view, ViewQuery& query);

}  // namespace chaise::testing
