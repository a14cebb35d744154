// LocalCluster in each of the three ways to run it, asked by raw frames.
#include <chaise/epoll.hpp>
#include <chaise/testing/local_cluster.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "protocol/cluster_map.hpp"
#include "protocol/vbucket.hpp"
#include "raw_client.hpp"

namespace chaise::testing {
namespace {

using namespace std::chrono_literals;
using protocol::Opcode;
using protocol::Status;

// Where the test's own loop is, and how time passes on it.
struct OnLoop {
    EpollLoop loop;
    LocalCluster cluster;
    explicit OnLoop(const LocalClusterOptions& options) : cluster(loop, options) {}
    std::unique_ptr<IOPS> make_iops() { return loop.make_iops(); }
    template <class P>
    bool until(P&& predicate, Duration longest = 10s) {
        const TimePoint deadline = loop.now() + longest;
        while (!predicate() && loop.now() < deadline) loop.run_one_turn(1ms);
        return predicate();
    }
    void pass(Duration time) {
        until([] { return false; }, time);
    }
};

struct InWorld {
    SimWorld world{7};
    LocalCluster cluster;
    explicit InWorld(const LocalClusterOptions& options) : cluster(world, options) {}
    std::unique_ptr<IOPS> make_iops() { return world.make_iops(); }
    template <class P>
    bool until(P&& predicate, Duration longest = 10s) {
        return world.run_until(predicate, longest);
    }
    void pass(Duration time) { world.run_for(time); }
};

struct OnThread {
    LocalCluster cluster;
    EpollLoop loop;
    std::unique_ptr<IOPS> idle = loop.make_iops();
    explicit OnThread(const LocalClusterOptions& options) : cluster(LocalCluster::on_thread(options)) {}
    std::unique_ptr<IOPS> make_iops() { return loop.make_iops(); }
    template <class P>
    bool until(P&& predicate, Duration longest = 10s) {
        // The cluster does its part elsewhere: wake up for it, too.
        const auto timer = idle->timer_event_factory();
        timer->set_handler([](void*, int) {}, nullptr);
        const TimePoint deadline = loop.now() + longest;
        while (!predicate() && loop.now() < deadline) {
            idle->schedule(*timer, 1ms);
            loop.run_one_turn(1ms);
        }
        idle->cleanup(*timer);
        return predicate();
    }
    void pass(Duration time) {
        until([] { return false; }, time);
    }
};

template <class Way>
struct Fixture : Way {
    explicit Fixture(const LocalClusterOptions& options = {}) : Way(options) {}

    /// A connection that is ready to be asked.
    RawClient& connect(std::size_t node, std::string_view user = "Administrator",
                       std::string_view password = "password", std::string_view bucket = "default") {
        clients.push_back(std::make_unique<RawClient>(*iops, this->cluster.endpoint(node)));
        RawClient& client = *clients.back();
        client.log_in(user, password, bucket);
        REQUIRE(this->until([&] { return client.answers.size() == 3 || client.ended; }));
        REQUIRE(client.answers.size() == 3);
        logged_in = client.answers[1].status == Status::success && client.answers[2].status == Status::success;
        client.answers.clear();
        return client;
    }
    template <class R>
    RawAnswer ask(RawClient& client, const R& request) {
        client.send(request);
        REQUIRE(this->until([&] { return !client.answers.empty() || client.ended; }));
        REQUIRE(client.answers.size() == 1);
        RawAnswer answer = client.answers[0];
        client.answers.clear();
        return answer;
    }
    RawAnswer set(RawClient& client, std::string_view key, std::string_view value) {
        return ask(client, protocol::StoreRequest{.context = at(key), .key = key, .value = value, .flags = 9});
    }
    RawAnswer get(RawClient& client, std::string_view key) {
        return ask(client, protocol::GetRequest{.context = at(key), .key = key});
    }
    protocol::RequestContext at(std::string_view key) { return {.vbucket = this->cluster.placement(key).vbucket}; }
    std::string stored_value(std::size_t node, std::string_view key) {
        const auto document = this->cluster.stored(node, key);
        return document ? document->value : "(none)";
    }
    std::string persisted_value(std::size_t node, std::string_view key) {
        const auto document = this->cluster.persisted(node, key);
        return document ? document->value : "(none)";
    }

    bool logged_in = false;
    std::unique_ptr<IOPS> iops = this->make_iops();
    std::vector<std::unique_ptr<RawClient>> clients;
};

#define EACH_WAY OnLoop, InWorld, OnThread

TEMPLATE_TEST_CASE("LocalCluster: what is written is read, on the node that the map names", "", EACH_WAY) {
    Fixture<TestType> f({.nodes = 3});
    CHECK(f.cluster.nodes() == 3);
    for (const char* key : {"foo", "bar", "baz", "qux", "user:1"}) {
        const KeyPlacement placement = f.cluster.placement(key);
        CHECK(placement.vbucket == protocol::vbucket_of(key, 64));
        REQUIRE(placement.active);
        CHECK(placement.replicas.empty());
        RawClient& client = f.connect(*placement.active);
        REQUIRE(f.logged_in);
        const RawAnswer stored = f.set(client, key, "value of " + std::string(key));
        CHECK(stored.status == Status::success);
        CHECK(f.get(client, key).value == "value of " + std::string(key));
        const auto document = f.cluster.stored(*placement.active, key);
        REQUIRE(document);
        CHECK(document->cas == stored.cas);
        CHECK(document->flags == 9);
        CHECK(document->expiry == 0);
    }
    CHECK(f.cluster.connections(0) + f.cluster.connections(1) + f.cluster.connections(2) == 5);
}

TEMPLATE_TEST_CASE("LocalCluster: node A answers 0x07 for B's vbucket, with the map", "", EACH_WAY) {
    Fixture<TestType> f({.nodes = 2});
    const std::size_t b = *f.cluster.placement("foo").active;
    const std::size_t a = 1 - b;
    RawClient& client = f.connect(a);
    const RawAnswer answer = f.set(client, "foo", "x");
    CHECK(answer.status == Status::not_my_vbucket);
    const protocol::ParsedMap map = protocol::parse_cluster_map(answer.value, f.cluster.endpoint(a).address);
    REQUIRE(map.map);
    const auto server = static_cast<std::size_t>(map.map->server(protocol::vbucket_of("foo", 64)));
    const Endpoint there = f.cluster.endpoint(b);
    CHECK(map.map->kv.at(server) == protocol::Endpoint{there.address, there.port});
    CHECK_FALSE(f.cluster.stored(a, "foo"));
    CHECK_FALSE(f.cluster.stored(b, "foo"));
}

TEMPLATE_TEST_CASE("LocalCluster: a replica has the old value until the replication delay has passed", "", EACH_WAY) {
    Fixture<TestType> f({.nodes = 2, .replicas = 1});
    const KeyPlacement placement = f.cluster.placement("foo");
    REQUIRE(placement.replicas.size() == 1);
    const std::size_t replica = placement.replicas[0];
    RawClient& client = f.connect(*placement.active);
    f.set(client, "foo", "old");
    REQUIRE(f.until([&] { return f.stored_value(replica, "foo") == "old"; }));

    f.cluster.set_replication_delay(300ms);
    f.set(client, "foo", "new");
    CHECK(f.stored_value(*placement.active, "foo") == "new");
    f.pass(100ms);
    CHECK(f.stored_value(replica, "foo") == "old");
    CHECK(f.until([&] { return f.stored_value(replica, "foo") == "new"; }, 1s));

    f.cluster.set_replication_delay(*placement.active, replica, never);
    f.set(client, "foo", "newest");
    f.pass(500ms);
    CHECK(f.stored_value(replica, "foo") == "new");
    f.cluster.set_replication_delay(0ms);
    CHECK(f.until([&] { return f.stored_value(replica, "foo") == "newest"; }));
}

TEMPLATE_TEST_CASE("LocalCluster: a killed node's memory is gone, its disk is not", "", EACH_WAY) {
    Fixture<TestType> f;
    RawClient& client = f.connect(0);
    f.set(client, "foo", "on disk");
    REQUIRE(f.until([&] { return f.persisted_value(0, "foo") == "on disk"; }));
    f.cluster.set_persistence_delay(never);
    f.set(client, "foo", "in memory");
    f.set(client, "bar", "in memory");
    f.pass(50ms);
    CHECK(f.persisted_value(0, "foo") == "on disk");

    const Endpoint before = f.cluster.endpoint(0);
    f.cluster.kill_node(0);
    CHECK_FALSE(f.cluster.alive(0));
    CHECK(f.cluster.member(0));
    CHECK_FALSE(f.cluster.stored(0, "foo"));
    CHECK(f.persisted_value(0, "foo") == "on disk");
    CHECK(f.until([&] { return client.ended; }));
    RawClient refused(*f.iops, before);
    CHECK(f.until([&] { return refused.ended; }));
    f.cluster.kill_node(0);  // no effect

    f.cluster.restart_node(0);
    f.cluster.restart_node(0);
    REQUIRE(f.until([&] { return f.cluster.alive(0); }));
    CHECK(f.cluster.endpoint(0) == before);
    RawClient& again = f.connect(0);
    CHECK(f.get(again, "foo").value == "on disk");
    CHECK(f.get(again, "bar").status == Status::key_enoent);
}

TEMPLATE_TEST_CASE("LocalCluster: failover makes the replica active, and what it had not got is lost", "", EACH_WAY) {
    Fixture<TestType> f({.nodes = 3, .replicas = 1});
    const KeyPlacement before = f.cluster.placement("foo");
    const std::size_t failed = *before.active;
    const std::size_t replica = before.replicas.at(0);
    RawClient& client = f.connect(failed);
    f.set(client, "foo", "replicated");
    REQUIRE(f.until([&] { return f.stored_value(replica, "foo") == "replicated"; }));
    f.cluster.set_replication_delay(never);
    f.set(client, "foo", "not replicated");
    f.pass(50ms);

    const std::string all = f.cluster.connection_string();
    f.cluster.kill_node(failed);
    CHECK(f.cluster.connection_string() == all);
    f.cluster.failover(failed);
    CHECK_FALSE(f.cluster.member(failed));
    CHECK(f.cluster.connection_string() != all);
    CHECK(f.cluster.connection_string().find(f.cluster.endpoint(failed).to_string()) == std::string::npos);
    CHECK(f.cluster.placement("foo").active == replica);
    f.pass(50ms);
    RawClient& there = f.connect(replica);
    CHECK(f.get(there, "foo").value == "replicated");
    CHECK(f.set(there, "foo", "goes on").status == Status::success);
}

TEMPLATE_TEST_CASE("LocalCluster: a hand-over makes the replica active, and the node keeps a replica", "", EACH_WAY) {
    Fixture<TestType> f({.nodes = 3, .replicas = 1});
    const KeyPlacement before = f.cluster.placement("foo");
    const std::size_t node = *before.active;
    const std::size_t replica = before.replicas.at(0);
    RawClient& client = f.connect(node);
    f.set(client, "foo", "bar");
    REQUIRE(f.until([&] { return f.stored_value(replica, "foo") == "bar"; }));

    f.cluster.hand_over(node);
    CHECK(f.cluster.member(node));
    CHECK(f.cluster.placement("foo").active == replica);
    CHECK(f.cluster.placement("foo").replicas == std::vector<std::size_t>{node});
    const auto wrong = [&] { return f.cluster.not_my_vbucket(node); };
    CHECK(wrong() == 0);
    const auto refused = f.get(client, "foo");
    CHECK(refused.status == Status::not_my_vbucket);
    CHECK(wrong() == 1);
    RawClient& there = f.connect(replica);
    CHECK(f.get(there, "foo").value == "bar");
    f.set(there, "foo", "goes on");
    CHECK(f.until([&] { return f.stored_value(node, "foo") == "goes on"; }));
    f.cluster.kill_node(node);
    CHECK(wrong() == 1);
    // What is active on a node whose replicas are all dead stays there.
    f.cluster.hand_over(replica);
    CHECK(f.cluster.placement("foo").active == replica);
    CHECK_THROWS_AS(f.cluster.hand_over(3), std::out_of_range);
    CHECK_THROWS_AS(f.cluster.not_my_vbucket(3), std::out_of_range);
}

TEMPLATE_TEST_CASE("LocalCluster: a paused node takes everything and answers nothing until it is resumed", "",
                   EACH_WAY) {
    Fixture<TestType> f({.nodes = 2});
    const std::size_t node = *f.cluster.placement("foo").active;
    RawClient& client = f.connect(node);
    f.cluster.pause(node);
    client.send(protocol::StoreRequest{.context = f.at("foo"), .key = "foo", .value = "v"});
    f.pass(100ms);
    CHECK(client.answers.empty());
    CHECK_FALSE(client.ended);
    CHECK_FALSE(f.cluster.stored(node, "foo"));
    f.connect(1 - node);
    f.cluster.resume(node);
    REQUIRE(f.until([&] { return client.answers.size() == 1; }));
    CHECK(client.answers[0].status == Status::success);
}

TEMPLATE_TEST_CASE("LocalCluster: connections are counted and can be closed", "", EACH_WAY) {
    Fixture<TestType> f;
    RawClient& a = f.connect(0);
    RawClient& b = f.connect(0);
    CHECK(f.cluster.connections(0) == 2);
    f.cluster.close_connections(0);
    CHECK(f.until([&] { return a.ended && b.ended; }));
    CHECK(f.cluster.connections(0) == 0);
    f.connect(0);
    CHECK(f.cluster.connections(0) == 1);
}

TEMPLATE_TEST_CASE("LocalCluster: users and buckets", "", EACH_WAY) {
    Fixture<TestType> f({.bucket = "first", .username = "admin", .password = "p\"w"});
    f.connect(0, "admin", "p\"w", "first");
    CHECK(f.logged_in);
    f.connect(0, "admin", "wrong", "first");
    CHECK_FALSE(f.logged_in);
    f.connect(0, "Administrator", "password", "first");
    CHECK_FALSE(f.logged_in);

    f.cluster.create_bucket("second", 0, 8);
    CHECK_THROWS_AS(f.cluster.create_bucket("second"), std::invalid_argument);
    CHECK_THROWS_AS(f.cluster.create_bucket("no/name"), std::invalid_argument);
    f.cluster.add_user("ada", "secret", {"second"});
    f.pass(10ms);
    f.connect(0, "ada", "secret", "first");
    CHECK_FALSE(f.logged_in);
    RawClient& client = f.connect(0, "ada", "secret", "second");
    REQUIRE(f.logged_in);
    const std::uint16_t vbucket = f.cluster.placement("k", "second").vbucket;
    CHECK(vbucket == protocol::vbucket_of("k", 8));
    CHECK(f.ask(client, protocol::StoreRequest{.context = {.vbucket = vbucket}, .key = "k", .value = "v"}).status ==
          Status::success);
    CHECK(f.cluster.stored(0, "k", "second"));
    CHECK_FALSE(f.cluster.stored(0, "k"));
    CHECK(f.cluster.flush_bucket("second"));
    f.pass(10ms);
    CHECK_FALSE(f.cluster.stored(0, "k", "second"));
    CHECK(f.cluster.delete_bucket("second"));
    CHECK_FALSE(f.cluster.delete_bucket("second"));
    CHECK_FALSE(f.cluster.flush_bucket("second"));
    CHECK(f.until([&] { return client.ended; }));
    CHECK_THROWS_AS(f.cluster.placement("k", "second"), std::out_of_range);
    f.cluster.remove_user("ada");
    f.connect(0, "ada", "secret", "first");
    CHECK_FALSE(f.logged_in);
}

TEMPLATE_TEST_CASE("LocalCluster: the management interface listens", "", EACH_WAY) {
    Fixture<TestType> f({.nodes = 2});
    RawClient client(*f.iops, f.cluster.management_endpoint(1));
    client.frames = false;
    client.send_bytes(
        "GET /pools/default/nodeServices HTTP/1.1\r\nConnection: close\r\n"
        "Authorization: Basic QWRtaW5pc3RyYXRvcjpwYXNzd29yZA==\r\n\r\n");
    REQUIRE(f.until([&] { return client.ended; }));
    REQUIRE(client.bytes.starts_with("HTTP/1.1 200 OK\r\n"));
    const std::string body = client.bytes.substr(client.bytes.find("\r\n\r\n") + 4);
    const protocol::ParsedMap map = protocol::parse_cluster_map(body, "x");
    REQUIRE(map.map);
    for (std::size_t node = 0; node < 2; ++node) {
        CHECK(map.map->kv.at(node).port == f.cluster.endpoint(node).port);
        CHECK(map.map->nodes.at(node).ports.port(protocol::Service::management, false) ==
              f.cluster.management_endpoint(node).port);
    }
}

TEST_CASE("LocalCluster: options that make no cluster are refused") {
    EpollLoop loop;
    const auto refused = [&](const LocalClusterOptions& options) {
        CHECK_THROWS_AS(LocalCluster(loop, options), std::invalid_argument);
        CHECK_THROWS_AS(LocalCluster::on_thread(options), std::invalid_argument);
        SimWorld world{1};
        CHECK_THROWS_AS(LocalCluster(world, options), std::invalid_argument);
    };
    refused({.nodes = 0});
    refused({.nodes = 65});
    refused({.nodes = 1, .replicas = 1});
    refused({.nodes = 5, .replicas = 4});
    refused({.vbuckets = 100});
    refused({.vbuckets = 2048});
    refused({.bucket = "a/b"});
    refused({.username = ""});
    refused({.replication_delay = -1ms});
    const LocalCluster cluster(loop, {});
    CHECK_THROWS_AS(cluster.endpoint(1), std::out_of_range);
    CHECK_THROWS_AS(cluster.alive(1), std::out_of_range);
    CHECK_THROWS_AS(cluster.stored(1, "k"), std::out_of_range);
    CHECK_THROWS_AS(cluster.stored(0, "k", "absent"), std::out_of_range);
}

TEST_CASE("LocalCluster: connection strings") {
    EpollLoop loop;
    const LocalCluster cluster(loop, {.nodes = 2});
    const auto port = [&](std::size_t node) { return std::to_string(cluster.endpoint(node).port); };
    CHECK(cluster.connection_string() == "couchbase://127.0.0.1:" + port(0) + ",127.0.0.1:" + port(1));
    CHECK(cluster.connection_string("default") == cluster.connection_string() + "/default");
    SimWorld world{1};
    const LocalCluster simulated(world, {.nodes = 2, .host_prefix = "cb"});
    CHECK(simulated.connection_string() == "couchbase://cb1:11210,cb2:11210");
}

TEST_CASE("LocalCluster: it may go at any time, also after its loop") {
    SECTION("before the loop, with clients") {
        Fixture<OnLoop> f({.nodes = 3});
        RawClient& client = f.connect(0);
        LocalCluster other = std::move(f.cluster);
        {
            const LocalCluster gone = std::move(other);
        }
        CHECK(f.until([&] { return client.ended; }));
    }
    SECTION("after the loop") {
        auto loop = std::make_unique<EpollLoop>();
        LocalCluster cluster(*loop, {.nodes = 2});
        loop->run_one_turn(1ms);
        loop.reset();
        CHECK(cluster.nodes() == 2);
    }
    SECTION("inside a turn of the loop") {
        EpollLoop loop;
        auto cluster = std::make_unique<LocalCluster>(loop, LocalClusterOptions{});
        loop.post([&] { cluster.reset(); });
        loop.run();
        CHECK_FALSE(cluster);
    }
    SECTION("before the world, which does not start its nodes again") {
        SimWorld world{1};
        {
            LocalCluster cluster(world, {.nodes = 2});
            world.run_for(1s);
            cluster.kill_node(1);
        }
        world.run_for(1s);
        CHECK(world.leaks().none());
        world.faults_off();  // starts what was killed
        world.run_for(1s);
        CHECK(world.leaks().none());
    }
    SECTION("after the world") {
        auto world = std::make_unique<SimWorld>(1);
        LocalCluster cluster(*world, {.nodes = 2});
        world->run_for(1s);
        world.reset();
        cluster.kill_node(0);
        cluster.restart_node(0);
        CHECK(cluster.nodes() == 2);
    }
    SECTION("a thread of its own, with a client") {
        EpollLoop loop;
        auto cluster = std::make_unique<LocalCluster>(LocalCluster::on_thread());
        const auto iops = loop.make_iops();
        RawClient client(*iops, cluster->endpoint(0));
        while (cluster->connections(0) == 0) loop.run_one_turn(1ms);
        cluster.reset();
        while (!client.ended) loop.run_one_turn(10ms);
    }
    SECTION("a thread of its own, all of whose nodes are dead") {
        LocalCluster cluster = LocalCluster::on_thread({.nodes = 2});
        cluster.kill_node(0);
        cluster.kill_node(1);
        CHECK_FALSE(cluster.alive(0));
        cluster.restart_node(1);
        CHECK(cluster.alive(1));
    }
}

TEST_CASE("LocalCluster: in a simulated world the same seed does the same") {
    const auto run = [](std::uint64_t seed) {
        SimWorld world{seed, {.swarm = true}};
        LocalCluster cluster(world, {.nodes = 3, .replicas = 1, .replication_delay = 5ms, .persistence_delay = 7ms});
        const auto iops = world.make_iops();
        std::vector<std::unique_ptr<RawClient>> clients;
        for (int i = 0; i < 30; ++i) {
            clients.push_back(std::make_unique<RawClient>(*iops, cluster.endpoint(static_cast<std::size_t>(i) % 3)));
            clients.back()->log_in("Administrator", "password", "default");
            for (std::uint16_t vbucket = 0; vbucket < 64; ++vbucket) {
                clients.back()->send(protocol::StoreRequest{.context = {.vbucket = vbucket}, .key = "k", .value = "v"});
                clients.back()->send(protocol::GetRequest{.context = {.vbucket = vbucket}, .key = "k"});
            }
            world.run_for(20ms);
            if (i == 15) cluster.failover(1);
        }
        world.faults_off();
        world.run_for(1s);
        return world.trace_hash();
    };
    for (std::uint64_t seed = 1; seed <= 5; ++seed) CHECK(run(seed) == run(seed));
    CHECK(run(1) != run(2));
}

TEST_CASE("LocalCluster: a simulated world kills and restarts its nodes by itself") {
    SimWorld world{11, {.faults = {.host_killed = 1, .host_fault_interval = 100ms, .host_fault_length = 20ms}}};
    LocalCluster cluster(world, {.nodes = 3, .replicas = 1});
    int deaths = 0;
    bool alive = true;
    for (int i = 0; i < 2000; ++i) {
        world.run_for(5ms);
        const bool now = cluster.alive(0) && cluster.alive(1) && cluster.alive(2);
        if (alive && !now) ++deaths;
        alive = now;
    }
    CHECK(deaths > 10);
    world.faults_off();
    world.run_for(1s);
    for (std::size_t node = 0; node < 3; ++node) CHECK(cluster.alive(node));
}

}  // namespace
}  // namespace chaise::testing
