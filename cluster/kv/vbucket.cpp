#include "cluster/kv/vbucket.hpp"

#include <algorithm>
#include <utility>

#include "protocol/data_responses.hpp"
#include "protocol/leb128.hpp"

namespace chaise::testing {

using protocol::Status;

namespace {

bool expired(const Document& document, const KvTime& time) noexcept {
    return !document.deleted && document.expiry != 0 && document.expiry <= time.seconds();
}

bool belongs(const Document& document, std::string_view prefix, const KvTime& time) noexcept {
    return !document.deleted && !expired(document, time) && document.key.starts_with(prefix);
}

std::string prefix_of(std::uint32_t collection) {
    char buffer[protocol::max_leb128_size];
    return {buffer, protocol::store_leb128(buffer, collection)};
}

}  // namespace

std::uint32_t KvTime::seconds() const noexcept {
    return static_cast<std::uint32_t>(std::chrono::floor<std::chrono::seconds>(wall.time_since_epoch()).count());
}

std::uint32_t absolute_expiry(std::uint32_t wire, const KvTime& time) noexcept {
    constexpr std::uint32_t thirty_days = 30u * 24 * 60 * 60;
    return wire == 0 || wire > thirty_days ? wire : time.seconds() + wire;
}

// A hybrid logical clock: the calendar with its low 16 bits as a counter, and never back.
std::uint64_t VBucket::next_cas(const KvTime& time) noexcept {
    const auto wall = std::chrono::duration_cast<std::chrono::nanoseconds>(time.wall.time_since_epoch()).count();
    max_cas_ = std::max(static_cast<std::uint64_t>(wall) & ~std::uint64_t{0xffff}, max_cas_ + 1);
    return max_cas_;
}

// Live documents only. What has expired is deleted now, which is a mutation like any other.
VBucket::Entry* VBucket::find(std::string_view key, const KvTime& time) {
    const auto found = entries_.find(key);
    if (found == entries_.end() || found->second.document->deleted) return nullptr;
    if (!expired(*found->second.document, time)) return &found->second;
    if (state_ == VBucketState::active && write_of(key) == nullptr) {
        Document tombstone;
        tombstone.key = found->first;
        tombstone.deleted = true;
        tombstone.expiry = time.seconds();
        tombstone.revision = found->second.document->revision + 1;
        tombstone.cas = next_cas(time);
        tombstone.xattrs = system_xattrs(found->second.document->xattrs);
        tombstone.mark_xattrs();
        apply(std::move(tombstone), time);
    }
    return nullptr;
}

void VBucket::put(const DocumentPtr& document) {
    const auto found = entries_.find(document->key);
    if (found == entries_.end()) {
        entries_.emplace(document->key, Entry{document});
        if (!document->deleted) ++live_;
        return;
    }
    if (!found->second.document->deleted) --live_;
    if (!document->deleted) ++live_;
    found->second = {document};  // a write ends a lock
}

void VBucket::apply(Document&& document, const KvTime& time) {
    document.seqno = ++high_seqno_;
    const auto shared = std::make_shared<const Document>(std::move(document));
    put(shared);
    host_.on_change(*this, shared, time);
}

bool VBucket::in_doubt(std::string_view key) const noexcept {
    if (writes_.empty()) return false;
    const SyncWrite* const write = write_of(key);
    return write != nullptr && write->inherited;
}

KvOutcome VBucket::get(std::string_view key, const KvTime& time) {
    // Its writer may have been told that it is durable: what was there before must not be seen any more.
    if (in_doubt(key)) return {Status::sync_write_re_commit_in_progress};
    const Entry* const entry = find(key, time);
    if (entry == nullptr) return {Status::key_enoent};
    return {.document = entry->document,
            .cas = entry->locked_until > time.now ? protocol::locked_cas : entry->document->cas};
}

KvOutcome VBucket::read(std::string_view key, const KvTime& time) const {
    const auto found = entries_.find(key);
    if (found == entries_.end() || found->second.document->deleted || expired(*found->second.document, time))
        return {Status::key_enoent};
    return {.document = found->second.document, .cas = found->second.document->cas};
}

DocumentPtr VBucket::meta(std::string_view key, const KvTime& time) {
    if (const Entry* const entry = find(key, time)) return entry->document;
    const auto found = entries_.find(key);
    return found == entries_.end() ? nullptr : found->second.document;
}

DocumentPtr VBucket::look_up(std::string_view key, bool tombstones, const KvTime& time) {
    if (state_ == VBucketState::active) (void)find(key, time);  // what has expired becomes a tombstone
    const auto found = entries_.find(key);
    if (found == entries_.end() || expired(*found->second.document, time)) return nullptr;
    return found->second.document->deleted && !tombstones ? nullptr : found->second.document;
}

const Document* VBucket::peek(std::string_view key) const {
    const auto found = entries_.find(key);
    return found == entries_.end() ? nullptr : found->second.document.get();
}

bool VBucket::locked(std::string_view key, const KvTime& time) const {
    const auto found = entries_.find(key);
    return found != entries_.end() && found->second.locked_until > time.now;
}

DocumentPtr VBucket::any(std::uint32_t collection, std::uint64_t draw, const KvTime& time) const {
    const std::string prefix = prefix_of(collection);
    std::size_t count = 0;
    for (const auto& [key, entry] : entries_)
        if (belongs(*entry.document, prefix, time)) ++count;
    if (count == 0) return nullptr;
    std::size_t skip = draw % count;
    for (const auto& [key, entry] : entries_)
        if (belongs(*entry.document, prefix, time) && skip-- == 0) return entry.document;
    return nullptr;
}

std::size_t VBucket::documents(std::uint32_t collection) const {
    const std::string prefix = prefix_of(collection);
    return static_cast<std::size_t>(std::count_if(entries_.begin(), entries_.end(), [&](const auto& item) {
        return !item.second.document->deleted && item.second.document->key.starts_with(prefix);
    }));
}

void VBucket::purge(const BucketConfig& config) {
    std::erase_if(entries_, [&](const auto& item) {
        if (!was_dropped(config, item.first)) return false;
        if (!item.second.document->deleted) --live_;
        return true;
    });
}

std::uint64_t VBucket::high_seqno(std::uint32_t collection) const {
    const std::string prefix = prefix_of(collection);
    std::uint64_t high = 0;
    for (const auto& [key, entry] : entries_)
        if (key.starts_with(prefix)) high = std::max(high, entry.document->seqno);
    return high;
}

void VBucket::set_state(VBucketState state, const KvTime& time) {
    if (state == state_) return;
    const bool was_active = state_ == VBucketState::active;
    state_ = state;
    if (state == VBucketState::active) {
        failover_log_.insert(failover_log_.begin(), {(host_.random() & 0xffffffffffff) | 1, high_seqno_});
        for (const auto& write : writes_) write->inherited = true;
        advance(time);
    } else if (was_active) {
        // Whether they will be decided, and how, is another node's business now.
        for (auto& [key, entry] : entries_) entry.locked_until = {};
        const auto writes = writes_;
        for (const auto& write : writes) {
            write->deadline = TimePoint::max();
            write->outcome = KvOutcome{Status::sync_write_ambiguous};
            if (auto* const listener = std::exchange(write->listener, nullptr))
                listener->on_sync_write(write->ticket, *write->outcome);
        }
    }
}

void VBucket::receive(const DocumentPtr& document, std::uint64_t seqno) {
    high_seqno_ = std::max(high_seqno_, seqno);
    if (!document) return;
    max_cas_ = std::max(max_cas_, document->cas);
    std::erase_if(writes_, [&](const auto& write) { return write->document->key == document->key; });
    if (document->kind == Document::Kind::prepared)
        writes_.push_back(std::make_shared<SyncWrite>(SyncWrite{.ticket = 0, .document = document}));
    else if (document->kind == Document::Kind::committed)
        put(document);
}

std::uint64_t VBucket::follow(const VBucket& active) {
    // Where our newest history ended in theirs; what we have beyond that never happened.
    std::optional<std::uint64_t> common;
    std::uint64_t end = active.high_seqno_;
    for (const FailoverEntry& entry : active.failover_log_) {
        if (entry.uuid == uuid()) common = end;
        end = entry.seqno;
        if (common) break;
    }
    if (high_seqno_ != 0 && (!common || high_seqno_ > *common)) clear();
    failover_log_ = active.failover_log_;
    // Prepared writes that were aborted meanwhile; the commits are still to come.
    std::erase_if(writes_, [&](const auto& write) {
        const auto* const theirs = active.write_of(write->document->key);
        const auto* const committed = active.peek(write->document->key);
        return (theirs == nullptr || theirs->document->cas != write->document->cas) &&
               (committed == nullptr || committed->cas != write->document->cas);
    });
    return high_seqno_;
}

std::vector<DocumentPtr> VBucket::changes_since(std::uint64_t seqno) const {
    std::vector<DocumentPtr> changes;
    for (const auto& [key, entry] : entries_)
        if (entry.document->seqno > seqno) changes.push_back(entry.document);
    for (const auto& write : writes_)
        if (write->document->seqno > seqno) changes.push_back(write->document);
    std::sort(changes.begin(), changes.end(), [](const auto& a, const auto& b) { return a->seqno < b->seqno; });
    return changes;
}

void VBucket::persisted(std::uint64_t seqno, const KvTime& time) {
    persisted_seqno_ = std::max(persisted_seqno_, seqno);
    if (!writes_.empty()) advance(time);
}

void VBucket::load(const DiskVbucket& disk) {
    for (const auto& [key, document] : disk.documents) {
        put(document);
        max_cas_ = std::max(max_cas_, document->cas);
    }
    for (const auto& [key, document] : disk.prepared) {
        writes_.push_back(std::make_shared<SyncWrite>(SyncWrite{.ticket = 0, .document = document}));
        max_cas_ = std::max(max_cas_, document->cas);
    }
    std::sort(writes_.begin(), writes_.end(),
              [](const auto& a, const auto& b) { return a->document->seqno < b->document->seqno; });
    high_seqno_ = persisted_seqno_ = disk.persisted_seqno;
    failover_log_ = disk.failover_log;
    // A history that began with what never came to the disk: what is left of those before ends here.
    for (FailoverEntry& entry : failover_log_) entry.seqno = std::min(entry.seqno, high_seqno_);
}

void VBucket::clear() noexcept {
    entries_.clear();
    writes_.clear();
    progress_.clear();
    failover_log_.clear();
    live_ = 0;
    high_seqno_ = persisted_seqno_ = 0;
    ++incarnation_;
}

}  // namespace chaise::testing
