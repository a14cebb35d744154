// Operations that every node is asked for: a part for each, and the outcome when all parts have theirs.

#include "bucket/core.hpp"
#include "bucket/parts.hpp"
#include "protocol/requests.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace chaise::detail {

namespace {

/// What a broadcast has so far.
class Broadcast final : public Parts {
public:
    explicit Broadcast(std::string_view of) : group(of) {}

    void done(std::size_t, OperationKind kind, void* result, Error* error) override {
        if (error) {
            if (!error_) error_ = std::move(*error);
        } else if (kind == OperationKind::stats) {
            stats_.merge(std::move(*static_cast<StatsResult*>(result)));
        } else if (kind == OperationKind::version) {
            versions_.merge(std::move(*static_cast<VersionResult*>(result)));
        }
    }
    void finish(Core& core, Slot& whole) override {
        if (error_) {
            core.deliver_error(whole, *error_);
        } else if (whole.kind == OperationKind::stats) {
            core.deliver(whole, stats_);
        } else if (whole.kind == OperationKind::version) {
            core.deliver(whole, versions_);
        } else {
            OperationResult done;  // flush
            core.deliver(whole, done);
        }
    }

    const std::string group;  ///< of statistics

private:
    StatsResult stats_;
    VersionResult versions_;
    std::optional<Error> error_;  ///< the first
};

}  // namespace

void Core::submit_to_all(Slot& slot, std::optional<Duration> timeout, std::string_view group) {
    const bool plain = settings_.connection.scheme == Scheme::memcached;
    if (plain && !router_.has_ring()) return submit_part(slot, router_.any(), timeout, group);
    if (closed_) return reject(slot, errc::shutdown, {}, "the bucket is closed");
    adopt(slot, std::make_unique<Broadcast>(group));
    add_deadline(slot, timeout);
    connecting_.push_back(&slot);
    if (plain || router_.opened()) {
        request_turn();  // not in this call: parts may fail at once
        broadcasts_due_ = true;
    }
}

void Core::submit_part(Slot& slot, Line& line, std::optional<Duration> timeout, std::string_view group) {
    if (slot.kind == OperationKind::stats) {
        protocol::StatRequest request{};
        request.group = group;
        submit_to(line, slot, timeout, {}, request);
    } else if (slot.kind == OperationKind::flush) {
        protocol::FlushRequest request{};
        submit_to(line, slot, timeout, {}, request);
    } else {
        protocol::VersionRequest request{};
        submit_to(line, slot, timeout, {}, request);
    }
}

void Core::start_broadcast(Slot& slot) {
    const auto& broadcast = *static_cast<Broadcast*>(static_cast<Parts*>(slot.accumulator));
    const Duration left = slot.deadline - now();
    deadlines_.remove(slot);
    // Statistics of those that are there; a flush that left out one that will be back would be none.
    for (Line* node : router_.nodes(slot.kind == OperationKind::flush)) {
        Slot& part = add_part(slot, slot.kind, static_cast<protocol::Opcode>(slot.opcode));
        part.idempotent = slot.kind != OperationKind::flush;
        submit_part(part, *node, left, broadcast.group);
    }
    finish_part(slot);
}

}  // namespace chaise::detail
