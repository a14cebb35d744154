#pragma once

#include <chaise/detail/slot.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace chaise::detail {

class AnyMultiData;

/// The parts that an operation of the user's consists of: operations of the engine's own, each with a slot without
/// a handle, that report to the whole. It lies in the accumulator of the whole's slot (owned_by_parts) until the last
/// part is done, or nobody waits for the whole any more: then the parts that are left are given up.
class Parts {
public:
    Parts() = default;
    Parts(const Parts&) = delete;
    Parts& operator=(const Parts&) = delete;
    virtual ~Parts() = default;

    /// Of an operation that begins when it is known whom to ask: adds the parts.
    virtual void start(Core& core, Slot& whole, Duration left) {
        static_cast<void>(core), static_cast<void>(whole), static_cast<void>(left);
    }
    /// It cannot be done where keys are on a ring.
    [[nodiscard]] virtual bool needs_vbuckets() const noexcept { return false; }
    /// Its collection must be known before it begins: it has keys.
    [[nodiscard]] virtual bool needs_collection() const noexcept { return needs_vbuckets(); }
    /// Which key the operation is about, if it is one.
    [[nodiscard]] virtual std::string_view about() const noexcept { return {}; }
    /// The outcome of the part that was added as the n-th; one of `result` and `error` is set. May add others, unless
    /// the error is `errc::cancelled`.
    virtual void done(std::size_t n, OperationKind kind, void* result, Error* error) = 0;
    /// All parts are done: the whole's outcome is delivered.
    virtual void finish(Core& core, Slot& whole) = 0;
    /// Of many entries: those that have their outcome.
    [[nodiscard]] virtual std::shared_ptr<const AnyMultiData> so_far() const { return nullptr; }
    /// The whole's error, with what the parts came to.
    [[nodiscard]] virtual Error attach_to(Error error) { return error; }
    [[nodiscard]] bool empty() const noexcept { return slots_.empty(); }

protected:
    /// The parts that are left are not needed any more; to be said in done().
    void enough() noexcept { enough_ = true; }
    /// A part that is added takes the place of one that is done, so that there are no more of them than there were at
    /// one time: of operations that go on and on. What belongs to the n-th is to be taken first thing in done().
    void reuse_places() noexcept { reuses_places_ = true; }

private:
    friend class Core;
    std::vector<Slot*> slots_;       ///< null: done
    std::vector<std::size_t> free_;  ///< places for other parts
    std::size_t left_ = 1;           ///< who adds the parts counts for one
    bool enough_ = false;
    bool reuses_places_ = false;
};

/// True, and the whole has ended with it, if one of the errors is that the bucket was closed: whatever else the parts
/// came to.
bool deliver_shutdown(Core& core, Slot& whole, std::string_view key, std::span<const Error> errors);

}  // namespace chaise::detail
