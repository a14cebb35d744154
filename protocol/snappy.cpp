#include "protocol/snappy.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "protocol/leb128.hpp"

namespace chaise::protocol {

namespace {

constexpr std::size_t block_size = 65536;  // matches never reach out of their block, so offsets fit in 16 bits
constexpr std::size_t hash_bits = 12;

std::uint32_t load_le(const char* at, std::size_t bytes) noexcept {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) value |= std::uint32_t{static_cast<std::uint8_t>(at[i])} << (8 * i);
    return value;
}

void append_le(std::string& out, std::size_t value, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

void append_literal(std::string& out, std::string_view literal) {
    if (literal.empty()) return;
    const std::size_t n = literal.size() - 1;
    if (n < 60) {
        append_le(out, n << 2, 1);
    } else {
        const std::size_t bytes = n < 1u << 8 ? 1 : n < 1u << 16 ? 2 : n < 1u << 24 ? 3 : 4;
        append_le(out, (59 + bytes) << 2, 1);
        append_le(out, n, bytes);
    }
    out += literal;
}

void append_copy(std::string& out, std::size_t offset, std::size_t length) {
    const auto two_byte = [&](std::size_t part) {
        append_le(out, (part - 1) << 2 | 2, 1);
        append_le(out, offset, 2);
        length -= part;
    };
    while (length >= 68) two_byte(64);
    if (length > 64) two_byte(60);  // leaves at least four, which the short form can take
    if (length < 12 && offset < 2048) {
        append_le(out, (offset >> 8) << 5 | (length - 4) << 2 | 1, 1);
        append_le(out, offset, 1);
    } else {
        two_byte(length);
    }
}

void deflate_block(std::string& out, std::string_view block) {
    std::array<std::uint16_t, std::size_t{1} << hash_bits> last{};
    std::size_t literal = 0;
    std::size_t at = 0;
    while (at + 4 <= block.size()) {
        const std::uint32_t word = load_le(block.data() + at, 4);
        std::uint16_t& slot = last[(word * 0x1e35a7bdu) >> (32 - hash_bits)];
        const std::size_t candidate = slot;
        slot = static_cast<std::uint16_t>(at);
        if (candidate >= at || load_le(block.data() + candidate, 4) != word) {
            ++at;
            continue;
        }
        append_literal(out, block.substr(literal, at - literal));
        std::size_t length = 4;
        while (at + length < block.size() && block[candidate + length] == block[at + length]) ++length;
        append_copy(out, at - candidate, length);
        at += length;
        literal = at;
    }
    append_literal(out, block.substr(literal));
}

}  // namespace

std::optional<std::size_t> snappy_inflated_size(std::string_view block) noexcept {
    const auto size = load_leb128(block);
    if (!size) return std::nullopt;
    return size->value;
}

std::optional<std::string> snappy_inflate(std::string_view block, std::size_t limit) {
    const auto size = load_leb128(block);
    if (!size || size->value > limit) return std::nullopt;
    block.remove_prefix(size->size);
    std::string out;
    out.reserve(size->value);
    while (!block.empty()) {
        const auto tag = static_cast<std::uint8_t>(block[0]);
        block.remove_prefix(1);
        std::size_t length = (tag >> 2) + 1u;
        if ((tag & 3) == 0) {
            if (length > 60) {
                const std::size_t bytes = length - 60;
                if (block.size() < bytes) return std::nullopt;
                length = std::size_t{load_le(block.data(), bytes)} + 1;
                block.remove_prefix(bytes);
            }
            if (length > block.size() || length > size->value - out.size()) return std::nullopt;
            out += block.substr(0, length);
            block.remove_prefix(length);
            continue;
        }
        const std::size_t bytes = (tag & 3) == 1 ? 1 : (tag & 3) == 2 ? 2 : 4;
        if (block.size() < bytes) return std::nullopt;
        std::size_t offset = load_le(block.data(), bytes);
        block.remove_prefix(bytes);
        if (bytes == 1) {
            length = 4 + ((tag >> 2) & 7u);
            offset |= static_cast<std::size_t>(tag >> 5) << 8;
        }
        if (offset == 0 || offset > out.size() || length > size->value - out.size()) return std::nullopt;
        // Source and target may overlap: that is how runs are written.
        for (const std::size_t end = out.size() + length; out.size() < end;) out += out[out.size() - offset];
    }
    if (out.size() != size->value) return std::nullopt;
    return out;
}

std::string snappy_deflate(std::string_view bytes) {
    std::array<char, max_leb128_size> head;
    std::string out(head.data(), store_leb128(head.data(), static_cast<std::uint32_t>(bytes.size())));
    for (std::size_t at = 0; at < bytes.size(); at += block_size) deflate_block(out, bytes.substr(at, block_size));
    return out;
}

}  // namespace chaise::protocol
