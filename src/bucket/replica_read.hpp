#pragma once

// Reads of any copy of a document, or of all of them: a part for each copy.

#include "bucket/core.hpp"
#include "bucket/parts.hpp"
#include "bucket/start.hpp"

#include <chaise/replica.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chaise::detail {

/// Which copies an operation reads.
struct CopyChoice {
    std::optional<unsigned> index{};  ///< only this replica
    ReadPreference preference = ReadPreference::no_preference;
    bool all = false;  ///< all of them, not the first
};

/// A part for each copy: what all reads of copies have in common.
class CopyRead : public Parts {
public:
    CopyRead(std::string_view key, const CopyChoice& choice, bool quiet) : key_(key), choice_(choice), quiet_(quiet) {}

    void start(Core& core, Slot& whole, Duration left) final;
    [[nodiscard]] bool needs_vbuckets() const noexcept final { return true; }
    [[nodiscard]] std::string_view about() const noexcept final { return key_; }
    void done(std::size_t n, OperationKind kind, void* result, Error* error) final;
    void finish(Core& core, Slot& whole) final;

protected:
    /// What nodes must be able to do, as a map has it among the bucket's capabilities; none: nothing special.
    [[nodiscard]] virtual std::string_view capability() const noexcept { return {}; }
    /// A part that asks for a copy (0: the active one).
    virtual void ask(Core& core, Slot& whole, std::uint16_t vbucket, std::uint8_t copy, Duration left) = 0;
    virtual void found(void* result, bool is_replica) = 0;
    [[nodiscard]] virtual bool found_any() const noexcept = 0;
    virtual void deliver_found(Core& core, Slot& whole, bool all) = 0;
    virtual void deliver_missing(Core& core, Slot& whole, bool all) = 0;

private:
    /// The copies to be asked; none, and `refused_`, if there is none.
    [[nodiscard]] std::vector<std::uint8_t> choose(Core& core, const Slot& whole, std::uint16_t vbucket);
    [[nodiscard]] Error why_not(Core& core, const Slot& whole) const;

    const std::string key_;
    const CopyChoice choice_;
    const bool quiet_;
    std::vector<std::uint8_t> asked_;  ///< by part
    std::vector<Error> errors_;
    std::optional<Error> refused_;
};

/// Of which each copy gives a `Copy`, made from the `Part` that its node gave.
template <class Part, class Copy>
class CopiesOf : public CopyRead {
public:
    using CopyRead::CopyRead;

protected:
    void found(void* result, bool is_replica) final {
        found_.emplace_back(std::move(*static_cast<Part*>(result)), is_replica);
    }
    [[nodiscard]] bool found_any() const noexcept final { return !found_.empty(); }
    void deliver_found(Core& core, Slot& whole, bool all) final {
        if (!all) return core.deliver(whole, found_.front());
        AllCopiesResult<Copy> copies(std::move(found_));
        core.deliver(whole, copies);
    }
    void deliver_missing(Core& core, Slot& whole, bool all) final {
        if (all) {
            AllCopiesResult<Copy> none(errc::document_not_found);
            return core.deliver(whole, none);
        }
        Copy none(errc::document_not_found);
        core.deliver(whole, none);
    }

private:
    std::vector<Copy> found_;
};

class ReplicaRead final : public CopiesOf<ValueResult, ReplicaResult> {
public:
    using CopiesOf::CopiesOf;

protected:
    void ask(Core& core, Slot& whole, std::uint16_t vbucket, std::uint8_t copy, Duration left) override;
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
