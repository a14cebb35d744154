// Reading the JSON of a cluster map (protocol.md 7.2). It comes from the network: everything that is used is checked,
// and what is said twice is refused rather than chosen from.

#include <simdjson.h>

#include <algorithm>
#include <charconv>

#include "protocol/cluster_map.hpp"
#include "protocol/json_text.hpp"

namespace chaise::protocol {

namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

constexpr std::size_t max_networks = 16;
constexpr std::size_t max_capabilities = 256;
constexpr std::size_t max_host_length = 255;

/// One member that is looked for in an object.
struct Member {
    std::string_view name;
    std::optional<element> value{};
};

/// Finds them in one pass, so that many members cost no more than their number. The name of one that is there twice,
/// otherwise empty.
template <std::size_t n>
std::string_view find_members(const object& from, Member (&members)[n]) {
    for (const auto& [name, value] : from) {
        for (Member& member : members) {
            if (name != member.name) continue;
            if (member.value) return member.name;
            member.value = value;
            break;
        }
    }
    return {};
}

std::string quoted(std::string_view text) {
    std::string out;
    append_json_string(out, text.substr(0, 80));
    return out;
}

std::string item(std::string_view list, std::size_t index) {
    return std::string(list) + "[" + std::to_string(index) + "]";
}

struct ServiceKey {
    std::string_view plain, encrypted;
};
constexpr ServiceKey service_keys[service_count] = {
    {"mgmt", "mgmtSSL"},
    {"kv", "kvSSL"},
    {"capi", "capiSSL"},
    {"n1ql", "n1qlSSL"},
    {"fts", "ftsSSL"},
    {"cbas", "cbasSSL"},
    {"eventingAdminPort", "eventingSSL"},
    {"backupAPI", "backupAPIHTTPS"},
};

}  // namespace

class ClusterMapReader {
public:
    explicit ClusterMapReader(std::string_view origin) : origin_(origin) {
        if (origin_.starts_with('[') && origin_.ends_with(']')) origin_ = origin_.substr(1, origin_.size() - 2);
    }

    ParsedMap read(std::string_view json) {
        ParsedMap result;
        if (read_text(json)) {
            result.map = std::move(map_);
        } else {
            result.error = std::move(error_);
            result.incomplete = incomplete_;
        }
        return result;
    }

private:
    bool fail(std::string why) {
        error_ = std::move(why);
        return false;
    }
    template <std::size_t n>
    bool find(const object& from, std::string_view where, Member (&members)[n]) {
        const std::string_view twice = find_members(from, members);
        return twice.empty() || fail(std::string(where) + " has two members " + quoted(twice));
    }
    template <class T>
    bool get(const element& from, T& to, std::string_view where, std::string_view what) {
        return from.get(to) == simdjson::SUCCESS || fail(std::string(where) + " is not " + std::string(what));
    }
    /// Of what is only for information, another type is the same as nothing.
    static void get_text(const Member& from, std::string& to) {
        std::string_view text;
        if (from.value && from.value->get(text) == simdjson::SUCCESS) to = text;
    }

    bool read_text(std::string_view json) {
        if (json.size() > max_map_size) return fail("it is longer than " + std::to_string(max_map_size) + " bytes");
        simdjson::dom::parser parser;
        object root;
        element document;
        if (const auto error = parser.parse(json.data(), json.size(), true).get(document)) {
            if (error == simdjson::MEMALLOC) throw std::bad_alloc();
            return fail(std::string("it is not JSON: ") + simdjson::error_message(error));
        }
        if (!get(document, root, "it", "a JSON object")) return false;
        return read_root(root, json);
    }

    bool read_root(const object& root, std::string_view json) {
        Member members[] = {{"rev"},
                            {"revEpoch"},
                            {"name"},
                            {"uuid"},
                            {"nodeLocator"},
                            {"collectionsManifestUid"},
                            {"nodes"},
                            {"nodesExt"},
                            {"vBucketServerMap"},
                            {"bucketCapabilities"},
                            {"clusterCapabilities"}};
        if (!find(root, "it", members)) return false;
        auto& [rev, epoch, name, uuid, locator, manifest, nodes, nodes_ext, vbuckets, capabilities, cluster] = members;

        std::int64_t number = 0;
        if (rev.value) {
            if (!get(*rev.value, number, "rev", "a 64-bit integer")) return false;
            if (number < 1) return fail("rev is " + std::to_string(number) + ", less than 1");
            map_->rev = number;
        } else {
            map_->text = json;
        }
        if (epoch.value) {
            if (!get(*epoch.value, number, "revEpoch", "a 64-bit integer")) return false;
            map_->epoch = number;
        }
        std::string_view text;
        if (name.value) {
            if (!get(*name.value, text, "name", "a string")) return false;
            map_->name = text;
        }
        get_text(uuid, map_->uuid);
        std::uint64_t uid = 0;
        if (manifest.value && manifest.value->get(text) == simdjson::SUCCESS && parse_hex(text, uid)) {
            map_->manifest_uid = uid;
        }
        read_capabilities(capabilities, cluster);
        return read_locator(locator, vbuckets) && read_nodes(nodes, nodes_ext) && read_servers(vbuckets);
    }

    bool read_locator(const Member& locator, const Member& vbuckets) {
        using Locator = ClusterMap::Locator;
        if (!locator.value) {
            if (vbuckets.value) {
                map_->locator = Locator::vbucket;
            } else if (!map_->name.empty()) {
                return fail("it has a bucket, but no nodeLocator");
            }
            return true;
        }
        std::string_view text;
        if (!get(*locator.value, text, "nodeLocator", "a string")) return false;
        if (text == "vbucket") {
            map_->locator = Locator::vbucket;
        } else if (text == "ketama") {
            map_->locator = Locator::ketama;
        } else {
            return fail("nodeLocator " + quoted(text) + " is not known");
        }
        return true;
    }

    // ---- hosts and ports ------------------------------------------------------------------------------------------

    bool read_host(std::string_view text, std::string& host, std::string_view where) {
        if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
        if (text == "$HOST") text = origin_;
        const auto odd = [](char c) {
            return c <= ' ' || c > '~' || std::string_view("/\\@[]\"'<>,;$").find(c) != std::string_view::npos;
        };
        if (text.empty() || text.size() > max_host_length || std::any_of(text.begin(), text.end(), odd)) {
            return fail(std::string(where) + " is not a host: " + quoted(text));
        }
        host = text;
        return true;
    }

    /// "host:port", "[fd00::1]:port", "$HOST:port".
    bool read_authority(std::string_view text, Endpoint& out, std::string_view where) {
        const std::size_t colon = text.rfind(':');
        const std::string_view host = text.substr(0, colon == std::string_view::npos ? 0 : colon);
        const bool bracketed = host.starts_with('[') && host.ends_with(']');
        if (host.empty() || (!bracketed && host.find(':') != std::string_view::npos)) {
            return fail(std::string(where) + " is not host:port: " + quoted(text));
        }
        const std::string_view digits = text.substr(colon + 1);
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
        if (error != std::errc{} || end != digits.data() + digits.size() || out.port == 0) {
            return fail(std::string(where) + " has no port: " + quoted(text));
        }
        return read_host(host, out.host, where);
    }

    bool read_ports(const element& from, ServicePorts& ports, const std::string& where) {
        object body;
        if (!get(from, body, where, "an object")) return false;
        std::uint32_t seen = 0;
        for (const auto& [name, value] : body) {
            for (std::size_t service = 0; service < service_count; ++service) {
                const bool plain = name == service_keys[service].plain;
                if (!plain && name != service_keys[service].encrypted) continue;
                const std::uint32_t bit = 1u << (2 * service + (plain ? 0 : 1));
                if ((seen & bit) != 0) return fail(where + " has two members " + quoted(name));
                seen |= bit;
                std::int64_t port = 0;
                // Mocks write 0 for what they don't offer.
                if (value.get(port) != simdjson::SUCCESS || port < 0 || port > 65535) {
                    return fail(where + "." + std::string(name) + " is not a port");
                }
                (plain ? ports.plain : ports.encrypted)[service] = static_cast<std::uint16_t>(port);
                break;
            }
        }
        return true;
    }

    // ---- nodes ------------------------------------------------------------------------------------------------------

    bool read_nodes(const Member& nodes, const Member& nodes_ext) {
        array legacy;
        if (nodes.value) {
            if (!get(*nodes.value, legacy, "nodes", "an array")) return false;
            bucket_nodes_ = legacy.size();
            if (*bucket_nodes_ > max_map_nodes) return fail("it has more nodes than " + std::to_string(max_map_nodes));
        }
        if (nodes_ext.value) {
            array all;
            if (!get(*nodes_ext.value, all, "nodesExt", "an array")) return false;
            if (all.size() > max_map_nodes) return fail("it has more nodes than " + std::to_string(max_map_nodes));
            for (const element node : all) {
                if (!read_node(node, item("nodesExt", map_->nodes.size()))) return false;
            }
        } else if (nodes.value) {
            for (const element node : legacy) {
                if (!read_legacy_node(node, item("nodes", map_->nodes.size()))) return false;
            }
        }
        return !map_->nodes.empty() || fail("it has no nodes");
    }

    bool read_node(const element& from, const std::string& where) {
        object body;
        if (!get(from, body, where, "an object")) return false;
        Member members[] = {{"hostname"},           {"services"},    {"thisNode"},
                            {"alternateAddresses"}, {"serverGroup"}, {"nodeUUID"}};
        if (!find(body, where, members)) return false;
        auto& [hostname, services, this_node, alternates, group, uuid] = members;
        MapNode& node = map_->nodes.emplace_back();
        std::string_view host = "$HOST";
        if (hostname.value && !get(*hostname.value, host, where + ".hostname", "a string")) return false;
        if (!read_host(host, node.hostname, where + ".hostname")) return false;
        if (services.value && !read_ports(*services.value, node.ports, where + ".services")) return false;
        if (this_node.value && !get(*this_node.value, node.this_node, where + ".thisNode", "a boolean")) return false;
        get_text(group, node.server_group);
        get_text(uuid, node.uuid);
        return !alternates.value || read_alternates(*alternates.value, node, where + ".alternateAddresses");
    }

    bool read_alternates(const element& from, MapNode& node, const std::string& where) {
        object networks;
        if (!get(from, networks, where, "an object")) return false;
        for (const auto& [name, value] : networks) {
            const std::string_view network = name;  // clang 14 captures no structured binding
            if (node.alternates.size() == max_networks) return fail(where + " has too many networks");
            const auto same = [&](const MapNode::Alternate& other) { return other.network == network; };
            if (std::any_of(node.alternates.begin(), node.alternates.end(), same)) {
                return fail(where + " has two members " + quoted(network));
            }
            const std::string here = where + "." + quoted(network);
            object body;
            if (!get(value, body, here, "an object")) return false;
            Member members[] = {{"hostname"}, {"ports"}};
            if (!find(body, here, members)) return false;
            auto& [hostname, ports] = members;
            if (!hostname.value) return fail(here + " has no hostname");
            MapNode::Alternate& alternate = node.alternates.emplace_back();
            alternate.network = network;
            std::string_view host;
            if (!get(*hostname.value, host, here + ".hostname", "a string") ||
                !read_host(host, alternate.hostname, here + ".hostname"))
                return false;
            if (ports.value && !read_ports(*ports.value, alternate.ports.emplace(), here + ".ports")) return false;
        }
        return true;
    }

    /// Before nodesExt: "host:8091" and the key-value port.
    bool read_legacy_node(const element& from, const std::string& where) {
        object body;
        if (!get(from, body, where, "an object")) return false;
        Member members[] = {{"hostname"}, {"ports"}, {"thisNode"}};
        if (!find(body, where, members)) return false;
        auto& [hostname, ports, this_node] = members;
        MapNode& node = map_->nodes.emplace_back();
        std::string_view text;
        if (!hostname.value) return fail(where + " has no hostname");
        Endpoint management;
        if (!get(*hostname.value, text, where + ".hostname", "a string") ||
            !read_authority(text, management, where + ".hostname"))
            return false;
        node.hostname = std::move(management.host);
        node.ports.plain[static_cast<std::size_t>(Service::management)] = management.port;
        if (this_node.value && !get(*this_node.value, node.this_node, where + ".thisNode", "a boolean")) return false;
        if (!ports.value) return true;
        object port_list;
        Member direct[] = {{"direct"}};
        if (!get(*ports.value, port_list, where + ".ports", "an object") ||
            !find(port_list, where + ".ports", direct)) {
            return false;
        }
        std::int64_t port = 0;
        if (direct[0].value && (direct[0].value->get(port) != simdjson::SUCCESS || port < 0 || port > 65535)) {
            return fail(where + ".ports.direct is not a port");
        }
        node.ports.plain[static_cast<std::size_t>(Service::kv)] = static_cast<std::uint16_t>(port);
        return true;
    }

    // ---- servers and vbuckets
    // -----------------------------------------------------------------------------------------

    bool read_servers(const Member& vbuckets) {
        switch (map_->locator) {
            case ClusterMap::Locator::none:
                add_kv_nodes(map_->nodes.size());
                return true;
            case ClusterMap::Locator::ketama:
                add_kv_nodes(std::min(bucket_nodes_.value_or(map_->nodes.size()), map_->nodes.size()));
                return !map_->kv.empty() || fail("none of its nodes has a key-value service");
            case ClusterMap::Locator::vbucket:
                break;
        }
        object body;
        if (!vbuckets.value) return fail("it has no vBucketServerMap");
        if (!get(*vbuckets.value, body, "vBucketServerMap", "an object")) return false;
        Member members[] = {{"hashAlgorithm"}, {"numReplicas"}, {"serverList"}, {"vBucketMap"}, {"vBucketMapForward"}};
        if (!find(body, "vBucketServerMap", members)) return false;
        auto& [hash, replicas, servers, rows, forward] = members;
        std::string_view text;
        if (!hash.value || hash.value->get(text) != simdjson::SUCCESS) return fail("it has no hashAlgorithm");
        if (text != "CRC") return fail("hashAlgorithm " + quoted(text) + " is not known");
        std::int64_t count = 0;
        if (!replicas.value || replicas.value->get(count) != simdjson::SUCCESS || count < 0 || count > 3) {
            return fail("numReplicas is not a number from 0 to 3");
        }
        map_->replicas = static_cast<unsigned>(count);
        if (!read_server_list(servers)) return false;
        if (!read_rows(rows, map_->servers_, "vBucketMap")) return false;
        map_->vbucket_count_ = static_cast<std::uint16_t>(map_->servers_.size() / (map_->replicas + 1));
        if (map_->vbucket_count_ == 0) {
            incomplete_ = true;
            return fail("it has no vbuckets: the bucket is being created");
        }
        if (!forward.value) return true;
        if (!read_rows(forward, map_->forward_, "vBucketMapForward")) return false;
        return map_->forward_.empty() || map_->forward_.size() == map_->servers_.size() ||
               fail("vBucketMapForward and vBucketMap differ in length");
    }

    void add_kv_nodes(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            const MapNode& node = map_->nodes[i];
            const bool has_kv = node.ports.port(Service::kv, false) != 0 || node.ports.port(Service::kv, true) != 0;
            if (has_kv) add_server(i);
        }
    }
    void add_server(std::size_t node) {
        map_->kv.push_back(map_->nodes[node].endpoint(Service::kv, "default", false));
        map_->kv_nodes.push_back(static_cast<std::int16_t>(node));
    }

    /// Server i is node i by rule. What the list says is believed first, as that is what the rows were made from.
    bool read_server_list(const Member& servers) {
        array list;
        if (!servers.value || servers.value->get(list) != simdjson::SUCCESS) return fail("it has no serverList");
        if (list.size() > max_map_nodes) return fail("it has more servers than " + std::to_string(max_map_nodes));
        std::vector<std::size_t> candidates;
        for (std::size_t i = 0; i < map_->nodes.size(); ++i) {
            const ServicePorts& ports = map_->nodes[i].ports;
            const bool has_kv = ports.port(Service::kv, false) != 0 || ports.port(Service::kv, true) != 0;
            if (bucket_nodes_ ? i < *bucket_nodes_ : has_kv) candidates.push_back(i);
        }
        const bool by_index = candidates.size() == list.size();
        for (const element entry : list) {
            const std::size_t index = map_->kv.size();
            const std::string where = item("serverList", index);
            std::string_view text;
            Endpoint endpoint;
            if (!get(entry, text, where, "a string") || !read_authority(text, endpoint, where)) return false;
            const auto is_it = [&](std::size_t node) {
                return map_->nodes[node].hostname == endpoint.host &&
                       map_->nodes[node].ports.port(Service::kv, false) == endpoint.port;
            };
            if (by_index && is_it(candidates[index])) {
                add_server(candidates[index]);
                continue;
            }
            const auto found = std::find_if(candidates.begin(), candidates.end(), is_it);
            if (found != candidates.end()) {
                add_server(*found);
            } else if (by_index) {
                add_server(candidates[index]);
            } else {
                map_->kv.push_back(std::move(endpoint));
                map_->kv_nodes.push_back(-1);
            }
        }
        return !map_->kv.empty() || fail("its serverList is empty");
    }

    bool read_rows(const Member& from, std::vector<std::int16_t>& rows, std::string_view name) {
        array list;
        if (!from.value || from.value->get(list) != simdjson::SUCCESS) return fail("it has no " + std::string(name));
        if (list.size() > max_map_vbuckets) {
            return fail(std::string(name) + " has more rows than " + std::to_string(max_map_vbuckets));
        }
        const std::size_t width = map_->replicas + 1;
        rows.assign(list.size() * width, ClusterMap::nobody);
        std::size_t vbucket = 0;
        for (const element row : list) {
            array copies;
            if (row.get(copies) != simdjson::SUCCESS) return fail(item(name, vbucket) + " is not an array");
            std::size_t copy = 0;
            for (const element server : copies) {
                std::int64_t index = 0;
                if (server.get(index) != simdjson::SUCCESS || index < ClusterMap::nobody ||
                    index >= static_cast<std::int64_t>(map_->kv.size()))
                    return fail(item(name, vbucket) + " names a server that is not in the serverList");
                if (copy < width) rows[vbucket * width + copy] = static_cast<std::int16_t>(index);
                ++copy;
            }
            ++vbucket;
        }
        return true;
    }

    // ---- capabilities
    // ---------------------------------------------------------------------------------------------------

    void read_capabilities(const Member& bucket, const Member& cluster) {
        array list;
        std::string_view text;
        if (bucket.value && bucket.value->get(list) == simdjson::SUCCESS) {
            for (const element one : list) {
                if (map_->capabilities.size() == max_capabilities) break;
                if (one.get(text) == simdjson::SUCCESS) map_->capabilities.emplace_back(text);
            }
        }
        std::sort(map_->capabilities.begin(), map_->capabilities.end());
        object services;
        if (!cluster.value || cluster.value->get(services) != simdjson::SUCCESS) return;
        for (const auto& [service, names] : services) {
            if (names.get(list) != simdjson::SUCCESS || service.size() > 64) continue;
            for (const element one : list) {
                if (map_->cluster_capabilities.size() == max_capabilities) break;
                if (one.get(text) == simdjson::SUCCESS) map_->cluster_capabilities.emplace_back(service, text);
            }
        }
        std::sort(map_->cluster_capabilities.begin(), map_->cluster_capabilities.end());
    }

    std::string_view origin_;
    std::shared_ptr<ClusterMap> map_ = std::make_shared<ClusterMap>();
    std::optional<std::size_t> bucket_nodes_;  ///< length of `nodes`
    std::string error_;
    bool incomplete_ = false;
};

ParsedMap parse_cluster_map(std::string_view json, std::string_view origin_host) {
    return ClusterMapReader(origin_host).read(json);
}

}  // namespace chaise::protocol
