// The operations, as the engine starts them: arguments checked, encoded, into the pipeline.

#include "bucket/core.hpp"
#include "bucket/settings.hpp"
#include "protocol/requests.hpp"

#include <chaise/async_bucket.hpp>

#include <string>
#include <utility>

namespace chaise::detail {

namespace {

using protocol::Opcode;

constexpr std::size_t max_value_size = std::size_t{20} << 20;  // protocol.md 1.8

[[gnu::cold]] void reject_key(Core& core, Slot& slot, std::string_view key) {
    core.reject(
        slot, errc::invalid_argument, key.substr(0, protocol::max_key_size),
        key.empty() ? "the key is empty" : "the key has " + std::to_string(key.size()) + " bytes, the limit is 250");
}

/// False, and the operation rejected, if the key cannot be sent.
[[gnu::always_inline]] inline bool check_key(Core& core, Slot& slot, std::string_view key) {
    if (key.size() - 1 < protocol::max_key_size) [[likely]]
        return true;
    reject_key(core, slot, key);
    return false;
}

bool check_value(Core& core, Slot& slot, std::string_view key, std::string_view value) {
    if (value.size() <= max_value_size) [[likely]]
        return true;
    core.reject(slot, errc::value_too_large, key,
                "the value has " + std::to_string(value.size()) + " bytes, the limit is 20 MiB");
    return false;
}

/// As on the wire; nothing, and the operation rejected, if it is out of range.
std::optional<std::uint32_t> check_expiry(Core& core, Slot& slot, std::string_view key, Expiry expiry) {
    if (expiry.kind() == Expiry::Kind::never) [[likely]]
        return 0;
    std::string why;
    const auto wire = core.wire_expiry(expiry, why);
    if (!wire) core.reject(slot, errc::invalid_argument, key, std::move(why));
    return wire;
}

constexpr std::chrono::seconds min_lock_time{1};
constexpr std::chrono::seconds max_lock_time{30};

bool check_locks(Core& core, Slot& slot, std::string_view key) {
    if (core.settings().connection.scheme != Scheme::memcached) [[likely]]
        return true;
    core.reject(slot, errc::unsupported_operation, key.substr(0, protocol::max_key_size),
                "plain memcached has no locks");
    return false;
}

Opcode opcode_of(OperationKind kind) noexcept {
    switch (kind) {
        case OperationKind::upsert:
            return Opcode::set;
        case OperationKind::insert:
            return Opcode::add;
        case OperationKind::replace:
            return Opcode::replace;
        case OperationKind::append:
            return Opcode::append;
        case OperationKind::prepend:
            return Opcode::prepend;
        case OperationKind::flush:
            return Opcode::flush;
        default:
            return Opcode::noop;
    }
}

}  // namespace

BucketHandle::BucketHandle(std::unique_ptr<IOPS> iops, std::string_view connection_string,
                           const BucketOptions& options) {
    if (!iops) throw_error(Error(errc::invalid_argument, ErrorContext{.message = "a bucket needs an IOPS"}));
    core_ = new Core(std::move(iops), Settings::make(connection_string, options));
    try {
        core_->start();
    } catch (...) {  // of the loop's making
        core_->abandon();
        throw;
    }
}

BucketHandle::~BucketHandle() {
    if (core_) core_->abandon();
}

AsyncResult<ValueResult> BucketHandle::get(std::string_view key, const GetOptions& options) {
    Slot& slot = core_->acquire(OperationKind::get, Opcode::get);
    slot.quiet = options.quiet.value_or(core_->settings().quiet);
    slot.idempotent = true;
    if (check_key(*core_, slot, key)) {
        protocol::GetRequest request{.key = key};
        core_->submit(slot, options.timeout, key, request);
    }
    return AsyncResult<ValueResult>(&slot);
}

AsyncResult<ValueResult> BucketHandle::get_and_touch(std::string_view key, Expiry expiry,
                                                     const GetAndTouchOptions& options) {
    Slot& slot = core_->acquire(OperationKind::get_and_touch, Opcode::gat);
    slot.quiet = options.quiet.value_or(core_->settings().quiet);
    if (check_key(*core_, slot, key)) {
        if (const auto wire = check_expiry(*core_, slot, key, expiry)) {
            protocol::GetAndTouchRequest request{.key = key, .expiry = *wire};
            core_->submit(slot, options.timeout, key, request);
        }
    }
    return AsyncResult<ValueResult>(&slot);
}

AsyncResult<OperationResult> BucketHandle::store(OperationKind kind, std::string_view key, std::string_view value,
                                                 const StoreOptions& options) {
    Slot& slot = core_->acquire(kind, opcode_of(kind));
    if (check_key(*core_, slot, key) && check_value(*core_, slot, key, value)) {
        if (const auto wire = check_expiry(*core_, slot, key, options.expiry)) {
            protocol::StoreRequest request{
                .opcode = opcode_of(kind), .key = key, .value = value, .flags = options.flags, .expiry = *wire};
            request.context.cas = options.cas;
            core_->submit(slot, options.timeout, key, request);
        }
    }
    return AsyncResult<OperationResult>(&slot);
}

AsyncResult<OperationResult> BucketHandle::concat(OperationKind kind, std::string_view key, std::string_view value,
                                                  const ConcatOptions& options) {
    Slot& slot = core_->acquire(kind, opcode_of(kind));
    if (check_key(*core_, slot, key) && check_value(*core_, slot, key, value)) {
        protocol::ConcatRequest request{.opcode = opcode_of(kind), .key = key, .value = value};
        request.context.cas = options.cas;
        core_->submit(slot, options.timeout, key, request);
    }
    return AsyncResult<OperationResult>(&slot);
}

AsyncResult<OperationResult> BucketHandle::remove(std::string_view key, const RemoveOptions& options) {
    Slot& slot = core_->acquire(OperationKind::remove, Opcode::remove);
    slot.quiet = options.quiet.value_or(core_->settings().quiet);
    if (check_key(*core_, slot, key)) {
        protocol::RemoveRequest request{.key = key};
        request.context.cas = options.cas;
        core_->submit(slot, options.timeout, key, request);
    }
    return AsyncResult<OperationResult>(&slot);
}

AsyncResult<OperationResult> BucketHandle::touch(std::string_view key, Expiry expiry, const TouchOptions& options) {
    Slot& slot = core_->acquire(OperationKind::touch, Opcode::touch);
    if (check_key(*core_, slot, key)) {
        if (const auto wire = check_expiry(*core_, slot, key, expiry)) {
            protocol::TouchRequest request{.key = key, .expiry = *wire};
            core_->submit(slot, options.timeout, key, request);
        }
    }
    return AsyncResult<OperationResult>(&slot);
}

AsyncResult<ValueResult> BucketHandle::lock(std::string_view key, std::chrono::seconds lock_time,
                                            const LockOptions& options) {
    Slot& slot = core_->acquire(OperationKind::lock, Opcode::get_locked);
    slot.quiet = options.quiet.value_or(core_->settings().quiet);
    if (!check_locks(*core_, slot, key) || !check_key(*core_, slot, key)) return AsyncResult<ValueResult>(&slot);
    if (lock_time < min_lock_time || lock_time > max_lock_time) {
        // The server would take them for 15 s (protocol.md 2.1).
        core_->reject(slot, errc::invalid_argument, key,
                      "the lock time is " + std::to_string(lock_time.count()) + " s, it must be from 1 to 30 s");
        return AsyncResult<ValueResult>(&slot);
    }
    protocol::GetLockedRequest request{.key = key, .lock_time = static_cast<std::uint32_t>(lock_time.count())};
    core_->submit(slot, options.timeout, key, request);
    return AsyncResult<ValueResult>(&slot);
}

AsyncResult<OperationResult> BucketHandle::unlock(std::string_view key, Cas cas, const UnlockOptions& options) {
    Slot& slot = core_->acquire(OperationKind::unlock, Opcode::unlock_key);
    if (!check_locks(*core_, slot, key) || !check_key(*core_, slot, key)) return AsyncResult<OperationResult>(&slot);
    if (cas == 0) {
        core_->reject(slot, errc::invalid_argument, key, "to unlock takes the CAS that lock gave");
        return AsyncResult<OperationResult>(&slot);
    }
    protocol::UnlockRequest request{.key = key};
    request.context.cas = cas;
    core_->submit(slot, options.timeout, key, request);
    return AsyncResult<OperationResult>(&slot);
}

AsyncResult<ExistsResult> BucketHandle::exists(std::string_view key, const ExistsOptions& options) {
    // An unknown command with a key makes memcached lose step (protocol.md 2.9): it is asked for the document.
    const bool plain = core_->settings().connection.scheme == Scheme::memcached;
    Slot& slot = core_->acquire(OperationKind::exists, plain ? Opcode::get : Opcode::get_meta);
    slot.idempotent = true;
    if (!check_key(*core_, slot, key)) return AsyncResult<ExistsResult>(&slot);
    if (plain) {
        protocol::GetRequest request{.key = key};
        core_->submit(slot, options.timeout, key, request);
    } else {
        protocol::GetMetaRequest request{.key = key, .version = 2};
        core_->submit(slot, options.timeout, key, request);
    }
    return AsyncResult<ExistsResult>(&slot);
}

AsyncResult<ValueResult> BucketHandle::counter(std::string_view key, const CounterOptions& options) {
    const bool up = options.delta >= 0;
    Slot& slot = core_->acquire(OperationKind::counter, up ? Opcode::increment : Opcode::decrement);
    if (!check_key(*core_, slot, key)) return AsyncResult<ValueResult>(&slot);
    if (options.expiry.kind() != Expiry::Kind::never && !options.initial) {
        core_->reject(slot, errc::invalid_argument, key, "an expiry needs an initial value");
        return AsyncResult<ValueResult>(&slot);
    }
    if (const auto wire = check_expiry(*core_, slot, key, options.expiry)) {
        const auto delta = static_cast<std::uint64_t>(options.delta);
        protocol::CounterRequest request{.opcode = up ? Opcode::increment : Opcode::decrement,
                                         .key = key,
                                         .delta = up ? delta : 0 - delta,
                                         .initial = options.initial.value_or(0),
                                         .expiry = options.initial ? *wire : protocol::counter_no_create};
        core_->submit(slot, options.timeout, key, request);
    }
    return AsyncResult<ValueResult>(&slot);
}

AsyncResult<StatsResult> BucketHandle::stats(std::string_view group, const StatsOptions& options) {
    Slot& slot = core_->acquire(OperationKind::stats, Opcode::stat);
    slot.idempotent = true;
    if (group.size() > protocol::max_key_size) {
        core_->reject(slot, errc::invalid_argument, {}, "the name of the group of statistics is too long");
    } else {
        core_->submit_to_all(slot, options.timeout, group);
    }
    return AsyncResult<StatsResult>(&slot);
}

AsyncResult<VersionResult> BucketHandle::version(const ServerOptions& options) {
    Slot& slot = core_->acquire(OperationKind::version, Opcode::version);
    slot.idempotent = true;
    core_->submit_to_all(slot, options.timeout, {});
    return AsyncResult<VersionResult>(&slot);
}

AsyncResult<OperationResult> BucketHandle::server(OperationKind kind, const ServerOptions& options) {
    Slot& slot = core_->acquire(kind, opcode_of(kind));
    if (kind == OperationKind::connect) {
        core_->submit_connect(slot, options.timeout);
    } else if (kind == OperationKind::noop) {
        slot.idempotent = true;
        protocol::NoopRequest request{};
        core_->submit_anywhere(slot, options.timeout, request);
    } else if (core_->settings().connection.scheme != Scheme::memcached) {
        core_->reject(slot, errc::unsupported_operation, {},
                      "a Couchbase bucket is flushed over its management port, which is not built yet");
    } else if (core_->settings().enable_flush) {
        protocol::FlushRequest request{};
        core_->submit_anywhere(slot, options.timeout, request);
    } else {
        core_->reject(slot, errc::unsupported_operation, {}, "flush deletes everything; set enable_flush to allow it");
    }
    return AsyncResult<OperationResult>(&slot);
}

AsyncResult<OperationResult> BucketHandle::close() {
    Slot& slot = core_->acquire(OperationKind::close, Opcode::noop);
    core_->submit_close(slot);
    return AsyncResult<OperationResult>(&slot);
}

void BucketHandle::on_unobserved(std::function<void(const Error&)> handler) {
    core_->set_unobserved_handler(std::move(handler));
}
IOPS& BucketHandle::iops() const noexcept { return core_->iops(); }
bool BucketHandle::connected() const noexcept { return core_->connected(); }
std::size_t BucketHandle::operations() const noexcept { return core_->operations(); }

}  // namespace chaise::detail
