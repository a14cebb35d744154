#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/manifest.hpp"
#include "protocol/session_requests.hpp"

// What the cluster tells of itself at one revision (protocol.md 7), and its JSON.
namespace chaise::testing {

/// Counts from 0 in the order of joining; never used again.
using NodeId = std::size_t;

struct NodePorts {
    std::uint16_t kv = 0;    ///< 0: does not listen (yet)
    std::uint16_t mgmt = 0;  ///< 0: none
    std::uint16_t capi = 0;  ///< views
    std::uint16_t n1ql = 0;  ///< queries
    std::uint16_t fts = 0;   ///< search
    std::uint16_t cbas = 0;  ///< analytics
    friend bool operator==(const NodePorts&, const NodePorts&) = default;
};

enum class BucketType : std::uint8_t {
    couchbase,
    ephemeral,
    memcached,  ///< keys on a ring instead of vbuckets: each node has one, number 0, active, for what it is sent
};

struct BucketSettings {
    std::string name = "default";
    BucketType type = BucketType::couchbase;
    std::uint32_t vbuckets = 64;  ///< any power of two up to 1024
    std::uint32_t replicas = 1;   ///< 0 to 3
};

/// A node's other address: `alternateAddresses.external`.
struct ExternalAddress {
    std::string hostname;
    std::optional<NodePorts> ports{};  ///< nothing: those of the node itself
    friend bool operator==(const ExternalAddress&, const ExternalAddress&) = default;
};

inline constexpr std::string_view default_server_group = "Group 1";

/// A node as a map names it.
struct ConfigNode {
    NodeId id = 0;
    /// As clients reach it. Empty: clients use the address by which they reached the sender ($HOST in maps).
    std::string hostname;
    NodePorts ports;
    std::string uuid;
    std::string group{default_server_group};
    std::optional<ExternalAddress> external{};
};

/// Nodes and services, without a bucket. Never changes; a change makes a new one.
struct ClusterConfig {
    protocol::ConfigRevision revision{};
    std::string name;
    std::string uuid;
    std::vector<ConfigNode> nodes;  ///< in the order of joining
};

/// Row: the node with the active copy, then those with replicas. no_node: nobody has it.
using VbucketRow = std::vector<std::ptrdiff_t>;
inline constexpr std::ptrdiff_t no_node = -1;

struct BucketConfig {
    protocol::ConfigRevision revision{};
    BucketSettings settings;
    std::string uuid;
    std::shared_ptr<const ClusterConfig> cluster;
    std::vector<NodeId> servers;        ///< the nodes that serve this bucket, as serverList names them
    std::vector<VbucketRow> map;        ///< of node ids, not of positions in `servers`
    std::vector<VbucketRow> forward{};  ///< while rebalancing: the map after the move
    protocol::CollectionsManifest manifest;
    std::uint32_t next_collection_id = 8;  ///< and of scopes: what is below is reserved, what was given stays so

    [[nodiscard]] const VbucketRow& row(std::uint16_t vbucket) const { return map.at(vbucket); }
};

/// The place of `node` in a row (0: active); -1 when it is not there.
[[nodiscard]] std::ptrdiff_t position_of(NodeId node, const VbucketRow& row) noexcept;

/// The server group of each node, by its id. Empty: all are of one.
using NodeGroups = std::vector<std::string>;

/// As evenly as can be: each node is active for its share of the vbuckets, and each one's replicas are spread over the
/// others: first over those of groups that have no copy yet. Nodes that are too few leave no_node in the rows.
[[nodiscard]] std::vector<VbucketRow> distribute(std::uint32_t vbuckets, std::uint32_t replicas,
                                                 const std::vector<NodeId>& nodes, const NodeGroups& groups = {});

/// The same, with as much as possible left where it is in `now`. A replica leaves a group that has another copy if
/// there is one that has none.
[[nodiscard]] std::vector<VbucketRow> redistribute(const std::vector<VbucketRow>& now, const std::vector<NodeId>& nodes,
                                                   const NodeGroups& groups = {});

/// What a bucket's document says of its nodes beside the terse one's members: `serverGroup` and addresses in `nodes`.
enum class Detail : std::uint8_t { terse, verbose };

/// The terse documents that GET_CLUSTER_CONFIG, NOT_MY_VBUCKET, pushes and HTTP give. `sender` becomes thisNode. `host`
/// replaces $HOST where nodes have no hostname (HTTP does so; over key-value it stays as it is).
[[nodiscard]] std::string to_json(const BucketConfig& config, NodeId sender, std::string_view host = "$HOST",
                                  Detail detail = Detail::terse);
[[nodiscard]] std::string to_json(const ClusterConfig& config, NodeId sender, std::string_view host = "$HOST");
[[nodiscard]] std::string to_json(const protocol::CollectionsManifest& manifest);
/// ,"serverGroup":…,"alternateAddresses":… as both nodesExt and the management service's lists of nodes have them.
void append_group_and_addresses(std::string& json, const ConfigNode& node);

/// Of the same revision, with active node and first replica of each vbucket in each other's places.
[[nodiscard]] BucketConfig contradiction(BucketConfig config);

/// The server of a memcached bucket that keeps the key; no_node: it has none.
[[nodiscard]] std::ptrdiff_t server_on_ring(const BucketConfig& config, std::string_view key);

/// Whether the collection of a key (as nodes keep it, with the prefix) existed and is not in the manifest any more.
/// What is newer than the configuration was not dropped: a replica may get documents before it hears of their
/// collection.
[[nodiscard]] bool was_dropped(const BucketConfig& config, std::string_view key) noexcept;

/// "_default" alone, uid 0.
[[nodiscard]] protocol::CollectionsManifest default_manifest();

}  // namespace chaise::testing
