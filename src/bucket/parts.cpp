// Operations that consist of parts: a slot for each part, and the outcome when all parts have theirs.

#include "bucket/parts.hpp"
#include "bucket/core.hpp"

#include <cassert>
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

void Core::adopt(Slot& whole, std::unique_ptr<Parts> parts) noexcept {
    whole.accumulator = parts.release();
    whole.owners |= owned_by_parts;
}

Slot& Core::add_part(Slot& whole, OperationKind kind, protocol::Opcode opcode) {
    Parts& parts = parts_of(whole);
    Slot*& entry = parts.slots_.emplace_back(nullptr);
    Slot& part = acquire(whole.collection, kind, opcode);
    entry = &part;
    ++parts.left_;
    part.owners = owned_by_user;  // without a handle; the target is its one consumer
    part.consumer = Consumer::callbacks;
    part.context = ::new (static_cast<void*>(part.storage)) Place{&whole, parts.slots_.size() - 1};
    part.target = [](Slot& done, void* result, Error* error) {
        const Place place = *static_cast<Place*>(done.context);
        Core& core = *done.core;
        const OperationKind done_kind = done.kind;
        unowned(done);
        if (!result && !error) return;  // the loop is gone, and the whole may be, too
        Parts& all = parts_of(*place.whole);
        all.slots_[place.n] = nullptr;
        all.done(place.n, done_kind, result, error);
        core.finish_part(*place.whole);
    };
    return part;
}

void Core::finish_part(Slot& whole) {
    if (--parts_of(whole).left_ != 0) return;
    const std::unique_ptr<Parts> parts = release_parts(whole);
    assert(wanted(whole));  // else its parts would have been given up
    parts->finish(*this, whole);
}

std::unique_ptr<Parts> Core::release_parts(Slot& whole) noexcept {
    whole.owners = static_cast<std::uint8_t>(whole.owners & ~owned_by_parts);
    return std::unique_ptr<Parts>(static_cast<Parts*>(std::exchange(whole.accumulator, nullptr)));
}

void Core::give_up_parts(Slot& whole) noexcept {
    const std::unique_ptr<Parts> parts = release_parts(whole);
    for (Slot* part : parts->slots_) {
        if (!part) continue;
        abandon_slot(*part);
        unowned(*part);
    }
}

void Core::cancel_whole(Slot& whole) {
    Parts& parts = parts_of(whole);
    bool any_sent = false;
    for (std::size_t n = 0; n < parts.slots_.size(); ++n) {
        const Slot* const part = parts.slots_[n];
        if (!part) continue;
        const bool sent = (part->owners & owned_by_wire) != 0 && part->line->pipeline().begun(*part);
        any_sent = any_sent || sent;
        // An error that waits for the next turn is the part's outcome already.
        Error error = part->error ? *part->error : make_error(*part, errc::cancelled, "cancelled by the caller", sent);
        parts.done(n, part->kind, nullptr, &error);
    }
    fail_later(whole, parts.attach_to(make_error(whole, errc::cancelled, "cancelled by the caller", any_sent)));
}

void Core::take_back(Slot& whole) noexcept {
    abandon_slot(whole);
    whole.owners = static_cast<std::uint8_t>(whole.owners & ~owned_by_handle);
    unowned(whole);
}

}  // namespace chaise::detail
