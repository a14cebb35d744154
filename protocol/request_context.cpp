#include "protocol/request_context.hpp"

namespace chaise::protocol::detail {

char* put_flexible_header(const RequestContext& context, Opcode opcode, std::size_t extras, std::size_t key,
                          std::size_t value, char* out) noexcept {
    const std::size_t framing = framing_size(context);
    assert(framing <= max_framing_extras && key <= 0xff && extras <= 0xff);
    const std::size_t body = framing + extras + key + value;
    store_be64(out, (std::uint64_t{static_cast<std::uint8_t>(Magic::alt_client_request)} << 56) |
                        (std::uint64_t{static_cast<std::uint8_t>(opcode)} << 48) | (std::uint64_t{framing} << 40) |
                        (std::uint64_t{key} << 32) | (std::uint64_t{extras} << 24) |
                        (std::uint64_t{context.datatype} << 16) | context.vbucket);
    store_be64(out + 8, (std::uint64_t{body} << 32) | context.opaque);
    store_be64(out + 16, context.cas);
    return encode(context.frame_infos, out + header_size);
}

}  // namespace chaise::protocol::detail
