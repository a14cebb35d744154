#include "bucket/preserve_expiry.hpp"

#include "bucket/core.hpp"
#include "bucket/start.hpp"
#include "protocol/feature.hpp"

namespace chaise::detail {

bool check_preserve_expiry(Core& core, Slot& slot, std::string_view key) {
    if (core.settings().connection.scheme == Scheme::memcached) {
        core.reject(slot, errc::feature_not_available, key, "plain memcached has no preserve_expiry");
        return false;
    }
    if (core.lacks(slot, key, protocol::Feature::preserve_ttl) ||
        core.lacks(slot, key, protocol::Feature::alt_request)) {
        core.reject(slot, errc::feature_not_available, key, "the node does not grant preserve_expiry");
        return false;
    }
    return true;
}

}  // namespace chaise::detail
