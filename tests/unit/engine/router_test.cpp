// Which node a request goes to, and what comes of one that the node says is not its own.

#include "tests/unit/engine/cluster_fixture.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <sstream>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Opcode;
using protocol::Status;
using Hosts = std::vector<std::string>;

// ---- where requests go -------------------------------------------------------------------------------------------

TEST_CASE("keys go to the node and carry the vbucket of the map (protocol.md 7.8)", "[router]") {
    struct Row {
        const char* key;
        std::uint16_t vbucket;
        const char* node;
    };
    const std::vector<Row> table = {
        {"foo", 51, "10.1.0.13"},     {"bar", 63, "10.1.0.13"},       {"baz", 36, "10.1.0.12"},
        {"abc", 36, "10.1.0.12"},     {"key", 16, "10.1.0.11"},       {"mykey", 38, "10.1.0.12"},
        {"user:1", 37, "10.1.0.12"},  {"user:1000", 52, "10.1.0.13"}, {"airline_10", 41, "10.1.0.12"},
        {"test", 63, "10.1.0.13"},    {"couchbase", 46, "10.1.0.13"}, {"k1", 14, "10.1.0.11"},
        {"q1", 35, "10.1.0.12"},      {"doc::0001", 59, "10.1.0.13"}, {"probe_13", 0, "10.1.0.11"},
        {"probe_57", 1, "10.1.0.11"}, {"probe_28", 63, "10.1.0.13"},
    };
    ClusterFixture f(ScriptMap::spread({"10.1.0.11", "10.1.0.12", "10.1.0.13"}), "couchbase://10.1.0.11/travel");
    std::ifstream file(CHAISE_TEST_DATA "/sample_config.json");
    std::stringstream text;
    text << file.rdbuf();
    f.cluster.buckets = {"travel"};
    for (auto& [host, node] : f.cluster.nodes()) {
        node.map_text = text.str();
        for (std::uint16_t v = 0; v < 64; ++v) (node.owned ? *node.owned : node.owned.emplace()).insert(v);
    }
    for (const Row& row : table) f.get(row.key, {.quiet = true});
    f.connected();
    REQUIRE(f.cluster.seen.size() == table.size());
    for (const Row& row : table) {
        INFO(row.key);
        CHECK(f.cluster.path(row.key) == Hosts{row.node});
        for (const auto& one : f.cluster.seen) {
            if (one.key == row.key) CHECK(one.vbucket == row.vbucket);
        }
    }
    for (const auto& outcome : f.outcomes) CHECK(outcome->ok());
    for (const char* host : {"10.1.0.11", "10.1.0.12", "10.1.0.13"}) CHECK(f.cluster.connections(host) == 1);
    CHECK(f.loop.net.links.size() == 3);  // node 4 holds no data
}

TEST_CASE("one connection per node; the seed's is one of them, or is closed", "[router]") {
    {
        ClusterFixture f;
        f.connected();
        CHECK(f.loop.net.links.size() == 3);
        CHECK(f.cluster.connections("n1") == 1);
        CHECK(f.cluster.node("n1").bootstraps == 1);
        CHECK(f.cluster.open() == 3);
    }
    {
        ClusterFixture f(ScriptMap::spread({"n1", "n2", "n3"}), "couchbase://seed");
        f.connected();
        CHECK(f.cluster.connections("seed") == 1);
        CHECK(f.cluster.open("seed").empty());
        CHECK(f.cluster.open() == 3);
        CHECK(f.loop.net.links.size() == 4);
    }
}

TEST_CASE("$HOST, and a node without a hostname: the address of the seed", "[router]") {
    ScriptMap map = ScriptMap::spread({"n1"});
    map.dollar_host = true;
    ClusterFixture f(map);
    Outcome& get = f.get("k", {.quiet = true});
    f.connected();
    CHECK(get.ok());
    CHECK(f.loop.net.links.size() == 1);
    CHECK(f.loop.net.link().endpoint == Endpoint{"n1", 11210});
}

TEST_CASE("operations issued before the map wait, and go in the order of issue", "[router]") {
    ClusterFixture f;
    f.cluster.node("n1").silent = true;
    const std::string key = f.cluster.key_at("n2");
    Outcome& impatient = f.get(f.cluster.key_at("n3"), {.timeout = 100ms});
    std::vector<Outcome*> counters;
    for (int i = 0; i < 20; ++i) counters.push_back(&f.counter(key, {.initial = 0}));
    Outcome& noop = f.track(f.bucket->noop());
    f.loop.advance(100ms);
    CHECK(impatient.failed(errc::timeout_before_send));
    CHECK(f.cluster.seen.empty());
    f.cluster.node("n1").silent = false;
    f.connected();
    CHECK(noop.ok());
    std::size_t in_order = 0;
    for (const auto& one : f.cluster.seen) in_order += one.key == key && one.executed == 1 ? 1u : 0u;
    CHECK(in_order == 20);
    for (std::size_t i = 1; i < counters.size(); ++i) {
        CHECK(counters[i]->ok());
        CHECK(counters[i]->cas > counters[i - 1]->cas);
    }
    CHECK(f.cluster.node("n2").items.at(key).value == "19");
    CHECK(f.cluster.executed(f.cluster.key_at("n3")) == 0);
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("the line that waits for the map is bounded", "[router]") {
    ClusterFixture f(ScriptMap::spread({"n1"}), "couchbase://n1", {.max_queue_operations = 5});
    for (int i = 0; i < 7; ++i) f.get("k" + std::to_string(i), {.quiet = true});
    f.loop.run();
    CHECK(std::count_if(f.outcomes.begin(), f.outcomes.end(), [](auto& o) { return o->ok(); }) == 5);
    CHECK(f.outcomes[5]->failed(errc::queue_full));
    CHECK(f.outcomes[6]->failed(errc::queue_full));
}

TEST_CASE("what waited for the map and finds no room at its node fails, and is gone", "[router]") {
    ClusterFixture f(ScriptMap::spread({"n1", "n2"}), "couchbase://n1", {.max_queue_operations = 4});
    f.connected();
    f.cluster.node("n2").hold = true;
    const std::string there = f.cluster.key_at("n2"), here = f.cluster.key_at("n1");
    for (int i = 0; i < 4; ++i) f.get(there, {.quiet = true});
    f.loop.run();
    f.cluster.publish(f.cluster.moved(here, 1));
    Outcome& fifth = f.upsert(here, "v");
    f.loop.run();
    CHECK(fifth.failed(errc::queue_full));
    CHECK_FALSE(fifth.error->may_have_happened());
    CHECK(f.cluster.executed(here) == 0);
    f.cluster.answer_all();
    f.loop.run();
    CHECK(f.bucket->operations() == 0);
}

// ---- NOT_MY_VBUCKET ------------------------------------------------------------------------------------------------

TEST_CASE("a newer map in the body: re-routed at once, and executed once", "[router]") {
    ClusterFixture f;
    f.connected();
    const std::string key = f.cluster.key_at("n1");
    f.cluster.publish(f.cluster.moved(key, 1));
    Outcome& counter = f.counter(key, {.initial = 7});
    Outcome& upsert = f.upsert(f.cluster.key_at("n3"), "elsewhere");
    f.loop.run();  // no time passes
    CHECK(counter.ok());
    CHECK(upsert.ok());
    CHECK(f.cluster.path(key) == Hosts{"n1", "n2"});
    CHECK(f.cluster.executed(key) == 1);
    // From now on it goes there at once.
    Outcome& next = f.get(key);
    f.loop.run();
    CHECK(next.value == "7");
    CHECK(f.cluster.path(key) == Hosts{"n1", "n2", "n2"});
    CHECK(f.cluster.node("n1").config_asked == 0);
    CHECK(f.loop.net.links.size() == 3);
}

TEST_CASE("a hundred in flight when the map changes: none is lost, none happens twice", "[router]") {
    ClusterFixture f;
    f.connected();
    for (auto& [host, node] : f.cluster.nodes()) node.hold = true;
    std::map<std::string, Outcome*> issued;
    for (int i = 0; i < 100; ++i) {
        const std::string key = "key-" + std::to_string(i);
        issued[key] = &f.counter(key, {.initial = 0});
    }
    f.loop.run();
    CHECK(f.cluster.seen.size() == 100);
    ScriptMap next = f.cluster.map;
    ++next.rev;
    for (int& server : next.active) server = (server + 1) % 3;
    f.cluster.publish(next);
    for (auto& [host, node] : f.cluster.nodes()) node.hold = false;
    f.cluster.answer_all();
    f.loop.run();
    for (const auto& [key, outcome] : issued) {
        CHECK(outcome->ok());
        CHECK(f.cluster.executed(key) == 1);
        CHECK(f.cluster.path(key).size() == 2);
    }
}

TEST_CASE("the map of the body is no news: to the node of the forward map", "[router]") {
    ScriptMap map = ScriptMap::spread({"n1", "n2", "n3"});
    map.forward = map.active;
    ClusterFixture f(map);
    const std::string key = f.cluster.key_at("n1");
    const std::uint16_t vbucket = f.cluster.vbucket_of(key);
    f.cluster.map.forward[vbucket] = 2;
    f.connected();
    // It has moved, and no map says so yet.
    f.cluster.node("n1").owned.emplace();
    f.cluster.node("n3").owned.emplace().insert(vbucket);
    Outcome& upsert = f.upsert(key, "v");
    f.loop.run();
    CHECK(upsert.ok());
    CHECK(f.cluster.path(key) == Hosts{"n1", "n3"});
    CHECK(f.cluster.executed(key) == 1);
    // When not even the heir takes it, it is not thrown to and fro: both are asked, after a pause each time.
    f.cluster.node("n3").owned.emplace();
    f.cluster.seen.clear();
    Outcome& nobodys = f.upsert(key, "v", {.timeout = 600ms});
    f.loop.advance(600ms);
    CHECK(nobodys.failed(errc::timeout_before_send));
    CHECK_FALSE(nobodys.error->may_have_happened());
    CHECK(f.cluster.path(key) ==
          Hosts{"n1", "n3", "n1", "n3", "n1", "n3", "n1", "n3", "n1", "n3"});  // 0, 1, 11, 61, 161
}

TEST_CASE("no map in the body: it is asked for; the request is sent again after 1, 10, 50 ms …", "[router]") {
    ClusterFixture f;
    f.connected();
    const std::string key = f.cluster.key_at("n1");
    f.cluster.node("n1").owned.emplace();
    f.cluster.node("n1").body = false;
    Outcome& counter = f.counter(key, {.initial = 0, .timeout = 5s});
    std::size_t asked = 0;
    const TimePoint began = f.loop.now();
    std::vector<Duration> tried;
    for (int i = 0; i < 30'000 && counter.pending(); ++i) {
        while (tried.size() < f.cluster.path(key).size()) tried.push_back(f.loop.now() - began);
        f.loop.advance(i == 0 ? 0us : 1ms);
    }
    for (auto& [host, node] : f.cluster.nodes()) asked += node.config_asked;
    // 0, 1, 11, 61, 161, 661, 1661, 2661 …: the loop above looks a millisecond later.
    CHECK(tried == std::vector<Duration>{0ms, 1ms, 11ms, 61ms, 161ms, 661ms, 1661ms, 2661ms, 3661ms, 4661ms});
    CHECK(asked == 9);
    // Every attempt ended with the word that it did not happen.
    CHECK(counter.failed(errc::timeout_before_send));
    CHECK_FALSE(counter.error->may_have_happened());
    CHECK(counter.at - began == 5s);
    CHECK(f.cluster.executed(key) == 0);
    REQUIRE(counter.error);
    CHECK_THAT(counter.error->message(), Catch::StartsWith("counter \"" + key +
                                                           "\": timeout before the request was "
                                                           "sent: no node of the cluster takes it [opaque ") &&
                                             Catch::EndsWith(", after 5.000 s, 10 retries]"));
    // After a quiet while it begins with a millisecond again.
    f.loop.advance(3s);
    Outcome& later = f.counter(key, {.initial = 0});
    f.loop.run();
    f.cluster.node("n1").owned.reset();
    f.loop.advance(1ms);
    CHECK(later.ok());
}

TEST_CASE("no map in the body, and the node asked for it knows more", "[router]") {
    ClusterFixture f;
    f.connected();
    const std::string key = f.cluster.key_at("n1");
    for (auto& [host, node] : f.cluster.nodes()) node.body = false;
    f.cluster.publish(f.cluster.moved(key, 1));
    Outcome& counter = f.counter(key, {.initial = 0});
    f.loop.run();
    CHECK(counter.pending());
    f.loop.advance(1ms);
    CHECK(counter.ok());
    CHECK(f.cluster.executed(key) == 1);
    CHECK(f.cluster.path(key).back() == "n2");
    CHECK(f.cluster.path(key).size() <= 3);
}

TEST_CASE("the node asked for the map is silent: another is asked", "[router]") {
    ClusterFixture f;
    f.connected();
    const std::string key = f.cluster.key_at("n1");
    for (auto& [host, node] : f.cluster.nodes()) {
        node.body = false;
        node.hold_config = host != "n3";
    }
    f.cluster.publish(f.cluster.moved(key, 1));
    Outcome& counter = f.counter(key, {.initial = 0});
    f.loop.advance(1200ms);
    CHECK(counter.ok());
    CHECK(f.cluster.executed(key) == 1);
    // A late answer disturbs nobody.
    f.cluster.answer_all();
    f.loop.run();
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("a vbucket without an owner: its requests wait for a map that names one", "[router]") {
    for (const bool push : {true, false}) {
        ClusterFixture f;
        const std::string key = f.cluster.key_at("n1");
        f.cluster.publish(f.cluster.moved(key, -1));
        f.connected();
        Outcome& hopeless = f.upsert(key, "early", {.timeout = 300ms});
        Outcome& upsert = f.upsert(key, "v");
        f.loop.advance(300ms);
        CHECK(hopeless.failed(errc::timeout_before_send));
        CHECK_FALSE(hopeless.error->may_have_happened());
        CHECK_THAT(hopeless.error->message(), Catch::Contains("no node of the cluster takes it"));
        CHECK(upsert.pending());
        CHECK(f.cluster.seen.empty());
        f.cluster.publish(f.cluster.moved(key, 1));
        if (push) {
            f.cluster.push("n2", false);
            f.loop.run();
        } else {
            f.loop.advance(1s);  // somebody asks
        }
        CHECK(upsert.ok());
        CHECK(f.cluster.path(key) == Hosts{"n2"});
    }
}
