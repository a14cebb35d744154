#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "cluster/views/view_index.hpp"

namespace chaise::testing {

class NodeViews;

/// What the view services of all nodes share: the design documents, and who runs.
class ViewCluster {
public:
    [[nodiscard]] DesignDocuments& designs() noexcept { return designs_; }
    [[nodiscard]] NodeViews* node(NodeId id) const noexcept;

private:
    friend class NodeViews;
    DesignDocuments designs_;
    std::map<NodeId, NodeViews*> nodes_;
};

/// One node's view indexes. They live as long as the node's process, and are brought up to date only when a query asks
/// for it (there is no indexer in the background), so that what `stale` says is what one sees.
class NodeViews {
public:
    NodeViews(std::shared_ptr<ViewCluster> cluster, KvNode& node);
    NodeViews(const NodeViews&) = delete;
    NodeViews& operator=(const NodeViews&) = delete;
    ~NodeViews();

    [[nodiscard]] KvNode& node() const noexcept { return node_; }
    [[nodiscard]] ViewCluster& cluster() const noexcept { return *cluster_; }
    /// Empty until it is updated. Of an older content of the design document nothing is left.
    [[nodiscard]] ViewIndex& index(const BucketConfig& bucket, const DesignDocuments::Pointer& document);
    void drop_index(const std::string& bucket_uuid, const std::string& document);
    /// Once this turn's answers are under way.
    void update_later(const BucketConfig& bucket, const DesignDocuments::Pointer& document);

private:
    using Name = std::pair<std::string, std::string>;  // bucket's uuid, document
    void update_now();

    std::shared_ptr<ViewCluster> cluster_;
    KvNode& node_;
    std::map<Name, std::unique_ptr<ViewIndex>> indexes_;
    std::map<Name, DesignDocuments::Pointer> due_;
    std::unique_ptr<TimerEvent> timer_;
};

}  // namespace chaise::testing
