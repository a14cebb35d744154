#pragma once

#include <chaise/iops.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/kv/cluster_state.hpp"
#include "cluster/kv/vbucket.hpp"

namespace chaise::testing {

/// Hears when a node believes something new.
class ConfigWatcher {
public:
    /// KvNode::bucket_config(bucket) has changed; null now: the bucket is gone. An empty name: the cluster-level
    /// document. Called from inside the change; watchers may be added and removed meanwhile.
    virtual void on_config(const std::string& bucket) = 0;

protected:
    ~ConfigWatcher() = default;
};

/// One node's process: its own copies of its vbuckets, its replication to other nodes and its persistence. Destroying
/// it is a crash: what is in memory is gone. Made again with the same id it finds what is on its disk.
class KvNode {
public:
    /// `iops` must outlive it. No second process of one node: std::logic_error.
    KvNode(std::shared_ptr<ClusterState> cluster, NodeId id, IOPS& iops);
    KvNode(const KvNode&) = delete;
    KvNode& operator=(const KvNode&) = delete;
    ~KvNode();

    [[nodiscard]] NodeId id() const noexcept { return id_; }
    [[nodiscard]] ClusterState& cluster() const noexcept { return *cluster_; }
    [[nodiscard]] IOPS& iops() const noexcept { return iops_; }

    // ---- what it believes; may be older than what ClusterState says -------------------------------------------

    [[nodiscard]] std::shared_ptr<const ClusterConfig> cluster_config() const noexcept { return cluster_config_; }
    /// Null: it knows no such bucket, or does not serve it.
    [[nodiscard]] std::shared_ptr<const BucketConfig> bucket_config(std::string_view name) const noexcept;
    [[nodiscard]] std::vector<std::string> buckets() const;
    void add_watcher(ConfigWatcher& watcher) { watchers_.push_back(&watcher); }
    void remove_watcher(ConfigWatcher& watcher) noexcept;

    // ---- what it has --------------------------------------------------------------------------------------------

    /// Its copy; null when it has none.
    [[nodiscard]] VBucket* vbucket(std::string_view bucket, std::uint16_t vbucket) noexcept;
    [[nodiscard]] std::uint64_t connections() const noexcept { return connections_; }
    [[nodiscard]] std::uint64_t total_connections() const noexcept { return total_connections_; }
    [[nodiscard]] std::uint64_t commands() const noexcept { return commands_; }
};

}  // namespace chaise::testing
