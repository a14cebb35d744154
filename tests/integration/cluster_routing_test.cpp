// Which node and vbucket things go to, and what is asked of all nodes.

#include <algorithm>
#include <cstddef>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "cluster_run.hpp"
#include "protocol/vbucket.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

/// As the servers say it: "vb_17: active".
Task<std::size_t> vbuckets_of(AsyncBucket& bucket) {
    const auto stats = co_await bucket.stats("vbucket");
    std::size_t count = 0;
    for (const auto& [name, servers] : stats.stats()) {
        count += std::any_of(servers.begin(), servers.end(), [](const auto& one) { return one.second == "active"; });
    }
    co_return count;
}

}  // namespace

TEST_CASE("cluster: thousands of operations in flight over all nodes, each with its own key's value") {
    on_clusters([](ClusterRun& run) -> Task<> {
        constexpr std::size_t count = 4000;
        AsyncBucket& bucket = run.bucket();
        std::vector<std::string> keys;
        for (std::size_t i = 0; i < count; ++i) keys.push_back(run.key("many" + std::to_string(i)));
        const auto value_of = [](const std::string& key, int round) {
            return key + '=' + std::to_string(round) + std::string(key.size() * 7 % 150, 'v');
        };
        std::mt19937 random(3);
        for (int round = 0; round < 3; ++round) {
            std::shuffle(keys.begin(), keys.end(), random);
            // The reads are sent before the writes are answered.
            std::vector<AsyncResult<OperationResult>> stores;
            for (const std::string& key : keys) stores.push_back(bucket.upsert(key, value_of(key, round)));
            std::vector<AsyncResult<ValueResult>> gets;
            for (const std::string& key : keys) gets.push_back(bucket.get(key));
            CHECK(bucket.operations() == 2 * count);
            std::size_t right = 0;
            for (std::size_t i = 0; i < count; ++i) {
                const auto stored = co_await stores[i];
                const auto found = co_await gets[i];
                right += found.value() == value_of(keys[i], round) && found.cas() == stored.cas();
            }
            CHECK(right == count);
        }
        if (skipped_elsewhere("looks into each node's copies")) co_return;
        LocalCluster& cluster = run.cluster();
        std::vector<std::size_t> held(cluster.nodes());
        for (const std::string& key : keys) {
            const KeyPlacement placement = cluster.placement(key);
            const std::size_t active = placement.active.value();
            const auto stored = cluster.stored(active, key);
            CHECK((stored && stored->value == value_of(key, 2)));
            ++held[active];
            for (std::size_t node = 0; node < cluster.nodes(); ++node) {
                const bool replica = std::count(placement.replicas.begin(), placement.replicas.end(), node) != 0;
                if (node != active && !replica) CHECK_FALSE(cluster.stored(node, key));
            }
        }
        for (std::size_t node = 0; node < cluster.nodes(); ++node) {
            CHECK(held[node] > count / cluster.nodes() / 2);
            CHECK(cluster.connections(node) == 1);
        }
    });
}

TEST_CASE("cluster: operations on one key complete in the order of issue") {
    on_clusters({.ordered = true}, [](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const std::string key = run.key("ordered");
        co_await bucket.upsert(key, "");
        std::vector<int> order;
        for (int i = 0; i < 200; ++i) {
            bucket.append(key, std::string(1, static_cast<char>('a' + i % 26)))
                .set_callbacks([&order, i](OperationResult&&) { order.push_back(i); },
                               [](const Error& error) { FAIL_CHECK(error.message()); });
        }
        const auto found = co_await bucket.get(key);
        REQUIRE(order.size() == 200);
        CHECK(std::is_sorted(order.begin(), order.end()));
        REQUIRE(found.value().size() == 200);
        bool right = true;
        for (std::size_t i = 0; i < 200; ++i) right &= found.value()[i] == static_cast<char>('a' + i % 26);
        CHECK(right);
    });
}

TEST_CASE("cluster: every mutation has a token of the key's vbucket, with a rising seqno") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const std::size_t vbuckets = co_await vbuckets_of(bucket);
        CHECK(vbuckets >= 1);
        if (run.local()) CHECK(vbuckets == 64);
        std::map<std::uint16_t, MutationToken> last;
        std::set<std::uint64_t> uuids;
        for (int i = 0; i < 100; ++i) {
            const std::string key = run.key("token" + std::to_string(i));
            const auto vbucket = protocol::vbucket_of(key, static_cast<std::uint32_t>(vbuckets));
            if (run.local()) CHECK(vbucket == run.cluster().placement(key).vbucket);
            const auto check = [&](const char* what, const OperationResult& result) {
                CAPTURE(what, key);
                const auto token = result.mutation_token();
                REQUIRE(token);
                CHECK(token->vbucket == vbucket);
                CHECK(token->vbucket_uuid != 0);
                CHECK(token->seqno != 0);
                const auto before = last.find(token->vbucket);
                if (before != last.end()) {
                    CHECK(token->seqno > before->second.seqno);
                    CHECK(token->vbucket_uuid == before->second.vbucket_uuid);
                }
                last[token->vbucket] = *token;
                uuids.insert(token->vbucket_uuid);
                if (!run.local()) return;
                const auto stored = run.cluster().stored(run.cluster().placement(key).active.value(), key);
                if (stored) CHECK(stored->seqno == token->seqno);
            };
            check("insert", co_await bucket.insert(key, "1"));
            check("upsert", co_await bucket.upsert(key, "2"));
            check("replace", co_await bucket.replace(key, "3"));
            check("append", co_await bucket.append(key, "4"));
            check("prepend", co_await bucket.prepend(key, "5"));
            check("remove", co_await bucket.remove(key));
        }
        CHECK(uuids.size() == last.size());
    });
}

TEST_CASE("cluster: noop, version and stats ask every node") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        CHECK_AWAIT((co_await bucket.noop()).success());
        const auto version = co_await bucket.version();
        const std::string key = run.key("counted");
        co_await bucket.upsert(key, "v");
        const auto stats = co_await bucket.stats();
        REQUIRE(stats.stats().contains("curr_items"));
        REQUIRE(stats.stats().contains("version"));
        std::uint64_t items = 0;
        for (const auto& [server, count] : stats.stats().at("curr_items")) items += std::stoull(count);
        CHECK(items >= 1);
        REQUIRE_FALSE(version.versions().empty());
        for (const auto& [server, text] : version.versions()) {
            CAPTURE(server);
            CHECK_FALSE(text.empty());
            CHECK(stats.get("version", server) == text);
        }
        CHECK(stats.stats().at("curr_items").size() == version.versions().size());
        CHECK_AWAIT(code_of(co_await bucket.stats("no such group").as_expected()) != errc::success);
        CHECK_AWAIT((co_await bucket.get(key)).value() == "v");  // the streams are in step
        if (skipped_elsewhere("knows the nodes and what they hold")) co_return;
        CHECK(items == 1);
        std::set<std::string> expected, said;
        for (std::size_t node = 0; node < run.cluster().nodes(); ++node) {
            expected.insert(run.cluster().endpoint(node).to_string());
        }
        for (const auto& [server, text] : version.versions()) said.insert(server);
        CHECK(said == expected);
        CHECK_AWAIT(code_of(co_await bucket.stats("no such group").as_expected()) == errc::document_not_found);
    });
}

TEST_CASE("cluster: two buckets in one loop have nothing of each other") {
    if (skipped_elsewhere("makes a second bucket")) return;
    ClusterRun run({.nodes = 2});
    run.cluster().create_bucket("second", 1, 16);
    LocalCluster elsewhere(run.loop, {.nodes = 2, .bucket = "third", .username = "ada", .password = "lovelace"});
    run([&](ClusterRun& r) -> Task<> {
        AsyncBucket& first = r.bucket();
        AsyncBucket second(r.loop, r.access.connection_string + "/second",
                           {.username = r.access.user, .password = r.access.password});
        AsyncBucket third(r.loop, elsewhere.connection_string("third"), {.username = "ada", .password = "lovelace"});
        std::vector<AsyncBucket*> buckets{&first, &second, &third};
        std::vector<AsyncResult<OperationResult>> stores;
        for (int i = 0; i < 300; ++i) {
            const std::size_t which = static_cast<std::size_t>(i) % 3;
            stores.push_back(buckets[which]->upsert("key" + std::to_string(i / 3), std::to_string(i)));
        }
        for (auto& store : stores) co_await store;
        for (int i = 0; i < 300; ++i) {
            const std::size_t which = static_cast<std::size_t>(i) % 3;
            const auto found = co_await buckets[which]->get("key" + std::to_string(i / 3));
            CHECK(found.value() == std::to_string(i));
        }
        const auto token = co_await second.upsert("key0", "again");
        CHECK(token.mutation_token().value().vbucket == protocol::vbucket_of("key0", 16));
        const auto placed = r.cluster().placement("key0", "second");
        CHECK(r.cluster().stored(placed.active.value(), "key0", "second").value().value == "again");
        co_await second.close();
        CHECK_AWAIT(code_of(co_await second.get("key0").as_expected()) == errc::shutdown);
        CHECK_AWAIT((co_await first.get("key0")).value() == "0");
        CHECK_AWAIT((co_await third.get("key0")).value() == "2");
    });
}
