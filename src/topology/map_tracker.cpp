#include "topology/map_tracker.hpp"

#include "operation/canary.hpp"
#include "operation/probe.hpp"

#include <algorithm>
#include <utility>

namespace chaise::detail {

using protocol::Endpoint;

std::string MapTracker::offer(std::string_view text, const Endpoint& sender, protocol::Service service, bool anew,
                              bool* no_news) {
    if (no_news) *no_news = false;
    protocol::ParsedMap parsed = protocol::parse_cluster_map(text, sender.host);
    if (!parsed.map) return std::move(parsed.error);
    const protocol::ClusterMap& map = *parsed.map;
    if (map.name != bucket_) return "it is of bucket \"" + map.name + "\", not \"" + bucket_ + "\"";
    if (map.locator == protocol::ClusterMap::Locator::none) return "it does not say how keys find their nodes";
    const bool elsewhere = anew && current_ && !map.uuid.empty() && map.uuid != current_->uuid;
    if (current_ && !elsewhere) {
        std::string why_not = protocol::why_not_acceptable(*current_, map);
        if (!why_not.empty() && planted != canary::config_compared_wrong) {
            CHAISE_PROBE(map_refused);
            if (no_news) *no_news = !protocol::newer(map, *current_);
            return why_not;
        }
    }
    std::string network = current_ ? network_ : protocol::choose_network(map, wanted_network_, sender, tls_, service);
    std::vector<Endpoint> servers = protocol::kv_endpoints(map, network, tls_);
    if (std::none_of(servers.begin(), servers.end(), [](const Endpoint& endpoint) { return bool(endpoint); })) {
        return "none of its nodes has a key-value address in network \"" + network + "\"";
    }
    network_ = std::move(network);
    servers_ = std::move(servers);
    current_ = std::move(parsed.map);
    return {};
}

bool MapTracker::is_news(const protocol::ConfigRevision& revision) const noexcept {
    if (!current_) return true;
    const std::optional<std::int64_t> epoch = revision.epoch, rev = revision.revision;
    return current_->epoch != epoch ? epoch > current_->epoch : rev > current_->rev;
}

}  // namespace chaise::detail
