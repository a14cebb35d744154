// Named collections, over real sockets.

#include <chaise/collections_manifest.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "cluster_run.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

/// "shop.carts", "shop.orders", "_default.people".
void make_collections(LocalCluster& cluster) {
    cluster.create_scope("shop");
    cluster.create_collection("shop", "carts");
    cluster.create_collection("shop", "orders");
    cluster.create_collection("_default", "people");
}

}  // namespace

TEST_CASE("cluster: the same key in several collections") {
    on_clusters([](ClusterRun& run) -> Task<> {
        if (skipped_elsewhere("makes scopes")) co_return;
        make_collections(run.cluster());
        AsyncBucket& bucket = run.bucket();
        co_await bucket.connect();
        std::vector<AsyncCollection> all = {bucket.scope("shop").collection("carts"),
                                            bucket.scope("shop").collection("orders"), bucket.collection("people"),
                                            bucket.default_collection()};
        std::vector<AsyncResult<OperationResult>> stored;
        for (AsyncCollection& one : all) {
            for (int i = 0; i < 200; ++i) {
                stored.push_back(one.upsert("k" + std::to_string(i), std::string(one.name()) + std::to_string(i)));
            }
        }
        for (auto& one : stored) co_await one;
        std::size_t right = 0;
        for (AsyncCollection& one : all) {
            for (int i = 0; i < 200; ++i) {
                const auto found = co_await one.get("k" + std::to_string(i));
                right += found.value() == std::string(one.name()) + std::to_string(i);
            }
        }
        CHECK(right == 800);
        co_await all[0].remove("k0");
        const auto removed = co_await all[0].get("k0").as_expected();
        REQUIRE_FALSE(removed);
        CHECK(removed.error().code() == errc::document_not_found);
        CHECK(removed.error().context().collection == "carts");
        CHECK(removed.error().context().key == "k0");
        const auto other = co_await all[1].get("k0");
        CHECK(other.value() == "orders0");
    });
}

TEST_CASE("cluster: operations of every kind on a named collection") {
    on_clusters([](ClusterRun& run) -> Task<> {
        if (skipped_elsewhere("makes scopes")) co_return;
        make_collections(run.cluster());
        AsyncCollection carts = run.bucket().scope("shop").collection("carts");

        const auto inserted = co_await carts.insert("doc", R"({"n":1})");
        const auto again = co_await carts.insert("doc", "x").as_expected();
        CHECK(again.error().code() == errc::document_exists);
        co_await carts.replace("doc", R"({"n":2})", {.cas = inserted.cas()});
        co_await carts.mutate_in("doc", {sd::upsert("deep.er", "true", {.create_parents = true})});
        const auto paths = co_await carts.lookup_in("doc", {sd::get("n"), sd::get("deep.er")});
        CHECK(paths.value(0) == "2");
        CHECK(paths.value(1) == "true");
        const auto there = co_await carts.exists("doc");
        CHECK(there.exists());

        co_await carts.upsert("text", "middle");
        co_await carts.append("text", " end");
        co_await carts.prepend("text", "begin ");
        const auto touched = co_await carts.get_and_touch("text", 60s);
        CHECK(touched.value() == "begin middle end");
        co_await carts.touch("text", 60s);
        const auto locked = co_await carts.lock("text", 10s);
        const auto refused = co_await carts.upsert("text", "no").as_expected();
        CHECK_FALSE(refused);
        co_await carts.unlock("text", locked.cas());

        co_await carts.counter("n", {.delta = 5, .initial = 10});
        const auto counted = co_await carts.counter("n", {.delta = 5});
        CHECK(counted.counter() == 15);

        co_await carts.map_add("map", "field", "1", {.create = true});
        const auto field = co_await carts.map_get("map", "field");
        CHECK(field.value() == "1");

        std::vector<std::pair<std::string, std::string>> many;
        std::vector<std::string> keys;
        for (int i = 0; i < 50; ++i) {
            keys.push_back("many" + std::to_string(i));
            many.emplace_back(keys.back(), std::to_string(i));
        }
        const auto all_stored = co_await carts.upsert_multi(many);
        CHECK(all_stored.all_ok());
        const auto all_found = co_await carts.get_multi(keys);
        CHECK(all_found.all_ok());
        const auto elsewhere = co_await run.bucket().get_multi(keys, {.quiet = true});
        CHECK(std::none_of(elsewhere.begin(), elsewhere.end(),
                           [](const auto& one) { return one.result && one.result->success(); }));

        const auto seen = co_await carts.observe("doc");
        CHECK(seen.cas() != 0);
        if (run.cluster().nodes() > 1) {
            // By CAS (OBSERVE) and by token (OBSERVE_SEQNO).
            const auto written = co_await carts.upsert("safe", "v", {.persist_to = 1, .replicate_to = 1});
            CHECK(written.cas() != 0);
            const auto by_cas =
                co_await carts.endure("safe", {.persist_to = 2, .replicate_to = 1, .cas = written.cas()});
            CHECK(by_cas.success());
            const auto by_token =
                co_await carts.endure("safe", {.persist_to = 2, .replicate_to = 1, .token = written.mutation_token()});
            CHECK(by_token.success());
            const auto level = co_await carts.upsert("level", "v", {.durability = DurabilityLevel::majority});
            CHECK(level.success());
            const auto copy = co_await carts.get_replica("safe");
            CHECK(copy.value() == "v");
        }
    });
}

TEST_CASE("cluster: collections come and go") {
    on_clusters([](ClusterRun& run) -> Task<> {
        if (skipped_elsewhere("makes scopes")) co_return;
        LocalCluster& cluster = run.cluster();
        AsyncBucket& bucket = run.bucket();
        AsyncCollection carts = bucket.scope("shop").collection("carts");
        const auto no_scope = co_await carts.get("k").as_expected();
        CHECK(no_scope.error().code() == errc::scope_not_found);
        make_collections(cluster);
        const auto unknown = co_await bucket.scope("shop").collection("gone").get("k").as_expected();
        CHECK(unknown.error().code() == errc::collection_not_found);
        co_await carts.upsert("k", "old");
        // Made anew it has another id, and none of the old documents.
        cluster.drop_collection("shop", "carts");
        cluster.create_collection("shop", "carts");
        const auto anew = co_await carts.get("k").as_expected();
        CHECK(anew.error().code() == errc::document_not_found);
        co_await carts.upsert("k", "new");
        const auto found = co_await carts.get("k");
        CHECK(found.value() == "new");

        const auto manifest = co_await bucket.collections_manifest();
        std::vector<std::string> names;
        for (const ScopeSpec& scope : manifest.scopes()) {
            for (const CollectionSpec& one : scope.collections) names.push_back(scope.name + "." + one.name);
        }
        std::sort(names.begin(), names.end());
        CHECK(names == std::vector<std::string>{"_default._default", "_default.people", "shop.carts", "shop.orders"});

        cluster.drop_scope("shop");
        const auto dropped = co_await carts.get("k").as_expected();
        CHECK(dropped.error().code() == errc::scope_not_found);
        const auto in_default = co_await bucket.upsert("k", "v");
        CHECK(in_default.success());
    });
}
