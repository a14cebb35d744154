#include "cluster/kv/cluster_state.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <utility>

#include "cluster/kv/node.hpp"
#include "protocol/json_text.hpp"
#include "protocol/scram.hpp"

namespace chaise::testing {

namespace {

// Couchbase's rule; also what keeps names harmless in URLs and JSON.
bool is_bucket_name(std::string_view name) noexcept {
    if (name.empty() || name.size() > 100 || name.front() == '.') return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
               c == '.' || c == '%';
    });
}

}  // namespace

ClusterState::ClusterState(ClusterOptions options) : options_(std::move(options)) {
    for (const ClusterUser& user : options_.users) users_[user.name] = user;
    ClusterConfig config;
    config.revision = {options_.revision_epoch, ++revision_};
    config.name = options_.name;
    config.uuid = draw_uuid();
    cluster_config_ = std::make_shared<const ClusterConfig>(std::move(config));
}

ClusterState::~ClusterState() = default;

// splitmix64
std::uint64_t ClusterState::draw() noexcept {
    std::uint64_t x = options_.seed + ++draws_ * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

std::string ClusterState::draw_uuid() {
    std::string uuid = protocol::json_hex(draw() | std::uint64_t{1} << 63);
    return uuid += protocol::json_hex(draw() | std::uint64_t{1} << 63);
}

NodeId ClusterState::add_node(std::string hostname, std::string group) {
    const NodeId id = nodes_.size();
    nodes_.push_back({.config = {id, hostname, {}, draw_uuid(), std::move(group)},
                      .hostname = std::move(hostname),
                      .disk = std::make_unique<KvDisk>(),
                      .persistence_delay = options_.persistence_delay,
                      .config_delay = options_.config_delay});
    publish_cluster();
    return id;
}

void ClusterState::set_ports(NodeId node, NodePorts ports) {
    if (std::exchange(nodes_.at(node).ports, ports) == ports) return;
    name_node(nodes_[node]);
    publish_cluster();
}

void ClusterState::set_addresses(NodeId node, const NodeAddresses& addresses) {
    if (std::exchange(nodes_.at(node).addresses, addresses) == addresses) return;
    name_node(nodes_[node]);
    publish_cluster();
}

void ClusterState::name_node(Node& node) {
    const NodeAddresses& as = node.addresses;
    node.config.hostname = as.internal.empty() ? node.hostname : as.internal;
    node.config.ports = node.ports;
    node.config.external.reset();
    if (as.external.empty()) return;
    node.config.external = ExternalAddress{as.external, {}};
    if (as.ports == ExternalPorts::same) return;
    node.config.external->ports = node.ports;
    if (as.ports == ExternalPorts::translated) {
        node.config.ports = {.kv = 11210, .mgmt = 8091, .capi = 8092, .n1ql = 8093, .fts = 8094, .cbas = 8095};
    }
}

NodeGroups ClusterState::groups() const {
    NodeGroups groups;
    for (const Node& node : nodes_) groups.push_back(node.config.group);
    return groups;
}

std::vector<NodeId> ClusterState::members() const {
    std::vector<NodeId> ids;
    for (const Node& node : nodes_)
        if (node.member) ids.push_back(node.config.id);
    return ids;
}

void ClusterState::publish_cluster() {
    ClusterConfig config = *cluster_config_;
    config.revision.revision = ++revision_;
    config.nodes.clear();
    for (const Node& node : nodes_)
        if (node.member) config.nodes.push_back(node.config);
    cluster_config_ = std::make_shared<const ClusterConfig>(std::move(config));
    for (const Node& node : nodes_)
        if (node.process != nullptr) node.process->learn(cluster_config_);
    for (const std::string& name : buckets()) publish_bucket(edit(name));
}

BucketConfig ClusterState::edit(std::string_view bucket) const {
    const auto config = bucket_config(bucket);
    if (!config) throw std::invalid_argument("no bucket " + std::string(bucket));
    return *config;
}

void ClusterState::publish_bucket(BucketConfig config) {
    config.revision = {options_.revision_epoch, ++revision_};
    config.cluster = cluster_config_;
    const auto shared = std::make_shared<const BucketConfig>(std::move(config));
    buckets_[shared->settings.name] = shared;
    for (const Node& node : nodes_)
        if (node.process != nullptr) node.process->learn(shared->settings.name, shared);
    reconnect();
}

void ClusterState::reconnect() {
    for (const Node& node : nodes_)
        if (node.process != nullptr) node.process->connect_streams();
}

void ClusterState::attach(KvNode& node) {
    Node& known = nodes_.at(node.id());
    if (known.process != nullptr) throw std::logic_error("the node's process is running");
    known.process = &node;
}

void ClusterState::detach(KvNode& node) noexcept {
    nodes_[node.id()].process = nullptr;
    for (const Node& other : nodes_)
        if (other.process != nullptr) other.process->disconnect(node.id());
}

// The copy that has most, as what is durable must survive; the chain's order decides between equals, and those that
// run come first.
NodeId ClusterState::successor(const BucketConfig& config, std::uint16_t vbucket, const VbucketRow& left) const {
    const auto has = [&](std::ptrdiff_t node) -> std::pair<bool, std::uint64_t> {
        KvNode* const process = this->process(static_cast<NodeId>(node));
        const VBucket* const copy = process ? process->vbucket(config.settings.name, vbucket) : nullptr;
        return {process != nullptr, copy ? copy->high_seqno() : 0};
    };
    return static_cast<NodeId>(
        *std::max_element(left.begin(), left.end(), [&](auto a, auto b) { return has(a) < has(b); }));
}

void ClusterState::failover(NodeId id) {
    if (!member(id)) return;
    if (members().size() == 1) throw std::logic_error("the last node cannot be failed over");
    nodes_.at(id).member = false;
    rebalance_.reset();
    for (auto& [name, config] : buckets_) {
        BucketConfig next = *config;
        std::erase(next.servers, id);
        next.forward.clear();
        for (std::size_t vbucket = 0; vbucket < next.map.size(); ++vbucket) {
            VbucketRow& row = next.map[vbucket];
            const std::size_t length = row.size();
            const bool active = position_of(id, row) == 0;
            if (position_of(id, row) < 0) continue;
            std::erase(row, static_cast<std::ptrdiff_t>(id));
            VbucketRow left = row;
            std::erase(left, no_node);
            if (active && !left.empty()) {
                const auto chosen =
                    static_cast<std::ptrdiff_t>(successor(next, static_cast<std::uint16_t>(vbucket), left));
                std::erase(left, chosen);
                left.insert(left.begin(), chosen);
            }
            row = std::move(left);
            row.resize(length, no_node);
        }
        config = std::make_shared<const BucketConfig>(std::move(next));
    }
    publish_cluster();
}

void ClusterState::hand_over(NodeId id) {
    for (const std::string& name : buckets()) {
        BucketConfig next = edit(name);
        bool changed = false;
        for (std::size_t vbucket = 0; vbucket < next.map.size(); ++vbucket) {
            VbucketRow& row = next.map[vbucket];
            if (position_of(id, row) != 0) continue;
            VbucketRow others(row.begin() + 1, row.end());
            std::erase_if(others, [&](auto node) { return node == no_node || !alive(static_cast<NodeId>(node)); });
            if (others.empty()) continue;
            const NodeId chosen = successor(next, static_cast<std::uint16_t>(vbucket), others);
            std::iter_swap(row.begin(), std::find(row.begin(), row.end(), static_cast<std::ptrdiff_t>(chosen)));
            changed = true;
        }
        if (changed) publish_bucket(std::move(next));
    }
}

const ClusterUser* ClusterState::user(std::string_view name) const noexcept {
    const auto found = users_.find(name);
    return found == users_.end() ? nullptr : &found->second;
}

bool ClusterState::authenticates(std::string_view name, std::string_view password) const noexcept {
    const ClusterUser* const known = user(name);
    return known != nullptr && protocol::equal_in_constant_time(known->password, password);
}

void ClusterState::add_user(ClusterUser user) {
    std::string name = user.name;
    users_[std::move(name)] = std::move(user);
}

void ClusterState::remove_user(std::string_view name) {
    if (const auto found = users_.find(name); found != users_.end()) users_.erase(found);
}

void ClusterState::create_bucket(const BucketSettings& settings) {
    if (!is_bucket_name(settings.name)) throw std::invalid_argument("not a bucket's name: " + settings.name);
    if (buckets_.contains(settings.name)) throw std::invalid_argument("there is a bucket " + settings.name);
    if (!std::has_single_bit(settings.vbuckets) || settings.vbuckets > 1024)
        throw std::invalid_argument("the number of vbuckets is a power of two up to 1024");
    if (settings.replicas > 3) throw std::invalid_argument("at most 3 replicas");
    // It would be over nodes that are about to leave, and nobody would move it.
    if (rebalance_) throw std::logic_error("no bucket can be made during a rebalance");
    const bool ring = settings.type == BucketType::memcached;
    if (ring && (settings.replicas != 0 || settings.vbuckets != 1))
        throw std::invalid_argument("a memcached bucket has no replicas, and says that it has one vbucket");
    BucketConfig config;
    config.settings = settings;
    config.uuid = draw_uuid();
    config.servers = members();
    // Of a memcached bucket no map says where a key is.
    config.map =
        distribute(settings.vbuckets, settings.replicas, ring ? std::vector<NodeId>{} : config.servers, groups());
    config.manifest = default_manifest();
    publish_bucket(std::move(config));
}

bool ClusterState::delete_bucket(std::string_view name) {
    const auto found = buckets_.find(name);
    if (found == buckets_.end()) return false;
    const auto config = found->second;
    buckets_.erase(found);
    ++revision_;
    for (const Node& node : nodes_) {
        node.disk->buckets.erase(config->uuid);
        if (node.process != nullptr) node.process->learn(config->settings.name, nullptr);
    }
    return true;
}

std::vector<std::string> ClusterState::buckets() const {
    std::vector<std::string> names;
    for (const auto& [name, config] : buckets_) names.push_back(name);
    return names;
}

bool ClusterState::flush_bucket(std::string_view name) {
    const auto config = bucket_config(name);
    if (!config) return false;
    for (const Node& node : nodes_) {
        node.disk->buckets.erase(config->uuid);
        if (node.process != nullptr) node.process->flush(name);
    }
    reconnect();
    return true;
}

void ClusterState::set_manifest(std::string_view bucket, protocol::CollectionsManifest manifest) {
    BucketConfig config = edit(bucket);
    config.manifest = std::move(manifest);
    for (const auto& scope : config.manifest.scopes) {
        config.next_collection_id = std::max(config.next_collection_id, scope.uid + 1);
        for (const auto& collection : scope.collections)
            config.next_collection_id = std::max(config.next_collection_id, collection.uid + 1);
    }
    publish_bucket(std::move(config));
}

void ClusterState::set_map(std::string_view bucket, std::vector<VbucketRow> map, std::vector<VbucketRow> forward) {
    BucketConfig config = edit(bucket);
    const auto fits = [&](const std::vector<VbucketRow>& rows) {
        return rows.size() == config.settings.vbuckets &&
               std::all_of(rows.begin(), rows.end(), [&](const VbucketRow& row) {
                   return row.size() == config.settings.replicas + 1 &&
                          std::all_of(row.begin(), row.end(), [&](std::ptrdiff_t node) {
                              return node == no_node ||
                                     (node >= 0 && node < static_cast<std::ptrdiff_t>(nodes_.size()) &&
                                      member(static_cast<NodeId>(node)));
                          });
               });
    };
    if (!fits(map) || (!forward.empty() && !fits(forward)))
        throw std::invalid_argument("a map has a row of 1 + replicas members for each vbucket");
    // Nodes that are new to the bucket follow those that it has.
    for (const auto* rows : {&map, &forward})
        for (const VbucketRow& row : *rows)
            for (const std::ptrdiff_t node : row) {
                const auto id = static_cast<NodeId>(node);
                if (node != no_node &&
                    std::find(config.servers.begin(), config.servers.end(), id) == config.servers.end())
                    config.servers.push_back(id);
            }
    config.map = std::move(map);
    config.forward = std::move(forward);
    publish_bucket(std::move(config));
}

std::shared_ptr<const BucketConfig> ClusterState::bucket_config(std::string_view name) const {
    const auto found = buckets_.find(name);
    return found == buckets_.end() ? nullptr : found->second;
}

void ClusterState::delays_changed() {
    for (const Node& node : nodes_)
        if (node.process != nullptr) node.process->pump();
}

void ClusterState::set_replication_delay(Duration delay) {
    options_.replication_delay = delay;
    link_delays_.clear();
    delays_changed();
}

void ClusterState::set_replication_delay(NodeId from, NodeId to, Duration delay) {
    link_delays_[{from, to}] = delay;
    delays_changed();
}

Duration ClusterState::replication_delay(NodeId from, NodeId to) const {
    const auto found = link_delays_.find({from, to});
    return found == link_delays_.end() ? options_.replication_delay : found->second;
}

void ClusterState::set_persistence_delay(Duration delay) {
    options_.persistence_delay = delay;
    for (Node& node : nodes_) node.persistence_delay = delay;
    delays_changed();
}

void ClusterState::set_persistence_delay(NodeId node, Duration delay) {
    nodes_.at(node).persistence_delay = delay;
    delays_changed();
}

void ClusterState::set_config_delay(NodeId node, Duration delay) {
    nodes_.at(node).config_delay = delay;
    delays_changed();
}

}  // namespace chaise::testing
