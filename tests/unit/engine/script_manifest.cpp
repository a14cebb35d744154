#include "tests/unit/engine/script_manifest.hpp"

#include <algorithm>
#include <utility>

namespace chaise::testing {

bool ScriptManifest::has(std::uint32_t id) const {
    return id == 0 || std::any_of(ids.begin(), ids.end(), [&](const auto& one) { return one.second == id; });
}

std::string ScriptManifest::place(std::uint32_t id, std::string key) const {
    const auto path = std::find_if(ids.begin(), ids.end(), [&](const auto& one) { return one.second == id; });
    return path == ids.end() ? key : path->first + "/" + key;
}

bool ScriptManifest::has_scope(const std::string& scope) const {
    return scope == "_default" ||
           std::any_of(ids.begin(), ids.end(), [&](const auto& one) { return one.first.starts_with(scope + "."); });
}

}  // namespace chaise::testing
