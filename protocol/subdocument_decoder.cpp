#include "protocol/subdocument_decoder.hpp"

namespace chaise::protocol {

namespace {

// The optional fields, told apart by their total length only.
bool decode_tail(std::string_view tail, bool mutation, DecodedSubdoc& out) noexcept {
    switch (tail.size()) {
        case 0:
        case 1:
            break;
        case 4:
        case 5:
        case 8:
        case 9:
            if (mutation) break;
            return false;
        default:
            return false;
    }
    if (tail.size() >= 4) out.expiry = load_be32(tail.data());
    if (tail.size() >= 8) out.user_flags = load_be32(tail.data() + 4);
    if (tail.size() % 4 == 1) out.doc_flags = static_cast<std::uint8_t>(tail.back());
    return true;
}

RequestError decode_specs(std::string_view left, bool mutation, DecodedSubdoc& out) noexcept {
    const std::size_t fixed = mutation ? 8 : 4;
    while (!left.empty() && out.count < out.storage.size()) {
        if (left.size() < fixed) return RequestError::bad_value;
        MutationSpec& spec = out.storage[out.count++];
        spec.opcode = static_cast<Opcode>(static_cast<std::uint8_t>(left[0]));
        spec.path_flags = static_cast<std::uint8_t>(left[1]);
        const std::size_t path = load_be16(left.data() + 2);
        const std::size_t value = mutation ? load_be32(left.data() + 4) : 0;
        left.remove_prefix(fixed);
        if (path > left.size() || value > left.size() - path) return RequestError::bad_value;
        spec.path = left.substr(0, path);
        spec.value = left.substr(path, value);
        left.remove_prefix(path + value);
    }
    return RequestError::none;
}

}  // namespace

RequestError decode(const Frame& frame, DecodedSubdoc& out, RequestDecodeOptions options) noexcept {
    const bool single = is_subdoc_single(frame.opcode);
    if (!single && frame.opcode != Opcode::subdoc_multi_lookup && frame.opcode != Opcode::subdoc_multi_mutation)
        return RequestError::bad_opcode;
    out.opcode = frame.opcode;
    const bool mutation = !is_subdoc_lookup(frame.opcode);
    const std::size_t fixed = single ? 3 : 0;
    if (frame.extras.size() < fixed || !decode_tail(frame.extras.substr(fixed), mutation, out))
        return RequestError::bad_extras;
    const RequestError error = decode_key(frame, out.context, out.key, options);
    if (error != RequestError::none) return error;
    if (!single) return decode_specs(frame.value, mutation, out);
    const std::size_t path = load_be16(frame.extras.data());
    if (path > frame.value.size()) return RequestError::bad_value;
    out.storage[0] = {frame.opcode, static_cast<std::uint8_t>(frame.extras[2]), frame.value.substr(0, path),
                      frame.value.substr(path)};
    out.count = 1;
    return RequestError::none;
}

}  // namespace chaise::protocol
