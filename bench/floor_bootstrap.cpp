#include "bench/floor_bootstrap.hpp"

#include "bench/client.hpp"
#include "bucket/settings.hpp"
#include "protocol/cluster_map.hpp"
#include "protocol/frame_reader.hpp"
#include "protocol/scram.hpp"
#include "session/couchbase_bootstrap.hpp"

#include <fmt/format.h>

#include <sys/socket.h>

#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace chaise::bench {

namespace {

using detail::CouchbaseBootstrap;
using detail::Settings;

std::uint64_t random_bits() {
    std::random_device device;
    return (std::uint64_t{device()} << 32) | device();
}

/// A node that the bucket was selected on, and the map it gave.
struct Opened {
    Descriptor socket;
    std::string config;
    bool prefixed = false;
};

void send_all(const Descriptor& socket, std::string& out) {
    while (!out.empty()) {
        const ssize_t n = ::send(socket.get(), out.data(), out.size(), MSG_NOSIGNAL);
        if (n < 0) fail("send");
        out.erase(0, static_cast<std::size_t>(n));
    }
}

/// Blocking, from the connection to the map.
Opened open_node(const protocol::Endpoint& node, const Settings& settings, protocol::ScramKeyCache& keys) {
    using Progress = CouchbaseBootstrap::Progress;
    Opened opened{connect_to(node.host, node.port), {}};
    CouchbaseBootstrap bootstrap(settings, fmt::format("{:016x}{:016x}", random_bits(), random_bits()),
                                 {.client_id = random_bits(), .connection_id = random_bits(), .keys = &keys});
    std::string out;
    protocol::FrameReader reader;
    Progress progress = bootstrap.start(out);
    while (progress == Progress::more) {
        send_all(opened.socket, out);
        char bytes[4096];
        const ssize_t n = ::recv(opened.socket.get(), bytes, sizeof bytes, 0);
        if (n < 0) fail("recv");
        if (n == 0) throw std::runtime_error("floor: " + bootstrap.reason_of_loss("the server closed the connection"));
        std::string_view left(bytes, static_cast<std::size_t>(n));
        while (!left.empty()) {
            left.remove_prefix(reader.feed(left));
            protocol::Frame frame;
            while (progress == Progress::more && reader.next(frame) == protocol::ParseStatus::complete) {
                progress = bootstrap.on_frame(frame, out);
            }
            if (reader.error() != protocol::FrameError::none) {
                throw std::runtime_error(fmt::format("floor: {}", protocol::name(reader.error())));
            }
        }
    }
    if (progress == Progress::failed) throw std::runtime_error(fmt::format("floor: {}", bootstrap.reason()));
    if (reader.buffered() != 0) throw std::runtime_error("floor: the server says more than it was asked");
    opened.config = bootstrap.config();
    opened.prefixed = bootstrap.features().contains(protocol::Feature::collections);
    return opened;
}

FloorConnections connect_cluster(const Settings& settings) {
    protocol::ScramKeyCache keys;
    const HostSpec& first = settings.connection.hosts.front();
    const protocol::Endpoint seed{first.host, first.port.value_or(settings.connection.default_port())};
    const Opened asked = open_node(seed, settings, keys);
    const protocol::ParsedMap parsed = protocol::parse_cluster_map(asked.config, seed.host);
    if (!parsed.map) throw std::runtime_error("floor: its cluster map is of no use: " + parsed.error);
    const protocol::ClusterMap& map = *parsed.map;

    FloorConnections connections{.nodes = {}, .routes = {}, .prefixed = asked.prefixed};
    const std::string network = protocol::choose_network(map, settings.network, seed, false);
    for (const protocol::Endpoint& node : protocol::kv_endpoints(map, network)) {
        connections.nodes.push_back(open_node(node, settings, keys).socket);
    }
    for (std::uint16_t vbucket = 0; vbucket < map.vbucket_count(); ++vbucket) {
        const std::int16_t server = map.server(vbucket);
        if (server == protocol::ClusterMap::nobody) throw std::runtime_error("floor: a vbucket without a node");
        connections.routes.push_back(static_cast<std::uint16_t>(server));
    }
    if (connections.routes.empty()) throw std::runtime_error("floor: the bucket has no vbuckets");
    return connections;
}

}  // namespace

FloorConnections connect_floor(const Target& target) {
    const Settings settings = Settings::make(target.connection_string, bucket_options(target));
    if (settings.connection.scheme != Scheme::memcached) return connect_cluster(settings);
    if (!settings.username.empty()) throw std::runtime_error("floor: it cannot authenticate to memcached");
    const HostSpec& host = settings.connection.hosts.front();
    FloorConnections connections;
    connections.nodes.push_back(connect_to(host.host, host.port.value_or(settings.connection.default_port())));
    return connections;
}

}  // namespace chaise::bench
