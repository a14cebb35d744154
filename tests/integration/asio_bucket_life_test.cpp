// AsioBucket: cancellation, who goes first, what handlers throw, and the rules of threads.
#include "asio_bucket_support.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/detached.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using namespace asio::experimental::awaitable_operators;

namespace {

asio::awaitable<void> sleep_for(asio::steady_timer::duration duration) {
    asio::steady_timer timer(co_await asio::this_coro::executor, duration);
    co_await timer.async_wait(asio::use_awaitable);
}

/// How often clients have connected to the server, this one's included.
asio::awaitable<std::string> connections_made(AsioBucket& bucket) {
    const auto stats = co_await bucket.stats();
    co_return std::string(stats.get("total_connections"));
}

}  // namespace

TEST_CASE("AsioBucket: a cancellation slot ends the operation; the late response meets nobody") {
    const MemcachedProcess server;
    with_asio_bucket(server.connection_string(), [&](AsioBucket& bucket) -> asio::awaitable<void> {
        co_await bucket.upsert("slow", "slow value");
        co_await bucket.upsert("next", "next value");
        const std::string connections = co_await connections_made(bucket);
        const std::size_t idle = bucket.operations();

        server.pause();
        asio::cancellation_signal signal;
        std::exception_ptr outcome;
        int calls = 0;
        bucket.get("slow", asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr error, ValueResult) {
                       outcome = error;
                       ++calls;
                   }));
        co_await sleep_for(20ms);  // it is sent
        signal.emit(asio::cancellation_type::none);
        signal.emit(asio::cancellation_type::total);
        CHECK(calls == 0);  // on the next turn
        signal.emit(asio::cancellation_type::terminal);
        co_await sleep_for(5ms);
        CHECK(calls == 1);
        CHECK(code_of(outcome) == errc::cancelled);
        CHECK_THROWS_AS(rethrow(outcome), CancelledError);
        try {
            rethrow(outcome);
        } catch (const Exception& error) {
            CHECK(error.error().may_have_happened());
        }
        CHECK_FALSE(signal.slot().has_handler());
        CHECK(bucket.operations() == idle + 1);  // reserved until its response has been skipped

        server.resume();
        const auto found = co_await bucket.get("next");
        CHECK(found.value() == "next value");
        CHECK(bucket.operations() == idle);
        const std::string still = co_await connections_made(bucket);
        CHECK(still == connections);
        CHECK(calls == 1);
    });
}

TEST_CASE("AsioBucket: cancelled before it is sent, after it is done, and on another executor") {
    asio::io_context io{1};
    asio::io_context other{1};
    AsioBucket bucket(io, shared_server());
    asio::cancellation_signal early;
    asio::cancellation_signal elsewhere;
    asio::cancellation_signal late;
    std::vector<errc> seen;
    const auto note = [&](std::exception_ptr error, auto&&...) {
        seen.push_back(code_of(error));
        if (error && seen.back() == errc::cancelled) {
            try {
                rethrow(error);
            } catch (const Exception& exception) {
                CHECK_FALSE(exception.error().may_have_happened());
            }
        }
    };
    bucket.upsert("k", "v", asio::bind_cancellation_slot(early.slot(), note));
    bucket.get("k", asio::bind_cancellation_slot(elsewhere.slot(), asio::bind_executor(other.get_executor(), note)));
    bucket.noop(asio::bind_cancellation_slot(late.slot(), note));
    early.emit(asio::cancellation_type::partial);
    elsewhere.emit(asio::cancellation_type::partial);
    CHECK(seen.empty());
    io.run_for(50ms);
    CHECK(seen == std::vector<errc>{errc::cancelled, errc::success});
    other.run();
    CHECK(seen == std::vector<errc>{errc::cancelled, errc::success, errc::cancelled});
    CHECK_FALSE(late.slot().has_handler());
    CHECK_FALSE(elsewhere.slot().has_handler());
    late.emit(asio::cancellation_type::terminal);
    asio::post(io, [&] { bucket.close(asio::detached); });
    io.restart();
    io.run();
    CHECK(seen.size() == 3);
}

TEST_CASE("AsioBucket: an operation or a timer, whichever is first") {
    const MemcachedProcess server;
    with_asio_bucket(server.connection_string(), [&](AsioBucket& bucket) -> asio::awaitable<void> {
        co_await bucket.upsert("k", "v");
        const std::string connections = co_await connections_made(bucket);
        asio::steady_timer timer(co_await asio::this_coro::executor, 10s);
        const auto found = co_await (bucket.get("k") || timer.async_wait(asio::use_awaitable));
        REQUIRE(found.index() == 0);
        CHECK(std::get<0>(found).value() == "v");

        server.pause();
        timer.expires_after(30ms);
        const auto none = co_await (bucket.get("k") || timer.async_wait(asio::use_awaitable));
        CHECK(none.index() == 1);
        timer.expires_after(30ms);
        const auto neither = co_await (bucket.get("k", as_expected()) || timer.async_wait(asio::use_awaitable));
        // Of an Expected a failure is a value, too: who waits for one success gets what came first.
        CHECK(neither.index() == 1);
        server.resume();
        const auto both = co_await (bucket.get("k") && bucket.upsert("other", "w"));
        CHECK(std::get<0>(both).value() == "v");
        CHECK(std::get<1>(both).success());
        const std::string still = co_await connections_made(bucket);
        CHECK(still == connections);
    });
}

TEST_CASE("AsioBucket: a coroutine that is cancelled from outside") {
    const MemcachedProcess server;
    asio::io_context io{1};
    AsioBucket bucket(io, server.connection_string());
    asio::cancellation_signal signal;
    std::vector<std::string> seen;
    asio::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
            co_await bucket.connect();
            server.pause();
            try {
                co_await bucket.get("k");
            } catch (const CancelledError&) {
                seen.emplace_back("cancelled");
            }
            server.resume();
            co_await asio::this_coro::reset_cancellation_state();
            const auto stored = co_await bucket.upsert("k", "v");
            seen.emplace_back(stored.success() ? "stored" : "?");
            co_await bucket.close();
        },
        asio::bind_cancellation_slot(signal.slot(), rethrow));
    asio::steady_timer timer(io, 50ms);
    timer.async_wait([&](std::error_code) { signal.emit(asio::cancellation_type::terminal); });
    io.run();
    CHECK(seen == std::vector<std::string>{"cancelled", "stored"});
}

TEST_CASE("AsioBucket: an operation ends by its timeout, and the rest goes on") {
    const MemcachedProcess server;
    with_asio_bucket(server.connection_string(), [&](AsioBucket& bucket) -> asio::awaitable<void> {
        co_await bucket.upsert("k", "v");
        server.pause();
        CHECK_THROWS_AS(co_await bucket.get("k", {.timeout = 30ms}), TimeoutError);
        auto late = co_await bucket.upsert("k", "w", {.timeout = 30ms}, as_expected());
        CHECK(code_of(late) == errc::timeout_after_send);
        server.resume();
        const auto found = co_await bucket.get("k");
        CHECK(found.value() == "w");  // it was executed, as the error had said it might be
    });
}

TEST_CASE("AsioBucket: closed, or destroyed, with operations pending: shutdown, on the next turn") {
    const bool destroyed = GENERATE(true, false);
    const MemcachedProcess server;
    asio::io_context io{1};
    std::optional<AsioBucket> bucket(std::in_place, io, server.connection_string());
    std::vector<errc> seen;
    const auto note = [&](std::exception_ptr error, auto&&...) { seen.push_back(code_of(error)); };
    bucket->connect([&](std::exception_ptr error, OperationResult) {
        rethrow(error);
        server.pause();
        bucket->get("k", note);
        bucket->upsert("k", "v", note);
        if (destroyed) {
            bucket.reset();
        } else {
            bucket->close(asio::detached);
            bucket->get("k", note);
        }
        CHECK(seen.empty());
    });
    io.run();
    CHECK(seen == std::vector<errc>(destroyed ? 2 : 3, errc::shutdown));
}

TEST_CASE("AsioBucket: the io_context is destroyed first: who waits is destroyed uncalled") {
    const bool strand = GENERATE(true, false);
    const MemcachedProcess server;
    const auto alive = std::make_shared<int>();  // one count for each handler and coroutine
    asio::io_context other{1};
    asio::cancellation_signal signal;
    auto io = strand ? std::make_unique<asio::io_context>() : std::make_unique<asio::io_context>(1);
    AsioBucket bucket(*io, server.connection_string());
    const auto coroutine = [](AsioBucket& open, std::shared_ptr<int>) -> asio::awaitable<void> {
        auto kept = open.get("kept");  // goes with its coroutine
        auto done = open.get("");
        co_await open.get("awaited");
        FAIL("resumed");
    };
    const auto handler = [alive](auto&&...) { FAIL("called"); };

    SECTION("connected and waiting for the server") {
        bucket.connect([&](std::exception_ptr error, OperationResult) {
            rethrow(error);
            server.pause();
            asio::co_spawn(bucket.get_executor(), coroutine(bucket, alive), asio::detached);
            bucket.get("k", handler);
            bucket.get("k", as_expected(handler));
            bucket.get("k", [alive, ballast = std::array<char, 300>{}](std::exception_ptr, ValueResult) {
                FAIL("called" << ballast[0]);
            });
            bucket.get("k", asio::bind_executor(other.get_executor(), handler));
            bucket.get("k", asio::bind_cancellation_slot(signal.slot(), handler));
        });
        io->run_for(50ms);
        CHECK_FALSE(io->stopped());
        CHECK(alive.use_count() == 8);
        CHECK(bucket.operations() == 8);
    }
    SECTION("never run") {
        asio::co_spawn(bucket.get_executor(), coroutine(bucket, alive), asio::detached);
        bucket.get("k", handler);
        bucket.get("k", asio::bind_executor(other.get_executor(), handler));
        bucket.close(handler);
    }
    io.reset();
    CHECK(alive.use_count() == 2);  // ours, and the one in `handler`
    CHECK(bucket.operations() == 0);
    other.run();  // no work is left in it

    // Nothing can be started any more, and nothing is called.
    CHECK(bucket.get_executor() == asio::any_io_executor());
    bucket.get("k", handler);
    bucket.get("k", asio::bind_executor(other.get_executor(), handler));
    {
        auto dropped = bucket.get("k");
    }
    asio::co_spawn(other, coroutine(bucket, alive), asio::detached);
    other.restart();
    other.run();
    CHECK(alive.use_count() == 2);
    CHECK(bucket.operations() == 0);
}

TEST_CASE("AsioBucket: a coroutine owns its bucket, and the io_context goes first") {
    const MemcachedProcess server;
    const auto alive = std::make_shared<int>();
    {
        asio::io_context io{1};
        const auto coroutine = [](asio::io_context& where, const MemcachedProcess& process,
                                  std::shared_ptr<int>) -> asio::awaitable<void> {
            AsioBucket bucket(where, process.connection_string());
            co_await bucket.connect();
            process.pause();
            co_await bucket.get("k");
        };
        asio::co_spawn(io, coroutine(io, server, alive), asio::detached);
        io.run_for(50ms);
        CHECK_FALSE(io.stopped());
        CHECK(alive.use_count() == 2);
    }
    CHECK(alive.use_count() == 1);
}

TEST_CASE("AsioBucket: what a handler throws comes out of run(), and the engine goes on") {
    asio::io_context io{1};
    AsioBucket bucket(io, shared_server());
    std::vector<std::string> seen;
    bucket.upsert("k", "v", [&](std::exception_ptr, OperationResult) { throw std::runtime_error("one"); });
    bucket.get("k", [&](std::exception_ptr, ValueResult found) { seen.emplace_back(found.value()); });
    bucket.get("k", [&](std::exception_ptr, ValueResult) { throw std::domain_error("two"); });
    bucket.get("", [&](std::exception_ptr error, ValueResult) { rethrow(error); });
    asio::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
            const auto found = co_await bucket.get("k");
            seen.emplace_back("coroutine " + found.owned());
            co_await bucket.get("absent\n");
        },
        rethrow);
    CHECK_THROWS_AS(io.run(), ArgumentError);
    CHECK_THROWS_AS(io.run(), std::runtime_error);
    CHECK_THROWS_AS(io.run(), std::domain_error);
    CHECK_THROWS_AS(io.run(), NotFoundError);
    CHECK(seen == std::vector<std::string>{"v", "coroutine v"});
    asio::post(io, [&] {
        bucket.get("k", [&](std::exception_ptr, ValueResult found) {
            seen.emplace_back("after " + found.owned());
            bucket.close(asio::detached);
        });
    });
    io.run();
    CHECK(seen.back() == "after v");
}

TEST_CASE("AsioBucket: calls before the loop first runs") {
    asio::io_context io;  // on a strand, which nobody runs yet
    AsioBucket bucket(io, shared_server());
    std::string seen;
    bucket.upsert("k", "early", asio::detached);
    bucket.get("k", [&](std::exception_ptr error, ValueResult found) {
        rethrow(error);
        seen = found.value();
        bucket.close(asio::detached);
    });
    io.run();
    CHECK(seen == "early");
}

#if !defined(NDEBUG)
TEST_CASE("AsioBucket: a call off the bucket's executor is caught in debug builds") {
    const bool strand = GENERATE(true, false);
    int output[2];
    REQUIRE(::pipe(output) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        // Its death is neither Catch's nor the sanitizer's concern.
        ::dup2(output[1], STDERR_FILENO);
        std::signal(SIGABRT, SIG_DFL);
        const rlimit no_core{0, 0};
        ::setrlimit(RLIMIT_CORE, &no_core);
        auto io = strand ? std::make_unique<asio::io_context>() : std::make_unique<asio::io_context>(1);
        AsioBucket bucket(*io, "memcached://127.0.0.1:1");
        bucket.get("before", asio::detached);  // allowed
        asio::post(bucket.get_executor(), [&] { bucket.get("on it", asio::detached); });
        io->run_for(10ms);
        ::write(STDERR_FILENO, "so far ", 7) == 7 ? void() : ::_exit(2);
        bucket.get("off it", asio::detached);
        ::_exit(0);
    }
    REQUIRE(child > 0);
    ::close(output[1]);
    std::string said;
    char part[256];
    for (ssize_t n = 0; (n = ::read(output[0], part, sizeof part)) > 0;) said.append(part, static_cast<std::size_t>(n));
    ::close(output[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    INFO(said);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGABRT);
    CHECK(said.find("so far") == 0);
    CHECK(said.find("assert_on_strand") != std::string::npos);
}
#endif
