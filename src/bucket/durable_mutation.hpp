#pragma once

// Mutations that ask for more than a plain one: an expiry that is kept, a durable write, or to be seen on other copies
// afterwards. Off the way of those that do not.

#include "durability/endure.hpp"
#include "protocol/frame_info.hpp"

#include <chaise/detail/slot.hpp>
#include <chaise/error.hpp>
#include <chaise/options.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace chaise::detail {

/// Without a timeout of the caller's.
inline constexpr Duration default_durability_timeout = std::chrono::seconds(5);

/// 0 if the options ask for nothing of that kind; neighbours in memory, so that they are read at once.
template <class Options>
[[nodiscard, gnu::always_inline]] inline std::uint32_t beyond_plain(const Options& options) noexcept {
    const auto byte = [](CopyCount copies) { return std::uint32_t{static_cast<std::uint8_t>(copies.count())}; };
    std::uint32_t bits = byte(options.persist_to) << 8 | byte(options.replicate_to) << 16 |
                         std::uint32_t{static_cast<std::uint8_t>(options.durability)} << 24;
    if constexpr (requires { options.preserve_expiry; }) bits |= std::uint32_t{options.preserve_expiry};
    return bits;
}

/// What is awaited when a mutation has happened.
struct Awaited {
    Endure::Options wanted{};  ///< but for the deadline
    Duration polling_time = default_durability_timeout;
};

/// What a mutation that is more than a plain one asks for.
struct Beyond {
    bool preserve_expiry = false;
    CopyCount persist_to{};
    CopyCount replicate_to{};
    DurabilityLevel level = DurabilityLevel::none;
    std::optional<Duration> timeout{};
    bool removes = false;

    template <class Options>
    [[nodiscard]] static Beyond of(const Options& options) noexcept {
        Beyond beyond{.persist_to = options.persist_to,
                      .replicate_to = options.replicate_to,
                      .level = options.durability,
                      .timeout = options.timeout};
        if constexpr (requires { options.preserve_expiry; }) beyond.preserve_expiry = options.preserve_expiry;
        return beyond;
    }
};

inline constexpr const char* two_ways =
    "durability, and persist_to or replicate_to: of the two ways one operation takes one";

/// By the call, or by bucket.durability().
[[nodiscard]] std::optional<Awaited> awaited(const Core& core, const Beyond& beyond);
/// When awaiting it ends, of a mutation that has an outcome now. `timeout`: the caller's.
[[nodiscard]] TimePoint end_of_polling(Core& core, const Slot& whole, const Awaited& awaited,
                                       const std::optional<Duration>& timeout);
/// What could not be known before there was a map: why so many copies cannot be had.
[[nodiscard]] std::string fault_of(Core& core, const Endure::Options& wanted, errc& code);
/// False, and the operation rejected, if it is known now that so many copies cannot be had.
[[nodiscard]] bool check_copies(Core& core, Slot& slot, std::string_view key, const Endure::Options& wanted);
/// The error, of a mutation that has happened.
[[nodiscard]] Error of_mutation(const Error& error, Cas cas, const std::optional<MutationToken>& token);

/// Where the request of such a mutation goes, and what is said in it: the operation's own slot, or that of the first
/// part of an operation that polls copies afterwards. Lives until the request is in its line.
class MutationRequest {
public:
    /// Checks what is asked for. False: the operation has been rejected.
    MutationRequest(Core& core, Slot& slot, std::string_view key, const Beyond& beyond);
    MutationRequest(const MutationRequest&) = delete;
    MutationRequest& operator=(const MutationRequest&) = delete;
    ~MutationRequest();
    [[nodiscard]] explicit operator bool() const noexcept { return slot_ != nullptr; }

    [[nodiscard]] Slot& slot() noexcept { return *slot_; }
    [[nodiscard]] std::span<const protocol::RequestFrameInfo> frame_infos() const noexcept {
        return {infos_.data(), used_};
    }
    [[nodiscard]] const std::optional<Duration>& timeout() const noexcept { return timeout_; }

private:
    bool check(const Beyond& beyond);
    bool check_level(DurabilityLevel level);
    bool reject(errc code, std::string message);

    Core& core_;
    Slot& whole_;
    const std::string_view key_;
    Slot* slot_ = nullptr;
    std::optional<Duration> timeout_;
    std::array<protocol::RequestFrameInfo, 2> infos_{};
    std::size_t used_ = 0;
};

// Each into the slot acquired for it, key and value checked.
[[gnu::cold]] void store_otherwise(Core& core, Slot& slot, OperationKind kind, std::string_view key,
                                   std::string_view value, StoreOptions options);
[[gnu::cold]] void concat_otherwise(Core& core, Slot& slot, OperationKind kind, std::string_view key,
                                    std::string_view value, ConcatOptions options);
[[gnu::cold]] void remove_otherwise(Core& core, Slot& slot, std::string_view key, RemoveOptions options);
[[gnu::cold]] void count_otherwise(Core& core, Slot& slot, std::string_view key, CounterOptions options);

}  // namespace chaise::detail
