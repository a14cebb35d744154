// Alternate addresses: nodes that tell an inner address where nobody listens, and an external one.

#include <chaise/async_bucket.hpp>
#include <chaise/epoll.hpp>
#include <chaise/spawn.hpp>
#include <chaise/task.hpp>
#include <chaise/testing/local_cluster.hpp>

#include <catch2/catch.hpp>

#include <string>

#include "support/beers.hpp"
#include "tests/support/sleep.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

/// As behind a NAT: inside 127.0.0.2 at the usual ports, where nobody is; outside where they listen.
LocalClusterOptions hidden() {
    return {.nodes = 2,
            .replicas = 1,
            .addresses = {.internal = "127.0.0.2", .external = "127.0.0.1", .ports = ExternalPorts::translated}};
}

struct Place {
    explicit Place(const LocalClusterOptions& options) : cluster(loop, options) {}

    template <class F>
    void run(const std::string& where, const F& body) {
        AsyncBucket bucket(loop, where, BucketOptions{.username = "Administrator", .password = "password"});
        const auto whole = [&]() -> Task<> {
            co_await body(bucket);
            co_await bucket.close();
        };
        spawn(loop, whole());
        loop.run();
    }
    [[nodiscard]] Sleep sleep(Duration time) { return Sleep(*iops, time); }

    EpollLoop loop;
    std::unique_ptr<IOPS> iops = loop.make_iops();
    LocalCluster cluster;
};

Task<> work(AsyncBucket& bucket) {
    for (int i = 0; i < 50; ++i) {
        const std::string key = "key" + std::to_string(i);
        co_await bucket.upsert(key, "value", {.timeout = 5s});
        const auto got = co_await bucket.get(key);
        CHECK(got.value() == "value");
    }
}

}  // namespace

TEST_CASE("addresses: clients outside reach key-value nodes by the external addresses") {
    const bool http = GENERATE(false, true), cccp = GENERATE(true, false);
    const std::string network = GENERATE("", "network=external", "network=auto");
    if (!http && !cccp) return;  // nobody would tell a map
    CAPTURE(http, cccp, network);
    LocalClusterOptions options = hidden();
    options.cccp = cccp;
    Place place(options);
    std::string where =
        http ? place.cluster.management_connection_string() + "?bootstrap_on=http" : place.cluster.connection_string();
    if (!network.empty()) where += (http ? "&" : "?") + network;
    place.run(where, [&](AsyncBucket& bucket) -> Task<> {
        co_await work(bucket);
        // A later map, pushed, in "not my vbucket" or by the stream, is read the same way.
        place.cluster.hand_over(0);
        co_await work(bucket);
        CHECK(place.cluster.connections(0) > 0);
        CHECK(place.cluster.connections(1) > 0);
        place.cluster.kill_node(0);
        place.cluster.failover(0);
        co_await place.sleep(100ms);
        co_await work(bucket);
    });
}

TEST_CASE("addresses: the inner ones are of no use to clients outside, and they are told so") {
    Place place(hidden());
    place.run(place.cluster.connection_string() + "?network=default", [&](AsyncBucket& bucket) -> Task<> {
        const auto got = co_await bucket.get("key", {.timeout = 700ms}).as_expected();
        REQUIRE_FALSE(got);
        CHECK_FALSE(got.error().may_have_happened());
        CHECK_THAT(got.error().message(), Contains("127.0.0.2:11210"));
    });
    place.run(place.cluster.connection_string() + "?network=moon", [&](AsyncBucket& bucket) -> Task<> {
        const auto connected = co_await bucket.connect().as_expected();
        REQUIRE_FALSE(connected);
        CHECK_THAT(connected.error().message(), Contains("network \"moon\""));
    });
}

TEST_CASE("addresses: an external host name with the nodes' own ports, told or not") {
    const ExternalPorts ports = GENERATE(ExternalPorts::same, ExternalPorts::own);
    CAPTURE(static_cast<int>(ports));
    Place place({.nodes = 2, .addresses = {.internal = "127.0.0.2", .external = "127.0.0.1", .ports = ports}});
    place.run(place.cluster.connection_string(), work);
    place.run(place.cluster.connection_string() + "?network=external", work);
}

TEST_CASE("addresses: a seed that is an inner address leads to the inner addresses") {
    // The external ones, where nobody is, are for others.
    Place place({.nodes = 2, .addresses = {.external = "127.0.0.2"}});
    place.run(place.cluster.connection_string(), work);
    place.run(place.cluster.connection_string() + "?network=external", [&](AsyncBucket& bucket) -> Task<> {
        const auto got = co_await bucket.get("key", {.timeout = 700ms}).as_expected();
        REQUIRE_FALSE(got);
        CHECK_THAT(got.error().message(), Contains("127.0.0.2"));
    });
}

TEST_CASE("addresses: nodes that join and nodes whose address changes") {
    Place place(hidden());
    place.run(place.cluster.connection_string(), [&](AsyncBucket& bucket) -> Task<> {
        co_await work(bucket);
        const std::size_t third = place.cluster.add_node();
        place.cluster.rebalance_in(third);
        while (place.cluster.rebalancing()) co_await place.sleep(5ms);
        co_await work(bucket);
        CHECK(place.cluster.connections(third) > 0);
        // Without an external address it cannot be reached any more; the others can.
        place.cluster.set_addresses(third, {.internal = "127.0.0.2"});
        co_await place.sleep(100ms);
        int reached = 0, lost = 0;
        for (int i = 0; i < 50; ++i) {
            const std::string key = "key" + std::to_string(i);
            const bool there = place.cluster.placement(key).active == third;
            if (there && lost > 0) continue;  // once is enough to wait
            const auto got = co_await bucket.get(key, {.timeout = 500ms}).as_expected();
            CHECK(got.has_value() == !there);
            (there ? lost : reached) += 1;
        }
        CHECK(reached > 0);
        CHECK(lost == 1);
        place.cluster.set_addresses(third, hidden().addresses);
        co_await place.sleep(100ms);
        co_await work(bucket);
    });
    CHECK_THROWS_AS(place.cluster.set_addresses(0, {.external = "a b"}), std::invalid_argument);
    CHECK_THROWS_AS(place.cluster.set_addresses(0, {.external = "127.0.0.1:11210"}), std::invalid_argument);
    CHECK_THROWS_AS(place.cluster.set_addresses(0, {.ports = ExternalPorts::own}), std::invalid_argument);
    CHECK_THROWS_AS(place.cluster.set_addresses(9, {}), std::out_of_range);
}

TEST_CASE("addresses: views and queries, too") {
    Place place(hidden());
    const std::string network = GENERATE("", "?network=external");
    place.run(place.cluster.connection_string() + network, [&](AsyncBucket& bucket) -> Task<> {
        co_await brew(bucket);
        const auto beers = co_await bucket.view_query("beer", "by_name", {.stale = Stale::updated}).all();
        CHECK(beers.size() == 3);
        const auto one = co_await bucket.n1ql_query("SELECT 1 AS one").all();
        CHECK(one.size() == 1);
    });
    place.run(place.cluster.connection_string() + "?network=default", [&](AsyncBucket& bucket) -> Task<> {
        std::string why;
        try {
            co_await bucket.n1ql_query("SELECT 1 AS one", {.timeout = 700ms}).all();
        } catch (const Exception& error) {
            why = error.what();
        }
        CHECK_THAT(why, Contains("127.0.0.2"));
    });
}
