#pragma once

// One call of a multi operation, entry by entry. Not for users.

#include <chaise/detail/slot.hpp>
#include <chaise/multi.hpp>
#include <chaise/replica.hpp>

#include <cstddef>
#include <optional>

namespace chaise::detail {

class MultiParts;

/// What is the same for all entries of a call.
struct MultiCommon {
    OperationKind kind;  ///< of each entry
    std::optional<Duration> timeout{};
    std::optional<bool> quiet{};
    // get_replica
    std::optional<unsigned> replica{};
    ReadPreference read_preference{};
};

/// Starts the entries as they come; nothing is written before the loop's next turn, so that what was put into the
/// pipelines is taken back when a later entry is refused, or when the caller's range throws.
class MultiCall {
public:
    MultiCall(Core& core, Collection& collection, const MultiCommon& common, std::size_t expected);
    MultiCall(const MultiCall&) = delete;
    MultiCall& operator=(const MultiCall&) = delete;
    ~MultiCall();

    /// False: refused, and so is the whole; no more of them are wanted.
    [[nodiscard]] bool add(const MultiInput& entry);
    /// The whole operation's slot, with the handle's share.
    [[nodiscard]] Slot& finish();

private:
    Core& core_;
    const MultiCommon common_;
    Slot* whole_ = nullptr;
};

}  // namespace chaise::detail
