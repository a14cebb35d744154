// Multi-get on memcached: misses are not answered, and are told by the answers to later requests.

#include "cluster/memcached/server.hpp"
#include "tests/support/code_of.hpp"
#include "tests/support/sleep.hpp"

#include <chaise/chaise.hpp>
#include <chaise/testing/simulation.hpp>

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

struct One {
    explicit One(std::uint64_t seed = 1, std::string_view options = {}) : world(seed) {
        world.boot("mc", [this](std::unique_ptr<IOPS> iops) {
            server = std::make_shared<MemcachedServer>(std::move(iops), engine,
                                                       MemcachedServerOptions{.listen = {"mc", 11211}});
            return std::shared_ptr<void>(server, server.get());
        });
        bucket.emplace(world, "memcached://mc" + std::string(options));
    }
    ~One() {
        bucket.reset();
        server.reset();
    }
    template <class F>
    void run(F body) {
        spawn(world, body());
        world.run();
    }
    [[nodiscard]] static std::vector<std::string> names(int n) {
        std::vector<std::string> all;
        for (int i = 0; i < n; ++i) all.push_back("key" + std::to_string(i));
        return all;
    }
    /// Every second key is there.
    Task<> fill(const std::vector<std::string>& all) {
        for (std::size_t i = 0; i < all.size(); i += 2) co_await bucket->upsert(all[i], "value of " + all[i]);
    }

    SimWorld world;
    std::shared_ptr<MemcachedEngine> engine = std::make_shared<MemcachedEngine>();
    std::shared_ptr<MemcachedServer> server;
    std::optional<AsyncBucket> bucket;
};

}  // namespace

TEST_CASE("hits and misses are told apart, and misses cost no answer", "[quiet]") {
    for (const int n : {1, 2, 3, 100}) {
        CAPTURE(n);
        One one;
        const auto all = One::names(n);
        std::uint64_t multi = 0, single = 0;
        one.run([&]() -> Task<> {
            co_await one.fill(all);
            std::uint64_t before = one.world.counts().bytes;
            const auto found = co_await one.bucket->get_multi(all, {.quiet = true});
            multi = one.world.counts().bytes - before;
            std::size_t i = 0;
            for (const auto& [key, result] : found) {
                CHECK(key == all[i]);
                REQUIRE(result);
                CHECK(result->success() == (i % 2 == 0));
                if (result->success()) CHECK(result->value() == "value of " + std::string(key));
                ++i;
            }
            CHECK(one.bucket->operations() <= 1);
            before = one.world.counts().bytes;
            std::vector<AsyncResult<ValueResult>> gets;
            for (const auto& key : all) gets.push_back(one.bucket->get(key, {.quiet = true}));
            for (auto& get : gets) {
                const auto result = co_await get;
                static_cast<void>(result);
            }
            single = one.world.counts().bytes - before;
        });
        // A miss is 33 bytes ("Not found"); the NOOP and its answer 48.
        const std::uint64_t misses = static_cast<std::uint64_t>(n / 2);
        if (n == 100) {
            WARN("100 keys, 50 missing: " << multi << " bytes, one by one " << single);
            CHECK(single - multi == 33 * misses - 48);
        }
        one.world.run_for(1s);
        CHECK(one.bucket->operations() == 0);
    }
}

TEST_CASE("an error for a miss says what a loud get's says", "[quiet]") {
    One one;
    one.run([&]() -> Task<> {
        const auto all = One::names(4);
        co_await one.fill(all);
        const auto found = co_await one.bucket->get_multi(all).as_expected();
        REQUIRE_FALSE(found);
        CHECK(found.error().code() == errc::document_not_found);
        CHECK(found.error().context().key == "key1");
        const auto& results = found.error().all_results<ValueResult>();
        CHECK(results.size() == 4);
    });
}

TEST_CASE("exists_multi and get_and_touch_multi tell hits and misses apart, too", "[quiet]") {
    One one;
    one.run([&]() -> Task<> {
        const auto all = One::names(5);
        co_await one.fill(all);
        const auto there = co_await one.bucket->exists_multi(all);
        for (std::size_t i = 0; i < 5; ++i) CHECK(there[i].result->exists() == (i % 2 == 0));
        const auto touched = co_await one.bucket->get_and_touch_multi(all, 5s, {.quiet = true});
        for (std::size_t i = 0; i < 5; ++i) CHECK(touched[i].result->success() == (i % 2 == 0));
        CHECK(touched[4].result->value() == "value of key4");
        const auto untouched = co_await one.bucket->get_and_touch_multi(keys("key0", "none"), 5s).as_expected();
        CHECK(code_of(untouched) == errc::document_not_found);
    });
    one.world.run_for(7s);
    one.run([&]() -> Task<> {
        const auto gone = co_await one.bucket->exists_multi(keys("key0", "key2", "key4"));
        for (const auto& [key, result] : gone) CHECK_FALSE(result->exists());
    });
    one.world.run_for(1s);
    CHECK(one.bucket->operations() == 0);
}

TEST_CASE("withdrawn unsent, in whatever order, they leave nothing behind", "[quiet]") {
    One one;
    one.run([&]() -> Task<> {
        co_await one.bucket->connect();
        const auto all = One::names(3);
        auto before = one.bucket->get("before", {.quiet = true});
        auto first = one.bucket->get_multi(all, {.quiet = true});
        auto second = one.bucket->get_multi(all, {.quiet = true});
        const std::size_t pending = one.bucket->operations();
        first.cancel();
        CHECK(one.bucket->operations() == pending - 3);
        const auto rest = co_await second;
        CHECK(rest.size() == 3);
        const auto none = co_await before;
        CHECK_FALSE(none.success());
        const auto cancelled = co_await first.as_expected();
        CHECK(code_of(cancelled) == errc::cancelled);
    });
    one.world.run_for(1s);
    CHECK(one.bucket->operations() == 0);
}

TEST_CASE("a later operation's answer tells of misses, in the order of issue", "[quiet]") {
    One one;
    one.run([&]() -> Task<> {
        co_await one.bucket->connect();
        const auto all = One::names(5);
        std::vector<std::string> order;
        one.bucket->get_multi(all, {.quiet = true})
            .set_callbacks([&](MultiResult<ValueResult>) { order.push_back("multi"); }, [](const Error&) {});
        auto stored = one.bucket->upsert("key1", "v");
        co_await stored;
        order.push_back("upsert");
        CHECK(order == std::vector<std::string>{"multi", "upsert"});
    });
}

TEST_CASE("a connection that is lost between them: everything is asked again, and answered once", "[quiet]") {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        CAPTURE(seed);
        One one(seed);
        unsigned calls = 0;
        one.run([&]() -> Task<> {
            const auto all = One::names(200);
            co_await one.fill(all);
            one.world.after(std::chrono::microseconds(seed * 23), [&] { one.world.reset_connections("mc"); });
            const auto found = co_await one.bucket->get_multi(all, {.quiet = true});
            ++calls;
            std::size_t i = 0;
            for (const auto& [key, result] : found) CHECK(result->success() == (i++ % 2 == 0));
        });
        CHECK(calls == 1);
        one.world.run_for(5s);
        CHECK(one.bucket->operations() == 0);
    }
}

TEST_CASE("cancelled and timed out: nothing is left over, and the connection is still in step", "[quiet]") {
    One one(1, "?operation_timeout=0.2");
    one.run([&]() -> Task<> {
        const auto all = One::names(50);
        co_await one.fill(all);
        auto cancelled = one.bucket->get_multi(all, {.quiet = true});
        cancelled.cancel();
        const auto outcome = co_await cancelled.as_expected();
        CHECK(code_of(outcome) == errc::cancelled);
        one.world.pause("mc");
        const auto late = co_await one.bucket->get_multi(all, {.quiet = true}).as_expected();
        CHECK(code_of(late) != errc::success);
        one.world.resume("mc");
        const auto again = co_await one.bucket->get_multi(all, {.timeout = 2s, .quiet = true});
        std::size_t i = 0;
        for (const auto& [key, result] : again) CHECK(result->success() == (i++ % 2 == 0));
    });
    one.world.run_for(5s);
    CHECK(one.bucket->operations() == 0);
}

TEST_CASE("multi-gets under faults of every kind: each entry ends once", "[quiet]") {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        CAPTURE(seed);
        One one(seed, "?operation_timeout=0.3");
        unsigned started = 0, ended = 0, wrong = 0;
        const auto worker = [&](int n) -> Task<> {
            auto clock = one.world.make_iops();
            const auto all = One::names(30);
            for (int i = 0; i < 20; ++i) {
                ++started;
                const auto found = co_await one.bucket->get_multi(all, {.quiet = true}).as_expected();
                ++ended;
                if (found) {
                    std::size_t k = 0;
                    for (const auto& [key, result] : *found) {
                        if (!result || result->success() != (k % 2 == 0)) ++wrong;
                        ++k;
                    }
                }
                co_await Sleep(*clock, std::chrono::microseconds(500 + 300 * n));
            }
        };
        one.run([&]() -> Task<> { co_await one.fill(One::names(30)); });
        for (int n = 0; n < 4; ++n) spawn(one.world, worker(n));
        for (int i = 1; i < 6; ++i) {
            one.world.after(std::chrono::microseconds(seed * 97 + static_cast<std::uint64_t>(i) * 2100),
                            [&] { one.world.reset_connections("mc"); });
        }
        one.world.run();
        CHECK(started == 80);
        CHECK(ended == started);
        CHECK(wrong == 0);
        one.world.run_for(5s);
        CHECK(one.bucket->operations() == 0);
    }
}
