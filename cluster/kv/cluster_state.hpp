#pragma once

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
    NodeId add_node(std::string hostname);
    /// After listening, and again when a restarted node listens elsewhere. A new revision if they changed.
    void set_ports(NodeId node, NodePorts ports);
    [[nodiscard]] std::size_t nodes() const noexcept { return nodes_.size(); }
    [[nodiscard]] const ConfigNode& node(NodeId id) const { return nodes_.at(id).config; }
    /// The node's process, while it runs.
    [[nodiscard]] KvNode* process(NodeId id) const { return nodes_.at(id).process; }
    [[nodiscard]] bool alive(NodeId id) const { return process(id) != nullptr; }
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

    // ---- users ----------------------------------------------------------------------------------------------

    [[nodiscard]] const ClusterUser* user(std::string_view name) const noexcept;
    [[nodiscard]] bool authenticates(std::string_view name, std::string_view password) const noexcept;
    /// What SCRAM made of passwords: a server computes it once.
    [[nodiscard]] protocol::ScramKeyCache& scram_keys() noexcept { return scram_keys_; }
    void add_user(ClusterUser user);  ///< or replaces
    void remove_user(std::string_view name);

    // ---- buckets --------------------------------------------------------------------------------------------

    /// Over all members. std::invalid_argument when the settings make no bucket or the name is taken.
    void create_bucket(const BucketSettings& settings);
    /// Connections that had selected it are closed. False: there was none.
    bool delete_bucket(std::string_view name);
    [[nodiscard]] std::vector<std::string> buckets() const;
    /// All documents of it are gone everywhere, as doFlush does it. False: there is none.
    bool flush_bucket(std::string_view name);
    /// The default collection must be in it. The uid is the caller's to raise.
    void set_manifest(std::string_view bucket, protocol::CollectionsManifest manifest);
    /// Rows as the caller wants them (a rebalance, or a test); states on the nodes follow when they believe it.
    void set_map(std::string_view bucket, std::vector<VbucketRow> map, std::vector<VbucketRow> forward = {});

    /// Null: there is no such bucket.
    [[nodiscard]] std::shared_ptr<const BucketConfig> bucket_config(std::string_view name) const;
    [[nodiscard]] std::shared_ptr<const ClusterConfig> cluster_config() const { return cluster_config_; }

    // ---- delays (a change holds for what is under way, too) ---------------------------------------------------

    void set_replication_delay(Duration delay);  ///< of all links
    void set_replication_delay(NodeId from, NodeId to, Duration delay);
    void set_persistence_delay(Duration delay);  ///< of all nodes
    void set_persistence_delay(NodeId node, Duration delay);
    void set_config_delay(NodeId node, Duration delay);  ///< `paused`: believes what it knows
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
        KvNode* process = nullptr;
        std::unique_ptr<KvDisk> disk;
        bool member = true;
        Duration persistence_delay{};
        Duration config_delay{};
    };

    void attach(KvNode& node);
    void detach(KvNode& node) noexcept;
    /// Each running node opens the replication streams that it should have and can have now.
    void reconnect();
    /// Makes the next revision; every running node is told.
    void publish_cluster();
    void publish_bucket(BucketConfig config);
    [[nodiscard]] NodeId successor(const BucketConfig& config, std::uint16_t vbucket, const VbucketRow& left) const;
    [[nodiscard]] BucketConfig edit(std::string_view bucket) const;
    void delays_changed();
    [[nodiscard]] std::vector<NodeId> members() const;
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
    std::int64_t revision_ = 0;
    std::uint64_t draws_ = 0;
};

}  // namespace chaise::testing
