#pragma once

/// \file
/// observe: what each node that has a copy of a document knows of it.

#include <chaise/options.hpp>
#include <chaise/result.hpp>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace chaise {

/// A copy's state, with the numbers of the wire (seed: the flags of ObserveInfo).
enum class ObserveStatus : std::uint8_t {
    found = 0x00,              ///< in memory, not yet on disk
    persisted = 0x01,          ///< on disk
    not_found = 0x80,          ///< not there; after a removal: and that is on disk
    logically_deleted = 0x81,  ///< removed in memory, not yet on disk
};

/// One copy of a document (seed: ObserveInfo).
struct ObserveInfo {
    bool from_master = false;  ///< the active copy
    unsigned copy = 0;         ///< 0: the active copy, 1 to 3: replicas
    /// Whether the copy's node answered; if not, why, and the other fields mean nothing.
    errc rc = errc::success;
    ObserveStatus status = ObserveStatus::not_found;
    Cas cas = 0;  ///< 0 where the node knows nothing of the document
};

/// What observe gives: an entry for each copy that a node has, the active one first. A document that is not there is
/// a success, too. cas() is the active copy's, if its node answered.
class ObserveResult : public Result {
public:
    ObserveResult() = default;
    explicit ObserveResult(std::vector<ObserveInfo> copies) noexcept : copies_(std::move(copies)) {
        for (const ObserveInfo& info : copies_) {
            if (info.from_master && info.rc == errc::success) cas_ = info.cas;
        }
    }
    [[nodiscard]] const std::vector<ObserveInfo>& copies() const noexcept { return copies_; }
    /// The active copy's; null if its node did not answer.
    [[nodiscard]] const ObserveInfo* master() const noexcept {
        for (const ObserveInfo& info : copies_) {
            if (info.from_master && info.rc == errc::success) return &info;
        }
        return nullptr;
    }

private:
    std::vector<ObserveInfo> copies_;
};

/// observe, observe_multi
struct ObserveOptions {
    /// Only the active copy's node is asked.
    bool master_only = false;
    std::optional<Duration> timeout{};
};
static_assert(OperationOptions<ObserveOptions>);

}  // namespace chaise
