// What an operation of an AsioBucket gives without a completion token: an awaitable without a coroutine of its own.

#include "asio_bucket_support.hpp"

#include <asio/detached.hpp>
#include <asio/dispatch.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

TEST_CASE("AsioAwaitable: becomes Asio's own type where one is asked for") {
    with_asio_bucket(shared_server(), [](AsioBucket& bucket) -> asio::awaitable<void> {
        static_assert(std::is_same_v<decltype(bucket.get("k")), AsioAwaitable<ValueResult>>);
        static_assert(std::is_same_v<decltype(bucket.get("k", asio::use_awaitable)), asio::awaitable<ValueResult>>);
        co_await bucket.upsert("k", "v");
        asio::awaitable<ValueResult> converted = bucket.get("k");
        const ValueResult found = co_await std::move(converted);
        CHECK(found.value() == "v");
        asio::awaitable<Expected<ValueResult, Error>> failing = bucket.get("absent", as_expected());
        const auto absent = co_await std::move(failing);
        CHECK(code_of(absent) == errc::document_not_found);
    });
}

TEST_CASE("AsioAwaitable: kept, awaited later, and in any order") {
    with_asio_bucket(shared_server(), [](AsioBucket& bucket) -> asio::awaitable<void> {
        co_await bucket.upsert("a", "1");
        co_await bucket.upsert("b", "2");
        auto first = bucket.get("a");
        auto second = bucket.get("b");
        CHECK(first.valid());
        const ValueResult b = co_await std::move(second);
        asio::steady_timer timer(co_await asio::this_coro::executor, 5ms);  // the first outcome waits in its slot
        co_await timer.async_wait(asio::use_awaitable);
        const ValueResult a = co_await std::move(first);
        CHECK(a.value() == "1");
        CHECK(b.value() == "2");
        CHECK_FALSE(first.valid());
    });
}

TEST_CASE("AsioAwaitable: dropped unawaited, the operation goes on") {
    std::optional<errc> unobserved;
    with_asio_bucket(shared_server(), [&](AsioBucket& bucket) -> asio::awaitable<void> {
        bucket.on_unobserved([&](const Error& error) { unobserved = error.code(); });
        {
            [[maybe_unused]] const auto stored = bucket.upsert("dropped", "v");
        }
        {
            [[maybe_unused]] const auto absent = bucket.get("never there");
        }
        const ValueResult found = co_await bucket.get("dropped");
        CHECK(found.value() == "v");
    });
    CHECK(unobserved == errc::document_not_found);
}

TEST_CASE("AsioAwaitable: spawned as it is") {
    asio::io_context io{1};
    AsioBucket bucket(io, shared_server());
    std::string value;
    std::exception_ptr error;
    asio::co_spawn(bucket.get_executor(), bucket.upsert("spawned", "v"), [&](std::exception_ptr failure, auto) {
        rethrow(failure);
        asio::co_spawn(bucket.get_executor(), bucket.get("spawned"),
                       [&](std::exception_ptr failed, const ValueResult& found) {
                           rethrow(failed);
                           value = found.value();
                       });
        asio::co_spawn(bucket.get_executor(), bucket.get("absent"), [&](std::exception_ptr failed, const ValueResult&) {
            error = failed;
            bucket.close(asio::detached);
        });
    });
    io.run();
    CHECK(value == "v");
    CHECK(testing::code_of(error) == errc::document_not_found);
}

TEST_CASE("AsioAwaitable: a coroutine on another executor goes on there") {
    asio::io_context io{1};
    asio::io_context elsewhere{1};
    AsioBucket bucket(io, shared_server());
    std::vector<errc> seen;
    std::string value;
    // Started by a call on the bucket's executor, as every operation has to be.
    asio::co_spawn(
        elsewhere,
        [&]() -> asio::awaitable<void> {
            co_await bucket.upsert("k", "v");
            CHECK(elsewhere.get_executor().running_in_this_thread());
            const ValueResult found = co_await bucket.get("k");
            value = found.value();
            const auto absent = co_await bucket.get("absent", as_expected());
            seen.push_back(code_of(absent));
            try {
                co_await bucket.get("absent");
            } catch (const NotFoundError& error) {
                seen.push_back(error.code());
            }
            bucket.close(asio::detached);
        },
        rethrow);
    for (int turn = 0; turn < 5'000 && seen.size() < 2; ++turn) {
        // One thread runs both: a call is on the strand if it is made before the loop first runs, or in it.
        io.restart();
        io.run_for(1ms);
        asio::dispatch(io, [&] {
            elsewhere.restart();
            elsewhere.poll();
        });
    }
    io.restart();
    io.run();
    CHECK(value == "v");
    CHECK(seen == std::vector<errc>{errc::document_not_found, errc::document_not_found});
}

TEST_CASE("AsioAwaitable: the loop ends while a coroutine waits") {
    MemcachedProcess server;
    bool unwound = false;
    {
        asio::io_context io{1};
        AsioBucket bucket(io, server.connection_string());
        asio::co_spawn(
            bucket.get_executor(),
            [&]() -> asio::awaitable<void> {
                struct Guard {
                    bool& unwound;
                    ~Guard() { unwound = true; }
                } guard{unwound};
                co_await bucket.upsert("k", "v");
                server.pause();
                co_await bucket.get("k");
                FAIL("it never comes");
            },
            rethrow);
        io.run_for(100ms);
        CHECK_FALSE(unwound);
        CHECK(bucket.operations() == 1);
    }
    CHECK(unwound);
    server.resume();
}
