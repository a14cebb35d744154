#pragma once

/// \file
/// Options of operations. All are aggregates of trivially destructible members, because GCC 12 destroys other
/// temporaries twice inside a co_await expression (compiler-traps.md); use designated initialisers:
/// `co_await bucket.upsert("k", "v", {.expiry = 10min})`.

#include <chaise/durability.hpp>
#include <chaise/result.hpp>
#include <chaise/time.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <type_traits>

namespace chaise {

/// When a document ends. A duration counts from now, a time point is calendar time; both mean what they say at
/// every length (a plain number of seconds over 30 days would be taken by the server for a date: that trap cannot
/// be fallen into). Fractions of a second are rounded up. Out of range (not over 0, over 50 years, before 1970+30 days
/// or after 2106) is `errc::invalid_argument` of the operation.
class Expiry {
public:
    /// Never.
    constexpr Expiry() noexcept = default;
    template <class Rep, class Period>
    constexpr Expiry(std::chrono::duration<Rep, Period> after) noexcept
        : kind_(Kind::after), seconds_(to_seconds(after)) {}
    template <class D>
    constexpr Expiry(std::chrono::time_point<std::chrono::system_clock, D> at) noexcept
        : kind_(Kind::at), seconds_(to_seconds(at.time_since_epoch())) {}

    enum class Kind : std::uint8_t { never, after, at };
    [[nodiscard]] constexpr Kind kind() const noexcept { return kind_; }
    [[nodiscard]] constexpr std::int64_t seconds() const noexcept { return seconds_; }

private:
    template <class Rep, class Period>
    static constexpr std::int64_t to_seconds(std::chrono::duration<Rep, Period> d) noexcept {
        // What cannot be counted is out of range, not undefined.
        const double seconds = std::chrono::duration<double>(d).count();
        if (!(seconds > -1e12 && seconds < 1e12)) return -1;
        return std::chrono::ceil<std::chrono::duration<std::int64_t>>(d).count();
    }
    Kind kind_ = Kind::never;
    std::int64_t seconds_ = 0;
};

/// `timeout`: from the call to the outcome, all attempts and waiting included; default: the bucket's
/// (`operation_timeout`, 2.5 s). The clock is read once per turn of the loop, so that time which the same handler spent
/// before the call counts, too.
struct GetOptions {
    std::optional<Duration> timeout{};
    /// true: "not found" is a result whose success() is false; default: the bucket's `quiet`.
    std::optional<bool> quiet{};
};

struct StoreOptions {
    /// upsert and replace only: do it only if the document still has this CAS; 0: whatever it has.
    Cas cas = 0;
    Expiry expiry{};
    /// 32 bits stored with the document.
    std::uint32_t flags = 0;
    /// upsert and replace only: the document keeps the expiry that it has; `expiry` is then of a document that upsert
    /// makes (with replace both are `errc::invalid_argument`). `errc::feature_not_available` where the node does not
    /// grant it (Couchbase before 7.0, memcached), before anything is sent.
    bool preserve_expiry = false;
    /// When it is stored, it is awaited, as by `endure`, that so many copies have it on disk (the active one among
    /// them), and so many replicas have it; negative: as many as there are now. Both 0: not awaited, unless
    /// `bucket.durability()` says so. `timeout` is then that of both together; without one, awaiting has 5 s from the
    /// mutation's outcome on. If it is stored, and not seen to be durable, the error is that of endure, and
    /// error.context().mutation_happened is true.
    CopyCount persist_to{};
    CopyCount replicate_to{};
    /// The server answers when so much is done; until then nobody sees the write (Couchbase from 6.5 on). Not together
    /// with the two above. Default of `timeout`: 10 s. Errors: feature_not_available (server or bucket cannot, nothing
    /// was sent), durability_level_not_available, durability_impossible (not enough nodes now; both: nothing was
    /// written), durability_ambiguous (it may have happened, as it may after a timeout or a lost connection: read the
    /// document back, or repeat the operation if that does no harm).
    DurabilityLevel durability = DurabilityLevel::none;
    std::optional<Duration> timeout{};
};
using UpsertOptions = StoreOptions;
using ReplaceOptions = StoreOptions;

struct InsertOptions {
    Expiry expiry{};
    std::uint32_t flags = 0;
    /// These three as in StoreOptions.
    CopyCount persist_to{};
    CopyCount replicate_to{};
    DurabilityLevel durability = DurabilityLevel::none;
    std::optional<Duration> timeout{};
};

/// append, prepend
struct ConcatOptions {
    Cas cas = 0;
    /// These three as in StoreOptions.
    CopyCount persist_to{};
    CopyCount replicate_to{};
    DurabilityLevel durability = DurabilityLevel::none;
    std::optional<Duration> timeout{};
};

struct RemoveOptions {
    Cas cas = 0;
    /// These three as in StoreOptions; what is awaited is the removal.
    CopyCount persist_to{};
    CopyCount replicate_to{};
    DurabilityLevel durability = DurabilityLevel::none;
    std::optional<Duration> timeout{};
    std::optional<bool> quiet{};
};

struct CounterOptions {
    /// Added to the number; negative values subtract (the server stops at 0, and wraps above 2^64 - 1).
    std::int64_t delta = 1;
    /// Value of a document that does not exist yet; none: then it is `errc::document_not_found`.
    std::optional<std::uint64_t> initial{};
    /// Of a document created by `initial` (without one it is `errc::invalid_argument`).
    Expiry expiry{};
    /// These four as in StoreOptions.
    bool preserve_expiry = false;
    CopyCount persist_to{};
    CopyCount replicate_to{};
    DurabilityLevel durability = DurabilityLevel::none;
    std::optional<Duration> timeout{};
};

/// touch
struct TouchOptions {
    std::optional<Duration> timeout{};
};

struct GetAndTouchOptions {
    std::optional<Duration> timeout{};
    std::optional<bool> quiet{};
};

struct LockOptions {
    std::optional<Duration> timeout{};
    std::optional<bool> quiet{};
};

struct UnlockOptions {
    std::optional<Duration> timeout{};
};

struct ExistsOptions {
    std::optional<Duration> timeout{};
};

/// noop, version, flush, connect
struct ServerOptions {
    /// Default for connect: the bucket's `connect_timeout`.
    std::optional<Duration> timeout{};
};

struct StatsOptions {
    std::optional<Duration> timeout{};
};

/// map_add, list_append, list_prepend, set_add, queue_push
struct ContainerAddOptions {
    /// A document that does not exist is created, as an empty map, list, set or queue before the addition; without it
    /// that is document_not_found.
    bool create = false;
    /// Do it only if the document still has this CAS; 0: whatever it has.
    Cas cas = 0;
    /// Every change sets the document's expiry; Expiry{}, the default, is never.
    Expiry expiry{};
    /// The document keeps the expiry that it has; `expiry` is then that of a document which is created.
    bool preserve_expiry = false;
    /// These three as in StoreOptions.
    CopyCount persist_to{};
    CopyCount replicate_to{};
    DurabilityLevel durability = DurabilityLevel::none;
    std::optional<Duration> timeout{};
};

/// map_remove, list_set, list_remove; for set_remove without `cas`.
struct ContainerChangeOptions {
    /// Do it only if the document still has this CAS; 0: whatever it has.
    Cas cas = 0;
    Expiry expiry{};
    bool preserve_expiry = false;
    /// These three as in StoreOptions.
    CopyCount persist_to{};
    CopyCount replicate_to{};
    DurabilityLevel durability = DurabilityLevel::none;
    std::optional<Duration> timeout{};
};
struct SetRemoveOptions {
    Expiry expiry{};
    bool preserve_expiry = false;
    /// These three as in StoreOptions.
    CopyCount persist_to{};
    CopyCount replicate_to{};
    DurabilityLevel durability = DurabilityLevel::none;
    std::optional<Duration> timeout{};
};
/// queue_pop. Copies are not awaited, by bucket.durability() neither: the error that there are too few of them would
/// take the place of the value.
struct ContainerTakeOptions {
    Expiry expiry{};
    bool preserve_expiry = false;
    std::optional<Duration> timeout{};
};

/// map_get, list_get, set_contains and the sizes
struct ContainerReadOptions {
    std::optional<Duration> timeout{};
};

template <class O>
concept OperationOptions = std::is_aggregate_v<O> && std::is_trivially_destructible_v<O>;
static_assert(OperationOptions<GetOptions> && OperationOptions<StoreOptions> && OperationOptions<InsertOptions> &&
              OperationOptions<ConcatOptions> && OperationOptions<RemoveOptions> && OperationOptions<CounterOptions> &&
              OperationOptions<TouchOptions> && OperationOptions<GetAndTouchOptions> && OperationOptions<LockOptions> &&
              OperationOptions<UnlockOptions> && OperationOptions<ExistsOptions> && OperationOptions<ServerOptions> &&
              OperationOptions<StatsOptions> && OperationOptions<ContainerAddOptions> &&
              OperationOptions<ContainerChangeOptions> && OperationOptions<SetRemoveOptions> &&
              OperationOptions<ContainerTakeOptions> && OperationOptions<ContainerReadOptions> &&
              OperationOptions<EndureOptions> && OperationOptions<EndureMultiOptions> &&
              OperationOptions<EndureEntry> && OperationOptions<DurabilityOptions>);

}  // namespace chaise
