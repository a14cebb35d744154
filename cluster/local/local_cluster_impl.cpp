#include "cluster/local/local_cluster_impl.hpp"

#include <algorithm>
#include <bit>
#include <vector>

#include "protocol/vbucket.hpp"

namespace chaise::testing {

namespace {

constexpr std::size_t nodes_max = 64;

// What stands in maps as a host: a name or an IP address, without port and brackets.
bool is_host(std::string_view text) {
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    if (std::count(text.begin(), text.end(), ':') == 1) return false;
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
        return letter(c) || digit(c) || c == '.' || c == '-' || c == '_' || c == ':';
    });
}

void check_options(const LocalClusterOptions& options) {
    const auto refuse = [](const char* why) { throw std::invalid_argument(std::string("LocalCluster: ") + why); };
    if (options.nodes < 1 || options.nodes > nodes_max) refuse("nodes is 1 to 64");
    if (options.replicas > 3) refuse("replicas is 0 to 3");
    if (options.replicas >= options.nodes) refuse("there must be more nodes than replicas");
    if (options.vbuckets < 1 || options.vbuckets > 1024 || !std::has_single_bit(options.vbuckets)) {
        refuse("vbuckets is a power of two from 1 to 1024");
    }
    if (options.username.empty()) refuse("username is empty");
    for (const Duration delay : {options.replication_delay, options.persistence_delay, options.config_delay}) {
        if (delay < Duration::zero()) refuse("a delay is negative");
    }
    const std::vector<std::string>& groups = options.server_groups;
    if (!groups.empty() && groups.size() != options.nodes) refuse("there is a server group for each node, or for none");
    if (std::find(groups.begin(), groups.end(), "") != groups.end()) refuse("a server group has no name");
}

}  // namespace

void LocalCluster::Impl::check(const NodeAddresses& addresses) {
    const auto refuse = [](const char* why) { throw std::invalid_argument(std::string("LocalCluster: ") + why); };
    if (!addresses.internal.empty() && !is_host(addresses.internal)) refuse("the internal address is no host");
    if (!addresses.external.empty() && !is_host(addresses.external)) refuse("the external address is no host");
    if (addresses.external.empty() && addresses.ports != ExternalPorts::same) {
        refuse("there are external ports without an external address");
    }
}

BucketSettings LocalCluster::Impl::memcached_bucket(std::string_view name) {
    return {.name = std::string(name), .type = BucketType::memcached, .vbuckets = 1, .replicas = 0};
}

LocalCluster::Impl::Impl(const LocalClusterOptions& options, const Endpoint& kv, const Endpoint& http)
    : options_(options) {
    check_options(options_);
    check(options_.addresses);
    ClusterOptions cluster;
    cluster.users = {{options_.username, options_.password, {}}};
    cluster.seed = options_.seed;
    cluster.replication_delay = options_.replication_delay;
    cluster.persistence_delay = options_.persistence_delay;
    cluster.config_delay = options_.config_delay;
    cluster.cccp = options_.cccp;
    cluster.terse_streams = options_.terse_streams;
    places_->state = std::make_shared<ClusterState>(cluster);
    const auto service = [&](std::uint16_t usual) {
        return Endpoint{http.address, http.port == 0 ? std::uint16_t{0} : usual};
    };
    places_->places.assign(
        options_.nodes,
        {.kv = kv, .http = http, .services = {service(8092), service(8093), service(8094), service(8095)}});
}

void LocalCluster::Impl::start(std::unique_ptr<NodeHosts> hosts) {
    hosts_ = std::move(hosts);
    for (std::size_t node = 0; node < options_.nodes; ++node) {
        join(node, options_.server_groups.empty() ? default_server_group : options_.server_groups[node]);
    }
    for (std::size_t node = 0; node < options_.nodes; ++node) hosts_->start(node);
    if (!options_.bucket.empty()) {
        state().create_bucket(options_.bucket_type == LocalBucketType::memcached
                                  ? memcached_bucket(options_.bucket)
                                  : BucketSettings{.name = options_.bucket,
                                                   .type = options_.bucket_type == LocalBucketType::ephemeral
                                                               ? BucketType::ephemeral
                                                               : BucketType::couchbase,
                                                   .vbuckets = options_.vbuckets,
                                                   .replicas = options_.replicas});
    }
}

const VBucket* LocalCluster::Impl::copy(std::size_t node, const std::string& name, std::string_view key) const {
    const auto config = bucket(name);
    NodeProcess* its_process = process(node);
    if (its_process == nullptr) return nullptr;
    return its_process->node().vbucket(name, protocol::vbucket_of(key, static_cast<std::uint32_t>(config->map.size())));
}

NodeId LocalCluster::Impl::add_node(std::string_view group) {
    if (group.empty()) throw std::invalid_argument("LocalCluster: a server group has no name");
    if (options_.nodes == nodes_max) throw std::logic_error("LocalCluster: there are 64 nodes");
    const NodeId node = options_.nodes++;
    const NodePlace& first = places_->places.front();
    NodePlace place{.kv = first.kv, .http = first.http, .services = first.services};
    // As of the first node: at the same ports of another host, or at other ports of the same one.
    const auto move = [&](Endpoint& endpoint) {
        if (simulated_) {
            endpoint.address = options_.host_prefix + std::to_string(node + 1);
        } else {
            endpoint.port = 0;
        }
    };
    move(place.kv);
    move(place.http);
    for (Endpoint& service : place.services) move(service);
    places_->places.push_back(std::move(place));
    join(node, group);
    hosts_->start(node);
    return node;
}

void LocalCluster::Impl::go_on_rebalancing() {
    if (!rebalancer_) {
        auto iops = hosts_->make_iops();
        if (!iops) return;
        rebalancer_ = std::make_unique<Rebalancer>(places_->state, std::move(iops));
    }
    rebalancer_->start(pace_);
}

}  // namespace chaise::testing
