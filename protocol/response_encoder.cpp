#include "protocol/response_encoder.hpp"

#include <cassert>
#include <cstring>

#include "protocol/frame_info.hpp"

namespace chaise::protocol {

namespace {

char* put(char* out, std::string_view bytes) noexcept {
    if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
    return out + bytes.size();
}

struct Header {
    Magic magic;
    std::uint8_t opcode;
    std::uint8_t datatype;
    std::uint16_t specific;
    std::uint32_t opaque;
    std::uint64_t cas;
};

char* put_frame(const Header& header, std::string_view framing, std::string_view extras, std::string_view key,
                std::string_view value, char* out) noexcept {
    const bool flexible = is_flexible(header.magic);
    assert(extras.size() <= 0xff && framing.size() <= max_framing_extras && key.size() <= (flexible ? 0xffu : 0xffffu));
    const std::uint64_t lengths = flexible ? std::uint64_t{framing.size()} << 8 | key.size() : key.size();
    const std::size_t body = framing.size() + extras.size() + key.size() + value.size();
    out = store_be64(out, (std::uint64_t{static_cast<std::uint8_t>(header.magic)} << 56) |
                              (std::uint64_t{header.opcode} << 48) | (lengths << 32) |
                              (std::uint64_t{extras.size()} << 24) | (std::uint64_t{header.datatype} << 16) |
                              header.specific);
    out = store_be64(out, (std::uint64_t{body} << 32) | header.opaque);
    out = store_be64(out, header.cas);
    return put(put(put(put(out, framing), extras), key), value);
}

}  // namespace

std::size_t encoded_size(const Response& r) noexcept {
    return header_size + r.framing_extras.size() + r.extras.size() + r.key.size() + r.value.size();
}

char* encode(const Response& r, char* out) noexcept {
    const bool flexible = r.flexible || !r.framing_extras.empty();
    return put_frame(
        {flexible ? Magic::alt_client_response : Magic::client_response, static_cast<std::uint8_t>(r.opcode),
         r.datatype, static_cast<std::uint16_t>(r.status), r.opaque, r.cas},
        r.framing_extras, r.extras, r.key, r.value, out);
}

std::size_t encoded_size(const ServerRequest& r) noexcept {
    return header_size + r.extras.size() + r.key.size() + r.value.size();
}

char* encode(const ServerRequest& r, char* out) noexcept {
    return put_frame({Magic::server_request, static_cast<std::uint8_t>(r.opcode), r.datatype, 0, r.opaque, 0}, {},
                     r.extras, r.key, r.value, out);
}

}  // namespace chaise::protocol
