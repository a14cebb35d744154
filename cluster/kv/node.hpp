#pragma once

#include <chaise/iops.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
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
    /// The document as GET_CLUSTER_CONFIG gives it; made once per revision. An empty name: the cluster-level one. Null:
    /// no such bucket.
    [[nodiscard]] std::shared_ptr<const std::string> config_json(std::string_view bucket) const;
    void add_watcher(ConfigWatcher& watcher) { watchers_.push_back(&watcher); }
    void remove_watcher(ConfigWatcher& watcher) noexcept;

    // ---- what it has --------------------------------------------------------------------------------------------

    /// Its copy; null when it has none.
    [[nodiscard]] VBucket* vbucket(std::string_view bucket, std::uint16_t vbucket) noexcept;
    /// Told when `vbucket` has persisted `seqno` (success) or `deadline` has passed (etmpfail); the ticket is returned.
    /// 0: it is so already.
    std::uint64_t wait_persisted(std::string_view bucket, std::uint16_t vbucket, std::uint64_t seqno,
                                 TimePoint deadline, SyncWriteListener& listener);
    /// `listener` goes away: nothing that it waits for is told to it any more.
    void forget(const SyncWriteListener& listener) noexcept;
    [[nodiscard]] KvTime time() const { return {iops_.now(), iops_.wall_time() + cluster_->travelled()}; }

    /// Counted by its conversations; also how STAT knows.
    struct Counters {
        std::uint64_t connections = 0;
        std::uint64_t total_connections = 0;
        std::uint64_t commands = 0;
        std::uint64_t gets = 0;
        std::uint64_t get_hits = 0;
        std::uint64_t sets = 0;
        std::uint64_t not_my_vbucket = 0;
    };
    [[nodiscard]] Counters& counters() noexcept { return counters_; }
    [[nodiscard]] TimePoint started() const noexcept { return started_; }

private:
    friend class ClusterState;
    struct Stream {
        NodeId to;
        std::uint64_t id;
    };
    struct Slot {
        std::unique_ptr<VBucket> vbucket;
        std::vector<Stream> streams;   // of an active copy
        std::optional<NodeId> source;  // of any other
        /// Another node is active since this revision, which this one may not know yet.
        std::optional<protocol::ConfigRevision> given_away{};
        TimePoint deadline = TimePoint::max();  // of a durable write: noted in deadlines_
    };
    struct Bucket;
    struct OnTheWay {
        TimePoint since;
        std::shared_ptr<Bucket> bucket;
        std::uint16_t vbucket;
        std::uint64_t note;  // the stream's id, or the vbucket's incarnation
        std::uint64_t seqno;
        DocumentPtr document;
        Duration extra{};  // beside the delay: by that it may be overtaken
    };
    struct News {
        TimePoint since;
        std::string name;
        std::shared_ptr<const BucketConfig> bucket;
        std::shared_ptr<const ClusterConfig> cluster;
    };
    struct Waiter {
        std::shared_ptr<Bucket> bucket;
        std::uint16_t vbucket;
        std::uint64_t seqno;
        TimePoint deadline;
        SyncWriteListener* listener;
        std::uint64_t ticket;
    };

    // From ClusterState.
    void learn(std::string name, std::shared_ptr<const BucketConfig> config);
    void learn(std::shared_ptr<const ClusterConfig> config);
    void connect_streams();
    void disconnect(NodeId other) noexcept;
    /// `to` gets what is missing there, and this copy is active no more, whatever maps the node believes until
    /// `revision`. False: one of both does not yet know what it has to know.
    [[nodiscard]] bool give_away(const std::string& uuid, std::uint16_t vbucket, KvNode& to,
                                 protocol::ConfigRevision revision);
    /// `to` gets what is missing there, whatever is on its way, and no stream any more. False: as above.
    bool send_rest(const std::string& uuid, std::uint16_t vbucket, KvNode& to);
    /// This copy follows that of `active`, and has come so far.
    [[nodiscard]] bool has(const std::string& uuid, std::uint16_t vbucket, const KvNode& active,
                           std::uint64_t seqno) const;
    void shorten_locks(Duration by);
    void forget_documents();
    void flush(std::string_view bucket);
    void pump();

    void learn(News news);
    void believe(const News& news);
    void drop(const std::string& name);
    void arrange(Bucket& bucket, const KvTime& time);
    void purge(Bucket& bucket);  ///< of documents whose collection was dropped
    void tell(const std::string& name);
    void on_change(Bucket& bucket, VBucket& vbucket, const DocumentPtr& document, const KvTime& time);
    void send(Bucket& bucket, std::uint16_t vbucket, const Stream& stream, std::uint64_t seqno,
              const DocumentPtr& document, const KvTime& time);
    void deliver(NodeId to, const OnTheWay& item, const KvTime& time);
    void to_disk(Bucket& bucket, VBucket& vbucket, std::uint64_t seqno, const DocumentPtr& document,
                 const KvTime& time);
    void persist(const OnTheWay& item, const KvTime& time);
    /// Up to `spread`.
    [[nodiscard]] Duration draw_extra(Duration spread);
    /// Handles what is due, in its order, but nothing before what is older and of the same vbucket.
    template <class Handle>
    void let_go(std::deque<OnTheWay>& queue, Duration delay, TimePoint now, const Handle& handle);
    [[nodiscard]] TimePoint next_due(const std::deque<OnTheWay>& queue, Duration delay) const;
    void tell_waiters(const KvTime& time);
    void note_deadline(Bucket& bucket, std::uint16_t vbucket, const KvTime& time);
    void arm(TimePoint due, const KvTime& time);
    void rearm(const KvTime& time);

    // From the active copy's node.
    struct Answer {
        std::uint64_t received = 0;
        std::uint64_t persisted = 0;
    };
    std::optional<Answer> accept(const Bucket& theirs, const VBucket& active, NodeId from);
    std::optional<Answer> receive(const std::string& uuid, std::uint16_t vbucket, NodeId from, std::uint64_t seqno,
                                  const DocumentPtr& document, const KvTime& time);
    void acknowledge(const std::string& uuid, std::uint16_t vbucket, NodeId replica, Answer answer, const KvTime& time);
    [[nodiscard]] Bucket* by_uuid(const std::string& uuid) const noexcept;

    std::shared_ptr<ClusterState> cluster_;
    NodeId id_;
    IOPS& iops_;
    TimePoint started_;
    std::shared_ptr<const ClusterConfig> cluster_config_;
    mutable std::shared_ptr<const std::string> cluster_json_;
    std::map<std::string, std::shared_ptr<Bucket>, std::less<>> buckets_;
    std::vector<ConfigWatcher*> watchers_;
    int telling_ = 0;
    std::deque<News> news_;
    std::map<NodeId, std::deque<OnTheWay>> links_;
    std::deque<OnTheWay> unpersisted_;
    std::vector<Waiter> waiters_;
    std::multimap<TimePoint, std::pair<std::shared_ptr<Bucket>, std::uint16_t>> deadlines_;
    std::unique_ptr<TimerEvent> timer_;
    TimePoint armed_ = TimePoint::max();
    std::uint64_t last_stream_ = 0;
    std::uint64_t last_ticket_ = 0;
    Counters counters_;
};

}  // namespace chaise::testing
