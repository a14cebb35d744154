// Deadlines, lost connections, half-written requests, silence; and scripts in which every step fails once.

#include "tests/unit/engine/session_fixture.hpp"

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Opcode;

TEST_CASE("a late answer is skipped, and a stranger never meets it", "[loss]") {
    Fixture f;
    f.connected();
    f.server.hold = true;
    f.server.items["a"].value = "value of a";
    f.server.items["b"].value = "value of b";
    Outcome& a = f.get("a", {.timeout = 100ms});
    f.loop.advance(99ms);
    CHECK(a.pending());
    f.loop.advance(1ms);
    CHECK(a.failed(errc::timeout_after_send));
    CHECK(a.error->may_have_happened());
    CHECK(a.error->context().time_spent == 100ms);
    CHECK(f.bucket->operations() == 1);  // its slot stays reserved
    // As many strangers as it takes to go through every other slot.
    std::vector<Outcome*> others;
    for (int i = 0; i < 600; ++i) others.push_back(&f.get("b"));
    f.loop.run();
    f.server.answer(0);
    f.loop.run();
    CHECK(a.calls == 1);
    for (Outcome* other : others) CHECK(other->pending());
    CHECK(f.bucket->operations() == 600);
    // The slot is free again, in its next generation: the old answer, once more, finds nobody.
    Outcome& again = f.get("b");
    f.loop.run();
    CHECK(f.server.seen.back().opaque != f.server.seen[0].opaque);
    CHECK((f.server.seen.back().opaque & 0xfffff) == (f.server.seen[0].opaque & 0xfffff));
    f.server.answer(0);
    f.loop.run();
    CHECK(again.pending());
    f.server.seen.erase(f.server.seen.begin());
    f.server.answer_all();
    f.loop.run();
    for (Outcome* other : others) CHECK(other->value == "value of b");
    CHECK(again.value == "value of b");
    CHECK(f.bucket->operations() == 0);
    CHECK(f.loop.net.links.size() == 1);
}

TEST_CASE("what times out before it is sent never reaches the wire", "[loss]") {
    Fixture f;
    f.loop.net.hang_connect = true;
    Outcome& set = f.upsert("never", "sent", {.timeout = 50ms});
    Outcome& other = f.upsert("other", "value", {.timeout = 1s});
    f.loop.advance(50ms);
    CHECK(set.failed(errc::timeout_before_send));
    CHECK_FALSE(set.error->may_have_happened());
    CHECK_THAT(set.error->message(), Catch::Contains("not connected"));
    CHECK(f.bucket->operations() == 1);
    f.loop.net.hang_connect = false;
    f.loop.run();
    CHECK(other.ok());
    CHECK(f.link().received.find("never") == std::string::npos);

    f.link().window = 0;  // connected, but the peer takes nothing
    Outcome& stuck = f.upsert("stuck", "value", {.timeout = 50ms});
    f.loop.advance(50ms);
    CHECK(stuck.failed(errc::timeout_before_send));
    f.link().window = SIZE_MAX;
    f.loop.advance(10ms);
    CHECK(f.link().received.find("stuck") == std::string::npos);
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("a request that was half written when it timed out is completed, and may have happened", "[loss]") {
    for (const bool cancelled : {false, true}) {
        Fixture f;
        f.connected();
        f.link().window = 30;
        auto operation = f.bucket->upsert("half", "value", {.timeout = 50ms});
        f.loop.run();
        Outcome half;
        operation.set_callbacks([](OperationResult) { FAIL("no answer was sent"); },
                                [&](const Error& error) {
                                    ++half.calls;
                                    half.error = error;
                                });
        if (cancelled) operation.cancel();
        f.loop.advance(50ms);
        CHECK(half.failed(cancelled ? errc::cancelled : errc::timeout_after_send));
        CHECK(half.error->may_have_happened());
        Outcome& next = f.get("half");
        f.link().window = SIZE_MAX;
        f.loop.run();
        CHECK(next.value == "value");  // the stream is in step, and it did happen
        CHECK(f.loop.net.links.size() == 1);
    }
}

TEST_CASE("a connection lost: idempotent again, others told, unsent stays", "[loss]") {
    for (const bool reset : {false, true}) {
        Fixture f;
        f.connected();
        f.server.hold = true;
        Outcome& get = f.get("k");
        Outcome& increment = f.counter("n", {.initial = 1});
        Outcome& noop = f.track(f.bucket->noop());
        Outcome& version = f.track(f.bucket->version());
        f.loop.run();
        f.link().window = 0;
        Outcome& unsent = f.counter("m", {.initial = 1});
        Outcome& unsent_get = f.get("k");
        f.loop.run();
        CHECK(f.server.seen.size() == 4);
        reset ? f.link().reset() : f.link().close();
        f.server.hold = false;
        f.loop.run();
        CHECK(increment.failed(errc::connection_lost_after_send));
        CHECK(increment.error->may_have_happened());
        CHECK_THAT(increment.error->message(), Catch::Contains("node:11211"));
        CHECK(get.pending());
        CHECK(unsent.pending());
        f.loop.advance(1s);
        CHECK(get.failed(errc::document_not_found));
        CHECK(get.error->context().retries == 1);
        CHECK(noop.ok());
        CHECK(version.ok());
        CHECK(unsent.ok());
        CHECK(unsent_get.failed(errc::document_not_found));
        CHECK(unsent_get.error->context().retries == 0);
        CHECK(f.server.executed_increments == 2);  // one each
        CHECK(f.bucket->operations() == 0);
    }
}

TEST_CASE("a connection lost at every byte of three requests", "[loss]") {
    // get, counter, counter: 24 + 1, 24 + 20 + 1 twice
    constexpr std::size_t get_end = 25;
    constexpr std::size_t first_end = get_end + 45;
    constexpr std::size_t second_end = first_end + 45;
    for (std::size_t cut = 0; cut <= second_end; ++cut) {
        INFO("cut after " << cut);
        Fixture f;
        f.connected();
        f.server.hold = true;
        f.link().window = cut;
        Outcome& get = f.get("k");
        Outcome& first = f.counter("1", {.initial = 1});
        Outcome& second = f.counter("2", {.initial = 1});
        f.loop.run();
        f.link().reset();
        f.server.hold = false;
        f.loop.advance(1s);
        CHECK(get.failed(errc::document_not_found));
        CHECK(get.error->context().retries == (cut > 0 ? 1u : 0u));
        CHECK((cut >= first_end ? first.failed(errc::connection_lost_after_send) : first.ok()));
        CHECK((cut >= second_end ? second.failed(errc::connection_lost_after_send) : second.ok()));
        CHECK(f.server.executed_increments == 2);  // never twice, never not at all
        CHECK(f.bucket->operations() == 0);
    }
}

TEST_CASE("what was cancelled or had timed out is forgotten with its connection", "[loss]") {
    Fixture f;
    f.connected();
    f.server.hold = true;
    Outcome& late = f.get("late", {.timeout = 10ms});
    auto cancelled = f.bucket->get("cancelled");
    f.loop.advance(10ms);
    f.link().window = 30;
    Outcome& half = f.upsert("half", std::string(100, 'x'), {.timeout = 10ms});
    f.loop.advance(10ms);
    Outcome& waits = f.get("waits");
    cancelled.cancel();
    f.link().reset();
    f.server.hold = false;
    f.loop.advance(1s);
    CHECK(late.failed(errc::timeout_after_send));
    CHECK(half.failed(errc::timeout_after_send));
    CHECK(waits.failed(errc::document_not_found));
    CHECK(waits.error->context().retries == 0);  // it was never sent on the first connection
    CHECK(f.link().received.find("late") == std::string::npos);
    CHECK(f.link().received.find("cancelled") == std::string::npos);
    CHECK(f.link().received.find("half") == std::string::npos);
    cancelled.detach();
    f.loop.run();
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("statistics that came in part before the connection was lost are forgotten", "[loss]") {
    for (const bool timed_out : {false, true}) {
        Fixture f;
        f.connected();
        f.server.hold = true;
        std::size_t statistics = 0;
        const auto ask = [&](StatsOptions options) {
            f.bucket->stats("", options)
                .set_callbacks([&](StatsResult r) { statistics = r.stats().size(); }, [](const Error&) {});
        };
        ask({.timeout = timed_out ? 50ms : 2s});
        f.loop.run();
        std::string part = f.server.seen[0].answer;
        part.replace(24, 3, "old");
        f.link().send(part.substr(0, 30));
        f.loop.advance(100ms);
        f.link().reset();
        f.server.hold = false;
        f.loop.advance(500ms);
        if (timed_out) {
            CHECK(statistics == 0);
            ask({});  // in the same slot
            f.loop.run();
        }
        CHECK(statistics == 2);
        CHECK(f.bucket->operations() == 0);
    }
}

TEST_CASE("deadlines hold across reconnects", "[loss]") {
    Fixture f;
    f.connected();
    f.server.hold = true;
    Outcome& get = f.get("k", {.timeout = 300ms});
    const TimePoint start = f.loop.now();
    f.loop.run();
    f.link().reset();
    f.loop.advance(250ms);
    CHECK(f.loop.net.links.size() == 2);
    CHECK(get.pending());
    f.loop.advance(50ms);
    CHECK(get.failed(errc::timeout_after_send));
    CHECK(get.at == start + 300ms);
    CHECK(get.error->context().retries == 1);
}

TEST_CASE("every operation ends at its deadline, to the microsecond, whatever its errback starts", "[loss]") {
    Fixture f({.operation_timeout = 10s});
    f.server.hold = true;
    f.connected();
    const TimePoint start = f.loop.now();
    std::vector<std::pair<Duration, Outcome*>> all;
    for (int i = 0; i < 30; ++i) {
        const Duration timeout = 1ms * ((i * 7) % 30 + 1);
        all.emplace_back(timeout, &f.get("k", {.timeout = timeout}));
    }
    int long_ones = 0;
    f.bucket->get("first", {.timeout = 500us})
        .set_callbacks(
            [](ValueResult) {},
            [&](const Error&) {
                f.get(
                    "started by an errback");  // arms the timer for ten seconds from now, if the engine is not careful
                ++long_ones;
            });
    f.loop.advance(40ms);
    CHECK(long_ones == 1);
    for (const auto& [timeout, outcome] : all) {
        CHECK(outcome->failed(errc::timeout_after_send));
        CHECK(outcome->at == start + timeout);
    }
}

TEST_CASE("timeouts at both ends of what can be said", "[loss]") {
    Fixture f;
    f.connected();
    f.server.hold = true;
    for (const Duration timeout : {Duration{0}, Duration{-1}, Duration::min()}) {
        Outcome& get = f.get("k", {.timeout = timeout});
        Outcome& connect = f.track(f.bucket->connect({.timeout = timeout}));
        CHECK(get.pending());
        f.loop.run();
        CHECK(get.calls == 1);
        CHECK(get.error->is(ErrorKind::transient));
        CHECK(connect.ok());
    }
    Outcome& forever = f.get("k", {.timeout = Duration::max()});
    f.loop.advance(1h);
    CHECK(forever.pending());

    Fixture g({.operation_timeout = Duration::max(), .connect_timeout = Duration::max()});
    g.connected();
    CHECK(g.get("k").pending());
    g.loop.run();
    CHECK(g.outcomes.back()->calls == 1);
}

TEST_CASE("time is read anew for what is started later outside a dispatch", "[loss]") {
    Fixture f;
    f.loop.net.hang_connect = true;
    f.loop.run();
    Outcome& connect = f.track(f.bucket->connect());
    f.loop.jump(1s);  // the loop did something else meanwhile
    Outcome& get = f.get("k", {.timeout = 100ms});
    const TimePoint start = f.loop.now();
    f.loop.advance(500ms);
    CHECK(get.failed(errc::timeout_before_send));
    CHECK(get.at == start + 100ms);
    CHECK(get.error->context().time_spent == 100ms);
    CHECK(connect.pending());
}

TEST_CASE("a server that is silent while operations time out is left for a new connection", "[loss]") {
    for (const bool takes_bytes : {true, false}) {
        Fixture f;  // operation_timeout 2.5 s
        f.connected();
        f.server.mute = true;
        if (!takes_bytes) f.link().window = 0;  // not even part of a request
        for (int i = 0; i < 80 && f.loop.net.links.size() == 1; ++i) {
            f.get("k");
            f.loop.advance(100ms);
        }
        CHECK(f.loop.net.links.size() == 2);
        CHECK(f.loop.net.links[0]->closed_by_client);
        f.server.mute = false;
        f.loop.advance(1s);
        Outcome& get = f.get("k");
        f.loop.run();
        CHECK(get.failed(errc::document_not_found));
    }
}

TEST_CASE("a slow server that still talks is not left", "[loss]") {
    Fixture f;
    f.connected();
    f.server.hold = true;
    for (int i = 0; i < 100; ++i) {
        Outcome& get = f.get("k", {.timeout = 200ms});
        f.loop.advance(300ms);
        CHECK(get.failed(errc::timeout_after_send));
        f.server.answer_all();
        f.loop.run();
    }
    CHECK(f.loop.net.links.size() == 1);
}

TEST_CASE("the connection is lost while nobody asks anything: it is restored", "[loss]") {
    Fixture f;
    f.connected();
    f.loop.advance(10s);
    f.link().close();
    f.loop.run();
    CHECK_FALSE(f.bucket->connected());
    f.loop.advance(11ms);
    CHECK(f.bucket->connected());
}

TEST_CASE("after close nothing is left, whenever it comes", "[loss]") {
    for (const char* when : {"resolving", "connecting", "bootstrapping", "ready", "backoff", "sent", "half written"}) {
        const std::string_view state = when;
        Fixture f;
        f.loop.net.hang_resolve = state == "resolving";
        f.loop.net.hang_connect = state == "connecting";
        f.server.mute = state == "bootstrapping";
        if (state == "backoff") f.loop.net.connect_errors["*"] = std::make_error_code(std::errc::connection_refused);
        f.loop.run();
        f.server.hold = true;
        if (state == "half written") f.link().window = 30;
        Outcome& get = f.get("k");
        Outcome& set = f.upsert("k", std::string(100, 'v'));
        Outcome& connect = f.track(f.bucket->connect());
        if (state == "sent" || state == "half written") f.loop.run();
        Outcome& close = f.track(f.bucket->close());
        CHECK(close.pending());
        CHECK(set.pending());
        f.loop.run();
        INFO(state);
        CHECK(get.failed(errc::shutdown));
        CHECK(set.failed(errc::shutdown));
        CHECK(set.error->may_have_happened() == (state == "sent"));
        CHECK((connect.failed(errc::shutdown) || connect.ok()));
        CHECK(close.ok());
        CHECK(f.loop.net.pending->empty());
        CHECK(f.loop.armed_timers() == 0);
        if (!f.loop.net.links.empty()) CHECK(f.link().closed_by_client);
        CHECK(f.bucket->operations() == 0);
        CHECK_FALSE(f.bucket->connected());
        Outcome& again = f.track(f.bucket->close());
        Outcome& after = f.get("k");
        f.loop.run();
        CHECK(again.ok());
        CHECK(after.failed(errc::shutdown));
    }
}

namespace {

/// A script with every kind of step in it; tells how many steps there were.
unsigned run_script(unsigned failing_step) {
    Fixture f({.operation_timeout = 20s, .connect_timeout = 5s});
    f.loop.net.addresses["node"] = {"10.0.0.1", "10.0.0.2"};
    f.loop.net.fault->at = failing_step;
    f.loop.net.on_accept = [](Link& link) { link.read_chunk = 40; };
    f.server.items["big"].value = std::string(200, 'b');
    std::vector<Outcome*> gets;
    std::vector<Outcome*> counters;
    Outcome* connect = &f.track(f.bucket->connect());
    counters.push_back(&f.counter("n", {.initial = 1}));
    gets.push_back(&f.get("big"));
    f.loop.advance(10ms);
    counters.push_back(&f.counter("n", {.initial = 1}));
    f.loop.run();
    if (f.bucket->connected()) f.link().window = 37;  // a write in two parts
    counters.push_back(&f.counter("n", {.initial = 1}));
    gets.push_back(&f.get("big"));
    f.loop.run();
    for (auto& link : f.loop.net.links) link->window = SIZE_MAX;
    f.loop.advance(2s);
    gets.push_back(&f.get("big"));
    counters.push_back(&f.counter("n", {.initial = 1}));
    f.loop.advance(5s);

    INFO("step " << failing_step << " fails");
    CHECK(connect->calls == 1);
    for (Outcome* get : gets) {
        CHECK(get->ok());
        CHECK(get->value == f.server.items["big"].value);
    }
    std::size_t at_least = 0;
    std::size_t at_most = 0;
    for (Outcome* counter : counters) {
        CHECK((counter->ok() || counter->failed(errc::connection_lost_after_send)));
        at_least += counter->ok() ? 1u : 0u;
        ++at_most;
    }
    CHECK(f.server.executed_increments >= at_least);
    CHECK(f.server.executed_increments <= at_most);  // nothing was executed twice
    CHECK((failing_step == 0) == (at_least == at_most && f.loop.net.attempts.size() == 1 && connect->ok()));
    CHECK(f.bucket->operations() == 0);
    CHECK(f.bucket->connected());
    return f.loop.net.fault->steps;
}

}  // namespace

TEST_CASE("every step of a script fails once", "[loss]") {
    const unsigned steps = run_script(0);
    CHECK(steps > 15);
    for (unsigned step = 1; step <= steps; ++step) run_script(step);
}
