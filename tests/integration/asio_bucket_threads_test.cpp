// AsioBucket where several threads run the loop. Everything of the tests' own is a plain variable: TSan is the judge.
#include "asio_bucket_support.hpp"

#include <asio/bind_executor.hpp>
#include <asio/detached.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_future.hpp>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

constexpr int coroutines = 50;
constexpr int rounds = 40;

struct Tally {
    std::string prefix;  // of the keys
    int right = 0;
    int wrong = 0;
    int left = coroutines;
};

/// On the bucket's executor: own keys, short and long values, errors, and two operations at once.
asio::awaitable<void> work(AsioBucket& bucket, Tally& tally, int number) {
    const std::string key = tally.prefix + std::to_string(number);
    for (int i = 0; i < rounds; ++i) {
        const std::string value(static_cast<std::size_t>(i % 2 == 0 ? 10 : 500), static_cast<char>('a' + number % 26));
        co_await bucket.upsert(key, value);
        auto first = bucket.get(key);
        auto absent = bucket.get(key + "absent", as_expected());
        const auto missing = co_await std::move(absent);
        const auto found = co_await std::move(first);
        ++(found.value() == value && code_of(missing) == errc::document_not_found ? tally.right : tally.wrong);
        if (i % 10 == 0) co_await asio::post(bucket.get_executor(), asio::use_awaitable);
    }
    if (--tally.left == 0) co_await bucket.close();
}

void spawn_work(AsioBucket& bucket, Tally& tally) {
    for (int i = 0; i < coroutines; ++i) asio::co_spawn(bucket.get_executor(), work(bucket, tally, i), rethrow);
}

void judge(const Tally& tally) {
    CHECK(tally.right == coroutines * rounds);
    CHECK(tally.wrong == 0);
    CHECK(tally.left == 0);
}

}  // namespace

TEST_CASE("AsioBucket: many coroutines, in an io_context that two threads run") {
    asio::io_context io;
    AsioBucket bucket(io, shared_server());
    Tally tally{.prefix = "key"};
    spawn_work(bucket, tally);
    std::thread other([&] { io.run(); });
    io.run();
    other.join();
    judge(tally);
    CHECK(bucket.operations() == 0);
}

TEST_CASE("AsioBucket: two buckets on a thread_pool, each on a strand of its own") {
    asio::thread_pool pool(2);
    AsioBucket one(pool, shared_server());
    AsioBucket two(pool.get_executor(), shared_server());
    Tally first{.prefix = "one"};
    Tally second{.prefix = "two"};
    asio::post(one.get_executor(), [&] { spawn_work(one, first); });
    asio::post(two.get_executor(), [&] { spawn_work(two, second); });
    pool.join();
    judge(first);
    judge(second);
}

TEST_CASE("AsioBucket: futures for another thread, while coroutines are at work") {
    asio::thread_pool pool(2);
    AsioBucket bucket(pool, shared_server());
    Tally tally{.prefix = "key"};
    asio::post(bucket.get_executor(), [&] { spawn_work(bucket, tally); });
    std::vector<ValueResult> results;
    for (int i = 0; i < 100; ++i) {
        const std::string key = "future" + std::to_string(i % 10);
        auto future = asio::post(bucket.get_executor(), asio::use_future([&] {
                                     bucket.upsert(key, std::string(300, 'f'), asio::detached);
                                     return bucket.get(key, as_expected(asio::use_future));
                                 }))
                          .get();
        auto found = future.get();
        if (!found) {
            CHECK(found.error() == errc::shutdown);  // the coroutines were faster
            break;
        }
        results.push_back(*std::move(found));
    }
    pool.join();
    judge(tally);
    REQUIRE_FALSE(results.empty());
    // What shares the receive buffers dies on this thread.
    for (const ValueResult& result : results) CHECK(result.value() == std::string(300, 'f'));
}

TEST_CASE("AsioBucket: handlers on another thread's executor, and results that go there") {
    asio::io_context other{1};
    auto stay = asio::make_work_guard(other);
    std::thread elsewhere([&] { other.run(); });
    asio::io_context io;
    AsioBucket bucket(io, shared_server());
    const std::string value(1000, 'v');
    int right = 0;
    int wrong = 0;
    std::function<void(int)> next = [&](int left) {
        if (left == 0) return bucket.close(asio::detached);
        bucket.upsert("k", value, asio::detached);
        bucket.get("k",
                   asio::bind_executor(other.get_executor(), [&, left](std::exception_ptr error, ValueResult found) {
                       ++(!error && found.value() == value ? right : wrong);
                       asio::post(bucket.get_executor(), [&, left] { next(left - 1); });
                   }));
    };
    next(300);
    std::thread second([&] { io.run(); });
    io.run();
    second.join();
    stay.reset();
    elsewhere.join();
    CHECK(right == 300);
    CHECK(wrong == 0);
}
