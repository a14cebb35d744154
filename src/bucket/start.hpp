#pragma once

// How operations begin: arguments checked, encoded, into the pipeline. `slots.acquire(kind, opcode)` gives the slot,
// which knows the collection of its key: KeySlots for an operation of the user's, a part's for an entry of a multi
// operation.

#include "bucket/core.hpp"
#include "bucket/durable_mutation.hpp"
#include "bucket/settings.hpp"
#include "protocol/requests.hpp"

#include <string>
#include <utility>

namespace chaise::detail {

/// Where an operation of the user's on a document gets its slot from.
struct KeySlots {
    Core& core;
    Collection& collection;
    [[nodiscard, gnu::always_inline]] Slot& acquire(OperationKind kind, protocol::Opcode opcode) const {
        return core.acquire(&collection, kind, opcode);
    }
};

inline constexpr std::size_t max_value_size = std::size_t{20} << 20;  // protocol.md 1.8

[[gnu::cold, gnu::noinline]] inline void reject_key(Core& core, Slot& slot, std::string_view key) {
    core.reject(slot, errc::invalid_argument, key.substr(0, protocol::max_key_size),
                key.empty() ? "the key is empty"
                            : "the key has " + std::to_string(key.size()) + " bytes, the limit is " +
                                  std::to_string(slot.collection->max_key_size()));
}

/// False, and the operation rejected, if the key cannot be sent.
[[gnu::always_inline]] inline bool check_key(Core& core, Slot& slot, std::string_view key) {
    if (key.size() - 1 < slot.collection->max_key_size()) [[likely]]
        return true;
    reject_key(core, slot, key);
    return false;
}

inline bool check_value(Core& core, Slot& slot, std::string_view key, std::string_view value) {
    if (value.size() <= max_value_size) [[likely]]
        return true;
    core.reject(slot, errc::value_too_large, key,
                "the value has " + std::to_string(value.size()) + " bytes, the limit is 20 MiB");
    return false;
}

/// As on the wire; nothing, and the operation rejected, if it is out of range.
inline std::optional<std::uint32_t> check_expiry(Core& core, Slot& slot, std::string_view key, Expiry expiry) {
    if (expiry.kind() == Expiry::Kind::never) [[likely]]
        return 0;
    std::string why;
    const auto wire = core.wire_expiry(expiry, why);
    if (!wire) core.reject(slot, errc::invalid_argument, key, std::move(why));
    return wire;
}

inline constexpr std::chrono::seconds min_lock_time{1};
inline constexpr std::chrono::seconds max_lock_time{30};

inline bool check_locks(Core& core, Slot& slot, std::string_view key) {
    if (core.settings().connection.scheme != Scheme::memcached) [[likely]]
        return true;
    core.reject(slot, errc::unsupported_operation, key.substr(0, protocol::max_key_size),
                "plain memcached has no locks");
    return false;
}

[[gnu::cold, gnu::noinline]] inline void reject_on_memcached(Core& core, Slot& slot, std::string_view key,
                                                             const char* what) {
    core.reject(slot, errc::unsupported_operation, key.substr(0, protocol::max_key_size),
                std::string("plain memcached has no ") + what);
}

/// False, and the operation rejected, on plain memcached.
inline bool check_couchbase(Core& core, Slot& slot, std::string_view key, const char* what) {
    if (core.settings().connection.scheme != Scheme::memcached) [[likely]]
        return true;
    reject_on_memcached(core, slot, key, what);
    return false;
}

inline protocol::Opcode opcode_of(OperationKind kind) noexcept {
    switch (kind) {
        case OperationKind::upsert:
            return protocol::Opcode::set;
        case OperationKind::insert:
            return protocol::Opcode::add;
        case OperationKind::replace:
            return protocol::Opcode::replace;
        case OperationKind::append:
            return protocol::Opcode::append;
        case OperationKind::prepend:
            return protocol::Opcode::prepend;
        case OperationKind::flush:
            return protocol::Opcode::flush;
        default:
            return protocol::Opcode::noop;
    }
}

template <class Slots>
[[gnu::always_inline]] inline Slot& start_get(Core& core, const Slots& slots, std::string_view key,
                                              const GetOptions& options) {
    Slot& slot = slots.acquire(OperationKind::get, protocol::Opcode::get);
    slot.quiet = options.quiet.value_or(core.settings().quiet);
    slot.idempotent = true;
    if (check_key(core, slot, key)) {
        protocol::GetRequest request{.key = key};
        core.submit(slot, options.timeout, key, request);
    }
    return slot;
}

template <class Slots>
Slot& start_get_and_touch(Core& core, const Slots& slots, std::string_view key, Expiry expiry,
                          const GetAndTouchOptions& options) {
    Slot& slot = slots.acquire(OperationKind::get_and_touch, protocol::Opcode::gat);
    slot.quiet = options.quiet.value_or(core.settings().quiet);
    if (check_key(core, slot, key)) {
        if (const auto wire = check_expiry(core, slot, key, expiry)) {
            protocol::GetAndTouchRequest request{.key = key, .expiry = *wire};
            core.submit(slot, options.timeout, key, request);
        }
    }
    return slot;
}

template <class Slots>
[[gnu::always_inline]] inline Slot& start_store(Core& core, const Slots& slots, OperationKind kind,
                                                std::string_view key, std::string_view value,
                                                const StoreOptions& options) {
    Slot& slot = slots.acquire(kind, opcode_of(kind));
    if (check_key(core, slot, key) && check_value(core, slot, key, value)) {
        if ((beyond_plain(options) | core.durable_by_default()) != 0) [[unlikely]] {
            store_otherwise(core, slot, kind, key, value, options);
        } else if (const auto wire = check_expiry(core, slot, key, options.expiry)) {
            protocol::StoreRequest request{
                .opcode = opcode_of(kind), .key = key, .value = value, .flags = options.flags, .expiry = *wire};
            request.context.cas = options.cas;
            core.submit(slot, options.timeout, key, request);
        }
    }
    return slot;
}

template <class Slots>
Slot& start_concat(Core& core, const Slots& slots, OperationKind kind, std::string_view key, std::string_view value,
                   const ConcatOptions& options) {
    Slot& slot = slots.acquire(kind, opcode_of(kind));
    if (check_key(core, slot, key) && check_value(core, slot, key, value)) {
        if ((beyond_plain(options) | core.durable_by_default()) != 0) {
            concat_otherwise(core, slot, kind, key, value, options);
            return slot;
        }
        protocol::ConcatRequest request{.opcode = opcode_of(kind), .key = key, .value = value};
        request.context.cas = options.cas;
        core.submit(slot, options.timeout, key, request);
    }
    return slot;
}

template <class Slots>
Slot& start_remove(Core& core, const Slots& slots, std::string_view key, const RemoveOptions& options) {
    Slot& slot = slots.acquire(OperationKind::remove, protocol::Opcode::remove);
    slot.quiet = options.quiet.value_or(core.settings().quiet);
    if (check_key(core, slot, key)) {
        if ((beyond_plain(options) | core.durable_by_default()) != 0) {
            remove_otherwise(core, slot, key, options);
            return slot;
        }
        protocol::RemoveRequest request{.key = key};
        request.context.cas = options.cas;
        core.submit(slot, options.timeout, key, request);
    }
    return slot;
}

template <class Slots>
Slot& start_touch(Core& core, const Slots& slots, std::string_view key, Expiry expiry, const TouchOptions& options) {
    Slot& slot = slots.acquire(OperationKind::touch, protocol::Opcode::touch);
    if (check_key(core, slot, key)) {
        if (const auto wire = check_expiry(core, slot, key, expiry)) {
            protocol::TouchRequest request{.key = key, .expiry = *wire};
            core.submit(slot, options.timeout, key, request);
        }
    }
    return slot;
}

template <class Slots>
Slot& start_lock(Core& core, const Slots& slots, std::string_view key, std::chrono::seconds lock_time,
                 const LockOptions& options) {
    Slot& slot = slots.acquire(OperationKind::lock, protocol::Opcode::get_locked);
    slot.quiet = options.quiet.value_or(core.settings().quiet);
    if (!check_locks(core, slot, key) || !check_key(core, slot, key)) return slot;
    if (lock_time < min_lock_time || lock_time > max_lock_time) {
        // The server would take them for 15 s (protocol.md 2.1).
        core.reject(slot, errc::invalid_argument, key,
                    "the lock time is " + std::to_string(lock_time.count()) + " s, it must be from 1 to 30 s");
        return slot;
    }
    protocol::GetLockedRequest request{.key = key, .lock_time = static_cast<std::uint32_t>(lock_time.count())};
    core.submit(slot, options.timeout, key, request);
    return slot;
}

template <class Slots>
Slot& start_unlock(Core& core, const Slots& slots, std::string_view key, Cas cas, const UnlockOptions& options) {
    Slot& slot = slots.acquire(OperationKind::unlock, protocol::Opcode::unlock_key);
    if (!check_locks(core, slot, key) || !check_key(core, slot, key)) return slot;
    if (cas == 0) {
        core.reject(slot, errc::invalid_argument, key, "to unlock takes the CAS that lock gave");
        return slot;
    }
    protocol::UnlockRequest request{.key = key};
    request.context.cas = cas;
    core.submit(slot, options.timeout, key, request);
    return slot;
}

template <class Slots>
Slot& start_exists(Core& core, const Slots& slots, std::string_view key, const ExistsOptions& options) {
    // An unknown command with a key makes memcached lose step (protocol.md 2.9): it is asked for the document.
    const bool plain = core.settings().connection.scheme == Scheme::memcached;
    Slot& slot = slots.acquire(OperationKind::exists, plain ? protocol::Opcode::get : protocol::Opcode::get_meta);
    slot.idempotent = true;
    if (!check_key(core, slot, key)) return slot;
    if (plain) {
        protocol::GetRequest request{.key = key};
        core.submit(slot, options.timeout, key, request);
    } else {
        protocol::GetMetaRequest request{.key = key, .version = 2};
        core.submit(slot, options.timeout, key, request);
    }
    return slot;
}

template <class Slots>
Slot& start_counter(Core& core, const Slots& slots, std::string_view key, const CounterOptions& options) {
    const bool up = options.delta >= 0;
    const protocol::Opcode opcode = up ? protocol::Opcode::increment : protocol::Opcode::decrement;
    Slot& slot = slots.acquire(OperationKind::counter, opcode);
    if (!check_key(core, slot, key)) return slot;
    if (options.expiry.kind() != Expiry::Kind::never && !options.initial) {
        core.reject(slot, errc::invalid_argument, key, "an expiry needs an initial value");
        return slot;
    }
    if ((beyond_plain(options) | core.durable_by_default()) != 0) {
        count_otherwise(core, slot, key, options);
    } else if (const auto wire = check_expiry(core, slot, key, options.expiry)) {
        const auto delta = static_cast<std::uint64_t>(options.delta);
        protocol::CounterRequest request{.opcode = opcode,
                                         .key = key,
                                         .delta = up ? delta : 0 - delta,
                                         .initial = options.initial.value_or(0),
                                         .expiry = options.initial ? *wire : protocol::counter_no_create};
        core.submit(slot, options.timeout, key, request);
    }
    return slot;
}

}  // namespace chaise::detail
