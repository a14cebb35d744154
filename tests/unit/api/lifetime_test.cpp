// Who may die when, and what is thrown where.

#include "tests/unit/api/consumers.hpp"
#include "tests/unit/engine/session_fixture.hpp"

#include <chaise/spawn.hpp>

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

struct Boom : std::runtime_error {
    explicit Boom(int n = 0) : std::runtime_error("boom"), number(n) {}
    int number;
};

/// Runs the loop until nothing is left to do; how many Booms came out of it.
unsigned booms(ScriptLoop& loop) {
    for (unsigned n = 0;; ++n) {
        try {
            loop.run();
            return n;
        } catch (const Boom&) {
        }
    }
}

/// A loop, a server and a bucket that may die in any order.
struct Parts {
    std::unique_ptr<ScriptLoop> loop = std::make_unique<ScriptLoop>();
    std::unique_ptr<ScriptServer> server = std::make_unique<ScriptServer>(*loop);
    std::vector<Error> unobserved;
    std::optional<AsyncBucket> bucket{std::in_place, loop->make_iops(), "memcached://node"};
    Parts() {
        bucket->on_unobserved([this](const Error& error) { unobserved.push_back(error); });
        server->items["k"].value = "v";
        server->items["big"].value = std::string(10'000, 'b');
    }
};

}  // namespace

TEST_CASE("~AsyncBucket with operations pending: errc::shutdown on the next turn, never inside the destructor",
          "[lifetime]") {
    for (const bool sent : {false, true}) {
        Fixture f;
        f.connected();
        f.server.hold = true;
        Outcome& callbacks = f.get("k");
        Outcome& connect = f.track(f.bucket->connect());
        auto waiting = f.bucket->get("k");
        std::optional<errc> awaited;
        const auto wait = [&]() -> Script {
            auto result = co_await f.bucket->upsert("k", "v").as_expected();
            awaited = result.error().code();
            CHECK(result.error().may_have_happened() == sent);
        };
        Script script = go(wait());
        static_cast<void>(f.bucket->get("unobserved"));
        if (sent) f.loop.run();
        f.bucket.reset();
        CHECK(callbacks.pending());
        CHECK_FALSE(awaited);
        CHECK(f.unobserved.empty());
        f.loop.run();
        CHECK(callbacks.failed(errc::shutdown));
        CHECK(awaited == errc::shutdown);
        CHECK(connect.calls == 1);
        CHECK(f.unobserved.size() == 1);
        // The handle outlives the bucket.
        std::optional<errc> later;
        waiting.set_callbacks([](ValueResult) {}, [&](const Error& error) { later = error.code(); });
        CHECK_FALSE(later);
        f.loop.run();
        CHECK(later == errc::shutdown);
        CHECK(f.link().closed_by_client);
        CHECK(f.loop.armed_timers() == 0);
    }
}

TEST_CASE("~AsyncBucket inside a callback, with more answers in the buffer", "[lifetime]") {
    Fixture f;
    f.server.items["k"].value = "v";
    f.connected();
    unsigned results = 0;
    unsigned errors = 0;
    for (int i = 0; i < 10; ++i) {
        f.bucket->get("k").set_callbacks(
            [&](ValueResult result) {
                if (++results == 3) f.bucket.reset();
                CHECK(result.value() == "v");
            },
            [&](const Error& error) {
                ++errors;
                CHECK(error.code() == errc::shutdown);
            });
    }
    f.loop.run();
    CHECK(results == 3);
    CHECK(errors == 7);
}

TEST_CASE("~AsyncBucket inside an errback at a deadline, and inside on_unobserved", "[lifetime]") {
    {
        Fixture f;
        f.server.mute = true;
        Outcome& other = f.get("other", {.timeout = 20ms});
        f.bucket->get("k", {.timeout = 10ms})
            .set_callbacks([](ValueResult) {}, [&](const Error&) { f.bucket.reset(); });
        f.loop.advance(30ms);
        CHECK(other.failed(errc::shutdown));
        CHECK_FALSE(f.bucket);
    }
    {
        Fixture f;
        f.connected();
        f.bucket->on_unobserved([&](const Error&) { f.bucket.reset(); });
        static_cast<void>(f.bucket->get("k"));
        Outcome& other = f.get("k");
        f.loop.run();
        CHECK_FALSE(f.bucket);
        CHECK(other.calls == 1);
    }
}

TEST_CASE("~AsyncBucket inside a coroutine that awaits it, and inside an error that was queued", "[lifetime]") {
    for (const std::string_view key : {"k", ""}) {
        Fixture f;
        f.server.items["k"].value = "v";
        f.connected();
        unsigned steps = 0;
        const auto run = [&]() -> Script {
            auto second = f.bucket->get("k");
            auto first = co_await f.bucket->get(key).as_expected();
            ++steps;
            f.bucket.reset();
            auto outcome = co_await second.as_expected();
            ++steps;
        };
        Script script = go(run());
        f.loop.run();
        CHECK(script.done());
        CHECK(steps == 2);
    }
}

TEST_CASE("a second bucket on the loop does not notice", "[lifetime]") {
    Fixture f;
    AsyncBucket other(f.loop, "memcached://other");
    f.connected();
    f.server.hold = true;
    Outcome& mine = f.get("k");
    Outcome& its = f.track(other.get("k"));
    f.loop.run();
    f.bucket.reset();
    f.server.answer_all();
    f.loop.run();
    CHECK(mine.failed(errc::shutdown));
    CHECK(its.failed(errc::document_not_found));
    CHECK(other.connected());
}

TEST_CASE("close() comes last, and operations after it end with shutdown", "[lifetime]") {
    Fixture f;
    f.connected();
    f.server.hold = true;
    std::vector<std::string> order;
    const auto note = [&](std::string what) { return [&order, what](auto&&) { order.push_back(what); }; };
    f.bucket->get("k").set_callbacks(note("result"), note("get"));
    f.bucket->upsert("k", "v").set_callbacks(note("result"), note("upsert"));
    f.loop.run();
    f.bucket->get("").set_callbacks(note("result"), note("rejected"));
    f.bucket->remove("k").set_callbacks(note("result"), note("remove"));
    f.bucket->close().set_callbacks(note("close"), note("error"));
    CHECK(order.empty());
    f.bucket->get("k").set_callbacks(note("result"), note("after"));
    f.loop.run();
    CHECK(order == std::vector<std::string>{"rejected", "get", "upsert", "remove", "close", "after"});
    CHECK(f.outcomes.empty());
    CHECK(f.get("k").pending());
    f.loop.run();
    CHECK(f.outcomes[0]->failed(errc::shutdown));
    CHECK_FALSE(f.outcomes[0]->error->may_have_happened());
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("close() awaited in a task, inside the bucket's own dispatch", "[lifetime]") {
    Fixture f;
    bool closed = false;
    const auto work = [](AsyncBucket& bucket, bool& done) -> Task<> {
        co_await bucket.upsert("k", "v");
        co_await bucket.close();
        done = true;
    };
    spawn(f.loop, work(*f.bucket, closed));
    f.loop.run();
    CHECK(closed);
    CHECK(f.loop.work == 0);
    CHECK(f.loop.armed_timers() == 0);
}

TEST_CASE("results and AsyncResults outlive the bucket and the loop", "[lifetime]") {
    std::optional<AsyncResult<ValueResult>> result_waits;
    std::optional<AsyncResult<ValueResult>> error_waits;
    std::optional<AsyncResult<ValueResult>> pending;
    std::optional<AsyncResult<ValueResult>> dropped;
    std::optional<ValueResult> value;
    {
        Parts p;
        result_waits = p.bucket->get("big");
        error_waits = p.bucket->get("none");
        dropped = p.bucket->get("none");
        p.bucket->get("big").set_callbacks([&](ValueResult r) { value = std::move(r); }, [](const Error&) {});
        p.loop->run();
        p.server->hold = true;
        pending = p.bucket->get("k");
        p.loop->run();
        p.bucket.reset();
    }
    CHECK(value->value() == std::string(10'000, 'b'));
    value.reset();
    dropped.reset();
    std::string got;
    const auto take = [&](AsyncResult<ValueResult>& operation) -> Script {
        auto result = co_await operation.as_expected();
        got = result ? result->owned() : std::string(name(result.error().code()));
    };
    Script one = go(take(*result_waits));
    CHECK(got == std::string(10'000, 'b'));
    Script two = go(take(*error_waits));
    CHECK(got == "document_not_found");
    Script three = take(*pending);  // of this one nothing will ever be heard
    CHECK_FALSE(three.done());
}

TEST_CASE("the loop dies first: waiting consumers are destroyed uncalled", "[lifetime]") {
    Counted::alive = 0;
    for (const char* stage : {"not connected", "queued", "sent", "decided", "waiting"}) {
        const std::string_view at = stage;
        INFO(at);
        Parts p;
        if (at == "not connected") p.loop->net.hang_connect = true;
        p.loop->run();
        p.server->hold = at == "sent";
        unsigned called = 0;
        const auto call = [&called, counted = Counted()](auto&&) { ++called; };
        const int before = Counted::alive;
        auto waits = p.bucket->get("k");
        if (at == "waiting") p.loop->run();
        waits.set_callbacks(call, call);
        p.bucket->get("k").set_callbacks(call, call);
        auto fields = p.bucket->get("k");
        fields.set_errback(call);
        p.bucket->connect().set_callbacks(call, call);
        auto none = p.bucket->get("k");
        Script script = go([](AsyncBucket& bucket, unsigned& n, Counted) -> Script {
            co_await bucket.get("k");
            ++n;
        }(*p.bucket, called, Counted()));
        spawn(*p.loop, [](AsyncBucket& bucket, unsigned& n, Counted) -> Task<> {
            co_await bucket.get("k");
            ++n;
        }(*p.bucket, called, Counted()));
        if (at == "sent") p.loop->run();
        if (at == "decided") waits.cancel();
        const unsigned until_then = called;
        p.loop.reset();
        CHECK(called == until_then);
        script.destroy();
        CHECK(Counted::alive == before);
        // What comes now is destroyed uncalled, too.
        none.set_callbacks(call, call);
        fields.set_callback(call);
        p.bucket->get("k").set_callbacks(call, call);
        p.bucket->get("").set_callbacks(call, call);
        auto late = p.bucket->upsert("k", "v");
        late.set_callback(call);
        late.set_errback(call);
        late.cancel();
        p.bucket->close().set_callbacks(call, call);
        p.bucket->connect().set_callbacks(call, call);
        static_cast<void>(p.bucket->get("k"));
        CHECK(called == until_then);
        CHECK(Counted::alive == before);
        CHECK_FALSE(p.bucket->connected());
        Script hangs = go([](AsyncBucket& bucket) -> Script { co_await bucket.get("k"); }(*p.bucket));
        CHECK_FALSE(hangs.done());
        hangs.destroy();
        CHECK(p.unobserved.empty());
        p.bucket.reset();
    }
    CHECK(Counted::alive == 0);
}

TEST_CASE("a consumer that is destroyed with the loop may destroy what it owns", "[lifetime]") {
    Parts p;
    p.loop->net.hang_connect = true;
    auto inner = std::make_shared<std::optional<AsyncResult<ValueResult>>>(p.bucket->get("inner"));
    struct Owner {
        std::shared_ptr<std::optional<AsyncResult<ValueResult>>> inner;
        std::optional<AsyncBucket>* bucket;
        Owner(std::shared_ptr<std::optional<AsyncResult<ValueResult>>> i, std::optional<AsyncBucket>* b)
            : inner(std::move(i)), bucket(b) {}
        Owner(Owner&& other) noexcept : inner(std::move(other.inner)), bucket(std::exchange(other.bucket, nullptr)) {}
        ~Owner() {
            if (!bucket) return;
            (*bucket)->get("started by a destructor").detach();
            inner->reset();
            bucket->reset();
        }
    };
    p.bucket->get("outer").set_callbacks([owner = Owner(std::move(inner), &p.bucket)](ValueResult) {},
                                         [](const Error&) {});
    p.loop->run();
    p.loop.reset();
    CHECK_FALSE(p.bucket);
}

TEST_CASE("what callbacks throw leaves run(); the frames still in the buffer are handled next turn", "[lifetime]") {
    Fixture f;
    f.server.items["k"].value = "v";
    f.connected();
    unsigned results = 0;
    for (int i = 0; i < 10; ++i) {
        f.bucket->get("k").set_callbacks(
            [&results, i](ValueResult) {
                ++results;
                if (i % 3 == 0) throw Boom(i);
            },
            [](const Error&) {});
    }
    try {
        f.loop.run();
        FAIL("nothing was thrown");
    } catch (const Boom& boom) {
        CHECK(boom.number == 0);
    }
    CHECK(results < 10);
    CHECK(booms(f.loop) == 3);
    CHECK(results == 10);
    CHECK(f.get("k").pending());
    f.loop.run();
    CHECK(f.outcomes[0]->ok());
    CHECK(f.loop.net.links.size() == 1);
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("what errbacks, coroutines and on_unobserved throw leaves run(), from every place", "[lifetime]") {
    Fixture f;
    f.server.items["k"].value = "v";
    f.connected();
    f.bucket->on_unobserved([](const Error&) { throw Boom(); });
    const auto throwing = [](auto&&) { throw Boom(); };
    const auto coroutine = [](AsyncResult<ValueResult> operation) -> Script {
        co_await operation;
        throw Boom();
    };
    SECTION("answers") {
        f.bucket->get("none").set_callbacks(throwing, throwing);
        f.bucket->get("none").detach();
        static_cast<void>(f.bucket->get("none"));
        Script script = go(coroutine(f.bucket->get("k")));
        f.bucket->stats("nonsense").set_callbacks(throwing, throwing);
        CHECK(booms(f.loop) == 4);
    }
    SECTION("the queue") {
        f.bucket->get("").set_callbacks(throwing, throwing);
        static_cast<void>(f.bucket->get(""));
        auto waiting = f.bucket->get("k");
        auto unheard = f.bucket->get("none");
        CHECK(booms(f.loop) == 2);
        waiting.set_callbacks(throwing, throwing);
        unheard = {};
        f.bucket->connect().set_callbacks(throwing, throwing);
        CHECK(booms(f.loop) == 3);
    }
    SECTION("deadlines") {
        f.server.mute = true;
        for (const Duration timeout : {1ms, 2ms, 2ms, 3ms}) {
            f.bucket->get("k", {.timeout = timeout}).set_callbacks(throwing, throwing);
        }
        Outcome& last = f.get("k", {.timeout = 4ms});
        unsigned n = 0;
        for (int i = 0; i < 10; ++i) {
            try {
                f.loop.advance(1ms);
            } catch (const Boom&) {
                ++n;
            }
        }
        CHECK(n == 4);
        CHECK(last.failed(errc::timeout_after_send));
    }
    SECTION("the queue and the frames left over, in one turn") {
        // The first answer throws: the second stays in the buffer. What is queued meanwhile throws in the next turn,
        // before the second answer's turn would come.
        f.bucket->get("k").set_callbacks(
            [&](ValueResult) {
                f.bucket->get("").set_callbacks(throwing, throwing);
                throw Boom();
            },
            [](const Error&) {});
        Outcome& second = f.get("k");
        CHECK(booms(f.loop) == 2);
        CHECK(second.ok());
        Outcome& third = f.get("k");
        f.loop.run();
        CHECK(third.ok());
    }
    CHECK(f.loop.net.links.size() == 1);
}

TEST_CASE("a callback that throws after it closed or destroyed the bucket", "[lifetime]") {
    for (const bool destroy : {false, true}) {
        Fixture f;
        f.server.items["k"].value = "v";
        f.connected();
        f.bucket->get("k").set_callbacks(
            [&](ValueResult) {
                if (destroy) {
                    f.bucket.reset();
                } else {
                    f.bucket->close().detach();
                }
                throw Boom();
            },
            [](const Error&) {});
        Outcome& other = f.get("k");
        CHECK(booms(f.loop) == 1);
        CHECK(other.failed(errc::shutdown));
    }
}

TEST_CASE("on_unobserved may set another while it runs", "[lifetime]") {
    Fixture f;
    f.connected();
    unsigned first = 0;
    unsigned second = 0;
    const std::string big(200, 'x');
    f.bucket->on_unobserved([&, big](const Error&) {
        ++first;
        f.bucket->on_unobserved([&](const Error&) { ++second; });
        CHECK(big.size() == 200);
    });
    static_cast<void>(f.bucket->get("1"));
    static_cast<void>(f.bucket->get("2"));
    f.loop.run();
    CHECK(first == 1);
    CHECK(second == 1);
}

TEST_CASE("a bucket that is moved takes its operations along", "[lifetime]") {
    Fixture f;
    f.connected();
    Outcome& one = f.get("k");
    AsyncBucket moved(std::move(*f.bucket));
    f.bucket.reset();
    Outcome& two = f.track(moved.get("k"));
    f.loop.run();
    CHECK(one.failed(errc::document_not_found));
    CHECK(two.failed(errc::document_not_found));
}

TEST_CASE("operations before connect wait with their deadline", "[lifetime]") {
    Fixture f;
    f.loop.net.hang_connect = true;
    Outcome& early = f.get("k", {.timeout = 1s});
    Outcome& by_default = f.get("k");
    f.loop.advance(999ms);
    CHECK(early.pending());
    f.loop.advance(1ms);
    CHECK(early.failed(errc::timeout_before_send));
    f.loop.advance(1500ms);
    CHECK(by_default.failed(errc::timeout_before_send));
    Outcome& lucky = f.get("k");
    f.loop.advance(1s);
    f.loop.net.hang_connect = false;
    f.loop.run();
    CHECK(lucky.failed(errc::document_not_found));
}

TEST_CASE("connect() may be awaited many times, and retried after failure", "[lifetime]") {
    Fixture f;
    f.loop.net.connect_errors["*"] = std::make_error_code(std::errc::connection_refused);
    std::vector<std::string> log;
    const auto task = [](AsyncBucket& bucket, std::vector<std::string>& out) -> Task<> {
        for (int i = 0; i < 3; ++i) {
            auto result = co_await bucket.connect().as_expected();
            out.push_back(result ? "ok" : std::string(name(result.error().code())));
        }
        while (true) {
            auto result = co_await bucket.connect().as_expected();
            if (result) break;
        }
        co_await bucket.connect();
        co_await bucket.connect();
        out.push_back("connected");
    };
    spawn(f.loop, task(*f.bucket, log));
    f.loop.advance(1s);
    CHECK(log == std::vector<std::string>{"not_connected", "not_connected", "not_connected"});
    f.loop.net.connect_errors.clear();
    f.loop.advance(2s);
    CHECK(log.back() == "connected");
    CHECK(f.loop.work == 0);
}
