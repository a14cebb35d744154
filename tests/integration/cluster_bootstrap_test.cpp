// The ways to a first map over real sockets: HTTP streams, SRV records, names that change their addresses.

#include <chaise/async_bucket.hpp>
#include <chaise/epoll.hpp>
#include <chaise/spawn.hpp>
#include <chaise/task.hpp>
#include <chaise/testing/local_cluster.hpp>

#include <catch2/catch.hpp>

#include "tests/support/sleep.hpp"
#include "tests/support/stub_name_server.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

/// A cluster of its own, and whoever connects to it.
struct Place {
    explicit Place(const LocalClusterOptions& options = {}) : cluster(loop, options) {}

    template <class F>
    void run(std::string_view where, const F& body) {
        AsyncBucket bucket(loop, where, BucketOptions{.username = "Administrator", .password = "password"});
        spawn(loop, body(bucket));
        loop.run();
    }
    [[nodiscard]] Sleep sleep(Duration time) { return Sleep(*iops, time); }

    EpollLoop loop;
    std::unique_ptr<IOPS> iops = loop.make_iops();
    LocalCluster cluster;
};

Task<> work(AsyncBucket& bucket, std::string_view prefix) {
    for (int i = 0; i < 50; ++i) {
        const std::string key = std::string(prefix) + std::to_string(i);
        co_await bucket.upsert(key, "value");
        const auto got = co_await bucket.get(key);
        CHECK(got.value() == "value");
    }
}

}  // namespace

TEST_CASE("bootstrap: by HTTP alone, with nodes that give maps and nodes that do not, new servers and old") {
    const bool cccp = GENERATE(true, false), terse = GENERATE(true, false);
    const bool memcached = GENERATE(true, false);
    CAPTURE(cccp, terse, memcached);
    Place place({.nodes = 3,
                 .replicas = memcached ? 0u : 1u,
                 .bucket_type = memcached ? LocalBucketType::memcached : LocalBucketType::couchbase,
                 .cccp = cccp,
                 .terse_streams = terse});
    place.run(place.cluster.management_connection_string() + "?bootstrap_on=http", [&](AsyncBucket& b) -> Task<> {
        co_await b.connect();
        co_await work(b, "k");
        // The stream brings what comes after, too.
        place.cluster.failover(2);
        co_await place.sleep(100ms);  // what is in flight when its connection goes is another test's
        co_await work(b, "l");
        co_await b.close();
    });
}

TEST_CASE("bootstrap: key-value ports that give no map, and HTTP beside them") {
    Place place({.nodes = 2, .replicas = 1, .cccp = false});
    const std::string where = place.cluster.connection_string() + "," +
                              place.cluster.management_connection_string().substr(std::string("couchbase://").size());
    place.run(where, [&](AsyncBucket& b) -> Task<> {
        co_await work(b, "k");
        place.cluster.hand_over(0);  // "not my vbucket", without a map
        co_await work(b, "k");
        co_await b.close();
    });
    place.run(where + "?bootstrap_on=cccp", [&](AsyncBucket& b) -> Task<> {
        const auto outcome = co_await b.connect().as_expected();
        CHECK(!outcome);
        if (!outcome) CHECK(outcome.error().code() == errc::unsupported_operation);
        co_await b.close();
    });
}

TEST_CASE("bootstrap: HTTP says no") {
    Place place;
    const std::string where = place.cluster.management_connection_string();
    const auto error_of = [&](const std::string& at, const BucketOptions& options) {
        Error error;
        AsyncBucket bucket(place.loop, at, options);
        const auto body = [&]() -> Task<> {
            const auto outcome = co_await bucket.connect().as_expected();
            if (!outcome) error = outcome.error();
            co_await bucket.close();
        };
        spawn(place.loop, body());
        place.loop.run();
        return error;
    };
    CHECK(error_of(where, {.username = "Administrator", .password = "guess"}).code() == errc::authentication_failure);
    CHECK(error_of(where + "/travel", {.username = "Administrator", .password = "password"}).code() ==
          errc::bucket_not_found);
    const std::string kv = place.cluster.endpoint(0).to_string();
    const Error odd = error_of("couchbase://" + kv + "=http", {.username = "Administrator", .password = "password"});
    CHECK(odd.code() != errc::success);
    CHECK_THAT(odd.message(), Contains(kv));
    place.cluster.kill_node(0);
    const Error refused = error_of(where, {.username = "Administrator", .password = "password"});
    CHECK(refused.code() == errc::not_connected);
}

TEST_CASE("bootstrap: the node of the stream dies: another gives the maps") {
    Place place({.nodes = 3, .replicas = 2, .cccp = false});
    place.run(place.cluster.management_connection_string(), [&](AsyncBucket& b) -> Task<> {
        co_await work(b, "k");
        for (std::size_t node = 0; node < 3; ++node) {
            place.cluster.kill_node(node);
            co_await place.sleep(50ms);
            place.cluster.restart_node(node);
            co_await place.sleep(1500ms);
            place.cluster.hand_over(node);
            co_await work(b, "k");
        }
        co_await b.close();
    });
}

TEST_CASE("bootstrap: a bucket that is deleted and made anew") {
    Place place({.nodes = 2});
    place.run(place.cluster.connection_string(), [&](AsyncBucket& b) -> Task<> {
        co_await work(b, "k");
        place.cluster.delete_bucket("default");
        const auto gone = co_await b.get("k1", {.timeout = 600ms}).as_expected();
        CHECK(!gone);
        if (!gone) {
            INFO(gone.error().message());
            CHECK_FALSE(gone.error().may_have_happened());
        }
        place.cluster.create_bucket("default", 1, 16);  // and another number of vbuckets
        const auto made = co_await b.get("k1", {.timeout = 10s, .quiet = true}).as_expected();
        CHECK(made.has_value());
        co_await work(b, "k");
        co_await b.close();
    });
}

TEST_CASE("bootstrap: nodes whose maps lag behind while vbuckets move") {
    const bool cccp = GENERATE(true, false);
    CAPTURE(cccp);
    Place place({.nodes = 3, .replicas = 1, .cccp = cccp});
    std::string where = place.cluster.connection_string();
    if (!cccp) where += "," + place.cluster.management_connection_string().substr(std::string("couchbase://").size());
    place.run(where, [&](AsyncBucket& b) -> Task<> {
        co_await work(b, "k");
        place.cluster.set_config_delay(1, 300ms);
        place.cluster.set_config_delay(2, 100ms);
        // A node that does not know yet that it has lost a vbucket still takes writes: they are not read here.
        for (std::size_t node = 0; node < 2; ++node) {
            place.cluster.hand_over(node);
            for (int i = 0; i < 50; ++i) co_await b.upsert("l" + std::to_string(i), "value");
        }
        co_await b.close();
    });
}

TEST_CASE("bootstrap: SRV records lead to the nodes") {
    Place place({.nodes = 2});
    StubNameServer names(*place.iops);
    names.services["_couchbase._tcp.cluster.test"] = {{"a.cluster.test", place.cluster.endpoint(0).port},
                                                      {"b.cluster.test", place.cluster.endpoint(1).port}};
    names.names["a.cluster.test"] = names.names["b.cluster.test"] = {"127.0.0.1"};
    place.run("couchbase://cluster.test?dns_nameserver=" + names.address(), [&](AsyncBucket& b) -> Task<> {
        co_await b.connect();
        co_await work(b, "k");
        co_await b.close();
    });
    REQUIRE_FALSE(names.asked.empty());
    CHECK(names.asked.front() == "_couchbase._tcp.cluster.test");
}

TEST_CASE("bootstrap: a name changes its address: the next connection goes there") {
    EpollLoop loop;
    const auto iops = loop.make_iops();
    StubNameServer names(*iops);
    // Two clusters; nobody but the name says which is meant. Each is at an address of loopback's own.
    LocalCluster first(loop, {.nodes = 1}), second(loop, {.nodes = 1, .seed = 2});
    names.services["_couchbase._tcp.cluster.test"] = {{"node.cluster.test", first.endpoint(0).port}};
    names.names["node.cluster.test"] = {"127.0.0.1"};
    AsyncBucket bucket(loop, "couchbase://cluster.test?dns_nameserver=" + names.address(),
                       BucketOptions{.username = "Administrator", .password = "password"});
    const auto body = [&]() -> Task<> {
        co_await bucket.upsert("k", "value");
        CHECK(first.stored(0, "k"));
        names.services["_couchbase._tcp.cluster.test"] = {{"node.cluster.test", second.endpoint(0).port}};
        names.names["node.cluster.test"] = {"127.0.0.2", "127.0.0.1"};  // nobody listens at the first of them
        first.kill_node(0);
        co_await Sleep(*iops, 100ms);
        co_await bucket.upsert("k", "again", {.timeout = 10s});
        CHECK(second.stored(0, "k"));
        co_await bucket.close();
    };
    spawn(loop, body());
    loop.run();
}

TEST_CASE("bootstrap: a silent name server") {
    Place place;
    StubNameServer names(*place.iops);
    names.silent = true;
    {
        // Of a name that the hosts file knows only the records are waited for, half a second.
        const TimePoint before = place.loop.now();
        const std::string where = "couchbase://localhost?bootstrap_on=cccp&dns_nameserver=" + names.address();
        place.run(where, [&](AsyncBucket& b) -> Task<> {
            const auto outcome = co_await b.connect({.timeout = 2s}).as_expected();
            CHECK(!outcome);
            if (!outcome) CHECK_THAT(outcome.error().message(), Contains("localhost:11210") && Contains("refused"));
            co_await b.close();
        });
        CHECK(place.loop.now() - before >= 500ms);
        CHECK(names.questions > 0);
    }
    {
        const TimePoint before = place.loop.now();
        const std::string where = "couchbase://cluster.test?connect_timeout=1&dns_nameserver=" + names.address();
        place.run(where, [&](AsyncBucket& b) -> Task<> {
            const auto get = co_await b.get("k", {.timeout = 300ms}).as_expected();
            CHECK(!get);
            if (!get) CHECK(get.error().code() == errc::timeout_before_send);
            const auto connect = co_await b.connect({.timeout = 3s}).as_expected();
            CHECK(!connect);
            if (!connect) CHECK_THAT(connect.error().message(), Contains("cluster.test"));
            co_await b.close();
        });
        CHECK(place.loop.now() - before < 5s);
    }
}

TEST_CASE("bootstrap: a loop that cannot be told name servers refuses the option") {
    SimWorld world{1};
    CHECK_THROWS_AS(AsyncBucket(world.make_iops("client"), "couchbase://a?dns_nameserver=127.0.0.1:5353",
                                BucketOptions{.username = "me", .password = "secret"}),
                    NotSupportedError);
}
