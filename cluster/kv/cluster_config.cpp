#include "cluster/kv/cluster_config.hpp"

#include <algorithm>

#include "protocol/json_text.hpp"
#include "protocol/ketama.hpp"

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
        raw("{").member("services").raw("{");
        if (node.ports.mgmt != 0) number("mgmt", node.ports.mgmt);
        if (node.ports.kv != 0) number("kv", node.ports.kv);
        if (node.ports.capi != 0) number("capi", node.ports.capi);
        if (node.ports.n1ql != 0) number("n1ql", node.ports.n1ql);
        if (node.ports.fts != 0) number("fts", node.ports.fts);
        if (node.ports.cbas != 0) number("cbas", node.ports.cbas);
        raw("}");
        if (node.id == sender) member("thisNode").raw("true");
        // Absent: the address by which the sender was reached.
        if (!node.hostname.empty()) text("hostname", node.hostname);
        text("nodeUUID", node.uuid);
        raw("}");
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

std::vector<VbucketRow> distribute(std::uint32_t vbuckets, std::uint32_t replicas, const std::vector<NodeId>& nodes) {
    std::vector<VbucketRow> rows(vbuckets, VbucketRow(replicas + 1, no_node));
    const std::size_t count = nodes.size();
    if (count == 0) return rows;
    std::size_t first_of_node = 0;
    for (std::size_t vbucket = 0; vbucket < vbuckets; ++vbucket) {
        const std::size_t active = vbucket * count / vbuckets;
        if (vbucket == 0 || active != (vbucket - 1) * count / vbuckets) first_of_node = vbucket;
        rows[vbucket][0] = static_cast<std::ptrdiff_t>(nodes[active]);
        for (std::size_t replica = 0; replica < std::min<std::size_t>(replicas, count - 1); ++replica) {
            const std::size_t turn = (vbucket - first_of_node + replica) % (count - 1);
            rows[vbucket][replica + 1] = static_cast<std::ptrdiff_t>(nodes[(active + 1 + turn) % count]);
        }
    }
    return rows;
}

std::string to_json(const BucketConfig& config, NodeId sender, std::string_view host) {
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
        w.member("ports").raw("{").number("direct", node->ports.kv).raw("}}");
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

protocol::CollectionsManifest default_manifest() {
    protocol::CollectionsManifest::Scope scope{"_default", 0, {}};
    scope.collections.push_back({"_default", 0, {}, {}});
    protocol::CollectionsManifest manifest;
    manifest.scopes.push_back(std::move(scope));
    return manifest;
}

}  // namespace chaise::testing
