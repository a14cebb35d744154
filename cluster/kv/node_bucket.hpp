#pragma once

#include "cluster/kv/node.hpp"

namespace chaise::testing {

/// A node's share of one bucket.
struct KvNode::Bucket final : VBucketHost, std::enable_shared_from_this<Bucket> {
    Bucket(KvNode& its_node, std::shared_ptr<const BucketConfig> its_config)
        : node(its_node), config(std::move(its_config)), slots(config->settings.vbuckets) {}

    void on_change(VBucket& vbucket, const DocumentPtr& document, const KvTime& time) override {
        if (!gone) node.on_change(*this, vbucket, document, time);
    }
    std::uint64_t random() override { return node.iops_.random(); }

    /// Null: nothing of it is kept on a disk.
    [[nodiscard]] std::vector<DiskVbucket>* disk() const {
        if (config->settings.type != BucketType::couchbase) return nullptr;
        auto& vbuckets = node.cluster_->disk(node.id_).buckets[config->uuid];
        vbuckets.resize(slots.size());
        return &vbuckets;
    }

    KvNode& node;
    std::shared_ptr<const BucketConfig> config;
    mutable std::shared_ptr<const std::string> json{};
    std::vector<Slot> slots;
    std::uint64_t purged = 0;  ///< the manifest whose dropped collections are gone from memory and disk
    bool gone = false;
};

}  // namespace chaise::testing
