// What tests can do to a LocalCluster while a client uses it: vbuckets that move, nodes that join and leave, links and
// requests that fail, maps that contradict each other, calendars. From C++ and over HTTP.

#include <stdexcept>

#include "cluster/http/control_http.hpp"
#include "cluster_run.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

/// Coroutines that count, each on a key of its own, until they are told to stop.
struct Counting {
    explicit Counting(ClusterRun& its_run, std::size_t coroutines = 40) : run(its_run), acknowledged(coroutines) {
        for (std::size_t i = 0; i < coroutines; ++i) spawn(run.loop, count(i));
    }
    Task<> count(std::size_t i) {
        const std::string key = "count" + std::to_string(i);
        while (!stop) {
            auto outcome = co_await run.bucket().counter(key, {.delta = 1, .initial = 1}).as_expected();
            if (outcome) {
                if (outcome->counter() != acknowledged[i] + 1) ++wrong;
                acknowledged[i] = outcome->counter();
                ++total;
            } else {
                ++failed;
                last_error = outcome.error().message();
            }
            co_await run.sleep(200us);
        }
        ++ended;
    }
    Task<> finish() {
        stop = true;
        while (ended < acknowledged.size()) co_await run.sleep(1ms);
        INFO(last_error);
        CHECK(failed == 0);
        CHECK(wrong == 0);
        CHECK(total > acknowledged.size());
        for (std::size_t i = 0; i < acknowledged.size(); ++i) {
            auto there = co_await run.bucket().get("count" + std::to_string(i));
            if (there.value() != std::to_string(acknowledged[i])) ++wrong;
        }
        CHECK(wrong == 0);
    }
    ClusterRun& run;
    std::vector<std::uint64_t> acknowledged;
    std::uint64_t total = 0, failed = 0, wrong = 0;
    std::size_t ended = 0;
    std::string last_error;
    bool stop = false;
};

Task<> rebalanced(ClusterRun& run) {
    while (run.cluster().rebalancing()) co_await run.sleep(1ms);
}

std::size_t active_keys(const LocalCluster& cluster, std::size_t node) {
    std::size_t count = 0;
    for (int i = 0; i < 200; ++i) count += cluster.placement("key" + std::to_string(i)).active == node;
    return count;
}

}  // namespace

TEST_CASE("a rebalance loses no operation and no write: nodes leave, come back, join") {
    if (skipped_elsewhere("moves vbuckets")) return;
    const Duration replication_delay = GENERATE(0ms, 3ms);
    ClusterRun run({.nodes = 3, .replicas = 1, .replication_delay = replication_delay}, {.operation_timeout = 5s});
    run([](ClusterRun& r) -> Task<> {
        LocalCluster& cluster = r.cluster();
        Counting counting(r);
        co_await r.sleep(20ms);
        CHECK_THROWS_AS(cluster.rebalance({0, 0}), std::invalid_argument);
        cluster.rebalance_out(1);
        CHECK(cluster.rebalancing());
        CHECK_THROWS_AS(cluster.rebalance_out(2), std::logic_error);
        co_await rebalanced(r);
        CHECK_FALSE(cluster.member(1));
        CHECK(cluster.alive(1));
        CHECK(active_keys(cluster, 1) == 0);
        cluster.rebalance_in(1);
        co_await rebalanced(r);
        CHECK(cluster.member(1));
        CHECK(active_keys(cluster, 1) > 40);
        const std::size_t fourth = cluster.add_node();
        CHECK(fourth == 3);
        CHECK(cluster.nodes() == 4);
        CHECK(active_keys(cluster, fourth) == 0);
        cluster.rebalance_in(fourth);
        co_await rebalanced(r);
        CHECK(active_keys(cluster, fourth) > 20);
        cluster.rebalance(std::vector<std::size_t>{3, 2});
        co_await rebalanced(r);
        CHECK_FALSE(cluster.member(0));
        CHECK(active_keys(cluster, 2) + active_keys(cluster, 3) == 200);
        co_await counting.finish();
    });
}

TEST_CASE("a graceful failover loses nothing, a rebalance that loses a node gives up") {
    if (skipped_elsewhere("moves vbuckets")) return;
    ClusterRun run({.nodes = 3, .replicas = 1, .replication_delay = 5ms}, {.operation_timeout = 5s});
    run([](ClusterRun& r) -> Task<> {
        LocalCluster& cluster = r.cluster();
        Counting counting(r);
        co_await r.sleep(20ms);
        cluster.graceful_failover(2);
        co_await rebalanced(r);
        CHECK_FALSE(cluster.member(2));
        CHECK(active_keys(cluster, 2) == 0);
        co_await counting.finish();

        cluster.rebalance_in(2);
        cluster.kill_node(2);
        co_await rebalanced(r);
        CHECK_THROWS_AS(cluster.rebalance_in(2), std::invalid_argument);
        cluster.restart_node(2);
        cluster.rebalance_in(2);
        cluster.failover(2);
        CHECK_FALSE(cluster.rebalancing());
    });
}

TEST_CASE("links that delay, drop, truncate and corrupt") {
    if (skipped_elsewhere("harms its connections")) return;
    ClusterRun run({}, {.operation_timeout = 300ms});
    run([](ClusterRun& r) -> Task<> {
        LocalCluster& cluster = r.cluster();
        co_await r.bucket().upsert("k", "v");
        cluster.set_link_faults(0, {.delay = 40ms, .jitter = 1ms});
        const TimePoint start = r.loop.now();
        co_await r.bucket().get("k");
        CHECK(r.loop.now() - start >= 40ms);
        CHECK(r.loop.now() - start < 290ms);

        cluster.set_link_faults(0, {.drop = 1});
        auto dropped = co_await r.bucket().get("k").as_expected();
        CHECK(dropped.error() == errc::timeout_after_send);
        for (const LinkFaults& faults : {LinkFaults{.truncate = 1}, LinkFaults{.corrupt = 1}}) {
            cluster.set_link_faults(0, {});
            co_await r.bucket().get("k");
            cluster.set_link_faults(0, faults);
            auto lost = co_await r.bucket().upsert("k", "w").as_expected();
            CHECK(lost.error() == errc::connection_lost_after_send);
        }
        cluster.set_link_faults(0, {});
        auto there = co_await r.bucket().get("k", {.timeout = 3s});
        CHECK(there.value() == "w");
    });
}

TEST_CASE("bursts of errors, by opcode and number; who tries again does not see them") {
    if (skipped_elsewhere("makes errors")) return;
    ClusterRun run({.nodes = 2});
    run([](ClusterRun& r) -> Task<> {
        LocalCluster& cluster = r.cluster();
        co_await r.bucket().upsert("k", "v");
        cluster.add_error_burst({.status = 0x86, .opcode = 0x01, .times = 2});
        for (int i = 0; i < 2; ++i) {
            auto refused = co_await r.bucket().upsert("k", "w").as_expected();
            CHECK(refused.error() == errc::temporary_failure);
            CHECK_FALSE(refused.error().may_have_happened());
            co_await r.bucket().get("k");  // another opcode
        }
        co_await r.bucket().upsert("k", "x");
        cluster.add_error_burst({.status = 0x85, .node = cluster.placement("k").active});
        CHECK_AWAIT((co_await r.bucket().get("k").as_expected()).error() == errc::temporary_failure);
        cluster.clear_error_bursts();
        co_await r.bucket().get("k");
        CHECK_THROWS_AS(cluster.add_error_burst({.status = 0}), std::invalid_argument);

        AsyncBucket patient(r.loop, r.access.connection_string,
                            {.bucket = "default", .username = "Administrator", .password = "password"});
        cluster.add_error_burst({.status = 0x82, .times = 4});
        auto stored = co_await patient.upsert("k", "y");
        CHECK(stored.cas() != 0);
        co_await patient.close();
    });
}

TEST_CASE("locks end, calendars leap") {
    if (skipped_elsewhere("moves its calendar")) return;
    ClusterRun run({.nodes = 2});
    run([](ClusterRun& r) -> Task<> {
        LocalCluster& cluster = r.cluster();
        co_await r.bucket().upsert("k", "v", {.expiry = std::chrono::hours(1)});
        for (const bool by_travel : {false, true}) {
            co_await r.bucket().lock("k", 20s);
            CHECK_AWAIT(
                (co_await r.bucket().upsert("k", "w", {.expiry = std::chrono::hours(1)}).as_expected()).error() ==
                errc::document_locked);
            if (by_travel) {
                cluster.time_travel(30s);
            } else {
                cluster.expire_locks();
            }
            co_await r.bucket().upsert("k", "w", {.expiry = std::chrono::hours(1)});
        }
        cluster.time_travel(std::chrono::minutes(59));
        co_await r.bucket().get("k");
        cluster.time_travel(std::chrono::minutes(2));
        CHECK_AWAIT((co_await r.bucket().get("k").as_expected()).error() == errc::document_not_found);
    });
}

TEST_CASE("a node that contradicts the others' maps: what it says is refused, and it is forgotten") {
    if (skipped_elsewhere("makes a node lie")) return;
    ClusterRun run({.nodes = 3, .replicas = 1}, {.operation_timeout = 5s});
    run([](ClusterRun& r) -> Task<> {
        LocalCluster& cluster = r.cluster();
        co_await r.bucket().upsert("k", "v");
        cluster.set_conflicting_config(0, true);
        const auto right = r.access.connection_string;
        // Who learned the truth first keeps it, since revisions are the same.
        for (int i = 0; i < 50; ++i) co_await r.bucket().upsert("k" + std::to_string(i), "v", {.timeout = 300ms});
        // Who learned the lie first is told the truth by the next revision.
        const std::string liar = "couchbase://" + cluster.endpoint(0).to_string() + "/default";
        AsyncBucket misled(r.loop, liar, {.username = "Administrator", .password = "password"});
        auto failed = co_await misled.upsert("k1", "w", {.timeout = 300ms}).as_expected();
        CHECK(failed.error() == errc::timeout_before_send);
        cluster.set_conflicting_config(0, false);
        auto there = co_await misled.get("k1", {.timeout = 3s});
        CHECK(there.value() == "v");
        co_await misled.close();
    });
}

TEST_CASE("what was executed is told") {
    if (skipped_elsewhere("listens to its nodes")) return;
    ClusterRun run({.nodes = 2});
    run([](ClusterRun& r) -> Task<> {
        std::vector<std::string> told;
        r.cluster().on_executed([&](std::size_t, std::uint8_t opcode, std::string_view key, std::string_view value) {
            told.push_back(std::to_string(opcode) + " " + std::string(key) + " " + std::string(value));
        });
        co_await r.bucket().upsert("k", "v");
        CHECK_AWAIT((co_await r.bucket().insert("k", "w").as_expected()).error() == errc::document_exists);
        co_await r.bucket().remove("k");
        r.cluster().on_executed(nullptr);
        co_await r.bucket().upsert("k", "v");
        CHECK(told == std::vector<std::string>{"1 k v", "4 k "});
    });
}

TEST_CASE("the controls over HTTP") {
    EpollLoop loop;
    LocalCluster cluster(loop, {.nodes = 3, .replicas = 1});
    ControlHttp control(cluster);
    const auto ask = [&](std::string_view method, std::string_view target) {
        return control.answer({.method = std::string(method), .target = std::string(target)});
    };
    const auto turns = [&](Duration time) {
        for (const TimePoint end = loop.now() + time; loop.now() < end;) loop.run_one_turn(1ms);
    };
    CHECK(ask("GET", "/").body.find(R"("alive":true,"member":true)") != std::string::npos);
    CHECK(ask("POST", "/nodes/1/kill").status == 200);
    CHECK_FALSE(cluster.alive(1));
    CHECK(ask("POST", "/nodes/1/restart").status == 200);
    CHECK(cluster.alive(1));
    CHECK(ask("POST", "/nodes/2/failover").status == 200);
    CHECK_FALSE(cluster.member(2));
    CHECK(ask("POST", "/rebalance?nodes=0,1,2&pace=0").status == 200);
    CHECK(ask("GET", "/").body.find(R"("rebalancing":true)") != std::string::npos);
    CHECK(ask("POST", "/nodes/1/rebalance_out").status == 400);
    turns(300ms);
    CHECK_FALSE(cluster.rebalancing());
    CHECK(cluster.member(2));
    CHECK(ask("POST", "/nodes/0/graceful_failover").status == 200);
    turns(300ms);
    CHECK_FALSE(cluster.member(0));
    CHECK(ask("POST", "/nodes").body == R"({"node":3})");
    for (const char* target :
         {"/nodes/1/pause", "/nodes/1/resume", "/nodes/1/hand_over", "/nodes/1/close_connections",
          "/nodes/1/link?delay=1.5&jitter=1&drop=0.5&truncate=0&corrupt=1", "/nodes/1/link", "/nodes/1/config?delay=5",
          "/nodes/1/config?delay=never", "/nodes/1/config?delay=0", "/nodes/1/config?conflicting=1",
          "/nodes/1/config?conflicting=0", "/errors?status=0x86&opcode=0x01&times=3&node=1&probability=0.5",
          "/locks/expire", "/time?travel=-1000", "/replication?delay=5", "/replication?delay=never&from=1&to=2",
          "/replication?delay=0", "/persistence?delay=never&node=1", "/persistence?delay=0"}) {
        INFO(target);
        CHECK(ask("POST", target).status == 200);
    }
    CHECK(ask("DELETE", "/errors").status == 200);
    for (const char* target : {"/nodes/1/dance", "/nodes/9/kill", "/nodes/x/kill", "/dance", "/", "/nodes/1"}) {
        INFO(target);
        CHECK(ask("POST", target).status == 404);
    }
    for (const char* target : {"/nodes/1/link?drop=2", "/nodes/1/link?delay=-1", "/nodes/1/config?conflicting=2",
                               "/errors?status=0", "/errors?status=hot", "/rebalance", "/rebalance?nodes=0,",
                               "/time?travel=never", "/replication?delay=1&from=0"}) {
        INFO(target);
        CHECK(ask("POST", target).status == 400);
    }
    CHECK(ask("PUT", "/nodes/1/kill").status == 405);
    CHECK(ask("GET", "/nodes").status == 404);
}
