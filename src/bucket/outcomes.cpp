// How an outcome reaches its consumer, and how a slot ends.

#include "bucket/core.hpp"
#include "bucket/parts.hpp"
#include "operation/canary.hpp"
#include "operation/probe.hpp"

#include <chaise/collections_manifest.hpp>
#include <chaise/design_options.hpp>
#include <chaise/diagnostics.hpp>
#include <chaise/meta.hpp>
#include <chaise/multi_result.hpp>
#include <chaise/observe.hpp>
#include <chaise/replica.hpp>
#include <chaise/subdocument.hpp>
#include <chaise/view_pages.hpp>

#include <cassert>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace chaise::detail {

namespace {

/// Calls `f` with the type of the results of such operations.
template <class F>
void with_result_type(OperationKind kind, F&& f) {
    switch (kind) {
        case OperationKind::get:
        case OperationKind::get_and_touch:
        case OperationKind::lock:
        case OperationKind::counter:
        case OperationKind::map_get:
        case OperationKind::list_get:
        case OperationKind::queue_pop:
            return f(std::type_identity<ValueResult>{});
        case OperationKind::lookup_in:
        case OperationKind::mutate_in:
            return f(std::type_identity<SubdocResult>{});
        case OperationKind::map_size:
        case OperationKind::list_size:
        case OperationKind::set_size:
        case OperationKind::queue_size:
            return f(std::type_identity<SizeResult>{});
        case OperationKind::exists:
        case OperationKind::set_contains:
            return f(std::type_identity<ExistsResult>{});
        case OperationKind::stats:
        case OperationKind::key_stats:
            return f(std::type_identity<StatsResult>{});
        case OperationKind::version:
            return f(std::type_identity<VersionResult>{});
        case OperationKind::collections_manifest:
            return f(std::type_identity<ManifestResult>{});
        case OperationKind::multi_value:
            return f(std::type_identity<MultiResult<ValueResult>>{});
        case OperationKind::multi_operation:
            return f(std::type_identity<MultiResult<OperationResult>>{});
        case OperationKind::multi_exists:
            return f(std::type_identity<MultiResult<ExistsResult>>{});
        case OperationKind::get_replica:
            return f(std::type_identity<ReplicaResult>{});
        case OperationKind::get_all_replicas:
            return f(std::type_identity<AllReplicasResult>{});
        case OperationKind::lookup_in_replica:
            return f(std::type_identity<LookupReplicaResult>{});
        case OperationKind::lookup_in_all_replicas:
            return f(std::type_identity<LookupAllReplicasResult>{});
        case OperationKind::observe:
            return f(std::type_identity<ObserveResult>{});
        case OperationKind::get_meta:
            return f(std::type_identity<MetaResult>{});
        case OperationKind::random_key:
            return f(std::type_identity<RandomKeyResult>{});
        case OperationKind::ping:
            return f(std::type_identity<PingResult>{});
        case OperationKind::design:
            return f(std::type_identity<HttpResult>{});
        case OperationKind::design_list:
            return f(std::type_identity<DesignListResult>{});
        case OperationKind::view_page:
            return f(std::type_identity<ViewPage>{});
        case OperationKind::multi_replica:
            return f(std::type_identity<MultiResult<ReplicaResult>>{});
        case OperationKind::multi_observe:
            return f(std::type_identity<MultiResult<ObserveResult>>{});
        case OperationKind::multi_stats:
            return f(std::type_identity<MultiResult<StatsResult>>{});
        default:
            return f(std::type_identity<OperationResult>{});
    }
}

}  // namespace

void Core::enqueue(Slot& slot) {
    if (loop_gone_) return lose(slot);
    slot.owners |= owned_by_queue;
    slot.queue_next = nullptr;
    (queue_tail_ ? queue_tail_->queue_next : queue_head_) = &slot;
    queue_tail_ = &slot;
    request_turn();
}

void Core::lose(Slot& slot) {
    constexpr auto keep_alive = owned_by_queue;  // against recycling while the consumer is destroyed
    slot.owners = static_cast<std::uint8_t>((slot.owners & owned_by_handle) | keep_alive);
    delete std::exchange(slot.error, nullptr);
    discard_outcome(slot);
    if (Target target = std::exchange(slot.target, nullptr)) target(slot, nullptr, nullptr);
    slot.context = nullptr;
    slot.owners = static_cast<std::uint8_t>(slot.owners & ~keep_alive);
    unowned(slot);
}

void Core::fail_later(Slot& slot, Error error) {
    if ((slot.owners & owned_by_queue) != 0) return;  // its outcome is decided
    deadlines_.remove(slot);
    withdraw(slot);
    if ((slot.owners & owned_by_user) == 0) return unowned(slot);
    slot.error = new Error(std::move(error));
    enqueue(slot);
}

void Core::deliver_error(Slot& slot, Error& error) {
    slot.owners = static_cast<std::uint8_t>(slot.owners & ~owned_by_user);
    if (Target target = std::exchange(slot.target, nullptr)) {
        target(slot, nullptr, &error);
    } else if (slot.consumer == Consumer::detached) {
        unowned(slot);
    } else if ((slot.owners & owned_by_handle) != 0) {
        slot.error = new Error(std::move(error));
        slot.outcome = Outcome::error;
    } else {
        unowned(slot);
        report_unobserved(error);
    }
}

void Core::deliver_queued(Slot& slot) {
    slot.owners = static_cast<std::uint8_t>(slot.owners & ~owned_by_queue);
    if (slot.outcome == Outcome::result) {  // it waited in the slot for its consumer, who came
        slot.outcome = Outcome::none;
        return with_result_type(slot.kind, [&]<class T>(std::type_identity<T>) {
            T* stored = std::launder(reinterpret_cast<T*>(slot.storage));
            T result(std::move(*stored));
            stored->~T();
            deliver(slot, result);
        });
    }
    slot.outcome = Outcome::none;
    const std::unique_ptr<Error> error(std::exchange(slot.error, nullptr));
    if ((slot.owners & owned_by_user) == 0) {
        // The handle was dropped meanwhile: of an error that waited for its consumer somebody should hear.
        const bool unheard = error && slot.consumer == Consumer::none;
        unowned(slot);
        if (unheard) report_unobserved(*error);
    } else if (error) {
        deliver_error(slot, *error);
    } else {
        OperationResult done;  // connect, close
        deliver(slot, done);
    }
}

void Core::fail_all(Line& line, errc code, const std::string& message, TimePoint begun_by) {
    for (Slot *slot = line.pipeline().first(), *next = nullptr; slot; slot = next) {
        next = slot->next;
        if (slot->started > begun_by) continue;
        const bool sent = line.pipeline().sent(*slot);
        Error error = (slot->owners & owned_by_user) != 0 ? make_error(*slot, code, message, sent) : Error();
        line.pipeline().remove(*slot);  // the connection is closed: no response will come
        free_accumulator(*slot);
        fail_later(*slot, std::move(error));
    }
}

void Core::report_unobserved(const Error& error) {
    // A copy: the handler may set another.
    if (const auto handler = on_unobserved_) handler(error);
}

// ---- what the awaitable layer asks ------------------------------------------------------------------------------

void Core::withdraw(Slot& slot) noexcept {
    if ((slot.owners & owned_by_wire) != 0) {
        if (slot.line->pipeline().begun(slot)) {
            if (planted != canary::slot_not_abandoned || !slot.line->pipeline().sent(slot)) return;
            slot.opaque -= 1u << SlotPool::index_bits;  // the slot's next user gets the same one
        }
        Slot* const after = Pipeline::quiet(slot) ? slot.next : nullptr;
        const Slot* const before = slot.prev;
        slot.line->pipeline().remove(slot);
        if (after) withdraw_closing(*after, before);
    } else if (slot.kind == OperationKind::pause) {
        leave_pause(slot);
    } else if (!slot.line) {
        if (slot.kind == OperationKind::place) return leave_places(slot);  // (if it was among them)
        if (slot.kind == OperationKind::close) std::erase(closing_, &slot);
        std::erase(connecting_, &slot);
        std::erase(starting_wholes_, &slot);
        if ((slot.owners & owned_by_parts) != 0) give_up_parts(slot);
    }
}

void Core::cancel(Slot& slot) {
    if (!wanted(slot)) return;
    if ((slot.owners & owned_by_parts) != 0) return cancel_whole(slot);
    const bool sent = (slot.owners & owned_by_wire) != 0 && slot.line->pipeline().begun(slot);
    if (sent) CHAISE_PROBE(cancelled_after_sent);
    fail_later(slot, make_error(slot, errc::cancelled, "cancelled by the caller", sent));
}

void Core::abandon_slot(Slot& slot) noexcept {
    slot.owners = static_cast<std::uint8_t>(slot.owners & ~owned_by_user);
    slot.target = nullptr;
    deadlines_.remove(slot);
    withdraw(slot);
}

void Core::discard_outcome(Slot& slot) noexcept {
    if (slot.outcome == Outcome::result) {
        with_result_type(
            slot.kind, [&]<class T>(std::type_identity<T>) { std::launder(reinterpret_cast<T*>(slot.storage))->~T(); });
    }
    slot.outcome = Outcome::none;
}

void Core::drop(Slot& slot) noexcept {
    switch (slot.consumer) {
        case Consumer::await:  // destroyed while a coroutine awaits it
            if (slot.target) abandon_slot(slot);
            break;
        case Consumer::detached:
            discard_outcome(slot);
            delete std::exchange(slot.error, nullptr);
            break;
        case Consumer::none:
            if (slot.outcome == Outcome::result) {
                discard_outcome(slot);
            } else if (slot.outcome == Outcome::error) {
                if (!loop_gone_) return enqueue(slot);  // somebody should hear of it, but not in a destructor
                delete std::exchange(slot.error, nullptr);
                slot.outcome = Outcome::none;
            }
            break;
        case Consumer::callbacks:
        case Consumer::fields:
            break;
    }
    unowned(slot);
}

void Core::recycle(Slot& slot) noexcept {
    assert(slot.owners == 0 && slot.outcome == Outcome::none && slot.error == nullptr && slot.block == nullptr);
    assert(slot.accumulator == nullptr && slot.deadline_lane == 0);
    pool_.release(slot);
    if (recycles_slowly_) [[unlikely]]
        look_after_recycled();
}

void Core::maybe_delete() noexcept {
    if (shares_ == 0 && !dispatching_ && inside_http_ == 0 && pool_.in_use() == 0) delete this;
}

// ---- the awaitable layer's names for it ---------------------------------------------------------------------------

void throw_second_consumer() {
    throw std::logic_error("chaise: an AsyncResult has one consumer, and this one has it already");
}

void attached_late(Slot& slot) {
    // Without an outcome the loop went first: the consumer is destroyed uncalled.
    if (slot.outcome != Outcome::none) slot.owners |= owned_by_user;
    slot.core->attached(slot);
}

void recycle(Slot& slot) noexcept { slot.core->recycle(slot); }
void drop(Slot& slot) noexcept { slot.core->drop(slot); }
void cancel(Slot& slot) { slot.core->cancel(slot); }
void detach(Slot& slot) noexcept { slot.consumer = Consumer::detached; }
IOPS& iops_of(const Slot& slot) noexcept { return slot.core->iops(); }
void report_unobserved(Core& core, const Error& error) { core.report_unobserved(error); }

}  // namespace chaise::detail
