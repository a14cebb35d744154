#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/session_requests.hpp"  // ConfigRevision

// The cluster map (protocol.md 7): who is in the cluster, and which node owns which vbucket.
namespace chaise::protocol {

/// Where to connect to. `host`: name or address, IPv6 without brackets; port 0: there is nothing to connect to.
struct Endpoint {
    std::string host;
    std::uint16_t port = 0;
    [[nodiscard]] explicit operator bool() const noexcept { return port != 0; }
    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};
/// "host:port", IPv6 in brackets.
[[nodiscard]] std::string authority(const Endpoint& endpoint);

/// The services that a client talks to.
enum class Service : std::uint8_t { management, kv, views, query, search, analytics, eventing, backup };
inline constexpr std::size_t service_count = 8;

/// Port of each service; 0: the node does not run it, or does not expose it in that mode.
struct ServicePorts {
    std::array<std::uint16_t, service_count> plain{};
    std::array<std::uint16_t, service_count> encrypted{};
    [[nodiscard]] std::uint16_t port(Service service, bool tls) const noexcept {
        return (tls ? encrypted : plain)[static_cast<std::size_t>(service)];
    }
};

struct MapNode {
    struct Alternate {
        std::string network;  ///< "external"
        std::string hostname;
        std::optional<ServicePorts> ports;  ///< absent: those of the node
    };
    std::string hostname;
    ServicePorts ports;
    bool this_node = false;  ///< it sent the map
    std::vector<Alternate> alternates;
    std::string server_group;
    std::string uuid;

    /// As seen from `network` ("default": the node's own addresses); port 0 when it offers no such thing there.
    [[nodiscard]] Endpoint endpoint(Service service, std::string_view network, bool tls) const;
};

/// One revision of the map, immutable once parsed.
class ClusterMap {
public:
    enum class Locator : std::uint8_t {
        vbucket,
        ketama,  ///< memcached buckets: a ring over the servers
        none,    ///< cluster-level map: nodes and services, no bucket
    };
    static constexpr std::int16_t nobody = -1;

    std::optional<std::int64_t> epoch;
    std::optional<std::int64_t> rev;  ///< absent: very old server
    std::string name;                 ///< of the bucket; empty: cluster-level map
    std::string uuid;                 ///< of the bucket; another one: it was dropped and made anew
    Locator locator = Locator::none;
    unsigned replicas = 0;  ///< 0 to 3
    std::vector<MapNode> nodes;
    /// The nodes that hold the bucket's data, in the order of the map's serverList: a server number indexes this.
    /// Internal addresses, plain port. Cluster-level map: every node with a key-value service.
    std::vector<Endpoint> kv;
    /// Index into `nodes` of each of `kv`; -1: the map has no node for it.
    std::vector<std::int16_t> kv_nodes;
    std::vector<std::string> capabilities;                                  ///< of the bucket, sorted
    std::vector<std::pair<std::string, std::string>> cluster_capabilities;  ///< (service, capability), sorted
    std::optional<std::uint64_t> manifest_uid;                              ///< of the collections
    std::string text;  ///< as it was parsed; kept only when there is no `rev` to tell maps apart

    /// 0 unless the locator is vbucket.
    [[nodiscard]] std::uint16_t vbucket_count() const noexcept { return vbucket_count_; }
    /// Who holds copy `copy` (0: active, 1…: replicas) of a vbucket: an index into `kv`, or `nobody`.
    [[nodiscard]] std::int16_t server(std::uint16_t vbucket, unsigned copy = 0) const noexcept {
        return at(servers_, vbucket, copy);
    }
    /// A rebalance is under way, and the map tells how it will be afterwards.
    [[nodiscard]] bool has_forward() const noexcept { return !forward_.empty(); }
    /// As server(), after the rebalance; `nobody` without a forward map.
    [[nodiscard]] std::int16_t forward_server(std::uint16_t vbucket, unsigned copy = 0) const noexcept {
        return at(forward_, vbucket, copy);
    }
    [[nodiscard]] bool has_capability(std::string_view capability) const noexcept;
    [[nodiscard]] bool has_cluster_capability(std::string_view service, std::string_view capability) const noexcept;
    /// What to ask GET_CLUSTER_CONFIG with; nothing when the map has no epoch or no revision.
    [[nodiscard]] std::optional<ConfigRevision> revision() const noexcept {
        if (!epoch || !rev) return std::nullopt;
        return ConfigRevision{*epoch, *rev};
    }

private:
    friend class ClusterMapReader;
    [[nodiscard]] std::int16_t at(const std::vector<std::int16_t>& rows, std::uint16_t vbucket,
                                  unsigned copy) const noexcept {
        if (copy > replicas || vbucket >= vbucket_count_) [[unlikely]]
            return nobody;
        const std::size_t index = std::size_t{vbucket} * (replicas + 1) + copy;
        return index < rows.size() ? rows[index] : nobody;
    }

    std::uint16_t vbucket_count_ = 0;
    std::vector<std::int16_t> servers_;  ///< row after row, each of 1 + replicas
    std::vector<std::int16_t> forward_;  ///< the same, or empty
};

/// A map, or what is wrong with the text.
struct ParsedMap {
    std::shared_ptr<const ClusterMap> map;
    std::string error;        ///< in words; empty when there is a map
    bool incomplete = false;  ///< the bucket is still being created (no vbuckets yet): ask again soon
};

inline constexpr std::size_t max_map_size = std::size_t{8} << 20;
inline constexpr std::size_t max_map_nodes = 1024;
inline constexpr std::size_t max_map_vbuckets = 32768;  ///< the hash has 15 bits

/// `origin_host`: the address by which the sender of the map was reached; it stands for `$HOST` and for a node without
/// a hostname. Whatever the text is: no exception but std::bad_alloc; time and memory proportional to its length.
[[nodiscard]] ParsedMap parse_cluster_map(std::string_view json, std::string_view origin_host);

/// Epoch first (a missing one is the oldest), then revision.
[[nodiscard]] bool newer(const ClusterMap& a, const ClusterMap& b) noexcept;
/// Why `offered` must not replace `current`; empty: it must.
[[nodiscard]] std::string why_not_acceptable(const ClusterMap& current, const ClusterMap& offered);

/// Which network's addresses to use from now on (protocol.md 7.6). `wanted`: "auto" or empty, "default", or a name.
/// `seed`: by which the first map was got, as the user wrote it; its port is that of `service`.
[[nodiscard]] std::string choose_network(const ClusterMap& map, std::string_view wanted, const Endpoint& seed, bool tls,
                                         Service service = Service::kv);
/// By server number, as `ClusterMap::kv`; port 0 for those that cannot be reached through that network.
[[nodiscard]] std::vector<Endpoint> kv_endpoints(const ClusterMap& map, std::string_view network = "default",
                                                 bool tls = false);
/// The nodes that offer a service through that network.
[[nodiscard]] std::vector<Endpoint> service_endpoints(const ClusterMap& map, Service service,
                                                      std::string_view network = "default", bool tls = false);

}  // namespace chaise::protocol
