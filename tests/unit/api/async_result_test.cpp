// The sentences of AsyncResult's contract, one test each.

#include "tests/unit/api/consumers.hpp"
#include "tests/unit/engine/session_fixture.hpp"

#include <catch2/catch.hpp>

#include <unistd.h>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

struct Heard {
    unsigned results = 0;
    unsigned errors = 0;
    std::string value;
    std::optional<Error> error;
    [[nodiscard]] bool nothing() const { return results + errors == 0; }
};

template <class R>
Script await_into(R operation, Heard& heard) {
    try {
        const ValueResult result = co_await operation;
        ++heard.results;
        heard.value = result.owned();
    } catch (const Exception& error) {
        ++heard.errors;
        heard.error = error.error();
    }
}

Script await_expected_into(AsyncResult<ValueResult> operation, Heard& heard) {
    auto result = co_await operation.as_expected();
    if (result) {
        ++heard.results;
        heard.value = result->owned();
    } else {
        ++heard.errors;
        heard.error = result.error();
    }
}

void listen(AsyncResult<ValueResult>& operation, Heard& heard) {
    operation.set_callbacks(
        [&heard](ValueResult result) {
            ++heard.results;
            heard.value = result.owned();
        },
        [&heard](const Error& error) {
            ++heard.errors;
            heard.error = error;
        });
}

}  // namespace

TEST_CASE("completion is never inline, and always in a turn of the loop", "[async_result]") {
    Fixture f;
    f.server.items["k"].value = "v";
    f.connected();
    bool in_turn = false;
    bool returned = false;
    auto operation = f.bucket->get("k");
    operation.set_callbacks([&](ValueResult) { in_turn = f.loop.in_turn() && returned; }, [](const Error&) {});
    returned = true;
    f.loop.run();
    CHECK(in_turn);
    auto bad = f.bucket->get("");
    Heard heard;
    listen(bad, heard);
    CHECK(heard.nothing());
    f.loop.run();
    CHECK(heard.errors == 1);
}

TEST_CASE("errors found before anything is sent come through the same channel; only constructors throw",
          "[async_result]") {
    Fixture f({.max_queue_operations = 1});
    f.connected();
    const std::string long_key(251, 'k');
    std::vector<std::pair<errc, AsyncResult<ValueResult>>> operations;
    CHECK_NOTHROW(operations.emplace_back(errc::invalid_argument, f.bucket->get("")));
    CHECK_NOTHROW(operations.emplace_back(errc::invalid_argument, f.bucket->get(long_key)));
    CHECK_NOTHROW(operations.emplace_back(errc::invalid_argument, f.bucket->get_and_touch("k", -1s)));
    CHECK_NOTHROW(operations.emplace_back(errc::invalid_argument, f.bucket->counter("k", {.expiry = 1s})));
    CHECK_NOTHROW(operations.emplace_back(errc::document_not_found, f.bucket->get("k")));
    CHECK_NOTHROW(operations.emplace_back(errc::queue_full, f.bucket->get("k")));
    std::vector<Heard> heard(operations.size());
    for (std::size_t i = 0; i < operations.size(); ++i) listen(operations[i].second, heard[i]);
    const std::size_t bytes = f.link().received.size();
    for (const Heard& one : heard) CHECK(one.nothing());
    f.loop.run();
    for (std::size_t i = 0; i < operations.size(); ++i) {
        CHECK(heard[i].errors == 1);
        CHECK(heard[i].error->code() == operations[i].first);
        CHECK_FALSE(heard[i].error->may_have_happened());
    }
    CHECK(f.link().received.size() == bytes + 25);  // one get of one byte
    CHECK_THROWS_AS(AsyncBucket(f.loop, "nonsense://x"), InvalidError);
    CHECK_THROWS_AS(AsyncBucket(std::unique_ptr<IOPS>(), "memcached://x"), ArgumentError);
}

TEST_CASE("an outcome that arrives before its consumer waits: co_await continues at once", "[async_result]") {
    for (const bool found : {true, false}) {
        for (const bool expected : {true, false}) {
            Fixture f;
            if (found) f.server.items["k"].value = "v";
            f.connected();
            auto operation = f.bucket->get("k");
            f.loop.run();
            CHECK(f.unobserved.empty());
            Heard heard;
            Script script = go(expected ? await_expected_into(std::move(operation), heard)
                                        : await_into(std::move(operation), heard));
            CHECK(script.done());  // without a turn
            CHECK(heard.results == (found ? 1u : 0u));
            CHECK(heard.errors == (found ? 0u : 1u));
            script.destroy();
            CHECK(f.bucket->operations() == 0);
        }
    }
}

TEST_CASE("an outcome that arrives before its consumer waits: callbacks run on the next turn", "[async_result]") {
    for (const bool found : {true, false}) {
        for (const bool big : {true, false}) {
            Fixture f;
            if (found) f.server.items["k"].value = std::string(big ? 1000 : 1, 'v');
            f.connected();
            auto operation = f.bucket->get("k");
            f.loop.run();
            Heard heard;
            listen(operation, heard);
            CHECK(heard.nothing());
            f.loop.run();
            CHECK(heard.results == (found ? 1u : 0u));
            CHECK(heard.errors == (found ? 0u : 1u));
            if (found) CHECK(heard.value == f.server.items["k"].value);
        }
    }
}

TEST_CASE("start two, await two", "[async_result]") {
    for (const bool reversed : {false, true}) {
        Fixture f;
        f.server.items["x"].value = "X";
        f.server.items["y"].value = "Y";
        f.connected();
        f.server.hold = true;
        std::string got;
        const auto both = [&]() -> Script {
            auto a = f.bucket->get("x");
            auto c = f.bucket->get("y");
            const ValueResult first = co_await a;
            got += first.owned();
            const ValueResult second = co_await c;
            got += second.owned();
        };
        Script script = go(both());
        f.loop.run();
        REQUIRE(f.server.seen.size() == 2);  // both were under way
        f.server.answer(reversed ? 1 : 0);
        f.loop.run();
        f.server.answer(reversed ? 0 : 1);
        f.loop.run();
        CHECK(script.done());
        CHECK(got == "XY");
    }
}

TEST_CASE("dropped with callbacks set, they are still called", "[async_result]") {
    Fixture f;
    f.connected();
    Heard heard;
    {
        auto operation = f.bucket->get("k");
        listen(operation, heard);
    }
    CHECK(heard.nothing());
    f.loop.run();
    CHECK(heard.errors == 1);
    CHECK(f.unobserved.empty());
}

TEST_CASE("dropped without a consumer: finished unobserved, and the error goes to on_unobserved", "[async_result]") {
    for (const bool before_answer : {true, false}) {
        Fixture f;
        f.server.items["k"].value = "v";
        f.connected();
        {
            auto good = f.bucket->get("k");
            auto bad = f.bucket->get("none");
            auto worse = f.bucket->get("");
            if (!before_answer) f.loop.run();
        }
        CHECK(f.unobserved.empty());  // not in the destructor
        f.loop.run();
        CHECK(f.unobserved.size() == 2);
        CHECK(f.bucket->operations() == 0);
        CHECK(f.server.seen.size() == 2);
    }
}

TEST_CASE("by default an unobserved error is one line on standard error", "[async_result]") {
    ScriptLoop loop;
    ScriptServer server(loop);
    AsyncBucket bucket(loop, "memcached://node");
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    std::fflush(stderr);
    const int saved = ::dup(2);
    ::dup2(ends[1], 2);
    static_cast<void>(bucket.get("the-key"));
    loop.run();
    std::fflush(stderr);
    ::dup2(saved, 2);
    ::close(saved);
    ::close(ends[1]);
    char text[1000];
    const auto size = ::read(ends[0], text, sizeof text);
    ::close(ends[0]);
    REQUIRE(size > 0);
    const std::string line(text, static_cast<std::size_t>(size));
    CHECK_THAT(line, Catch::Contains("the-key") && Catch::Contains("not found"));
    CHECK(std::count(line.begin(), line.end(), '\n') == 1);
    bucket.on_unobserved(nullptr);  // nobody at all
    static_cast<void>(bucket.get("the-key"));
    loop.run();
}

TEST_CASE("destroyed while a coroutine awaits it: abandoned, nothing is called", "[async_result]") {
    for (const bool sent : {true, false}) {
        Fixture f;
        f.server.items["k"].value = "v";
        f.connected();
        f.server.hold = true;
        Heard heard;
        Script script = go(await_into(f.bucket->get("k"), heard));
        if (sent) f.loop.run();
        script.destroy();
        CHECK(f.bucket->operations() == (sent ? 1u : 0u));
        f.loop.run();
        CHECK(f.server.seen.size() == (sent ? 1u : 0u));  // unsent: never on the wire
        f.server.answer_all();
        f.loop.run();
        CHECK(heard.nothing());
        CHECK(f.unobserved.empty());
        CHECK(f.bucket->operations() == 0);
        f.server.hold = false;
        Script again = go(await_into(f.bucket->get("k"), heard));
        f.loop.run();
        CHECK(heard.value == "v");
    }
}

TEST_CASE("a second consumer is a logic_error, and the first one does not suffer", "[async_result]") {
    const auto second_consumers = [](AsyncResult<ValueResult>& operation) {
        Heard nobody;
        CHECK_THROWS_AS(listen(operation, nobody), std::logic_error);
        CHECK_THROWS_AS(operation.set_callback([](ValueResult) {}), std::logic_error);
        CHECK_THROWS_AS(operation.set_errback([](const Error&) {}), std::logic_error);
        const auto twice = [](AsyncResult<ValueResult>& op) -> Script { co_await op; };
        CHECK_THROWS_AS(go(twice(operation)), std::logic_error);
        const auto twice_expected = [](AsyncResult<ValueResult>& op) -> Script {
            static_cast<void>(co_await op.as_expected());
        };
        CHECK_THROWS_AS(go(twice_expected(operation)), std::logic_error);
        CHECK(nobody.nothing());
    };
    for (const bool outcome_first : {false, true}) {
        Fixture f;
        f.server.items["k"].value = "v";
        f.connected();
        {
            auto operation = f.bucket->get("k");
            if (outcome_first) f.loop.run();
            Heard heard;
            listen(operation, heard);
            second_consumers(operation);
            f.loop.run();
            CHECK(heard.value == "v");
            second_consumers(operation);  // it has had its consumer
            f.loop.run();
            CHECK(heard.results == 1);
        }
        {
            auto operation = f.bucket->get("k");
            if (outcome_first) f.loop.run();
            Heard heard;
            const auto wait = [](AsyncResult<ValueResult>& op, Heard& h) -> Script {
                const ValueResult result = co_await op;
                ++h.results;
                h.value = result.owned();
            };
            Script script = go(wait(operation, heard));
            second_consumers(operation);
            f.loop.run();
            CHECK(heard.value == "v");
            second_consumers(operation);
        }
        CHECK(f.bucket->operations() == 0);
    }
    Fixture f;
    f.connected();
    auto fields = f.bucket->get("k");
    unsigned errors = 0;
    fields.set_errback([&](const Error&) { ++errors; });
    Heard nobody;
    CHECK_THROWS_AS(listen(fields, nobody), std::logic_error);
    f.loop.run();
    CHECK(errors == 1);
    CHECK_THROWS_AS(fields.set_errback([](const Error&) {}), std::logic_error);
}

TEST_CASE("an AsyncResult that refers to no operation", "[async_result]") {
    AsyncResult<ValueResult> none;
    CHECK_FALSE(none.valid());
    Heard heard;
    CHECK_THROWS_AS(listen(none, heard), std::logic_error);
    CHECK_THROWS_AS(none.set_callback([](ValueResult) {}), std::logic_error);
    const auto wait = [](AsyncResult<ValueResult>& op) -> Script { co_await op; };
    CHECK_THROWS_AS(go(wait(none)), std::logic_error);
    none.cancel();
    none.detach();
    Fixture f;
    f.connected();
    auto one = f.bucket->get("1");
    auto two = std::move(one);
    CHECK_FALSE(one.valid());  // NOLINT
    CHECK(two.valid());
    two = f.bucket->get("2");  // the first is unobserved now
    listen(two, heard);
    two = std::move(two);  // NOLINT
    f.loop.run();
    CHECK(heard.error->context().key == "2");
    CHECK(f.unobserved.size() == 1);
}

TEST_CASE(
    "cancel() is errc::cancelled on the next turn; the slot is abandoned; the late response is swallowed; the "
    "connection goes on",
    "[async_result]") {
    for (const bool sent : {true, false}) {
        Fixture f;
        f.server.items["k"].value = "v";
        f.connected();
        f.server.hold = true;
        auto operation = f.bucket->get("k");
        Heard heard;
        listen(operation, heard);
        if (sent) f.loop.run();
        operation.cancel();
        CHECK(heard.nothing());
        operation.cancel();  // harmless
        f.loop.run();
        REQUIRE(heard.errors == 1);
        CHECK(heard.error->code() == errc::cancelled);
        CHECK(heard.error->may_have_happened() == sent);
        operation.cancel();
        f.server.answer_all();
        f.server.hold = false;
        Outcome& next = f.get("k");
        f.loop.run();
        CHECK(next.value == "v");
        CHECK(heard.results + heard.errors == 1);
        CHECK(f.loop.net.links.size() == 1);
        CHECK(f.server.seen.size() == (sent ? 2u : 1u));
    }
}

TEST_CASE("cancel() before a consumer is attached, and after the outcome is there", "[async_result]") {
    Fixture f;
    f.server.items["k"].value = "v";
    f.connected();
    for (const bool turn_between : {false, true}) {
        auto operation = f.bucket->get("k");
        operation.cancel();
        if (turn_between) f.loop.run();
        Heard heard;
        Script script = go(await_into(std::move(operation), heard));
        CHECK(script.done() == turn_between);
        f.loop.run();
        REQUIRE(heard.errors == 1);
        CHECK(heard.error->code() == errc::cancelled);
    }
    auto late = f.bucket->get("k");
    f.loop.run();
    late.cancel();  // the outcome is there already
    Heard heard;
    listen(late, heard);
    late.cancel();  // and on its way
    f.loop.run();
    CHECK(heard.value == "v");
    CHECK(heard.errors == 0);
}

TEST_CASE("connect() can be cancelled", "[async_result]") {
    Fixture f;
    f.loop.net.hang_connect = true;
    auto operation = f.bucket->connect();
    Outcome& other = f.track(f.bucket->connect());
    std::optional<Error> error;
    operation.set_callbacks([](OperationResult) {}, [&](const Error& e) { error = e; });
    operation.cancel();
    f.loop.run();
    REQUIRE(error);
    CHECK(error->code() == errc::cancelled);
    f.loop.net.hang_connect = false;
    f.loop.run();
    CHECK(other.ok());
}

TEST_CASE("detach(): nothing is called, not even on_unobserved", "[async_result]") {
    for (const bool outcome_first : {true, false}) {
        Fixture f;
        f.server.items["k"].value = "v";
        f.connected();
        auto good = f.bucket->get("k");
        auto bad = f.bucket->get("none");
        auto rejected = f.bucket->get("");
        auto cancelled = f.bucket->get("x");
        if (outcome_first) f.loop.run();
        cancelled.cancel();
        good.detach();
        bad.detach();
        rejected.detach();
        cancelled.detach();
        CHECK_FALSE(good.valid());
        f.bucket->upsert("written", "v").detach();
        f.loop.run();
        CHECK(f.unobserved.empty());
        CHECK(f.server.items.count("written") == 1);
        CHECK(f.bucket->operations() == 0);
    }
}

TEST_CASE("the seed's two fields, one by one", "[async_result]") {
    for (const bool outcome_first : {true, false}) {
        for (const bool found : {true, false}) {
            for (const int which : {0, 1, 2, 3}) {  // none of them, callback, errback, both
                Fixture f;
                if (found) f.server.items["k"].value = "v";
                f.connected();
                Heard heard;
                {
                    auto operation = f.bucket->get("k");
                    if (outcome_first) f.loop.run();
                    if ((which & 1) != 0) {
                        operation.set_callback([](ValueResult) { FAIL("replaced before it was called"); });
                        operation.set_callback([&](ValueResult result) {
                            ++heard.results;
                            heard.value = result.owned();
                        });
                    }
                    if ((which & 2) != 0) operation.set_errback([&](const Error&) { ++heard.errors; });
                }
                CHECK(heard.nothing());
                f.loop.run();
                CHECK(heard.results == (found && (which & 1) != 0 ? 1u : 0u));
                CHECK(heard.errors == (!found && (which & 2) != 0 ? 1u : 0u));
                CHECK(f.unobserved.size() == (!found && (which & 2) == 0 ? 1u : 0u));
                CHECK(f.bucket->operations() == 0);
            }
        }
    }
}

TEST_CASE("callbacks of any size, that only move, are kept and destroyed once", "[async_result]") {
    Counted::alive = 0;
    {
        Fixture f;
        f.server.items["k"].value = "v";
        f.connected();
        unsigned called = 0;
        const auto start = [&](auto capture, std::string_view key) {
            f.bucket->get(key).set_callbacks(
                [&called, capture = std::move(capture), counted = Counted()](ValueResult) { ++called; },
                [&called, counted = Counted()](const Error&) { ++called; });
        };
        for (const std::string_view key : {"k", "none", ""}) {
            start(std::array<char, 1>{}, key);
            start(std::array<char, 150>{}, key);
            start(std::array<char, 1000>{}, key);
            start(std::make_unique<int>(7), key);
            start(std::string(100, 's'), key);
        }
        CHECK(Counted::alive == 30);
        f.loop.run();
        CHECK(called == 15);
        CHECK(Counted::alive == 0);
    }
}

TEST_CASE("a thousand callbacks that each start another", "[async_result]") {
    Fixture f;
    f.connected();
    unsigned done = 0;
    std::function<void(unsigned)> start = [&](unsigned left) {
        f.bucket->get("k").set_callbacks([](ValueResult) {},
                                         [&, left](const Error&) {
                                             ++done;
                                             if (left > 0) start(left - 1);
                                         });
    };
    for (int i = 0; i < 1000; ++i) start(3);
    f.loop.run();
    CHECK(done == 4000);
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("keys and values given as views need not outlive the call", "[async_result]") {
    Fixture f;  // not connected yet
    std::vector<Outcome*> outcomes;
    for (int i = 0; i < 50; ++i) {
        std::string key = "a key that is longer than a short string " + std::to_string(i);
        std::string value(static_cast<std::size_t>(i) * 3000, static_cast<char>('a' + i % 26));
        outcomes.push_back(&f.upsert(key, value));
        key.assign(key.size(), '!');
        value.assign(value.size(), '!');
    }
    f.connected();
    f.loop.run();
    for (Outcome* outcome : outcomes) CHECK(outcome->ok());
    CHECK(f.server.items.size() == 50);
    CHECK(f.server.items["a key that is longer than a short string 49"].value == std::string(147'000, 'x'));
}

TEST_CASE("quiet, per bucket and per call", "[async_result]") {
    for (const bool bucket_quiet : {false, true}) {
        Fixture f({.quiet = bucket_quiet});
        f.connected();
        for (const std::optional<bool> call : {std::optional<bool>(), std::optional(false), std::optional(true)}) {
            const bool quiet = call.value_or(bucket_quiet);
            std::vector<Outcome*> quiet_ones = {&f.get("none", {.quiet = call}),
                                                &f.track(f.bucket->remove("none", {.quiet = call})),
                                                &f.track(f.bucket->get_and_touch("none", 5s, {.quiet = call}))};
            f.loop.run();
            for (Outcome* outcome : quiet_ones) {
                CHECK(outcome->calls == 1);
                CHECK(outcome->error.has_value() == !quiet);
                CHECK(outcome->rc == (quiet ? errc::document_not_found : errc::success));
            }
        }
        // Never for others, and never anything but "not found".
        std::vector<Outcome*> others = {&f.track(f.bucket->replace("none", "x")), &f.track(f.bucket->touch("none", 5s)),
                                        &f.counter("none"), &f.track(f.bucket->append("none", "x")),
                                        &f.get("", {.quiet = true})};
        f.loop.run();
        for (Outcome* outcome : others) CHECK(outcome->error.has_value());
    }
}

TEST_CASE("operations in flight on one key complete in the order of issue", "[async_result]") {
    Fixture f;
    std::vector<int> order;
    const auto note = [&](int n) { return [&order, n](auto&&) { order.push_back(n); }; };
    for (int i = 0; i < 100; i += 4) {
        f.bucket->upsert("k", std::to_string(i)).set_callbacks(note(i), note(-1));
        f.bucket->append("k", "x").set_callbacks(note(i + 1), note(-1));
        f.bucket->get("k").set_callbacks(note(i + 2), note(-1));
        f.bucket->remove("k").set_callbacks(note(i + 3), note(-1));
    }
    f.loop.run();
    REQUIRE(order.size() == 100);
    for (int i = 0; i < 100; ++i) CHECK(order[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("as_expected() may be kept in a variable", "[async_result]") {
    Fixture f;
    f.server.items["k"].value = "v";
    f.connected();
    std::string got;
    const auto run = [&]() -> Script {
        auto operation = f.bucket->get("k").as_expected();
        auto result = co_await operation;
        got = result->owned();
    };
    Script script = go(run());
    f.loop.run();
    CHECK(got == "v");
    CHECK(f.unobserved.empty());
}
