// The bounds of a bucket: who comes too late, who waits for room, and how full it is.

#include "bucket/core.hpp"

#include <chaise/pressure.hpp>

#include <algorithm>
#include <string_view>
#include <utility>

namespace chaise {

std::string_view name(PressureLevel level) noexcept {
    switch (level) {
        case PressureLevel::low:
            return "low";
        case PressureLevel::high:
            return "high";
        case PressureLevel::full:
            break;
    }
    return "full";
}

double Pressure::Queue::load() const noexcept {
    const auto part = [](std::size_t used, std::size_t most) {
        return most == 0 ? 0.0 : std::min(1.0, static_cast<double>(used) / static_cast<double>(most));
    };
    return std::max(part(operations, max_operations), part(bytes, max_bytes));
}

double Pressure::load() const noexcept {
    double most = std::max({bucket.load(), unrouted.load(), resting.load()});
    for (const Node& node : nodes) most = std::max(most, node.load());
    return most;
}

PressureLevel Pressure::level() const noexcept {
    const double most = load();
    return most >= 1 ? PressureLevel::full : most >= 0.5 ? PressureLevel::high : PressureLevel::low;
}

namespace detail {

namespace {

/// They are bounded, too.
constexpr std::size_t most_places = 32'768;

Pressure::Queue queue_of(const Line& line) {
    const Pipeline& pipeline = line.pipeline();
    return {pipeline.size(), pipeline.max_operations(), pipeline.bytes(), pipeline.max_bytes()};
}

}  // namespace

Pressure Core::pressure() const {
    Pressure out;
    out.bucket = {pool_.in_use() - places_, settings_.max_bucket_operations, byte_budget_.used, byte_budget_.most};
    for (const Session* session : router_.sessions()) {
        out.nodes.push_back({queue_of(*session), session->name()});
    }
    out.unrouted = queue_of(router_.waiting());
    out.resting = queue_of(resting_);
    out.places = places_;
    return out;
}

Collection* Core::late(Collection* collection) {
    if (pool_.refill()) return collection;
    recycles_slowly_ = true;
    return collection ? &late_ : nullptr;
}

bool Core::refused(Slot& slot, std::string_view key) {
    const bool late = slot.collection == &late_;
    // A part of what was there in time goes on.
    const bool in_time = draining_ && !late && (slot.owners & owned_by_handle) == 0;
    if (closed_ || (draining_ && !in_time)) {
        reject(slot, errc::shutdown, key, closed_ ? "the bucket is closed" : "the bucket is being closed");
        return true;
    }
    if (!late && (in_time || pool_.in_use() <= pool_.limit())) return false;
    reject(slot, errc::queue_full, key, "the bucket has max_bucket_operations");
    return true;
}

void Core::look_after_recycled() noexcept {
    if (pool_.diverts()) pool_.divert();
    recycles_slowly_ = pool_.crowded() || shares_ == 0;
    if (places_head_ && !dispatching_) request_turn();
    if (shares_ == 0) maybe_delete();
}

// ---- places -----------------------------------------------------------------------------------------------------

void Core::submit_place(Slot& slot, const std::optional<Duration>& timeout, std::size_t bytes) {
    slot.prev = nullptr;
    if (closed_ || draining_) return static_cast<void>(refused(slot, {}));
    if (places_ >= most_places) return reject(slot, errc::queue_full, {}, "32768 wait for a place already");
    slot.length = static_cast<std::uint32_t>(std::min<std::size_t>(bytes, settings_.max_queue_bytes));
    slot.next = nullptr;
    slot.prev = places_tail_;
    (places_tail_ ? places_tail_->next : places_head_) = &slot;
    places_tail_ = &slot;
    ++places_;
    pool_.raise_limit();
    attending_ = true;
    add_deadline(slot, timeout);
    if (!dispatching_) request_turn();
}

void Core::leave_places(Slot& slot) noexcept {
    if (!slot.prev && places_head_ != &slot) return;  // refused
    (slot.prev ? slot.prev->next : places_head_) = slot.next;
    (slot.next ? slot.next->prev : places_tail_) = slot.prev;
    slot.next = slot.prev = nullptr;
    --places_;
    pool_.lower_limit();  // its slot counts again, until it goes
    recycles_slowly_ = true;
}

bool Core::has_room(std::size_t bytes) {
    if (pool_.in_use() >= pool_.limit()) return false;
    if (byte_budget_.used + std::max(bytes, SendBlock::standard_capacity) > byte_budget_.most) release_idle_blocks();
    const auto has = [bytes](const Line& line) { return line.pipeline().has_room(bytes); };
    const auto sessions = router_.sessions();
    const bool no_map = settings_.connection.scheme != Scheme::memcached && !router_.map();
    return (!no_map || has(router_.waiting())) &&
           std::all_of(sessions.begin(), sessions.end(), [&](const Session* session) { return has(*session); });
}

void Core::release_idle_blocks() noexcept {
    for (Session* session : router_.sessions()) session->pipeline().release_idle();
    for (Line* line : collections_.lines()) line->pipeline().release_idle();
    router_.waiting().pipeline().release_idle();
    resting_.pipeline().release_idle();
}

void Core::serve_places() {
    // Each one's consumer may use the room up. Who only waits again does so until the next turn.
    for (std::size_t most = places_; most != 0 && places_head_ && has_room(places_head_->length); --most) {
        Slot& slot = *places_head_;
        leave_places(slot);
        deadlines_.remove(slot);
        OperationResult done;
        try {
            deliver(slot, done);
        } catch (...) {
            caught(std::current_exception());
            break;
        }
        if (closed_) return;
    }
    if (places_head_ && has_room(places_head_->length)) request_turn();
}

// ---- the end ----------------------------------------------------------------------------------------------------

void Core::submit_close(Slot& slot, std::optional<Duration> drain) {
    const Duration time = std::min(drain.value_or(settings_.drain_timeout), longest_timeout);
    if (closed_ || time <= Duration{0}) {
        close();
        return enqueue(slot);
    }
    if (!draining_) {
        draining_ = attending_ = recycles_slowly_ = true;
        pool_.shut();
        while (Slot* waiting = places_head_) {
            fail_later(*waiting, make_error(*waiting, errc::shutdown, "the bucket is being closed", false));
        }
        connecting_failed(errc::shutdown, "the bucket is being closed", {});
    }
    closing_.push_back(&slot);
    add_deadline(slot, time);
    request_turn();
}

bool Core::drained() {
    if (queue_head_ || parts_due_) return false;
    if (!connecting_.empty() || !starting_wholes_.empty() || !pausing_.empty()) return false;
    const auto idle = [](Line& line) {
        for (const Slot* slot = line.pipeline().first(); slot; slot = slot->next) {
            const bool own = slot->kind == OperationKind::cluster_config || slot->kind == OperationKind::probe;
            if (wanted(*slot) && !own) return false;
        }
        return true;
    };
    const auto sessions = router_.sessions();
    const auto collections = collections_.lines();
    return idle(resting_) && idle(router_.waiting()) &&
           std::all_of(collections.begin(), collections.end(), [&](Line* line) { return idle(*line); }) &&
           std::all_of(sessions.begin(), sessions.end(), [&](Session* session) { return idle(*session); });
}

void Core::attend() {
    if (draining_ && (closing_.empty() || drained())) close();
    if (places_head_) serve_places();
    attending_ = draining_ || places_head_;
}

}  // namespace detail

}  // namespace chaise
