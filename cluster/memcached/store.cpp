#include "cluster/memcached/store.hpp"

#include <cerrno>
#include <cstdlib>
#include <optional>
#include <utility>

namespace chaise::testing {

using protocol::Status;

namespace {

constexpr UnixSeconds thirty_days = 60 * 60 * 24 * 30;

// As memcached's safe_strtoull reads what is followed by its own "\r\n": leading blanks, a sign, and anything behind a
// blank are accepted.
std::optional<std::uint64_t> parse_number(std::string_view text) {
    const std::string copy = std::string(text) + "\r\n";
    char* end = nullptr;
    errno = 0;
    const unsigned long long number = std::strtoull(copy.c_str(), &end, 10);
    if (errno == ERANGE || end == copy.c_str()) return std::nullopt;
    const char stop = *end;
    if (stop != '\0' && stop != ' ' && (stop < '\t' || stop > '\r')) return std::nullopt;
    if (static_cast<long long>(number) < 0) {
        const auto parsed = std::string_view(copy.c_str(), static_cast<std::size_t>(end - copy.c_str()));
        if (parsed.find('-') != std::string_view::npos) return std::nullopt;
    }
    return number;
}

}  // namespace

UnixSeconds MemcachedStore::absolute(std::uint32_t expiry, UnixSeconds now) const noexcept {
    if (expiry == 0) return 0;
    if (expiry > thirty_days) return expiry <= started_ ? started_ + 1 : UnixSeconds{expiry};
    return now + expiry;
}

bool MemcachedStore::fits(std::size_t key, std::uint32_t flags, std::size_t value) const noexcept {
    // Header with CAS, key and its end, flags if there are any, value and "\r\n".
    return 48 + 8 + key + 1 + (flags != 0 ? 4 : 0) + value + 2 <= item_size_max_;
}

bool MemcachedStore::flushed(const MemcachedItem& item, UnixSeconds now) const noexcept {
    if (oldest_live_ == 0 || oldest_live_ > now) return false;
    return item.stored <= oldest_live_ || (oldest_cas_ != 0 && item.cas < oldest_cas_);
}

MemcachedItem* MemcachedStore::find(std::string_view key, UnixSeconds now) {
    const auto entry = items_.find(key);
    if (entry == items_.end()) return nullptr;
    MemcachedItem& item = entry->second;
    const bool expired = item.expires != 0 && item.expires <= now;
    if (!expired && !flushed(item, now)) return &item;
    ++(expired ? counters_.get_expired : counters_.get_flushed);
    items_.erase(entry);
    return nullptr;
}

const MemcachedItem* MemcachedStore::peek(std::string_view key, UnixSeconds now) const {
    const auto entry = items_.find(key);
    if (entry == items_.end()) return nullptr;
    const MemcachedItem& item = entry->second;
    return (item.expires != 0 && item.expires <= now) || flushed(item, now) ? nullptr : &item;
}

MemcachedItem& MemcachedStore::put(std::string_view key, std::string_view value, std::uint32_t flags,
                                   UnixSeconds expires, UnixSeconds now) {
    auto entry = items_.find(key);
    if (entry == items_.end()) {
        entry = items_.emplace(std::string(key), MemcachedItem{}).first;
        ++counters_.total_items;
    }
    MemcachedItem& item = entry->second;
    item.value.assign(value);
    item.flags = flags;
    item.expires = expires;
    item.stored = now;
    item.cas = ++last_cas_;
    return item;
}

MemcachedStore::Outcome MemcachedStore::get(std::string_view key, UnixSeconds now) {
    ++counters_.cmd_get;
    const MemcachedItem* item = find(key, now);
    ++(item != nullptr ? counters_.get_hits : counters_.get_misses);
    if (item == nullptr) return {.status = Status::key_enoent};
    return {.cas = item->cas, .item = item};
}

MemcachedStore::Outcome MemcachedStore::touch(std::string_view key, std::uint32_t expiry, UnixSeconds now, bool reads) {
    ++counters_.cmd_touch;
    MemcachedItem* item = find(key, now);
    ++(item != nullptr ? counters_.touch_hits : counters_.touch_misses);
    if (reads) {
        ++counters_.cmd_get;
        ++(item != nullptr ? counters_.get_hits : counters_.get_misses);
    }
    if (item == nullptr) return {.status = Status::key_enoent};
    item->expires = absolute(expiry, now);
    return {.cas = item->cas, .item = item};
}

MemcachedStore::Outcome MemcachedStore::store(StoreMode mode, std::string_view key, std::string_view value,
                                              std::uint32_t flags, std::uint32_t expiry, std::uint64_t cas,
                                              UnixSeconds now) {
    ++counters_.cmd_set;
    MemcachedItem* old = find(key, now);
    const bool joins = mode == StoreMode::append || mode == StoreMode::prepend;
    if (joins) {
        if (old == nullptr) return {.status = Status::not_stored};
        if (cas != 0 && cas != old->cas) return {.status = Status::key_eexists};
        if (!fits(key.size(), old->flags, old->value.size() + value.size())) return {.status = Status::not_stored};
        std::string joined = mode == StoreMode::append ? old->value : std::string(value);
        joined.append(mode == StoreMode::append ? value : std::string_view(old->value));
        return {.cas = put(key, joined, old->flags, old->expires, now).cas};
    }
    if (cas != 0) {
        // Whatever the command was, with a CAS it is "replace if it is still that".
        if (old == nullptr) {
            ++counters_.cas_misses;
            return {.status = Status::key_enoent};
        }
        if (old->cas != cas) {
            ++counters_.cas_badval;
            return {.status = Status::key_eexists};
        }
        ++counters_.cas_hits;
    } else if (mode == StoreMode::add && old != nullptr) {
        return {.status = Status::key_eexists};
    } else if (mode == StoreMode::replace && old == nullptr) {
        return {.status = Status::key_enoent};
    }
    return {.cas = put(key, value, flags, absolute(expiry, now), now).cas};
}

MemcachedStore::Outcome MemcachedStore::refuse_too_large(StoreMode mode, std::string_view key) {
    if (mode == StoreMode::set) {
        if (const auto entry = items_.find(key); entry != items_.end()) items_.erase(entry);
    }
    return {.status = Status::e2big};
}

MemcachedStore::Outcome MemcachedStore::remove(std::string_view key, std::uint64_t cas, UnixSeconds now) {
    const MemcachedItem* item = find(key, now);
    if (item == nullptr) {
        ++counters_.delete_misses;
        return {.status = Status::key_enoent};
    }
    if (cas != 0 && cas != item->cas) return {.status = Status::key_eexists};
    ++counters_.delete_hits;
    items_.erase(items_.find(key));
    return {};
}

MemcachedStore::Outcome MemcachedStore::add_delta(bool up, std::string_view key, std::uint64_t delta,
                                                  std::uint64_t initial, std::uint32_t expiry, std::uint64_t cas,
                                                  UnixSeconds now) {
    MemcachedItem* item = find(key, now);
    if (item == nullptr) {
        ++(up ? counters_.incr_misses : counters_.decr_misses);
        if (expiry == 0xffffffff) return {.status = Status::key_enoent};
        const MemcachedItem& made = put(key, std::to_string(initial), 0, absolute(expiry, now), now);
        return {.cas = made.cas, .number = initial};
    }
    if (item->value.empty()) return {.status = Status::delta_badval};
    if (cas != 0 && cas != item->cas) return {.status = Status::key_eexists};
    const auto number = parse_number(item->value);
    if (!number) return {.status = Status::delta_badval};
    ++(up ? counters_.incr_hits : counters_.decr_hits);
    const std::uint64_t result = up ? *number + delta : *number - (delta < *number ? delta : *number);
    std::string text = std::to_string(result);
    // In place if it is not longer: the rest becomes blanks.
    if (text.size() < item->value.size()) text.resize(item->value.size(), ' ');
    item->value = std::move(text);
    item->cas = ++last_cas_;
    return {.cas = item->cas, .number = result};
}

void MemcachedStore::flush(std::uint32_t delay, UnixSeconds now) {
    ++counters_.cmd_flush;
    oldest_live_ = (delay > 0 ? absolute(delay, now) : now) - 1;
    if (oldest_live_ <= now) oldest_cas_ = ++last_cas_;
}

bool MemcachedStore::evict(std::string_view key) {
    const auto entry = items_.find(key);
    if (entry == items_.end()) return false;
    items_.erase(entry);
    ++counters_.evictions;
    return true;
}

std::size_t MemcachedStore::bytes() const noexcept {
    std::size_t sum = 0;
    for (const auto& [key, item] : items_) sum += 48 + 8 + key.size() + 1 + item.value.size() + 2;
    return sum;
}

}  // namespace chaise::testing
