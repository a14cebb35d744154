#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/kv/cluster_state.hpp"
#include "cluster/kv/document.hpp"
#include "cluster/query/sql.hpp"

namespace chaise::testing {

/// An error as the query service numbers them.
struct QueryError {
    int code = 5000;
    std::string message;
    bool retry = false;
    std::size_t line = 0;  ///< 0: not told
    std::size_t column = 0;

    [[nodiscard]] std::string json() const;
    /// Of an answer that has no rows yet (protocol.md 8.2).
    [[nodiscard]] int http_status() const noexcept;
};

/// A statement that can be executed by its name.
struct PreparedStatement {
    std::string name;
    std::string text;
    std::string context;  ///< query_context
    [[nodiscard]] std::string encoded_plan() const;
    [[nodiscard]] static std::optional<PreparedStatement> from_plan(std::string_view encoded, std::string name);
};

/// What the query services of all nodes share.
struct QueryCluster {
    std::map<std::string, PreparedStatement, std::less<>> prepared;
};

/// The documents of a FROM. One reads what the nodes have active at that moment: no index lags behind, every
/// scan_consistency is the strictest.
struct KeyspaceRef {
    std::shared_ptr<const BucketConfig> bucket;
    std::uint32_t collection = 0;
};

/// By its path and the query_context.
[[nodiscard]] std::optional<QueryError> resolve_keyspace(const ClusterState& state, const sql::Keyspace& keyspace,
                                                         std::string_view context, KeyspaceRef& found);
/// All of a keyspace, in order of their keys.
[[nodiscard]] std::optional<QueryError> all_documents(const ClusterState& state, const KeyspaceRef& keyspace,
                                                      std::vector<DocumentPtr>& documents);
/// Those of the keys that are there, in that order.
[[nodiscard]] std::optional<QueryError> documents_of(const ClusterState& state, const KeyspaceRef& keyspace,
                                                     const std::vector<std::string>& keys,
                                                     std::vector<DocumentPtr>& documents);
/// The key as clients know it.
[[nodiscard]] std::string_view plain_key(const Document& document) noexcept;

/// scan_vectors of at_plus: nothing is behind, but what was lost by a failover never comes.
[[nodiscard]] std::optional<QueryError> check_vectors(const ClusterState& state, const KeyspaceRef& keyspace,
                                                      const Json& vectors);

}  // namespace chaise::testing
