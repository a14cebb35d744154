#include "bucket/preserve_expiry.hpp"

#include "bucket/core.hpp"
#include "bucket/start.hpp"
#include "protocol/feature.hpp"
#include "protocol/frame_info.hpp"
#include "protocol/requests.hpp"

#include <array>

namespace chaise::detail {

namespace {
constexpr std::array preserve = {protocol::RequestFrameInfo::preserve_ttl()};
}  // namespace

bool check_preserve_expiry(Core& core, Slot& slot, std::string_view key) {
    if (core.settings().connection.scheme == Scheme::memcached) {
        core.reject(slot, errc::feature_not_available, key, "plain memcached has no preserve_expiry");
        return false;
    }
    if (core.lacks(slot, key, protocol::Feature::preserve_ttl) ||
        core.lacks(slot, key, protocol::Feature::alt_request)) {
        core.reject(slot, errc::feature_not_available, key, "the node does not grant preserve_expiry");
        return false;
    }
    return true;
}

void store_preserving(Core& core, Slot& slot, OperationKind kind, std::string_view key, std::string_view value,
                      StoreOptions options) {
    if (kind == OperationKind::insert) {
        return core.reject(slot, errc::invalid_argument, key, "preserve_expiry: a new document has no expiry yet");
    }
    if (kind == OperationKind::replace && options.expiry.kind() != Expiry::Kind::never) {
        return core.reject(slot, errc::invalid_argument, key,
                           "preserve_expiry and expiry: of a document that exists only one can hold");
    }
    const auto wire = check_expiry(core, slot, key, options.expiry);
    if (!wire || !check_preserve_expiry(core, slot, key)) return;
    protocol::StoreRequest request{
        .opcode = opcode_of(kind), .key = key, .value = value, .flags = options.flags, .expiry = *wire};
    request.context.cas = options.cas;
    request.context.frame_infos = preserve;
    core.submit(slot, options.timeout, key, request);
}

void count_preserving(Core& core, Slot& slot, std::string_view key, CounterOptions options) {
    const auto wire = check_expiry(core, slot, key, options.expiry);
    if (!wire || !check_preserve_expiry(core, slot, key)) return;
    const bool up = options.delta >= 0;
    const auto delta = static_cast<std::uint64_t>(options.delta);
    protocol::CounterRequest request{.opcode = up ? protocol::Opcode::increment : protocol::Opcode::decrement,
                                     .key = key,
                                     .delta = up ? delta : 0 - delta,
                                     .initial = options.initial.value_or(0),
                                     .expiry = options.initial ? *wire : protocol::counter_no_create};
    request.context.frame_infos = preserve;
    core.submit(slot, options.timeout, key, request);
}

}  // namespace chaise::detail
