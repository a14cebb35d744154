// preserve_expiry: a frame info where it is granted, an error before anything is sent where it is not.

#include "tests/unit/engine/cluster_fixture.hpp"

#include <chaise/multi.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Feature;

namespace {
const std::string preserve = "\x50";  // id 5, no data
}  // namespace

TEST_CASE("preserve_expiry goes with the mutations that can", "[preserve expiry]") {
    ClusterFixture f(ScriptMap::spread({"n1"}));
    f.connected();
    f.upsert("plain", "v");
    f.upsert("a", "v", {.expiry = 10s, .flags = 3, .preserve_expiry = true});
    f.track(f.bucket->replace("b", std::string(100, 'x'), {.cas = 9, .preserve_expiry = true}));
    f.counter("c", {.delta = 2, .initial = 5, .expiry = 20s, .preserve_expiry = true});
    const std::vector<StoreEntry> entries = {{.key = "d", .value = "1"},
                                             {.key = "e", .value = "2", .preserve_expiry = false}};
    unsigned calls = 0;
    const auto count = [&](const auto&) { ++calls; };
    f.bucket->upsert_multi(entries, {.preserve_expiry = true}).set_callbacks(count, count);
    const std::vector<CounterEntry> counters = {{.key = "f", .initial = 1, .preserve_expiry = true}};
    f.bucket->counter_multi(counters).set_callbacks(count, count);
    f.loop.run();
    CHECK(calls == 2);
    REQUIRE(f.cluster.seen.size() == 7);
    const auto& seen = f.cluster.seen;
    CHECK(seen[0].framing.empty());
    CHECK(seen[1].framing == preserve);
    CHECK(seen[1].extras == std::string("\0\0\0\3\0\0\0\12", 8));
    CHECK(seen[1].value == "v");
    CHECK(seen[2].framing == preserve);
    CHECK(seen[2].cas == 9);
    CHECK(seen[2].datatype == 2);  // compressed, too
    CHECK(seen[3].framing == preserve);
    CHECK(seen[3].extras == std::string("\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\5\0\0\0\24", 20));
    CHECK(seen[4].framing == preserve);
    CHECK(seen[5].framing.empty());
    CHECK(seen[6].framing == preserve);
}

TEST_CASE("preserve_expiry where it is not granted is refused before anything is sent", "[preserve expiry]") {
    const auto refused = [](ClusterFixture& f, const Outcome& outcome, std::string_view key) {
        REQUIRE(outcome.failed(errc::feature_not_available));
        CHECK(outcome.error->context().key == key);
        CHECK_THAT(outcome.error->message(), Catch::Contains("preserve_expiry"));
        CHECK_FALSE(outcome.error->may_have_happened());
        for (const auto& seen : f.cluster.seen) CHECK(seen.framing.empty());
    };
    for (const Feature feature : {Feature::preserve_ttl, Feature::alt_request}) {
        ClusterFixture f(ScriptMap::spread({"n1"}));
        f.cluster.denied = {feature};
        f.connected();
        const Outcome& stored = f.upsert("k", "v", {.preserve_expiry = true});
        const Outcome& counted = f.counter("k", {.preserve_expiry = true});
        const Outcome& plain = f.upsert("k", "v");
        f.loop.run();
        refused(f, stored, "k");
        refused(f, counted, "k");
        CHECK(plain.ok());
        CHECK(f.cluster.seen.size() == 1);
    }
    SECTION("while it waits for the connection") {
        ClusterFixture f(ScriptMap::spread({"n1"}));
        f.cluster.denied = {Feature::preserve_ttl};
        const Outcome& stored = f.upsert("k", "v", {.preserve_expiry = true});
        const Outcome& plain = f.upsert("k", "v");
        f.loop.run();
        refused(f, stored, "k");
        CHECK(plain.ok());
        CHECK(f.cluster.seen.size() == 1);
    }
    SECTION("on its way to another node") {
        ClusterFixture f;
        f.cluster.node("n2").denied = {Feature::preserve_ttl};
        f.connected();
        const std::string key = f.cluster.key_at("n1");
        f.cluster.node("n1").hold = true;
        const Outcome& stored = f.upsert(key, "v", {.preserve_expiry = true});
        f.loop.run();
        f.cluster.publish(f.cluster.moved(key, 1));
        f.cluster.answer(0);
        f.loop.run();
        REQUIRE(stored.failed(errc::feature_not_available));
        CHECK(f.cluster.path(key) == std::vector<std::string>{"n1"});
        CHECK(f.cluster.executed(key) == 0);
        CHECK_FALSE(stored.error->may_have_happened());
    }
    SECTION("to a node that grants it, it comes with it") {
        ClusterFixture f;
        f.connected();
        const std::string key = f.cluster.key_at("n1");
        f.cluster.node("n1").hold = true;
        const Outcome& stored = f.upsert(key, std::string(200, 'x'), {.preserve_expiry = true});
        f.loop.run();
        f.cluster.publish(f.cluster.moved(key, 1));
        f.cluster.answer(0);
        f.loop.run();
        CHECK(stored.ok());
        CHECK(f.cluster.seen.back().framing == preserve);
    }
}

TEST_CASE("preserve_expiry where it makes no sense", "[preserve expiry]") {
    ClusterFixture f(ScriptMap::spread({"n1"}));
    f.connected();
    const Outcome& both = f.track(f.bucket->replace("k", "v", {.expiry = 1s, .preserve_expiry = true}));
    const Outcome& late = f.upsert("k", "v", {.expiry = -1s, .preserve_expiry = true});
    std::optional<Error> multi;
    f.bucket->insert_multi(std::map<std::string, std::string>{{"k", "v"}}, {.preserve_expiry = true})
        .set_callbacks([](const auto&) { FAIL("inserted"); }, [&](const Error& error) { multi = error; });
    f.loop.run();
    REQUIRE(both.failed(errc::invalid_argument));
    CHECK_THAT(both.error->message(), Catch::Contains("preserve_expiry and expiry"));
    REQUIRE(late.failed(errc::invalid_argument));
    REQUIRE(multi);
    CHECK(multi->code() == errc::invalid_argument);
    CHECK_THAT(multi->message(), Catch::Contains("insert_multi \"k\"") && Catch::Contains("preserve_expiry"));
    CHECK(f.cluster.seen.empty());

    Fixture memcached;
    memcached.connected();
    const Outcome& stored = memcached.upsert("k", "v", {.preserve_expiry = true});
    const Outcome& counted = memcached.counter("k", {.preserve_expiry = true});
    memcached.loop.run();
    CHECK(stored.failed(errc::feature_not_available));
    CHECK(counted.failed(errc::feature_not_available));
    CHECK(memcached.server.seen.empty());
}
