// Several memcached hosts: where keys go, hosts that die with and without auto_eject; and a cluster's memcached bucket.

#include "cluster/memcached/server.hpp"
#include "protocol/ketama.hpp"
#include "tests/support/code_of.hpp"
#include "tests/support/sleep.hpp"

#include <chaise/chaise.hpp>
#include <chaise/testing/local_cluster.hpp>
#include <chaise/testing/simulation.hpp>

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

constexpr auto names = std::to_array<std::string_view>({"mc1", "mc2", "mc3"});

/// Three memcacheds in a world of their own. Each starts empty.
struct Hosts {
    explicit Hosts(std::uint64_t seed = 1) : world(seed) {
        for (std::size_t i = 0; i < names.size(); ++i) {
            world.boot(names[i], [this, i](std::unique_ptr<IOPS> iops) {
                engines[i] = std::make_shared<MemcachedEngine>();
                auto server = std::make_shared<MemcachedServer>(
                    std::move(iops), engines[i], MemcachedServerOptions{.listen = {std::string(names[i]), 11211}});
                return std::shared_ptr<void>(server, server.get());
            });
        }
    }
    void open(std::string_view options = {}, BucketOptions rest = {}) {
        bucket.emplace(world, "memcached://mc1,mc2,mc3" + std::string(options), rest);
    }
    [[nodiscard]] std::size_t owner(std::string_view key,
                                    protocol::RingScheme scheme = protocol::RingScheme::ketama_weighted) const {
        std::vector<protocol::RingHost> hosts;
        for (const auto name : names) hosts.push_back({std::string(name), 11211});
        return protocol::Ring(scheme, hosts).owner(key);
    }
    /// A key of that host's.
    [[nodiscard]] std::string key_of(std::size_t host) const {
        for (int i = 0;; ++i) {
            std::string key = "key" + std::to_string(i);
            if (owner(key) == host) return key;
        }
    }
    [[nodiscard]] std::uint64_t items(std::size_t host) { return engines[host]->store().size(); }
    template <class F>
    void run(F body) {
        spawn(world, body());
        world.run();
    }

    SimWorld world;
    std::array<std::shared_ptr<MemcachedEngine>, 3> engines;
    std::optional<AsyncBucket> bucket;
};

}  // namespace

TEST_CASE("keys go to the hosts that the ring names, by each distribution", "[hosts]") {
    using protocol::RingScheme;
    for (const auto& [name, scheme] : {std::pair{"ketama_weighted", RingScheme::ketama_weighted},
                                       {"ketama", RingScheme::ketama},
                                       {"couchbase", RingScheme::couchbase}}) {
        Hosts hosts;
        hosts.open("?distribution=" + std::string(name));
        std::array<std::uint64_t, 3> expected{};
        hosts.run([&]() -> Task<> {
            co_await hosts.bucket->connect();
            for (int i = 0; i < 300; ++i) {
                const std::string key = "key" + std::to_string(i);
                ++expected[hosts.owner(key, scheme)];
                co_await hosts.bucket->upsert(key, key);
                const auto back = co_await hosts.bucket->get(key);
                CHECK(back.value() == key);
            }
        });
        for (std::size_t i = 0; i < 3; ++i) CHECK(hosts.items(i) == expected[i]);
    }
}

TEST_CASE("weights are shares of the keys", "[hosts]") {
    Hosts hosts;
    hosts.open("?weights=3,1,1");
    hosts.run([&]() -> Task<> {
        for (int i = 0; i < 500; ++i) co_await hosts.bucket->upsert("key" + std::to_string(i), "v");
    });
    CHECK(hosts.items(0) > 250);
    CHECK(hosts.items(0) + hosts.items(1) + hosts.items(2) == 500);
}

TEST_CASE("connect() is done when every host is connected, and its error names the host that is not", "[hosts]") {
    Hosts hosts;
    hosts.world.kill("mc2");
    hosts.open();
    std::optional<Error> error;
    hosts.run([&]() -> Task<> {
        const auto connected = co_await hosts.bucket->connect().as_expected();
        if (!connected) error = connected.error();
    });
    REQUIRE(error);
    CHECK(error->code() == errc::not_connected);
    CHECK(error->context().node == "mc2:11211");
    CHECK_FALSE(hosts.bucket->connected());
    hosts.world.respawn("mc2");
    hosts.run([&]() -> Task<> { co_await hosts.bucket->connect(); });
    CHECK(hosts.bucket->connected());
}

TEST_CASE("a host that is silent keeps connect() waiting, and the error says for whom", "[hosts]") {
    Hosts hosts;
    hosts.world.black_hole("mc3");
    hosts.open();
    std::string what;
    hosts.run([&]() -> Task<> {
        const auto connected = co_await hosts.bucket->connect({.timeout = 1s}).as_expected();
        if (!connected) what = connected.error().message();
    });
    CHECK_THAT(what, Catch::Contains("mc3:11211") && !Catch::Contains("mc1"));
}

TEST_CASE("without auto_eject operations on the keys of a dead host wait for it; others don't notice", "[hosts]") {
    Hosts hosts;
    hosts.open();
    hosts.run([&]() -> Task<> {
        co_await hosts.bucket->connect();
        hosts.world.kill("mc2");
        const auto lost = co_await hosts.bucket->upsert(hosts.key_of(1), "v", {.timeout = 300ms}).as_expected();
        CHECK(code_of(lost) != errc::success);
        co_await hosts.bucket->upsert(hosts.key_of(0), "v");
        co_await hosts.bucket->upsert(hosts.key_of(2), "v");
        auto waiting = hosts.bucket->upsert(hosts.key_of(1), "v");
        hosts.world.after(100ms, [&] { hosts.world.respawn("mc2"); });
        co_await waiting;
    });
    CHECK(hosts.items(1) == 1);
}

TEST_CASE("with auto_eject a dead host's keys go to the others, with what waits, and come back", "[hosts]") {
    Hosts hosts;
    hosts.open("?auto_eject=true&server_failure_limit=3&dead_timeout=0.5");
    const std::string key = hosts.key_of(1);
    hosts.run([&]() -> Task<> {
        co_await hosts.bucket->connect();
        hosts.world.kill("mc2");
        // The first of them finds the connection gone, waits, and moves.
        co_await hosts.bucket->get(key, {.quiet = true});
        co_await hosts.bucket->upsert(key, "elsewhere");
        CHECK(hosts.items(0) + hosts.items(2) == 1);
        const auto back = co_await hosts.bucket->get(key);
        CHECK(back.value() == "elsewhere");
        hosts.world.respawn("mc2");
    });
    hosts.world.run_for(1s);
    CHECK(hosts.bucket->connected());
    hosts.run([&]() -> Task<> {
        const auto gone = co_await hosts.bucket->get(key, {.quiet = true});  // a cache: the host's own memory is empty
        CHECK_FALSE(gone.success());
        co_await hosts.bucket->upsert(key, "home");
    });
    CHECK(hosts.items(1) == 1);
}

TEST_CASE("with auto_eject connect() does without a host that is dead, and not without all of them", "[hosts]") {
    Hosts hosts;
    hosts.world.kill("mc1");
    hosts.open("?auto_eject=true&server_failure_limit=2");
    hosts.run([&]() -> Task<> { co_await hosts.bucket->connect(); });
    CHECK_FALSE(hosts.bucket->connected());

    Hosts none;
    for (const auto name : names) none.world.kill(name);
    none.open("?auto_eject=true&server_failure_limit=2");
    errc code{};
    none.run([&]() -> Task<> {
        const auto connected = co_await none.bucket->connect().as_expected();
        code = code_of(connected);
    });
    CHECK(code == errc::not_connected);
}

TEST_CASE("statistics, versions and flush concern every host", "[hosts]") {
    Hosts hosts;
    hosts.open({}, {.enable_flush = true});
    hosts.run([&]() -> Task<> {
        const auto early = co_await hosts.bucket->version();  // before anything is connected
        CHECK(early.versions().size() == 3);
        for (int i = 0; i < 100; ++i) co_await hosts.bucket->upsert("key" + std::to_string(i), "v");
        const auto stats = co_await hosts.bucket->stats();
        CHECK(stats.stats().at("curr_items").size() == 3);
        co_await hosts.bucket->flush();
        for (int i = 0; i < 100; ++i) {
            const auto gone = co_await hosts.bucket->get("key" + std::to_string(i), {.quiet = true});
            CHECK_FALSE(gone.success());
        }
    });
}

TEST_CASE("hosts die and come back under load: every operation ends once and in time", "[hosts]") {
    for (const bool eject : {false, true}) {
        std::uint64_t succeeded = 0;
        for (std::uint64_t seed = 1; seed <= 20; ++seed) {
            CAPTURE(eject, seed);
            Hosts hosts(seed);
            hosts.open(eject ? "?auto_eject=true&server_failure_limit=2&dead_timeout=0.05&operation_timeout=0.3"
                             : "?operation_timeout=0.3");
            std::size_t started = 0, ended = 0, late = 0;
            SimRandom random = hosts.world.random("test");
            const auto worker = [&](int n) -> Task<> {
                auto clock = hosts.world.make_iops();
                for (int i = 0; i < 60; ++i) {
                    const std::string key = "key" + std::to_string(random.between(0, 40));
                    const TimePoint before = hosts.world.now();
                    ++started;
                    errc code{};
                    if ((i + n) % 2 == 0) {
                        const auto outcome = co_await hosts.bucket->upsert(key, "v").as_expected();
                        code = code_of(outcome);
                    } else {
                        const auto outcome = co_await hosts.bucket->get(key, {.quiet = true}).as_expected();
                        code = code_of(outcome);
                    }
                    ++ended;
                    if (code == errc::success) ++succeeded;
                    if (hosts.world.now() - before > 301ms) ++late;
                    co_await Sleep(*clock, random.exponential(5ms) + 1us);
                }
            };
            for (int n = 0; n < 8; ++n) spawn(hosts.world, worker(n));
            for (int i = 0; i < 6; ++i) {
                const auto host = names[random.between(0, 2)];
                const Duration at = random.exponential(100ms);
                hosts.world.after(at, [&hosts, host] {
                    if (hosts.world.alive(host)) hosts.world.kill(host);
                });
                hosts.world.after(at + random.exponential(60ms), [&hosts, host] {
                    if (!hosts.world.alive(host)) hosts.world.respawn(host);
                });
            }
            hosts.world.run();
            CHECK(started == 8 * 60);
            CHECK(ended == started);
            CHECK(late == 0);
            hosts.world.run_for(2s);
            CHECK(hosts.bucket->connected());
            CHECK(hosts.bucket->operations() == 0);
        }
        CHECK(succeeded > 20 * 8 * 60 / 2);
    }
}

namespace {

struct MemcachedBucketWorld {
    MemcachedBucketWorld()
        : world(1),
          cluster(world, {.nodes = 3, .bucket_type = LocalBucketType::memcached}),
          bucket(world, cluster.connection_string(), {.username = "Administrator", .password = "password"}) {}
    template <class F>
    void run(F body) {
        spawn(world, body());
        world.run();
    }
    SimWorld world;
    LocalCluster cluster;
    AsyncBucket bucket;
};

}  // namespace

TEST_CASE("a memcached bucket is served by its ring", "[hosts]") {
    MemcachedBucketWorld w;
    w.run([&]() -> Task<> {
        co_await w.bucket.connect();
        std::array<int, 3> counts{};
        for (int i = 0; i < 200; ++i) {
            const std::string key = "key" + std::to_string(i);
            const auto stored = co_await w.bucket.upsert(key, key);
            CHECK_FALSE(stored.mutation_token());
            const std::size_t node = w.cluster.placement(key).active.value();
            ++counts[node];
            for (std::size_t n = 0; n < 3; ++n) CHECK(w.cluster.stored(n, key).has_value() == (n == node));
            const auto back = co_await w.bucket.get(key);
            CHECK(back.value() == key);
        }
        for (const int count : counts) CHECK(count > 20);
        const auto counter = co_await w.bucket.counter("n", {.initial = 5});
        CHECK(counter.counter() == 5);
        co_await w.bucket.remove("key1");
        const auto gone = co_await w.bucket.get("key1", {.quiet = true});
        CHECK_FALSE(gone.success());
    });
    for (std::size_t n = 0; n < 3; ++n) CHECK(w.cluster.not_my_vbucket(n) == 0);
}

TEST_CASE("a memcached bucket: after a failover the ring is that of the nodes that are left", "[hosts]") {
    MemcachedBucketWorld w;
    w.run([&]() -> Task<> {
        std::vector<std::string> stayed;
        for (int i = 0; i < 100; ++i) {
            const std::string key = "key" + std::to_string(i);
            co_await w.bucket.upsert(key, key);
            if (w.cluster.placement(key).active.value() != 1) stayed.push_back(key);
        }
        w.cluster.failover(1);
        for (const std::string& key : stayed) {
            const auto found = co_await w.bucket.get(key);
            CHECK(found.value() == key);
        }
        for (int i = 0; i < 100; ++i) {
            const std::string key = "key" + std::to_string(i);
            co_await w.bucket.upsert(key, "again");
            CHECK(w.cluster.stored(w.cluster.placement(key).active.value(), key).has_value());
        }
    });
}
