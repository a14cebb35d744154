// close(): what is under way may come to its end, for as long as was said; nothing new begins.

#include "tests/unit/engine/cluster_fixture.hpp"
#include "tests/unit/engine/cluster_world.hpp"
#include "tests/unit/engine/script_node.hpp"

#include <chaise/chaise.hpp>

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Opcode;
using protocol::Status;

namespace {

void check_closed(Fixture& f) {
    CHECK(f.bucket->operations() == 0);
    CHECK(f.loop.armed_timers() == 0);
    for (const auto& link : f.loop.net.links) CHECK(link->closed_by_client);
    for (const auto& outcome : f.outcomes) CHECK(outcome->calls == 1);
}

}  // namespace

TEST_CASE("close lets what is under way come to its end, and comes last", "[close]") {
    Fixture f;
    f.connected();
    f.server.items["k"].value = "v";
    f.server.hold = true;
    Outcome& sent = f.get("k");
    f.loop.run();
    Outcome& unsent = f.upsert("k", "w");
    Outcome& close = f.track(f.bucket->close({.drain = 1s}));
    Outcome& late = f.get("k");
    Outcome& late_noop = f.track(f.bucket->noop());
    Outcome& late_connect = f.track(f.bucket->connect());
    CHECK(late.pending());
    f.loop.run();
    for (Outcome* refused : {&late, &late_noop, &late_connect}) {
        CHECK(refused->failed(errc::shutdown));
        CHECK_FALSE(refused->error->may_have_happened());
    }
    CHECK(late.error->context().key == "k");
    CHECK(f.server.seen.size() == 2);
    CHECK(close.pending());
    f.server.answer(0);
    f.loop.run();
    CHECK(sent.ok());
    CHECK(close.pending());
    f.loop.advance(500ms);
    f.server.answer(1);
    f.loop.run();
    CHECK(unsent.ok());
    CHECK(close.ok());
    CHECK(close.turn >= unsent.turn);
    check_closed(f);
    Outcome& after = f.get("k");
    f.loop.run();
    CHECK(after.failed(errc::shutdown));
}

TEST_CASE("when its time is over, what is left ends with shutdown", "[close]") {
    Fixture f({.drain_timeout = 100ms});
    f.connected();
    f.server.hold = true;
    Outcome& sent = f.upsert("k", "v", {.timeout = 10s});
    Outcome& close = f.track(f.bucket->close());
    f.loop.advance(99ms);
    CHECK(sent.pending());
    CHECK(close.pending());
    f.loop.advance(1ms);
    CHECK(sent.failed(errc::shutdown));
    CHECK(sent.error->may_have_happened());
    CHECK(close.ok());
    CHECK(close.turn >= sent.turn);
    check_closed(f);
}

TEST_CASE("close without time, or with nothing under way, closes at once", "[close]") {
    {
        Fixture f;
        f.connected();
        f.server.hold = true;
        Outcome& sent = f.get("k");
        f.loop.run();
        Outcome& close = f.track(f.bucket->close());
        f.loop.run();
        CHECK(sent.failed(errc::shutdown));
        CHECK(close.ok());
        check_closed(f);
    }
    {
        Fixture f({}, "memcached://node?drain_timeout=5");
        f.connected();
        const TimePoint before = f.loop.now();
        Outcome& close = f.track(f.bucket->close());
        f.loop.run();
        CHECK(close.ok());
        CHECK(close.at == before);
        check_closed(f);
    }
}

TEST_CASE("a second close has less patience, a cancelled one none", "[close]") {
    for (const bool cancel : {false, true}) {
        Fixture f;
        f.connected();
        f.server.hold = true;
        Outcome& sent = f.get("k");
        auto first = f.bucket->close({.drain = 10s});
        std::optional<Error> error;
        bool closed = false;
        first.set_callbacks([&](OperationResult) { closed = true; }, [&](const Error& e) { error = e; });
        f.loop.run();
        CHECK(sent.pending());
        if (cancel) {
            first.cancel();
        } else {
            f.bucket->close({.drain = 0s}).detach();
        }
        f.loop.run();
        CHECK(sent.failed(errc::shutdown));
        CHECK(closed == !cancel);
        CHECK((error && *error == errc::cancelled) == cancel);
        first = {};
        check_closed(f);
    }
}

TEST_CASE("what nobody waits for holds up nobody", "[close]") {
    Fixture f;
    f.connected();
    f.server.hold = true;
    auto cancelled = f.bucket->get("a");
    cancelled.set_callbacks([](ValueResult) {}, [](const Error&) {});
    Outcome& timed_out = f.get("b", {.timeout = 10ms});
    f.loop.run();
    cancelled.cancel();
    f.loop.advance(10ms);
    CHECK(timed_out.failed(errc::timeout_after_send));
    CHECK(f.bucket->operations() == 2);  // answers to be skipped
    Outcome& close = f.track(f.bucket->close({.drain = 10s}));
    f.loop.run();
    CHECK(close.ok());
    cancelled = {};
    check_closed(f);
}

TEST_CASE("what is tried again, and what has several parts or steps, is under way until its end", "[close]") {
    ClusterFixture f;
    f.connected();
    f.cluster.refusals["locked"] = std::deque<Status>(6, Status::locked);
    Outcome& locked = f.upsert("locked", "v");
    std::vector<std::string> keys;
    for (int i = 0; i < 30; ++i) keys.push_back("k" + std::to_string(i));
    for (auto& [host, node] : f.cluster.nodes()) node.hold = true;
    std::size_t found = 0;
    f.bucket->get_multi(keys, {.quiet = true})
        .set_callbacks([&](MultiResult<ValueResult> all) { found = all.size(); },
                       [](const Error& e) { FAIL(e.message()); });
    f.loop.run();
    Outcome& close = f.track(f.bucket->close({.drain = 2s}));
    bool refused = false;
    f.bucket->get_multi(keys, {.quiet = true})
        .set_callbacks([](MultiResult<ValueResult>) { FAIL(); },
                       [&](const Error& e) { refused = e == errc::shutdown; });
    bool replicas_refused = false;
    f.bucket->get_all_replicas("k").set_callbacks([](AllReplicasResult) { FAIL(); },
                                                  [&](const Error& e) { replicas_refused = e == errc::shutdown; });
    f.loop.run();
    CHECK(refused);
    CHECK(replicas_refused);
    CHECK(found == 0);
    for (auto& [host, node] : f.cluster.nodes()) node.hold = false;
    f.cluster.answer_all();
    f.loop.run();
    CHECK(found == 30);
    CHECK(locked.pending());
    CHECK(close.pending());
    f.loop.advance(200ms);
    CHECK(locked.ok());
    CHECK(close.ok());
    CHECK(close.at >= locked.at);
    check_closed(f);
}

TEST_CASE("an operation of several steps makes its steps while the bucket is being closed", "[close]") {
    Fixture f({.username = "me", .password = "secret"}, "couchbase://node");
    ScriptNodes nodes(f.loop);
    nodes.map = ScriptNodes::map_of({"node"}, 1);
    nodes.answer = [](const ScriptNodes::Seen& seen) -> ScriptNodes::Answer {
        return seen.opcode == Opcode::subdoc_get ? ScriptNodes::Answer{.cas = 7, .value = "\"last\""}
                                                 : ScriptNodes::Answer{.cas = 8};
    };
    f.connected();
    Outcome& pop = f.track(f.bucket->queue_pop("k"));
    Outcome& close = f.track(f.bucket->close({.drain = 1s}));
    Outcome& late = f.track(f.bucket->queue_pop("k"));
    f.loop.run();
    CHECK(pop.ok());
    CHECK(pop.value == "\"last\"");
    CHECK(late.failed(errc::shutdown));
    CHECK(close.ok());
    CHECK(nodes.seen.size() == 2);
    check_closed(f);
}

TEST_CASE("what waits for the first connection may have it while the bucket is being closed", "[close]") {
    ClusterFixture f;
    f.loop.net.hang_connect = true;
    Outcome& store = f.upsert("k", "v");
    Outcome& connect = f.track(f.bucket->connect());
    Outcome& place = f.track(f.bucket->place());
    f.loop.turn();
    Outcome& close = f.track(f.bucket->close({.drain = 5s}));
    f.loop.run();
    CHECK(connect.failed(errc::shutdown));
    CHECK((place.failed(errc::shutdown) || place.ok()));
    f.loop.advance(1s);
    CHECK(store.pending());
    f.loop.net.hang_connect = false;
    f.loop.advance(10ms);
    CHECK(store.ok());
    CHECK(close.ok());
    check_closed(f);
}

TEST_CASE("destroyed while it is being closed, also from inside a callback", "[close]") {
    for (const bool inside : {false, true}) {
        Fixture f;
        f.connected();
        f.server.hold = true;
        Outcome& second = f.get("b");
        f.loop.run();
        std::optional<Error> error;
        f.bucket->get("a").set_callbacks([](ValueResult) {},
                                         [&](const Error& e) {
                                             error = e;
                                             if (inside) f.bucket.reset();
                                         });
        Outcome& close = f.track(f.bucket->close({.drain = 10s}));
        f.loop.run();
        if (inside) {
            f.server.answer(1);
        } else {
            f.bucket.reset();
        }
        f.loop.run();
        REQUIRE(error);
        CHECK(*error == (inside ? errc::document_not_found : errc::shutdown));
        CHECK(second.failed(errc::shutdown));
        CHECK(close.ok());
        CHECK(f.loop.armed_timers() == 0);
    }
}

TEST_CASE("close from inside a callback and a coroutine lets the others end", "[close]") {
    Fixture f;
    f.connected();
    f.server.items["k"].value = "v";
    int ended = 0;
    bool closed = false;
    for (int i = 0; i < 10; ++i) {
        f.bucket->get("k").set_callbacks(
            [&, i](ValueResult) {
                ++ended;
                if (i == 3) {
                    f.bucket->close({.drain = 1s})
                        .set_callbacks([&](OperationResult) { closed = ended == 10; }, [](const Error&) {});
                }
            },
            [](const Error& e) { FAIL(e.message()); });
    }
    f.loop.run();
    CHECK(ended == 10);
    CHECK(closed);
    check_closed(f);
}
