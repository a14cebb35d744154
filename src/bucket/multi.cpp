// Multi operations: a part for each entry.

#include "bucket/core.hpp"
#include "bucket/multi_parts.hpp"
#include "bucket/part_slots.hpp"
#include "bucket/replica_read.hpp"
#include "bucket/server_reads.hpp"
#include "bucket/start.hpp"

#include <chaise/detail/multi_call.hpp>

#include <memory>
#include <string>
#include <utility>

namespace chaise::detail {

namespace {

MultiParts& parts_of(Slot& whole) noexcept { return static_cast<MultiParts&>(*static_cast<Parts*>(whole.accumulator)); }

OperationKind kind_of_whole(OperationKind entry) noexcept {
    switch (entry) {
        case OperationKind::get:
        case OperationKind::get_and_touch:
        case OperationKind::lock:
        case OperationKind::counter:
            return OperationKind::multi_value;
        case OperationKind::exists:
            return OperationKind::multi_exists;
        case OperationKind::get_replica:
            return OperationKind::multi_replica;
        case OperationKind::key_stats:
            return OperationKind::multi_stats;
        default:
            return OperationKind::multi_operation;
    }
}

std::unique_ptr<MultiParts> make_parts(Slot& whole, const std::optional<Duration>& timeout, std::size_t expected) {
    switch (whole.kind) {
        case OperationKind::multi_value:
            return std::make_unique<PartsOf<ValueResult>>(whole, timeout, expected);
        case OperationKind::multi_exists:
            return std::make_unique<PartsOf<ExistsResult>>(whole, timeout, expected);
        case OperationKind::multi_replica:
            return std::make_unique<PartsOf<ReplicaResult>>(whole, timeout, expected);
        case OperationKind::multi_stats:
            return std::make_unique<PartsOf<StatsResult>>(whole, timeout, expected);
        default:
            return std::make_unique<PartsOf<OperationResult>>(whole, timeout, expected);
    }
}

/// Mutations whose single form awaits copies.
bool may_endure(OperationKind kind) noexcept {
    switch (kind) {
        case OperationKind::upsert:
        case OperationKind::insert:
        case OperationKind::replace:
        case OperationKind::append:
        case OperationKind::prepend:
        case OperationKind::remove:
        case OperationKind::counter:
            return true;
        default:
            return false;
    }
}

/// As its single form would start it.
Slot& start_entry(Core& core, PartSlots slots, const MultiCommon& common, const MultiInput& in) {
    const OperationKind kind = common.kind;
    switch (kind) {
        case OperationKind::get_and_touch:
            return start_get_and_touch(core, slots, in.key, in.expiry,
                                       {.timeout = common.timeout, .quiet = common.quiet});
        case OperationKind::upsert:
        case OperationKind::insert:
        case OperationKind::replace:
            return start_store(core, slots, kind, in.key, in.value,
                               {.cas = in.cas,
                                .expiry = in.expiry,
                                .flags = in.flags,
                                .preserve_expiry = in.preserve_expiry,
                                .durability = common.durability,
                                .timeout = common.timeout});
        case OperationKind::append:
        case OperationKind::prepend:
            return start_concat(core, slots, kind, in.key, in.value,
                                {.cas = in.cas, .durability = common.durability, .timeout = common.timeout});
        case OperationKind::remove:
            return start_remove(
                core, slots, in.key,
                {.cas = in.cas, .durability = common.durability, .timeout = common.timeout, .quiet = common.quiet});
        case OperationKind::touch:
            return start_touch(core, slots, in.key, in.expiry, {.timeout = common.timeout});
        case OperationKind::lock:
            return start_lock(core, slots, in.key, in.lock_time, {.timeout = common.timeout, .quiet = common.quiet});
        case OperationKind::unlock:
            return start_unlock(core, slots, in.key, in.cas, {.timeout = common.timeout});
        case OperationKind::exists:
            return start_exists(core, slots, in.key, {.timeout = common.timeout});
        case OperationKind::get_replica:
            return start_get_replica(core, slots, in.key,
                                     {.index = common.replica,
                                      .read_preference = common.read_preference,
                                      .timeout = common.timeout,
                                      .quiet = common.quiet});
        case OperationKind::key_stats:
            return start_key_stats(core, slots, in.key, {.timeout = common.timeout});
        case OperationKind::counter:
            return start_counter(core, slots, in.key,
                                 {.delta = in.delta,
                                  .initial = in.initial,
                                  .expiry = in.expiry,
                                  .preserve_expiry = in.preserve_expiry,
                                  .durability = common.durability,
                                  .timeout = common.timeout});
        default:
            return start_get(core, slots, in.key, {.timeout = common.timeout, .quiet = common.quiet});
    }
}

/// Its misses need not be answered.
bool may_be_quiet(OperationKind kind) noexcept {
    return kind == OperationKind::get || kind == OperationKind::get_and_touch || kind == OperationKind::exists;
}

bool asks_two_ways(const MultiCommon& common) noexcept {
    return common.durability != DurabilityLevel::none &&
           (common.persist_to != CopyCount() || common.replicate_to != CopyCount());
}

constexpr std::size_t most_expected = 1u << SlotPool::index_bits;

}  // namespace

std::shared_ptr<const AnyMultiData> entries_so_far(const Slot& whole) {
    if ((whole.owners & owned_by_parts) == 0) return nullptr;
    return static_cast<const Parts*>(whole.accumulator)->so_far();
}

MultiCall::MultiCall(Core& core, Collection& collection, const MultiCommon& common, std::size_t expected)
    : core_(core), common_(common), two_ways_(asks_two_ways(common)) {
    if (two_ways_) common_.durability = DurabilityLevel::none;  // not what is wrong with it
    whole_ = &core.acquire(&collection, kind_of_whole(common.kind), {});
    whole_->opcode = static_cast<std::uint8_t>(common.kind);  // whose name it has in errors
    auto parts = make_parts(*whole_, common.timeout, std::min(expected, most_expected));
    if (may_endure(common.kind) && common.durability == DurabilityLevel::none) {
        const Beyond beyond{.persist_to = common.persist_to,
                            .replicate_to = common.replicate_to,
                            .removes = common.kind == OperationKind::remove};
        if (const auto wanted = awaited(core, beyond)) parts->endure(*wanted);
    }
    core.adopt(*whole_, std::move(parts));
}

MultiCall::~MultiCall() {
    if (whole_) core_.take_back(*whole_);  // the caller's range threw
}

bool MultiCall::add(const MultiInput& entry) {
    if (core_.closed()) {  // by the caller's range
        core_.fail_later(*whole_, core_.make_error(*whole_, errc::shutdown, "the bucket is closed", false));
        return false;
    }
    PartSlots slots{core_, *whole_};
    const Core::WithoutDefault awaited_together(core_);
    Slot& part = start_entry(core_, slots, common_, entry);
    const auto refused = [&part] { return (part.owners & owned_by_queue) != 0; };
    if (!refused() && entry.needs_cas && entry.cas == 0) {
        core_.reject(part, errc::invalid_argument, entry.key, "the result given for it has no CAS");
    }
    const auto& awaited = parts_of(*whole_).awaited();
    if (!refused() && awaited) static_cast<void>(check_copies(core_, part, entry.key, awaited->wanted));
    if (!refused() && two_ways_) core_.reject(part, errc::invalid_argument, entry.key, two_ways);
    if (refused()) {  // its own form would end with this error
        core_.fail_later(*whole_, multi_error(*part.error));
        return false;
    }
    if (may_be_quiet(common_.kind)) core_.hush(part);
    parts_of(*whole_).add(entry.key);
    return true;
}

Slot& MultiCall::finish() {
    Slot& whole = *std::exchange(whole_, nullptr);
    core_.router().close_quiet();
    if ((whole.owners & owned_by_parts) == 0) return whole;  // refused
    if (parts_of(whole).empty()) {
        core_.fail_later(whole, core_.make_error(whole, errc::invalid_argument, "there are no entries", false));
    } else {
        core_.finish_part(whole);
    }
    return whole;
}

}  // namespace chaise::detail
