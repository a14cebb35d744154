#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::protocol {

/// Answer to COLLECTIONS_GET_MANIFEST (protocol.md 2.2).
struct CollectionsManifest {
    struct Collection {
        std::string name;
        std::uint32_t uid = 0;
        std::optional<std::int64_t> max_ttl{};  ///< seconds; -1: never expires; 0 or absent: the bucket's default
        std::optional<bool> history{};
    };
    struct Scope {
        std::string name;
        std::uint32_t uid = 0;
        std::vector<Collection> collections;
    };
    std::uint64_t uid = 0;
    std::vector<Scope> scopes;
};

/// Nothing when the JSON is malformed or lacks a name or an id.
[[nodiscard]] std::optional<CollectionsManifest> decode_manifest(std::string_view json);

}  // namespace chaise::protocol
