#include "protocol/manifest.hpp"

#include <simdjson.h>

#include "protocol/json_text.hpp"

namespace chaise::protocol {

namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

// Every uid is a string of hex digits.
bool get_uid(const object& parent, std::uint64_t limit, std::uint64_t& uid) {
    std::string_view text;
    return parent["uid"].get(text) == simdjson::SUCCESS && parse_hex(text, uid) && uid <= limit;
}

// What scopes and collections have in common.
template <class Named>
bool get_named(const element& from, object& body, Named& out) {
    std::string_view name;
    std::uint64_t uid = 0;
    if (from.get(body) != simdjson::SUCCESS || body["name"].get(name) != simdjson::SUCCESS ||
        !get_uid(body, 0xffffffff, uid))
        return false;
    out.name = name;
    out.uid = static_cast<std::uint32_t>(uid);
    return true;
}

}  // namespace

std::optional<CollectionsManifest> decode_manifest(std::string_view json) {
    simdjson::dom::parser parser;
    object root;
    array scopes;
    CollectionsManifest manifest;
    if (parser.parse(json.data(), json.size(), true).get(root) != simdjson::SUCCESS ||
        !get_uid(root, ~std::uint64_t{0}, manifest.uid) || root["scopes"].get(scopes) != simdjson::SUCCESS)
        return std::nullopt;
    for (const element scope_json : scopes) {
        object body;
        CollectionsManifest::Scope& scope = manifest.scopes.emplace_back();
        array collections;
        if (!get_named(scope_json, body, scope) || body["collections"].get(collections) != simdjson::SUCCESS)
            return std::nullopt;
        for (const element collection_json : collections) {
            CollectionsManifest::Collection& collection = scope.collections.emplace_back();
            if (!get_named(collection_json, body, collection)) return std::nullopt;
            std::int64_t ttl = 0;
            if (body["maxTTL"].get(ttl) == simdjson::SUCCESS) collection.max_ttl = ttl;
            bool history = false;
            if (body["history"].get(history) == simdjson::SUCCESS) collection.history = history;
        }
    }
    return manifest;
}

}  // namespace chaise::protocol
