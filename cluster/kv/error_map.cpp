#include "cluster/kv/error_map.hpp"

#include <algorithm>

#include "protocol/json_text.hpp"
#include "protocol/status.hpp"

namespace chaise::testing {

using protocol::ErrorAttribute;
using protocol::Status;

namespace {

constexpr int revision = 9;
constexpr ErrorAttribute version_2 =
    ErrorAttribute::rate_limit | ErrorAttribute::system_constraint | ErrorAttribute::no_retry;

// "KEY_ENOENT" -> "key enoent"
std::string description(std::string_view name) {
    std::string text(name);
    std::transform(text.begin(), text.end(), text.begin(), [](char c) {
        return c == '_' ? ' ' : c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    return text;
}

}  // namespace

std::string error_map_json(std::uint16_t version) {
    if (version == 0) return {};
    const int spoken = std::min<int>(version, 2);
    std::string json =
        "{\"version\":" + std::to_string(spoken) + ",\"revision\":" + std::to_string(revision) + ",\"errors\":{";
    bool first = true;
    for (std::uint16_t code = 0; code < 0x100; ++code) {
        const auto status = static_cast<Status>(code);
        if (!protocol::is_known(status)) continue;
        if (!first) json += ',';
        first = false;
        protocol::append_json_string(json, protocol::json_hex(code));
        json += ":{\"name\":";
        protocol::append_json_string(json, protocol::name(status));
        json += ",\"desc\":";
        protocol::append_json_string(json, description(protocol::name(status)));
        json += ",\"attrs\":[";
        bool none = true;
        for (const auto& entry : protocol::detail::attribute_names) {
            if (!protocol::has_attribute(status, entry.attribute)) continue;
            if (spoken < 2 && protocol::has(version_2, entry.attribute)) continue;
            if (!none) json += ',';
            none = false;
            protocol::append_json_string(json, entry.name);
        }
        json += "]}";
    }
    return json += "}}";
}

}  // namespace chaise::testing
