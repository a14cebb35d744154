// What a newer map changes: which wins, nodes that come, go, or are lost.

#include "tests/unit/engine/cluster_fixture.hpp"

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using Hosts = std::vector<std::string>;

// ---- which map wins ------------------------------------------------------------------------------------------------

TEST_CASE("the newer map wins by (epoch, revision), from wherever it comes", "[router]") {
    ClusterFixture f;
    f.cluster.map.epoch = 3;
    f.cluster.map.rev = 50;
    f.connected();
    const std::string key = f.cluster.key_at("n1");
    const auto pushed = [&](int epoch, int rev, int server) {
        ScriptMap map = f.cluster.map;
        map.epoch = epoch;
        map.rev = rev;
        map.active[f.cluster.vbucket_of(key)] = server;
        f.cluster.node("n2").map = map;
        f.cluster.push("n2", false);
        f.loop.run();
        for (auto& [host, node] : f.cluster.nodes()) {
            for (std::uint16_t v = 0; v < 64; ++v) (node.owned ? *node.owned : node.owned.emplace()).insert(v);
        }
        f.get(key, {.quiet = true});
        f.loop.run();
        return f.cluster.path(key).back();
    };
    CHECK(pushed(3, 49, 1) == "n1");  // older
    CHECK(pushed(3, 50, 1) == "n1");  // the same
    CHECK(pushed(2, 99, 1) == "n1");  // of an older epoch
    CHECK(pushed(3, 51, 1) == "n2");  // newer
    CHECK(pushed(4, 1, 2) == "n3");   // of a newer epoch
    CHECK(pushed(3, 52, 0) == "n3");
    CHECK(f.loop.net.links.size() == 3);
}

TEST_CASE("a push without a map: its sender is asked, if it is news", "[router]") {
    ClusterFixture f;
    f.connected();
    f.cluster.push("n2", true);  // what is known already
    f.loop.run();
    CHECK(f.cluster.node("n2").config_asked == 0);
    const std::string key = f.cluster.key_at("n1");
    const ScriptMap old = f.cluster.map;
    f.cluster.publish(f.cluster.moved(key, 2));
    f.cluster.node("n1").map = f.cluster.node("n3").map = old;  // these have not heard of it yet
    f.cluster.push("n2", true);
    f.loop.run();
    CHECK(f.cluster.node("n2").config_asked == 1);
    Outcome& get = f.get(key, {.quiet = true});
    f.loop.run();
    CHECK(get.ok());
    CHECK(f.cluster.path(key) == Hosts{"n3"});
}

TEST_CASE("a push that comes while an older map is on its way is not forgotten", "[router]") {
    ClusterFixture f;
    f.connected();
    const std::string key = f.cluster.key_at("n1");
    f.cluster.node("n2").hold_config = true;
    f.cluster.publish(f.cluster.moved(key, 1));
    f.cluster.push("n2", true);
    f.loop.run();
    REQUIRE(f.cluster.seen.size() == 1);  // the question, unanswered
    const ScriptMap second = f.cluster.map;
    f.cluster.publish(f.cluster.moved(key, 2));
    f.cluster.push("n3", true);
    f.loop.run();
    f.cluster.node("n2").map = second;
    f.cluster.answer(0);
    f.loop.run();
    f.cluster.seen.clear();
    Outcome& get = f.get(key, {.quiet = true});
    f.loop.run();
    CHECK(get.ok());
    CHECK(f.cluster.path(key) == Hosts{"n3"});
}

TEST_CASE("pushes of another bucket, and malformed ones, change nothing", "[router]") {
    ClusterFixture f;
    f.connected();
    ScriptMap other = f.cluster.map;
    other.rev = 99;
    other.bucket = "other";
    f.cluster.node("n2").map = other;
    f.cluster.push("n2", false);
    f.cluster.push("n2", true);
    f.cluster.node("n2").map.reset();
    f.cluster.node("n2").map_text = "{";
    f.cluster.push("n2", false);
    f.loop.run();
    for (auto& [host, node] : f.cluster.nodes()) CHECK(node.config_asked == 0);
    CHECK(f.bucket->connected());
    CHECK(f.loop.net.links.size() == 3);
}

// ---- nodes come and go
// -----------------------------------------------------------------------------------------------

TEST_CASE("a map that adds a node: it is connected to, and takes its share", "[router]") {
    ClusterFixture f(ScriptMap::spread({"n1", "n2"}));
    f.connected();
    ScriptMap next = ScriptMap::spread({"n1", "n2", "n3"}, 2);
    f.cluster.publish(next);
    f.cluster.push("n1", false);
    const std::string key = f.cluster.key_at("n3");
    Outcome& upsert = f.upsert(key, "v");
    f.connected();
    CHECK(upsert.ok());
    CHECK(f.cluster.connections("n3") == 1);
    CHECK(f.loop.net.links.size() == 3);
    CHECK(f.cluster.executed(key) == 1);
}

TEST_CASE("a map without a node: what it was sent is answered, what was not moves, then it closes", "[router]") {
    ClusterFixture f;
    f.connected();
    f.cluster.node("n3").hold = true;
    const std::string sent = f.cluster.key_at("n3", 0), unsent = f.cluster.key_at("n3", 1);
    Outcome& first = f.counter(sent, {.initial = 0});
    f.loop.run();
    f.cluster.open("n3")[0]->window = 0;  // the rest is not taken
    Outcome& second = f.counter(unsent, {.initial = 0});
    f.loop.run();
    f.cluster.answer(0);  // executed before the node goes, and held by the network
    const std::string answer = std::exchange(f.cluster.open("n3")[0]->to_client, {});
    f.cluster.publish(ScriptMap::spread({"n1", "n2"}, 2));
    f.cluster.push("n1", false);
    f.loop.run();
    CHECK(second.ok());
    CHECK(f.cluster.executed(unsent) == 1);
    CHECK(f.cluster.open("n3").size() == 1);
    CHECK(first.pending());
    f.cluster.open("n3")[0]->send(answer);
    f.loop.run();
    CHECK(first.ok());
    CHECK(f.cluster.open("n3").empty());
    CHECK(f.bucket->connected());
    f.loop.advance(20s);
    CHECK(f.cluster.connections("n3") == 1);
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("a node that goes without answering: reads go elsewhere, mutations may have happened", "[router]") {
    ClusterFixture f;
    f.connected();
    f.cluster.node("n3").hold = true;
    const std::string key = f.cluster.key_at("n3");
    Outcome& get = f.get(key, {.quiet = true});
    Outcome& mutation = f.counter(key, {.initial = 0});
    f.loop.run();
    f.cluster.publish(ScriptMap::spread({"n1", "n2"}, 2));
    f.cluster.push("n1", false);
    f.loop.run();
    CHECK(get.pending());
    f.cluster.reset("n3");
    f.loop.run();
    CHECK(get.ok());
    CHECK(mutation.failed(errc::connection_lost_after_send));
    CHECK(mutation.error->may_have_happened());
    CHECK(f.cluster.open("n3").empty());
    f.loop.advance(20s);
    CHECK(f.cluster.connections("n3") == 1);
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("a node that goes and is silent does not keep its connection for ever", "[router]") {
    for (const bool somebody_waits : {false, true}) {
        ClusterFixture f;
        f.connected();
        f.cluster.node("n3").hold = true;
        const std::string key = f.cluster.key_at("n3");
        Outcome& brief = f.get(key, {.timeout = 50ms});
        if (somebody_waits) f.get(key, {.timeout = 9s});
        f.loop.run();
        f.cluster.publish(ScriptMap::spread({"n1", "n2"}, 2));
        f.cluster.push("n1", false);
        f.loop.advance(2400ms);
        CHECK(brief.failed(errc::timeout_after_send));
        CHECK(f.cluster.open("n3").size() == 1);
        f.loop.advance(6s);
        CHECK(f.outcomes.back()->pending() == somebody_waits);  // the answer may come
        CHECK(f.cluster.open("n3").size() == (somebody_waits ? 1 : 0));
        f.loop.advance(4s);
        CHECK(f.outcomes.back()->calls == 1);
        CHECK(f.cluster.open("n3").empty());
        CHECK(f.bucket->operations() == 0);
    }
}

TEST_CASE("a lost connection: the map is asked for elsewhere; the node comes back after a back-off", "[router]") {
    ClusterFixture f;
    f.connected();
    f.cluster.refuse("n3");
    f.cluster.reset("n3");
    f.loop.run();
    std::size_t asked = 0;
    for (auto& [host, node] : f.cluster.nodes()) asked += node.config_asked;
    CHECK(asked == 1);
    CHECK(f.cluster.node("n3").config_asked == 0);
    CHECK_FALSE(f.bucket->connected());
    const std::string key = f.cluster.key_at("n3");
    Outcome& get = f.get(key, {.timeout = 10s, .quiet = true});
    f.loop.advance(2s);
    CHECK(get.pending());
    f.cluster.refuse("n3", false);
    f.loop.advance(1s);
    CHECK(get.ok());
    CHECK(f.bucket->connected());
    CHECK(f.cluster.open("n3").size() == 1);
}

TEST_CASE("a node fails over: what waited for it goes to the new owner, though the map still lists it", "[router]") {
    for (const bool listed : {true, false}) {
        ClusterFixture f;
        f.connected();
        f.cluster.refuse("n3");
        f.cluster.reset("n3");
        f.loop.run();
        const std::string key = f.cluster.key_at("n3");
        Outcome& upsert = f.upsert(key, "v");
        f.loop.advance(10ms);
        CHECK(upsert.pending());
        ScriptMap next = listed ? f.cluster.map : ScriptMap::spread({"n1", "n2"});
        next.rev = 2;
        for (int& server : next.active) server = server == 2 ? 1 : server;
        f.cluster.publish(next);
        f.loop.advance(1s);  // the next attempt that fails asks
        CHECK(upsert.ok());
        CHECK(f.cluster.path(key).size() == 1);
    }
}

TEST_CASE("the node that was asked for the map is lost with the question: another is asked", "[router]") {
    ClusterFixture f;
    f.connected();
    const std::string key = f.cluster.key_at("n3");
    for (auto& [host, node] : f.cluster.nodes()) node.hold_config = true;
    f.cluster.refuse("n2");
    f.cluster.reset("n2");
    f.loop.run();
    REQUIRE(f.cluster.seen.size() == 1);
    const std::string asked = f.cluster.seen[0].node;
    const std::string other = asked == "n1" ? "n3" : "n1";
    f.cluster.node(other).hold_config = false;
    ScriptMap next = f.cluster.map;
    next.rev = 2;
    for (int& server : next.active) server = other == "n1" ? 0 : 2;
    f.cluster.publish(next);
    f.cluster.refuse(asked);
    f.cluster.reset(asked);
    f.loop.run();
    CHECK(f.cluster.node(other).config_asked == 1);
    Outcome& get = f.get(key, {.quiet = true});
    f.loop.run();
    CHECK(get.ok());
}

TEST_CASE("maps that follow one another while connections are being made", "[router]") {
    ClusterFixture f(ScriptMap::spread({"n1", "n2"}));
    f.loop.net.hanging = {"n2", "n3", "n4"};
    f.loop.run();
    Outcome& get = f.get(f.cluster.key_at("n2"), {.timeout = 20s, .quiet = true});
    f.cluster.publish(ScriptMap::spread({"n1", "n3"}, 2));
    f.cluster.push("n1", false);
    f.loop.run();
    f.cluster.publish(ScriptMap::spread({"n4", "n1"}, 3));
    f.cluster.push("n1", false);
    f.loop.run();
    CHECK(get.ok());  // from one line to the next, and at last to n1
    f.loop.net.hanging.clear();
    f.loop.advance(1s);
    CHECK(f.bucket->connected());
    CHECK(f.cluster.open() == 2);
    CHECK(f.loop.net.links.size() == 2);
}
