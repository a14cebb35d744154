// Multi operations against a real memcached and against clusters, raw and on Asio. Cases of the seed's tests keep their
// names (seed-semantics.md H).

#include "cluster_run.hpp"
#include "support/memcached_process.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// In a co_await expression GCC 12 takes no list in braces.
template <class... A>
Pairs pairs_of(const A&... keys_and_values) {
    const std::vector<std::string> all = {keys_and_values...};
    Pairs pairs;
    for (std::size_t i = 0; i < all.size(); i += 2) pairs.emplace_back(all[i], all[i + 1]);
    return pairs;
}

const std::string& server() {
    static const MemcachedProcess process;
    return process.connection_string();
}

/// What all servers serve.
Task<> everything(AsyncBucket& bucket, std::string prefix) {
    Pairs pairs;
    std::vector<std::string> all;
    for (int i = 0; i < 300; ++i) {
        all.push_back(prefix + std::to_string(i));
        pairs.emplace_back(all.back(), i % 50 == 0 ? std::string(100'000, 'x') : std::to_string(i));
    }
    auto stored = co_await bucket.upsert_multi(pairs, {.expiry = 10min, .flags = 3});
    CHECK(stored.size() == 300);
    CHECK(stored.all_ok());
    for (const auto& [key, result] : stored) CHECK(result->cas() != 0);
    auto found = co_await bucket.get_multi(all);
    CHECK(found.all_ok());
    for (std::size_t i = 0; i < 300; ++i) {
        CHECK(found[i].key == all[i]);
        CHECK(found.at(all[i])->value() == pairs[i].second);
        CHECK(found[i].result->flags() == 3);
    }
    auto there = co_await bucket.exists_multi(all);
    CHECK(there.all_ok());
    for (const auto& [key, result] : there) CHECK(result->exists());

    const std::vector<std::string> three = {all[1], all[2], all[3]};
    auto inserted = co_await bucket.insert_multi(pairs_of(all[1], "y", prefix + "new", "y")).as_expected();
    CHECK(inserted.error() == errc::document_exists);
    CHECK(inserted.error().all_results<OperationResult>().at(prefix + "new").has_value());
    co_await bucket.replace_multi(pairs_of(all[1], "1", all[2], "2", all[3], "3"));
    co_await bucket.append_multi(pairs_of(all[1], "0", all[2], "0", all[3], "0"));
    co_await bucket.prepend_multi(pairs_of(all[1], "1", all[2], "1", all[3], "1"));
    auto numbers = co_await bucket.counter_multi(three, {.delta = 5});
    CHECK(numbers[0].result->counter() == 115);
    CHECK(numbers[2].result->counter() == 135);
    // Arithmetic.incr_extended
    const std::vector<std::string> fresh = {prefix + "c1", prefix + "c2"};
    auto initial = co_await bucket.counter_multi(fresh, {.initial = 40});
    CHECK(initial[1].result->counter() == 40);
    const auto set = co_await bucket.upsert(fresh[0], "by cas", {.cas = initial[0].result->cas()});
    CHECK(set.success());
    co_await bucket.touch_multi(three, 1h);
    auto touched = co_await bucket.get_and_touch_multi(three, 1h);
    CHECK(touched[1].result->value() == "125");

    // Delete.multi, Delete.dict
    auto again = co_await bucket.get_multi(three);
    const auto changed = co_await bucket.upsert(three[1], "changed");
    CHECK(changed.success());
    auto conflict = co_await bucket.remove_multi(again).as_expected();
    CHECK(conflict.error() == errc::cas_mismatch);
    CHECK(conflict.error().context().key == three[1]);
    auto quiet = co_await bucket.remove_multi(three, {.quiet = true});
    CHECK_FALSE(quiet.all_ok());
    CHECK(quiet[1].success());
    auto loud = co_await bucket.remove_multi(three).as_expected();
    CHECK(loud.error() == errc::document_not_found);
    CHECK(loud.error().all_results<OperationResult>().errors().size() == 3);
    co_await bucket.remove_multi(all, {.quiet = true});
    co_await bucket.remove_multi(keys(fresh[0], fresh[1], prefix + "new"));
    auto none = co_await bucket.exists_multi(all);
    CHECK_FALSE(none[0].result->exists());
    CHECK(bucket.operations() == 0);
}

}  // namespace

TEST_CASE("multi: every operation against memcached") {
    with_bucket(server(), [](AsyncBucket& bucket) -> Task<> { co_await everything(bucket, "multi:"); });
}

TEST_CASE("multi: every operation against clusters of 1, 2 and 4 nodes") {
    on_clusters([](ClusterRun& run) -> Task<> { co_await everything(run.bucket(), run.key("multi:")); });
}

TEST_CASE("multi: ten thousand keys, on memcached and on three nodes") {
    const auto body = [](AsyncBucket& bucket, std::string prefix) -> Task<> {
        Pairs pairs;
        std::vector<std::string> all;
        for (int i = 0; i < 10'000; ++i) {
            all.push_back(prefix + std::to_string(i));
            pairs.emplace_back(all.back(), "value " + std::to_string(i));
        }
        auto stored = co_await bucket.upsert_multi(pairs, {.timeout = 20s});
        CHECK(stored.all_ok());
        auto found = co_await bucket.get_multi(all, {.timeout = 20s});
        CHECK(found.all_ok());
        bool same = true;
        for (std::size_t i = 0; i < all.size(); ++i) same = same && found[i].result->value() == pairs[i].second;
        CHECK(same);
        auto removed = co_await bucket.remove_multi(found, {.timeout = 20s});
        CHECK(removed.all_ok());
    };
    with_bucket(server(), [&](AsyncBucket& bucket) -> Task<> { co_await body(bucket, "10k:"); });
    ClusterRun run({.nodes = 3});
    run([&](ClusterRun& r) -> Task<> { co_await body(r.bucket(), r.key("10k:")); });
}

TEST_CASE("Lock.multi_lock, unlock_multi, resobjs") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const std::vector<std::string> all = {run.key("l1"), run.key("l2"), run.key("l3")};
        co_await bucket.upsert_multi(pairs_of(all[0], "1", all[1], "2", all[2], "3"));
        auto locked = co_await bucket.lock_multi(all, 15s);
        CHECK(locked.all_ok());
        CHECK(locked.at(all[1])->value() == "2");
        auto busy = co_await bucket.upsert_multi(pairs_of(all[2], "x", all[0], "x")).as_expected();
        CHECK(busy.error() == errc::document_locked);
        CHECK(busy.error().context().key == all[2]);
        auto unlocked = co_await bucket.unlock_multi(locked);  // by the MultiResult
        CHECK(unlocked.all_ok());

        auto again = co_await bucket.lock_multi(keys(all[0], all[1]), 15s);
        std::map<std::string, Cas> by_cas;
        for (const auto& [key, result] : again) by_cas.emplace(key, result->cas());
        co_await bucket.unlock_multi(by_cas);
        auto third = co_await bucket.lock_multi(all, 15s);
        std::map<std::string, ValueResult> by_result;
        for (const auto& [key, result] : third) by_result.emplace(key, *result);
        co_await bucket.unlock_multi(by_result);

        auto wrong = co_await bucket.unlock_multi(entries(CasEntry{.key = all[0], .cas = 0})).as_expected();
        CHECK(wrong.error() == errc::invalid_argument);
        auto too_long = co_await bucket.lock_multi(all, 31s).as_expected();
        CHECK(too_long.error() == errc::invalid_argument);
        auto not_locked = co_await bucket.unlock_multi(third).as_expected();
        CHECK_FALSE(not_locked.has_value());
        co_await bucket.upsert_multi(pairs_of(all[0], "free", all[2], "free"));
    });
}

TEST_CASE("multi: a failover while many are under way") {
    if (skipped_elsewhere("it takes a node away")) return;
    ClusterRun run({.nodes = 3, .replicas = 1});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        Pairs pairs;
        std::vector<std::string> all;
        for (int i = 0; i < 500; ++i) {
            all.push_back("f" + std::to_string(i));
            pairs.emplace_back(all.back(), "v");
        }
        co_await bucket.upsert_multi(pairs);
        co_await r.sleep(200ms);  // on the replicas, too
        auto before = bucket.get_multi(all);
        r.cluster().failover(0);  // its vbuckets go to the others; the bucket has the old map
        auto during = co_await before;
        CHECK(during.all_ok());
        auto after = co_await bucket.get_multi(all);
        CHECK(after.all_ok());
        CHECK(after.size() == 500);
    });
}

TEST_CASE("multi: what has come so far, of get, observe and endure") {
    if (skipped_elsewhere("it pauses a node")) return;
    ClusterRun run({.nodes = 2, .replicas = 1});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        Pairs pairs;
        std::vector<std::string> all;
        std::size_t there = 0;
        for (int i = 0; i < 20; ++i) {
            all.push_back("f" + std::to_string(i));
            pairs.emplace_back(all.back(), "v");
            if (r.cluster().placement(all.back()).active == 0) ++there;
        }
        const auto stored = co_await bucket.upsert_multi(pairs);
        while (!bucket.connected()) co_await bucket.noop();
        r.cluster().pause(1);
        auto values = bucket.get_multi(all, {.timeout = 1s});
        auto observed = bucket.observe_multi(all, {.master_only = true, .timeout = 1s});
        // With the actives alone; those of the paused node can say nothing.
        auto endured = bucket.endure_multi(all, {.persist_to = 1, .replicate_to = 0, .timeout = 1s});
        CHECK(values.so_far().empty());
        CHECK(observed.so_far().empty());
        CHECK(endured.so_far().empty());
        co_await r.sleep(300ms);
        REQUIRE(there > 0);
        REQUIRE(there < all.size());
        CHECK(values.so_far().size() == there);
        CHECK(values.so_far().all_ok());
        CHECK(observed.so_far().size() == there);
        CHECK(endured.so_far().size() == there);
        for (const auto& [key, result] : endured.so_far()) CHECK(r.cluster().placement(key).active == 0);
        r.cluster().resume(1);
        const auto got = co_await values;
        CHECK(got.size() == all.size());
        const auto seen = co_await observed;
        CHECK(seen.size() == all.size());
        const auto safe = co_await endured;
        CHECK(safe.size() == all.size());
        CHECK(values.so_far().empty());
    });
}

TEST_CASE("multi: one node's queue is full") {
    if (skipped_elsewhere("it pauses a node")) return;
    ClusterRun run({.nodes = 3}, {.max_queue_operations = 20});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        co_await bucket.connect();
        Pairs many;
        for (int i = 0; many.size() < 40; ++i) {
            std::string key = "q" + std::to_string(i);
            // 19 for node 0 and 21 for node 1
            const std::size_t node = *r.cluster().placement(key).active;
            if (node == (many.size() < 19 ? 0u : 1u)) many.emplace_back(std::move(key), "v");
        }
        auto full = co_await bucket.upsert_multi(many).as_expected();
        CHECK(full.error() == errc::queue_full);
        CHECK(full.error().context().key == many.back().first);
        co_await r.sleep(20ms);
        for (const auto& [key, value] : many) CHECK_FALSE(r.cluster().stored(*r.cluster().placement(key).active, key));
        many.pop_back();
        auto stored = co_await bucket.upsert_multi(many);
        CHECK(stored.all_ok());
    });
}
