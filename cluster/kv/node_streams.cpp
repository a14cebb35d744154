#include <algorithm>
#include <utility>

#include "cluster/kv/node_bucket.hpp"

// Where a node's changes go, and when: to the replicas and to its disk.
namespace chaise::testing {

namespace {

TimePoint due(TimePoint since, Duration delay) noexcept { return delay == paused ? TimePoint::max() : since + delay; }

// Those of whose vbucket something is still on its way.
template <class Bucket>
class Held {
public:
    // False: it was known.
    bool add(const Bucket* bucket, std::uint16_t vbucket) {
        const std::pair whose{bucket, vbucket};
        if (std::find(all_.begin(), all_.end(), whose) != all_.end()) return false;
        all_.push_back(whose);
        return true;
    }
    [[nodiscard]] bool has(const Bucket* bucket, std::uint16_t vbucket) const {
        return std::find(all_.begin(), all_.end(), std::pair{bucket, vbucket}) != all_.end();
    }

private:
    std::vector<std::pair<const Bucket*, std::uint16_t>> all_;
};

}  // namespace

void KvNode::on_change(Bucket& bucket, VBucket& vbucket, const DocumentPtr& document, const KvTime& time) {
    if (document->kind == Document::Kind::prepared) note_deadline(bucket, vbucket.id(), time);
    if (!bucket.slots[vbucket.id()].streams.empty()) {
        // By value: what is sent may be acknowledged at once, and streams may end by that.
        const auto streams = bucket.slots[vbucket.id()].streams;
        for (const Stream& stream : streams) send(bucket, vbucket.id(), stream, document->seqno, document, time);
    }
    to_disk(bucket, vbucket, document->seqno, document, time);
}

// The vbucket's next one only: its writes are many, and most end long before.
void KvNode::note_deadline(Bucket& bucket, std::uint16_t vbucket, const KvTime& time) {
    Slot& slot = bucket.slots[vbucket];
    const auto deadline = slot.vbucket->next_deadline();
    if (!deadline || *deadline >= slot.deadline) return;
    slot.deadline = *deadline;
    deadlines_.emplace(*deadline, std::pair{bucket.shared_from_this(), vbucket});
    arm(*deadline, time);
}

void KvNode::send(Bucket& bucket, std::uint16_t vbucket, const Stream& stream, std::uint64_t seqno,
                  const DocumentPtr& document, const KvTime& time) {
    OnTheWay item{time.now, bucket.shared_from_this(), vbucket, stream.id, seqno, document};
    auto& link = links_[stream.to];
    const Duration delay = cluster_->replication_delay(id_, stream.to);
    item.extra = draw_extra(cluster_->replication_spread());
    if (delay == Duration::zero() && item.extra == Duration::zero() && link.empty())
        return deliver(stream.to, item, time);
    arm(due(time.now + item.extra, delay), time);
    link.push_back(std::move(item));
}

void KvNode::deliver(NodeId to, const OnTheWay& item, const KvTime& time) {
    if (item.bucket->gone) return;
    Slot& slot = item.bucket->slots[item.vbucket];
    const auto stream = std::find_if(slot.streams.begin(), slot.streams.end(),
                                     [&](const Stream& known) { return known.id == item.note; });
    if (stream == slot.streams.end()) return;
    KvNode* const target = cluster_->process(to);
    const auto answer = target == nullptr ? std::nullopt
                                          : target->receive(item.bucket->config->uuid, item.vbucket, id_, item.seqno,
                                                            item.document, target->time());
    if (!answer) {
        slot.streams.erase(stream);
        return;
    }
    slot.vbucket->acknowledge(to, answer->received, answer->persisted, time);
}

std::optional<KvNode::Answer> KvNode::receive(const std::string& uuid, std::uint16_t vbucket, NodeId from,
                                              std::uint64_t seqno, const DocumentPtr& document, const KvTime& time) {
    Bucket* const bucket = by_uuid(uuid);
    if (bucket == nullptr) return std::nullopt;
    Slot& slot = bucket->slots[vbucket];
    if (!slot.vbucket || slot.source != from) return std::nullopt;
    slot.vbucket->receive(document, seqno);
    to_disk(*bucket, *slot.vbucket, seqno, document, time);
    return Answer{slot.vbucket->high_seqno(), slot.vbucket->persisted_seqno()};
}

void KvNode::to_disk(Bucket& bucket, VBucket& vbucket, std::uint64_t seqno, const DocumentPtr& document,
                     const KvTime& time) {
    if (bucket.config->settings.type != BucketType::couchbase) return;
    OnTheWay item{time.now, bucket.shared_from_this(), vbucket.id(), vbucket.incarnation(), seqno, document};
    const Duration delay = cluster_->persistence_delay(id_);
    item.extra = draw_extra(cluster_->persistence_spread());
    if (delay == Duration::zero() && item.extra == Duration::zero() && unpersisted_.empty()) return persist(item, time);
    arm(due(time.now + item.extra, delay), time);
    unpersisted_.push_back(std::move(item));
}

Duration KvNode::draw_extra(Duration spread) {
    if (spread == Duration::zero()) return spread;
    return Duration(static_cast<Duration::rep>(iops_.random() % static_cast<std::uint64_t>(spread.count() + 1)));
}

template <class Handle>
void KvNode::let_go(std::deque<OnTheWay>& queue, Duration delay, TimePoint now, const Handle& handle) {
    Held<Bucket> held;
    // Those behind have begun no earlier. By number: what is handled may put more at the end.
    for (std::size_t i = 0; i < queue.size() && due(queue[i].since, delay) <= now;) {
        const OnTheWay& first = queue[i];
        const bool behind = held.has(first.bucket.get(), first.vbucket);
        if (behind || due(first.since + first.extra, delay) > now) {
            if (!behind) held.add(first.bucket.get(), first.vbucket);
            ++i;
            continue;
        }
        const OnTheWay item = std::move(queue[i]);
        queue.erase(queue.begin() + static_cast<std::ptrdiff_t>(i));
        handle(item);
    }
}

TimePoint KvNode::next_due(const std::deque<OnTheWay>& queue, Duration delay) const {
    Held<Bucket> seen;
    TimePoint next = TimePoint::max();
    for (const OnTheWay& item : queue) {
        if (due(item.since, delay) >= next) break;
        if (seen.add(item.bucket.get(), item.vbucket)) next = std::min(next, due(item.since + item.extra, delay));
    }
    return next;
}

void KvNode::persist(const OnTheWay& item, const KvTime& time) {
    if (item.bucket->gone) return;
    const Slot& slot = item.bucket->slots[item.vbucket];
    if (!slot.vbucket || slot.vbucket->incarnation() != item.note) return;
    DiskVbucket& disk = (*item.bucket->disk())[item.vbucket];
    if (item.document) disk.apply(item.document);
    disk.persisted_seqno = item.seqno;
    disk.failover_log = slot.vbucket->failover_log();
    VBucket& vbucket = *slot.vbucket;
    const auto source = slot.source;
    vbucket.persisted(item.seqno, time);
    if (source) {
        if (KvNode* const active = cluster_->process(*source))
            active->acknowledge(item.bucket->config->uuid, item.vbucket, id_,
                                {vbucket.high_seqno(), vbucket.persisted_seqno()}, active->time());
    }
    if (!waiters_.empty()) tell_waiters(time);
}

void KvNode::acknowledge(const std::string& uuid, std::uint16_t vbucket, NodeId replica, Answer answer,
                         const KvTime& time) {
    Bucket* const bucket = by_uuid(uuid);
    if (bucket == nullptr) return;
    const Slot& slot = bucket->slots[vbucket];
    const bool streams = std::any_of(slot.streams.begin(), slot.streams.end(),
                                     [&](const Stream& stream) { return stream.to == replica; });
    if (streams) slot.vbucket->acknowledge(replica, answer.received, answer.persisted, time);
}

KvNode::Bucket* KvNode::by_uuid(const std::string& uuid) const noexcept {
    for (const auto& [name, bucket] : buckets_)
        if (bucket->config->uuid == uuid) return bucket.get();
    return nullptr;
}

void KvNode::connect_streams() {
    const KvTime now = time();
    for (const auto& [name, bucket] : buckets_) {
        const BucketConfig& config = *bucket->config;
        for (std::size_t i = 0; i < bucket->slots.size(); ++i) {
            Slot& slot = bucket->slots[i];
            if (!slot.vbucket || slot.vbucket->state() != VBucketState::active) continue;
            std::vector<NodeId> wanted;
            const auto want = [&](const VbucketRow& row) {
                for (const std::ptrdiff_t node : row) {
                    const auto id = static_cast<NodeId>(node);
                    if (node != no_node && id != id_ && std::find(wanted.begin(), wanted.end(), id) == wanted.end())
                        wanted.push_back(id);
                }
            };
            want(config.map[i]);
            if (!config.forward.empty()) want(config.forward[i]);
            std::erase_if(slot.streams, [&](const Stream& stream) {
                return std::find(wanted.begin(), wanted.end(), stream.to) == wanted.end();
            });
            for (const NodeId to : wanted) {
                const auto same = [&](const Stream& stream) { return stream.to == to; };
                KvNode* const target = cluster_->process(to);
                if (target == nullptr || std::any_of(slot.streams.begin(), slot.streams.end(), same)) continue;
                const auto answer = target->accept(*bucket, *slot.vbucket, id_);
                if (!answer) continue;
                const Stream stream{to, ++last_stream_};
                slot.streams.push_back(stream);
                const auto changes = slot.vbucket->changes_since(answer->received);
                const std::uint64_t high = slot.vbucket->high_seqno();
                std::uint64_t last = answer->received;
                for (const DocumentPtr& document : changes) {
                    last = document->seqno;
                    send(*bucket, static_cast<std::uint16_t>(i), stream, last, document, now);
                }
                if (last < high) send(*bucket, static_cast<std::uint16_t>(i), stream, high, nullptr, now);
                slot.vbucket->acknowledge(to, std::min(answer->received, high), answer->persisted, now);
            }
        }
    }
}

std::optional<KvNode::Answer> KvNode::accept(const Bucket& theirs, const VBucket& active, NodeId from) {
    Bucket* const bucket = by_uuid(theirs.config->uuid);
    if (bucket == nullptr) return std::nullopt;
    Slot& slot = bucket->slots[active.id()];
    if (!slot.vbucket || slot.vbucket->state() == VBucketState::active ||
        position_of(from, bucket->config->map[active.id()]) != 0)
        return std::nullopt;
    slot.source = from;
    const std::uint64_t before = slot.vbucket->incarnation();
    const std::uint64_t received = slot.vbucket->follow(active);
    if (bucket->disk() != nullptr) {
        DiskVbucket& disk = (*bucket->disk())[active.id()];
        if (slot.vbucket->incarnation() != before) disk = {};
        disk.failover_log = slot.vbucket->failover_log();
    }
    return Answer{received, slot.vbucket->persisted_seqno()};
}

void KvNode::disconnect(NodeId other) noexcept {
    links_.erase(other);
    for (const auto& [name, bucket] : buckets_) {
        for (Slot& slot : bucket->slots) {
            std::erase_if(slot.streams, [&](const Stream& stream) { return stream.to == other; });
            if (slot.source == other) slot.source.reset();
        }
    }
}

// Everything that is due, then the next alarm. The timer is never moved later: it fires, looks, and is armed again.
void KvNode::pump() {
    const KvTime now = time();
    bool believed = false;
    while (!news_.empty() && due(news_.front().since, cluster_->config_delay(id_)) <= now.now) {
        const News news = std::move(news_.front());
        news_.pop_front();
        believe(news);
        believed = true;
    }
    if (believed) cluster_->reconnect();
    for (auto& [to, link] : links_) {
        let_go(link, cluster_->replication_delay(id_, to), now.now,
               [&, node = to](const OnTheWay& item) { deliver(node, item, now); });
    }
    let_go(unpersisted_, cluster_->persistence_delay(id_), now.now, [&](const OnTheWay& item) { persist(item, now); });
    while (!deadlines_.empty() && deadlines_.begin()->first <= now.now) {
        const auto [bucket, vbucket] = deadlines_.extract(deadlines_.begin()).mapped();
        Slot& slot = bucket->slots[vbucket];
        slot.deadline = TimePoint::max();
        if (bucket->gone || !slot.vbucket) continue;
        slot.vbucket->expire_writes(now);
        note_deadline(*bucket, vbucket, now);
    }
    tell_waiters(now);
    rearm(now);
}

void KvNode::rearm(const KvTime& now) {
    TimePoint next = TimePoint::max();
    if (!news_.empty()) next = std::min(next, due(news_.front().since, cluster_->config_delay(id_)));
    for (const auto& [to, link] : links_) next = std::min(next, next_due(link, cluster_->replication_delay(id_, to)));
    next = std::min(next, next_due(unpersisted_, cluster_->persistence_delay(id_)));
    if (!deadlines_.empty()) next = std::min(next, deadlines_.begin()->first);
    for (const Waiter& waiter : waiters_) next = std::min(next, waiter.deadline);
    if (!timer_->active()) armed_ = TimePoint::max();
    arm(next, now);
}

void KvNode::arm(TimePoint when, const KvTime& now) {
    if (when == TimePoint::max() || (timer_->active() && armed_ <= when)) return;
    armed_ = when;
    iops_.schedule(*timer_, std::chrono::ceil<std::chrono::microseconds>(std::max(when - now.now, Duration::zero())));
}

}  // namespace chaise::testing
