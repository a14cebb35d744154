#pragma once

// The hot parts of Core.

#include "bucket/core.hpp"
#include "protocol/byte_order.hpp"
#include "protocol/data_requests.hpp"
#include "protocol/datatype.hpp"

#include <algorithm>
#include <new>
#include <type_traits>
#include <utility>

namespace chaise::detail {

[[gnu::always_inline]] inline Slot& Core::acquire(Collection* collection, OperationKind kind, protocol::Opcode opcode) {
    if (!pool_.has_free()) [[unlikely]]
        collection = late(collection);
    Slot& slot = pool_.take();
    slot.target = nullptr;
    slot.core = this;
    slot.line = nullptr;
    slot.collection = collection;
    // Neighbours in memory, and all of them, so that they are written at once.
    slot.owners = owned_by_user | owned_by_handle;
    slot.kind = kind;
    slot.opcode = static_cast<std::uint8_t>(opcode);
    slot.consumer = Consumer::none;
    slot.outcome = Outcome::none;
    slot.quiet = false;
    slot.idempotent = false;
    slot.deadline_lane = 0;
    slot.retries = 0;
    slot.copy = 0;
    slot.tried_again = false;
    slot.started = now();
    return slot;
}

template <class Request>
[[gnu::always_inline]] inline void Core::submit(Slot& slot, const std::optional<Duration>& timeout,
                                                std::string_view key, Request& request) {
    // Both branches have the rest to themselves: without a map nothing of what maps bring is looked at.
    const Collection& collection = *slot.collection;
    if (Line* const detour = collection.detour()) {
        if (!detour->ready_without_prefix()) [[unlikely]] {
            if (router_.is_ring(*detour)) return submit_by_ring(slot, timeout, key, request);
            return submit_to_wait(*detour, slot, timeout, key, request);
        }
        return send(*detour, slot, timeout, key, request);
    }
    const Router::Route route = router_.by_map(key);
    request.context.vbucket = route.vbucket;
    request.context.collection = collection.id();
    if (!route.line.ready_with_prefix()) [[unlikely]]
        return submit_to_wait(route.line, slot, timeout, key, request);
    send(route.line, slot, timeout, key, request);
}

template <class Request>
void Core::submit_by(const Router::Route& route, Slot& slot, const std::optional<Duration>& timeout,
                     std::string_view key, Request& request) {
    if (slot.collection == &late_) return static_cast<void>(refused(slot, key));
    // Its collection's id is known: what needs it began after that.
    if (slot.collection && route.line.prefixed()) request.context.collection = slot.collection->id();
    submit_to(route.line, slot, timeout, key, request);
}

template <class Request>
void Core::submit_anywhere(Slot& slot, const std::optional<Duration>& timeout, Request& request) {
    if (!refused(slot, {})) submit_to(router_.any(), slot, timeout, {}, request);
}

template <class Request>
[[gnu::always_inline]] inline void Core::submit_to(Line& line, Slot& slot, const std::optional<Duration>& timeout,
                                                   std::string_view key, Request& request) {
    if (!line.ready()) [[unlikely]]
        return submit_to_wait(line, slot, timeout, key, request);
    send(line, slot, timeout, key, request);
}

template <class Request>
[[gnu::always_inline]] inline void Core::send(Line& line, Slot& slot, const std::optional<Duration>& timeout,
                                              std::string_view key, Request& request) {
    if constexpr (std::is_same_v<Request, protocol::StoreRequest>) {
        if (request.value.size() >= snappy_.from()) return submit_compressed(line, slot, timeout, key, request);
    }
    if (put_in_line(line, slot, timeout, key, request)) [[likely]]
        mark_dirty(static_cast<Session&>(line));
}

template <class Request>
void Core::submit_by_ring(Slot& slot, const std::optional<Duration>& timeout, std::string_view key, Request request) {
    submit_to_wait(router_.by_ring(key), slot, timeout, key, request);
}

template <class Request>
void Core::submit_to_wait(Line& line, Slot& slot, const std::optional<Duration>& timeout, std::string_view key,
                          Request request) {
    if (closed_ || &line == &gate_) return static_cast<void>(refused(slot, key));
    if (Collection* const collection = slot.collection) {
        if (!collection->refusal().empty()) return reject(slot, collection->refusal_code(), key, collection->refusal());
        if (!line.prefixed()) {
            if (collection->named() && line.ready()) {
                return reject(slot, errc::unsupported_operation, key, "node " + line.name() + " has no collections");
            }
            request.context.collection.reset();
        } else {
            request.context.collection = collection->id();
        }
    }
    if (put_in_line(line, slot, timeout, key, request)) joined(line, slot);
    if (!dispatching_) clock_read_ = false;  // no turn need follow that would read it anew
}

template <class Request>
void Core::submit_compressed(Line& line, Slot& slot, const std::optional<Duration>& timeout, std::string_view key,
                             Request request) {
    Session& session = static_cast<Session&>(line);
    if (session.granted(protocol::Feature::snappy)) {
        if (const auto block = snappy_.deflate(request.value)) {
            request.value = *block;
            request.context.datatype |= protocol::datatype::snappy;
        }
    }
    if (put_in_line(line, slot, timeout, key, request)) mark_dirty(session);
    snappy_.trim();
}

/// False, and the operation rejected, if there is no room.
template <class Request>
[[gnu::always_inline]] inline bool Core::put_in_line(Line& line, Slot& slot, const std::optional<Duration>& timeout,
                                                     std::string_view key, Request& request) {
    request.context.opaque = slot.opaque;
    const std::size_t size = encoded_size(request);
    char* room = line.pipeline().reserve(slot, size);
    if (!room) [[unlikely]] {
        reject_full(slot, key);
        return false;
    }
    encode(request, room);
    slot.line = &line;
    line.pipeline().append(slot);
    add_deadline(slot, timeout);
    return true;
}

[[gnu::always_inline]] inline void Core::add_deadline(Slot& slot, const std::optional<Duration>& timeout) {
    deadlines_.add(slot, slot.started,
                   timeout ? std::clamp(*timeout, Duration{0}, longest_timeout) : settings_.operation_timeout);
    if (!deadline_timer_->active() || slot.deadline < deadline_armed_for_) arm_deadline(slot.deadline);
}

inline void Core::mark_dirty(Session& session) {
    if (session.dirty) return;
    session.dirty = true;
    dirty_.push_back(&session);
    if (!dispatching_) request_turn();
}

template <class T>
void Core::keep(Slot& slot, T& result) {
    if ((slot.owners & owned_by_handle) != 0 && slot.consumer != Consumer::detached) {
        ::new (static_cast<void*>(slot.storage)) T(std::move(result));
        slot.outcome = Outcome::result;
    } else {
        unowned(slot);
    }
}

template <class T>
void Core::deliver(Slot& slot, T& result) {
    slot.owners = static_cast<std::uint8_t>(slot.owners & ~owned_by_user);
    if (Target target = std::exchange(slot.target, nullptr)) {
        target(slot, &result, nullptr);
    } else {
        keep(slot, result);
    }
}

/// Somebody waits for the outcome, and it is not decided yet.
inline bool wanted(const Slot& slot) noexcept {
    return (slot.owners & (owned_by_user | owned_by_queue)) == owned_by_user;
}

/// The response that comes most often goes the short way.
[[gnu::always_inline]] inline void Core::respond(Slot& slot, const protocol::Frame& frame, Buffer* buffer) {
    if (slot.kind != OperationKind::get || frame.specific != 0 || frame.extras.size() < 4 ||
        (frame.datatype & protocol::datatype::snappy) != 0) [[unlikely]]
        return respond_otherwise(slot, frame, buffer);
    retire(slot);
    if (!wanted(slot)) return unowned(slot);
    ValueResult result(frame.value, protocol::load_be32(frame.extras.data()), frame.datatype, frame.cas, buffer);
    deliver(slot, result);
}

/// Out of pipeline and deadlines: the operation is answered.
inline void Core::retire(Slot& slot) noexcept {
    slot.line->pipeline().remove(slot);
    deadlines_.remove(slot);
}

}  // namespace chaise::detail
