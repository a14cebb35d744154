// Requests that were encoded for one connection, and go to another.

#include "bucket/core.hpp"
#include "protocol/byte_order.hpp"
#include "protocol/data_requests.hpp"
#include "protocol/datatype.hpp"
#include "protocol/frame.hpp"
#include "protocol/frame_info.hpp"
#include "protocol/snappy.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace chaise::detail {

namespace {

using protocol::Feature;

constexpr std::size_t datatype_at = 5;
constexpr std::size_t body_length_at = 8;

bool has_info(const protocol::Frame& request, protocol::RequestFrameInfoId id) noexcept {
    protocol::FrameInfoReader reader(request.framing_extras);
    while (const auto info = reader.next()) {
        if (info->id == static_cast<std::uint16_t>(id)) return true;
    }
    return false;
}

}  // namespace

bool Core::lacks(const Slot& slot, std::string_view key, Feature feature) noexcept {
    if (settings_.connection.scheme == Scheme::memcached) return true;
    const Line* const detour = slot.collection->detour();
    const Line& line = !detour ? router_.route(key).line : router_.is_ring(*detour) ? router_.by_ring(key) : *detour;
    return line.ready() && !static_cast<const Session&>(line).granted(feature);
}

bool Core::adapt(Slot& slot, const Line& to) {
    const char* const request = slot.block->data() + slot.offset;
    const bool compressed = (static_cast<std::uint8_t>(request[datatype_at]) & protocol::datatype::snappy) != 0;
    const bool flexible =
        static_cast<std::uint8_t>(request[0]) == static_cast<std::uint8_t>(protocol::Magic::alt_client_request);
    if (!compressed && !flexible) [[likely]]
        return true;
    const auto agreed = [&to](Feature feature) {
        return to.ready() && static_cast<const Session&>(to).granted(feature);
    };
    if (compressed && !agreed(Feature::snappy) && !inflate_request(slot)) {
        fail_unsent(slot, errc::queue_full, "there is no room for it uncompressed");
        return false;
    }
    if (flexible && to.ready() &&
        !(agreed(Feature::preserve_ttl) && agreed(Feature::sync_replication) && agreed(Feature::alt_request))) {
        protocol::Frame frame;
        const std::string_view bytes(slot.block->data() + slot.offset, slot.length);
        static_cast<void>(protocol::parse_frame(bytes, frame, 0xffffffff));
        const bool framed = agreed(Feature::alt_request);
        if (has_info(frame, protocol::RequestFrameInfoId::preserve_ttl) && !(framed && agreed(Feature::preserve_ttl))) {
            fail_unsent(slot, errc::feature_not_available, "the node does not grant preserve_expiry");
            return false;
        }
        if (has_info(frame, protocol::RequestFrameInfoId::durability) &&
            !(framed && agreed(Feature::sync_replication))) {
            fail_unsent(slot, errc::feature_not_available,
                        "the node does not grant durable writes (it takes Couchbase 6.5)");
            return false;
        }
    }
    return true;
}

bool Core::inflate_request(Slot& slot) {
    const std::string_view bytes(slot.block->data() + slot.offset, slot.length);
    protocol::Frame frame;
    static_cast<void>(protocol::parse_frame(bytes, frame, 0xffffffff));
    const auto inflated = snappy_.inflate(frame.value, protocol::max_inflated_document);
    if (!inflated) return false;  // it was made here: cannot be
    const std::string_view head = bytes.substr(0, bytes.size() - frame.value.size());
    std::string plain;
    plain.reserve(head.size() + inflated->value.size());
    plain.append(head).append(inflated->value);
    plain[datatype_at] = static_cast<char>(plain[datatype_at] & ~protocol::datatype::snappy);
    protocol::store_be32(plain.data() + body_length_at,
                         static_cast<std::uint32_t>(plain.size() - protocol::header_size));
    return slot.line->pipeline().replace(slot, plain);
}

void Core::fail_unsent(Slot& slot, errc code, std::string message) {
    Error error = make_error(slot, code, std::move(message), false);
    slot.line->pipeline().remove(slot);
    fail_later(slot, std::move(error));
}

}  // namespace chaise::detail
