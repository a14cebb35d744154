#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cluster/query/evaluation.hpp"
#include "cluster/query/query_cluster.hpp"

namespace chaise::testing {

/// The fields of a request to the query service (protocol.md 8.2).
struct QueryRequest {
    enum class Profile : std::uint8_t { off, phases, timings };
    std::string statement;
    std::string prepared;
    std::string encoded_plan;
    std::string client_context;
    std::string context;
    sql::Parameters parameters;
    bool auto_execute = false;
    bool readonly = false;
    bool metrics = true;
    bool signature = true;
    Profile profile = Profile::off;
    bool at_plus = false;
    Json scan_vectors{};  ///< of buckets, by their names

    [[nodiscard]] static std::optional<QueryError> parse(std::string_view body, QueryRequest& request);
};

/// "1h2m3.5s" in nanoseconds; nothing when it is no duration.
[[nodiscard]] std::optional<double> parse_go_duration(std::string_view text) noexcept;

}  // namespace chaise::testing
