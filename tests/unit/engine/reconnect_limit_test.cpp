// No reconnect storms: attempts at a node within any minute are bounded, whatever makes them.

#include "session/attempt_limits.hpp"
#include "tests/unit/engine/cluster_fixture.hpp"

#include <chaise/testing/local_cluster.hpp>

#include <catch2/catch.hpp>

#include <deque>
#include <random>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using detail::AttemptLimits;

TEST_CASE("whoever asks, whenever: never more than so many within a minute", "[reconnects]") {
    std::mt19937_64 random(7);
    AttemptLimits limits;
    std::map<std::string, std::deque<TimePoint>> made;
    TimePoint now{std::chrono::hours(5)};
    std::size_t granted = 0;
    for (int i = 0; i < 200'000; ++i) {
        // Bursts, steady streams, long rests.
        now += random() % 1000 == 0 ? Duration(std::chrono::seconds(random() % 90)) : Duration(random() % 20'000'000);
        const std::string node = "n" + std::to_string(random() % 3);
        const Duration wait = limits.admit(node, now);
        if (wait > Duration::zero()) {
            CHECK(wait <= AttemptLimits::interval);
            continue;
        }
        ++granted;
        auto& times = made[node];
        times.push_back(now);
        while (times.front() <= now - 1min) times.pop_front();
        CHECK(times.size() <= static_cast<std::size_t>(AttemptLimits::per_minute));
    }
    CHECK(granted > 1000);
    // Who waits for as long as he is told may go.
    now += 1h;
    for (int i = 0; i < AttemptLimits::burst; ++i) CHECK(limits.admit("x", now) == Duration::zero());
    const Duration wait = limits.admit("x", now);
    CHECK(wait == AttemptLimits::interval);
    CHECK(limits.admit("x", now + wait) == Duration::zero());
    CHECK(limits.admit("y", now) == Duration::zero());
    // Nodes that were not heard of for a while are forgotten.
    for (int i = 0; i < 1000; ++i) static_cast<void>(limits.admit(std::to_string(i), now += 1s));
    CHECK(limits.size() < 50);
}

TEST_CASE("maps that take a node in and out again do not make a storm of it", "[reconnects]") {
    ClusterFixture f(ScriptMap::spread({"n1", "n2", "n3"}), "couchbase://n1");
    f.connected();
    f.cluster.refuse("n3");
    f.cluster.reset("n3");
    f.loop.net.attempts.clear();
    ScriptMap map = f.cluster.map;
    for (int i = 0; i < 6000; ++i) {  // a minute
        ++map.rev;
        map.hosts = i % 2 == 0 ? std::vector<std::string>{"n1", "n2"} : std::vector<std::string>{"n1", "n2", "n3"};
        map.active.assign(64, 0);
        f.cluster.node("n1").map = map;
        f.cluster.push("n1", false);
        f.loop.advance(10ms);
    }
    const auto to_n3 = std::count_if(f.loop.net.attempts.begin(), f.loop.net.attempts.end(),
                                     [](const Endpoint& at) { return at.address == "n3"; });
    CHECK(to_n3 > 20);
    CHECK(to_n3 <= AttemptLimits::per_minute);
}

TEST_CASE("connections that are lost as soon as they stand: bounded on virtual time, and well again afterwards",
          "[reconnects]") {
    SimWorld world{GENERATE(1u, 2u, 3u)};
    LocalCluster cluster(world, {.nodes = 2, .replicas = 1});
    AsyncBucket bucket(world.make_iops("client"), cluster.connection_string(),
                       BucketOptions{.username = "Administrator", .password = "password"});
    world.run_for(2s);
    REQUIRE(bucket.connected());
    std::deque<std::pair<TimePoint, std::uint64_t>> history;
    std::uint64_t most = 0;
    for (int i = 0; i < 3 * 60 * 20; ++i) {  // three minutes, in steps of 50 ms
        for (std::size_t node = 0; node < 2; ++node) cluster.close_connections(node);
        world.run_for(50ms);
        history.emplace_back(world.now(), world.counts().connects);
        while (history.front().first < world.now() - 1min) history.pop_front();
        most = std::max(most, history.back().second - history.front().second);
    }
    CHECK(most > 40);
    CHECK(most <= 2u * static_cast<unsigned>(AttemptLimits::per_minute));
    world.run_for(5s);
    CHECK(bucket.connected());
}
