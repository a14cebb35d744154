// Operations that every node is asked for: a part for each, and the outcome when all parts have theirs.

#include "bucket/core.hpp"
#include "bucket/parts.hpp"
#include "protocol/requests.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace chaise::detail {

namespace {

/// What a broadcast has so far.
class Broadcast final : public Parts {
public:
    explicit Broadcast(std::vector<std::string> groups) : groups_(std::move(groups)) {}

    void start(Core& core, Slot& whole, Duration left) override {
        // Statistics of those that are there; a flush that left out one that will be back would be none.
        for (Line* node : core.router().nodes(whole.kind == OperationKind::flush)) {
            for (const std::string& group : groups_) {
                Slot& part = core.add_part(whole, whole.kind, static_cast<protocol::Opcode>(whole.opcode));
                part.idempotent = whole.kind != OperationKind::flush;
                part.copy = this_node;
                submit(core, part, {*node, 0}, left, group);
            }
        }
    }
    static void submit(Core& core, Slot& slot, const Router::Route& to, const std::optional<Duration>& timeout,
                       std::string_view group) {
        if (slot.kind == OperationKind::stats) {
            protocol::StatRequest request{};
            request.group = group;
            core.submit_by(to, slot, timeout, {}, request);
        } else if (slot.kind == OperationKind::flush) {
            protocol::FlushRequest request{};
            core.submit_by(to, slot, timeout, {}, request);
        } else {
            protocol::VersionRequest request{};
            core.submit_by(to, slot, timeout, {}, request);
        }
    }

    void done(std::size_t, OperationKind kind, void* result, Error* error) override {
        if (error) {
            // A node that leaves the cluster meanwhile is no node to be asked.
            if (!error_ && error->code() != errc::request_canceled) error_ = std::move(*error);
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

private:
    const std::vector<std::string> groups_;  ///< of statistics
    StatsResult stats_;
    VersionResult versions_;
    std::optional<Error> error_;  ///< the first
};

}  // namespace

void Core::submit_to_all(Slot& slot, std::optional<Duration> timeout, std::vector<std::string> groups) {
    if (settings_.connection.scheme == Scheme::memcached && !router_.has_ring() && groups.size() == 1) {
        if (refused(slot, {})) return;
        return Broadcast::submit(*this, slot, {router_.any(), 0}, timeout, groups.front());
    }
    submit_when_open(slot, std::make_unique<Broadcast>(std::move(groups)), timeout);
}

}  // namespace chaise::detail
