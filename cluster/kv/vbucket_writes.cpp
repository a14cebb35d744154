#include <algorithm>
#include <charconv>

#include "cluster/kv/json_check.hpp"
#include "cluster/kv/vbucket.hpp"

// What the commands do to a document.
namespace chaise::testing {

using protocol::Status;

namespace {

std::uint8_t datatype_of(std::string_view text) noexcept {
    return is_json(text) ? protocol::datatype::json : protocol::datatype::raw;
}

}  // namespace

// Why a live document (null: there is none) is not to be changed; success otherwise.
Status VBucket::refuse(const Entry* entry, std::string_view key, std::uint64_t cas, const KvTime& time) const noexcept {
    if (const SyncWrite* const write = write_of(key)) {
        return write->inherited ? Status::sync_write_re_commit_in_progress : Status::sync_write_in_progress;
    }
    if (entry == nullptr) return cas == 0 ? Status::success : Status::key_enoent;
    if (entry->locked_until > time.now) return cas == entry->document->cas ? Status::success : Status::locked;
    return cas == 0 || cas == entry->document->cas ? Status::success : Status::key_eexists;
}

KvOutcome VBucket::store(StoreMode mode, std::string_view key, std::string value, std::uint8_t datatype,
                         std::uint32_t flags, std::uint32_t expiry, const WriteOptions& options, const KvTime& time) {
    const Entry* const entry = find(key, time);
    if (mode == StoreMode::add && entry != nullptr) return {Status::key_eexists};
    if (mode == StoreMode::replace && entry == nullptr) return {Status::key_enoent};
    if (const Status status = refuse(entry, key, options.cas, time); status != Status::success) return {status};
    Document next;
    next.key = key;
    next.value = std::move(value);
    next.datatype = datatype;
    next.flags = flags;
    if (entry != nullptr) next.xattrs = entry->document->xattrs;  // a body is written, no more
    next.mark_xattrs();
    next.expiry = options.preserve_expiry && entry != nullptr ? entry->document->expiry : expiry;
    return change(entry, std::move(next), options, time);
}

KvOutcome VBucket::concat(bool append, std::string_view key, std::string_view part, const WriteOptions& options,
                          const KvTime& time) {
    const Entry* const entry = find(key, time);
    if (entry == nullptr) return {Status::not_stored};
    if (const Status status = refuse(entry, key, options.cas, time); status != Status::success) return {status};
    Document next = *entry->document;
    next.value = inflated(next);
    if (next.value.size() + part.size() > max_document_size) return {Status::e2big};
    next.value.insert(append ? next.value.size() : 0, part);
    next.datatype = datatype_of(next.value);
    next.mark_xattrs();
    return change(entry, std::move(next), options, time);
}

KvOutcome VBucket::remove(std::string_view key, const WriteOptions& options, const KvTime& time) {
    const Entry* const entry = find(key, time);
    if (entry == nullptr) return {Status::key_enoent};
    if (const Status status = refuse(entry, key, options.cas, time); status != Status::success) return {status};
    Document tombstone;
    tombstone.key = key;
    tombstone.deleted = true;
    tombstone.expiry = time.seconds();
    tombstone.xattrs = system_xattrs(entry->document->xattrs);
    tombstone.mark_xattrs();
    return change(entry, std::move(tombstone), options, time);
}

KvOutcome VBucket::add_delta(bool up, std::string_view key, std::uint64_t delta, std::optional<std::uint64_t> initial,
                             std::uint32_t expiry, const WriteOptions& options, const KvTime& time) {
    const Entry* const entry = find(key, time);
    if (entry == nullptr && !initial) return {Status::key_enoent};
    if (const Status status = refuse(entry, key, options.cas, time); status != Status::success) return {status};
    Document next;
    std::uint64_t number = 0;
    if (entry == nullptr) {
        next.key = key;
        next.expiry = expiry;
        number = *initial;
    } else {
        next = *entry->document;
        const std::string text = inflated(next);
        const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
        if (text.empty() || parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size())
            return {Status::delta_badval};
        number = up ? number + delta : number - std::min(number, delta);
    }
    next.value = std::to_string(number);
    next.datatype = protocol::datatype::json;
    next.mark_xattrs();
    KvOutcome outcome = change(entry, std::move(next), options, time);
    outcome.number = number;
    return outcome;
}

KvOutcome VBucket::edit(std::string_view key, const EditOptions& how, const Edit& edit, const WriteOptions& options,
                        const KvTime& time) {
    const Entry* const live = find(key, time);
    const Entry* found = live;
    if (found == nullptr && how.tombstones) {
        const auto tombstone = entries_.find(key);
        if (tombstone != entries_.end() && tombstone->second.document->deleted) found = &tombstone->second;
    }
    if (how.add && found != nullptr) return {Status::key_eexists};
    if (const Status status = refuse(found, key, options.cas, time); status != Status::success) return {status};
    if (found == nullptr && !how.create && !how.add) return {Status::key_enoent};
    if (how.revive && live != nullptr) return {Status::subdoc_can_only_revive_deleted_documents};
    Document next;
    if (found != nullptr) next = *found->document;
    next.key = key;
    // Drawn now: the document may tell them in its attributes.
    next.cas = next_cas(time);
    next.seqno = high_seqno_ + 1;
    const std::uint64_t cas = next.cas;
    const Document* const before = found == nullptr ? nullptr : found->document.get();
    if (const Status status = edit(before, next); status != Status::success) return {status};
    return change(live, std::move(next), options, time, cas);
}

KvOutcome VBucket::touch(std::string_view key, std::uint32_t expiry, const WriteOptions& options, const KvTime& time) {
    const Entry* const entry = find(key, time);
    if (entry == nullptr) return {Status::key_enoent};
    if (const Status status = refuse(entry, key, options.cas, time); status != Status::success) return {status};
    if (entry->document->expiry == expiry) return {.document = entry->document, .cas = entry->document->cas};
    Document next = *entry->document;
    next.expiry = expiry;
    return change(entry, std::move(next), options, time);
}

KvOutcome VBucket::lock(std::string_view key, std::uint32_t seconds, const KvTime& time) {
    Entry* const entry = find(key, time);
    if (entry == nullptr) return {Status::key_enoent};
    if (const Status status = refuse(entry, key, 0, time); status != Status::success) return {status};
    std::chrono::seconds length{seconds};
    if (length == std::chrono::seconds{0} || length > max_lock_time) length = default_lock_time;
    // The lock's CAS takes the document's place, here only: no mutation, nothing for replicas and disk.
    Document next = *entry->document;
    next.cas = next_cas(time);
    entry->document = std::make_shared<const Document>(std::move(next));
    entry->locked_until = time.now + length;
    return {.document = entry->document, .cas = entry->document->cas};
}

KvOutcome VBucket::unlock(std::string_view key, std::uint64_t cas, const KvTime& time) {
    Entry* const entry = find(key, time);
    if (entry == nullptr) return {Status::key_enoent};
    if (entry->locked_until <= time.now) return {Status::not_locked};
    if (entry->document->cas != cas) return {Status::locked};
    entry->locked_until = {};
    return {};
}

// What is on disk comes back with the next read, so that nothing of it can be seen.
KvOutcome VBucket::evict(std::string_view key, const KvTime& time) {
    const Entry* const entry = find(key, time);
    if (entry == nullptr) return {Status::key_enoent};
    const bool busy = entry->document->seqno > persisted_seqno_ || entry->locked_until > time.now;
    return {busy || write_of(key) != nullptr ? Status::key_eexists : Status::success};
}

}  // namespace chaise::testing
