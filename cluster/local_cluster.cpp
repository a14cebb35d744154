#include <chaise/testing/local_cluster.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <stdexcept>

#include "cluster/kv/document.hpp"
#include "cluster/local/cluster_thread.hpp"
#include "cluster/local/node_hosts.hpp"
#include "cluster/local/rebalancer.hpp"
#include "protocol/datatype.hpp"
#include "protocol/leb128.hpp"
#include "protocol/snappy.hpp"
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

void check(const NodeAddresses& addresses) {
    const auto refuse = [](const char* why) { throw std::invalid_argument(std::string("LocalCluster: ") + why); };
    if (!addresses.internal.empty() && !is_host(addresses.internal)) refuse("the internal address is no host");
    if (!addresses.external.empty() && !is_host(addresses.external)) refuse("the external address is no host");
    if (addresses.external.empty() && addresses.ports != ExternalPorts::same) {
        refuse("there are external ports without an external address");
    }
}

void check(const LocalClusterOptions& options) {
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
    check(options.addresses);
}

std::optional<StoredDocument> stored_document(const Document* document) {
    if (document == nullptr || document->deleted || document->kind != Document::Kind::committed) return std::nullopt;
    return StoredDocument{.value = inflated(*document),
                          .flags = document->flags,
                          .expiry = document->expiry,
                          .cas = document->cas,
                          .seqno = document->seqno,
                          .bytes = document->value.size()};
}

BucketSettings memcached_bucket(std::string_view name) {
    return {.name = std::string(name), .type = BucketType::memcached, .vbuckets = 1, .replicas = 0};
}

/// As nodes keep it: behind its collection's id.
std::string stored_key(std::string_view key, std::uint32_t collection = 0) {
    std::array<char, protocol::max_leb128_size> id;
    return std::string(id.data(), protocol::store_leb128(id.data(), collection)).append(key);
}

std::optional<std::uint32_t> collection_id(const BucketConfig& config, std::string_view scope,
                                           std::string_view collection) {
    for (const auto& its_scope : config.manifest.scopes) {
        if (its_scope.name != scope) continue;
        for (const auto& one : its_scope.collections) {
            if (one.name == collection) return one.uid;
        }
    }
    return std::nullopt;
}

void check_spread(Duration spread) {
    if (spread < Duration::zero() || spread == never)
        throw std::invalid_argument("LocalCluster: a spread is an amount of time, and not negative");
}

}  // namespace

class LocalCluster::Impl {
public:
    Impl(const LocalClusterOptions& options, const Endpoint& kv, const Endpoint& http) : options_(options) {
        check(options_);
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
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl() {
        call([&] {
            rebalancer_.reset();
            hosts_.reset();
            places_.reset();
        });
    }

    /// Each node has a name of its own only where each has a host of its own.
    void start(std::unique_ptr<NodeHosts> hosts) {
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

    void call(const std::function<void()>& f) const {
        if (thread_) {
            thread_->call(f);
        } else {
            f();
        }
    }
    template <class F>
    [[nodiscard]] auto ask(F&& f) const {
        std::optional<decltype(f())> answer;
        call([&] { answer.emplace(f()); });
        return *std::move(answer);
    }
    /// \throws std::out_of_range
    void check_node(std::size_t node) const {
        if (node >= options_.nodes) throw std::out_of_range("LocalCluster: no node " + std::to_string(node));
    }
    template <class F>
    void at(std::size_t node, F&& f) const {
        check_node(node);
        call([&] { f(); });
    }

    [[nodiscard]] ClusterState& state() const noexcept { return *places_->state; }
    [[nodiscard]] NodeHosts& hosts() const noexcept { return *hosts_; }
    [[nodiscard]] NodePlaces& places() const noexcept { return *places_; }
    [[nodiscard]] NodeProcess* process(std::size_t node) const { return places_->places.at(node).process; }
    [[nodiscard]] const LocalClusterOptions& options() const noexcept { return options_; }

    [[nodiscard]] std::string bucket_name(std::string_view bucket) const {
        return bucket.empty() ? options_.bucket : std::string(bucket);
    }
    [[nodiscard]] std::shared_ptr<const BucketConfig> bucket(const std::string& name) const {
        auto config = state().bucket_config(name);
        if (!config) throw std::out_of_range("LocalCluster: no bucket '" + name + "'");
        return config;
    }

    /// A node's copy of the key's vbucket; null when it has none, or is dead.
    [[nodiscard]] const VBucket* copy(std::size_t node, const std::string& name, std::string_view key) const {
        const auto config = bucket(name);
        NodeProcess* its_process = process(node);
        if (its_process == nullptr) return nullptr;
        return its_process->node().vbucket(name,
                                           protocol::vbucket_of(key, static_cast<std::uint32_t>(config->map.size())));
    }

    NodeId add_node(std::string_view group) {
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
    void set_pace(Duration pace) { pace_ = std::chrono::ceil<std::chrono::microseconds>(pace); }
    /// What has been begun goes on.
    void go_on_rebalancing() {
        if (!rebalancer_) {
            auto iops = hosts_->make_iops();
            if (!iops) return;
            rebalancer_ = std::make_unique<Rebalancer>(places_->state, std::move(iops));
        }
        rebalancer_->start(pace_);
    }
    void set_simulated() noexcept { simulated_ = true; }

    void run_on(std::unique_ptr<ClusterThread> thread) { thread_ = std::move(thread); }
    [[nodiscard]] ClusterThread& thread() const noexcept { return *thread_; }

private:
    void join(std::size_t node, std::string_view group) {
        state().add_node(places_->places[node].kv.address, std::string(group));
        state().set_addresses(node, options_.addresses);
    }

    LocalClusterOptions options_;
    std::unique_ptr<ClusterThread> thread_;
    std::shared_ptr<NodePlaces> places_ = std::make_shared<NodePlaces>();
    std::unique_ptr<NodeHosts> hosts_;
    std::unique_ptr<Rebalancer> rebalancer_;
    std::chrono::microseconds pace_{1000};
    bool simulated_ = false;

    friend class LocalCluster;
};

// ---- the three ways -------------------------------------------------------------------------------------------------

LocalCluster::LocalCluster(std::function<std::unique_ptr<IOPS>()> make_iops, const LocalClusterOptions& options)
    : impl_(std::make_unique<Impl>(options, Endpoint{"127.0.0.1", 0}, Endpoint{"127.0.0.1", 0})) {
    impl_->start(make_loop_hosts(impl_->places_, std::move(make_iops)));
}

LocalCluster::LocalCluster(SimWorld& world, const LocalClusterOptions& options)
    : impl_(std::make_unique<Impl>(options, Endpoint{{}, 11210}, Endpoint{{}, 8091})) {
    for (std::size_t node = 0; node < options.nodes; ++node) {
        const std::string host = options.host_prefix + std::to_string(node + 1);
        NodePlace& place = impl_->places().places[node];
        place.kv.address = place.http.address = host;
        for (Endpoint& service : place.services) service.address = host;
    }
    impl_->set_simulated();
    impl_->start(make_sim_hosts(impl_->places_, world, options.host_prefix));
}

LocalCluster::LocalCluster(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}

LocalCluster LocalCluster::on_thread(const LocalClusterOptions& options) {
    auto impl = std::make_unique<Impl>(options, Endpoint{"127.0.0.1", 0}, Endpoint{"127.0.0.1", 0});
    impl->run_on(std::make_unique<ClusterThread>());
    EpollLoop& loop = impl->thread().loop();
    impl->call([&] { impl->start(make_loop_hosts(impl->places_, [&loop] { return loop.make_iops(); })); });
    return LocalCluster(std::move(impl));
}

LocalCluster::LocalCluster(LocalCluster&& other) noexcept = default;
LocalCluster& LocalCluster::operator=(LocalCluster&& other) noexcept = default;
LocalCluster::~LocalCluster() = default;

// ---- how to reach it ------------------------------------------------------------------------------------------------

std::string LocalCluster::connection_string(std::string_view bucket) const {
    std::string hosts;
    impl_->call([&] {
        for (std::size_t node = 0; node < nodes(); ++node) {
            if (!impl_->state().member(node)) continue;
            if (!hosts.empty()) hosts += ',';
            hosts += impl_->places().places[node].kv.to_string();
        }
    });
    std::string text = "couchbase://" + hosts;
    if (!bucket.empty()) text.append("/").append(bucket);
    return text;
}

std::string LocalCluster::management_connection_string(std::string_view bucket) const {
    std::string hosts;
    impl_->call([&] {
        for (std::size_t node = 0; node < nodes(); ++node) {
            if (!impl_->state().member(node)) continue;
            if (!hosts.empty()) hosts += ',';
            hosts += impl_->places().places[node].http.to_string() + "=http";
        }
    });
    std::string text = "couchbase://" + hosts;
    if (!bucket.empty()) text.append("/").append(bucket);
    return text;
}

std::size_t LocalCluster::nodes() const { return impl_->options().nodes; }

Endpoint LocalCluster::endpoint(std::size_t node) const {
    impl_->check_node(node);
    return impl_->ask([&] { return impl_->places().places[node].kv; });
}

Endpoint LocalCluster::management_endpoint(std::size_t node) const {
    impl_->check_node(node);
    return impl_->ask([&] { return impl_->places().places[node].http; });
}

// ---- what happens to nodes ------------------------------------------------------------------------------------------

void LocalCluster::kill_node(std::size_t node) {
    impl_->at(node, [&] { impl_->hosts().kill(node); });
}
void LocalCluster::restart_node(std::size_t node) {
    impl_->at(node, [&] { impl_->hosts().start(node); });
}
void LocalCluster::failover(std::size_t node) {
    impl_->at(node, [&] { impl_->state().failover(node); });
}
void LocalCluster::hand_over(std::size_t node) {
    impl_->at(node, [&] { impl_->state().hand_over(node); });
}
void LocalCluster::pause(std::size_t node) {
    impl_->at(node, [&] { impl_->hosts().set_paused(node, true); });
}
void LocalCluster::resume(std::size_t node) {
    impl_->at(node, [&] { impl_->hosts().set_paused(node, false); });
}

void LocalCluster::graceful_failover(std::size_t node) {
    impl_->at(node, [&] {
        if (!impl_->state().member(node)) return;
        impl_->state().begin_graceful_failover(node);
        impl_->go_on_rebalancing();
    });
}
std::size_t LocalCluster::add_node(std::string_view group) {
    return impl_->ask([&] { return impl_->add_node(group); });
}
void LocalCluster::rebalance(const std::vector<std::size_t>& members) {
    for (const std::size_t node : members) impl_->check_node(node);
    impl_->call([&] {
        impl_->state().begin_rebalance(members);
        impl_->go_on_rebalancing();
    });
}
void LocalCluster::rebalance_in(std::size_t node) {
    std::vector<std::size_t> members = impl_->ask([&] { return impl_->state().members(); });
    if (std::find(members.begin(), members.end(), node) == members.end()) members.push_back(node);
    rebalance(members);
}
void LocalCluster::rebalance_out(std::size_t node) {
    std::vector<std::size_t> members = impl_->ask([&] { return impl_->state().members(); });
    std::erase(members, node);
    rebalance(members);
}
bool LocalCluster::rebalancing() const {
    return impl_->ask([&] { return impl_->state().rebalancing(); });
}
void LocalCluster::set_rebalance_pace(Duration pace) {
    if (pace < Duration::zero()) throw std::invalid_argument("LocalCluster: a pace is not negative");
    impl_->call([&] { impl_->set_pace(pace); });
}

bool LocalCluster::alive(std::size_t node) const {
    impl_->check_node(node);
    return impl_->ask([&] { return impl_->process(node) != nullptr; });
}

bool LocalCluster::member(std::size_t node) const {
    impl_->check_node(node);
    return impl_->ask([&] { return impl_->state().member(node); });
}

std::size_t LocalCluster::connections(std::size_t node) const {
    impl_->check_node(node);
    return impl_->ask([&] {
        NodeProcess* process = impl_->process(node);
        return process != nullptr ? process->connections() : 0;
    });
}

std::uint64_t LocalCluster::not_my_vbucket(std::size_t node) const {
    impl_->check_node(node);
    return impl_->ask([&] {
        NodeProcess* process = impl_->process(node);
        return impl_->places().places[node].not_my_vbucket +
               (process != nullptr ? process->node().counters().not_my_vbucket : 0);
    });
}

void LocalCluster::close_connections(std::size_t node) {
    impl_->at(node, [&] {
        if (NodeProcess* process = impl_->process(node)) process->close_connections();
    });
}

// ---- what goes wrong ------------------------------------------------------------------------------------------------

void LocalCluster::set_link_faults(std::size_t node, const LinkFaults& faults) {
    impl_->at(node, [&] {
        impl_->places().places[node].link_faults = faults;
        if (NodeProcess* process = impl_->process(node)) process->set_link_faults(faults);
    });
}
void LocalCluster::add_error_burst(const ErrorBurst& burst) {
    if (burst.status == 0) throw std::invalid_argument("LocalCluster: status 0 is no error");
    impl_->call([&] { impl_->state().error_bursts().add(burst); });
}
void LocalCluster::clear_error_bursts() {
    impl_->call([&] { impl_->state().error_bursts().clear(); });
}
void LocalCluster::expire_locks() {
    impl_->call([&] { impl_->state().expire_locks(); });
}
void LocalCluster::time_travel(Duration duration) {
    impl_->call([&] { impl_->state().travel(duration); });
}
void LocalCluster::set_conflicting_config(std::size_t node, bool on) {
    impl_->at(node, [&] { impl_->state().set_conflicting(node, on); });
}
void LocalCluster::set_addresses(std::size_t node, const NodeAddresses& addresses) {
    check(addresses);
    impl_->at(node, [&] { impl_->state().set_addresses(node, addresses); });
}

// ---- delays ---------------------------------------------------------------------------------------------------------

void LocalCluster::set_replication_delay(Duration delay) {
    impl_->call([&] { impl_->state().set_replication_delay(delay); });
}
void LocalCluster::set_replication_delay(std::size_t from, std::size_t to, Duration delay) {
    impl_->check_node(to);
    impl_->at(from, [&] { impl_->state().set_replication_delay(from, to, delay); });
}
void LocalCluster::set_persistence_delay(Duration delay) {
    impl_->call([&] { impl_->state().set_persistence_delay(delay); });
}
void LocalCluster::set_persistence_delay(std::size_t node, Duration delay) {
    impl_->at(node, [&] { impl_->state().set_persistence_delay(node, delay); });
}
void LocalCluster::set_config_delay(std::size_t node, Duration delay) {
    impl_->at(node, [&] { impl_->state().set_config_delay(node, delay); });
}

void LocalCluster::set_replication_spread(Duration spread) {
    check_spread(spread);
    impl_->call([&] { impl_->state().set_replication_spread(spread); });
}
void LocalCluster::set_persistence_spread(Duration spread) {
    check_spread(spread);
    impl_->call([&] { impl_->state().set_persistence_spread(spread); });
}

// ---- users and buckets ----------------------------------------------------------------------------------------------

void LocalCluster::add_user(std::string_view name, std::string_view password, std::vector<std::string> buckets) {
    impl_->call([&] { impl_->state().add_user({std::string(name), std::string(password), std::move(buckets)}); });
}
void LocalCluster::remove_user(std::string_view name) {
    impl_->call([&] { impl_->state().remove_user(name); });
}
void LocalCluster::create_bucket(std::string_view name, std::uint32_t replicas, std::uint32_t vbuckets) {
    impl_->call(
        [&] { impl_->state().create_bucket({.name = std::string(name), .vbuckets = vbuckets, .replicas = replicas}); });
}
void LocalCluster::create_memcached_bucket(std::string_view name) {
    impl_->call([&] { impl_->state().create_bucket(memcached_bucket(name)); });
}
bool LocalCluster::delete_bucket(std::string_view name) {
    return impl_->ask([&] { return impl_->state().delete_bucket(name); });
}
bool LocalCluster::flush_bucket(std::string_view name) {
    return impl_->ask([&] { return impl_->state().flush_bucket(name); });
}

// ---- views, queries, search, analytics
// --------------------------------------------------------------------------------

static_assert(static_cast<int>(LocalService::analytics) == static_cast<int>(HttpService::analytics));

Endpoint LocalCluster::service_endpoint(LocalService service, std::size_t node) const {
    impl_->check_node(node);
    return impl_->ask([&] { return impl_->places().places[node].services.at(static_cast<std::size_t>(service)); });
}

void LocalCluster::script(LocalService service, std::string_view request, std::string_view body, int status) {
    if (service == LocalService::views) throw std::invalid_argument("LocalCluster: views are not scripted");
    impl_->call(
        [&] { impl_->places().scripts->set(static_cast<HttpService>(service), request, {status, std::string(body)}); });
}

void LocalCluster::script_query(std::string_view statement, std::string_view body, int status) {
    script(LocalService::query, statement, body, status);
}

void LocalCluster::add_service_fault(LocalService service, const ServiceFault& fault) {
    if (fault.times == 0) return;
    if (fault.node) impl_->check_node(*fault.node);
    impl_->call([&] {
        impl_->places().faults->add({.service = static_cast<HttpService>(service),
                                     .node = fault.node,
                                     .times = fault.times,
                                     .status = fault.status,
                                     .body = std::string(fault.body),
                                     .delay = fault.delay,
                                     .piece_delay = fault.piece_delay,
                                     .piece = fault.piece,
                                     .cut = fault.cut});
    });
}

void LocalCluster::clear_service_faults() {
    impl_->call([&] { impl_->places().faults->clear(); });
}

void LocalCluster::forget_prepared_statements() {
    impl_->call([&] { impl_->places().query->prepared.clear(); });
}

// ---- scopes and collections
// --------------------------------------------------------------------------------------------

std::uint64_t LocalCluster::create_scope(std::string_view scope, std::string_view bucket) {
    return impl_->ask([&] { return impl_->state().create_scope(impl_->bucket_name(bucket), scope); });
}
std::uint64_t LocalCluster::drop_scope(std::string_view scope, std::string_view bucket) {
    return impl_->ask([&] { return impl_->state().drop_scope(impl_->bucket_name(bucket), scope); });
}
std::uint64_t LocalCluster::create_collection(std::string_view scope, std::string_view collection,
                                              std::string_view bucket, std::chrono::seconds max_expiry) {
    return impl_->ask([&] {
        return impl_->state().create_collection(impl_->bucket_name(bucket), scope, collection, max_expiry.count());
    });
}
std::uint64_t LocalCluster::drop_collection(std::string_view scope, std::string_view collection,
                                            std::string_view bucket) {
    return impl_->ask([&] { return impl_->state().drop_collection(impl_->bucket_name(bucket), scope, collection); });
}

// ---- what the nodes have --------------------------------------------------------------------------------------------

KeyPlacement LocalCluster::placement(std::string_view key, std::string_view bucket) const {
    return impl_->ask([&] {
        const auto config = impl_->bucket(impl_->bucket_name(bucket));
        KeyPlacement placement;
        if (config->settings.type == BucketType::memcached) {
            const std::ptrdiff_t node = server_on_ring(*config, key);
            if (node != no_node) placement.active = static_cast<std::size_t>(node);
            return placement;
        }
        placement.vbucket = protocol::vbucket_of(key, static_cast<std::uint32_t>(config->map.size()));
        const VbucketRow& row = config->row(placement.vbucket);
        for (std::size_t i = 0; i < row.size(); ++i) {
            if (row[i] == no_node) continue;
            const auto node = static_cast<std::size_t>(row[i]);
            if (i == 0) {
                placement.active = node;
            } else {
                placement.replicas.push_back(node);
            }
        }
        return placement;
    });
}

std::optional<StoredDocument> LocalCluster::stored(std::size_t node, std::string_view key,
                                                   std::string_view bucket) const {
    impl_->check_node(node);
    return impl_->ask([&]() -> std::optional<StoredDocument> {
        const std::string name = impl_->bucket_name(bucket);
        const VBucket* copy = impl_->copy(node, name, key);
        return copy != nullptr ? stored_document(copy->peek(stored_key(key))) : std::nullopt;
    });
}

std::optional<StoredDocument> LocalCluster::stored_in(std::string_view scope, std::string_view collection,
                                                      std::size_t node, std::string_view key,
                                                      std::string_view bucket) const {
    impl_->check_node(node);
    return impl_->ask([&]() -> std::optional<StoredDocument> {
        const std::string name = impl_->bucket_name(bucket);
        const auto id = collection_id(*impl_->bucket(name), scope, collection);
        const VBucket* copy = id ? impl_->copy(node, name, key) : nullptr;
        return copy != nullptr ? stored_document(copy->peek(stored_key(key, *id))) : std::nullopt;
    });
}

std::optional<StoredDocument> LocalCluster::persisted(std::size_t node, std::string_view key,
                                                      std::string_view bucket) const {
    impl_->check_node(node);
    return impl_->ask([&]() -> std::optional<StoredDocument> {
        const auto config = impl_->bucket(impl_->bucket_name(bucket));
        const auto& disk = impl_->state().disk(node).buckets;
        const auto found = disk.find(config->uuid);
        const auto vbucket = protocol::vbucket_of(key, static_cast<std::uint32_t>(config->map.size()));
        if (found == disk.end() || found->second.size() <= vbucket) return std::nullopt;
        const auto& documents = found->second[vbucket].documents;
        const auto document = documents.find(stored_key(key));
        return document != documents.end() ? stored_document(document->second.get()) : std::nullopt;
    });
}

void LocalCluster::on_executed(
    std::function<void(std::size_t node, std::uint8_t opcode, std::string_view key, std::string_view value)> witness) {
    impl_->call([&] {
        if (!witness) return impl_->state().set_witness(nullptr);
        impl_->state().set_witness([witness = std::move(witness)](NodeId node, protocol::Opcode opcode,
                                                                  std::string_view key, std::string_view value) {
            witness(node, static_cast<std::uint8_t>(opcode), key, value);
        });
    });
}

}  // namespace chaise::testing
