// Operations that every node is asked for: a part for each, and the outcome when all parts have theirs.

#include "bucket/core.hpp"
#include "protocol/requests.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <utility>

namespace chaise::detail {

/// What a broadcast has so far. It lies in the accumulator of the operation's slot, which is owned by its parts.
struct Broadcast {
    std::string group;  ///< of statistics
    std::size_t parts_left = 0;
    StatsResult stats{};
    VersionResult versions{};
    std::optional<Error> error{};  ///< the first
};

void free_broadcast(Slot& slot) noexcept {
    slot.owners = static_cast<std::uint8_t>(slot.owners & ~owned_by_parts);
    delete static_cast<Broadcast*>(std::exchange(slot.accumulator, nullptr));
}

void Core::submit_to_all(Slot& slot, std::optional<Duration> timeout, std::string_view group) {
    if (settings_.connection.scheme == Scheme::memcached) return submit_part(slot, router_.any(), timeout, group);
    if (closed_) return reject(slot, errc::shutdown, {}, "the bucket is closed");
    slot.accumulator = new Broadcast{.group = std::string(group)};
    slot.owners |= owned_by_parts;
    add_deadline(slot, timeout);
    connecting_.push_back(&slot);
    if (router_.opened()) {
        request_turn();  // not in this call: parts may fail at once
        broadcasts_due_ = true;
    }
}

void Core::submit_part(Slot& slot, Line& line, std::optional<Duration> timeout, std::string_view group) {
    if (slot.kind == OperationKind::stats) {
        protocol::StatRequest request{};
        request.group = group;
        submit_to(line, slot, timeout, {}, request);
    } else {
        protocol::VersionRequest request{};
        submit_to(line, slot, timeout, {}, request);
    }
}

void Core::start_broadcast(Slot& slot) {
    auto& broadcast = *static_cast<Broadcast*>(slot.accumulator);
    const Duration left = slot.deadline - now();
    deadlines_.remove(slot);
    broadcast.parts_left = 1;  // this function's
    for (Line* node : router_.nodes()) {
        ++broadcast.parts_left;
        Slot& part = acquire(slot.kind, static_cast<protocol::Opcode>(slot.opcode));
        part.owners = owned_by_user;  // without a handle; the target is its one consumer
        part.consumer = Consumer::callbacks;
        part.idempotent = true;
        part.context = &slot;
        part.target = [](Slot& done, void* result, Error* error) {
            Slot& whole = *static_cast<Slot*>(done.context);
            Core& core = *done.core;
            const OperationKind kind = done.kind;
            unowned(done);
            if (result || error) core.part_done(whole, kind, result, error);  // neither: the loop is gone
        };
        submit_part(part, *node, left, broadcast.group);
    }
    finish_part(slot);
}

void Core::part_done(Slot& slot, OperationKind kind, void* result, Error* error) {
    auto& broadcast = *static_cast<Broadcast*>(slot.accumulator);
    if (error) {
        if (!broadcast.error) broadcast.error = std::move(*error);
    } else if (kind == OperationKind::stats) {
        broadcast.stats.merge(std::move(*static_cast<StatsResult*>(result)));
    } else {
        broadcast.versions.merge(std::move(*static_cast<VersionResult*>(result)));
    }
    finish_part(slot);
}

void Core::finish_part(Slot& slot) {
    auto* all = static_cast<Broadcast*>(slot.accumulator);
    if (--all->parts_left != 0) return;
    Broadcast broadcast = std::move(*all);
    free_broadcast(slot);
    if ((slot.owners & (owned_by_user | owned_by_queue)) != owned_by_user) return unowned(slot);
    if (broadcast.error) {
        deliver_error(slot, *broadcast.error);
    } else if (slot.kind == OperationKind::stats) {
        deliver(slot, broadcast.stats);
    } else {
        deliver(slot, broadcast.versions);
    }
}

}  // namespace chaise::detail
