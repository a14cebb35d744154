// Reads from replicas, observe, ping, diagnostics, random keys, meta data, statistics of keys, against clusters of 1, 2
// and 4 nodes, by callbacks and by Task. Cases of the seed's tests keep their names (seed-semantics.md H).

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster_run.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

std::size_t replicas_of(AsyncBucket& bucket) { return bucket.server_nodes().size() > 1 ? 1 : 0; }

/// Stored, and on its replica.
Task<> store_everywhere(ClusterRun& run, std::string key, std::string value) {
    AsyncBucket& bucket = run.bucket();
    co_await bucket.upsert(key, value, {.flags = 3});
    const std::size_t copies = 1 + replicas_of(bucket);
    for (int i = 0; i < 200; ++i) {
        const auto all = co_await bucket.get_all_replicas(key);
        const auto there = std::count_if(all.begin(), all.end(), [&](const auto& one) { return one.value() == value; });
        if (static_cast<std::size_t>(there) >= copies) co_return;
        co_await run.sleep(10ms);
    }
    FAIL("it is not replicated");
}

}  // namespace

TEST_CASE("cluster: every copy of a document") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        co_await bucket.connect();
        for (int i = 0; i < 8; ++i) {
            const std::string key = run.key("copy" + std::to_string(i));
            co_await store_everywhere(run, key, "v");
            const auto all = co_await bucket.get_all_replicas(key);
            std::size_t active = 0;
            for (const ReplicaResult& copy : all) {
                active += copy.is_replica() ? 0u : 1u;
                CHECK(copy.value() == "v");
                CHECK(copy.flags() == 3);
                CHECK(copy.cas() == all.cas());
            }
            CHECK(active == 1);
            const auto any = co_await bucket.get_replica(key);
            CHECK(any.value() == "v");
            const auto first = co_await bucket.get_replica(key, {.index = 0}).as_expected();
            if (replicas_of(bucket) == 0) {
                CHECK(code_of(first) == errc::invalid_argument);
            } else {
                CHECK(first->is_replica());
                CHECK(first->value() == "v");
            }
            co_await bucket.remove(key);
        }
        const std::string missing = run.key("missing");
        CHECK_AWAIT(code_of(co_await bucket.get_replica(missing).as_expected()) == errc::document_unretrievable);
        CHECK_AWAIT(code_of(co_await bucket.get_all_replicas(missing).as_expected()) == errc::document_unretrievable);
        const auto quiet = co_await bucket.get_replica(missing, {.quiet = true});
        CHECK_FALSE(quiet.success());
        CHECK(bucket.operations() == 0);
    });
}

TEST_CASE("ReplicaGet.get_kw, get_ix: the active node is dead") {
    if (skipped_elsewhere("it kills a node")) return;
    const std::size_t nodes = GENERATE(2u, 4u);
    const auto replicas = static_cast<std::uint32_t>(nodes == 2 ? 1 : 2);
    ClusterRun run({.nodes = nodes, .replicas = replicas});
    run([&](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        const std::string key = "only on replicas";
        co_await bucket.upsert(key, "v");
        co_await r.sleep(100ms);
        const KeyPlacement placement = r.cluster().placement(key);
        CHECK(placement.replicas.size() == replicas);
        r.cluster().kill_node(*placement.active);
        const auto plain = co_await bucket.get(key, {.timeout = 200ms}).as_expected();
        CHECK((code_of(plain) == errc::timeout_before_send || code_of(plain) == errc::timeout_after_send));
        const auto any = co_await bucket.get_replica(key);
        CHECK(any.value() == "v");
        CHECK(any.is_replica());
        for (unsigned index = 0; index < replicas; ++index) {
            const auto one = co_await bucket.get_replica(key, {.index = index});
            CHECK(one.value() == "v");
        }
        const auto beyond = co_await bucket.get_replica(key, {.index = replicas}).as_expected();
        CHECK(code_of(beyond) == errc::invalid_argument);
        const auto all = co_await bucket.get_all_replicas(key, {.timeout = 300ms});
        CHECK(all.size() == replicas);
        const auto several = co_await bucket.get_replica_multi(keys(key, key));
        CHECK(several.all_ok());
        const auto observed = co_await bucket.observe(key, {.timeout = 300ms});
        CHECK(observed.master() == nullptr);
        CHECK(observed.copies().size() == 1 + replicas);
        const auto ping = co_await bucket.ping({.timeout = 300ms});
        const auto& endpoints = ping.services().at("kv");
        CHECK(endpoints.size() == nodes);
        CHECK(std::count_if(endpoints.begin(), endpoints.end(), [](const auto& one) {
                  return one.state == PingState::ok;
              }) == static_cast<std::ptrdiff_t>(nodes - 1));
        CHECK(bucket.diagnostics().state() == ClusterState::degraded);

        r.cluster().failover(*placement.active);
        const auto after = co_await bucket.get(key, {.timeout = 5s});
        CHECK(after.value() == "v");
        const auto still = co_await bucket.get_replica(key);
        CHECK(still.value() == "v");
    });
}

TEST_CASE("Observe.single, Observe.multi, Observe.master") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        co_await bucket.connect();
        const std::string key = run.key("observed"), missing = run.key("observed, missing");
        co_await store_everywhere(run, key, "v");
        const auto got = co_await bucket.get(key);
        const auto single = co_await bucket.observe(key);
        CHECK(single.copies().size() == 1 + replicas_of(bucket));
        REQUIRE(single.master());
        CHECK(single.master()->cas == got.cas());
        CHECK((single.master()->status == ObserveStatus::found || single.master()->status == ObserveStatus::persisted));
        for (const ObserveInfo& info : single.copies()) {
            CHECK(info.rc == errc::success);
            CHECK(info.cas == got.cas());
        }
        const auto multi = co_await bucket.observe_multi(keys(key, missing));
        CHECK(multi.all_ok());
        CHECK(multi.at(key)->master()->cas == got.cas());
        CHECK(multi.at(missing)->master()->status == ObserveStatus::not_found);
        const auto master = co_await bucket.observe(key, {.master_only = true});
        CHECK(master.copies().size() == 1);
        CHECK(master.copies().front().from_master);

        std::vector<std::string> many;
        for (int i = 0; i < 3000; ++i) many.push_back(run.key("observed") + std::to_string(i % 50));
        const auto all = co_await bucket.observe_multi(many, {.timeout = 20s});
        CHECK(all.all_ok());
        CHECK(all.size() == 3000);
        CHECK(bucket.operations() == 0);
    });
}

TEST_CASE("cluster: observe follows persistence and replication") {
    if (skipped_elsewhere("it sets delays")) return;
    ClusterRun run({.nodes = 2, .replicas = 1, .replication_delay = never, .persistence_delay = never});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        co_await bucket.upsert("k", "v");
        auto now = co_await bucket.observe("k");
        CHECK(now.copies()[0].status == ObserveStatus::found);
        CHECK(now.copies()[1].status == ObserveStatus::not_found);
        r.cluster().set_replication_delay(Duration::zero());
        r.cluster().set_persistence_delay(Duration::zero());
        for (int i = 0; i < 200 && now.copies()[1].status != ObserveStatus::persisted; ++i) {
            co_await r.sleep(10ms);
            now = co_await bucket.observe("k");
        }
        CHECK(now.copies()[0].status == ObserveStatus::persisted);
        CHECK(now.copies()[1].status == ObserveStatus::persisted);
        CHECK(now.copies()[1].cas == now.cas());
        r.cluster().set_persistence_delay(never);
        co_await bucket.remove("k");
        now = co_await bucket.observe("k", {.master_only = true});
        CHECK(now.copies()[0].status == ObserveStatus::logically_deleted);
        const auto meta = co_await bucket.get_meta("k").as_expected();
        CHECK((!meta || meta->deleted()));
    });
}

TEST_CASE("Diagnostics.ping, Diagnostics.diagnostics, Misc.server_nodes") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const auto ping = co_await bucket.ping({.report_id = "report"});
        CHECK(ping.all_ok());
        std::set<std::string> remotes;
        for (const EndpointPing& one : ping.services().at("kv")) {
            CHECK(one.state == PingState::ok);
            CHECK(one.latency < 2s);
            CHECK_FALSE(one.id.empty());
            CHECK(one.local.find(':') != std::string::npos);
            remotes.insert(one.remote);
        }
        const auto nodes = bucket.server_nodes();
        CHECK(remotes == std::set<std::string>(nodes.begin(), nodes.end()));
        CHECK(ping.to_json().find(R"({"version":2,"id":"report","sdk":"chaise/)") == 0);
        for (const char* service : {"views", "n1ql", "fts", "cbas"}) {
            INFO(service);
            REQUIRE(ping.services().contains(service));
            CHECK(ping.services().at(service).size() == nodes.size());
            for (const EndpointPing& one : ping.services().at(service)) {
                CHECK(one.state == PingState::ok);
                CHECK(one.error.empty());
                CHECK(one.remote.find(':') != std::string::npos);
            }
        }
        const auto short_one = co_await bucket.ping({.key_value_only = true});
        CHECK(short_one.services().size() == 1);
        const auto report = bucket.diagnostics();
        CHECK(report.state() == ClusterState::online);
        CHECK(report.services().at("kv").size() == nodes.size());
        for (const EndpointDiagnostics& one : report.services().at("kv")) {
            CHECK(one.state == EndpointState::connected);
            CHECK(one.last_activity);
        }
    });
}

TEST_CASE("Stats.without, with argument, list; statistics of keys") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        co_await bucket.connect();
        const std::string key = run.key("counted");
        co_await store_everywhere(run, key, "v");
        const std::vector<std::string> groups = {"", "vbucket-details"};
        const auto both = co_await bucket.stats_multi(groups);
        CHECK(both.stats().at("version").size() == bucket.server_nodes().size());
        CHECK(std::any_of(both.stats().begin(), both.stats().end(),
                          [](const auto& one) { return one.first.starts_with("vb_"); }));
        const auto one = co_await bucket.key_stats(key);
        CHECK(one.stats().at("key_cas").size() == 1 + replicas_of(bucket));
        CHECK(one.get("key_flags") == "3");
        const auto many = co_await bucket.key_stats_multi(keys(key, run.key("counted-missing"))).as_expected();
        CHECK(many.error() == errc::document_not_found);
        CHECK(many.error().all_results<StatsResult>().at(key).has_value());
    });
}

TEST_CASE("cluster: meta data and a random document") {
    if (skipped_elsewhere("it needs an empty bucket")) return;
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        CHECK_AWAIT(code_of(co_await bucket.get_random_key().as_expected()) == errc::document_not_found);
        const std::string key = run.key("the only one");
        const auto stored = co_await bucket.upsert(key, R"({"a":1})", {.expiry = 1h, .flags = 8});
        const auto meta = co_await bucket.get_meta(key);
        CHECK(meta.cas() == stored.cas());
        CHECK(meta.flags() == 8);
        CHECK(meta.expiry() > 1'700'000'000);
        CHECK(meta.seqno() == stored.mutation_token()->seqno);
        CHECK_FALSE(meta.deleted());
        for (int i = 0; i < 10; ++i) {
            const auto found = co_await bucket.get_random_key();
            CHECK(found.key() == key);
            CHECK(found.value() == R"({"a":1})");
            CHECK(found.flags() == 8);
            CHECK(found.cas() == stored.cas());
        }
        co_await bucket.remove(key);
        const auto gone = co_await bucket.get_meta(key, {.quiet = true});
        CHECK((!gone.success() || gone.deleted()));
    });
}

TEST_CASE("cluster: reads from replicas by callbacks, while nodes hand over what they have") {
    if (skipped_elsewhere("it moves vbuckets")) return;
    ClusterRun run({.nodes = 4, .replicas = 2});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        std::vector<std::string> all;
        for (int i = 0; i < 40; ++i) {
            all.push_back("moving" + std::to_string(i));
            co_await bucket.upsert(all.back(), "v");
        }
        co_await r.sleep(200ms);
        unsigned right = 0, wrong = 0;
        for (std::size_t node = 0; node < 4; ++node) {
            r.cluster().hand_over(node);
            for (const std::string& key : all) {
                bucket.get_replica(key).set_callbacks(
                    [&](ReplicaResult found) { ++(found.value() == "v" ? right : wrong); },
                    [&](const Error&) { ++wrong; });
                bucket.get_all_replicas(key).set_callbacks(
                    [&](AllReplicasResult found) { ++(found.size() == 3 ? right : wrong); },
                    [&](const Error&) { ++wrong; });
            }
            const auto observed = co_await bucket.observe_multi(all);
            CHECK(observed.all_ok());
        }
        for (int i = 0; i < 300 && right + wrong < 320; ++i) co_await r.sleep(10ms);
        CHECK(wrong == 0);
        CHECK(right == 320);
        CHECK(bucket.operations() == 0);
    });
}
