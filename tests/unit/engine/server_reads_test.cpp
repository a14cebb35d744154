// ping, diagnostics, the list of nodes, random keys, meta data, statistics of keys and groups.

#include "tests/unit/engine/cluster_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Opcode;
using Hosts = std::vector<std::string>;

namespace {

/// Handles that are alive count as operations.
struct Handles {
    static inline std::size_t alive = 0;
    Handles() { ++alive; }
    ~Handles() { --alive; }
    Handles(const Handles&) = delete;
    Handles& operator=(const Handles&) = delete;
};

/// The outcome of one operation, whole.
template <class T>
struct Got : Handles {
    explicit Got(AsyncResult<T> started) : operation(std::move(started)) {
        operation.set_callbacks(
            [this](T found) {
                ++calls;
                result = std::move(found);
            },
            [this](const Error& failed) {
                ++calls;
                error = failed;
            });
    }
    AsyncResult<T> operation;
    unsigned calls = 0;
    std::optional<T> result;
    Error error;
};

struct Servers : ClusterFixture {
    explicit Servers(ScriptMap map = ScriptMap::replicated({"n1", "n2", "n3"}, 1))
        : ClusterFixture(std::move(map), "couchbase://n1,n2") {}
    void check_clean() { ClusterFixture::check_clean(Handles::alive); }
};

}  // namespace

TEST_CASE("ping: every node, with its latency", "[ping]") {
    Servers f;
    f.connected();
    Got ping(f.bucket->ping({.report_id = "mine"}));
    f.loop.run();
    REQUIRE(ping.result);
    CHECK(ping.result->all_ok());
    CHECK(ping.result->id() == "mine");
    const auto& endpoints = ping.result->services().at("kv");
    REQUIRE(endpoints.size() == 3);
    std::set<std::string> ids;
    for (const EndpointPing& one : endpoints) {
        CHECK(one.state == PingState::ok);
        CHECK(one.bucket == "default");
        CHECK(one.local == "10.0.0.99:1");
        CHECK(one.error.empty());
        ids.insert(one.id);
    }
    CHECK(ids.size() == 3);
    CHECK(endpoints[2].remote == "n3:11210");
    CHECK(ping.result->to_json().find(R"({"version":2,"id":"mine","sdk":"chaise/)") == 0);
    CHECK(ping.result->to_json().find(
              R"("remote":"n3:11210","local":"10.0.0.99:1","namespace":"default","state":"ok","latency_us":0})") !=
          std::string::npos);
    f.check_clean();
}

TEST_CASE("ping: nodes that are silent, dead, or leave meanwhile", "[ping]") {
    Servers f;
    f.connected();
    f.cluster.node("n2").hold = true;
    f.cluster.refuse("n3");
    f.cluster.reset("n3");
    f.loop.run();
    Got ping(f.bucket->ping({.timeout = 100ms}));
    f.loop.advance(99ms);
    CHECK(ping.calls == 0);
    f.loop.advance(1ms);
    REQUIRE(ping.result);
    CHECK_FALSE(ping.result->all_ok());
    const auto& endpoints = ping.result->services().at("kv");
    CHECK(endpoints[0].state == PingState::ok);
    CHECK(endpoints[1].state == PingState::timeout);
    CHECK(endpoints[1].latency == 100ms);
    CHECK(endpoints[2].state == PingState::timeout);
    CHECK(endpoints[2].error.find("not connected") != std::string::npos);
    CHECK(endpoints[2].local.empty());
    CHECK(ping.result->to_json().find(R"("state":"timeout","latency_us":100000,"error":")") != std::string::npos);

    Got leaves(f.bucket->ping());
    f.loop.run();
    ScriptMap two = f.cluster.map;
    ++two.rev;
    for (int& server : two.active) server = server == 2 ? 0 : server;
    for (auto& row : two.replicas) row = {-1};
    two.hosts.pop_back();
    f.cluster.publish(two);
    f.cluster.push("n1", false);
    f.cluster.node("n2").hold = false;
    f.cluster.answer_all();
    f.loop.run();
    REQUIRE(leaves.result);
    const auto& then = leaves.result->services().at("kv");
    REQUIRE(then.size() == 3);
    CHECK(then[1].state == PingState::ok);
    CHECK(then[2].state == PingState::error);
    CHECK(then[2].error.find("the node left the cluster") != std::string::npos);
    f.check_clean();
}

TEST_CASE("ping: before there is a map, cancelled, closed, destroyed", "[ping]") {
    Servers f;
    Got before(f.bucket->ping());
    f.loop.run();
    CHECK(before.result.has_value());
    for (auto& [host, node] : f.cluster.nodes()) node.hold = true;
    Got cancelled(f.bucket->ping());
    Got closed(f.bucket->ping());
    {
        auto dropped = f.bucket->ping();
        f.loop.run();
    }
    cancelled.operation.cancel();
    f.loop.run();
    CHECK(cancelled.error == errc::cancelled);
    f.bucket->close().detach();
    f.loop.run();
    CHECK(closed.error == errc::shutdown);
    Got after(f.bucket->ping());
    f.loop.run();
    CHECK(after.error == errc::shutdown);

    Servers dead;
    dead.cluster.refuse("n1");
    dead.cluster.refuse("n2");
    Got never(dead.bucket->ping({.timeout = 1s}));
    dead.loop.advance(1s);
    CHECK(never.error == errc::timeout_before_send);
    Got last(dead.bucket->ping());
    dead.bucket.reset();
    dead.loop.run();
    CHECK(last.error == errc::shutdown);
}

TEST_CASE("diagnostics: what is known, and nothing is sent", "[diagnostics]") {
    Servers f;
    auto start = f.bucket->diagnostics();
    CHECK(start.state() == ClusterState::offline);
    CHECK(start.services().at("kv").size() == 2);  // the seeds
    CHECK(f.bucket->server_nodes().empty());
    f.connected();
    CHECK(f.bucket->server_nodes() == Hosts{"n1:11210", "n2:11210", "n3:11210"});
    f.loop.advance(5s);
    const std::size_t links = f.loop.net.links.size();
    auto now = f.bucket->diagnostics({.report_id = "r\"1"});
    CHECK(now.state() == ClusterState::online);
    const auto& endpoints = now.services().at("kv");
    REQUIRE(endpoints.size() == 3);
    for (const EndpointDiagnostics& one : endpoints) {
        CHECK(one.state == EndpointState::connected);
        CHECK(one.last_activity == Duration(5s));
        CHECK(one.bucket == "default");
        CHECK_FALSE(one.id.empty());
        CHECK(one.local == "10.0.0.99:1");
    }
    CHECK(now.to_json().find(R"("id":"r\"1")") != std::string::npos);
    CHECK(now.to_json().find(R"("state":"online","services":{"kv":[{"id":")") != std::string::npos);
    CHECK(now.to_json().find(R"("state":"connected","last_activity_us":5000000})") != std::string::npos);
    CHECK(f.bucket->diagnostics().id() != f.bucket->diagnostics().id());
    CHECK(f.loop.net.links.size() == links);
    CHECK(f.cluster.seen.empty());

    f.cluster.refuse("n3");
    f.cluster.reset("n3");
    f.loop.run();
    auto degraded = f.bucket->diagnostics();
    CHECK(degraded.state() == ClusterState::degraded);
    const EndpointDiagnostics& lost = degraded.services().at("kv")[2];
    CHECK(lost.state != EndpointState::connected);
    CHECK_FALSE(lost.details.empty());
    CHECK_FALSE(lost.last_activity);
    f.bucket->close().detach();
    f.loop.run();
    CHECK(f.bucket->diagnostics().state() == ClusterState::offline);
}

TEST_CASE("a node that has left is 'disconnecting' until its last answer", "[diagnostics]") {
    Servers f;
    f.connected();
    f.cluster.node("n3").hold = true;
    auto& get = f.get(f.cluster.key_at("n3"), {.quiet = true});
    f.loop.run();
    ScriptMap two = f.cluster.map;
    ++two.rev;
    for (int& server : two.active) server = server == 2 ? 0 : server;
    for (auto& row : two.replicas) row = {-1};
    two.hosts.pop_back();
    f.cluster.publish(two);
    f.cluster.push("n1", false);
    f.loop.run();
    CHECK(get.pending());
    auto report = f.bucket->diagnostics();
    REQUIRE(report.services().at("kv").size() == 3);
    CHECK(report.services().at("kv")[2].state == EndpointState::disconnecting);
    CHECK(report.state() == ClusterState::online);
    CHECK(f.bucket->server_nodes() == Hosts{"n1:11210", "n2:11210"});
    f.check_clean();
}

TEST_CASE("get_random_key: from whichever node has one", "[random_key]") {
    Servers f;
    f.connected();
    Got empty(f.bucket->get_random_key());
    f.loop.run();
    CHECK(empty.error == errc::document_not_found);
    CHECK(empty.error.context().operation == "get_random_key");
    CHECK(f.cluster.seen.size() == 3);  // each was asked, once

    f.cluster.node("n2").items["the key"] = {"the value", 6, 9};
    Got found(f.bucket->get_random_key());
    f.loop.run();
    REQUIRE(found.result);
    CHECK(found.result->key() == "the key");
    CHECK(found.result->value() == "the value");
    CHECK(found.result->flags() == 6);
    CHECK(found.result->cas() == 9);

    // A dead one is asked last.
    f.cluster.refuse("n1");
    f.cluster.reset("n1");
    f.loop.run();
    Got living(f.bucket->get_random_key());
    f.loop.run();
    CHECK(living.result.has_value());
    f.cluster.node("n2").items.clear();
    Got waits(f.bucket->get_random_key({.timeout = 300ms}));
    f.loop.advance(299ms);
    CHECK(waits.calls == 0);
    f.loop.advance(1ms);
    CHECK(waits.error == errc::timeout_before_send);

    Got cancelled(f.bucket->get_random_key());
    f.loop.run();
    cancelled.operation.cancel();
    f.loop.run();
    CHECK(cancelled.error == errc::cancelled);
    Got closed(f.bucket->get_random_key());
    f.loop.run();
    f.bucket->close().detach();
    f.loop.run();
    CHECK(closed.error == errc::shutdown);
}

TEST_CASE("get_meta", "[meta]") {
    Servers f;
    f.connected();
    const std::string key = f.cluster.key_at("n2");
    f.cluster.node("n2").items[key] = {"v", 5, 11};
    Got found(f.bucket->get_meta(key));
    Got missing(f.bucket->get_meta("missing"));
    Got quiet(f.bucket->get_meta("missing", {.quiet = true}));
    Got bad(f.bucket->get_meta(""));
    f.loop.run();
    REQUIRE(found.result);
    CHECK(found.result->success());
    CHECK(found.result->cas() == 11);
    CHECK(found.result->flags() == 5);
    CHECK(found.result->expiry() == 1'900'000'000);
    CHECK(found.result->seqno() == 77);
    CHECK(found.result->datatype() == 1);
    CHECK_FALSE(found.result->deleted());
    CHECK(missing.error == errc::document_not_found);
    CHECK(missing.error.context().operation == "get_meta");
    CHECK(quiet.result->rc() == errc::document_not_found);
    CHECK(bad.error == errc::invalid_argument);
    f.cluster.node("n2").items[key].state = protocol::ObserveState::logically_deleted;
    Got deleted(f.bucket->get_meta(key));
    f.loop.run();
    CHECK(deleted.result->deleted());
    f.check_clean();
}

TEST_CASE("key_stats: a key with white space is refused, for the command is text", "[stats]") {
    Servers f;
    Got stats(f.bucket->key_stats("foo 5"));
    f.loop.run();
    CHECK(stats.calls == 1);
    CHECK(stats.error == errc::invalid_argument);
    CHECK(stats.error.context().key == "foo 5");
}

TEST_CASE("key_stats: of the nodes that have a copy", "[stats]") {
    Servers f;
    f.connected();
    const std::string key = f.cluster.key_at("n1");
    f.cluster.node("n1").items[key] = {"v", 0, 5};
    f.cluster.node("n2").copies[key] = {"v", 0, 4};
    Got stats(f.bucket->key_stats(key));
    f.loop.run();
    REQUIRE(stats.result);
    CHECK(stats.result->get("key_vb_state", "n1:11210") == "active");
    CHECK(stats.result->get("key_vb_state", "n2:11210") == "replica");
    CHECK(stats.result->stats().at("key_cas").size() == 2);
    auto asked = f.cluster.path("key " + key + " " + std::to_string(f.cluster.vbucket_of(key)));
    std::sort(asked.begin(), asked.end());
    CHECK(asked == Hosts{"n1", "n2"});

    SECTION("one has it, one does not, or does not answer") {
        f.cluster.node("n1").items.clear();
        Got one(f.bucket->key_stats(key));
        f.loop.run();
        CHECK(one.result->stats().at("key_cas").size() == 1);
        f.cluster.node("n1").hold = true;
        Got partly(f.bucket->key_stats(key, {.timeout = 100ms}));
        f.loop.advance(100ms);
        CHECK(partly.result->stats().at("key_cas").size() == 1);
        f.cluster.node("n2").copies.clear();
        Got unknown(f.bucket->key_stats(key, {.timeout = 100ms}));
        f.loop.advance(100ms);
        CHECK(unknown.error == errc::timeout_after_send);
        CHECK(unknown.error.context().key == key);
    }
    SECTION("nobody has it") {
        Got missing(f.bucket->key_stats("missing"));
        f.loop.run();
        CHECK(missing.error == errc::document_not_found);
        CHECK(missing.error.context().operation == "key_stats");
        CHECK(missing.error.context().key == "missing");
    }
    SECTION("they have moved") {
        ScriptMap next = f.cluster.moved(key, 2);
        next.replicas[f.cluster.vbucket_of(key)] = {0};
        f.cluster.publish(next);
        f.cluster.node("n3").items[key] = {"v", 0, 6};
        f.cluster.node("n1").copies[key] = {"v", 0, 6};
        Got moved(f.bucket->key_stats(key));
        f.loop.advance(100ms);
        REQUIRE(moved.result);
        CHECK_FALSE(moved.result->stats().empty());
        CHECK(moved.result->get("key_cas") == "6");
    }
    SECTION("many") {
        const auto all = std::vector<std::string>{key, "missing"};
        Got many(f.bucket->key_stats_multi(all));
        Got good(f.bucket->key_stats_multi(keys(key)));
        f.loop.run();
        CHECK(many.error == errc::document_not_found);
        CHECK(many.error.all_results<StatsResult>().at(key)->get("key_cas", "n1:11210") == "5");
        CHECK(good.result->at(key)->get("key_cas", "n2:11210") == "4");
    }
    f.check_clean();
}

TEST_CASE("stats of several groups, of every node", "[stats]") {
    Servers f;
    f.connected();
    const std::vector<std::string> groups = {"", "items"};
    Got both(f.bucket->stats_multi(groups));
    Got none(f.bucket->stats_multi(std::vector<std::string>()));
    Got odd(f.bucket->stats_multi(keys("items", "nonsense")));
    Got longer(f.bucket->stats_multi(keys(std::string(251, 'g'))));
    f.loop.run();
    REQUIRE(both.result);
    CHECK(both.result->stats().at("general").size() == 3);
    CHECK(both.result->get("items", "n2:11210") == "n2");
    CHECK(none.error == errc::invalid_argument);
    CHECK(odd.error == errc::document_not_found);
    CHECK(longer.error == errc::invalid_argument);
    f.check_clean();
}

TEST_CASE("stats: what waits for a node stays with it when vbuckets move, and is left out when it goes", "[stats]") {
    Servers f;
    f.connected();
    f.cluster.refuse("n3");
    f.cluster.reset("n3");
    f.loop.run();
    Got stats(f.bucket->stats("items"));
    f.loop.run();
    ScriptMap next = f.cluster.moved("k0", 1);
    f.cluster.publish(next);
    f.cluster.push("n1", false);
    f.loop.run();
    CHECK(stats.calls == 0);
    ScriptMap two = f.cluster.map;
    ++two.rev;
    for (int& server : two.active) server = server == 2 ? 0 : server;
    for (auto& row : two.replicas) row = {-1};
    two.hosts.pop_back();
    f.cluster.publish(two);
    f.cluster.push("n1", false);
    f.loop.run();
    REQUIRE(stats.result);
    CHECK(stats.result->stats().at("items").size() == 2);
    CHECK(std::count_if(f.cluster.seen.begin(), f.cluster.seen.end(),
                        [](const auto& one) { return one.key == "items"; }) == 2);
    f.check_clean();
}

TEST_CASE("plain memcached: what it does not serve is not sent", "[memcached]") {
    Fixture f;
    f.connected();
    const std::size_t before = f.link().received.size();
    Got replica(f.bucket->get_replica("k"));
    Got replicas(f.bucket->get_all_replicas("k"));
    Got multi(f.bucket->get_replica_multi(keys("k")));
    Got observed(f.bucket->observe("k"));
    Got many(f.bucket->observe_multi(keys("k")));
    Got meta(f.bucket->get_meta("k"));
    Got random(f.bucket->get_random_key());
    Got stats(f.bucket->key_stats("k"));
    f.loop.run();
    for (const Error* error : {&replica.error, &replicas.error, &multi.error, &observed.error, &many.error, &meta.error,
                               &random.error, &stats.error}) {
        INFO(error->message());
        CHECK(*error == errc::unsupported_operation);
        CHECK(error->context().message.find("plain memcached has no ") == 0);
    }
    CHECK(f.link().received.size() == before);
    Got ping(f.bucket->ping());
    f.loop.run();
    REQUIRE(ping.result);
    CHECK(ping.result->all_ok());
    CHECK(ping.result->services().at("kv").size() == 1);
    CHECK(ping.result->services().at("kv")[0].bucket.empty());
    CHECK(f.bucket->server_nodes() == Hosts{"node:11211"});
    CHECK(f.bucket->diagnostics().state() == ClusterState::online);
    CHECK(f.bucket->operations() == Handles::alive);
}
