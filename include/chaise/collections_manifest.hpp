#pragma once

/// \file
/// Which scopes and collections a bucket has.

#include <chaise/result.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chaise {

/// A collection, as the cluster's manifest has it.
struct CollectionSpec {
    std::string name;
    std::uint32_t uid = 0;  ///< another one: it was dropped and made anew
    /// Documents expire no later; 0 s: as the bucket says; -1 s: they need not expire, whatever the bucket says.
    std::chrono::seconds max_expiry{0};
    bool history = false;  ///< versions of its documents are kept
};

/// A scope and its collections, as the cluster's manifest has them.
struct ScopeSpec {
    std::string name;
    std::uint32_t uid = 0;
    std::vector<CollectionSpec> collections;
};

/// A bucket's scopes and collections, as one node knows them: another may be behind, or ahead.
class ManifestResult : public Result {
public:
    /// Rises with each change.
    [[nodiscard]] std::uint64_t uid() const noexcept { return uid_; }
    [[nodiscard]] const std::vector<ScopeSpec>& scopes() const noexcept { return scopes_; }
    /// Null if there is none; valid as long as this result lives.
    [[nodiscard]] const ScopeSpec* scope(std::string_view name) const noexcept {
        for (const ScopeSpec& one : scopes_) {
            if (one.name == name) return &one;
        }
        return nullptr;
    }
    /// Null if there is none; valid as long as this result lives.
    [[nodiscard]] const CollectionSpec* collection(std::string_view scope_name, std::string_view name) const noexcept {
        if (const ScopeSpec* in = scope(scope_name)) {
            for (const CollectionSpec& one : in->collections) {
                if (one.name == name) return &one;
            }
        }
        return nullptr;
    }

    ManifestResult() = default;
    /// Made by the engine.
    ManifestResult(std::uint64_t uid, std::vector<ScopeSpec> scopes) : uid_(uid), scopes_(std::move(scopes)) {}

private:
    std::uint64_t uid_ = 0;
    std::vector<ScopeSpec> scopes_;
};

}  // namespace chaise
