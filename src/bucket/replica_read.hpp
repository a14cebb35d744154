#pragma once

// Reads of any copy of a document, or of all of them: a part for each copy.

#include "bucket/core.hpp"
#include "bucket/parts.hpp"
#include "bucket/start.hpp"

#include <chaise/replica.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::detail {

/// Which copies an operation reads.
struct CopyChoice {
    std::optional<unsigned> index{};  ///< only this replica
    ReadPreference preference = ReadPreference::no_preference;
    bool all = false;  ///< all of them, not the first
};

class ReplicaRead final : public Parts {
public:
    ReplicaRead(std::string_view key, const CopyChoice& choice, bool quiet)
        : key_(key), choice_(choice), quiet_(quiet) {}

    void start(Core& core, Slot& whole, Duration left) override;
    [[nodiscard]] bool needs_vbuckets() const noexcept override { return true; }
    [[nodiscard]] std::string_view about() const noexcept override { return key_; }
    void done(std::size_t n, OperationKind kind, void* result, Error* error) override;
    void finish(Core& core, Slot& whole) override;

private:
    /// The copies to be asked; none, and `refused_`, if there is none.
    [[nodiscard]] std::vector<std::uint8_t> choose(Core& core, const Slot& whole, std::uint16_t vbucket);
    [[nodiscard]] Error why_not(Core& core, const Slot& whole) const;

    const std::string key_;
    const CopyChoice choice_;
    const bool quiet_;
    std::vector<std::uint8_t> asked_;  ///< by part
    std::vector<ReplicaResult> found_;
    std::vector<Error> errors_;
    std::optional<Error> refused_;
};

/// False, and the operation rejected, if its choice can never be made.
bool check_choice(Core& core, Slot& slot, std::string_view key, const CopyChoice& choice);

template <class Slots>
Slot& start_replica_read(Core& core, const Slots& slots, OperationKind kind, std::string_view key,
                         const CopyChoice& choice, std::optional<bool> quiet, std::optional<Duration> timeout) {
    Slot& slot = slots.acquire(kind, protocol::Opcode::get_replica);
    if (!check_couchbase(core, slot, key, "replicas") || !check_key(core, slot, key) ||
        !check_choice(core, slot, key, choice)) {
        return slot;
    }
    core.submit_when_open(slot, std::make_unique<ReplicaRead>(key, choice, quiet.value_or(core.settings().quiet)),
                          timeout);
    return slot;
}

template <class Slots>
Slot& start_get_replica(Core& core, const Slots& slots, std::string_view key, const GetReplicaOptions& options) {
    return start_replica_read(core, slots, OperationKind::get_replica, key,
                              {.index = options.index, .preference = options.read_preference}, options.quiet,
                              options.timeout);
}

}  // namespace chaise::detail
