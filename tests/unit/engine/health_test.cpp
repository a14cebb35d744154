// Is anybody there? Found out by what comes and what does not, not by hope.

#include "tests/unit/engine/cluster_fixture.hpp"

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Opcode;

TEST_CASE("an idle connection is tried with a NOOP", "[health]") {
    Fixture f;  // idle_interval 60 s
    f.connected();
    f.loop.advance(59s);
    CHECK(f.server.count(Opcode::noop) == 0);
    f.loop.advance(1s);
    CHECK(f.server.count(Opcode::noop) == 1);
    f.loop.advance(60s);
    CHECK(f.server.count(Opcode::noop) == 2);
    // Traffic is as good.
    for (int i = 0; i < 20; ++i) {
        f.loop.advance(10s);
        f.get("k");
    }
    f.loop.run();
    CHECK(f.server.count(Opcode::noop) == 2);
    CHECK(f.loop.net.links.size() == 1);
    CHECK(f.bucket->operations() == 0);
    CHECK(f.unobserved.empty());
}

TEST_CASE("a peer that is gone without a word is found while nobody asks anything", "[health]") {
    Fixture f({.silence_timeout = 1s, .idle_interval = 10s});
    f.connected();
    f.server.mute = true;
    f.loop.advance(10s);
    CHECK(f.bucket->connected());
    f.loop.advance(999ms);
    CHECK(f.bucket->connected());
    f.server.mute = false;
    f.loop.net.links[0]->parsed = f.loop.net.links[0]->received.size();  // it never comes back
    f.loop.advance(1ms);
    CHECK_FALSE(f.bucket->connected());
    CHECK(f.loop.net.links[0]->closed_by_client);
    f.loop.advance(20ms);
    CHECK(f.bucket->connected());
    CHECK(f.unobserved.empty());
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("no NOOPs if they are not wanted", "[health]") {
    Fixture f({.idle_interval = 0s});
    f.connected();
    f.loop.advance(3s);
    CHECK(f.loop.armed_timers() == 0);
    f.loop.advance(1h);
    CHECK(f.server.seen.empty());
    f.get("k");
    f.loop.advance(3s);
    CHECK(f.loop.armed_timers() == 0);
}

TEST_CASE("a peer that is silent while an operation waits long is found by a NOOP", "[health]") {
    Fixture f({.silence_timeout = 1s});
    f.connected();
    f.server.mute = true;
    Outcome& patient = f.get("k", {.timeout = 60s});
    Outcome& write = f.upsert("k", "v", {.timeout = 60s});
    f.loop.advance(1999ms);
    CHECK(f.loop.net.links.size() == 1);
    CHECK(patient.pending());
    f.loop.net.links[0]->parsed = f.loop.net.links[0]->received.size();
    f.server.mute = false;
    f.loop.advance(50ms);
    CHECK(f.loop.net.links.size() == 2);
    CHECK(patient.failed(errc::document_not_found));  // asked once more
    REQUIRE(write.failed(errc::connection_lost_after_send));
    CHECK_THAT(write.error->message(), Catch::Contains("silent") && Catch::Contains("silence_timeout"));
    CHECK(f.unobserved.empty());
}

TEST_CASE("a peer that is slow with one operation and answers the NOOP is left in peace", "[health]") {
    ClusterFixture f(ScriptMap::spread({"n1"}), "couchbase://n1", {.silence_timeout = 1s});
    f.connected();
    f.cluster.node("n1").hold = true;
    Outcome& slow = f.get("k", {.timeout = 60s});
    f.loop.run();
    f.cluster.node("n1").hold = false;  // what comes later is answered at once
    f.loop.advance(20s);
    CHECK(f.loop.net.links.size() == 1);
    CHECK(slow.pending());
    f.cluster.answer_all();
    f.loop.run();
    CHECK(slow.failed(errc::document_not_found));
}

TEST_CASE("a peer that takes nothing is left after silence_timeout", "[health]") {
    Fixture f({.silence_timeout = 1s});
    f.connected();
    f.link().window = 0;
    Outcome& get = f.get("k", {.timeout = 60s});
    f.loop.advance(1100ms);
    CHECK(f.loop.net.links.size() == 2);
    f.loop.run();
    CHECK(get.failed(errc::document_not_found));
}

TEST_CASE("an operation with little time does not make a connection a dead one", "[health]") {
    Fixture f({.operation_timeout = 50ms});  // silence_timeout 2.5 s
    f.connected();
    f.server.hold = true;
    for (int i = 0; i < 20; ++i) {
        Outcome& get = f.get("k");
        f.loop.advance(100ms);
        CHECK(get.failed(errc::timeout_after_send));
    }
    CHECK(f.loop.net.links.size() == 1);
    f.loop.advance(5s);
    CHECK(f.loop.net.links.size() == 2);
}

TEST_CASE("a full line needs no NOOP to be found silent", "[health]") {
    Fixture f({.silence_timeout = 1s, .max_queue_operations = 1});
    f.connected();
    f.server.mute = true;
    Outcome& get = f.get("k", {.timeout = 60s});
    f.loop.advance(1s);
    f.server.mute = false;
    f.loop.net.links[0]->parsed = f.loop.net.links[0]->received.size();
    f.loop.advance(1s);
    CHECK(f.loop.net.links.size() == 2);
    CHECK(get.failed(errc::document_not_found));
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("an error map that wants retries without a pause is not obeyed to the letter", "[health]") {
    ClusterFixture f;
    f.cluster.error_map =
        R"({"version":2,"revision":1,"errors":{"f2":{"name":"ODD","desc":"an odd one","attrs":["auto-retry"],)"
        R"("retry":{"strategy":"constant","interval":0,"after":0}}}})";
    f.connected();
    f.cluster.refusals["k"] = std::deque<protocol::Status>(100'000, static_cast<protocol::Status>(0xf2));
    Outcome& get = f.get("k", {.timeout = 100ms});
    f.loop.advance(100ms);
    CHECK(get.calls == 1);
    CHECK(f.cluster.path("k").size() <= 102);
    CHECK(f.cluster.path("k").size() >= 50);
}
