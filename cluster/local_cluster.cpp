#include <chaise/testing/local_cluster.hpp>

#include <algorithm>
#include <stdexcept>

#include "cluster/local/local_cluster_impl.hpp"

namespace chaise::testing {

namespace {

void check_spread(Duration spread) {
    if (spread < Duration::zero() || spread == never)
        throw std::invalid_argument("LocalCluster: a spread is an amount of time, and not negative");
}

}  // namespace

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
    Impl::check(addresses);
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
    impl_->call([&] { impl_->state().create_bucket(Impl::memcached_bucket(name)); });
}
bool LocalCluster::delete_bucket(std::string_view name) {
    return impl_->ask([&] { return impl_->state().delete_bucket(name); });
}
bool LocalCluster::flush_bucket(std::string_view name) {
    return impl_->ask([&] { return impl_->state().flush_bucket(name); });
}

// ---- views, queries, search, analytics ------------------------------------------------------------------------------

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

// ---- scopes and collections -----------------------------------------------------------------------------------------

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

}  // namespace chaise::testing
