#include "cluster/kv/virtual_xattrs.hpp"

#include <array>
#include <cstdio>

#include "cluster/kv/json_edit.hpp"
#include "protocol/json_text.hpp"

namespace chaise::testing {

using protocol::Status;

namespace {

std::string hex(std::uint64_t value, int digits) {
    char text[24];
    std::snprintf(text, sizeof text, "\"0x%0*llx\"", digits, static_cast<unsigned long long>(value));
    return text;
}

constexpr std::array<std::uint32_t, 256> make_crc_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
        table[i] = crc;
    }
    return table;
}

// The CAS is a clock: nanoseconds.
std::string seconds_of(std::uint64_t cas) { return '"' + std::to_string(cas / 1'000'000'000) + '"'; }

std::string document_xattr(const Document& document, std::uint64_t uuid) {
    const std::string body = inflated(document);
    std::string types;
    const auto type = [&](std::uint8_t bit, std::string_view name) {
        if ((document.datatype & bit) == 0) return;
        types += types.empty() ? "\"" : ",\"";
        types.append(name) += '"';
    };
    type(protocol::datatype::json, "json");
    type(protocol::datatype::snappy, "snappy");
    type(protocol::datatype::xattr, "xattr");
    if (types.empty()) types = "\"raw\"";
    std::string json = "{";
    json += "\"CAS\":" + hex(document.cas, 16) + ",\"vbucket_uuid\":" + hex(uuid, 16);
    json += ",\"seqno\":" + hex(document.seqno, 16) + ",\"revid\":\"" + std::to_string(document.revision);
    json += "\",\"exptime\":" + std::to_string(document.expiry) + ",\"value_bytes\":" + std::to_string(body.size());
    if (!document.deleted) json += ",\"value_crc32c\":" + hex(crc32c(body), 8);
    json += ",\"datatype\":[" + types + "],\"deleted\":" + (document.deleted ? "true" : "false");
    json += ",\"flags\":" + std::to_string(document.flags) + ",\"last_modified\":" + seconds_of(document.cas) + '}';
    return json;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) noexcept {
    static constexpr auto table = make_crc_table();
    std::uint32_t crc = ~0u;
    for (const char c : bytes) crc = crc >> 8 ^ table[(crc ^ static_cast<std::uint8_t>(c)) & 0xff];
    return ~crc;
}

std::optional<std::string> virtual_xattr(std::string_view name, const Document& document,
                                         const SubdocSurroundings& surroundings) {
    if (name == "$document") return document_xattr(document, surroundings.vbucket_uuid);
    if (name == "$vbucket") return "{\"HLC\":{\"now\":\"" + std::to_string(surroundings.now) + "\",\"mode\":\"real\"}}";
    if (name != "$XTOC") return std::nullopt;
    std::string json = "[";
    for (const StoredXattr& xattr : document.xattrs) {
        if (json.size() > 1) json += ',';
        protocol::append_json_string(json, xattr.name);
    }
    return json += ']';
}

Status expand_macro(std::string& text, const MacroSource& source, const SubdocSurroundings& surroundings) {
    if (text == "\"${Mutation.CAS}\"") {
        text = hex(__builtin_bswap64(source.cas), 16);
    } else if (text == "\"${Mutation.seqno}\"") {
        text = hex(source.seqno, 16);
    } else if (text == "\"${Mutation.value_crc32c}\"") {
        text = hex(source.body_crc, 8);
    } else if (text.starts_with("\"${$document") && text.ends_with("}\"")) {
        // Of the document as it was; what is made now tells nothing yet.
        static const Document none;
        const std::string path = text.substr(3, text.size() - 5);
        const Document& document = source.found == nullptr ? none : *source.found;
        const std::string wrapped = "{\"$document\":" + document_xattr(document, surroundings.vbucket_uuid) + '}';
        if (json_lookup(protocol::Opcode::subdoc_get, wrapped, path, text) != Status::success)
            return Status::subdoc_xattr_unknown_vattr_macro;
    } else {
        return text.starts_with("\"${$") ? Status::subdoc_xattr_unknown_vattr_macro
                                         : Status::subdoc_xattr_unknown_macro;
    }
    return Status::success;
}

}  // namespace chaise::testing
