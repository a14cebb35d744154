#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace chaise::testing {

/// Collections, by their path; the default collection is not among them.
struct ScriptManifest {
    std::uint64_t uid = 1;
    std::map<std::string, std::uint32_t> ids{};

    [[nodiscard]] bool has(std::uint32_t id) const;
    /// Where a collection's document is among a node's items.
    [[nodiscard]] std::string place(std::uint32_t id, std::string key) const;
    [[nodiscard]] bool has_scope(const std::string& scope) const;
};

}  // namespace chaise::testing
