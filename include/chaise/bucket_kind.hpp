#pragma once

/// \file
/// What kind of bucket it is.

#include <cstdint>
#include <string_view>

namespace chaise {

enum class BucketKind : std::uint8_t {
    unknown,    ///< not told yet: there is no cluster map
    couchbase,  ///< on disk, with replicas and views
    ephemeral,  ///< in memory, with replicas
    memcached,  ///< one copy of each document, placed by ketama: a bucket of Couchbase's, or plain memcached
};

/// "couchbase"; "unknown"
[[nodiscard]] constexpr std::string_view name(BucketKind kind) noexcept {
    switch (kind) {
        case BucketKind::couchbase:
            return "couchbase";
        case BucketKind::ephemeral:
            return "ephemeral";
        case BucketKind::memcached:
            return "memcached";
        case BucketKind::unknown:
            break;
    }
    return "unknown";
}

}  // namespace chaise
