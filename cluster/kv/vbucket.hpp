#pragma once

#include <chaise/time.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cluster/kv/cluster_config.hpp"
#include "cluster/kv/disk.hpp"
#include "protocol/frame_info.hpp"
#include "protocol/vbucket_requests.hpp"

namespace chaise::testing {

using VBucketState = protocol::VbucketState;

/// Both of a node's clocks at one moment.
struct KvTime {
    TimePoint now;
    WallTime wall;
    [[nodiscard]] std::uint32_t seconds() const noexcept;
};

/// Absolute expiry from what is on the wire (protocol.md 1.8).
[[nodiscard]] std::uint32_t absolute_expiry(std::uint32_t wire, const KvTime& time) noexcept;

class VBucket;

/// The node that the copy is on.
class VBucketHost {
public:
    /// `document` has got the next sequence number; to be replicated and persisted.
    virtual void on_change(VBucket& vbucket, const DocumentPtr& document, const KvTime& time) = 0;
    [[nodiscard]] virtual std::uint64_t random() = 0;

protected:
    ~VBucketHost() = default;
};

struct KvOutcome {
    protocol::Status status = protocol::Status::success;
    DocumentPtr document{};     ///< of reads, and of writes that return it
    std::uint64_t cas = 0;      ///< what the response says; all ones for a reader of a locked document
    std::uint64_t uuid = 0;     ///< of mutations: the token
    std::uint64_t seqno = 0;    ///< 0: nothing was changed
    std::uint64_t number = 0;   ///< of counters
    std::uint64_t pending = 0;  ///< not 0: a durable write that is under way, by this ticket
};

/// Hears how a durable write ended that was under way when the command returned.
class SyncWriteListener {
public:
    virtual void on_sync_write(std::uint64_t ticket, const KvOutcome& outcome) = 0;

protected:
    ~SyncWriteListener() = default;
};

/// What a durable write asks for.
struct Durability {
    protocol::DurabilityLevel level = protocol::DurabilityLevel::majority;
    TimePoint deadline{};
    SyncWriteListener* listener = nullptr;
};

/// What writes have in common.
struct WriteOptions {
    std::uint64_t cas = 0;
    bool preserve_expiry = false;
    std::optional<Durability> durability{};
};

/// Which documents VBucket::edit() takes.
struct EditOptions {
    bool create = false;      ///< when there is none
    bool add = false;         ///< only when there is none
    bool tombstones = false;  ///< these, too
    bool revive = false;      ///< only these
};

enum class StoreMode : std::uint8_t { set, add, replace };

/// Limit of a document, inflated.
inline constexpr std::size_t max_document_size = 20u * 1024 * 1024;
inline constexpr std::chrono::seconds default_lock_time{15};
inline constexpr std::chrono::seconds max_lock_time{30};

/// One copy of a vbucket. The commands are those of the active copy; keys carry the collection prefix.
class VBucket {
public:
    VBucket(std::uint16_t id, VBucketHost& host) noexcept : id_(id), host_(host) {}
    VBucket(const VBucket&) = delete;
    VBucket& operator=(const VBucket&) = delete;
    ~VBucket() = default;

    [[nodiscard]] std::uint16_t id() const noexcept { return id_; }
    [[nodiscard]] VBucketState state() const noexcept { return state_; }
    [[nodiscard]] std::uint64_t uuid() const noexcept { return failover_log_.empty() ? 0 : failover_log_.front().uuid; }
    [[nodiscard]] const std::vector<FailoverEntry>& failover_log() const noexcept { return failover_log_; }
    [[nodiscard]] std::uint64_t high_seqno() const noexcept { return high_seqno_; }
    [[nodiscard]] std::uint64_t high_seqno(std::uint32_t collection) const;
    [[nodiscard]] std::uint64_t persisted_seqno() const noexcept { return persisted_seqno_; }
    [[nodiscard]] std::size_t documents() const noexcept { return live_; }
    [[nodiscard]] std::size_t pending_writes() const noexcept { return writes_.size(); }

    // ---- reads ------------------------------------------------------------------------------------------------

    [[nodiscard]] KvOutcome get(std::string_view key, const KvTime& time);
    /// Also of replicas: what this copy has, nothing is changed.
    [[nodiscard]] KvOutcome read(std::string_view key, const KvTime& time) const;
    /// Tombstones too. Null: never heard of it, or expired without trace.
    [[nodiscard]] DocumentPtr meta(std::string_view key, const KvTime& time);
    /// As it is kept, expired or deleted as may be; for OBSERVE and tests.
    [[nodiscard]] const Document* peek(std::string_view key) const;
    /// A document, also of replicas; `tombstones`: or what is left of one. Null: neither.
    [[nodiscard]] DocumentPtr look_up(std::string_view key, bool tombstones, const KvTime& time);
    [[nodiscard]] bool locked(std::string_view key, const KvTime& time) const;
    /// A durable write was prepared by another node as active, and is not decided again yet: nobody may read it.
    [[nodiscard]] bool in_doubt(std::string_view key) const noexcept;
    /// Any document of the collection; `draw` chooses.
    [[nodiscard]] DocumentPtr any(std::uint32_t collection, std::uint64_t draw, const KvTime& time) const;
    [[nodiscard]] std::size_t documents(std::uint32_t collection) const;
    /// Frees what belongs to collections that were dropped: nothing that clients could still name.
    void purge(const BucketConfig& config);

    // ---- writes -----------------------------------------------------------------------------------------------

    KvOutcome store(StoreMode mode, std::string_view key, std::string value, std::uint8_t datatype, std::uint32_t flags,
                    std::uint32_t expiry, const WriteOptions& options, const KvTime& time);
    KvOutcome concat(bool append, std::string_view key, std::string_view part, const WriteOptions& options,
                     const KvTime& time);
    KvOutcome remove(std::string_view key, const WriteOptions& options, const KvTime& time);
    /// `initial` absent: not created.
    KvOutcome add_delta(bool up, std::string_view key, std::uint64_t delta, std::optional<std::uint64_t> initial,
                        std::uint32_t expiry, const WriteOptions& options, const KvTime& time);
    KvOutcome touch(std::string_view key, std::uint32_t expiry, const WriteOptions& options, const KvTime& time);
    KvOutcome lock(std::string_view key, std::uint32_t seconds, const KvTime& time);
    KvOutcome unlock(std::string_view key, std::uint64_t cas, const KvTime& time);
    /// What `edit` makes of the document that is found (null: of nothing); `next` comes as a copy of it.
    using Edit = std::function<protocol::Status(const Document* found, Document& next)>;
    KvOutcome edit(std::string_view key, const EditOptions& how, const Edit& edit, const WriteOptions& options,
                   const KvTime& time);
    KvOutcome evict(std::string_view key, const KvTime& time);

    // ---- durable writes ---------------------------------------------------------------------------------------

    /// How many copies there should be, and who has the replicas now.
    void set_topology(std::size_t copies, const std::vector<NodeId>& replicas, const KvTime& time);
    /// A replica has got, and persisted, everything up to these.
    void acknowledge(NodeId replica, std::uint64_t received, std::uint64_t persisted, const KvTime& time);
    /// Gives up what is past its deadline.
    void expire_writes(const KvTime& time);
    [[nodiscard]] std::optional<TimePoint> next_deadline() const noexcept;
    /// The listener goes away.
    void forget(const SyncWriteListener& listener) noexcept;

    // ---- state, replication, persistence: the node's business -----------------------------------------------------

    /// Becoming active begins a new history.
    void set_state(VBucketState state, const KvTime& time);
    /// From the active copy, in order of sequence numbers. Null: only the number advances.
    void receive(const DocumentPtr& document, std::uint64_t seqno);
    /// What `active` has to send, in order: first makes this copy a prefix of it, forgetting what it has beyond.
    /// Returns the sequence number to go on from.
    std::uint64_t follow(const VBucket& active);
    [[nodiscard]] std::vector<DocumentPtr> changes_since(std::uint64_t seqno) const;
    void persisted(std::uint64_t seqno, const KvTime& time);
    void load(const DiskVbucket& disk);
    void clear() noexcept;
    /// Locks end so much earlier.
    void shorten_locks(Duration by) noexcept {
        for (auto& [key, entry] : entries_)
            if (entry.locked_until != TimePoint{}) entry.locked_until -= by;
    }
    /// Counts clear(): what was noted about an earlier content is void.
    [[nodiscard]] std::uint64_t incarnation() const noexcept { return incarnation_; }

private:
    struct Entry {
        DocumentPtr document;
        TimePoint locked_until{};  // meaningful while later than now
    };
    struct SyncWrite {
        std::uint64_t ticket;
        DocumentPtr document;
        TimePoint deadline = TimePoint::max();  // inherited from another node's time as active: none
        SyncWriteListener* listener = nullptr;
        bool inherited = false;
        std::optional<KvOutcome> outcome{};
    };
    struct Progress {
        std::uint64_t received = 0;
        std::uint64_t persisted = 0;
    };
    using Entries = std::unordered_map<std::string, Entry, KeyHash, std::equal_to<>>;

    [[nodiscard]] std::uint64_t next_cas(const KvTime& time) noexcept;
    [[nodiscard]] Entry* find(std::string_view key, const KvTime& time);
    [[nodiscard]] SyncWrite* write_of(std::string_view key) const noexcept;
    [[nodiscard]] protocol::Status refuse(const Entry* entry, std::string_view key, std::uint64_t cas,
                                          const KvTime& time) const noexcept;
    void put(const DocumentPtr& document);
    void apply(Document&& document, const KvTime& time);
    KvOutcome change(const Entry* entry, Document&& next, const WriteOptions& options, const KvTime& time,
                     std::uint64_t cas = 0);
    [[nodiscard]] bool satisfied(const SyncWrite& write) const noexcept;
    void advance(const KvTime& time);
    void conclude(const std::shared_ptr<SyncWrite>& write, protocol::Status status, const KvTime& time);

    std::uint16_t id_;
    VBucketHost& host_;
    VBucketState state_ = VBucketState::dead;
    Entries entries_;
    std::size_t live_ = 0;
    std::vector<FailoverEntry> failover_log_;
    std::uint64_t high_seqno_ = 0;
    std::uint64_t persisted_seqno_ = 0;
    std::uint64_t max_cas_ = 0;
    std::vector<std::shared_ptr<SyncWrite>> writes_;  // in order of their sequence numbers
    std::map<NodeId, Progress> progress_;
    std::size_t copies_ = 1;
    std::size_t present_ = 1;
    std::uint64_t tickets_ = 0;
    std::uint64_t incarnation_ = 0;
    bool advancing_ = false;
};

}  // namespace chaise::testing
