#include "protocol/cluster_map.hpp"

#include <algorithm>

namespace chaise::protocol {

namespace {

bool same_name(std::string_view a, std::string_view b) noexcept {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

std::string number(std::optional<std::int64_t> value) { return value ? std::to_string(*value) : std::string("none"); }

std::string version(const ClusterMap& map) { return "epoch " + number(map.epoch) + " revision " + number(map.rev); }

}  // namespace

std::string authority(const Endpoint& endpoint) {
    const bool v6 = endpoint.host.find(':') != std::string::npos;
    return (v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

Endpoint MapNode::endpoint(Service service, std::string_view network, bool tls) const {
    if (network == "default") return {hostname, ports.port(service, tls)};
    for (const Alternate& alternate : alternates) {
        if (alternate.network == network) {
            return {alternate.hostname, (alternate.ports ? *alternate.ports : ports).port(service, tls)};
        }
    }
    return {hostname, 0};
}

bool ClusterMap::has_capability(std::string_view capability) const noexcept {
    return std::binary_search(capabilities.begin(), capabilities.end(), capability);
}

bool ClusterMap::has_cluster_capability(std::string_view service, std::string_view capability) const noexcept {
    return std::any_of(cluster_capabilities.begin(), cluster_capabilities.end(),
                       [&](const auto& one) { return one.first == service && one.second == capability; });
}

// std::optional's order is the rule: an absent value is less than any present one.
bool newer(const ClusterMap& a, const ClusterMap& b) noexcept {
    return a.epoch != b.epoch ? a.epoch > b.epoch : a.rev > b.rev;
}

std::string why_not_acceptable(const ClusterMap& current, const ClusterMap& offered) {
    if (offered.name != current.name) return "it is of bucket \"" + offered.name + "\", not \"" + current.name + "\"";
    if (!offered.rev && !current.rev && offered.epoch == current.epoch) {
        if (offered.text == current.text) return "it is the current map";
    } else if (!newer(offered, current)) {
        return "its " + version(offered) + " is not newer than the current " + version(current);
    }
    if (offered.uuid == current.uuid && offered.vbucket_count() != current.vbucket_count()) {
        return "it has " + std::to_string(offered.vbucket_count()) + " vbuckets, and the bucket " +
               std::to_string(current.vbucket_count());
    }
    return {};
}

std::string choose_network(const ClusterMap& map, std::string_view wanted, const Endpoint& seed, bool tls,
                           Service service) {
    if (!wanted.empty() && wanted != "auto") return std::string(wanted);
    for (const MapNode& node : map.nodes) {
        if (same_name(node.hostname, seed.host) && node.ports.port(service, tls) == seed.port) return "default";
    }
    for (const MapNode& node : map.nodes) {
        for (const MapNode::Alternate& alternate : node.alternates) {
            if (!same_name(alternate.hostname, seed.host)) continue;
            if (alternate.ports && alternate.ports->port(service, tls) != seed.port) continue;
            return alternate.network;
        }
    }
    return "default";
}

std::vector<Endpoint> kv_endpoints(const ClusterMap& map, std::string_view network, bool tls) {
    std::vector<Endpoint> endpoints;
    endpoints.reserve(map.kv.size());
    for (std::size_t i = 0; i < map.kv.size(); ++i) {
        const std::int16_t node = map.kv_nodes[i];
        if (node >= 0) {
            endpoints.push_back(map.nodes[static_cast<std::size_t>(node)].endpoint(Service::kv, network, tls));
        } else {
            // Known from the serverList only, which tells the internal address and the plain port.
            endpoints.push_back(network == "default" && !tls ? map.kv[i] : Endpoint{map.kv[i].host, 0});
        }
    }
    return endpoints;
}

std::vector<Endpoint> service_endpoints(const ClusterMap& map, Service service, std::string_view network, bool tls) {
    std::vector<Endpoint> endpoints;
    for (const MapNode& node : map.nodes) {
        if (Endpoint endpoint = node.endpoint(service, network, tls)) endpoints.push_back(std::move(endpoint));
    }
    return endpoints;
}

}  // namespace chaise::protocol
