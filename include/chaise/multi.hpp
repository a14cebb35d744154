#pragma once

/// \file
/// What multi operations take: ranges of keys, of pairs, or of the entry structs below, which have options of their
/// own; and the options of the call.
///
/// In a co_await expression name a range in a local first, or use `keys("a", "b")` and `entries(…)`: GCC 12 does not
/// compile braced lists there (compiler-traps.md).

#include <chaise/multi_result.hpp>
#include <chaise/options.hpp>

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ranges>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace chaise {

// ---- options of the call -------------------------------------------------------------------------------------------

/// get_multi, get_and_touch_multi, lock_multi: as GetOptions, for every entry.
struct QuietMultiOptions {
    std::optional<Duration> timeout{};
    std::optional<bool> quiet{};
};
/// upsert_multi, insert_multi, replace_multi. `expiry`, `flags`: of entries that name none of their own.
struct StoreMultiOptions {
    Expiry expiry{};
    std::uint32_t flags = 0;
    /// upsert_multi and replace_multi: as in StoreOptions; with insert_multi it is `errc::invalid_argument`.
    bool preserve_expiry = false;
    /// As in StoreOptions, of every entry; the copies of all are polled together. An entry that is stored and not seen
    /// to be durable has that error, which says so (`mutation_happened`), with its CAS and token.
    CopyCount persist_to{};
    CopyCount replicate_to{};
    DurabilityLevel durability = DurabilityLevel::none;
    std::optional<Duration> timeout{};
};
/// append_multi, prepend_multi: as StoreMultiOptions.
struct ConcatMultiOptions {
    CopyCount persist_to{};
    CopyCount replicate_to{};
    DurabilityLevel durability = DurabilityLevel::none;
    std::optional<Duration> timeout{};
};
/// remove_multi: `quiet` as GetOptions, the others as StoreMultiOptions.
struct RemoveMultiOptions {
    CopyCount persist_to{};
    CopyCount replicate_to{};
    DurabilityLevel durability = DurabilityLevel::none;
    std::optional<Duration> timeout{};
    std::optional<bool> quiet{};
};
/// counter_multi. `delta`, `initial`, `expiry`: of entries that name none of their own; see CounterOptions.
using CounterMultiOptions = CounterOptions;
/// The others.
struct MultiOptions {
    std::optional<Duration> timeout{};
};
static_assert(OperationOptions<QuietMultiOptions> && OperationOptions<StoreMultiOptions> &&
              OperationOptions<ConcatMultiOptions> && OperationOptions<RemoveMultiOptions> &&
              OperationOptions<MultiOptions>);

// ---- entries with options of their own -----------------------------------------------------------------------------

/// upsert_multi, replace_multi. `cas` as in StoreOptions; what is not given is the call's.
struct StoreEntry {
    std::string_view key{};
    std::string_view value{};
    Cas cas = 0;
    std::optional<Expiry> expiry{};
    std::optional<std::uint32_t> flags{};
    std::optional<bool> preserve_expiry{};
};
/// insert_multi
struct InsertEntry {
    std::string_view key{};
    std::string_view value{};
    std::optional<Expiry> expiry{};
    std::optional<std::uint32_t> flags{};
};
/// append_multi, prepend_multi
struct ConcatEntry {
    std::string_view key{};
    std::string_view value{};
    Cas cas = 0;
};
/// remove_multi (0: whatever CAS it has), unlock_multi
struct CasEntry {
    std::string_view key{};
    Cas cas = 0;
};
/// counter_multi
struct CounterEntry {
    std::string_view key{};
    std::optional<std::int64_t> delta{};
    std::optional<std::uint64_t> initial{};
    std::optional<Expiry> expiry{};
    std::optional<bool> preserve_expiry{};
};
/// touch_multi, get_and_touch_multi
struct TouchEntry {
    std::string_view key{};
    std::optional<Expiry> expiry{};
};
/// lock_multi
struct LockEntry {
    std::string_view key{};
    std::optional<std::chrono::seconds> lock_time{};
};
static_assert(OperationOptions<StoreEntry> && OperationOptions<InsertEntry> && OperationOptions<ConcatEntry> &&
              OperationOptions<CasEntry> && OperationOptions<CounterEntry> && OperationOptions<TouchEntry> &&
              OperationOptions<LockEntry>);

/// A range of a few entries, made in place; views stay views.
template <class E, std::size_t n>
class Entries {
public:
    template <class... A>
    explicit Entries(std::in_place_t, const A&... entries) : entries_{E(entries)...} {}
    [[nodiscard]] const E* begin() const noexcept { return entries_.data(); }
    [[nodiscard]] const E* end() const noexcept { return entries_.data() + n; }
    [[nodiscard]] std::size_t size() const noexcept { return n; }

private:
    std::array<E, n> entries_;
};
/// `co_await bucket.get_multi(keys("a", "b"))`
template <std::convertible_to<std::string_view>... K>
    requires(sizeof...(K) > 0)
[[nodiscard]] Entries<std::string_view, sizeof...(K)> keys(const K&... all) {
    return Entries<std::string_view, sizeof...(K)>(std::in_place, all...);
}
/// `co_await bucket.upsert_multi(entries(StoreEntry{.key = "a", .value = "1", .cas = cas}, StoreEntry{"b", "2"}))`
template <class E, std::same_as<E>... Rest>
    requires std::is_trivially_destructible_v<E>
[[nodiscard]] Entries<E, 1 + sizeof...(Rest)> entries(const E& first, const Rest&... rest) {
    return Entries<E, 1 + sizeof...(Rest)>(std::in_place, first, rest...);
}

namespace detail {

/// An entry of any multi operation, as the engine takes it; what the caller's range leaves open is the call's.
struct MultiInput {
    std::string_view key{};
    std::string_view value{};
    Cas cas = 0;
    bool needs_cas = false;  ///< from a result that should have one
    Expiry expiry{};
    std::uint32_t flags = 0;
    bool preserve_expiry = false;
    std::int64_t delta = 0;
    std::optional<std::uint64_t> initial{};
    std::chrono::seconds lock_time{};
};

template <class E>
concept KeyElement = std::convertible_to<const E&, std::string_view>;
template <class E>
concept PairElement = requires(const E& e) {
    requires std::tuple_size<E>::value == 2;
    { std::get<0>(e) } -> std::convertible_to<std::string_view>;
    std::get<1>(e);
};
template <class E, class Second>
concept PairWith = PairElement<E> && requires(const E& e) {
    { std::get<1>(e) } -> std::convertible_to<Second>;
};
/// `map<string, ValueResult>` and the like.
template <class E>
concept PairWithResult = PairElement<E> && requires(const E& e) {
    { std::get<1>(e) } -> std::convertible_to<const Result&>;
};

// What each operation reads from an element. A MultiResult is a range of keys, and of their CAS.
struct ReadKey {
    static void read(MultiInput& in, std::string_view key) { in.key = key; }
    template <class T>
    static void read(MultiInput& in, const MultiEntry<T>& entry) {
        in.key = entry.key;
    }
};
struct ReadTouch : ReadKey {
    using ReadKey::read;
    static void read(MultiInput& in, const TouchEntry& entry) {
        in.key = entry.key;
        if (entry.expiry) in.expiry = *entry.expiry;
    }
    static void read(MultiInput& in, const PairWith<Expiry> auto& entry) {
        in.key = std::get<0>(entry);
        in.expiry = std::get<1>(entry);
    }
};
struct ReadLock : ReadKey {
    using ReadKey::read;
    static void read(MultiInput& in, const LockEntry& entry) {
        in.key = entry.key;
        if (entry.lock_time) in.lock_time = *entry.lock_time;
    }
    static void read(MultiInput& in, const PairWith<std::chrono::seconds> auto& entry) {
        in.key = std::get<0>(entry);
        in.lock_time = std::get<1>(entry);
    }
};
struct ReadCounter : ReadKey {
    using ReadKey::read;
    static void read(MultiInput& in, const CounterEntry& entry) {
        in.key = entry.key;
        if (entry.delta) in.delta = *entry.delta;
        if (entry.initial) in.initial = *entry.initial;
        if (entry.expiry) in.expiry = *entry.expiry;
        if (entry.preserve_expiry) in.preserve_expiry = *entry.preserve_expiry;
    }
    static void read(MultiInput& in, const PairWith<std::int64_t> auto& entry) {
        in.key = std::get<0>(entry);
        in.delta = static_cast<std::int64_t>(std::get<1>(entry));
    }
};
struct ReadCas {
    static void read(MultiInput& in, const CasEntry& entry) {
        in.key = entry.key;
        in.cas = entry.cas;
    }
    static void read(MultiInput& in, const PairWith<Cas> auto& entry) {
        in.key = std::get<0>(entry);
        in.cas = static_cast<Cas>(std::get<1>(entry));
    }
    static void read(MultiInput& in, const PairWithResult auto& entry) {
        in.key = std::get<0>(entry);
        in.cas = static_cast<const Result&>(std::get<1>(entry)).cas();
        in.needs_cas = true;
    }
    template <class T>
    static void read(MultiInput& in, const MultiEntry<T>& entry) {
        in.key = entry.key;
        in.cas = entry.result ? entry.result->cas() : 0;
        in.needs_cas = true;
    }
};
struct ReadKeyOrCas : ReadCas {
    using ReadCas::read;
    static void read(MultiInput& in, std::string_view key) { in.key = key; }
};
struct ReadPair {
    static void read(MultiInput& in, const PairWith<std::string_view> auto& entry) {
        in.key = std::get<0>(entry);
        in.value = std::get<1>(entry);
    }
};
struct ReadStore : ReadPair {
    using ReadPair::read;
    static void read(MultiInput& in, const StoreEntry& entry) {
        in.key = entry.key;
        in.value = entry.value;
        in.cas = entry.cas;
        if (entry.expiry) in.expiry = *entry.expiry;
        if (entry.flags) in.flags = *entry.flags;
        if (entry.preserve_expiry) in.preserve_expiry = *entry.preserve_expiry;
    }
};
struct ReadInsert : ReadPair {
    using ReadPair::read;
    static void read(MultiInput& in, const InsertEntry& entry) {
        in.key = entry.key;
        in.value = entry.value;
        if (entry.expiry) in.expiry = *entry.expiry;
        if (entry.flags) in.flags = *entry.flags;
    }
};
struct ReadConcat : ReadPair {
    using ReadPair::read;
    static void read(MultiInput& in, const ConcatEntry& entry) {
        in.key = entry.key;
        in.value = entry.value;
        in.cas = entry.cas;
    }
};

/// A range whose elements the operation can read.
template <class R, class Reader>
concept MultiRange = std::ranges::input_range<R> &&
                     requires(MultiInput& in, const std::remove_cvref_t<std::ranges::range_reference_t<R>>& element) {
                         Reader::read(in, element);
                     };

}  // namespace detail

}  // namespace chaise
