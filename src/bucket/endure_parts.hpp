#pragma once

#include "bucket/parts.hpp"
#include "durability/endure.hpp"

#include <chaise/error.hpp>
#include <chaise/result.hpp>

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace chaise::detail {

/// An operation that polls copies, after other parts of its own, or at once: Endure's questions are its parts, and so
/// is the pause between two sweeps.
class EndureParts : public Parts {
public:
    [[nodiscard]] bool needs_vbuckets() const noexcept override { return true; }

protected:
    /// From start(), or from done(): the first questions go. The run has its keys; there is a cluster map.
    void begin_polling(Core& core, Slot& whole, Endure run);
    /// From done(), for each key as it comes: the first questions go when this turn's answers are read, so that keys
    /// which join together are asked for together. `options` are the same for all but for the deadline.
    void join_polling(Core& core, Slot& whole, const Endure::Options& options, Endure::Key key);
    /// From done(): whether others may still join; until none does, that all keys are done is not the end.
    void others_may_join(bool yes) noexcept;
    /// False: the part was not one of the polling's.
    bool polled(std::size_t n, OperationKind kind, void* result, const Error* error);
    [[nodiscard]] bool polls() const noexcept { return run_.has_value(); }
    [[nodiscard]] const Endure::Key& key(std::size_t at) const noexcept { return run_->keys()[at]; }
    [[nodiscard]] std::size_t key_count() const noexcept { return run_ ? run_->keys().size() : 0; }
    /// Why the key's version was not seen to be durable.
    [[nodiscard]] Error error_of(const Endure::Key& key) const;

private:
    void begin(Core& core, Slot& whole, Endure run);
    void sweep();
    /// The n-th part is pausing no more.
    void resume(std::size_t n, bool late);
    void ask();
    void take(const Endure::Packet& packet, OperationKind kind, void* result, const Error* error);

    Core* core_ = nullptr;
    Slot* whole_ = nullptr;
    std::optional<Endure> run_;
    std::vector<Endure::Packet> asked_;     ///< by part
    std::optional<std::size_t> next_;       ///< the pause before the next sweep
    std::optional<std::size_t> gathering_;  ///< the pause in which keys join
    bool others_ = false;
};

}  // namespace chaise::detail
