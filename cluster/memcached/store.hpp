#pragma once

// What a memcached 1.6 keeps, and what its commands do to it. No wire, no clock: time is given in.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "protocol/status.hpp"

namespace chaise::testing {

/// Unix seconds. memcached knows no finer time.
using UnixSeconds = std::int64_t;

struct MemcachedItem {
    std::string value;
    std::uint64_t cas = 0;
    UnixSeconds expires = 0;  ///< 0: never
    UnixSeconds stored = 0;
    std::uint32_t flags = 0;
};

struct MemcachedCounters {
    std::uint64_t cmd_get = 0, get_hits = 0, get_misses = 0, get_expired = 0, get_flushed = 0;
    std::uint64_t cmd_set = 0, cmd_flush = 0, cmd_touch = 0, touch_hits = 0, touch_misses = 0;
    std::uint64_t delete_hits = 0, delete_misses = 0, incr_hits = 0, incr_misses = 0, decr_hits = 0, decr_misses = 0;
    std::uint64_t cas_hits = 0, cas_misses = 0, cas_badval = 0, total_items = 0, evictions = 0;
};

/// Semantics as memcached 1.6.18 has them (protocol.md 2.9), also where they surprise.
class MemcachedStore {
public:
    enum class StoreMode : std::uint8_t { set, add, replace, append, prepend };
    struct Outcome {
        protocol::Status status = protocol::Status::success;
        std::uint64_t cas = 0;
        std::uint64_t number = 0;             ///< of counters
        const MemcachedItem* item = nullptr;  ///< of reads; valid until the next command
    };

    explicit MemcachedStore(std::size_t item_size_max) noexcept : item_size_max_(item_size_max) {}

    /// Absolute expiry from what is on the wire: 0 never, up to 30 days from now, else a Unix time, unsigned: over the
    /// binary protocol 0xffffffff is far in the future (only the text protocol knows negative times).
    [[nodiscard]] UnixSeconds absolute(std::uint32_t expiry, UnixSeconds now) const noexcept;
    [[nodiscard]] bool fits(std::size_t key, std::uint32_t flags, std::size_t value) const noexcept;

    Outcome get(std::string_view key, UnixSeconds now);
    Outcome touch(std::string_view key, std::uint32_t expiry, UnixSeconds now, bool reads);
    Outcome store(StoreMode mode, std::string_view key, std::string_view value, std::uint32_t flags,
                  std::uint32_t expiry, std::uint64_t cas, UnixSeconds now);
    /// A value that does not fit was announced: a set forgets the old one, so that nothing stale is read.
    Outcome refuse_too_large(StoreMode mode, std::string_view key);
    Outcome remove(std::string_view key, std::uint64_t cas, UnixSeconds now);
    Outcome add_delta(bool up, std::string_view key, std::uint64_t delta, std::uint64_t initial, std::uint32_t expiry,
                      std::uint64_t cas, UnixSeconds now);
    void flush(std::uint32_t delay, UnixSeconds now);
    /// What an LRU does, at a moment of the test's choice. False: there was none.
    bool evict(std::string_view key);
    void clear() noexcept { items_.clear(); }

    /// For tests that look inside.
    [[nodiscard]] const MemcachedItem* peek(std::string_view key, UnixSeconds now) const;
    [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
    [[nodiscard]] std::size_t bytes() const noexcept;
    [[nodiscard]] MemcachedCounters& counters() noexcept { return counters_; }
    void set_started(UnixSeconds started) noexcept { started_ = started; }
    [[nodiscard]] UnixSeconds started() const noexcept { return started_; }

private:
    struct Hash : std::hash<std::string_view> {
        using is_transparent = void;
    };
    using Items = std::unordered_map<std::string, MemcachedItem, Hash, std::equal_to<>>;

    [[nodiscard]] bool flushed(const MemcachedItem& item, UnixSeconds now) const noexcept;
    [[nodiscard]] MemcachedItem* find(std::string_view key, UnixSeconds now);
    MemcachedItem& put(std::string_view key, std::string_view value, std::uint32_t flags, UnixSeconds expires,
                       UnixSeconds now);

    Items items_;  // never iterated where the order shows
    MemcachedCounters counters_;
    std::size_t item_size_max_;
    std::uint64_t last_cas_ = 0;
    UnixSeconds started_ = 0;
    UnixSeconds oldest_live_ = 0;  // from then on, what is older than that is gone
    std::uint64_t oldest_cas_ = 0;
};

}  // namespace chaise::testing
