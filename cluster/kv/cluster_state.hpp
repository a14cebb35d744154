#pragma once

#include <chaise/testing/node_addresses.hpp>
#include <chaise/time.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/kv/cluster_config.hpp"
#include "cluster/kv/disk.hpp"
#include "cluster/kv/error_bursts.hpp"
#include "protocol/opcode.hpp"
#include "protocol/scram.hpp"

namespace chaise::testing {

class KvNode;

struct ClusterUser {
    std::string name;
    std::string password;
    std::vector<std::string> buckets{};  ///< those that it may use; empty: all
};

struct ClusterOptions {
    std::string name = "chaise";
    std::vector<ClusterUser> users{{"Administrator", "password", {}}};
    /// What SCRAM makes of a password; few iterations save the tests' time (clients accept no less than 4096).
    std::uint32_t scram_iterations = 4096;
    std::int64_t revision_epoch = 1;
    /// For uuids; the same seed gives the same cluster.
    std::uint64_t seed = 1;
    /// From a change of the cluster to the moment when a node believes it.
    Duration config_delay = Duration::zero();
    Duration replication_delay = Duration::zero();
    Duration persistence_delay = Duration::zero();
    /// Nodes tell maps on key-value connections: when asked, as pushes and in "not my vbucket".
    bool cccp = true;
    /// The management service has `/pools/default/bs/…` beside the older `bucketsStreaming`.
    bool terse_streams = true;
};

/// Hears of every request that changes a document and was executed with success.
using ExecutionWitness =
    std::function<void(NodeId node, protocol::Opcode opcode, std::string_view key, std::string_view value)>;

/// Not due until told otherwise: replication and persistence stand still.
inline constexpr Duration paused = Duration::max();

/// The part of the cluster that outlives its nodes, ns_server's: who belongs to it, users, buckets, maps and their
/// revisions, and each node's disk. Running nodes (KvNode) attach themselves. One thread, whatever loops they are on.
class ClusterState {
public:
    explicit ClusterState(ClusterOptions options = {});
    ClusterState(const ClusterState&) = delete;
    ClusterState& operator=(const ClusterState&) = delete;
    ~ClusterState();

    [[nodiscard]] const ClusterOptions& options() const noexcept { return options_; }

    // ---- nodes ----------------------------------------------------------------------------------------------

    /// Joins. Buckets that are made from now on use it; those that exist do not (that is a rebalance's work).
    NodeId add_node(std::string hostname, std::string group = std::string(default_server_group));
    /// After listening, and again when a restarted node listens elsewhere. A new revision if they changed.
    void set_ports(NodeId node, NodePorts ports);
    /// How maps name it, if not by `hostname` and its ports alone. A new revision if that changed. Vbuckets stay.
    void set_addresses(NodeId node, const NodeAddresses& addresses);
    /// Of all nodes, by id.
    [[nodiscard]] NodeGroups groups() const;
    [[nodiscard]] std::size_t nodes() const noexcept { return nodes_.size(); }
    [[nodiscard]] const ConfigNode& node(NodeId id) const { return nodes_.at(id).config; }
    /// The node's process, while it runs.
    [[nodiscard]] KvNode* process(NodeId id) const { return nodes_.at(id).process; }
    [[nodiscard]] bool alive(NodeId id) const { return process(id) != nullptr; }
    [[nodiscard]] std::vector<NodeId> members() const;
    /// Belongs to the cluster: it joined and was not failed over.
    [[nodiscard]] bool member(NodeId id) const { return nodes_.at(id).member; }
    /// What it has persisted; stays when the process goes.
    [[nodiscard]] KvDisk& disk(NodeId id) { return *nodes_.at(id).disk; }
    /// The node is taken out of all maps, and the first replica of each of its vbuckets that runs becomes active (with
    /// a new uuid in the failover log once its node believes it). What had not been replicated is lost. A vbucket
    /// without replica is left with nobody. Not for the last member: std::logic_error.
    void failover(NodeId id);

    /// Its active vbuckets become active on the replica that failover() would choose, if one runs, and it keeps a
    /// replica of each: as at the end of a rebalance. What had not been replicated is lost.
    void hand_over(NodeId id);

    // ---- rebalance ------------------------------------------------------------------------------------------

    /// What came of an attempt to move the next vbucket.
    enum class Move : std::uint8_t { moved, waiting, done, failed };
    /// These are the members to be. std::logic_error while another goes on; std::invalid_argument for none, dead
    /// ones, and one that is named twice.
    void begin_rebalance(const std::vector<NodeId>& members);
    /// The node's active vbuckets are moved to replicas, then it is failed over.
    void begin_graceful_failover(NodeId id);
    /// The next vbucket, or the end of it all. `waiting`: somebody lags. `failed`: somebody died; nothing goes on.
    Move next_move();
    /// As things stand.
    void end_rebalance();
    [[nodiscard]] bool rebalancing() const noexcept { return rebalance_.has_value(); }

    // ---- users ----------------------------------------------------------------------------------------------

    [[nodiscard]] const ClusterUser* user(std::string_view name) const noexcept;
    [[nodiscard]] bool authenticates(std::string_view name, std::string_view password) const noexcept;
    /// What SCRAM made of passwords: a server computes it once.
    [[nodiscard]] protocol::ScramKeyCache& scram_keys() noexcept { return scram_keys_; }
    void add_user(ClusterUser user);  ///< or replaces
    void remove_user(std::string_view name);

    // ---- buckets --------------------------------------------------------------------------------------------

    /// Over all members. std::invalid_argument when the settings make no bucket or the name is taken;
    /// std::logic_error during a rebalance.
    void create_bucket(const BucketSettings& settings);
    /// Connections that had selected it are closed. False: there was none.
    bool delete_bucket(std::string_view name);
    [[nodiscard]] std::vector<std::string> buckets() const;
    /// All documents of it are gone everywhere, as doFlush does it. False: there is none.
    bool flush_bucket(std::string_view name);
    /// Each is a new manifest whose uid is one more and is returned; nodes believe it as they do a map. Ids are never
    /// given again. std::invalid_argument: the name is taken or makes none, or _default is to be dropped, or it is a
    /// memcached bucket; std::out_of_range: there is no such bucket, scope or collection.
    std::uint64_t create_scope(std::string_view bucket, std::string_view name);
    std::uint64_t drop_scope(std::string_view bucket, std::string_view name);
    /// `max_ttl` in seconds; 0: the bucket's; -1: documents need not expire.
    std::uint64_t create_collection(std::string_view bucket, std::string_view scope, std::string_view name,
                                    std::int64_t max_ttl = 0);
    std::uint64_t drop_collection(std::string_view bucket, std::string_view scope, std::string_view name);
    /// The default collection must be in it. The uid is the caller's to raise.
    void set_manifest(std::string_view bucket, protocol::CollectionsManifest manifest);
    /// Rows as the caller wants them (a rebalance, or a test); states on the nodes follow when they believe it.
    void set_map(std::string_view bucket, std::vector<VbucketRow> map, std::vector<VbucketRow> forward = {});

    // ---- what goes wrong --------------------------------------------------------------------------------------

    [[nodiscard]] ErrorBursts& error_bursts() noexcept { return error_bursts_; }
    void expire_locks();
    void travel(Duration duration);
    [[nodiscard]] Duration travelled() const noexcept { return travelled_; }
    void set_conflicting(NodeId node, bool on);
    [[nodiscard]] bool conflicting(NodeId node) const { return nodes_.at(node).conflicting; }

    /// Null: there is no such bucket.
    [[nodiscard]] std::shared_ptr<const BucketConfig> bucket_config(std::string_view name) const;
    [[nodiscard]] std::shared_ptr<const ClusterConfig> cluster_config() const { return cluster_config_; }

    // ---- delays (a change holds for what is under way, too) ---------------------------------------------------

    void set_replication_delay(Duration delay);  ///< of all links
    void set_replication_delay(NodeId from, NodeId to, Duration delay);
    void set_persistence_delay(Duration delay);  ///< of all nodes
    void set_persistence_delay(NodeId node, Duration delay);
    void set_config_delay(NodeId node, Duration delay);  ///< `paused`: believes what it knows
    /// What comes from now on takes a random part of this longer, each change its own. Those of one vbucket keep their
    /// order, others overtake each other.
    void set_replication_spread(Duration spread) { replication_spread_ = spread; }
    void set_persistence_spread(Duration spread) { persistence_spread_ = spread; }
    [[nodiscard]] Duration replication_spread() const noexcept { return replication_spread_; }
    [[nodiscard]] Duration persistence_spread() const noexcept { return persistence_spread_; }
    [[nodiscard]] Duration replication_delay(NodeId from, NodeId to) const;
    [[nodiscard]] Duration persistence_delay(NodeId node) const { return nodes_.at(node).persistence_delay; }
    [[nodiscard]] Duration config_delay(NodeId node) const { return nodes_.at(node).config_delay; }

    /// Called before the answer is sent; may not change the cluster. Null: nobody.
    void set_witness(ExecutionWitness witness) { witness_ = std::move(witness); }
    [[nodiscard]] const ExecutionWitness& witness() const noexcept { return witness_; }

private:
    friend class KvNode;
    struct Node {
        ConfigNode config;
        std::string hostname{};  ///< where it is
        NodePorts ports{};       ///< where it listens
        NodeAddresses addresses{};
        KvNode* process = nullptr;
        std::unique_ptr<KvDisk> disk;
        bool member = true;
        bool conflicting = false;  ///< what it says of the map
        Duration persistence_delay{};
        Duration config_delay{};
    };

    /// What maps say of its addresses follows from where it is.
    void name_node(Node& node);
    void attach(KvNode& node);
    void detach(KvNode& node) noexcept;
    /// Each running node opens the replication streams that it should have and can have now.
    void reconnect();
    /// Makes the next revision; every running node is told.
    void publish_cluster();
    void publish_bucket(BucketConfig config);
    [[nodiscard]] NodeId successor(const BucketConfig& config, std::uint16_t vbucket, const VbucketRow& left) const;
    [[nodiscard]] BucketConfig edit(std::string_view bucket) const;
    [[nodiscard]] BucketConfig edit_manifest(std::string_view bucket) const;
    std::uint64_t publish_manifest(BucketConfig config);
    void delays_changed();
    [[nodiscard]] std::uint64_t draw() noexcept;
    [[nodiscard]] std::string draw_uuid();

    ClusterOptions options_;
    std::vector<Node> nodes_;
    std::map<std::string, ClusterUser, std::less<>> users_;
    protocol::ScramKeyCache scram_keys_;
    std::shared_ptr<const ClusterConfig> cluster_config_;
    std::map<std::string, std::shared_ptr<const BucketConfig>, std::less<>> buckets_;
    std::map<std::pair<NodeId, NodeId>, Duration> link_delays_;
    ExecutionWitness witness_;
    struct Rebalance {
        std::vector<NodeId> members;
        std::optional<NodeId> failed_over{};  // at the end
        struct Awaited {
            std::string bucket;
            std::uint16_t vbucket;
            std::uint64_t seqno;
        };
        std::optional<Awaited> awaited{};  // of the next vbucket's replicas, before it moves
    };
    void finish_rebalance();
    std::optional<Rebalance> rebalance_;
    ErrorBursts error_bursts_;
    Duration replication_spread_{};
    Duration persistence_spread_{};
    Duration travelled_{};
    std::int64_t revision_ = 0;
    std::uint64_t draws_ = 0;
};

}  // namespace chaise::testing
