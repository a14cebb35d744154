// The raw face on the loops that ship, against a memcached that listens on the same loop (EpollLoop: real sockets).

#include "cluster/memcached/server.hpp"
#include "tests/unit/api/consumers.hpp"
#include "tests/unit/iops/socket_options.hpp"

#include <chaise/chaise.hpp>
#include <chaise/epoll.hpp>
#include <chaise/testing/simulation.hpp>

#include <catch2/catch.hpp>

#include <thread>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

struct OnEpoll {
    EpollLoop loop;
    std::unique_ptr<MemcachedServer> server = std::make_unique<MemcachedServer>(
        loop.make_iops(), std::make_shared<MemcachedEngine>(), MemcachedServerOptions{});
    [[nodiscard]] std::string where() const { return "memcached://" + server->endpoint().to_string(); }
};
struct InSimWorld {
    SimWorld loop{42};
    std::unique_ptr<MemcachedServer> server = std::make_unique<MemcachedServer>(
        loop.make_iops("mc"), std::make_shared<MemcachedEngine>(), MemcachedServerOptions{.listen = {"mc", 11211}});
    [[nodiscard]] std::string where() const { return "memcached://mc"; }
};

}  // namespace

TEMPLATE_TEST_CASE("a conversation, by task and by callback", "[loops]", OnEpoll, InSimWorld) {
    TestType on;
    AsyncBucket bucket(on.loop, on.where());
    bool done = false;
    unsigned called = 0;
    const auto work = [&]() -> Task<> {
        co_await bucket.connect();
        const auto me = std::this_thread::get_id();
        std::vector<AsyncResult<OperationResult>> stores;
        for (int i = 0; i < 200; ++i) {
            stores.push_back(
                bucket.upsert("key" + std::to_string(i), std::string(static_cast<std::size_t>(i) * 500, 'v')));
        }
        for (auto& store : stores) co_await store;
        for (int i = 199; i >= 0; --i) {
            auto value = co_await bucket.get("key" + std::to_string(i));
            if (value.value().size() != static_cast<std::size_t>(i) * 500) throw std::logic_error("wrong value");
        }
        for (int i = 0; i < 1000; ++i) {
            bucket.get("key1").set_callbacks([&](ValueResult) { called += std::this_thread::get_id() == me ? 1u : 0u; },
                                             [](const Error&) {});
        }
        co_await bucket.noop();
        co_await bucket.close();
        auto after = co_await bucket.get("key1").as_expected();
        done = after.error().code() == errc::shutdown;
    };
    spawn(on.loop, work());
    on.loop.run();
    CHECK(done);
    CHECK(called == 1000);
    CHECK(bucket.operations() == 0);
}

TEMPLATE_TEST_CASE("destroyed with operations pending, and the loop first", "[loops]", OnEpoll, InSimWorld) {
    Counted::alive = 0;
    unsigned shutdowns = 0;
    unsigned called = 0;
    {
        auto on = std::make_unique<TestType>();
        std::optional<AsyncBucket> one(std::in_place, on->loop, on->where());
        std::optional<AsyncBucket> two(std::in_place, on->loop, on->where());
        const auto work = [&]() -> Task<> {
            co_await one->connect();
            co_await two->connect();
            for (int i = 0; i < 10; ++i) {
                one->get("k").set_callbacks([](ValueResult) {},
                                            [&, counted = Counted()](const Error& error) {
                                                shutdowns += error.code() == errc::shutdown ? 1u : 0u;
                                            });
            }
            one.reset();
            co_await two->noop();
        };
        spawn(on->loop, work());
        on->loop.run();
        const auto wait = [&](Counted) -> Task<> {
            co_await two->get("k");
            ++called;
        };
        two->get("k").set_callbacks([&, counted = Counted()](ValueResult) { ++called; },
                                    [&](const Error&) { ++called; });
        spawn(on->loop, wait(Counted()));
        on->server.reset();
        on.reset();  // the loop; bucket two lives
        CHECK(Counted::alive == 0);
        two->get("k").detach();
    }
    CHECK(called == 0);
    CHECK(shutdowns == 10);
}

TEMPLATE_TEST_CASE("what a callback throws leaves run(), and the loop goes on", "[loops]", OnEpoll, InSimWorld) {
    TestType on;
    AsyncBucket bucket(on.loop, on.where());
    unsigned errors = 0;
    for (int i = 0; i < 5; ++i) {
        bucket.get("k").set_callbacks([](ValueResult) {},
                                      [&](const Error&) {
                                          ++errors;
                                          throw std::runtime_error("from an errback");
                                      });
    }
    bucket.noop().set_callbacks([&](OperationResult) { on.loop.stop(); }, [](const Error&) {});
    for (unsigned i = 1; i <= 5; ++i) {
        CHECK_THROWS_WITH(on.loop.run(), "from an errback");
        CHECK(errors >= i);
    }
    on.loop.run();
    CHECK(errors == 5);
}

TEST_CASE("the system watches over the connections as the options say", "[loops]") {
    OnEpoll on;
    const auto times_of = [&](BucketOptions options) {
        AsyncBucket bucket(on.loop, on.where(), options);
        std::optional<SocketTimes> times;
        const auto work = [&]() -> Task<> {
            co_await bucket.connect();
            times.emplace(socket_to(on.server->endpoint().port));
            co_await bucket.close();
        };
        spawn(on.loop, work());
        on.loop.run();
        REQUIRE(times);
        return *times;
    };
    const SocketTimes usual = times_of({});
    CHECK(usual.keepalive == 1);
    CHECK(usual.idle == 60);
    CHECK(usual.interval == 10);
    CHECK(usual.count == 5);
    CHECK(usual.user_timeout == 20'000);
    const SocketTimes told = times_of({.tcp_keepalive = 7s, .tcp_user_timeout = 1500ms});
    CHECK(told.idle == 7);
    CHECK(told.interval == 1);
    CHECK(told.user_timeout == 1500);
    const SocketTimes systems = times_of({.tcp_keepalive = 0s, .tcp_user_timeout = 0s});
    CHECK(systems.keepalive == 1);
    CHECK(systems.user_timeout == 0);
}
