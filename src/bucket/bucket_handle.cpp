// The operations, as the faces ask for them.

#include "bucket/containers.hpp"
#include "bucket/core.hpp"
#include "bucket/settings.hpp"
#include "bucket/start.hpp"
#include "bucket/subdocument.hpp"
#include "protocol/requests.hpp"
#include "rows/flush.hpp"

#include <chaise/async_bucket.hpp>

#include <string>
#include <utility>

namespace chaise::detail {

using protocol::Opcode;

BucketHandle::BucketHandle(std::unique_ptr<IOPS> iops, std::string_view connection_string,
                           const BucketOptions& options) {
    if (!iops) throw_error(Error(errc::invalid_argument, ErrorContext{.message = "a bucket needs an IOPS"}));
    Settings settings = Settings::make(connection_string, options);
    if (!settings.dns_nameserver.empty() && !iops->transport_factory().use_name_servers(settings.dns_nameserver)) {
        throw_error(Error(errc::unsupported_operation,
                          ErrorContext{.message = "option dns_nameserver: this loop cannot be told name servers"}));
    }
    core_ = new Core(std::move(iops), std::move(settings));
    collection_ = &core_->collections().default_collection();
    owner_ = true;
    try {
        core_->start();
    } catch (...) {  // of the loop's making
        core_->close();
        core_->drop_share();
        throw;
    }
}

BucketHandle::BucketHandle(Core& core, Collection& collection) noexcept : core_(&core), collection_(&collection) {
    core.add_share();
}

BucketHandle::BucketHandle(const BucketHandle& other) noexcept : core_(other.core_), collection_(other.collection_) {
    if (core_) core_->add_share();
}

BucketHandle::~BucketHandle() {
    if (!core_) return;
    if (owner_) core_->close();
    core_->drop_share();
}

[[gnu::always_inline]] inline KeySlots BucketHandle::keys() noexcept { return {*core_, *collection_}; }

BucketHandle BucketHandle::default_collection() const {
    return BucketHandle(*core_, core_->collections().default_collection());
}
BucketHandle BucketHandle::collection(std::string_view scope, std::string_view name) const {
    return BucketHandle(*core_, core_->collections().find(scope, name));
}
std::string_view BucketHandle::scope_name() const noexcept { return collection_->scope(); }
std::string_view BucketHandle::collection_name() const noexcept { return collection_->name(); }

AsyncResult<ValueResult> BucketHandle::get(std::string_view key, const GetOptions& options) {
    return AsyncResult<ValueResult>(&start_get(*core_, keys(), key, options));
}

AsyncResult<ValueResult> BucketHandle::get_and_touch(std::string_view key, Expiry expiry,
                                                     const GetAndTouchOptions& options) {
    return AsyncResult<ValueResult>(&start_get_and_touch(*core_, keys(), key, expiry, options));
}

AsyncResult<OperationResult> BucketHandle::store(OperationKind kind, std::string_view key, std::string_view value,
                                                 const StoreOptions& options) {
    return AsyncResult<OperationResult>(&start_store(*core_, keys(), kind, key, value, options));
}

AsyncResult<OperationResult> BucketHandle::concat(OperationKind kind, std::string_view key, std::string_view value,
                                                  const ConcatOptions& options) {
    return AsyncResult<OperationResult>(&start_concat(*core_, keys(), kind, key, value, options));
}

AsyncResult<OperationResult> BucketHandle::remove(std::string_view key, const RemoveOptions& options) {
    return AsyncResult<OperationResult>(&start_remove(*core_, keys(), key, options));
}

AsyncResult<OperationResult> BucketHandle::touch(std::string_view key, Expiry expiry, const TouchOptions& options) {
    return AsyncResult<OperationResult>(&start_touch(*core_, keys(), key, expiry, options));
}

AsyncResult<ValueResult> BucketHandle::lock(std::string_view key, std::chrono::seconds lock_time,
                                            const LockOptions& options) {
    return AsyncResult<ValueResult>(&start_lock(*core_, keys(), key, lock_time, options));
}

AsyncResult<OperationResult> BucketHandle::unlock(std::string_view key, Cas cas, const UnlockOptions& options) {
    return AsyncResult<OperationResult>(&start_unlock(*core_, keys(), key, cas, options));
}

AsyncResult<ExistsResult> BucketHandle::exists(std::string_view key, const ExistsOptions& options) {
    return AsyncResult<ExistsResult>(&start_exists(*core_, keys(), key, options));
}

AsyncResult<ValueResult> BucketHandle::counter(std::string_view key, const CounterOptions& options) {
    return AsyncResult<ValueResult>(&start_counter(*core_, keys(), key, options));
}

AsyncResult<SubdocResult> BucketHandle::lookup_in(std::string_view key, const LookupSpecs& specs,
                                                  const LookupInOptions& options) {
    Slot& slot = keys().acquire(OperationKind::lookup_in, Opcode::subdoc_multi_lookup);
    start_lookup_in(*core_, slot, key, specs, options);
    return AsyncResult<SubdocResult>(&slot);
}

AsyncResult<SubdocResult> BucketHandle::mutate_in(std::string_view key, const MutateSpecs& specs,
                                                  const MutateInOptions& options) {
    Slot& slot = keys().acquire(OperationKind::mutate_in, Opcode::subdoc_multi_mutation);
    start_mutate_in(*core_, slot, key, specs, options);
    return AsyncResult<SubdocResult>(&slot);
}

AsyncResult<OperationResult> BucketHandle::container_change(const ContainerCall& call) {
    return AsyncResult<OperationResult>(&container(call));
}
AsyncResult<ValueResult> BucketHandle::container_value(const ContainerCall& call) {
    return AsyncResult<ValueResult>(&container(call));
}
AsyncResult<SizeResult> BucketHandle::container_size(const ContainerCall& call) {
    return AsyncResult<SizeResult>(&container(call));
}
AsyncResult<ExistsResult> BucketHandle::container_question(const ContainerCall& call) {
    return AsyncResult<ExistsResult>(&container(call));
}
Slot& BucketHandle::container(const ContainerCall& call) {
    Slot& slot = keys().acquire(call.kind, opcode_of(call));
    start_container(*core_, slot, call);
    return slot;
}

Slot& BucketHandle::refuse(OperationKind kind, std::string_view key, errc code, std::string message) {
    Slot& slot = keys().acquire(kind, opcode_of(kind));
    core_->reject(slot, code, key.substr(0, protocol::max_key_size), std::move(message));
    return slot;
}

Slot& BucketHandle::refuse_multi(OperationKind kind, std::string_view key, errc code, std::string message) {
    Slot& slot = keys().acquire(OperationKind::multi_operation, {});
    slot.opcode = static_cast<std::uint8_t>(kind);  // whose name it has in errors
    core_->reject(slot, code, key.substr(0, protocol::max_key_size), std::move(message));
    return slot;
}

AsyncResult<VersionResult> BucketHandle::version(const ServerOptions& options) {
    Slot& slot = core_->acquire(nullptr, OperationKind::version, Opcode::version);
    slot.idempotent = true;
    core_->submit_to_all(slot, options.timeout, {std::string()});
    return AsyncResult<VersionResult>(&slot);
}

AsyncResult<OperationResult> BucketHandle::server(OperationKind kind, const ServerOptions& options) {
    Slot& slot = core_->acquire(nullptr, kind, opcode_of(kind));
    if (kind == OperationKind::connect) {
        core_->submit_connect(slot, options.timeout);
    } else if (kind == OperationKind::noop) {
        slot.idempotent = true;
        protocol::NoopRequest request{};
        core_->submit_anywhere(slot, options.timeout, request);
    } else if (!core_->settings().enable_flush) {
        core_->reject(slot, errc::unsupported_operation, {}, "flush deletes everything; set enable_flush to allow it");
    } else if (core_->settings().connection.scheme == Scheme::memcached) {
        core_->submit_to_all(slot, options.timeout, {std::string()});
    } else {
        submit_flush(*core_, *this, slot, options.timeout);
    }
    return AsyncResult<OperationResult>(&slot);
}

AsyncResult<ManifestResult> BucketHandle::collections_manifest(const ServerOptions& options) {
    Slot& slot = core_->acquire(nullptr, OperationKind::collections_manifest, Opcode::collections_get_manifest);
    slot.idempotent = true;
    if (core_->settings().connection.scheme == Scheme::memcached) {
        core_->reject(slot, errc::unsupported_operation, {}, "plain memcached has no collections");
    } else {
        protocol::GetManifestRequest request{};
        core_->submit_anywhere(slot, options.timeout, request);
    }
    return AsyncResult<ManifestResult>(&slot);
}

AsyncResult<OperationResult> BucketHandle::place(const PlaceOptions& options) {
    Slot& slot = core_->acquire(nullptr, OperationKind::place, Opcode::noop);
    core_->submit_place(slot, options.timeout, options.bytes);
    return AsyncResult<OperationResult>(&slot);
}

Pressure BucketHandle::pressure() const { return core_->pressure(); }

AsyncResult<OperationResult> BucketHandle::close(const CloseOptions& options) {
    Slot& slot = core_->acquire(nullptr, OperationKind::close, Opcode::noop);
    core_->submit_close(slot, options.drain);
    return AsyncResult<OperationResult>(&slot);
}

void BucketHandle::on_unobserved(std::function<void(const Error&)> handler) {
    core_->set_unobserved_handler(std::move(handler));
}
IOPS& BucketHandle::iops() const noexcept { return core_->iops(); }
const std::string& BucketHandle::name() const noexcept { return core_->settings().bucket; }
bool BucketHandle::closed() const noexcept { return core_->closing(); }
bool BucketHandle::connected() const noexcept { return core_->connected(); }
std::size_t BucketHandle::operations() const noexcept { return core_->operations(); }

}  // namespace chaise::detail
