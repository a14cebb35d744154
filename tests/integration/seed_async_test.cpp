// Cases of the seed's tests of its asynchronous flavours: callbacks (Twisted), and waiting that is ended from outside
// (gevent); and of what a bucket says of itself (docs/seed-tests.md).

#include "cluster_run.hpp"

#include <chaise/mutation_state.hpp>
#include <chaise/stoppable.hpp>

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

/// What callbacks have heard.
struct Heard {
    int results = 0;
    int errors = 0;
    Error error;
    [[nodiscard]] int all() const { return results + errors; }

    template <class T>
    void hear(AsyncResult<T> operation) {
        operation.set_callbacks([this](const T&) { ++results; },
                                [this](const Error& failed) {
                                    ++errors;
                                    error = failed;
                                });
    }
};

/// Reads two keys in turn until told to stop: each must have its own value, whatever became of the reads before.
struct Alternating {
    ClusterRun& run;
    std::vector<std::string> names;
    std::stop_source killer{};
    bool over = false;
    int right = 0, killed = 0;

    Task<> read(Duration timeout) {
        for (std::size_t i = 0; !over; i = 1 - i) {
            const std::string key = names[i];
            const auto found =
                co_await stoppable(run.bucket().get(key, {.timeout = timeout}), killer.get_token()).as_expected();
            if (found) {
                if (found->value() != "of " + key) FAIL(key << " has " << found->value());
                ++right;
            } else {
                const errc why = found.error().code();
                if (why != errc::cancelled && !found.error().is(ErrorKind::network)) FAIL(found.error().message());
                ++killed;
                killer = {};
            }
        }
    }
};

}  // namespace

TEST_CASE("conn.testConnectionDestroyed, ops.testSimpleSet: the bucket goes while they are pending") {
    on_clusters([](ClusterRun& run) -> Task<> {
        Heard connected, stored;
        {
            AsyncBucket bucket(run.loop, run.access.connection_string, run.access.with());
            connected.hear(bucket.connect());
            stored.hear(bucket.upsert(run.key("dropped"), "v"));
        }
        CHECK(connected.all() + stored.all() == 0);
        co_await run.sleep(20ms);
        CHECK(connected.results == 0);
        CHECK(connected.errors == 1);
        CHECK(connected.error == errc::shutdown);
        CHECK(stored.all() == 1);
        CHECK(stored.error == errc::shutdown);
        CHECK_FALSE(stored.error.may_have_happened());
    });
}

TEST_CASE("ops.testSingleError, testMultiErrors, testMultiSet") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const std::vector<std::string> all = {run.key("tx1"), run.key("tx2"), run.key("tx3")};
        std::vector<std::pair<std::string, std::string>> pairs;
        for (const std::string& key : all) pairs.emplace_back(key, "v");
        Heard removed, missing, set, partly;
        set.hear(bucket.upsert_multi(pairs));
        while (set.all() == 0) co_await run.sleep(1ms);
        CHECK(set.results == 1);

        removed.hear(bucket.remove(all[1], {.quiet = true}));
        while (removed.all() == 0) co_await run.sleep(1ms);
        missing.hear(bucket.get(all[1], {.quiet = false}));
        partly.hear(bucket.get_multi(all, {.quiet = false}));
        CHECK(missing.all() + partly.all() == 0);
        while (missing.all() == 0 || partly.all() == 0) co_await run.sleep(1ms);
        CHECK(missing.results == 0);
        CHECK(missing.error == errc::document_not_found);
        CHECK(partly.results == 0);
        CHECK(partly.error == errc::document_not_found);
        CHECK(partly.error.context().key == all[1]);
        const auto results = partly.error.all_results<ValueResult>();
        CHECK(results.size() == 3);
        CHECK(results.at(all[0])->value() == "v");
        CHECK_FALSE(results.at(all[1]).has_value());
        CHECK(results.at(all[2])->value() == "v");
        co_await run.sleep(5ms);
        CHECK(removed.all() + missing.all() + set.all() + partly.all() == 4);  // nothing twice
    });
}

TEST_CASE("gevent.test_killing_greenlet") {
    on_clusters([](ClusterRun& run) -> Task<> {
        Alternating reads{run, {run.key("one"), run.key("other")}};
        for (const std::string& key : reads.names) co_await run.bucket().upsert(key, "of " + key);
        bool ended = false;
        const auto reader = [&]() -> Task<> {
            co_await reads.read(2500ms);
            ended = true;
        };
        spawn(run.loop, reader());
        for (int i = 0; i < 100; ++i) {
            co_await run.sleep(std::chrono::microseconds(50 + i * 10));
            reads.killer.request_stop();
        }
        for (int i = 0; i < 1000 && reads.right == 0; ++i) co_await run.sleep(1ms);  // however slow the machine is
        reads.over = true;
        while (!ended) co_await run.sleep(1ms);
        CHECK(reads.right > 0);
        CHECK(reads.killed > 10);
        const auto after = co_await run.bucket().get(reads.names[0]);
        CHECK(after.value() == "of " + reads.names[0]);
    });
}

TEST_CASE("gevent.test_timeout") {
    on_clusters([](ClusterRun& run) -> Task<> {
        Alternating reads{run, {run.key("one"), run.key("other")}};
        for (const std::string& key : reads.names) co_await run.bucket().upsert(key, "of " + key);
        for (const Duration timeout : {Duration(100ns), Duration(100us), Duration(300us), Duration(1s)}) {
            bool ended = false;
            reads.over = false;
            const auto reader = [&]() -> Task<> {
                co_await reads.read(timeout);
                ended = true;
            };
            spawn(run.loop, reader());
            co_await run.sleep(50ms);
            reads.over = true;
            while (!ended) co_await run.sleep(1ms);
        }
        CHECK(reads.right > 0);
        CHECK(reads.killed > 0);
    });
}

TEST_CASE("MutationTokens.disabled, state") {
    if (skipped_elsewhere("it needs a memcached bucket")) return;
    // Tokens are always asked for; a bucket whose history nobody keeps has none.
    ClusterRun without({.bucket_type = LocalBucketType::memcached});
    without([](ClusterRun& r) -> Task<> {
        const auto stored = co_await r.bucket().upsert("k", "v");
        CHECK_FALSE(stored.mutation_token());
        MutationState state;
        CHECK_FALSE(state.add(stored));
        CHECK(state.empty());
    });
    ClusterRun with({.nodes = 2});
    with([](ClusterRun& r) -> Task<> {
        const auto stored = co_await r.bucket().upsert("k", "v");
        REQUIRE(stored.mutation_token());
        const MutationState state(stored);
        REQUIRE(state.size() == 1);
        const auto& [vbucket, token] = *state.tokens().begin();
        CHECK(vbucket == r.cluster().placement("k").vbucket);
        CHECK(token == *stored.mutation_token());
        CHECK(token.vbucket_uuid != 0);
        const auto document = r.cluster().stored(*r.cluster().placement("k").active, "k");
        CHECK(token.seqno == document.value().seqno);
    });
}

TEST_CASE("Misc.defaults, closed") {
    const BucketOptions defaults;
    CHECK_FALSE(defaults.quiet);
    CHECK(defaults.operation_timeout == 2500ms);
    CHECK(defaults.compression == Compression::on);
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket bucket(run.loop, run.access.connection_string, run.access.with());
        CHECK_FALSE(bucket.connected());
        co_await bucket.version();  // of every node
        CHECK(bucket.connected());
        co_await bucket.close();
        CHECK_FALSE(bucket.connected());
        const auto get = co_await bucket.get(run.key("closed")).as_expected();
        CHECK(code_of(get) == errc::shutdown);
        const auto again = co_await bucket.close().as_expected();
        CHECK(again.has_value());
    });
}

TEST_CASE("Flush.flush, Misc.bucket: a bucket is emptied, and says its name and that it is closed") {
    if (skipped_elsewhere("it deletes everything")) return;
    ClusterRun run({.nodes = 3, .replicas = 1});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket bucket(r.loop, r.access.connection_string, r.access.with({.enable_flush = true}));
        CHECK(bucket.name() == "default");
        for (int i = 0; i < 50; ++i) {
            const std::string key = "k" + std::to_string(i);
            co_await bucket.upsert(key, "v", {.replicate_to = 1});
        }
        const OperationResult done = co_await bucket.flush();
        CHECK(done.success());
        for (int i = 0; i < 50; ++i) {
            const std::string key = "k" + std::to_string(i);
            const auto gone = co_await bucket.get(key, {.quiet = true});
            CHECK_FALSE(gone.success());
        }
        co_await bucket.upsert("k0", "again");

        AsyncBucket other(
            r.loop, r.access.connection_string,
            BucketOptions{
                .bucket = "nobodys", .username = r.access.user, .password = r.access.password, .enable_flush = true});
        const auto none = co_await other.flush({.timeout = 300ms}).as_expected();
        CHECK_FALSE(none.has_value());
        CHECK_FALSE(none.error().may_have_happened());

        // A node that hangs meanwhile: nobody knows.
        for (std::size_t node = 0; node < 3; ++node) r.cluster().pause(node);
        const auto late = co_await bucket.flush({.timeout = 100ms}).as_expected();
        CHECK(code_of(late) == errc::timeout_after_send);
        CHECK(late.error().may_have_happened());
        CHECK(late.error().context().operation == "flush");
        for (std::size_t node = 0; node < 3; ++node) r.cluster().resume(node);

        CHECK_FALSE(bucket.closed());
        co_await bucket.close();
        CHECK(bucket.closed());
        CHECK_AWAIT(code_of(co_await bucket.flush().as_expected()) == errc::shutdown);
        CHECK(bucket.name() == "default");
    });
}

TEST_CASE("Misc.conn_repr") {
    if (skipped_elsewhere("it needs buckets of each kind")) return;
    const auto kind = GENERATE(LocalBucketType::couchbase, LocalBucketType::ephemeral, LocalBucketType::memcached);
    ClusterRun run({.nodes = 2, .replicas = 1, .bucket_type = kind});
    run([&](ClusterRun& r) -> Task<> {
        CHECK(r.bucket().kind() == BucketKind::unknown);
        CHECK_FALSE(r.bucket().configured_replicas());
        CHECK(r.bucket().describe() == "bucket \"default\": not connected");
        co_await r.bucket().connect();
        while (!r.bucket().connected()) co_await r.bucket().noop();  // the other node's session
        const bool copies = kind != LocalBucketType::memcached;
        CHECK(r.bucket().kind() == (kind == LocalBucketType::couchbase   ? BucketKind::couchbase
                                    : kind == LocalBucketType::ephemeral ? BucketKind::ephemeral
                                                                         : BucketKind::memcached));
        CHECK(r.bucket().configured_replicas() == (copies ? 1u : 0u));
        const std::vector<std::string> nodes = r.bucket().server_nodes();
        REQUIRE(nodes.size() == 2);
        CHECK(r.bucket().describe() == "bucket \"default\" (" + std::string(name(r.bucket().kind())) +
                                           (copies ? ", 1 replica" : "") + ") at " + nodes[0] + "," + nodes[1] +
                                           ": connected");
        co_await r.bucket().close();
        CHECK(r.bucket().describe().ends_with(": closed"));
    });
}
