// Server groups: where copies are, what maps say, and reads that stay in a group.

#include <chaise/chaise.hpp>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "cluster_run.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

/// Four nodes in two groups; each document has one copy in each.
LocalClusterOptions two_groups() {
    return {.nodes = 4, .replicas = 1, .server_groups = {"east", "east", "west", "west"}};
}

bool in_west(std::size_t node) { return node >= 2; }

}  // namespace

TEST_CASE("cluster: copies of a document are in different server groups, also after a rebalance") {
    if (skipped_elsewhere("it counts on groups")) return;
    ClusterRun run({.nodes = 5, .replicas = 2, .server_groups = {"a", "a", "b", "b", "c"}});
    run([](ClusterRun& r) -> Task<> {
        const auto check = [&](const std::vector<std::string>& groups, std::size_t different) {
            for (int i = 0; i < 300; ++i) {
                const KeyPlacement at = r.cluster().placement("key" + std::to_string(i));
                REQUIRE(at.active);
                std::set<std::string> found{groups.at(*at.active)};
                for (const std::size_t replica : at.replicas) found.insert(groups.at(replica));
                CHECK(at.replicas.size() == 2);
                CHECK(found.size() == different);
            }
        };
        const auto settled = [&]() -> Task<> {
            while (r.cluster().rebalancing()) co_await r.sleep(5ms);
        };
        std::vector<std::string> groups{"a", "a", "b", "b", "c"};
        check(groups, 3);
        r.cluster().rebalance_out(4);
        co_await settled();
        check(groups, 2);
        groups.emplace_back("d");
        r.cluster().rebalance_in(r.cluster().add_node("d"));
        co_await settled();
        check(groups, 3);
        co_await r.bucket().close();
    });
}

TEST_CASE("cluster: the replicas of one node's documents are spread over the other group") {
    if (skipped_elsewhere("it counts on groups")) return;
    ClusterRun run(two_groups());
    std::map<std::pair<std::size_t, std::size_t>, int> pairs;
    for (int i = 0; i < 800; ++i) {
        const KeyPlacement at = run.cluster().placement("key" + std::to_string(i));
        ++pairs[{*at.active, at.replicas.at(0)}];
    }
    CHECK(pairs.size() == 8);
    for (const auto& [pair, count] : pairs) CHECK(count > 50);
    CHECK_THROWS_AS(run.cluster().add_node(""), std::invalid_argument);
}

TEST_CASE("cluster: options that make no groups") {
    EpollLoop loop;
    CHECK_THROWS_AS(LocalCluster(loop, {.nodes = 2, .server_groups = {"a"}}), std::invalid_argument);
    CHECK_THROWS_AS(LocalCluster(loop, {.nodes = 1, .server_groups = {"a", "b"}}), std::invalid_argument);
    CHECK_THROWS_AS(LocalCluster(loop, {.nodes = 2, .server_groups = {"a", ""}}), std::invalid_argument);
}

// Who answered shows in what he has: replicas hear nothing of the second value.
TEST_CASE("cluster: reads from a preferred server group go to that group's nodes only") {
    if (skipped_elsewhere("it counts on groups")) return;
    ClusterRun run(two_groups(), {.preferred_server_group = "west"});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        constexpr auto only = ReadPreference::selected_server_group;
        constexpr auto rather = ReadPreference::selected_server_group_or_all_available;
        constexpr int documents = 60;
        const auto name = [](int i) { return "key" + std::to_string(i); };
        for (int i = 0; i < documents; ++i) co_await bucket.upsert(name(i), "old", {.replicate_to = 1});
        r.cluster().set_replication_delay(never);
        for (int i = 0; i < documents; ++i) co_await bucket.upsert(name(i), "new");
        int actives = 0;
        for (int i = 0; i < documents; ++i) {
            const std::string key = name(i);
            const bool active = in_west(r.cluster().placement(key).active.value());
            actives += active ? 1 : 0;
            const auto any = co_await bucket.get_replica(key, {.read_preference = only});
            CHECK(any.is_replica() == !active);
            CHECK(any.value() == (active ? "new" : "old"));
            const auto all = co_await bucket.get_all_replicas(key, {.read_preference = only});
            CHECK(all.size() == 1);
            const auto preferred = co_await bucket.get_all_replicas(key, {.read_preference = rather});
            CHECK(preferred.size() == 1);
            const auto everybody = co_await bucket.get_all_replicas(key);
            CHECK(everybody.size() == 2);
        }
        CHECK(actives > 10);
        CHECK(actives < documents - 10);

        // The other group can be gone altogether: nobody asks there.
        r.cluster().pause(0);
        r.cluster().pause(1);
        for (int i = 0; i < documents; ++i) {
            const auto got =
                co_await bucket.get_replica(name(i), {.read_preference = only, .timeout = 2s}).as_expected();
            CHECK(got.has_value());
        }
        r.cluster().resume(0);
        r.cluster().resume(1);
        co_await bucket.close();
    });
}

TEST_CASE("cluster: a preferred server group that has no copy") {
    if (skipped_elsewhere("it counts on groups")) return;
    // Without replicas: half of the documents are in the east only.
    ClusterRun run({.nodes = 2, .server_groups = {"east", "west"}}, {.preferred_server_group = "west"});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        int without = 0;
        for (int i = 0; i < 40; ++i) {
            const std::string key = "key" + std::to_string(i);
            co_await bucket.upsert(key, "value");
            const bool there = r.cluster().placement(key).active == 1u;
            without += there ? 0 : 1;
            const auto only =
                co_await bucket.get_replica(key, {.read_preference = ReadPreference::selected_server_group})
                    .as_expected();
            CHECK(only.has_value() == there);
            if (!only) {
                CHECK(only.error() == errc::document_unretrievable);
                CHECK_THAT(only.error().message(), Catch::Contains("west"));
            }
            const auto rather = co_await bucket.get_replica(
                key, {.read_preference = ReadPreference::selected_server_group_or_all_available});
            CHECK(rather.value() == "value");
        }
        CHECK(without > 5);
        CHECK(without < 35);
        co_await bucket.close();
    });
}
