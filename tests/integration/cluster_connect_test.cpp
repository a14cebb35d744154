// connect() over real sockets: when it is done, and what it says when it cannot be.

#include "support/memcached_process.hpp"

#include <string>
#include <utility>
#include <vector>

#include "cluster_run.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

/// The error of connect() to `where`, and how long it took.
Error connect_error(EpollLoop& loop, std::string_view where, const BucketOptions& options, Duration* spent = nullptr,
                    const ServerOptions& connect = {}) {
    Error error;
    AsyncBucket bucket(loop, where, options);
    const auto body = [&]() -> Task<> {
        const TimePoint before = loop.now();
        const auto outcome = co_await bucket.connect(connect).as_expected();
        if (spent) *spent = loop.now() - before;
        if (!outcome) error = outcome.error();
        CHECK(bucket.connected() == outcome.has_value());
        co_await bucket.close();
    };
    spawn(loop, body());
    loop.run();
    CHECK_FALSE(error.may_have_happened());
    return error;
}

}  // namespace

TEST_CASE("cluster: connect() may be awaited before, meanwhile, after, and many times") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        CHECK_FALSE(bucket.connected());
        const std::string key = run.key("early");
        auto early = bucket.upsert(key, "issued before there was a connection");
        auto a = bucket.connect();
        auto b = bucket.connect();
        CHECK_AWAIT((co_await b).success());
        CHECK_AWAIT((co_await a).success());
        CHECK_AWAIT((co_await early).success());
        CHECK_AWAIT((co_await bucket.version()).success());  // asks every node
        CHECK(bucket.connected());
        for (int i = 0; i < 10; ++i) CHECK_AWAIT((co_await bucket.connect()).success());
        CHECK_AWAIT((co_await bucket.get(key)).success());
        co_await bucket.close();
        CHECK_FALSE(bucket.connected());
        CHECK_AWAIT(code_of(co_await bucket.connect().as_expected()) == errc::shutdown);
        if (skipped_elsewhere("counts the nodes' connections")) co_return;
        co_await run.sleep(10ms);
        for (std::size_t node = 0; node < run.cluster().nodes(); ++node) CHECK(run.cluster().connections(node) == 0);
    });
}

TEST_CASE("cluster: a wrong password, an unknown user, a bucket that is not there: each its own error") {
    ClusterRun run({.nodes = 2});
    const std::string& where = run.access.connection_string;
    BucketOptions options = run.access.with();
    options.password = "not the password";
    const Error password = connect_error(run.loop, where, options);
    CHECK(password.code() == errc::authentication_failure);
    CHECK(password.is(ErrorKind::fatal));
    CHECK_THAT(password.message(), Contains('"' + run.access.user + '"') && Contains("refused the username or"));
    CHECK_THAT(password.message(), !Contains("not the password"));
    CHECK_THAT(password.context().node, Contains(":"));
    CHECK_THAT(password.message(), Contains(password.context().node));

    options = run.access.with({});
    options.username = "nobody";
    const Error user = connect_error(run.loop, where, options);
    CHECK(user.code() == errc::authentication_failure);
    CHECK_THAT(user.message(), Contains("\"nobody\""));

    options = run.access.with();
    options.bucket = "chaise-no-such-bucket";
    const Error bucket = connect_error(run.loop, where, options);
    CHECK(bucket.code() == errc::bucket_not_found);
    CHECK_THAT(bucket.message(), Contains("chaise-no-such-bucket"));

    // And the exceptions of it; an operation that waits says the same, at once.
    AsyncBucket refused(run.loop, where, {.bucket = run.access.bucket, .username = "nobody", .password = "x"});
    run([&](ClusterRun&) -> Task<> {
        auto get = refused.get("k");
        CHECK_THROWS_AS(co_await refused.connect(), AuthError);
        CHECK_AWAIT(code_of(co_await get.as_expected()) == errc::authentication_failure);
    });
}

TEST_CASE("cluster: nobody listens there, or something else does") {
    EpollLoop loop;
    const BucketOptions options{.username = "me", .password = "secret"};
    {
        std::string where;
        {
            const LocalCluster gone(loop, {});
            where = gone.connection_string();
        }
        const Error error = connect_error(loop, where, options);
        CHECK(error.code() == errc::not_connected);
        CHECK_THAT(error.message(), Contains(where.substr(12)) && Contains("Connection refused"));
    }
    {
        const MemcachedProcess memcached;
        const std::string address = memcached.connection_string().substr(sizeof("memcached://") - 1);
        const Error error = connect_error(loop, "couchbase://" + address, options);
        CHECK(error.code() == errc::protocol_error);
        CHECK_THAT(error.message(), Contains(address) && Contains("not a Couchbase server"));
    }
    {
        const LocalCluster cluster(loop, {});
        const std::string address = cluster.management_endpoint(0).to_string();
        const Error error = connect_error(loop, "couchbase://" + address, options);
        CHECK(error.code() == errc::protocol_error);
        CHECK_THAT(error.message(), Contains(address) && Contains("it answers in HTTP"));
    }
    {
        const Error error = connect_error(loop, "couchbase://no-such-host.invalid", options);
        CHECK_THAT(error.message(), Contains("no-such-host.invalid"));
    }
}

TEST_CASE("cluster: a host that says nothing is given up within the timeout") {
    EpollLoop loop;
    LocalCluster cluster(loop, {});
    cluster.pause(0);
    const BucketOptions options{.username = "Administrator", .password = "password", .connect_timeout = 300ms};
    Duration spent{};
    const Error whole = connect_error(loop, cluster.connection_string(), options, &spent);
    CHECK(whole.code() == errc::timeout_before_send);
    CHECK_THAT(whole.message(), Contains(cluster.endpoint(0).to_string()));
    CHECK(spent >= 250ms);
    CHECK(spent < 2s);
    const Error own = connect_error(loop, cluster.connection_string(), options, &spent, {.timeout = 50ms});
    CHECK(own.code() == errc::timeout_before_send);
    CHECK(spent < 250ms);
}

TEST_CASE("cluster: connect() may be called again after a failure, and then succeeds") {
    if (skipped_elsewhere("makes buckets and users, and stops nodes")) return;
    ClusterRun run({.nodes = 2, .bucket = ""}, {.bucket = "late"});
    run.access.bucket = "late";
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket bucket(r.loop, r.access.connection_string, r.access.with());
        CHECK_AWAIT(code_of(co_await bucket.connect().as_expected()) == errc::bucket_not_found);
        auto waiting = bucket.upsert("k", "waited for the bucket");
        r.cluster().create_bucket("late");
        bool connected = false;
        for (int i = 0; i < 100 && !connected; ++i) {
            connected = (co_await bucket.connect().as_expected()).has_value();
        }
        CHECK(connected);
        CHECK_AWAIT((co_await waiting).success());

        AsyncBucket refused(r.loop, r.access.connection_string,
                            {.bucket = "late", .username = "ada", .password = "lovelace"});
        CHECK_AWAIT(code_of(co_await refused.connect().as_expected()) == errc::authentication_failure);
        r.cluster().add_user("ada", "lovelace", {"late"});
        CHECK_AWAIT((co_await refused.connect()).success());
        CHECK_AWAIT((co_await refused.get("k")).value() == "waited for the bucket");

        r.cluster().kill_node(0);
        r.cluster().kill_node(1);
        AsyncBucket early(r.loop, r.access.connection_string, r.access.with());
        CHECK_AWAIT(code_of(co_await early.connect().as_expected()) == errc::not_connected);
        r.cluster().restart_node(0);
        r.cluster().restart_node(1);
        CHECK_AWAIT((co_await early.connect()).success());
    });
}

TEST_CASE("cluster: any seed will do; the bucket's name from the connection string or the options") {
    if (skipped_elsewhere("makes connection strings of the nodes' addresses")) return;
    ClusterRun run({.nodes = 4, .bucket = "travel"});
    run([](ClusterRun& r) -> Task<> {
        std::string dead;
        {
            const LocalCluster gone(r.loop, {});
            dead = gone.endpoint(0).to_string();
        }
        const BucketOptions unnamed{.username = r.access.user, .password = r.access.password};
        for (std::size_t node = 0; node < 4; ++node) {
            const std::string seed = r.cluster().endpoint(node).to_string();
            AsyncBucket in_string(r.loop, "couchbase://" + dead + "," + seed + "/travel", unnamed);
            AsyncBucket in_options(r.loop, "couchbase://" + seed, r.access.with());
            for (int i = 0; i < 20; ++i) {
                const std::string key = "key" + std::to_string(i);
                const std::string value = std::to_string(node);
                co_await in_string.upsert(key, value);
                CHECK_AWAIT((co_await in_options.get(key)).value() == value);
            }
            CHECK(in_string.connected());
        }
        AsyncBucket other(r.loop, r.access.connection_string, unnamed);  // that is "default"
        CHECK_AWAIT(code_of(co_await other.connect().as_expected()) == errc::bucket_not_found);
    });
}
