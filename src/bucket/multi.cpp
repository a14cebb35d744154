// Multi operations: a part for each entry.

#include "bucket/core.hpp"
#include "bucket/entries.hpp"
#include "bucket/part_slots.hpp"
#include "bucket/parts.hpp"
#include "bucket/replica_read.hpp"
#include "bucket/server_reads.hpp"
#include "bucket/start.hpp"

#include <chaise/detail/multi_call.hpp>

#include <memory>
#include <string>
#include <utility>

namespace chaise::detail {

/// The entries of a multi operation.
class MultiParts : public Parts {
public:
    virtual void add(std::string_view key) = 0;
};

namespace {

MultiParts& parts_of(Slot& whole) noexcept { return static_cast<MultiParts&>(*static_cast<Parts*>(whole.accumulator)); }

template <class T>
class PartsOf final : public MultiParts {
public:
    explicit PartsOf(std::size_t expected) : data_(std::make_shared<MultiData<T>>()) {
        data_->entries.reserve(expected);
    }
    void add(std::string_view key) override {
        data_->entries.emplace_back(data_->keep(key), Unexpected<Error>(Error()));
    }
    void done(std::size_t n, OperationKind, void* result, Error* error) override {
        Expected<T, Error>& entry = data_->entries[n].result;
        if (error) {
            ++data_->failed;
            entry = Unexpected<Error>(std::move(*error));
        } else {
            entry = std::move(*static_cast<T*>(result));
            if (entry->success()) ++data_->succeeded;
        }
    }
    void finish(Core& core, Slot& whole) override { deliver_entries(core, whole, data_); }
    Error attach_to(Error error) override { return with_entries(error, data_); }

private:
    std::shared_ptr<MultiData<T>> data_;
};

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

std::unique_ptr<Parts> make_parts(OperationKind whole, std::size_t expected) {
    switch (whole) {
        case OperationKind::multi_value:
            return std::make_unique<PartsOf<ValueResult>>(expected);
        case OperationKind::multi_exists:
            return std::make_unique<PartsOf<ExistsResult>>(expected);
        case OperationKind::multi_replica:
            return std::make_unique<PartsOf<ReplicaResult>>(expected);
        case OperationKind::multi_stats:
            return std::make_unique<PartsOf<StatsResult>>(expected);
        default:
            return std::make_unique<PartsOf<OperationResult>>(expected);
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
                                .timeout = common.timeout});
        case OperationKind::append:
        case OperationKind::prepend:
            return start_concat(core, slots, kind, in.key, in.value, {.cas = in.cas, .timeout = common.timeout});
        case OperationKind::remove:
            return start_remove(core, slots, in.key, {.cas = in.cas, .timeout = common.timeout, .quiet = common.quiet});
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
                                  .timeout = common.timeout});
        default:
            return start_get(core, slots, in.key, {.timeout = common.timeout, .quiet = common.quiet});
    }
}

/// Its misses need not be answered.
bool may_be_quiet(OperationKind kind) noexcept {
    return kind == OperationKind::get || kind == OperationKind::get_and_touch || kind == OperationKind::exists;
}

constexpr std::size_t most_expected = 1u << SlotPool::index_bits;

}  // namespace

MultiCall::MultiCall(Core& core, Collection& collection, const MultiCommon& common, std::size_t expected)
    : core_(core), common_(common) {
    const OperationKind kind = kind_of_whole(common.kind);
    auto parts = make_parts(kind, std::min(expected, most_expected));
    whole_ = &core.acquire(&collection, kind, {});
    whole_->opcode = static_cast<std::uint8_t>(common.kind);  // whose name it has in errors
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
    Slot& part = start_entry(core_, slots, common_, entry);
    if (entry.needs_cas && entry.cas == 0 && (part.owners & owned_by_queue) == 0) {
        core_.reject(part, errc::invalid_argument, entry.key, "the result given for it has no CAS");
    }
    if ((part.owners & owned_by_queue) != 0) {  // its own form would end with this error
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
