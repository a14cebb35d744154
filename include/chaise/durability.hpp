#pragma once

/// \file
/// Durability: how many copies of a document must have a mutation, in memory or on disk. Two ways, of which a mutation
/// takes one: observing the copies afterwards (`endure`, `persist_to`, `replicate_to`), which every Couchbase server
/// can, and the server's own durable writes (`DurabilityLevel`), from 6.5 on.

#include <chaise/multi_result.hpp>
#include <chaise/mutation_token.hpp>
#include <chaise/result.hpp>
#include <chaise/time.hpp>

#include <concepts>
#include <cstdint>
#include <optional>
#include <ranges>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace chaise {

/// A number of copies; a negative one means: as many as the cluster can give now.
class CopyCount {
public:
    constexpr CopyCount() noexcept = default;
    // NOLINTNEXTLINE: numbers are meant to be written as such
    constexpr CopyCount(int count) noexcept
        : count_(static_cast<std::int8_t>(count < 0     ? -1
                                          : count > 127 ? 127
                                                        : count)) {}
    [[nodiscard]] constexpr int count() const noexcept { return count_; }
    friend bool operator==(const CopyCount&, const CopyCount&) = default;

private:
    std::int8_t count_ = 0;
};

/// What a Couchbase server waits for before it answers a durable write. Until then nobody sees the write. A majority is
/// of the active copy and the replicas that the bucket is set up with: 2 copies with 1 or 2 replicas.
enum class DurabilityLevel : std::uint8_t {
    none = 0,
    majority = 1,                        ///< a majority has it in memory
    majority_and_persist_to_active = 2,  ///< and the active copy's node has it on disk
    persist_to_majority = 3,             ///< a majority has it on disk
};

/// endure. Defaults as in the seed, but for `interval`.
struct EndureOptions {
    /// Copies that have it on disk, the active one among them, which must be: 1 to 4. Negative: as many as there are
    /// now; 0: it is not looked at.
    int persist_to = -1;
    /// Replicas that have it, in memory at least: 1 to 3; negative and 0 as above. Not both may be 0.
    int replicate_to = -1;
    /// From the call to the outcome, used to its end. Default: 5 s.
    std::optional<Duration> timeout{};
    /// Between two questions to one copy; more than 0. Default: 10 ms, then doubling up to 100 ms.
    std::optional<Duration> interval{};
    /// Wait for the document's removal instead.
    bool check_removed = false;
    /// Which version: the one with this CAS, on every copy. 0: the one that the active copy has.
    Cas cas = 0;
    /// Which version: the one that the mutation made whose result gave this, or a newer one. Better than `cas`, which
    /// is not looked at then: it also knows what a failover has lost, and later mutations do no harm.
    std::optional<MutationToken> token{};
};

/// endure_multi: as EndureOptions, for every entry.
struct EndureMultiOptions {
    int persist_to = -1;
    int replicate_to = -1;
    std::optional<Duration> timeout{};
    std::optional<Duration> interval{};
    bool check_removed = false;
};

/// endure_multi: a document, and which version of it, as in EndureOptions.
struct EndureEntry {
    std::string_view key{};
    Cas cas = 0;
    std::optional<MutationToken> token{};
};

/// `bucket.durability(…)`
struct DurabilityOptions {
    /// For observing, from the mutation's outcome on. Default: 5 s. An operation that has a `timeout` of its own keeps
    /// to that.
    std::optional<Duration> timeout{};
    /// As in EndureOptions.
    std::optional<Duration> interval{};
};

namespace detail {

class Core;

/// An element of endure_multi's range, as the engine takes it.
struct EndureElement {
    std::string_view key{};
    Cas cas = 0;
    std::optional<MutationToken> token{};
    bool needs_version = false;  ///< from a result that should name one
};

template <class R>
concept NamesVersion = std::convertible_to<const R&, const Result&>;

struct ReadEndure {
    static void read(EndureElement& in, std::string_view key) { in.key = key; }
    static void read(EndureElement& in, const EndureEntry& entry) { in = {entry.key, entry.cas, entry.token}; }
    template <class K, class V>
    static void read(EndureElement& in, const std::pair<K, V>& entry)
        requires std::convertible_to<const K&, std::string_view>
    {
        in.key = entry.first;
        if constexpr (std::convertible_to<const V&, MutationToken>) {
            in.token = entry.second;
        } else if constexpr (NamesVersion<V>) {
            of_result(in, entry.second);
        } else {
            in.cas = static_cast<Cas>(entry.second);
        }
    }
    template <class T>
    static void read(EndureElement& in, const MultiEntry<T>& entry) {
        in.key = entry.key;
        in.needs_version = true;
        if (entry.result) of_result(in, *entry.result);
    }

private:
    template <class T>
    static void of_result(EndureElement& in, const T& result) {
        in.needs_version = true;
        in.cas = result.cas();
        if constexpr (requires { result.mutation_token(); }) in.token = result.mutation_token();
    }
};

/// A range whose elements endure_multi can read: keys, EndureEntry, pairs of a key and a CAS, a MutationToken or a
/// result, entries of a MultiResult.
template <class R>
concept EndureRange = std::ranges::input_range<R> &&
                      requires(EndureElement& in, const std::remove_cvref_t<std::ranges::range_reference_t<R>>& one) {
                          ReadEndure::read(in, one);
                      };

}  // namespace detail

/// While it lives, upsert, insert, replace, append, prepend, remove, counter and mutate_in (also in their multi forms)
/// of its bucket, in all its collections, that ask for no durability of their own have `persist_to` and `replicate_to`
/// (seed: `with bucket.durability(…)`). The newest that lives holds. It may outlive the bucket.
///
/// Mutations take it at the call: one that was started before, or whose answer comes after the scope's end, is not
/// touched. But it is the bucket's: what other coroutines start meanwhile has it, too.
///
/// Thread rule: the loop's thread.
class [[nodiscard]] DurabilityScope {
public:
    /// Made by the bucket.
    DurabilityScope(detail::Core& core, CopyCount persist_to, CopyCount replicate_to, const DurabilityOptions& options);
    DurabilityScope(DurabilityScope&& other) noexcept
        : core_(std::exchange(other.core_, nullptr)), id_(std::exchange(other.id_, 0)) {}
    DurabilityScope& operator=(DurabilityScope&& other) noexcept {
        std::swap(core_, other.core_);
        std::swap(id_, other.id_);
        return *this;
    }
    DurabilityScope(const DurabilityScope&) = delete;
    DurabilityScope& operator=(const DurabilityScope&) = delete;
    ~DurabilityScope();

private:
    detail::Core* core_;
    std::uint32_t id_;
};

}  // namespace chaise
