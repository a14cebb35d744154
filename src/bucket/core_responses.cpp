// What the server's answers become.

#include "bucket/core.hpp"
#include "bucket/parts.hpp"
#include "bucket/subdocument.hpp"
#include "durability/observe_round.hpp"
#include "protocol/byte_order.hpp"
#include "protocol/data_responses.hpp"
#include "protocol/datatype.hpp"
#include "protocol/frame_info.hpp"
#include "protocol/key_prefix.hpp"
#include "protocol/manifest.hpp"
#include "protocol/session_responses.hpp"
#include "protocol/snappy.hpp"
#include "protocol/status.hpp"
#include "protocol/subdocument_responses.hpp"

#include <chaise/collections_manifest.hpp>
#include <chaise/meta.hpp>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace chaise::detail {

namespace {

using protocol::Frame;
using protocol::Status;

errc errc_of(OperationKind kind, Status status) noexcept {
    if (status == Status::key_eexists && kind == OperationKind::insert) return errc::document_exists;
    // To whom does not hold the lock, its CAS is a wrong one.
    if (status == Status::locked && kind == OperationKind::unlock) return errc::cas_mismatch;
    if (status == Status::not_stored && (kind == OperationKind::append || kind == OperationKind::prepend)) {
        return errc::document_not_found;
    }
    return errc_of_status(static_cast<std::uint16_t>(status));
}

/// Of "key KEY VBUCKET".
std::string_view key_of_group(std::string_view group) noexcept {
    constexpr std::string_view head = "key ";
    const std::size_t end = group.rfind(' ');
    return end > head.size() && end != std::string_view::npos ? group.substr(head.size(), end - head.size()) : group;
}

constexpr std::size_t most_statistics = 100'000;
constexpr std::size_t most_statistic_bytes = std::size_t{64} << 20;

/// A document of the largest size, with what its attributes may take.
constexpr std::size_t max_inflated_value = protocol::max_inflated_document + (std::size_t{1} << 20);

/// As the server measured it, if it said so.
std::optional<Duration> server_duration(const Frame& frame) {
    if (frame.framing_extras.empty()) return std::nullopt;
    const auto infos = protocol::decode_response_frame_infos(frame.framing_extras);
    if (!infos || !infos->server_duration) return std::nullopt;
    const double microseconds = protocol::decode_server_duration_us(*infos->server_duration);
    return Duration(static_cast<std::int64_t>(microseconds * 1000));
}

}  // namespace

OperationResult mutation_result(const Frame& frame, std::uint16_t vbucket) noexcept {
    if (frame.extras.size() < 16) return {errc::success, frame.cas};
    return {errc::success, frame.cas,
            MutationToken{.vbucket_uuid = protocol::load_be64(frame.extras.data()),
                          .seqno = protocol::load_be64(frame.extras.data() + 8),
                          .vbucket = vbucket}};
}

Frame request_of(const Slot& slot) noexcept {
    Frame request;
    const std::string_view bytes(slot.block->data() + slot.offset, slot.length);
    static_cast<void>(protocol::parse_frame(bytes, request, 0xffffffff));
    return request;
}

std::string_view operation_name(OperationKind kind) noexcept {
    switch (kind) {
        case OperationKind::get:
            return "get";
        case OperationKind::get_and_touch:
            return "get_and_touch";
        case OperationKind::upsert:
            return "upsert";
        case OperationKind::insert:
            return "insert";
        case OperationKind::replace:
            return "replace";
        case OperationKind::append:
            return "append";
        case OperationKind::prepend:
            return "prepend";
        case OperationKind::remove:
            return "remove";
        case OperationKind::touch:
            return "touch";
        case OperationKind::lock:
            return "lock";
        case OperationKind::unlock:
            return "unlock";
        case OperationKind::exists:
            return "exists";
        case OperationKind::counter:
            return "counter";
        case OperationKind::lookup_in:
            return "lookup_in";
        case OperationKind::mutate_in:
            return "mutate_in";
        case OperationKind::map_add:
            return "map_add";
        case OperationKind::map_get:
            return "map_get";
        case OperationKind::map_remove:
            return "map_remove";
        case OperationKind::map_size:
            return "map_size";
        case OperationKind::list_append:
            return "list_append";
        case OperationKind::list_prepend:
            return "list_prepend";
        case OperationKind::list_set:
            return "list_set";
        case OperationKind::list_get:
            return "list_get";
        case OperationKind::list_remove:
            return "list_remove";
        case OperationKind::list_size:
            return "list_size";
        case OperationKind::set_add:
            return "set_add";
        case OperationKind::set_contains:
            return "set_contains";
        case OperationKind::set_remove:
            return "set_remove";
        case OperationKind::set_size:
            return "set_size";
        case OperationKind::queue_push:
            return "queue_push";
        case OperationKind::queue_pop:
            return "queue_pop";
        case OperationKind::queue_size:
            return "queue_size";
        case OperationKind::noop:
        case OperationKind::probe:
            return "noop";
        case OperationKind::version:
            return "version";
        case OperationKind::stats:
            return "stats";
        case OperationKind::flush:
            return "flush";
        case OperationKind::connect:
            return "connect";
        case OperationKind::close:
            return "close";
        case OperationKind::place:
            return "place";
        case OperationKind::cluster_config:
            return "cluster_config";
        case OperationKind::collection_id:
            return "collection_id";
        case OperationKind::collections_manifest:
            return "collections_manifest";
        case OperationKind::get_replica:
        case OperationKind::replica_read:
            return "get_replica";
        case OperationKind::get_all_replicas:
            return "get_all_replicas";
        case OperationKind::lookup_in_replica:
            return "lookup_in_replica";
        case OperationKind::lookup_in_all_replicas:
            return "lookup_in_all_replicas";
        case OperationKind::observe:
        case OperationKind::observe_some:
            return "observe";
        case OperationKind::endure:
            return "endure";
        case OperationKind::observe_seqno:
            return "observe_seqno";
        case OperationKind::pause:
            return "pause";
        case OperationKind::get_meta:
            return "get_meta";
        case OperationKind::key_stats:
            return "key_stats";
        case OperationKind::random_key:
            return "get_random_key";
        case OperationKind::ping:
            return "ping";
        case OperationKind::design:
        case OperationKind::design_list:
            return "design_documents";
        case OperationKind::view_page:
            return "view_pages";
        case OperationKind::multi_replica:
        case OperationKind::multi_observe:
        case OperationKind::multi_stats:
        case OperationKind::multi_value:
        case OperationKind::multi_operation:
        case OperationKind::multi_exists:
            return "multi";
    }
    return "unknown";
}

namespace {

ManifestResult manifest_result(protocol::CollectionsManifest manifest) {
    std::vector<ScopeSpec> scopes;
    scopes.reserve(manifest.scopes.size());
    for (protocol::CollectionsManifest::Scope& from : manifest.scopes) {
        ScopeSpec& scope = scopes.emplace_back(ScopeSpec{std::move(from.name), from.uid, {}});
        for (protocol::CollectionsManifest::Collection& one : from.collections) {
            scope.collections.push_back({.name = std::move(one.name),
                                         .uid = one.uid,
                                         .max_expiry = std::chrono::seconds(one.max_ttl.value_or(0)),
                                         .history = one.history.value_or(false)});
        }
    }
    return {manifest.uid, std::move(scopes)};
}

}  // namespace

std::size_t Core::prefix_size(const Slot& slot) noexcept {
    if (!slot.block || !slot.line->prefixed() || !prefixable(slot)) return 0;
    return protocol::key_prefix({slot.block->data() + slot.offset, slot.length}).size();
}

/// Without its prefix; empty if there are several.
std::string_view observed_key_of(const Slot& slot, const Frame& request) noexcept {
    const std::string_view key = the_observed_key(request.value);
    return key.substr(std::min<std::size_t>(slot.body_prefix, key.size()));
}

std::string_view Core::key_of(const Slot& slot) noexcept {
    if ((slot.owners & owned_by_parts) != 0) return static_cast<const Parts*>(slot.accumulator)->about();
    if (!slot.block) return {};
    const Frame request = request_of(slot);
    if (slot.kind == OperationKind::observe_some) return observed_key_of(slot, request);
    if (slot.kind == OperationKind::key_stats) return key_of_group(request.key);
    return request.key.substr(prefix_size(slot));
}

void Core::set_vbucket(Slot& slot, std::uint16_t vbucket) noexcept {
    char* const request = slot.block->data() + slot.offset;
    if (slot.kind == OperationKind::observe_some) {
        protocol::store_be16(request + protocol::header_size, vbucket);
    } else if (slot.kind != OperationKind::key_stats) {  // there it is in the text
        protocol::store_be16(request + 6, vbucket);
    }
}

Error Core::make_error_of_whole(const Slot& whole, errc code, std::string message, std::string_view key,
                                const Error& like) {
    ErrorContext context = make_error(whole, code, std::move(message), false).context();
    context.key = key;
    if (like) {
        const ErrorContext& part = like.context();
        context.node = part.node;
        context.status = part.status;
        context.server_text = part.server_text;
        context.server_context = part.server_context;
        context.server_ref = part.server_ref;
        context.opaque = part.opaque;
        context.retries = part.retries;
        context.server_duration = part.server_duration;
    }
    return Error(code, std::move(context));
}

Error Core::make_error(const Slot& slot, errc code, std::string message, bool may_have_happened,
                       std::optional<std::uint16_t> status, std::string_view server_text) {
    ErrorContext context = make_context(slot, std::move(message), may_have_happened);
    context.server_text = server_text;
    context.status = status;
    return Error(code, std::move(context));
}

ErrorContext Core::make_context(const Slot& slot, std::string message, bool may_have_happened) {
    ErrorContext context;
    context.message = std::move(message);
    context.operation = is_multi(slot.kind) ? std::string(operation_name(OperationKind{slot.opcode})) + "_multi"
                                            : std::string(operation_name(slot.kind));
    context.key = key_of(slot);
    if (slot.collection && slot.collection->named()) {
        context.scope = slot.collection->scope();
        context.collection = slot.collection->name();
    }
    if (slot.line) context.node = slot.line->name();
    if (slot.block) context.opaque = slot.opaque;  // there is a request
    context.time_spent = now() - slot.started;
    context.retries = slot.retries;
    context.may_have_happened = may_have_happened;
    if ((slot.owners & owned_by_wire) != 0 && slot.line->pipeline().begun(slot)) {
        const auto sent_at = static_cast<const Session&>(*slot.line).sent_at(slot);  // others send nothing
        context.time_on_wire = std::clamp(now() - sent_at, Duration{0}, context.time_spent);
    }
    return context;
}

void Core::respond_otherwise(Slot& slot, const Frame& frame, Buffer* buffer) {
    if ((frame.datatype & protocol::datatype::snappy) != 0) [[unlikely]]
        return respond_inflated(slot, frame);
    if (frame.status() != Status::success) [[unlikely]] {
        const bool with_specs = slot.kind == OperationKind::lookup_in || slot.kind == OperationKind::mutate_in;
        if (with_specs && protocol::carries_subdoc_results(frame.status())) {
            return respond_to_subdocument(slot, frame, buffer);
        }
        return respond_with_error(slot, frame);
    }
    switch (slot.kind) {
        case OperationKind::get:
        case OperationKind::get_and_touch:
        case OperationKind::lock:
        case OperationKind::replica_read: {
            if (frame.extras.size() < 4) return respond_with_malformed(slot, frame);
            retire(slot);
            if (!wanted(slot)) return unowned(slot);
            ValueResult result(frame.value, protocol::load_be32(frame.extras.data()), frame.datatype, frame.cas,
                               buffer);
            return deliver(slot, result);
        }
        case OperationKind::counter: {
            if (frame.value.size() != 8) return respond_with_malformed(slot, frame);
            const std::uint16_t vbucket = frame.extras.empty() ? std::uint16_t{0} : request_of(slot).vbucket();
            retire(slot);
            if (!wanted(slot)) return unowned(slot);
            const std::optional<MutationToken> token = mutation_result(frame, vbucket).mutation_token();
            ValueResult result =
                ValueResult::of_counter(protocol::load_be64(frame.value.data()), frame.cas, token ? &*token : nullptr);
            return deliver(slot, result);
        }
        case OperationKind::exists: {
            const bool plain = frame.opcode != protocol::Opcode::get_meta;
            const auto meta = plain ? std::nullopt : protocol::decode_get_meta(frame);
            if (!plain && !meta) return respond_with_malformed(slot, frame);
            retire(slot);
            if (!wanted(slot)) return unowned(slot);
            ExistsResult result = plain || !meta->deleted ? ExistsResult(frame.cas) : ExistsResult();
            return deliver(slot, result);
        }
        case OperationKind::lookup_in:
        case OperationKind::mutate_in:
            return respond_to_subdocument(slot, frame, buffer);
        case OperationKind::map_get:
        case OperationKind::list_get: {
            retire(slot);
            if (!wanted(slot)) return unowned(slot);
            ValueResult result(frame.value, 0, frame.datatype, frame.cas, buffer);
            return deliver(slot, result);
        }
        case OperationKind::map_size:
        case OperationKind::list_size:
        case OperationKind::set_size:
        case OperationKind::queue_size: {
            std::uint64_t size = 0;
            const char* const end = frame.value.data() + frame.value.size();
            const auto parsed = std::from_chars(frame.value.data(), end, size);
            if (parsed.ec != std::errc() || parsed.ptr != end) return respond_with_malformed(slot, frame);
            retire(slot);
            if (!wanted(slot)) return unowned(slot);
            SizeResult result(size, frame.cas);
            return deliver(slot, result);
        }
        case OperationKind::get_meta: {
            const auto meta = protocol::decode_get_meta(frame);
            if (!meta) return respond_with_malformed(slot, frame);
            retire(slot);
            if (!wanted(slot)) return unowned(slot);
            MetaResult result(meta->cas, meta->deleted, meta->flags, meta->expiry, meta->seqno, meta->datatype);
            return deliver(slot, result);
        }
        case OperationKind::observe_some: {
            retire(slot);
            if (!wanted(slot)) return unowned(slot);
            std::string_view copies = frame.value;
            return deliver(slot, copies);
        }
        case OperationKind::observe_seqno: {
            auto answer = protocol::decode_observe_seqno(frame);
            if (!answer) return respond_with_malformed(slot, frame);
            retire(slot);
            if (!wanted(slot)) return unowned(slot);
            return deliver(slot, *answer);
        }
        case OperationKind::random_key: {
            const auto document = protocol::decode_random_key(frame);
            if (!document) return respond_with_malformed(slot, frame);
            std::string_view key = document->key;
            if (static_cast<Session&>(*slot.line).granted(protocol::Feature::collections)) {
                const auto split = protocol::split_collection_key(key);
                if (!split) return respond_with_malformed(slot, frame);
                key = split->key;
            }
            retire(slot);
            if (!wanted(slot)) return unowned(slot);
            RandomKeyResult result(key, document->value, document->flags, document->datatype, frame.cas);
            return deliver(slot, result);
        }
        case OperationKind::stats:
        case OperationKind::key_stats:
            return respond_to_stats(slot, frame);
        case OperationKind::version: {
            VersionResult result;
            result.add(slot.line->name(), frame.value);
            retire(slot);
            if (!wanted(slot)) return unowned(slot);
            return deliver(slot, result);
        }
        case OperationKind::collections_manifest: {
            std::optional<protocol::CollectionsManifest> manifest = protocol::decode_manifest(frame.value);
            if (!manifest) return respond_with_malformed(slot, frame);
            retire(slot);
            if (!wanted(slot)) return unowned(slot);
            ManifestResult result = manifest_result(std::move(*manifest));
            return deliver(slot, result);
        }
        case OperationKind::collection_id: {
            const auto decoded = protocol::decode_collection_id(frame);
            if (!decoded) return respond_with_malformed(slot, frame);
            retire(slot);
            if (!wanted(slot)) return unowned(slot);
            CollectionId result{decoded->manifest_uid, decoded->id};
            return deliver(slot, result);
        }
        case OperationKind::cluster_config: {
            OperationResult result;
            router_.on_config(static_cast<Session&>(*slot.line), frame.value);
            retire(slot);
            if (!wanted(slot)) return unowned(slot);
            return deliver(slot, result);
        }
        default: {
            OperationResult result = frame.extras.empty() ? OperationResult(errc::success, frame.cas)
                                                          : mutation_result(frame, request_of(slot).vbucket());
            retire(slot);
            if (!wanted(slot)) return unowned(slot);
            return deliver(slot, result);
        }
    }
}

/// Whatever it is a response to.
void Core::respond_inflated(Slot& slot, const Frame& frame) {
    const bool success = frame.status() == Status::success;
    const bool config = slot.kind == OperationKind::cluster_config || frame.status() == Status::not_my_vbucket;
    const auto inflated = snappy_.inflate(frame.value, config ? protocol::max_inflated_config : max_inflated_value);
    if (!inflated && success) {
        Error error = make_error(slot, errc::decoding_failure, "the compressed value is broken", !slot.idempotent);
        const bool heard = wanted(slot);
        free_accumulator(slot);
        retire(slot);
        if (!heard) return unowned(slot);
        return deliver_error(slot, error);
    }
    Frame plain = frame;
    plain.datatype &= static_cast<std::uint8_t>(~protocol::datatype::snappy);
    plain.value = inflated ? inflated->value : std::string_view();  // the status of an error says enough
    respond(slot, plain, inflated ? inflated->buffer : nullptr);
}

void Core::respond_to_stats(Slot& slot, const Frame& frame) {
    auto* stats = static_cast<StatsResult*>(slot.accumulator);
    const bool last = frame.key.empty() && frame.value.empty();
    if (wanted(slot) && !last) {
        if (!stats) slot.accumulator = stats = new StatsResult;
        if (stats->stats().size() >= most_statistics || stats->bytes() >= most_statistic_bytes) {
            return respond_with_malformed(slot, frame);
        }
        stats->add(slot.line->name(), frame.key, frame.value);
    }
    if (!last) return;
    StatsResult result;
    if (stats) result = std::move(*stats);
    free_accumulator(slot);
    retire(slot);
    if (!wanted(slot)) return unowned(slot);
    deliver(slot, result);
}

void Core::respond_with_error(Slot& slot, const Frame& frame) {
    if (frame.status() == Status::not_my_vbucket && wanted(slot) && settings_.connection.scheme != Scheme::memcached) {
        if (slot.copy != this_node) return router_.not_mine(slot, frame);
        router_.learn(slot, frame);
    }
    if (frame.status() == Status::unknown_collection && wanted(slot) && prefixable(slot) && slot.line->prefixed() &&
        !router_.has_ring()) {
        return collections_.unknown(slot, frame);
    }
    if (frame.status() == Status::unknown_collection && slot.collection && slot.collection->named() &&
        slot.body_prefix != 0) {
        collections_.doubt(*slot.collection);
    }
    if (wanted(slot) && try_later(slot, frame.status())) return;
    errc code = errc_of(slot.kind, frame.status());
    if (code == errc::cas_mismatch && slot.kind == OperationKind::mutate_in && inserts_document(request_of(slot))) {
        code = errc::document_exists;
    }
    if (!wanted(slot)) {
        free_accumulator(slot);
        retire(slot);
        return unowned(slot);
    }
    if (slot.kind == OperationKind::exists && code == errc::document_not_found) {
        retire(slot);
        ExistsResult result;
        return deliver(slot, result);
    }
    if (slot.kind == OperationKind::set_add && code == errc::path_exists) {  // as it should be
        retire(slot);
        OperationResult result(code, 0);
        return deliver(slot, result);
    }
    if (slot.quiet && code == errc::document_not_found) {
        retire(slot);
        if (slot.kind == OperationKind::lookup_in) {
            SubdocResult result(code);
            return deliver(slot, result);
        }
        if (slot.kind == OperationKind::remove) {
            OperationResult result(code, 0);
            return deliver(slot, result);
        }
        if (slot.kind == OperationKind::get_meta) {
            MetaResult result(code);
            return deliver(slot, result);
        }
        ValueResult result(code);
        return deliver(slot, result);
    }
    std::string message;
    bool distrusted = false;
    if (code == errc::unknown_status) {
        message = "status " + std::to_string(frame.specific);
        if (const auto* entry = static_cast<Session&>(*slot.line).describe(frame.status())) {
            message += " (" + entry->name + ": " + entry->description + ")";
            distrusted = has(entry->attributes, protocol::ErrorAttribute::conn_state_invalidated);
        }
    }
    if (code == errc::durability_ambiguous) {
        message = "read the document back, or repeat the operation if that does no harm";
    }
    ErrorContext context = make_context(slot, std::move(message), code == errc::durability_ambiguous);
    context.status = frame.specific;
    context.server_text = frame.value.substr(0, 1024);
    protocol::ErrorContext told = protocol::decode_error_context(frame);
    context.server_context = std::move(told.context);
    context.server_ref = std::move(told.reference);
    context.server_duration = server_duration(frame);
    Error error(code, std::move(context));
    free_accumulator(slot);
    Line* const line = slot.line;
    retire(slot);
    if (distrusted) static_cast<Session*>(line)->distrust("the node's error map says that it is of no use any more");
    deliver_error(slot, error);
}

void Core::missed(Slot& slot) {
    Frame frame;
    frame.opcode = static_cast<protocol::Opcode>(slot.opcode);
    frame.specific = static_cast<std::uint16_t>(Status::key_enoent);
    frame.opaque = slot.opaque;
    respond_with_error(slot, frame);
}

void Core::respond_with_malformed(Slot& slot, const Frame& frame) {
    Error error = make_error(slot, errc::protocol_error, "the server's response is malformed", true, frame.specific);
    const bool heard = wanted(slot);
    free_accumulator(slot);
    retire(slot);
    if (!heard) return unowned(slot);
    deliver_error(slot, error);
}

void Core::free_accumulator(Slot& slot) noexcept {
    delete static_cast<StatsResult*>(std::exchange(slot.accumulator, nullptr));
}

}  // namespace chaise::detail
