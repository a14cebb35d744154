#include "protocol/key_prefix.hpp"

#include <cassert>
#include <cstdint>
#include <cstring>

#include "protocol/byte_order.hpp"
#include "protocol/frame.hpp"
#include "protocol/leb128.hpp"
#include "protocol/magic.hpp"

namespace chaise::protocol {

namespace {

bool flexible(std::string_view request) noexcept {
    return static_cast<Magic>(static_cast<std::uint8_t>(request[0])) == Magic::alt_client_request;
}

std::size_t byte(std::string_view bytes, std::size_t at) noexcept { return static_cast<std::uint8_t>(bytes[at]); }

std::size_t key_size(std::string_view request) noexcept {
    return flexible(request) ? byte(request, 3) : load_be16(request.data() + 2);
}

std::size_t key_begin(std::string_view request) noexcept {
    return header_size + (flexible(request) ? byte(request, 2) : 0) + byte(request, 4);
}

}  // namespace

std::string_view key_prefix(std::string_view request) noexcept {
    const std::string_view key = request.substr(key_begin(request), key_size(request));
    const auto id = load_leb128(key);
    return key.substr(0, id ? id->size : 0);
}

char* replace_key_prefix(std::string_view request, std::size_t old_size, std::string_view prefix, char* out) noexcept {
    const std::size_t before = key_begin(request);
    const std::size_t size = key_size(request);
    assert(old_size <= size && size - old_size + prefix.size() <= 0xff && before + size <= request.size());
    const std::size_t after = request.size() - before - old_size;
    std::memcpy(out, request.data(), before);
    if (!prefix.empty()) std::memcpy(out + before, prefix.data(), prefix.size());
    if (after != 0) std::memcpy(out + before + prefix.size(), request.data() + before + old_size, after);
    const std::size_t new_size = size - old_size + prefix.size();
    if (flexible(request)) {
        store_be8(out + 3, static_cast<std::uint8_t>(new_size));
    } else {
        store_be16(out + 2, static_cast<std::uint16_t>(new_size));
    }
    const std::size_t total = before + prefix.size() + after;
    store_be32(out + 8, static_cast<std::uint32_t>(total - header_size));
    return out + total;
}

}  // namespace chaise::protocol
