// How multi operations end: timeouts, cancellation, lost connections, buckets and loops that go.

#include "tests/unit/api/consumers.hpp"
#include "tests/unit/api/multi_fixture.hpp"

#include <chaise/chaise.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <exception>
#include <list>
#include <map>
#include <optional>
#include <ranges>
#include <set>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Opcode;

TEST_CASE("a timeout: what came is there, the rest timed out", "[multi]") {
    Multi f;
    f.put("a", "1");
    f.server.hold = true;
    const auto done = f.book(f.bucket->get_multi(keys("a", "b", "c"), {.timeout = 100ms, .quiet = true}));
    f.loop.run();
    f.server.answer(0);
    f.loop.advance(99ms);
    CHECK(done->calls == 0);
    f.loop.advance(1ms);
    CHECK(done->calls == 1);
    CHECK(done->error == errc::timeout_after_send);
    CHECK(done->error.context().key == "b");
    CHECK(joined(done->results) == "a=1 b=timeout_after_send c=timeout_after_send");
    f.server.answer(1);
    f.server.answer(2);
    f.server.answer(3);  // what closes the quiet gets
    f.loop.run();
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("cancel: before it was sent, and after; what came is there", "[multi]") {
    Multi f;
    f.put("a", "1");
    f.server.hold = true;
    {
        auto operation = f.bucket->get_multi(keys("a", "b"));
        operation.cancel();
        operation.cancel();
        const auto done = f.run(std::move(operation));
        CHECK(done.error == errc::cancelled);
        CHECK_FALSE(done.error.may_have_happened());
        CHECK(joined(done.results) == "a=cancelled b=cancelled");
        CHECK(f.server.seen.empty());
    }
    CHECK(f.bucket->operations() == 0);
    auto operation = f.bucket->get_multi(keys("a", "b", "c"));
    f.loop.run();
    f.server.answer(0);
    f.loop.run();
    operation.cancel();
    const auto done = f.run(std::move(operation));
    CHECK(done.error == errc::cancelled);
    CHECK(done.error.context().operation == "get_multi");
    CHECK(done.error.may_have_happened());
    CHECK(joined(done.results) == "a=1 b=cancelled c=cancelled");
    CHECK(f.bucket->operations() == 2);  // their answers will come
    f.server.answer(1);
    f.server.answer(2);
    f.server.answer(3);
    f.loop.run();
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("cancel while the errors of the entries wait for their turn", "[multi]") {
    Multi f;
    f.server.hold = true;
    auto operation = f.bucket->get_multi(keys("a", "b"));
    f.loop.run();
    f.bucket->close().detach();
    operation.cancel();
    const auto done = f.run(std::move(operation));
    CHECK(done.error == errc::cancelled);
    CHECK(joined(done.results) == "a=shutdown b=shutdown");
}

TEST_CASE("destroyed while awaited: nothing is called, what was not sent is not", "[multi]") {
    Multi f;
    f.server.hold = true;
    const auto await = [](AsyncBucket& bucket, bool& resumed) -> Script {
        const Counted counted;
        auto all = co_await bucket.get_multi(keys("a", "b"));
        resumed = true;
    };
    bool resumed = false;
    {
        Script script = go(await(*f.bucket, resumed));
        CHECK(f.bucket->operations() == 3);
    }
    CHECK(f.bucket->operations() == 0);
    f.loop.run();
    CHECK(f.server.seen.empty());
    {
        Script script = go(await(*f.bucket, resumed));
        f.loop.run();
        REQUIRE(f.server.seen.size() == 3);
    }
    f.loop.run();
    CHECK(f.bucket->operations() == 2);
    f.server.answer_all();
    f.loop.run();
    CHECK_FALSE(resumed);
    CHECK(Counted::alive == 0);
}

TEST_CASE("dropped without a consumer: it is done, its error is unobserved; detached: nobody hears", "[multi]") {
    Multi f;
    f.put("a", "1");
    static_cast<void>(f.bucket->remove_multi(keys("a", "b")));
    f.loop.run();
    CHECK(f.server.items.empty());
    REQUIRE(f.unobserved.size() == 1);
    CHECK(f.unobserved[0] == errc::document_not_found);
    CHECK(f.unobserved[0].all_results<OperationResult>().size() == 2);
    f.unobserved.clear();
    f.bucket->remove_multi(keys("a", "b")).detach();
    f.bucket->upsert_multi(Pairs{{"q", "1"}}).detach();
    f.loop.run();
    CHECK(f.server.items.contains("q"));
}

TEST_CASE("an outcome that comes before its consumer waits", "[multi]") {
    Multi f;
    f.put("a", "1");
    auto found = f.bucket->get_multi(keys("a"));
    auto failed = f.bucket->get_multi(keys("b"));
    auto there = f.bucket->exists_multi(keys("a"));
    auto stored = f.bucket->upsert_multi(Pairs{{"c", "3"}});
    {
        auto never = f.bucket->get_multi(keys("a", "b"), {.quiet = true});
        f.loop.run();
        never.detach();
    }
    CHECK(joined(f.run(std::move(found)).results) == "a=1");
    CHECK(f.run(std::move(failed)).error == errc::document_not_found);
    CHECK(f.run(std::move(there)).results[0].result->exists());
    CHECK(f.run(std::move(stored)).results.all_ok());
    {
        auto dropped = f.bucket->get_multi(keys("a"));
        f.loop.run();
    }
}

TEST_CASE("the connection is lost: reads are repeated, writes that were sent say so", "[multi]") {
    Multi f;
    f.put("a", "1");
    f.server.hold = true;
    const auto read = f.book(f.bucket->get_multi(keys("a")));
    const auto write = f.book(f.bucket->upsert_multi(Pairs{{"b", "1"}, {"c", "1"}}));
    f.loop.run();
    f.server.hold = false;
    f.link().reset();
    f.loop.advance(1s);
    CHECK(joined(read->results) == "a=1");
    CHECK(write->calls == 1);
    CHECK(write->error == errc::connection_lost_after_send);
    CHECK(write->error.may_have_happened());
    CHECK(write->results.errors().size() == 2);
}

TEST_CASE("the bucket is destroyed: shutdown on the next turn; results live on", "[multi]") {
    MultiResult<ValueResult> kept;
    {
        Fixture f;
        f.connected();
        f.server.items["a"] = {std::string(1000, 'v'), 0, 1};
        f.bucket->get_multi(keys("a")).set_callbacks([&](const auto& all) { kept = all; }, [](const Error&) {});
        f.loop.run();
        f.server.hold = true;
        std::optional<Error> error;
        f.bucket->get_multi(keys("a", "b")).set_callbacks([](const auto&) {}, [&](const Error& e) { error = e; });
        f.loop.run();
        f.bucket.reset();
        CHECK_FALSE(error);
        f.loop.run();
        REQUIRE(error);
        CHECK(*error == errc::shutdown);
        CHECK(error->all_results<ValueResult>().size() == 2);
    }
    CHECK(kept.at("a")->value() == std::string(1000, 'v'));
}

TEST_CASE("the loop dies first: consumers are destroyed uncalled, coroutines are their owners'", "[multi]") {
    Counted::alive = 0;
    Script script;
    bool called = false;
    bool resumed = false;
    std::optional<AsyncBucket> bucket;
    {
        ScriptLoop loop;
        ScriptServer server(loop);
        bucket.emplace(loop.make_iops(), "memcached://node");
        loop.run();
        server.hold = true;
        Counted counted;
        bucket->get_multi(keys("a", "b"))
            .set_callbacks([&, counted](const auto&) { called = true; }, [&, counted](const Error&) { called = true; });
        bucket->get_multi(keys("a", "b")).detach();
        script = go([](AsyncBucket& b, bool& done) -> Script {
            auto all = co_await b.get_multi(keys("c", "d"));
            done = true;
        }(*bucket, resumed));
        loop.run();
    }
    CHECK_FALSE(called);
    CHECK_FALSE(resumed);
    CHECK(Counted::alive == 0);
    script.destroy();
    bucket->get_multi(keys("a", "b"))
        .set_callbacks([&](const auto&) { called = true; }, [&](const Error&) { called = true; });
    bucket.reset();
    CHECK_FALSE(called);
}

TEST_CASE("a consumer that destroys other multi operations, and the bucket", "[multi]") {
    Fixture f;
    f.connected();
    std::optional<AsyncResult<MultiResult<ValueResult>>> other = f.bucket->get_multi(keys("x", "y"));
    Script awaiting;
    bool called = false;
    f.bucket->get_multi(keys("a", "b"), {.quiet = true})
        .set_callbacks(
            [&](const auto&) {
                called = true;
                other->cancel();
                other->detach();
                other.reset();
                awaiting.destroy();
                f.bucket.reset();
            },
            [](const Error&) {});
    awaiting = go([](AsyncBucket& b) -> Script {
        auto all = co_await b.get_multi(keys("c", "d"));
        FAIL("destroyed");
    }(*f.bucket));
    f.loop.run();
    CHECK(called);
}
