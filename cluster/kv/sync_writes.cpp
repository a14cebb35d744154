#include <algorithm>
#include <utility>

#include "cluster/kv/vbucket.hpp"

// Changes of the active copy, and the durable ones among them: prepared, then committed when enough copies have it.
namespace chaise::testing {

using protocol::DurabilityLevel;
using protocol::Status;

VBucket::SyncWrite* VBucket::write_of(std::string_view key) const noexcept {
    for (const auto& write : writes_)
        if (write->document->key == key) return write.get();
    return nullptr;
}

// `entry` is what `next` replaces, if anything. `cas`: one that was drawn for it already.
KvOutcome VBucket::change(const Entry* entry, Document&& next, const WriteOptions& options, const KvTime& time,
                          std::uint64_t cas) {
    const std::size_t majority = copies_ / 2 + 1;
    if (options.durability && (present_ < majority || copies_ > 3)) return {Status::durability_impossible};
    if (entry != nullptr) {
        next.revision = entry->document->revision + 1;
    } else {
        const auto tombstone = entries_.find(std::string_view(next.key));
        next.revision = tombstone == entries_.end() ? 1 : tombstone->second.document->revision + 1;
    }
    next.cas = cas != 0 ? cas : next_cas(time);
    next.seqno = ++high_seqno_;
    if (!options.durability) {
        const auto document = std::make_shared<const Document>(std::move(next));
        put(document);
        KvOutcome outcome{.document = document, .cas = document->cas, .uuid = uuid(), .seqno = document->seqno};
        host_.on_change(*this, document, time);
        return outcome;
    }

    next.kind = Document::Kind::prepared;
    next.level = static_cast<std::uint8_t>(options.durability->level);
    const auto write =
        std::make_shared<SyncWrite>(SyncWrite{.ticket = std::uint64_t{id_} << 48 | ++tickets_,
                                              .document = std::make_shared<const Document>(std::move(next)),
                                              .deadline = options.durability->deadline});
    writes_.push_back(write);
    host_.on_change(*this, write->document, time);  // may be all it takes
    advance(time);
    if (write->outcome) return *write->outcome;
    write->listener = options.durability->listener;
    return {.document = write->document, .pending = write->ticket};
}

bool VBucket::satisfied(const SyncWrite& write) const noexcept {
    const std::uint64_t seqno = write.document->seqno;
    const std::size_t majority = copies_ / 2 + 1;
    std::size_t received = 1;
    std::size_t persisted = persisted_seqno_ >= seqno ? 1 : 0;
    const bool here = persisted != 0;
    for (const auto& [node, progress] : progress_) {
        if (progress.received >= seqno) ++received;
        if (progress.persisted >= seqno) ++persisted;
    }
    switch (static_cast<DurabilityLevel>(write.document->level)) {
        case DurabilityLevel::majority:
            return received >= majority;
        case DurabilityLevel::majority_and_persist_to_active:
            return received >= majority && here;
        case DurabilityLevel::persist_to_majority:
            return persisted >= majority && here;
    }
    return false;
}

// In order: no write overtakes one that was prepared before it.
void VBucket::advance(const KvTime& time) {
    // A commit may be acknowledged before it returns: the loop that is under way goes on then.
    if (state_ != VBucketState::active || std::exchange(advancing_, true)) return;
    while (!writes_.empty() && satisfied(*writes_.front())) {
        const auto write = writes_.front();
        conclude(write, Status::success, time);
    }
    advancing_ = false;
}

void VBucket::conclude(const std::shared_ptr<SyncWrite>& write, Status status, const KvTime& time) {
    std::erase(writes_, write);
    Document end = *write->document;
    end.level = 0;
    end.seqno = ++high_seqno_;
    end.kind = status == Status::success ? Document::Kind::committed : Document::Kind::aborted;
    const auto document = std::make_shared<const Document>(std::move(end));
    KvOutcome outcome{status};
    if (status == Status::success) {
        put(document);
        outcome = {.document = document, .cas = document->cas, .uuid = uuid(), .seqno = document->seqno};
    }
    write->outcome = outcome;
    host_.on_change(*this, document, time);
    if (auto* const listener = std::exchange(write->listener, nullptr)) listener->on_sync_write(write->ticket, outcome);
}

void VBucket::set_topology(std::size_t copies, const std::vector<NodeId>& replicas, const KvTime& time) {
    copies_ = copies;
    present_ = 1 + replicas.size();
    std::erase_if(progress_, [&](const auto& item) {
        return std::find(replicas.begin(), replicas.end(), item.first) == replicas.end();
    });
    for (const NodeId replica : replicas) progress_.try_emplace(replica);
    if (!writes_.empty()) advance(time);
}

void VBucket::acknowledge(NodeId replica, std::uint64_t received, std::uint64_t persisted, const KvTime& time) {
    const auto found = progress_.find(replica);
    if (found == progress_.end()) return;
    found->second = {received, persisted};
    if (!writes_.empty()) advance(time);
}

void VBucket::expire_writes(const KvTime& time) {
    const auto writes = writes_;
    for (const auto& write : writes)
        if (write->deadline <= time.now && !write->outcome) conclude(write, Status::sync_write_ambiguous, time);
}

std::optional<TimePoint> VBucket::next_deadline() const noexcept {
    std::optional<TimePoint> next;
    for (const auto& write : writes_)
        if (write->deadline != TimePoint::max() && (!next || write->deadline < *next)) next = write->deadline;
    return next;
}

void VBucket::forget(const SyncWriteListener& listener) noexcept {
    for (const auto& write : writes_)
        if (write->listener == &listener) write->listener = nullptr;
}

}  // namespace chaise::testing
