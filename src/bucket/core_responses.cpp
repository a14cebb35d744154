// What the server's answers become.

#include "bucket/core.hpp"
#include "bucket/parts.hpp"
#include "bucket/subdocument.hpp"
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

constexpr std::size_t longest_server_text = 1024;
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

void Core::set_vbucket(Slot& slot, std::uint16_t vbucket) noexcept {
    char* const request = slot.block->data() + slot.offset;
    if (slot.kind == OperationKind::observe_some) {
        protocol::store_be16(request + protocol::header_size, vbucket);
    } else if (slot.kind != OperationKind::key_stats) {  // there it is in the text
        protocol::store_be16(request + 6, vbucket);
    }
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
    context.server_text = frame.value.substr(0, longest_server_text);
    const protocol::ErrorContext told = protocol::decode_error_context(frame);
    context.server_context = told.context.substr(0, longest_server_text);
    context.server_ref = told.reference.substr(0, longest_server_text);
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
