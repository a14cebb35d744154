// What errors say: of which operation they are, of which key, and where it was.

#include "bucket/core.hpp"
#include "bucket/parts.hpp"
#include "bucket/subdocument.hpp"
#include "durability/observe_round.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace chaise::detail {

namespace {

using protocol::Frame;

/// Of "key KEY VBUCKET".
std::string_view key_of_group(std::string_view group) noexcept {
    constexpr std::string_view head = "key ";
    const std::size_t end = group.rfind(' ');
    return end > head.size() && end != std::string_view::npos ? group.substr(head.size(), end - head.size()) : group;
}

}  // namespace

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

}  // namespace chaise::detail
