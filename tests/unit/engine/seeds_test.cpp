// Seeds beyond the connection string's plain list: SRV records, and the way back when every node of the map is lost.

#include "topology/seeds.hpp"
#include "tests/unit/engine/cluster_fixture.hpp"

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using Names = std::vector<std::string>;

namespace {

/// Nobody listens at the nodes of the map any more.
void lose_nodes(ClusterFixture& f) {
    for (const std::string& host : f.cluster.map.hosts) {
        f.cluster.refuse(host);
        f.cluster.reset(host);
    }
}

std::size_t attempts_at(const ClusterFixture& f, const std::string& host) {
    return static_cast<std::size_t>(std::count_if(f.loop.net.attempts.begin(), f.loop.net.attempts.end(),
                                                  [&](const Endpoint& at) { return at.address == host; }));
}

}  // namespace

TEST_CASE("which hosts are asked by which protocol, and which name may have SRV records", "[seeds]") {
    const auto settings = [](std::string_view where, BootstrapOn on = BootstrapOn::both) {
        return detail::Settings::make(where, {.username = "me", .password = "secret", .bootstrap_on = on});
    };
    using Endpoints = std::vector<protocol::Endpoint>;
    const auto mixed = settings("couchbase://a,b:1234,c:8092=http,d:99=mcd");
    CHECK(detail::key_value_hosts(mixed) == Endpoints{{"a", 11210}, {"b", 1234}, {"d", 99}});
    CHECK(detail::management_hosts(mixed) == Endpoints{{"a", 8091}, {"c", 8092}});
    CHECK(detail::management_hosts(settings("couchbase://a", BootstrapOn::cccp)).empty());
    CHECK(detail::key_value_hosts(settings("couchbase://a", BootstrapOn::http)).empty());
    CHECK(detail::service_name(settings("couchbase://example.com")) == "_couchbase._tcp.example.com");
    for (const char* where : {"couchbase://a,b", "couchbase://a:11210", "couchbase://10.0.0.1", "couchbase://[::1]",
                              "couchbase://a?dnssrv=off", "couchbase://a?bootstrap_on=http"}) {
        INFO(where);
        CHECK(detail::service_name(settings(where)).empty());
    }
    CHECK_THROWS_AS(settings("couchbase://a:11210?bootstrap_on=http"), ArgumentError);
    CHECK_THROWS_AS(settings("couchbase://a:8091=http?bootstrap_on=cccp"), ArgumentError);
    CHECK_THROWS_AS(settings("couchbase://a:1=https"), InvalidError);
    CHECK_THROWS_AS(settings("couchbase://a=http"), InvalidError);
    CHECK_THROWS_AS(settings("couchbase://a?bootstrap_on=file"), ArgumentError);
    CHECK_THROWS_AS(settings("couchbase://a?config_poll_interval=0.049"), ArgumentError);
    CHECK_THROWS_AS(settings("couchbase://a?dns_nameserver=name"), ArgumentError);
    CHECK_THROWS_AS(settings("memcached://a?bootstrap_on=http"), ArgumentError);
    CHECK_THROWS_AS(settings("memcached://a:1=http"), ArgumentError);
    CHECK(settings("couchbase://a?bootstrap_on=all").bootstrap_on == BootstrapOn::both);
    CHECK(settings("couchbase://a?dns_nameserver=10.0.0.2:53,[fd00::2]:53").dns_nameserver ==
          "10.0.0.2:53,[fd00::2]:53");
}

TEST_CASE("a loop that cannot be told name servers says so at once", "[seeds]") {
    ScriptLoop loop;
    CHECK_THROWS_AS(AsyncBucket(loop.make_iops(), "couchbase://n1?dns_nameserver=127.0.0.1:5353",
                                BucketOptions{.username = "me", .password = "secret"}),
                    NotSupportedError);
}

// ---- the way back -----------------------------------------------------------------------------------------------

TEST_CASE("every node of the map is lost: the seeds know where the cluster is by now", "[seeds]") {
    ClusterFixture f(ScriptMap::spread({"n1", "n2"}), "couchbase://s1");
    f.cluster.node("s1");
    f.connected();
    CHECK(f.cluster.open("s1").empty());
    lose_nodes(f);
    ScriptMap next = ScriptMap::spread({"n3", "n4"}, 2);
    f.cluster.publish(next);
    Outcome& get = f.get(f.cluster.key_at("n4"), {.timeout = 10s, .quiet = true});
    f.loop.advance(1s);
    CHECK(get.ok());
    CHECK(f.bucket->connected());
    CHECK(f.cluster.open() == 2);
    CHECK(f.cluster.open("s1").empty());
}

TEST_CASE("the seeds know nothing newer: they are asked again now and then, until a node is back", "[seeds]") {
    ClusterFixture f(ScriptMap::spread({"n1", "n2"}), "couchbase://s1");
    f.cluster.node("s1");
    f.connected();
    lose_nodes(f);
    const std::size_t before = attempts_at(f, "s1");
    f.loop.advance(10s);
    const std::size_t asked = attempts_at(f, "s1") - before;
    CHECK(asked >= 5);
    CHECK(asked <= 30);
    CHECK(f.cluster.open("s1").empty());
    f.cluster.refuse("n2", false);
    f.loop.advance(2s);
    Outcome& get = f.get(f.cluster.key_at("n2"), {.quiet = true});
    f.loop.run();
    CHECK(get.ok());
    const std::size_t then = attempts_at(f, "s1");
    f.loop.advance(10s);
    CHECK(attempts_at(f, "s1") == then);  // nobody asks them any more
    CHECK(f.cluster.open("s1").empty());
    f.bucket.reset();
    f.loop.run();
    CHECK(f.loop.armed_timers() == 0);
}

TEST_CASE("one node of the map is enough: the seeds are left alone", "[seeds]") {
    ClusterFixture f(ScriptMap::spread({"n1", "n2"}), "couchbase://s1");
    f.cluster.node("s1");
    f.connected();
    const std::size_t before = attempts_at(f, "s1");
    f.cluster.refuse("n1");
    f.cluster.reset("n1");
    f.loop.advance(10s);
    CHECK(attempts_at(f, "s1") == before);
}

TEST_CASE("a cluster made anew: its map is taken though its revision is lower, as nobody of the old one is left",
          "[seeds]") {
    ClusterFixture f(ScriptMap::spread({"n1", "n2"}, 50), "couchbase://s1");
    f.cluster.node("s1");
    f.connected();
    lose_nodes(f);
    ScriptMap next = ScriptMap::spread({"n3"}, 3);
    next.uuid = "another";
    f.cluster.publish(next);
    Outcome& get = f.get("k", {.timeout = 10s, .quiet = true});
    f.loop.advance(2s);
    CHECK(get.ok());

    // As long as anybody of the old one is there it is not.
    ClusterFixture g(ScriptMap::spread({"n1", "n2"}, 50), "couchbase://n1");
    g.connected();
    ScriptMap other = g.cluster.map;
    other.rev = 3;
    other.uuid = "another";
    other.hosts = {"n2", "n1"};
    g.cluster.node("n2").map = other;
    g.cluster.push("n2", false);
    g.loop.run();
    Outcome& still = g.get(g.cluster.key_at("n1"), {.quiet = true});
    g.loop.run();
    CHECK(still.ok());
    CHECK(g.cluster.path(g.cluster.key_at("n1")) == Names{"n1"});
}

TEST_CASE("names are resolved anew for every attempt, also after all were lost", "[seeds]") {
    ClusterFixture f(ScriptMap::spread({"n1"}), "couchbase://n1");
    f.connected();
    // The node's address changes.
    f.cluster.node("10.0.0.2").map = f.cluster.map;
    f.cluster.node("10.0.0.2").owned.emplace();
    for (std::uint16_t v = 0; v < 64; ++v) f.cluster.node("10.0.0.2").owned->insert(v);
    f.cluster.refuse("n1");
    f.cluster.reset("n1");
    f.loop.net.addresses["n1"] = {"10.0.0.2"};
    Outcome& get = f.get("k", {.quiet = true});
    f.loop.advance(1s);
    CHECK(get.ok());
    CHECK(f.cluster.connections("10.0.0.2") == 1);
}

TEST_CASE("many seeds fail: the error does not tell of all of them", "[seeds]") {
    std::string where = "couchbase://n0";
    for (int i = 1; i < 500; ++i) where += ",n" + std::to_string(i);
    ClusterFixture f(ScriptMap::spread({"n0"}), where);
    f.loop.net.connect_errors["*"] = std::make_error_code(std::errc::connection_refused);
    Outcome& connect = f.track(f.bucket->connect());
    f.loop.advance(1s);
    REQUIRE(connect.error);
    CHECK(connect.error->message().size() > 4000);
    CHECK(connect.error->message().size() < 5000);
}

// ---- SRV records ------------------------------------------------------------------------------------------------

TEST_CASE("SRV records name the seeds", "[seeds][srv]") {
    ClusterFixture f(ScriptMap::spread({"n1", "n2"}), "couchbase://example.com");
    f.loop.net.services = {{"_couchbase._tcp.example.com", {{"s1", 11999}, {"s2", 11210}}}};
    f.cluster.refuse("s2");
    f.cluster.node("s1");
    Outcome& connect = f.track(f.bucket->connect());
    f.loop.run();
    CHECK(connect.ok());
    CHECK(f.bucket->connected());
    CHECK(f.loop.net.services_asked == Names{"_couchbase._tcp.example.com"});
    CHECK(std::none_of(f.loop.net.resolved.begin(), f.loop.net.resolved.end(),
                       [](const std::string& name) { return name == "example.com"; }));
    const auto& attempts = f.loop.net.attempts;
    CHECK(
        std::any_of(attempts.begin(), attempts.end(), [](const Endpoint& at) { return at == Endpoint{"s1", 11999}; }));
}

TEST_CASE("no such records: the host itself", "[seeds][srv]") {
    ClusterFixture f(ScriptMap::spread({"n1"}), "couchbase://n1");
    f.loop.net.services.emplace();
    Outcome& connect = f.track(f.bucket->connect());
    f.loop.run();  // no time passes
    CHECK(connect.ok());
    CHECK(f.loop.net.services_asked.size() == 1);
}

TEST_CASE("the name server is silent about the records: the host itself is asked after half a second", "[seeds][srv]") {
    ClusterFixture f(ScriptMap::spread({"n1"}), "couchbase://n1");
    f.loop.net.services = {{"_couchbase._tcp.n1", {{"s1", 11210}}}};
    f.loop.net.hang_service = true;
    SECTION("and it is a node") {
        Outcome& connect = f.track(f.bucket->connect());
        f.loop.advance(499ms);
        CHECK(connect.pending());
        f.loop.advance(1ms);
        CHECK(connect.ok());
        CHECK(f.loop.net.pending->empty());  // nobody waits for the records any more
    }
    SECTION("and it is none, but the records come in the end") {
        f.cluster.node("s1");
        f.cluster.map.hosts = {"s1"};
        f.cluster.refuse("n1");
        Outcome& connect = f.track(f.bucket->connect());
        f.loop.advance(3s);
        CHECK(connect.pending());
        f.loop.net.hang_service = false;
        f.loop.run();
        CHECK(connect.ok());
    }
    SECTION("and it is not there yet") {
        f.cluster.refuse("n1");
        Outcome& connect = f.track(f.bucket->connect());
        f.loop.advance(2s);
        CHECK(connect.pending());  // the records may come
        CHECK(attempts_at(f, "n1") > 1);
        CHECK(f.loop.net.services_asked.size() == 1);  // nobody asks again before that
        f.cluster.refuse("n1", false);
        f.loop.advance(2s);
        CHECK(connect.ok());
        CHECK(f.loop.net.pending->empty());
    }
    SECTION("and in the end it says that there are none") {
        f.loop.net.services.emplace();
        f.cluster.refuse("n1");
        Outcome& connect = f.track(f.bucket->connect());
        f.loop.advance(2s);
        CHECK(connect.pending());
        f.loop.net.hang_service = false;
        f.loop.run();
        CHECK(connect.failed(errc::not_connected));
    }
    SECTION("and nothing comes of either") {
        f.cluster.refuse("n1");
        Outcome& connect = f.track(f.bucket->connect());
        f.loop.advance(10s);
        REQUIRE(connect.error);
        CHECK_THAT(connect.error->message(), Catch::Contains("n1:11210") && Catch::Contains("Connection refused"));
    }
}

TEST_CASE("the records are looked up again in every round, and when all nodes are lost", "[seeds][srv]") {
    ClusterFixture f(ScriptMap::spread({"n1"}), "couchbase://example.com");
    f.loop.net.services = {{"_couchbase._tcp.example.com", {{"s1", 11210}}}};
    f.cluster.refuse("s1");
    Outcome& connect = f.track(f.bucket->connect());
    f.loop.run();
    CHECK(connect.failed(errc::not_connected));
    f.loop.net.services = {{"_couchbase._tcp.example.com", {{"n1", 11210}}}};
    f.loop.advance(1s);
    CHECK(f.bucket->connected());
    const std::size_t asked = f.loop.net.services_asked.size();
    CHECK(asked >= 2);

    lose_nodes(f);
    f.cluster.publish(ScriptMap::spread({"n7"}, 2));
    f.loop.net.services = {{"_couchbase._tcp.example.com", {{"n7", 11210}}}};
    Outcome& get = f.get("k", {.quiet = true});
    f.loop.advance(1s);
    CHECK(get.ok());
    CHECK(f.loop.net.services_asked.size() > asked);
}

TEST_CASE("a bucket that closes while records are looked up leaves nothing", "[seeds][srv]") {
    ClusterFixture f(ScriptMap::spread({"n1"}), "couchbase://n1");
    f.loop.net.services.emplace();
    f.loop.net.hang_service = true;
    Outcome& connect = f.track(f.bucket->connect());
    f.loop.run();
    f.bucket.reset();
    f.loop.run();
    CHECK(connect.failed(errc::shutdown));
    CHECK(f.loop.net.pending->empty());
    CHECK(f.loop.armed_timers() == 0);
}

// ---- nodes that disagree ----------------------------------------------------------------------------------------

TEST_CASE("two nodes that disagree are not asked to and fro without a pause; a newer map ends it", "[seeds]") {
    ClusterFixture f;
    f.connected();
    const std::string key = f.cluster.key_at("n1");
    ScriptMap at_n2 = f.cluster.moved(key, 1), at_n1 = f.cluster.map;
    ++at_n1.rev;  // the same revision, and another map
    f.cluster.node("n1").map = at_n2;
    f.cluster.node("n2").map = at_n1;
    f.cluster.node("n1").owned.emplace();
    f.cluster.node("n2").owned.emplace();
    Outcome& get = f.get(key, {.timeout = 20s, .quiet = true});
    f.loop.advance(3s);
    CHECK(get.pending());
    CHECK(f.cluster.path(key).size() >= 3);
    CHECK(f.cluster.path(key).size() <= 15);
    ScriptMap next = f.cluster.moved(key, 2);
    next.rev = at_n1.rev + 1;
    f.cluster.publish(next);
    for (const char* host : {"n1", "n2"}) {
        f.cluster.node(host).map.reset();
        f.cluster.node(host).owned.reset();
    }
    f.loop.advance(2s);
    CHECK(get.ok());
    CHECK(f.cluster.path(key).back() == "n3");
}

// ---- polling ----------------------------------------------------------------------------------------------------

TEST_CASE("nodes that push maps are not asked for them; others are, one after the other", "[seeds][polling]") {
    const bool pushes = GENERATE(true, false);
    ClusterFixture f(ScriptMap::spread({"n1", "n2", "n3"}), "couchbase://n1?config_poll_interval=0.5");
    if (!pushes) f.cluster.denied.insert(protocol::Feature::clustermap_change_notification);
    f.connected();
    const auto asked = [&] {
        std::vector<std::size_t> out;
        for (const char* host : {"n1", "n2", "n3"}) out.push_back(f.cluster.node(host).config_asked);
        return out;
    };
    f.loop.advance(3s);
    CHECK(asked() == (pushes ? std::vector<std::size_t>{0, 0, 0} : std::vector<std::size_t>{2, 2, 2}));
    // What a poll brings is taken.
    const std::string key = f.cluster.key_at("n1");
    f.cluster.publish(f.cluster.moved(key, 2));
    f.loop.advance(600ms);
    Outcome& get = f.get(key, {.quiet = true});
    f.loop.run();
    CHECK(get.ok());
    CHECK(f.cluster.path(key) == (pushes ? Names{"n1", "n3"} : Names{"n3"}));
    f.bucket.reset();
    f.loop.run();
    CHECK(f.loop.armed_timers() == 0);
}
