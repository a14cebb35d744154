#include <algorithm>
#include <stdexcept>
#include <utility>

#include "cluster/kv/cluster_state.hpp"

// Scopes and collections of a bucket, as its administrators change them. Nothing of it changes what exists by its id:
// ids are not used again, so a collection that is dropped and made again is another one.
namespace chaise::testing {

namespace {

using Manifest = protocol::CollectionsManifest;

std::string quoted(std::string_view name) { return '"' + std::string(name) + '"'; }

void check_name(std::string_view name, const char* what) {
    const auto allowed = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
               c == '%';
    };
    if (name.empty() || name.size() > 251) throw std::invalid_argument(std::string(what) + ": 1 to 251 characters");
    if (name.front() == '_' || name.front() == '%')
        throw std::invalid_argument(std::string(what) + ": First character must not be _ or %");
    if (!std::all_of(name.begin(), name.end(), allowed))
        throw std::invalid_argument(std::string(what) + ": Can only contain characters A-Z, a-z, 0-9, _, - and %");
}

template <class T>
auto named(std::vector<T>& all, std::string_view name) {
    return std::find_if(all.begin(), all.end(), [&](const T& one) { return one.name == name; });
}

Manifest::Scope& scope_of(Manifest& manifest, std::string_view name) {
    const auto found = named(manifest.scopes, name);
    if (found == manifest.scopes.end()) throw std::out_of_range("Scope with name " + quoted(name) + " is not found");
    return *found;
}

}  // namespace

BucketConfig ClusterState::edit_manifest(std::string_view bucket) const {
    const auto config = bucket_config(bucket);
    if (!config) throw std::out_of_range("no bucket " + quoted(bucket));
    if (config->settings.type == BucketType::memcached)
        throw std::invalid_argument("Not allowed on this type of bucket");
    return *config;
}

std::uint64_t ClusterState::publish_manifest(BucketConfig config) {
    const std::uint64_t uid = ++config.manifest.uid;
    publish_bucket(std::move(config));
    return uid;
}

std::uint64_t ClusterState::create_scope(std::string_view bucket, std::string_view name) {
    BucketConfig config = edit_manifest(bucket);
    check_name(name, "name");
    std::vector<Manifest::Scope>& scopes = config.manifest.scopes;
    if (named(scopes, name) != scopes.end())
        throw std::invalid_argument("Scope with name " + quoted(name) + " already exists");
    scopes.push_back({std::string(name), config.next_collection_id++, {}});
    return publish_manifest(std::move(config));
}

std::uint64_t ClusterState::drop_scope(std::string_view bucket, std::string_view name) {
    BucketConfig config = edit_manifest(bucket);
    const Manifest::Scope& scope = scope_of(config.manifest, name);
    if (scope.uid == 0) throw std::invalid_argument("Deleting _default scope is not allowed");
    std::erase_if(config.manifest.scopes, [&](const Manifest::Scope& one) { return one.name == name; });
    return publish_manifest(std::move(config));
}

std::uint64_t ClusterState::create_collection(std::string_view bucket, std::string_view scope, std::string_view name,
                                              std::int64_t max_ttl) {
    BucketConfig config = edit_manifest(bucket);
    Manifest::Scope& in = scope_of(config.manifest, scope);
    check_name(name, "name");
    if (max_ttl < -1 || max_ttl > 2147483647) throw std::invalid_argument("maxTTL: -1 to 2147483647");
    if (named(in.collections, name) != in.collections.end())
        throw std::invalid_argument("Collection with name " + quoted(name) + " in scope " + quoted(scope) +
                                    " already exists");
    Manifest::Collection collection{std::string(name), config.next_collection_id++, {}, {}};
    if (max_ttl != 0) collection.max_ttl = max_ttl;
    in.collections.push_back(std::move(collection));
    return publish_manifest(std::move(config));
}

std::uint64_t ClusterState::drop_collection(std::string_view bucket, std::string_view scope, std::string_view name) {
    BucketConfig config = edit_manifest(bucket);
    Manifest::Scope& in = scope_of(config.manifest, scope);
    const auto found = named(in.collections, name);
    if (found == in.collections.end())
        throw std::out_of_range("Collection with name " + quoted(name) + " in scope " + quoted(scope) +
                                " is not found");
    if (found->uid == 0) throw std::invalid_argument("Deleting _default collection is not allowed");
    in.collections.erase(found);
    return publish_manifest(std::move(config));
}

}  // namespace chaise::testing
