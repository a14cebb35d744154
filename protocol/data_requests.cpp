#include "protocol/data_requests.hpp"

namespace chaise::protocol {

namespace {

std::size_t extras_size(const GetRandomKeyRequest& r) noexcept {
    if (!r.context.collection) return 0;
    return r.include_xattrs ? 5 : 4;
}

}  // namespace

std::size_t encoded_size(const GetRandomKeyRequest& r) noexcept {
    return header_size + detail::framing_size(r.context) + extras_size(r);
}

char* encode(const GetRandomKeyRequest& r, char* out) noexcept {
    out = detail::put_header(r.context, Opcode::get_random_key, extras_size(r), 0, 0, out);
    if (!r.context.collection) return out;
    out = store_be32(out, *r.context.collection);
    if (r.include_xattrs) out = store_be8(out, *r.include_xattrs ? 1 : 0);
    return out;
}

}  // namespace chaise::protocol
