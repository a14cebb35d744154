#include "topology/map_tracker.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace chaise::detail {

namespace {

using protocol::Endpoint;

/// Those that can be reached, each once, sorted.
std::vector<Endpoint> distinct(std::vector<Endpoint> endpoints) {
    std::erase_if(endpoints, [](const Endpoint& endpoint) { return !endpoint; });
    std::sort(endpoints.begin(), endpoints.end());
    endpoints.erase(std::unique(endpoints.begin(), endpoints.end()), endpoints.end());
    return endpoints;
}

}  // namespace

MapTracker::Offered MapTracker::offer(std::string_view text, const Endpoint& sender) {
    Offered result;
    protocol::ParsedMap parsed = protocol::parse_cluster_map(text, sender.host);
    if (!parsed.map) {
        result.why_not = std::move(parsed.error);
        result.incomplete = parsed.incomplete;
        result.malformed = !parsed.incomplete;
        return result;
    }
    const protocol::ClusterMap& map = *parsed.map;
    if (map.name != bucket_) {
        result.why_not = "it is of bucket \"" + map.name + "\", not \"" + bucket_ + "\"";
        return result;
    }
    if (current_) {
        result.why_not = protocol::why_not_acceptable(*current_, map);
        if (!result.why_not.empty()) return result;
    }
    std::string network = current_ ? network_ : protocol::choose_network(map, wanted_network_, sender, tls_);
    std::vector<Endpoint> servers = protocol::kv_endpoints(map, network, tls_);
    const std::vector<Endpoint> now = distinct(servers);
    if (now.empty()) {
        result.why_not = "none of its nodes has a key-value address in network \"" + network + "\"";
        return result;
    }
    const std::vector<Endpoint> before = distinct(servers_);
    std::set_difference(now.begin(), now.end(), before.begin(), before.end(), std::back_inserter(result.came));
    std::set_difference(before.begin(), before.end(), now.begin(), now.end(), std::back_inserter(result.went));
    std::set_intersection(now.begin(), now.end(), before.begin(), before.end(), std::back_inserter(result.stayed));
    network_ = std::move(network);
    servers_ = std::move(servers);
    current_ = std::move(parsed.map);
    result.accepted = true;
    return result;
}

bool MapTracker::is_news(const protocol::ConfigRevision& revision) const noexcept {
    if (!current_) return true;
    const std::optional<std::int64_t> epoch = revision.epoch, rev = revision.revision;
    return current_->epoch != epoch ? epoch > current_->epoch : rev > current_->rev;
}

}  // namespace chaise::detail
