#include "cluster/views/node_views.hpp"

namespace chaise::testing {

NodeViews* ViewCluster::node(NodeId id) const noexcept {
    const auto found = nodes_.find(id);
    return found != nodes_.end() ? found->second : nullptr;
}

NodeViews::NodeViews(std::shared_ptr<ViewCluster> cluster, KvNode& node)
    : cluster_(std::move(cluster)), node_(node), timer_(node.iops().timer_event_factory()) {
    timer_->set_handler([](void* self, int) { static_cast<NodeViews*>(self)->update_now(); }, this);
    cluster_->nodes_[node_.id()] = this;
}

NodeViews::~NodeViews() {
    cluster_->nodes_.erase(node_.id());
    if (timer_->state() != Event::State::initialized) node_.iops().cleanup(*timer_);
}

ViewIndex& NodeViews::index(const BucketConfig& bucket, const DesignDocuments::Pointer& document) {
    auto& index = indexes_[{bucket.uuid, document->name}];
    if (!index || index->document() != document) {
        index = std::make_unique<ViewIndex>(document, bucket.settings.name, node_.iops().random());
    }
    return *index;
}

void NodeViews::drop_index(const std::string& bucket_uuid, const std::string& document) {
    indexes_.erase({bucket_uuid, document});
    due_.erase({bucket_uuid, document});
}

void NodeViews::update_later(const BucketConfig& bucket, const DesignDocuments::Pointer& document) {
    due_[{bucket.uuid, document->name}] = document;
    if (!timer_->active()) node_.iops().schedule(*timer_, std::chrono::microseconds{0});
}

void NodeViews::update_now() {
    for (const auto& [name, document] : std::exchange(due_, {})) {
        const auto index = indexes_.find(name);
        if (index != indexes_.end() && index->second->document() == document) index->second->update(node_);
    }
}

}  // namespace chaise::testing
