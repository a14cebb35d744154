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
    // mutations
    CopyCount persist_to{};
    CopyCount replicate_to{};
    DurabilityLevel durability = DurabilityLevel::none;
    // get_replica
    std::optional<unsigned> replica{};
    ReadPreference read_preference{};
};

/// Of operations of that kind, what their call says of all entries.
template <class Options>
[[nodiscard]] constexpr MultiCommon common_of(OperationKind kind, const Options& options) noexcept {
    MultiCommon common{.kind = kind, .timeout = options.timeout};
    if constexpr (requires { options.quiet; }) common.quiet = options.quiet;
    if constexpr (requires { options.durability; }) {
        common.persist_to = options.persist_to;
        common.replicate_to = options.replicate_to;
        common.durability = options.durability;
    }
    return common;
}

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
    MultiCommon common_;
    const bool two_ways_;  ///< a level and numbers of copies
    Slot* whole_ = nullptr;
};

}  // namespace chaise::detail
