// Task and spawn.

#include "tests/unit/api/consumers.hpp"
#include "tests/unit/engine/session_fixture.hpp"

#include <chaise/epoll.hpp>
#include <chaise/spawn.hpp>
#include <chaise/task.hpp>
#include <chaise/testing/simulation.hpp>

#include <catch2/catch.hpp>

#include <stdexcept>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

Task<int> number(int n) { co_return n; }
Task<std::unique_ptr<int>> only_moves(int n) { co_return std::make_unique<int>(n); }
Task<> throws(Counted) {
    throw std::runtime_error("from a task");
    co_return;
}
Task<int> sum(int depth) {
    if (depth == 0) co_return 0;
    co_return 1 + co_await sum(depth - 1);
}
Task<std::string> sum_of_gets(AsyncBucket& bucket, int depth) {
    if (depth == 0) co_return (co_await bucket.get("k")).owned();
    std::string below = co_await sum_of_gets(bucket, depth - 1);
    co_return below + (depth % 100 == 0 ? "." : "");
}

/// A loop that only spawns.
template <class T>
void run_now(ScriptLoop& loop, T&& body) {
    spawn(loop, body());
    loop.run();
    REQUIRE(loop.work == 0);
}

}  // namespace

TEST_CASE("a task gives its value, or throws what it threw", "[task]") {
    ScriptLoop loop;
    std::string log;
    Counted::alive = 0;
    run_now(loop, [&]() -> Task<> {
        log += std::to_string(co_await number(1));
        auto named = number(2);
        log += std::to_string(co_await named);
        auto pointer = co_await only_moves(3);
        log += std::to_string(*pointer);
        try {
            co_await throws(Counted());
        } catch (const std::runtime_error& error) {
            log += error.what();
        }
        auto failed = throws(Counted());
        try {
            co_await std::move(failed);
        } catch (const std::runtime_error&) {
            log += "!";
        }
    });
    CHECK(log == "123from a task!");
    CHECK(Counted::alive == 0);
}

TEST_CASE("a task is awaited once", "[task]") {
    ScriptLoop loop;
    unsigned refused = 0;
    run_now(loop, [&]() -> Task<> {
        auto task = number(1);
        static_cast<void>(co_await task);
        try {
            static_cast<void>(co_await task);
        } catch (const std::logic_error&) {
            ++refused;
        }
        auto empty = std::move(task);
        try {
            static_cast<void>(co_await task);  // NOLINT: moved from
        } catch (const std::logic_error&) {
            ++refused;
        }
    });
    CHECK(refused == 2);
    // Also while it waits.
    Fixture f;
    f.connected();
    f.server.hold = true;
    auto shared = [](AsyncBucket& bucket) -> Task<> {
        static_cast<void>(co_await bucket.get("k").as_expected());
    }(*f.bucket);
    bool first_done = false;
    const auto first = [&]() -> Task<> {
        co_await shared;
        first_done = true;
    };
    const auto second = [&]() -> Task<> {
        try {
            co_await shared;
        } catch (const std::logic_error&) {
            ++refused;
        }
    };
    spawn(f.loop, first());
    spawn(f.loop, second());
    f.loop.run();
    CHECK(refused == 3);
    f.server.answer_all();
    f.loop.run();
    CHECK(first_done);
}

TEST_CASE("a task that is never started is destroyed, its arguments with it", "[task]") {
    Counted::alive = 0;
    {
        auto never = throws(Counted());
        CHECK(Counted::alive == 1);
        auto moved = std::move(never);
        CHECK(Counted::alive == 1);
        moved = throws(Counted());
        CHECK(Counted::alive == 1);
    }
    CHECK(Counted::alive == 0);
}

TEST_CASE("a task that is destroyed while it waits abandons its operation", "[task]") {
    Counted::alive = 0;
    Fixture f;
    f.connected();
    f.server.hold = true;
    const auto inner = [](AsyncBucket& bucket, Counted) -> Task<> { co_await bucket.get("k"); };
    const auto outer = [&](Counted counted) -> Task<> { co_await inner(*f.bucket, counted); };
    {
        auto task = std::make_unique<Task<>>(outer(Counted()));
        const auto driver = [](Task<>& t) -> Script { co_await t; };
        Script script = go(driver(*task));
        f.loop.run();
        CHECK(Counted::alive >= 2);
        script.destroy();
        task.reset();
    }
    CHECK(Counted::alive == 0);
    CHECK(f.bucket->operations() == 1);
    f.server.answer_all();
    f.loop.run();
    CHECK(f.bucket->operations() == 0);
    CHECK(f.unobserved.empty());
}

TEST_CASE("moderately deep recursion, finishing at once and after waiting", "[task]") {
    Fixture f;
    f.server.items["k"].value = "v";
    int depth = 0;
    std::string text;
    run_now(f.loop, [&]() -> Task<> {
        depth = co_await sum(1000);
        text = co_await sum_of_gets(*f.bucket, 1000);
    });
    CHECK(depth == 1000);
    CHECK(text == "v..........");
}

namespace {

template <class L>
struct Made {
    static L make() { return L(); }
};
template <>
struct Made<SimWorld> {
    static SimWorld make() { return SimWorld(1); }
};

}  // namespace

TEMPLATE_TEST_CASE("spawn: work is counted, exceptions leave run, what waits is destroyed with the loop", "[task]",
                   EpollLoop, SimWorld) {
    Counted::alive = 0;
    unsigned ran = 0;
    const auto task = [&](Counted) -> Task<> {
        ++ran;
        co_return;
    };
    {
        TestType loop = Made<TestType>::make();
        spawn(loop, task(Counted()));
        CHECK(ran == 0);  // on the next turn
        spawn(loop, task(Counted()));
        loop.run();
        CHECK(ran == 2);
        CHECK(Counted::alive == 0);

        spawn(loop, throws(Counted()));
        spawn(loop, task(Counted()));
        CHECK_THROWS_WITH(loop.run(), "from a task");
        loop.run();
        CHECK(ran == 3);
        CHECK(Counted::alive == 0);

        AsyncBucket bucket(loop, "memcached://127.0.0.1:1");  // nobody is there
        bucket.on_unobserved(nullptr);
        const auto waits = [&](Counted) -> Task<> {
            co_await bucket.get("k", {.timeout = 1h});
            ++ran;
        };
        spawn(loop, waits(Counted()));
        spawn(loop, [](TestType& l) -> Task<> {
            l.stop();
            co_return;
        }(loop));
        loop.run();
        CHECK(Counted::alive == 1);
        spawn(loop, task(Counted()));  // never started
        CHECK(Counted::alive == 2);
        bucket.close().detach();
    }
    CHECK(ran == 3);
    CHECK(Counted::alive == 0);
}
