#pragma once

#include "bucket/core.hpp"
#include "bucket/part_slots.hpp"
#include "bucket/parts.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace chaise::detail {

/// Parts that come one after the other: each outcome decides whether another step begins, or the whole is done. The
/// whole's time is that of its steps together. A step that only reads leaves no doubt about what has happened.
class Sequence : public Parts {
public:
    Sequence(Core& core, Slot& whole, std::string_view key, const std::optional<Duration>& timeout);

    void done(std::size_t n, OperationKind kind, void* result, Error* error) final;
    void finish(Core& core, Slot& whole) final;
    [[nodiscard]] Error attach_to(Error error) final;

protected:
    /// A step's result: the whole's, unless another step is begun.
    virtual void succeeded(OperationKind kind, void* result) = 0;
    /// A step's error. True: another one is begun in its place; false: it is the whole's, unless end_with says better.
    virtual bool failed(OperationKind kind, const Error& error) = 0;
    virtual void deliver_result(Core& core, Slot& whole) = 0;

    [[nodiscard]] Core& core() noexcept { return core_; }
    [[nodiscard]] const std::string& key() const noexcept { return key_; }
    /// For the step that begins now.
    [[nodiscard]] PartSlots reading() noexcept { return slots(true); }
    [[nodiscard]] PartSlots changing() noexcept { return slots(false); }
    [[nodiscard]] Duration time_left() { return whole_.deadline - core_.now(); }
    /// The whole has an error of its own.
    void end_with(errc code, std::string message);

private:
    [[nodiscard]] PartSlots slots(bool only_reads) noexcept {
        only_reads_ = only_reads;
        return {core_, whole_};
    }
    [[nodiscard]] Error of_whole(const Error& error);

    Core& core_;
    Slot& whole_;
    const std::string key_;
    std::optional<Error> error_;
    std::uint32_t repetitions_ = 0;
    bool only_reads_ = true;
};

}  // namespace chaise::detail
