// Requests that are tried again after an answer that says "not now". They rest in a line of their own.

#include "bucket/core.hpp"
#include "operation/canary.hpp"
#include "operation/probe.hpp"
#include "operation/retry.hpp"

#include <algorithm>
#include <chrono>

namespace chaise::detail {

std::optional<Duration> Core::ask_strategy(const Slot& slot, RetryReason reason, std::optional<Duration> suggested) {
    const Duration spent = now() - slot.started;
    return settings_.retry_strategy->retry_after(RetryRequest{.operation = operation_name(slot.kind),
                                                              .reason = reason,
                                                              .idempotent = slot.idempotent,
                                                              .retries = slot.retries,
                                                              .time_spent = spent,
                                                              .time_left = slot.deadline - now(),
                                                              .suggested = suggested,
                                                              .random = iops_->random()});
}

bool Core::goes_again(Slot& slot) {
    const bool harmless = slot.idempotent || planted == canary::write_retried;
    return harmless && ask_strategy(slot, RetryReason::connection_lost_in_flight, std::nullopt).has_value();
}

bool Core::try_later(Slot& slot, protocol::Status status) {
    if (closed_ || !slot.collection || slot.copy == this_node)
        return false;  // without a key, it was asked of this node
    const Session& session = static_cast<Session&>(*slot.line);
    const protocol::ErrorMap::Entry* const entry = session.describe(status);
    // A plain memcached that has no memory will have none in a moment, and it promises the order of operations.
    if (settings_.connection.scheme == Scheme::memcached) return false;
    const auto reason = retry_reason(slot.kind, status, entry);
    if (!reason) return false;
    std::optional<Duration> suggested;
    if (*reason == RetryReason::error_map) {
        suggested = suggested_delay(*entry, slot.retries);
        const Duration spent = now() - slot.started;
        if (entry->retry && entry->retry->max_duration_ms != 0 &&
            spent >= std::chrono::milliseconds(entry->retry->max_duration_ms)) {
            return false;
        }
        if (has(entry->attributes, protocol::ErrorAttribute::fetch_config)) router_.look_for_news();
    }
    const auto delay = ask_strategy(slot, *reason, suggested);
    // Who cannot try again in time need not wait for it.
    if (!delay || *delay >= slot.deadline - now()) {
        CHAISE_PROBE(no_time_to_try_again);
        return false;
    }
    // What rests has no prefix, as what waits has none.
    if (!slot.line->pipeline().move(slot, resting_.pipeline(), prefix_size(slot))) return false;
    free_accumulator(slot);  // frames of an answer that was not the last word
    slot.line = &resting_;
    CHAISE_PROBE(tried_later);
    slot.tried_again = true;
    slot.last_status = static_cast<std::uint16_t>(status);
    count_retry(slot);
    const TimePoint at = now() + std::max(*delay, Duration{0});
    if (retries_.empty() || at < retries_.first()) {
        iops_->schedule(*retry_timer_, std::chrono::ceil<std::chrono::microseconds>(at - now()));
    }
    retries_.add(at, slot.opaque);
    // Those that ended meanwhile are forgotten at their time; but there shall not be ever more of them until then.
    if (retries_.size() > 2 * resting_.pipeline().size() + 64) [[unlikely]] {
        retries_.forget_if([this](std::uint32_t opaque) {
            const Slot* const left = find(opaque);
            return !left || left->line != &resting_ || (left->owners & owned_by_wire) == 0;
        });
    }
    return true;
}

void Core::on_retry_timer() {
    Dispatch dispatch(*this);
    while (const auto opaque = retries_.take(now())) {
        Slot* const slot = find(*opaque);
        if (slot && slot->line == &resting_ && (slot->owners & owned_by_wire) != 0) router_.reroute(*slot);
    }
    if (!retries_.empty()) {
        iops_->schedule(*retry_timer_,
                        std::max(std::chrono::microseconds(0),
                                 std::chrono::ceil<std::chrono::microseconds>(retries_.first() - now())));
    }
}

}  // namespace chaise::detail
