// What a bucket says of itself.

#include "bucket/core.hpp"

#include <chaise/async_bucket.hpp>

#include <fmt/format.h>

#include <optional>
#include <string>

namespace chaise::detail {

namespace {

/// As the map tells it. Ephemeral buckets are those without views, which every version of the server says.
BucketKind kind_of(const protocol::ClusterMap& map) noexcept {
    switch (map.locator) {
        case protocol::ClusterMap::Locator::none:
            return BucketKind::unknown;  // of the cluster, not of a bucket
        case protocol::ClusterMap::Locator::ketama:
            return BucketKind::memcached;
        case protocol::ClusterMap::Locator::vbucket:
            break;
    }
    // Servers from before bucketCapabilities had no ephemeral buckets.
    return map.capabilities.empty() || map.has_capability("couchapi") ? BucketKind::couchbase : BucketKind::ephemeral;
}

}  // namespace

BucketKind BucketHandle::kind() const noexcept {
    if (core_->settings().connection.scheme == Scheme::memcached) return BucketKind::memcached;
    const protocol::ClusterMap* map = core_->router().map();
    return map ? kind_of(*map) : BucketKind::unknown;
}

std::optional<unsigned> BucketHandle::configured_replicas() const noexcept {
    const BucketKind known = kind();
    if (known == BucketKind::unknown) return std::nullopt;
    return known == BucketKind::memcached ? 0 : core_->router().map()->replicas;
}

std::string BucketHandle::describe() const {
    std::string out = name().empty() ? "bucket" : fmt::format("bucket \"{}\"", name());
    const BucketKind known = kind();
    if (known != BucketKind::unknown) out += fmt::format(" ({}", chaise::name(known));
    if (known == BucketKind::couchbase || known == BucketKind::ephemeral) {
        const unsigned replicas = configured_replicas().value_or(0);
        out += fmt::format(", {} replica{}", replicas, replicas == 1 ? "" : "s");
    }
    if (known != BucketKind::unknown) out += ')';
    const char* before = " at ";
    for (const std::string& node : server_nodes()) {
        out += before + node;
        before = ",";
    }
    return out + (closed() ? ": closed" : connected() ? ": connected" : ": not connected");
}

}  // namespace chaise::detail
