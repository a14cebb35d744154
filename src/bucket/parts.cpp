// Operations that consist of parts: a slot for each part, and the outcome when all parts have theirs.

#include "bucket/parts.hpp"
#include "bucket/core.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <memory>
#include <new>
#include <utility>

namespace chaise::detail {

namespace {

/// In the storage of a part's slot, where others keep their consumer.
struct Place {
    Slot* whole;
    std::size_t n;
};

Parts& parts_of(Slot& whole) noexcept { return *static_cast<Parts*>(whole.accumulator); }

}  // namespace

bool Core::begun(const Slot& slot) {
    if ((slot.owners & owned_by_parts) == 0) {
        return (slot.owners & owned_by_wire) != 0 && slot.line->pipeline().begun(slot);
    }
    const auto& parts = static_cast<const Parts*>(slot.accumulator)->slots_;
    return std::any_of(parts.begin(), parts.end(), [](const Slot* part) { return part && begun(*part); });
}

void Core::adopt(Slot& whole, std::unique_ptr<Parts> parts) noexcept {
    whole.accumulator = parts.release();
    whole.owners |= owned_by_parts;
}

Slot& Core::add_part(Slot& whole, OperationKind kind, protocol::Opcode opcode) {
    Parts& parts = parts_of(whole);
    if (parts.free_.empty()) {
        parts.slots_.emplace_back(nullptr);
        parts.free_.push_back(parts.slots_.size() - 1);
    }
    Slot& part = acquire(whole.collection, kind, opcode);
    if (draining_) part.collection = whole.collection;  // the whole was there in time
    const std::size_t n = parts.free_.back();
    parts.free_.pop_back();
    parts.slots_[n] = &part;
    ++parts.left_;
    part.owners = owned_by_user;  // without a handle; the target is its one consumer
    part.consumer = Consumer::callbacks;
    part.context = ::new (static_cast<void*>(part.storage)) Place{&whole, n};
    part.target = [](Slot& done, void* result, Error* error) {
        const Place place = *static_cast<Place*>(done.context);
        Core& core = *done.core;
        const OperationKind done_kind = done.kind;
        unowned(done);
        if (!result && !error) return;  // the loop is gone, and the whole may be, too
        Parts& all = parts_of(*place.whole);
        all.slots_[place.n] = nullptr;
        if (all.reuses_places_) all.free_.push_back(place.n);
        all.done(place.n, done_kind, result, error);
        core.finish_part(*place.whole);
    };
    return part;
}

std::size_t Core::place_of(const Slot& part) noexcept { return static_cast<const Place*>(part.context)->n; }

void Core::pause(Slot& part, Duration time) {
    pausing_.push_back(&part);
    part.sequence = pausing_.size();
    add_deadline(part, std::max(time, Duration{0}));
}

void Core::end_pause_soon(Slot& part) {
    if (part.sequence == 0) return;  // it is ending
    deadlines_.remove(part);
    add_deadline(part, Duration{0});
}

void Core::leave_pause(Slot& part) noexcept {
    if (part.sequence == 0) return;
    Slot* const last = pausing_.back();
    pausing_[part.sequence - 1] = last;
    last->sequence = part.sequence;
    pausing_.pop_back();
    part.sequence = 0;
}

void Core::end_pause(Slot& part) {
    deadlines_.remove(part);
    leave_pause(part);
    OperationResult over;
    deliver(part, over);
}

void Core::finish_part(Slot& whole) {
    Parts& all = parts_of(whole);
    if (--all.left_ != 0 && !all.enough_) return;
    const std::unique_ptr<Parts> parts = release_parts(whole);
    give_up(*parts);
    assert(wanted(whole));  // else its parts would have been given up
    parts->finish(*this, whole);
}

std::unique_ptr<Parts> Core::release_parts(Slot& whole) noexcept {
    whole.owners = static_cast<std::uint8_t>(whole.owners & ~owned_by_parts);
    return std::unique_ptr<Parts>(static_cast<Parts*>(std::exchange(whole.accumulator, nullptr)));
}

void Core::give_up_parts(Slot& whole) noexcept { give_up(*release_parts(whole)); }

void Core::give_up(Parts& parts) noexcept {
    for (Slot* part : parts.slots_) {
        if (!part) continue;
        abandon_slot(*part);
        unowned(*part);
    }
}

void Core::cancel_whole(Slot& whole) {
    Parts& parts = parts_of(whole);
    bool any_sent = false;
    for (std::size_t n = 0; n < parts.slots_.size(); ++n) {
        Slot* const part = parts.slots_[n];
        if (!part) continue;
        const bool sent = begun(*part);
        any_sent = any_sent || sent;
        // An error that waits for the next turn is the part's outcome already.
        Error error = part->error ? *part->error : make_error(*part, errc::cancelled, "cancelled by the caller", sent);
        if ((part->owners & owned_by_parts) != 0) error = parts_of(*part).attach_to(std::move(error));
        parts.done(n, part->kind, nullptr, &error);
    }
    fail_later(whole, parts.attach_to(make_error(whole, errc::cancelled, "cancelled by the caller", any_sent)));
}

void Core::submit_when_open(Slot& whole, std::unique_ptr<Parts> parts, std::optional<Duration> timeout) {
    if (refused(whole, parts->about())) return;
    if (connecting_.size() >= settings_.max_queue_operations) {
        return reject(whole, errc::queue_full, parts->about(), "too many operations wait for the cluster");
    }
    adopt(whole, std::move(parts));
    add_deadline(whole, timeout);
    connecting_.push_back(&whole);
    // Memcached hosts are known without being asked.
    if (router_.opened() || settings_.connection.scheme == Scheme::memcached) {
        request_turn();  // not in this call: parts may fail at once
        parts_due_ = true;
    } else if (!dispatching_) {
        clock_read_ = false;  // no turn need follow that would read it anew
    }
}

void Core::start_all_parts() {
    // Several memcached hosts are asked though connect() still waits for one of them.
    const auto due = std::stable_partition(connecting_.begin(), connecting_.end(),
                                           [](const Slot* slot) { return slot->kind == OperationKind::connect; });
    // The last one begins next. A consumer that runs the loop may have left some, which go first.
    starting_wholes_.insert(starting_wholes_.begin(), std::make_reverse_iterator(connecting_.end()),
                            std::make_reverse_iterator(due));
    connecting_.erase(due, connecting_.end());
    while (!starting_wholes_.empty()) {  // a consumer may withdraw any that is still in it
        Slot& slot = *starting_wholes_.back();
        starting_wholes_.pop_back();
        try {
            start_parts(slot);
        } catch (...) {
            caught(std::current_exception());
        }
    }
}

bool Core::waits_for_collection(Slot& whole) {
    Collection* const collection = whole.collection;
    return collection && collection->detour() == &collection->line() && parts_of(whole).needs_collection();
}

bool Core::awaited(const Collection& collection) {
    return std::any_of(connecting_.begin(), connecting_.end(),
                       [&](Slot* slot) { return slot->collection == &collection && waits_for_collection(*slot); });
}

void Core::fail_waiting(const Collection& collection, errc code, const std::string& message, TimePoint begun_by) {
    std::vector<Slot*> failed;
    std::erase_if(connecting_, [&](Slot* slot) {
        const bool waits = slot->collection == &collection && slot->started <= begun_by && waits_for_collection(*slot);
        if (waits) failed.push_back(slot);
        return waits;
    });
    for (Slot* slot : failed) {
        const std::unique_ptr<Parts> parts = release_parts(*slot);
        fail_later(*slot, make_error_of_whole(*slot, code, message, parts->about()));
    }
}

void Core::start_parts(Slot& whole) {
    if (closed_) {  // by the consumer of another that began in this turn
        const std::unique_ptr<Parts> parts = release_parts(whole);
        return fail_later(whole, make_error_of_whole(whole, errc::shutdown, "the bucket was closed", parts->about()));
    }
    if (waits_for_collection(whole) && !router_.has_ring()) {
        connecting_.push_back(&whole);
        Collection& collection = *whole.collection;
        if (!collection.refusal().empty())
            return fail_waiting(collection, collection.refusal_code(), collection.refusal());
        return collections_.joined(collection);
    }
    const Duration left = whole.deadline - now();
    deadlines_.remove(whole);  // the parts have theirs
    if (parts_of(whole).needs_vbuckets() && router_.has_ring()) {
        const std::unique_ptr<Parts> parts = release_parts(whole);
        Error error = make_error_of_whole(whole, errc::unsupported_operation,
                                          "memcached buckets have no vbuckets, and no replicas", parts->about());
        return deliver_error(whole, error);
    }
    parts_of(whole).start(*this, whole, left);
    finish_part(whole);
}

bool deliver_shutdown(Core& core, Slot& whole, std::string_view key, std::span<const Error> errors) {
    const auto closed =
        std::find_if(errors.begin(), errors.end(), [](const Error& error) { return error == errc::shutdown; });
    if (closed == errors.end()) return false;
    Error error = core.make_error_of_whole(whole, errc::shutdown, closed->context().message, key, *closed);
    core.deliver_error(whole, error);
    return true;
}

void Core::take_back(Slot& whole) noexcept {
    abandon_slot(whole);
    whole.owners = static_cast<std::uint8_t>(whole.owners & ~owned_by_handle);
    unowned(whole);
}

}  // namespace chaise::detail
