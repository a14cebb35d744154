// Nodes that die, hang, come back and are failed over, as the client sees it.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cluster_run.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

/// The first key whose active copy is on `node`.
std::string key_at(const LocalCluster& cluster, std::size_t node, std::string_view prefix = "key") {
    for (int i = 0;; ++i) {
        const std::string key = std::string(prefix) + std::to_string(i);
        if (cluster.placement(key).active == node) return key;
    }
}

/// Writes and reads its own document over and over. What may be lost: nothing, but what the dying node had not passed
/// on when it died, which is the last write at most.
struct Worker {
    std::string key;
    int acknowledged = -1;  // the last round that was
    int last = -1;          // that was tried
    int done = 0;
    int wrong = 0;
    std::vector<errc> errors{};

    Task<> work(AsyncBucket& bucket, const bool& stop) {
        for (int round = 0; !stop; ++round) {
            last = round;
            const auto stored = co_await bucket.upsert(key, key + '=' + std::to_string(round)).as_expected();
            if (stored) {
                acknowledged = round;
            } else {
                errors.push_back(stored.error().code());
            }
            const auto found = co_await bucket.get(key, {.quiet = true}).as_expected();
            if (found) {
                look(*found);
            } else {
                errors.push_back(found.error().code());
            }
            ++done;
        }
    }
    void look(const ValueResult& found) {
        if (!found.success()) {
            wrong += acknowledged > 0;
            return;
        }
        const std::string text = found.owned();
        const std::size_t sign = text.find('=');
        const bool own = sign != std::string::npos && text.substr(0, sign) == key;
        const int round = own ? std::stoi(text.substr(sign + 1)) : -2;
        wrong += round < acknowledged - 1 || round > last;
    }
};

/// Workers under way while `story` runs.
template <class Story>
Task<> under_load(ClusterRun& run, std::vector<Worker>& workers, const Story& story) {
    bool stop = false;
    std::size_t left = workers.size();
    const auto work = [&](Worker& worker) -> Task<> {
        co_await worker.work(run.bucket(), stop);
        --left;
    };
    for (Worker& worker : workers) spawn(run.loop, work(worker));
    co_await story();
    stop = true;
    while (left != 0) co_await run.sleep(1ms);
}

int total(const std::vector<Worker>& workers) {
    int done = 0;
    for (const Worker& worker : workers) done += worker.done;
    return done;
}

/// Until so many more rounds have been done.
Task<> rounds(ClusterRun& run, const std::vector<Worker>& workers, int more) {
    const int wanted = total(workers) + more;
    for (int i = 0; i < 20'000 && total(workers) < wanted; ++i) co_await run.sleep(1ms);
    CHECK(total(workers) >= wanted);
}

std::vector<Worker> make_workers(int count) {
    std::vector<Worker> workers;
    for (int i = 0; i < count; ++i) workers.push_back({.key = "worker" + std::to_string(i)});
    return workers;
}

}  // namespace

TEST_CASE("cluster: a node is killed and restarted; the others go on, and what was on its disk is there") {
    if (skipped_elsewhere("kills nodes")) return;
    const std::size_t nodes = GENERATE(1u, 2u, 4u);
    CAPTURE(nodes);
    ClusterRun run({.nodes = nodes});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        LocalCluster& cluster = r.cluster();
        const std::string kept = key_at(cluster, 0, "kept");
        const std::string lost = key_at(cluster, 0, "lost");
        co_await bucket.upsert(kept, "on disk");
        while (!cluster.persisted(0, kept)) co_await r.sleep(1ms);
        cluster.set_persistence_delay(never);
        co_await bucket.upsert(lost, "in memory only");
        co_await bucket.upsert(kept, "newer, in memory only");

        cluster.kill_node(0);
        auto waits = bucket.get(kept, {.timeout = 10s});
        const auto late = co_await bucket.get(kept, {.timeout = 100ms}).as_expected();
        REQUIRE_FALSE(late);
        CHECK(late.error().code() == errc::timeout_before_send);
        CHECK_FALSE(late.error().may_have_happened());
        CHECK(late.error().message().find(cluster.endpoint(0).to_string()) != std::string::npos);
        for (std::size_t node = 1; node < cluster.nodes(); ++node) {
            const std::string there = key_at(cluster, node, "there");
            co_await bucket.upsert(there, "v", {.timeout = 1s});
            CHECK_AWAIT((co_await bucket.get(there)).value() == "v");
        }
        cluster.restart_node(0);
        CHECK_AWAIT((co_await waits).value() == "on disk");
        CHECK_AWAIT(code_of(co_await bucket.get(lost).as_expected()) == errc::document_not_found);
        const auto again = co_await bucket.upsert(lost, "again");
        CHECK(again.mutation_token());
    });
}

TEST_CASE("cluster: reads under way when a node dies are asked again, writes say that they may have happened") {
    if (skipped_elsewhere("kills nodes")) return;
    ClusterRun run({.nodes = 2});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        LocalCluster& cluster = r.cluster();
        const std::string key = key_at(cluster, 1);
        const std::string other = key_at(cluster, 0);
        co_await bucket.upsert(key, "v");
        co_await bucket.upsert(other, "w");
        while (!cluster.persisted(1, key)) co_await r.sleep(1ms);
        cluster.pause(1);
        std::vector<AsyncResult<ValueResult>> reads;
        std::vector<AsyncResult<OperationResult>> writes;
        for (int i = 0; i < 20; ++i) {
            reads.push_back(bucket.get(key));
            writes.push_back(bucket.append(key, "+"));
        }
        CHECK_AWAIT((co_await bucket.get(other)).value() == "w");  // by now the others have been sent
        cluster.kill_node(1);
        cluster.restart_node(1);
        for (auto& write : writes) {
            const auto outcome = co_await write.as_expected();
            REQUIRE_FALSE(outcome);
            CHECK(outcome.error().code() == errc::connection_lost_after_send);
            CHECK(outcome.error().may_have_happened());
        }
        for (auto& read : reads) CHECK_AWAIT((co_await read).value() == "v");
    });
}

TEST_CASE("cluster: a node that hangs costs its operations their time, and nobody else's") {
    if (skipped_elsewhere("stops nodes")) return;
    ClusterRun run({.nodes = 2});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        LocalCluster& cluster = r.cluster();
        const std::string key = key_at(cluster, 1);
        const std::string other = key_at(cluster, 0);
        co_await bucket.upsert(key, "before");
        cluster.pause(1);
        auto write = bucket.upsert(key, "meanwhile", {.timeout = 100ms});
        for (int i = 0; i < 50; ++i) co_await bucket.upsert(other, std::to_string(i), {.timeout = 1s});
        const auto late = co_await write.as_expected();
        REQUIRE_FALSE(late);
        CHECK(late.error().code() == errc::timeout_after_send);
        CHECK(late.error().may_have_happened());
        cluster.resume(1);
        // It did happen: late answers meet nobody, and the stream is in step.
        CHECK_AWAIT((co_await bucket.get(key)).value() == "meanwhile");
        CHECK_AWAIT((co_await bucket.get(other)).value() == "49");
    });
}

TEST_CASE("cluster: connections that are cut under load come again") {
    if (skipped_elsewhere("cuts connections")) return;
    ClusterRun run({.nodes = 4});
    run([](ClusterRun& r) -> Task<> {
        std::vector<Worker> workers = make_workers(32);
        const auto story = [&]() -> Task<> {
            co_await rounds(r, workers, 64);
            for (std::size_t i = 0; i < 8; ++i) {
                r.cluster().close_connections(i % 4);
                co_await rounds(r, workers, 64);
            }
        };
        co_await under_load(r, workers, story);
        for (const Worker& worker : workers) {
            CAPTURE(worker.key);
            CHECK(worker.wrong == 0);
            CHECK(worker.done > 1);
            CHECK(worker.errors.size() <= 2);  // each node's connection was cut twice
            for (const errc error : worker.errors) CHECK(error == errc::connection_lost_after_send);
        }
    });
}

TEST_CASE("cluster: failover of a living node under load: who had sent nothing to it notices nothing") {
    if (skipped_elsewhere("fails nodes over")) return;
    const std::size_t nodes = GENERATE(2u, 4u);
    // A node that believes the new map later than the client answers "not my vbucket" meanwhile.
    const Duration slow = GENERATE(0ms, 60ms);
    CAPTURE(nodes, slow.count());
    ClusterRun run({.nodes = nodes, .replicas = 1});
    run([&](ClusterRun& r) -> Task<> {
        std::vector<Worker> workers = make_workers(64);
        std::vector<bool> affected;
        for (const Worker& worker : workers) {
            affected.push_back(r.cluster().placement(worker.key).active == 1);
        }
        const auto story = [&]() -> Task<> {
            co_await rounds(r, workers, 640);
            if (nodes > 2) r.cluster().set_config_delay(2, slow);
            r.cluster().failover(1);
            co_await rounds(r, workers, 6400);
        };
        co_await under_load(r, workers, story);
        if (nodes > 2 && slow > 0ms) CHECK(r.cluster().not_my_vbucket(2) > 0);
        for (std::size_t i = 0; i < workers.size(); ++i) {
            const Worker& worker = workers[i];
            CAPTURE(worker.key);
            CHECK(worker.wrong == 0);
            // It lets its bucket go, and with that its clients: a write that it had may have happened.
            CHECK(worker.errors.size() <= (affected[i] ? 1 : 0));
            for (const errc error : worker.errors) CHECK(error == errc::connection_lost_after_send);
            CHECK(r.cluster().placement(worker.key).active != 1);
            const auto found = co_await r.bucket().get(worker.key);
            CHECK(found.value() == worker.key + '=' + std::to_string(worker.acknowledged));
        }
        // A node that is no member is let go.
        for (int i = 0; i < 500 && r.cluster().connections(1) != 0; ++i) co_await r.sleep(10ms);
        CHECK(r.cluster().connections(1) == 0);
    });
}

TEST_CASE("cluster: vbuckets move under load, and no operation is lost on the way") {
    if (skipped_elsewhere("moves vbuckets")) return;
    const std::size_t nodes = GENERATE(2u, 4u);
    CAPTURE(nodes);
    ClusterRun run({.nodes = nodes, .replicas = 1});
    run([&](ClusterRun& r) -> Task<> {
        std::vector<Worker> workers = make_workers(64);
        const auto story = [&]() -> Task<> {
            for (std::size_t i = 0; i < 8; ++i) {
                co_await rounds(r, workers, 640);
                // These leave by the old map.
                std::vector<AsyncResult<ValueResult>> reads;
                for (const Worker& worker : workers) reads.push_back(r.bucket().get(worker.key));
                r.cluster().hand_over(i % nodes);
                for (auto& read : reads) CHECK_AWAIT((co_await read).success());
            }
            co_await rounds(r, workers, 640);
        };
        co_await under_load(r, workers, story);
        std::uint64_t sent_wrong = 0;
        for (std::size_t node = 0; node < nodes; ++node) {
            sent_wrong += r.cluster().not_my_vbucket(node);
            CHECK(r.cluster().connections(node) == 1);
        }
        CHECK(sent_wrong > 0);
        for (const Worker& worker : workers) {
            CAPTURE(worker.key);
            CHECK(worker.errors.empty());
            CHECK(worker.wrong == 0);
            const auto found = co_await r.bucket().get(worker.key);
            CHECK(found.value() == worker.key + '=' + std::to_string(worker.acknowledged));
        }
    });
}

TEST_CASE("cluster: a node dies under load and is failed over; operations that wait go to the others") {
    if (skipped_elsewhere("kills nodes and fails them over")) return;
    const std::size_t nodes = GENERATE(2u, 4u);
    CAPTURE(nodes);
    ClusterRun run({.nodes = nodes, .replicas = 1}, {.operation_timeout = 20s});
    run([](ClusterRun& r) -> Task<> {
        std::vector<Worker> workers = make_workers(64);
        const auto story = [&]() -> Task<> {
            co_await rounds(r, workers, 640);
            r.cluster().kill_node(1);
            co_await r.sleep(50ms);
            r.cluster().failover(1);
            co_await rounds(r, workers, 6400);
        };
        co_await under_load(r, workers, story);
        int errors = 0;
        for (const Worker& worker : workers) {
            CAPTURE(worker.key);
            CHECK(worker.wrong == 0);
            CHECK(worker.errors.size() <= 1);  // the write that had been sent
            for (const errc error : worker.errors) CHECK(error == errc::connection_lost_after_send);
            errors += static_cast<int>(worker.errors.size());
            CHECK(worker.done > 1);
            CHECK(r.cluster().placement(worker.key).active != 1);
        }
        CHECK(errors < 64);
        const auto version = co_await r.bucket().version();
        CHECK(version.versions().size() == r.cluster().nodes() - 1);
    });
}

TEST_CASE("cluster: nodes fail one after the other, until one is left") {
    if (skipped_elsewhere("fails nodes over")) return;
    ClusterRun run({.nodes = 4, .replicas = 3}, {.operation_timeout = 20s});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        std::uint64_t count = 0;
        for (std::size_t node = 0; node < 4; ++node) {
            for (int i = 0; i < 64; ++i) {
                const std::string key = "kept" + std::to_string(i);
                const auto found = co_await bucket.get(key, {.quiet = true});  // by now it knows who is gone
                CHECK(found.success() == (count > 0));
                const auto number = co_await bucket.counter(key, {.initial = 0});
                CHECK(number.counter() == count);
            }
            ++count;
            if (node == 3) break;
            co_await r.sleep(10ms);  // the replicas have it
            if (node % 2 == 0) r.cluster().kill_node(node);
            r.cluster().failover(node);
        }
        CHECK(r.cluster().connection_string() == "couchbase://" + r.cluster().endpoint(3).to_string());
        CHECK(bucket.connected());
    });
}

TEST_CASE("cluster: the client sees what a failover lost") {
    if (skipped_elsewhere("looks into copies, and fails nodes over")) return;
    ClusterRun run({.nodes = 3, .replicas = 1});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        LocalCluster& cluster = r.cluster();
        const std::string key = key_at(cluster, 0);
        const std::size_t replica = cluster.placement(key).replicas.at(0);
        const auto old = co_await bucket.upsert(key, "old");
        for (int i = 0; i < 100 && !cluster.stored(replica, key); ++i) co_await r.sleep(1ms);
        cluster.set_replication_delay(200ms);
        co_await bucket.upsert(key, "newer");
        CHECK(cluster.stored(0, key).value().value == "newer");
        co_await r.sleep(50ms);
        CHECK(cluster.stored(replica, key).value().value == "old");
        co_await r.sleep(250ms);
        CHECK(cluster.stored(replica, key).value().value == "newer");

        cluster.set_replication_delay(never);
        const auto lost = co_await bucket.upsert(key, "newest");
        cluster.failover(0);
        CHECK_AWAIT((co_await bucket.get(key)).value() == "newer");
        const auto after = co_await bucket.upsert(key, "another history");
        CHECK(after.mutation_token().value().vbucket == old.mutation_token().value().vbucket);
        CHECK(after.mutation_token().value().vbucket_uuid != lost.mutation_token().value().vbucket_uuid);
        CHECK(after.mutation_token().value().seqno <= lost.mutation_token().value().seqno);
    });
}

TEST_CASE("cluster: it goes away altogether under load, and so does the bucket") {
    if (skipped_elsewhere("ends the cluster")) return;
    EpollLoop loop;
    std::optional<LocalCluster> cluster;
    cluster.emplace(loop, LocalClusterOptions{.nodes = 4});
    std::optional<AsyncBucket> bucket;
    bucket.emplace(loop, cluster->connection_string(),
                   BucketOptions{.username = "Administrator", .password = "password"});
    int outcomes = 0;
    const auto body = [&]() -> Task<> {
        co_await bucket->connect();
        std::vector<AsyncResult<OperationResult>> writes;
        for (int i = 0; i < 1000; ++i)
            writes.push_back(bucket->upsert("key" + std::to_string(i), "v", {.timeout = 1s}));
        for (int i = 0; i < 10; ++i) co_await writes[static_cast<std::size_t>(i)].as_expected();
        cluster.reset();
        for (std::size_t i = 10; i < 500; ++i) {
            const auto outcome = co_await writes[i].as_expected();
            ++outcomes;
            if (outcome) continue;
            CHECK((outcome.error().code() == errc::connection_lost_after_send ||
                   outcome.error().code() == errc::timeout_before_send));
        }
        bucket.reset();
        for (std::size_t i = 500; i < 1000; ++i) {
            co_await writes[i].as_expected();
            ++outcomes;
        }
    };
    spawn(loop, body());
    loop.run();
    CHECK(outcomes == 990);
}
