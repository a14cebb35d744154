#include "cluster/kv/node.hpp"

#include <algorithm>
#include <utility>

#include "cluster/kv/node_bucket.hpp"

// What a node believes: configurations that it learned, and the states of its vbuckets that follow from them.
namespace chaise::testing {

KvNode::KvNode(std::shared_ptr<ClusterState> cluster, NodeId id, IOPS& iops)
    : cluster_(std::move(cluster)), id_(id), iops_(iops), started_(iops.now()), timer_(iops.timer_event_factory()) {
    timer_->set_handler([](void* self, int) { static_cast<KvNode*>(self)->pump(); }, this);
    cluster_->attach(*this);
    // It starts with what ns_server knows by now.
    believe({{}, {}, nullptr, cluster_->cluster_config()});
    for (const std::string& name : cluster_->buckets()) believe({{}, name, cluster_->bucket_config(name), nullptr});
    cluster_->reconnect();
}

KvNode::~KvNode() {
    cluster_->detach(*this);
    iops_.cleanup(*timer_);
}

std::shared_ptr<const BucketConfig> KvNode::bucket_config(std::string_view name) const noexcept {
    const auto found = buckets_.find(name);
    return found == buckets_.end() ? nullptr : found->second->config;
}

std::vector<std::string> KvNode::buckets() const {
    std::vector<std::string> names;
    for (const auto& [name, bucket] : buckets_) names.push_back(name);
    return names;
}

std::shared_ptr<const std::string> KvNode::config_json(std::string_view name) const {
    if (name.empty()) {
        if (!cluster_json_) cluster_json_ = std::make_shared<const std::string>(to_json(*cluster_config_, id_));
        return cluster_json_;
    }
    const auto found = buckets_.find(name);
    if (found == buckets_.end()) return nullptr;
    Bucket& bucket = *found->second;
    if (!bucket.json) {
        bucket.json = std::make_shared<const std::string>(
            to_json(cluster_->conflicting(id_) ? contradiction(*bucket.config) : *bucket.config, id_));
    }
    return bucket.json;
}

VBucket* KvNode::vbucket(std::string_view bucket, std::uint16_t vbucket) noexcept {
    const auto found = buckets_.find(bucket);
    if (found == buckets_.end() || vbucket >= found->second->slots.size()) return nullptr;
    return found->second->slots[vbucket].vbucket.get();
}

void KvNode::remove_watcher(ConfigWatcher& watcher) noexcept {
    if (telling_ == 0) {
        std::erase(watchers_, &watcher);
    } else {  // somebody is walking
        std::replace(watchers_.begin(), watchers_.end(), &watcher, static_cast<ConfigWatcher*>(nullptr));
    }
}

void KvNode::tell(const std::string& name) {
    ++telling_;
    for (std::size_t i = 0; i < watchers_.size(); ++i)
        if (watchers_[i] != nullptr) watchers_[i]->on_config(name);
    if (--telling_ == 0) std::erase(watchers_, nullptr);
}

void KvNode::learn(std::string name, std::shared_ptr<const BucketConfig> config) {
    learn({iops_.now(), std::move(name), std::move(config), nullptr});
}

void KvNode::learn(std::shared_ptr<const ClusterConfig> config) {
    learn({iops_.now(), {}, nullptr, std::move(config)});
}

void KvNode::learn(News news) {
    const Duration delay = cluster_->config_delay(id_);
    if (delay == Duration::zero() && news_.empty()) return believe(news);
    news_.push_back(std::move(news));
    rearm(time());
}

void KvNode::believe(const News& news) {
    if (news.cluster) {
        cluster_config_ = news.cluster;
        cluster_json_ = nullptr;
        return tell({});
    }
    const auto found = buckets_.find(news.name);
    const bool serves = news.bucket && std::find(news.bucket->servers.begin(), news.bucket->servers.end(), id_) !=
                                           news.bucket->servers.end();
    if (found != buckets_.end() && (!serves || found->second->config->uuid != news.bucket->uuid)) drop(news.name);
    if (!serves) return;
    auto& bucket = buckets_[news.name];
    if (!bucket) {
        bucket = std::make_shared<Bucket>(*this, news.bucket);
    } else {
        bucket->config = news.bucket;
        bucket->json = nullptr;
    }
    arrange(*bucket, time());
    if (std::exchange(bucket->purged, bucket->config->manifest.uid) != bucket->config->manifest.uid) purge(*bucket);
    tell(news.name);
}

void KvNode::drop(const std::string& name) {
    const auto found = buckets_.find(name);
    const auto bucket = found->second;
    bucket->gone = true;
    buckets_.erase(found);
    tell(name);
}

// The copies that the node should have, each in its state.
void KvNode::arrange(Bucket& bucket, const KvTime& time) {
    const BucketConfig& config = *bucket.config;
    for (std::size_t i = 0; i < bucket.slots.size(); ++i) {
        Slot& slot = bucket.slots[i];
        const VbucketRow& row = config.map[i];
        const std::ptrdiff_t position = position_of(id_, row);
        const std::ptrdiff_t coming = config.forward.empty() ? -1 : position_of(id_, config.forward[i]);
        VBucketState state = VBucketState::dead;
        if (config.settings.type == BucketType::memcached) {
            state = VBucketState::active;
        } else if (position >= 0) {
            state = position == 0 ? VBucketState::active : VBucketState::replica;
        } else if (coming >= 0) {
            state = coming == 0 ? VBucketState::pending : VBucketState::replica;
        }
        if (slot.given_away && config.revision >= *slot.given_away) slot.given_away.reset();
        if (slot.given_away && state == VBucketState::active) state = VBucketState::replica;
        if (state == VBucketState::dead) {
            if (slot.vbucket) slot.vbucket->set_state(state, time);
            slot = {};
            if (bucket.disk() != nullptr) (*bucket.disk())[i] = {};
            continue;
        }
        if (!slot.vbucket) {
            slot.vbucket = std::make_unique<VBucket>(static_cast<std::uint16_t>(i), bucket);
            if (bucket.disk() != nullptr) slot.vbucket->load((*bucket.disk())[i]);
        }
        std::vector<NodeId> replicas;
        for (std::size_t r = 1; r < row.size(); ++r)
            if (row[r] != no_node) replicas.push_back(static_cast<NodeId>(row[r]));
        if (state != VBucketState::active) {
            slot.streams.clear();
            if (slot.source && position_of(*slot.source, row) != 0) slot.source.reset();
        } else {
            slot.source.reset();
        }
        slot.vbucket->set_topology(config.settings.replicas + 1, replicas, time);
        slot.vbucket->set_state(state, time);
        if (bucket.disk() != nullptr) (*bucket.disk())[i].failover_log = slot.vbucket->failover_log();
    }
}

void KvNode::purge(Bucket& bucket) {
    const BucketConfig& config = *bucket.config;
    for (Slot& slot : bucket.slots)
        if (slot.vbucket) slot.vbucket->purge(config);
    if (bucket.disk() == nullptr) return;
    for (DiskVbucket& vbucket : *bucket.disk())
        std::erase_if(vbucket.documents, [&](const auto& item) { return was_dropped(config, item.first); });
}

void KvNode::flush(std::string_view name) {
    const auto found = buckets_.find(name);
    if (found == buckets_.end()) return;
    Bucket& bucket = *found->second;
    for (Slot& slot : bucket.slots) {
        if (slot.vbucket) slot.vbucket->set_state(VBucketState::dead, time());
        slot = {};
    }
    arrange(bucket, time());
}

std::uint64_t KvNode::wait_persisted(std::string_view name, std::uint16_t vbucket, std::uint64_t seqno,
                                     TimePoint deadline, SyncWriteListener& listener) {
    const VBucket* const copy = this->vbucket(name, vbucket);
    if (copy == nullptr || copy->persisted_seqno() >= seqno) return 0;
    // The vbuckets' own tickets have the vbucket in their high bits.
    const std::uint64_t ticket = std::uint64_t{1} << 63 | ++last_ticket_;
    waiters_.push_back({buckets_.find(name)->second, vbucket, seqno, deadline, &listener, ticket});
    arm(deadline, time());
    return ticket;
}

void KvNode::tell_waiters(const KvTime& time) {
    for (std::size_t i = 0; i < waiters_.size();) {
        const Waiter waiter = waiters_[i];
        const VBucket* const copy = waiter.bucket->slots[waiter.vbucket].vbucket.get();
        const bool done = copy != nullptr && !waiter.bucket->gone && copy->persisted_seqno() >= waiter.seqno;
        if (!done && waiter.deadline > time.now) {
            ++i;
            continue;
        }
        waiters_.erase(waiters_.begin() + static_cast<std::ptrdiff_t>(i));
        waiter.listener->on_sync_write(waiter.ticket, {done ? protocol::Status::success : protocol::Status::etmpfail});
    }
}

void KvNode::forget(const SyncWriteListener& listener) noexcept {
    std::erase_if(waiters_, [&](const Waiter& waiter) { return waiter.listener == &listener; });
    for (const auto& [name, bucket] : buckets_)
        for (const Slot& slot : bucket->slots)
            if (slot.vbucket && slot.vbucket->pending_writes() != 0) slot.vbucket->forget(listener);
}

}  // namespace chaise::testing
