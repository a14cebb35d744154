#include "protocol/data_responses.hpp"

namespace chaise::protocol {

std::optional<ValueResponse> decode_random_key(const Frame& frame) noexcept {
    if (!frame.extras.empty()) return decode_value(frame);
    return ValueResponse{0, frame.cas, frame.datatype, frame.key, frame.value};
}

std::optional<GetMetaResponse> decode_get_meta(const Frame& frame) noexcept {
    if (frame.extras.size() != 20 && frame.extras.size() != 21) return std::nullopt;
    const char* const at = frame.extras.data();
    GetMetaResponse response{frame.cas,         load_be32(at) != 0, load_be32(at + 4),
                             load_be32(at + 8), load_be64(at + 12), {}};
    if (frame.extras.size() == 21) response.datatype = static_cast<std::uint8_t>(at[20]);
    return response;
}

std::optional<CollectionKey> split_collection_key(std::string_view wire_key) noexcept {
    const auto prefix = load_leb128(wire_key);
    if (!prefix) return std::nullopt;
    return CollectionKey{prefix->value, wire_key.substr(prefix->size)};
}

}  // namespace chaise::protocol
