#include "cluster/kv/cluster_config.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "protocol/json_text.hpp"
#include "protocol/ketama.hpp"
#include "protocol/leb128.hpp"

namespace chaise::testing {

namespace {

using protocol::append_json_string;
using protocol::json_hex;

// What is served here, and nothing else: clients take these at their word.
constexpr std::string_view bucket_capabilities =
    R"(["collections","durableWrite","tombstonedUserXAttrs","xattr","subdoc.ReplaceBodyWithXattr",)"
    R"("subdoc.DocumentMacroSupport","subdoc.ReviveDocument","subdoc.ReplicaRead","subdoc.BinaryXattr",)"
    R"("subdoc.AccessDeleted","preserveExpiry","cbhello","touch","cccp","nodesExt"])";
constexpr std::string_view view_capabilities = R"(["couchapi",)";

constexpr std::string_view memcached_capabilities = R"(["cbhello","nodesExt"])";

std::string host_and_port(std::string_view host, std::uint16_t port) {
    const bool brackets = host.find(':') != std::string_view::npos;
    std::string text = brackets ? "[" : "";
    text += host;
    if (brackets) text += ']';
    return (text += ':') += std::to_string(port);
}

class Writer {
public:
    Writer(std::string& json, std::string_view host) noexcept : json_(json), host_(host) {}

    Writer& raw(std::string_view text) {
        json_ += text;
        return *this;
    }
    // ,"name":
    Writer& member(std::string_view name) {
        if (json_.back() != '{') json_ += ',';
        append_json_string(json_, name);
        json_ += ':';
        return *this;
    }
    Writer& text(std::string_view name, std::string_view value) {
        member(name);
        append_json_string(json_, value);
        return *this;
    }
    Writer& number(std::string_view name, std::int64_t value) { return member(name).raw(std::to_string(value)); }

    template <class Range, class Each>
    Writer& list(const Range& range, Each each) {
        json_ += '[';
        bool first = true;
        for (const auto& item : range) {
            if (!first) json_ += ',';
            first = false;
            each(item);
        }
        json_ += ']';
        return *this;
    }

    [[nodiscard]] std::string_view host_of(const ConfigNode& node) const noexcept {
        return node.hostname.empty() ? host_ : std::string_view(node.hostname);
    }

    void node_ext(const ConfigNode& node, NodeId sender) {
        raw("{").ports("services", node.ports);
        if (node.id == sender) member("thisNode").raw("true");
        // Absent: the address by which the sender was reached.
        if (!node.hostname.empty()) text("hostname", node.hostname);
        text("nodeUUID", node.uuid).group_and_addresses(node);
        raw("}");
    }
    Writer& group_and_addresses(const ConfigNode& node) {
        text("serverGroup", node.group);
        if (!node.external) return *this;
        member("alternateAddresses").raw("{").member("external").raw("{").text("hostname", node.external->hostname);
        if (node.external->ports) ports("ports", *node.external->ports);
        return raw("}}");
    }
    Writer& ports(std::string_view name, const NodePorts& of) {
        member(name).raw("{");
        if (of.mgmt != 0) number("mgmt", of.mgmt);
        if (of.kv != 0) number("kv", of.kv);
        if (of.capi != 0) number("capi", of.capi);
        if (of.n1ql != 0) number("n1ql", of.n1ql);
        if (of.fts != 0) number("fts", of.fts);
        if (of.cbas != 0) number("cbas", of.cbas);
        return raw("}");
    }

    void revision(const protocol::ConfigRevision& revision) {
        number("rev", revision.revision).number("revEpoch", revision.epoch);
    }

    void cluster(const ClusterConfig& config) {
        member("clusterCapabilitiesVer").raw("[1,0]").member("clusterCapabilities");
        raw(R"({"n1ql":["enhancedPreparedStatements"]})");
        text("clusterUUID", config.uuid).text("clusterName", config.name);
    }

    void rows(std::string_view name, const std::vector<VbucketRow>& rows, const std::vector<NodeId>& servers) {
        member(name).list(rows, [&](const VbucketRow& row) {
            list(row, [&](std::ptrdiff_t node) {
                const auto found = std::find(servers.begin(), servers.end(), static_cast<NodeId>(node));
                raw(node == no_node || found == servers.end() ? std::string("-1")
                                                              : std::to_string(found - servers.begin()));
            });
        });
    }

private:
    std::string& json_;
    std::string_view host_;
};

}  // namespace

std::ptrdiff_t position_of(NodeId node, const VbucketRow& row) noexcept {
    const auto found = std::find(row.begin(), row.end(), static_cast<std::ptrdiff_t>(node));
    return found == row.end() ? -1 : found - row.begin();
}

namespace {

// Whether its group has none of the row's copies.
bool is_apart(std::ptrdiff_t node, const VbucketRow& row, const NodeGroups& groups) {
    if (groups.empty()) return false;
    const std::string& group = groups.at(static_cast<std::size_t>(node));
    return std::none_of(row.begin(), row.end(), [&](std::ptrdiff_t other) {
        return other != no_node && groups.at(static_cast<std::size_t>(other)) == group;
    });
}

}  // namespace

std::vector<VbucketRow> distribute(std::uint32_t vbuckets, std::uint32_t replicas, const std::vector<NodeId>& nodes,
                                   const NodeGroups& groups) {
    std::vector<VbucketRow> rows(vbuckets, VbucketRow(replicas + 1, no_node));
    const std::size_t count = nodes.size();
    if (count == 0) return rows;
    std::size_t first_of_node = 0;
    for (std::size_t vbucket = 0; vbucket < vbuckets; ++vbucket) {
        const std::size_t active = vbucket * count / vbuckets;
        if (vbucket == 0 || active != (vbucket - 1) * count / vbuckets) first_of_node = vbucket;
        VbucketRow& row = rows[vbucket];
        row[0] = static_cast<std::ptrdiff_t>(nodes[active]);
        // The others take turns, those of other groups before those of the active node's.
        std::vector<std::ptrdiff_t> others;
        for (std::size_t i = 1; i < count; ++i)
            others.push_back(static_cast<std::ptrdiff_t>(nodes[(active + i) % count]));
        const auto near = std::stable_partition(others.begin(), others.end(),
                                                [&](std::ptrdiff_t node) { return is_apart(node, row, groups); });
        const auto take_turns = [&](auto first, auto last) {
            if (first != last)
                std::rotate(first, first + static_cast<std::ptrdiff_t>(vbucket - first_of_node) % (last - first), last);
        };
        take_turns(others.begin(), near);
        take_turns(near, others.end());
        for (std::size_t replica = 1; replica <= std::min<std::size_t>(replicas, count - 1); ++replica) {
            const auto apart = std::find_if(others.begin(), others.end(),
                                            [&](std::ptrdiff_t node) { return is_apart(node, row, groups); });
            const auto chosen = apart == others.end() ? others.begin() : apart;
            row[replica] = *chosen;
            others.erase(chosen);
        }
    }
    return rows;
}

std::vector<VbucketRow> redistribute(const std::vector<VbucketRow>& now, const std::vector<NodeId>& nodes,
                                     const NodeGroups& groups) {
    const auto apart = [&](NodeId node, const VbucketRow& row) {
        return is_apart(static_cast<std::ptrdiff_t>(node), row, groups);
    };
    std::vector<VbucketRow> rows(now.size(), VbucketRow(now.empty() ? 0 : now.front().size(), no_node));
    for (std::size_t place = 0; !now.empty() && place < std::min(now.front().size(), nodes.size()); ++place) {
        std::map<std::ptrdiff_t, std::size_t> shares;
        for (const NodeId node : nodes) shares[static_cast<std::ptrdiff_t>(node)] = 0;
        const std::size_t most = (now.size() + nodes.size() - 1) / nodes.size();
        std::vector<std::size_t> homeless;
        for (std::size_t vbucket = 0; vbucket < now.size(); ++vbucket) {
            const auto share = shares.find(now[vbucket][place]);
            const bool stays = share != shares.end() && share->second < most &&
                               position_of(static_cast<NodeId>(share->first), rows[vbucket]) < 0;
            const bool crowded =
                place > 0 && stays && !apart(static_cast<NodeId>(share->first), rows[vbucket]) &&
                std::any_of(nodes.begin(), nodes.end(), [&](NodeId node) { return apart(node, rows[vbucket]); });
            if (!stays || crowded) {
                homeless.push_back(vbucket);
                continue;
            }
            rows[vbucket][place] = share->first;
            ++share->second;
        }
        // To groups without a copy; there to who has least; of those, to who has a copy already.
        for (const std::size_t vbucket : homeless) {
            auto best = shares.end();
            for (auto share = shares.begin(); share != shares.end(); ++share) {
                const auto node = static_cast<NodeId>(share->first);
                if (position_of(node, rows[vbucket]) >= 0) continue;
                const auto rank = [&](const auto& one) {
                    const auto id = static_cast<NodeId>(one->first);
                    return std::tuple(place > 0 && !apart(id, rows[vbucket]), one->second,
                                      position_of(id, now[vbucket]) < 0);
                };
                if (best == shares.end() || rank(share) < rank(best)) best = share;
            }
            rows[vbucket][place] = best->first;
            ++best->second;
        }
    }
    return rows;
}

BucketConfig contradiction(BucketConfig config) {
    for (VbucketRow& row : config.map) {
        if (row.size() > 1 && row[1] != no_node) std::swap(row[0], row[1]);
    }
    return config;
}

std::string to_json(const BucketConfig& config, NodeId sender, std::string_view host, Detail detail) {
    const BucketSettings& settings = config.settings;
    const std::vector<ConfigNode>& nodes = config.cluster->nodes;
    std::vector<const ConfigNode*> serving;
    for (const NodeId id : config.servers)
        for (const ConfigNode& node : nodes)
            if (node.id == id) serving.push_back(&node);

    std::string json = "{";
    Writer w(json, host);
    w.revision(config.revision);
    const bool ring = settings.type == BucketType::memcached;
    w.text("name", settings.name).text("nodeLocator", ring ? "ketama" : "vbucket");
    w.text("bucketType", ring ? "memcached" : settings.type == BucketType::ephemeral ? "ephemeral" : "membase");
    w.text("storageBackend", settings.type == BucketType::couchbase ? "couchstore" : "undefined");
    w.text("uuid", config.uuid);
    w.text("uri", "/pools/default/buckets/" + settings.name + "?bucket_uuid=" + config.uuid);
    w.text("streamingUri", "/pools/default/bucketsStreaming/" + settings.name + "?bucket_uuid=" + config.uuid);
    w.text("bucketCapabilitiesVer", "");
    const bool views = settings.type == BucketType::couchbase;
    w.member("bucketCapabilities");
    if (ring) {
        w.raw(memcached_capabilities);
    } else if (views) {
        w.raw(view_capabilities).raw(bucket_capabilities.substr(1));
    } else {
        w.raw(bucket_capabilities);
    }
    if (views) {
        w.member("ddocs").raw("{").text("uri", "/pools/default/buckets/" + settings.name + "/ddocs").raw("}");
    }
    if (!ring) {
        w.number("numVBuckets", settings.vbuckets);
        w.text("collectionsManifestUid", json_hex(config.manifest.uid));
        w.member("vBucketServerMap").raw("{").text("hashAlgorithm", "CRC").number("numReplicas", settings.replicas);
        w.member("serverList").list(serving, [&](const ConfigNode* node) {
            append_json_string(json, host_and_port(w.host_of(*node), node->ports.kv));
        });
        w.rows("vBucketMap", config.map, config.servers);
        if (!config.forward.empty()) w.rows("vBucketMapForward", config.forward, config.servers);
        w.raw("}");
    }
    w.member("nodes").list(serving, [&](const ConfigNode* node) {
        w.raw("{").text("hostname", host_and_port(w.host_of(*node), node->ports.mgmt));
        if (views && node->ports.capi != 0) {
            w.text("couchApiBase", "http://" + host_and_port(w.host_of(*node), node->ports.capi) + "/" + settings.name +
                                       "%2B" + config.uuid);
        }
        w.member("ports").raw("{").number("direct", node->ports.kv).raw("}");
        if (detail == Detail::verbose) w.group_and_addresses(*node);
        w.raw("}");
    });
    // The bucket's nodes first, in the order of serverList.
    std::vector<const ConfigNode*> all = serving;
    for (const ConfigNode& node : nodes)
        if (std::find(serving.begin(), serving.end(), &node) == serving.end()) all.push_back(&node);
    w.member("nodesExt").list(all, [&](const ConfigNode* node) { w.node_ext(*node, sender); });
    w.cluster(*config.cluster);
    return json += '}';
}

std::string to_json(const ClusterConfig& config, NodeId sender, std::string_view host) {
    std::string json = "{";
    Writer w(json, host);
    w.revision(config.revision);
    w.member("nodesExt").list(config.nodes, [&](const ConfigNode& node) { w.node_ext(node, sender); });
    w.cluster(config);
    return json += '}';
}

std::string to_json(const protocol::CollectionsManifest& manifest) {
    std::string json = "{";
    Writer w(json, {});
    w.text("uid", json_hex(manifest.uid));
    w.member("scopes").list(manifest.scopes, [&](const protocol::CollectionsManifest::Scope& scope) {
        w.raw("{").text("name", scope.name).text("uid", json_hex(scope.uid));
        w.member("collections").list(scope.collections, [&](const auto& collection) {
            w.raw("{").text("name", collection.name).text("uid", json_hex(collection.uid));
            if (collection.max_ttl) w.number("maxTTL", *collection.max_ttl);
            if (collection.history) w.member("history").raw(*collection.history ? "true" : "false");
            w.raw("}");
        });
        w.raw("}");
    });
    return json += '}';
}

void append_group_and_addresses(std::string& json, const ConfigNode& node) {
    Writer(json, {}).group_and_addresses(node);
}

std::ptrdiff_t server_on_ring(const BucketConfig& config, std::string_view key) {
    std::vector<protocol::RingHost> hosts;
    std::vector<NodeId> ids;
    for (const NodeId id : config.servers) {
        for (const ConfigNode& node : config.cluster->nodes) {
            if (node.id != id) continue;
            hosts.push_back({node.hostname, node.ports.kv});
            ids.push_back(id);
        }
    }
    const std::size_t owner = protocol::Ring(protocol::RingScheme::couchbase, hosts).owner(key);
    return owner == protocol::Ring::nobody ? no_node : static_cast<std::ptrdiff_t>(ids[owner]);
}

bool was_dropped(const BucketConfig& config, std::string_view key) noexcept {
    const auto prefix = protocol::load_leb128(key);
    if (!prefix || prefix->value >= config.next_collection_id) return false;
    const auto& scopes = config.manifest.scopes;
    return std::none_of(scopes.begin(), scopes.end(), [&](const auto& scope) {
        return std::any_of(scope.collections.begin(), scope.collections.end(),
                           [&](const auto& collection) { return collection.uid == prefix->value; });
    });
}

protocol::CollectionsManifest default_manifest() {
    protocol::CollectionsManifest::Scope scope{"_default", 0, {}};
    scope.collections.push_back({"_default", 0, {}, {}});
    protocol::CollectionsManifest manifest;
    manifest.scopes.push_back(std::move(scope));
    return manifest;
}

}  // namespace chaise::testing
