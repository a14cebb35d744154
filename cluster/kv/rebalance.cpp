// Vbuckets that move from node to node while clients use them.

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "cluster/kv/node_bucket.hpp"

namespace chaise::testing {

// ---- a node gives a vbucket away ------------------------------------------------------------------------------------

bool KvNode::has(const std::string& uuid, std::uint16_t vbucket, const KvNode& active, std::uint64_t seqno) const {
    const Bucket* const mine = by_uuid(uuid);
    if (mine == nullptr) return false;
    const Slot& slot = mine->slots[vbucket];
    return slot.vbucket && slot.source == active.id_ && slot.vbucket->high_seqno() >= seqno;
}

bool KvNode::send_rest(const std::string& uuid, std::uint16_t vbucket, KvNode& to) {
    Bucket* const bucket = by_uuid(uuid);
    if (bucket == nullptr) return false;
    Slot& slot = bucket->slots[vbucket];
    if (!slot.vbucket) return false;
    const auto answer = to.accept(*bucket, *slot.vbucket, id_);
    if (!answer) return false;
    // No stream any more: what is on its way there is sent now, with all else.
    std::erase_if(slot.streams, [&](const Stream& stream) { return stream.to == to.id_; });
    for (const DocumentPtr& document : slot.vbucket->changes_since(answer->received)) {
        static_cast<void>(to.receive(uuid, vbucket, id_, document->seqno, document, to.time()));
    }
    static_cast<void>(to.receive(uuid, vbucket, id_, slot.vbucket->high_seqno(), nullptr, to.time()));
    return true;
}

bool KvNode::give_away(const std::string& uuid, std::uint16_t vbucket, KvNode& to, protocol::ConfigRevision revision) {
    Bucket* const bucket = by_uuid(uuid);
    if (bucket == nullptr) return false;
    Slot& slot = bucket->slots[vbucket];
    if (!slot.vbucket || slot.vbucket->state() != VBucketState::active) return false;
    if (!send_rest(uuid, vbucket, to)) return false;
    slot.given_away = revision;
    slot.streams.clear();
    slot.vbucket->set_state(VBucketState::replica, time());
    return true;
}

// ---- the cluster moves its vbuckets ------------------------------------------------------------------------------

void ClusterState::begin_rebalance(const std::vector<NodeId>& members) {
    if (rebalance_) throw std::logic_error("a rebalance goes on");
    if (members.empty()) throw std::invalid_argument("a cluster has members");
    for (const NodeId id : members)
        if (!alive(id)) throw std::invalid_argument("a node that is to be a member is dead");
    std::vector<NodeId> once = members;
    std::sort(once.begin(), once.end());
    if (std::adjacent_find(once.begin(), once.end()) != once.end())
        throw std::invalid_argument("a node is named twice");
    for (const NodeId id : members) nodes_.at(id).member = true;
    publish_cluster();
    for (const std::string& name : buckets()) {
        BucketConfig next = edit(name);
        if (next.settings.type == BucketType::memcached) continue;  // its ring changes at the end
        for (const NodeId id : members)
            if (std::find(next.servers.begin(), next.servers.end(), id) == next.servers.end())
                next.servers.push_back(id);
        next.forward = redistribute(next.map, members, groups());
        publish_bucket(std::move(next));
    }
    rebalance_ = {.members = members};
}

void ClusterState::begin_graceful_failover(NodeId id) {
    if (rebalance_) throw std::logic_error("a rebalance goes on");
    std::vector<NodeId> left = members();
    std::erase(left, id);
    if (left.empty()) throw std::logic_error("the last node cannot be failed over");
    std::vector<BucketConfig> changed;
    for (const std::string& name : buckets()) {
        BucketConfig next = edit(name);
        next.forward = next.map;
        for (std::size_t vbucket = 0; vbucket < next.map.size(); ++vbucket) {
            VbucketRow& row = next.forward[vbucket];
            if (position_of(id, row) != 0) continue;
            VbucketRow others(row.begin() + 1, row.end());
            std::erase_if(others, [&](auto node) { return node == no_node || !alive(static_cast<NodeId>(node)); });
            if (others.empty()) throw std::logic_error("a vbucket has no replica that runs");
            const auto chosen =
                static_cast<std::ptrdiff_t>(successor(next, static_cast<std::uint16_t>(vbucket), others));
            std::iter_swap(row.begin(), std::find(row.begin(), row.end(), chosen));
        }
        changed.push_back(std::move(next));
    }
    for (BucketConfig& next : changed)
        if (!next.forward.empty()) publish_bucket(std::move(next));
    rebalance_ = {.members = std::move(left), .failed_over = id};
}

ClusterState::Move ClusterState::next_move() {
    if (!rebalance_) return Move::done;
    for (const auto& [name, config] : buckets_) {
        for (std::size_t i = 0; i < config->forward.size(); ++i) {
            const VbucketRow& now = config->map[i];
            const VbucketRow& then = config->forward[i];
            if (now == then) continue;
            const auto vbucket = static_cast<std::uint16_t>(i);
            for (const std::ptrdiff_t id : then)
                if (id != no_node && !alive(static_cast<NodeId>(id))) return end_rebalance(), Move::failed;
            if (now[0] != no_node) {
                KvNode* const source = process(static_cast<NodeId>(now[0]));
                if (source == nullptr) return end_rebalance(), Move::failed;
                const VBucket* const active = source->vbucket(name, vbucket);
                if (active == nullptr) return Move::waiting;
                // The replicas to be have all of it before those that have been go: what there is now they must have
                // got by themselves, what is written meanwhile they get with the move. Else it might never come to it.
                auto& awaited = rebalance_->awaited;
                if (!awaited || awaited->bucket != name || awaited->vbucket != vbucket ||
                    awaited->seqno > active->high_seqno()) {
                    awaited = {name, vbucket, active->high_seqno()};
                }
                std::vector<KvNode*> replicas;
                for (std::size_t r = 1; r < then.size(); ++r) {
                    if (then[r] == no_node || then[r] == now[0]) continue;
                    replicas.push_back(process(static_cast<NodeId>(then[r])));
                    if (!replicas.back()->has(config->uuid, vbucket, *source, awaited->seqno)) return Move::waiting;
                }
                if (then[0] != no_node && then[0] != now[0] &&
                    !source->give_away(config->uuid, vbucket, *process(static_cast<NodeId>(then[0])),
                                       {options_.revision_epoch, revision_ + 1}))
                    return Move::waiting;
                for (KvNode* const replica : replicas) source->send_rest(config->uuid, vbucket, *replica);
                awaited.reset();
            }
            BucketConfig next = *config;
            next.map[i] = next.forward[i];
            publish_bucket(std::move(next));
            return Move::moved;
        }
    }
    finish_rebalance();
    return Move::done;
}

void ClusterState::finish_rebalance() {
    const Rebalance done = *std::exchange(rebalance_, std::nullopt);
    if (done.failed_over) return failover(*done.failed_over);
    for (Node& node : nodes_)
        if (std::find(done.members.begin(), done.members.end(), node.config.id) == done.members.end())
            node.member = false;
    for (auto& [name, config] : buckets_) {
        BucketConfig next = *config;
        next.forward.clear();
        // In the order in which they were: indices stay, as far as they can.
        std::erase_if(next.servers, [&](NodeId id) { return !nodes_[id].member; });
        for (const NodeId id : done.members)
            if (std::find(next.servers.begin(), next.servers.end(), id) == next.servers.end())
                next.servers.push_back(id);
        config = std::make_shared<const BucketConfig>(std::move(next));
    }
    publish_cluster();
}

void ClusterState::end_rebalance() {
    if (!rebalance_) return;
    rebalance_.reset();
    for (const std::string& name : buckets()) {
        BucketConfig next = edit(name);
        if (next.forward.empty()) continue;
        next.forward.clear();
        publish_bucket(std::move(next));
    }
}

// ---- what goes wrong ---------------------------------------------------------------------------------------------

void ClusterState::expire_locks() {
    for (const Node& node : nodes_)
        if (node.process != nullptr) node.process->shorten_locks(max_lock_time);
}

void ClusterState::travel(Duration duration) {
    travelled_ += duration;
    for (const Node& node : nodes_)
        if (node.process != nullptr && duration > Duration::zero())
            node.process->shorten_locks(std::min<Duration>(duration, max_lock_time));
}

void ClusterState::set_conflicting(NodeId node, bool on) {
    if (std::exchange(nodes_.at(node).conflicting, on) == on) return;
    if (KvNode* const process = this->process(node)) process->forget_documents();
    if (on) return;
    for (const std::string& name : buckets()) publish_bucket(edit(name));
}

void KvNode::shorten_locks(Duration by) {
    for (const auto& [name, bucket] : buckets_)
        for (const Slot& slot : bucket->slots)
            if (slot.vbucket) slot.vbucket->shorten_locks(by);
}

void KvNode::forget_documents() {
    for (const auto& [name, bucket] : buckets_) bucket->json = nullptr;
}

}  // namespace chaise::testing
