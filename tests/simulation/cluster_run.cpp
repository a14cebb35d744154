// The client and a cluster.
//
// What may be asked of the cluster. It replicates and persists after it has answered, so that what it acknowledged may
// be lost, as in a real one; the client cannot help it. Therefore a seed is one of two kinds:
//
// (Hand-over and failover are meant by "failover" below: a replica becomes active in either.)
//
// - careful (two of three): replication and persistence take no time: a write is on every replica that is up and knows
//   the map, and on the disk, before its answer is. A killed node finds everything on its disk again. A failover loses
//   nothing, if one of the vbucket's replicas is up and was when the active node died (the copy that has most becomes
//   active, and that one has all), and if the node that is failed over is dead or hears of it at once (or else two
//   nodes believe to be active, and what the old one acknowledges is lost). Other nodes may hear as late as they like:
//   until the new active one believes it, nobody is. All keys are linearizable throughout.
// - careless: replication, persistence and the failed-over node's knowledge lag. From the moment when a key's active
//   node is killed or failed over until all nodes know the map and its active node is up, the key is disturbed: not
//   judged, but for values that are nobody's. It then is a register again that has what the active node has (in its
//   memory; that is the witness).
//
// A failover that finds no such replica disturbs in careful seeds, too; without any the vbucket is lost for good.
// Locks are in memory only: a node's death and a failover may end them.

#include "tests/simulation/simulated_run.hpp"

#include <chaise/testing/local_cluster.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

namespace chaise::testing {

namespace {

using namespace std::chrono_literals;

std::vector<Verb> verbs() {
    using enum Verb;
    return {get,    get,    get,     upsert,  upsert, upsert,        insert, replace, replace, remove,
            append, append, counter, counter, touch,  get_and_touch, exists, lock,    unlock};
}

constexpr std::uint64_t strays_each_at_most = 6;

struct Shape {
    bool careless = false;
    LocalClusterOptions cluster{};
    std::vector<CollectionPlace> collections{};
    bool only_http = false;  ///< the client is to have its maps by HTTP, whatever else there is
};

Shape draw_shape(SimRandom& random, std::uint64_t seed) {
    Shape shape{.careless = random.chance(1.0 / 3)};
    LocalClusterOptions& cluster = shape.cluster;
    cluster.nodes = random.chance(0.2) ? 2 : random.between(3, 4);
    cluster.replicas = static_cast<std::uint32_t>(random.between(1, std::min<std::uint64_t>(2, cluster.nodes - 1)));
    if (random.chance(0.15)) cluster.replicas = 0;
    cluster.vbuckets = random.chance(0.5) ? 16 : 64;
    cluster.seed = seed;
    if (shape.careless) {
        cluster.replication_delay = random.exponential(3ms);
        cluster.persistence_delay = random.exponential(10ms);
    }
    // Old servers tell maps by HTTP only.
    cluster.cccp = !random.chance(0.2);
    cluster.terse_streams = random.chance(0.6);
    shape.only_http = random.chance(cluster.cccp ? 0.05 : 0.4);
    // Of the same name, in different scopes.
    if (random.chance(0.5)) shape.collections.push_back({"left", "things"});
    if (random.chance(0.3)) shape.collections.push_back({"right", "things"});
    return shape;
}

class ClusterRun final : public SimulatedRun {
public:
    ClusterRun(std::uint64_t seed, std::ostream* trace)
        : SimulatedRun(seed, trace, verbs(), true), shape_(draw_shape(random_, seed)) {
        cluster_.emplace(world_, shape_.cluster);
        for (const CollectionPlace& place : shape_.collections) {
            cluster_->create_scope(place.scope);
            cluster_->create_collection(place.scope, place.name);
        }
        workload_.use_collections(shape_.collections);
        linearizability_.blank_padding = false;
        // Of requests for which there was no time to try again.
        workload_.also_explained(errc::temporary_failure);
        cluster_->on_executed([this](std::size_t, std::uint8_t, std::string_view key, std::string_view value) {
            workload_.executed(key, value);
        });
        SimFaults faults = world_.faults();
        if (faults.host_killed > 0 && !shape_.careless) killers_ = random_.between(1, 2);
        faults.host_killed = 0;
        world_.set_faults(faults);
        // Names that had another address before.
        for (std::size_t node = 1; node <= nodes(); ++node) {
            const std::string name = "node" + std::to_string(node);
            if (random_.chance(0.1)) world_.set_addresses(name, {name + "-before", name});
        }
        connect(where(), {.username = "Administrator", .password = "password"});
    }

private:
    [[nodiscard]] std::string where() const {
        constexpr std::string_view scheme = "couchbase://";
        const std::string management = cluster_->management_connection_string();
        if (shape_.only_http) return management + "/default?bootstrap_on=http";
        if (shape_.cluster.cccp) return cluster_->connection_string("default");
        return cluster_->connection_string() + "," + management.substr(scheme.size()) + "/default";
    }
    [[nodiscard]] std::size_t nodes() const { return cluster_->nodes(); }
    void count(const char* fault) { ++faults_[fault]; }
    [[nodiscard]] KeyPlacement placement(std::string_view key) const {
        return cluster_->placement(Workload::document_of(key));
    }
    [[nodiscard]] std::optional<StoredDocument> stored(std::size_t node, std::string_view key) const {
        const std::string document = Workload::document_of(key);
        const std::size_t number = Workload::collection_of(key);
        if (number == 0) return cluster_->stored(node, document);
        const CollectionPlace& place = shape_.collections[number - 1];
        return cluster_->stored_in(place.scope, place.name, node, document);
    }

    /// Each run has some of these, by its seed.
    using Scene = Task<> (ClusterRun::*)(SimRandom&);
    [[nodiscard]] std::vector<Scene> draw_scenes(SimRandom& random) {
        const std::pair<Scene, double> all[] = {{&ClusterRun::hand_over, 0.8},
                                                {&ClusterRun::fail_over, 0.7},
                                                {&ClusterRun::kill_and_restart, 0.7},
                                                {&ClusterRun::rebalance, 0.6},
                                                {&ClusterRun::fail_over_gracefully, 0.4},
                                                {&ClusterRun::trouble_links, 0.4},
                                                {&ClusterRun::refuse_requests, 0.5},
                                                {&ClusterRun::contradict, 0.3},
                                                {&ClusterRun::end_locks, 0.4},
                                                {&ClusterRun::travel, 0.3},
                                                {&ClusterRun::make_collection_anew, 0.5},
                                                {&ClusterRun::stall_copies, 0.5}};
        std::vector<Scene> scenes;
        for (const auto& [scene, share] : all) {
            if (random.chance(share)) scenes.push_back(scene);
        }
        return scenes;
    }

    Task<> scripted_faults() override {
        SimRandom random = world_.random("scripted faults");
        for (std::uint64_t i = 0; i < killers_; ++i) spawn(world_, kill_at_random(i));
        const std::vector<Scene> scenes = draw_scenes(random);
        co_await Sleep(*clock_, 5ms);
        for (int i = 0; i < 2; ++i) {
            co_await trouble_network(random);
            for (std::size_t n = 0; n < std::min<std::size_t>(scenes.size(), 4); ++n) {
                co_await pause(random, 5ms);
                const Scene scene = scenes[random.below(scenes.size())];
                co_await (this->*scene)(random);
            }
        }
        over_ = true;
    }

    /// In place of the world's random deaths: of these it is known who was up when.
    Task<> kill_at_random(std::uint64_t number) {
        SimRandom random = world_.random("killer", number);
        const SimFaults faults = world_.faults();
        while (true) {
            co_await pause(random, faults.host_fault_interval);
            if (over_) co_return;
            const std::size_t node = random.below(nodes());
            kill(node);
            co_await pause(random, faults.host_fault_length);
            restart(node);
        }
    }

    void kill(std::size_t node) {
        if (!cluster_->alive(node)) return;
        note("kill node" + std::to_string(node + 1));
        died_[node] = world_.now();
        cluster_->kill_node(node);
    }
    void restart(std::size_t node) {
        if (cluster_->alive(node)) return;
        note("restart node" + std::to_string(node + 1));
        started_[node] = world_.now();
        cluster_->restart_node(node);
    }

    Task<> trouble_network(SimRandom& random) {
        const auto host = [&] { return "node" + std::to_string(random.below(nodes()) + 1); };
        world_.reset_connections(host());
        co_await pause(random, 10ms);
        const std::string cut_off = host();
        world_.black_hole(cut_off);
        co_await pause(random, 20ms);
        world_.heal(cut_off);
        co_await pause(random, 10ms);
        const std::size_t hanging = random.below(nodes());
        cluster_->pause(hanging);
        co_await pause(random, 20ms);
        cluster_->resume(hanging);
        co_await pause(random, 10ms);
    }

    /// Vbuckets move to other members, one by one; some nodes leave, some come back.
    Task<> rebalance(SimRandom& random) {
        std::vector<std::size_t> members;
        for (std::size_t node = 0; node < nodes(); ++node) {
            if (random.chance(0.7)) members.push_back(node);
        }
        while (members.size() < 2) {
            const std::size_t node = random.below(nodes());
            if (!contains(members, node)) members.push_back(node);
        }
        for (std::size_t node = 0; node < nodes(); ++node) restart(node);
        co_await Sleep(*clock_, 1ms);
        for (std::size_t node = 0; node < nodes(); ++node) {
            if (!cluster_->alive(node)) co_return;  // a killer was there first
        }
        std::vector<std::string> lost = workload_.keys();
        std::erase_if(lost, [&](const std::string& key) { return placement(key).active.has_value(); });
        disturb(lost);  // they are made anew, empty
        for (std::size_t node = 0; node < nodes(); ++node) {
            if (random.chance(0.3)) cluster_->set_config_delay(node, random.exponential(5ms));
        }
        workload_.locks_hold(false);  // they do not move with their documents
        note("rebalance to " + std::to_string(members.size()) + " members");
        count("rebalance");
        cluster_->set_rebalance_pace(random.exponential(1ms));
        cluster_->rebalance(members);
        co_await wait_for_rebalance(random);
        co_await settle(random, lost);
    }

    Task<> fail_over_gracefully(SimRandom& random) {
        const auto node = draw_member(random);
        if (!node || shape_.cluster.replicas == 0) co_return;
        workload_.locks_hold(false);
        bool begun = true;
        try {
            cluster_->graceful_failover(*node);
        } catch (const std::logic_error&) {
            begun = false;  // a vbucket has no replica that runs
        }
        if (begun) {
            note("graceful failover of node" + std::to_string(*node + 1));
            count("graceful_failover");
            co_await wait_for_rebalance(random);
        }
        co_await settle(random, {});
    }

    Task<> wait_for_rebalance(SimRandom& random) {
        for (int i = 0; i < 200 && cluster_->rebalancing(); ++i) co_await pause(random, 2ms);
        // Who lags is waited for, but not for ever.
        for (std::size_t node = 0; node < nodes(); ++node) cluster_->set_config_delay(node, Duration::zero());
        for (int i = 0; i < 1000 && cluster_->rebalancing(); ++i) co_await Sleep(*clock_, 1ms);
        if (cluster_->rebalancing()) complain("a rebalance that does not end");
    }

    Task<> trouble_links(SimRandom& random) {
        const std::size_t node = random.below(nodes());
        LinkFaults faults;
        if (random.chance(0.5)) faults.delay = random.exponential(1ms);
        if (random.chance(0.5)) faults.jitter = random.exponential(1ms);
        if (random.chance(0.4)) faults.drop = 0.02;
        if (random.chance(0.4)) faults.truncate = 0.02;
        if (random.chance(0.4)) faults.corrupt = 0.02;
        cluster_->set_link_faults(node, faults);
        count("link_faults");
        co_await pause(random, 20ms);
        cluster_->set_link_faults(node, {});
        if (faults.drop > 0) cluster_->close_connections(node);  // for what was lost nobody waits for ever
    }

    Task<> refuse_requests(SimRandom& random) {
        constexpr std::array<std::uint16_t, 3> statuses = {0x86, 0x85, 0x82};  // ETMPFAIL, EBUSY, ENOMEM
        constexpr std::array<std::uint8_t, 4> opcodes = {0x00, 0x01, 0x05, 0x0e};
        for (std::uint64_t n = random.between(1, 3); n > 0; --n) {
            ErrorBurst burst{.status = statuses[random.below(statuses.size())],
                             .times = random.chance(0.5) ? random.between(1, 50) : 0,
                             .probability = random.chance(0.5) ? 1 : 0.3};
            if (random.chance(0.5)) burst.opcode = opcodes[random.below(opcodes.size())];
            if (random.chance(0.5)) burst.node = random.below(nodes());
            cluster_->add_error_burst(burst);
        }
        count("error_bursts");
        co_await pause(random, 30ms);
        cluster_->clear_error_bursts();
    }

    Task<> contradict(SimRandom& random) {
        const std::size_t node = random.below(nodes());
        note("node" + std::to_string(node + 1) + " tells maps of its own");
        cluster_->set_conflicting_config(node, true);
        count("conflicting_config");
        world_.reset_connections("node" + std::to_string(node + 1));  // who comes back is told
        co_await pause(random, 30ms);
        cluster_->set_conflicting_config(node, false);
    }

    Task<> end_locks(SimRandom& random) {
        cluster_->expire_locks();
        workload_.locks_ended();
        count("locks_expired");
        co_await pause(random, 10ms);
    }

    Task<> travel(SimRandom& random) {
        const auto hours = static_cast<std::int64_t>(random.below(13)) - 4;
        cluster_->time_travel(std::chrono::hours(hours));
        workload_.locks_ended();
        count("time_travel");
        co_await pause(random, 10ms);
    }

    /// A collection, or its scope, is dropped, and made anew: it is another one then, and empty.
    Task<> make_collection_anew(SimRandom& random) {
        if (shape_.collections.empty()) co_return;
        const std::size_t number = random.between(1, shape_.collections.size());
        const CollectionPlace& place = shape_.collections[number - 1];
        std::vector<std::string> keys = workload_.keys();
        std::erase_if(keys, [&](const std::string& key) { return Workload::collection_of(key) != number; });
        disturb(keys);
        workload_.collection_goes(number);
        for (std::size_t node = 0; node < nodes(); ++node) {
            if (random.chance(0.4)) cluster_->set_config_delay(node, random.exponential(10ms));
        }
        const bool with_scope = random.chance(0.4);
        note("drop " + (with_scope ? place.scope : place.scope + "." + place.name));
        count(with_scope ? "scope_dropped" : "collection_dropped");
        if (with_scope) {
            cluster_->drop_scope(place.scope);
            co_await pause(random, 5ms);
            cluster_->create_scope(place.scope);
        } else {
            cluster_->drop_collection(place.scope, place.name);
        }
        co_await pause(random, 5ms);
        cluster_->create_collection(place.scope, place.name);
        note("made anew");
        co_await pause(random, 5ms);
        co_await settle(random, keys);
        workload_.collection_is_there(number);
        co_await pause(random, 5ms);
    }

    /// Replication and persistence stand still, or overtake themselves; perhaps until a node dies or is failed over.
    Task<> stall_copies(SimRandom& random) {
        if (!shape_.careless) co_return;
        const Duration replication = shape_.cluster.replication_delay, persistence = shape_.cluster.persistence_delay;
        if (random.chance(0.5)) cluster_->set_replication_spread(random.exponential(5ms));
        if (random.chance(0.5)) cluster_->set_persistence_spread(random.exponential(10ms));
        const std::size_t node = random.below(nodes());
        if (random.chance(0.6)) cluster_->set_persistence_delay(node, never);
        if (random.chance(0.6)) cluster_->set_replication_delay(node, random.below(nodes()), never);
        note("copies stand still, of node" + std::to_string(node + 1));
        count("copies_stalled");
        co_await pause(random, 20ms);
        if (random.chance(0.4)) {
            co_await kill_and_restart(random);
        } else if (random.chance(0.5)) {
            co_await fail_over(random);
        }
        cluster_->set_replication_spread(Duration::zero());
        cluster_->set_persistence_spread(Duration::zero());
        cluster_->set_replication_delay(replication);
        cluster_->set_persistence_delay(persistence);
        note("copies go on");
        co_await pause(random, 10ms);
    }

    Task<> kill_and_restart(SimRandom& random) {
        const std::size_t node = random.below(nodes());
        std::vector<std::string> disturbed;
        if (shape_.careless) disturb(disturbed = active_on(node));
        kill(node);
        co_await pause(random, 20ms);
        restart(node);
        co_await settle(random, disturbed);
        co_await pause(random, 10ms);
    }

    Task<> fail_over(SimRandom& random) {
        const auto node = draw_member(random);
        const bool worthwhile = shape_.cluster.replicas > 0 || random.chance(0.3);
        if (!node || !worthwhile) co_return;
        const std::vector<std::string> keys = active_on(*node);
        const bool to_be_killed = random.chance(0.4);
        if (to_be_killed) {
            if (shape_.careless) disturb(keys);
            kill(*node);
            co_await pause(random, 10ms);
        }
        co_await change_map(random, *node, true);
        if (to_be_killed && random.chance(0.5)) restart(*node);
    }

    Task<> hand_over(SimRandom& random) {
        const auto node = draw_member(random);
        if (node && shape_.cluster.replicas > 0) co_await change_map(random, *node, false);
    }

    /// Failover, or hand-over.
    Task<> change_map(SimRandom& random, std::size_t node, bool failover) {
        const bool others_lag = random.chance(0.6);
        for (std::size_t other = 0; other < nodes(); ++other) {
            if (other == node ? !shape_.careless : !others_lag) continue;
            cluster_->set_config_delay(other, random.exponential(20ms));
            count("config_lag");
        }
        const bool lives = cluster_->alive(node);  // a killer may have had its word
        std::vector<std::string> disturbed = active_on(node);
        if (!shape_.careless)
            std::erase_if(disturbed, [&](const std::string& key) { return loses_nothing(node, key); });
        disturb(disturbed);
        note((failover ? "failover of node" : "hand-over of node") + std::to_string(node + 1) +
             (lives ? ", living, " : ", dead, ") + std::to_string(disturbed.size()) + " keys disturbed");
        if (failover) {
            cluster_->failover(node);
        } else {
            cluster_->hand_over(node);
        }
        workload_.locks_hold(!shape_.careless);
        count(!failover ? "hand_over" : lives ? "failover_of_living" : "failover_of_dead");
        co_await pause(random, 30ms);
        co_await settle(random, disturbed);
        co_await pause(random, 10ms);
    }

    /// One that has something active; nobody when there is none, or no other member.
    [[nodiscard]] std::optional<std::size_t> draw_member(SimRandom& random) const {
        std::vector<std::size_t> members;
        for (std::size_t node = 0; node < nodes(); ++node) {
            if (cluster_->member(node)) members.push_back(node);
        }
        if (members.size() < 2) return std::nullopt;
        std::erase_if(members, [&](std::size_t node) { return active_on(node).empty(); });
        if (members.empty()) return std::nullopt;  // all vbuckets are lost
        return members[random.below(members.size())];
    }
    [[nodiscard]] static bool contains(const std::vector<std::size_t>& all, std::size_t one) {
        return std::find(all.begin(), all.end(), one) != all.end();
    }
    [[nodiscard]] std::vector<std::string> active_on(std::size_t node) const {
        std::vector<std::string> keys = workload_.keys();
        std::erase_if(keys, [&](const std::string& key) { return placement(key).active != node; });
        return keys;
    }
    /// One of the key's replicas is up, and was up when its active node died, if it did: after all had settled.
    [[nodiscard]] bool loses_nothing(std::size_t active, const std::string& key) const {
        const std::vector<std::size_t> replicas = placement(key).replicas;
        const TimePoint end = cluster_->alive(active) ? world_.now() : died_[active];
        return replicas.empty() || std::any_of(replicas.begin(), replicas.end(), [&](std::size_t replica) {
                   return cluster_->alive(replica) && started_[replica] < end && settled_ < end;
               });
    }
    void disturb(const std::vector<std::string>& keys) {
        for (const std::string& key : keys) workload_.history().disturbed(key, world_.now());
    }

    /// All nodes believe the map, and the active nodes of these keys are up: they are registers again.
    Task<> settle(SimRandom& random, std::vector<std::string> keys) {
        for (std::size_t node = 0; node < nodes(); ++node) cluster_->set_config_delay(node, Duration::zero());
        settled_ = world_.now();
        workload_.locks_hold(true);
        note("all nodes know the map");
        for (const std::string& key : keys) {
            const auto active = placement(key).active;
            if (!active) continue;
            while (!cluster_->alive(*active)) {
                restart(*active);
                co_await pause(random, 1ms);
            }
            const auto document = stored(*active, key);
            workload_.history().settled(key, world_.now(), document ? std::optional(document->value) : std::nullopt);
        }
    }

    void servers_faults_off() override {
        cluster_->clear_error_bursts();
        cluster_->set_replication_delay(Duration::zero());
        cluster_->set_persistence_delay(Duration::zero());
    }

    /// The map changes while every key is in use, and other nodes know it later.
    Task<> change_quietly() override {
        SimRandom random = world_.random("quiet");
        for (const bool failover : {false, true, false}) {
            const auto node = draw_member(random);
            if (!node || shape_.cluster.replicas == 0) co_return;
            if (failover) doom(*node);
            for (std::size_t other = 0; other < nodes(); ++other) {
                if (other != *node) cluster_->set_config_delay(other, random.exponential(5ms));
            }
            const std::size_t requests = active_on(*node).size() * 8;  // two buckets, reads and writes, twice
            const std::uint64_t strays_before = strays();
            use_all_keys(failover);
            co_await pause(random, 200us);
            if (failover && random.chance(0.5)) {
                kill(*node);
                co_await pause(random, 5ms);
            }
            note((failover ? "quiet failover of node" : "quiet hand-over of node") + std::to_string(*node + 1));
            if (failover) {
                cluster_->failover(*node);
            } else {
                cluster_->hand_over(*node);
            }
            co_await Sleep(*clock_, 200us);
            use_all_keys(failover);
            co_await Sleep(*clock_, 1500ms);  // all that has begun is over
            co_await settle(random, {});
            // Once by the old map, then by the waits of a client that knows the new one: not to and fro between two
            // nodes.
            const std::uint64_t strayed = strays() - strays_before;
            if (strayed > requests * strays_each_at_most) {
                complain(std::to_string(requests) + " requests went to the wrong node " + std::to_string(strayed) +
                         " times");
            }
        }
    }
    /// What was sent to the wrong node so far.
    [[nodiscard]] std::uint64_t strays() const {
        std::uint64_t sum = 0;
        for (std::size_t node = 0; node < nodes(); ++node) sum += cluster_->not_my_vbucket(node);
        return sum;
    }
    /// With this node these keys go.
    void doom(std::size_t node) {
        for (const std::string& key : active_on(node)) {
            if (placement(key).replicas.empty()) doomed_.insert(key);
        }
    }

    [[nodiscard]] bool is_lost(std::string_view key) const override {
        return !placement(key).active || doomed_.contains(key);
    }

    /// The copies of a cluster at rest are equal.
    void compare_copies() {
        for (const std::string& key : workload_.keys()) {
            const KeyPlacement where = placement(key);
            if (!where.active) continue;
            const auto active = stored(*where.active, key);
            for (const std::size_t replica : where.replicas) {
                const auto copy = stored(replica, key);
                if (copy.has_value() == active.has_value() &&
                    (!copy || (copy->value == active->value && copy->seqno == active->seqno))) {
                    continue;
                }
                complain("copies of " + key + " differ: \"" + (active ? active->value : "nothing") + "\", replica \"" +
                         (copy ? copy->value : "nothing") + '"');
            }
        }
    }

    void add_to_report() override {
        compare_copies();
        report_.rerouted = strays();
        for (const auto& [name, times] : faults_) {
            report_.faults += name + " x" + std::to_string(times) + " ";
            report_.fault_count += times;
            ++report_.fault_kinds;
        }
        const LocalClusterOptions& cluster = shape_.cluster;
        report_.shape = std::string(shape_.careless ? "careless" : "careful") + ", " + std::to_string(cluster.nodes) +
                        " nodes, " + std::to_string(cluster.replicas) + " replicas, " +
                        std::to_string(cluster.vbuckets) + " vbuckets, " + std::to_string(shape_.collections.size()) +
                        " named collections" + (cluster.cccp ? "" : ", no CCCP") +
                        (shape_.only_http ? ", HTTP only" : "");
    }

    void end_servers() override {
        cluster_.reset();
        world_.run_for(1s);
    }

    Shape shape_;
    std::optional<LocalCluster> cluster_;
    std::array<TimePoint, 4> started_{};
    std::array<TimePoint, 4> died_{};
    TimePoint settled_{};
    std::set<std::string, std::less<>> doomed_;
    std::uint64_t killers_ = 0;
    bool over_ = false;
    std::map<std::string, std::uint64_t> faults_;
};

}  // namespace

RunReport run_cluster_seed(std::uint64_t seed, std::ostream* trace) { return ClusterRun(seed, trace).finish(); }

}  // namespace chaise::testing
