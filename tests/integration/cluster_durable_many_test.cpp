// Durability of multi operations and of data structures, against a LocalCluster whose replication or persistence stands
// still.

#include <chaise/durability.hpp>
#include <chaise/multi.hpp>

#include <string>
#include <utility>
#include <vector>

#include "cluster_run.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

constexpr LocalClusterOptions four{.nodes = 4, .replicas = 2};

/// It happened, and is not durable.
template <class Result>
bool late(const Expected<Result, Error>& outcome) {
    return !outcome && outcome.error() == errc::timeout_after_send && outcome.error().context().mutation_happened;
}

}  // namespace

TEST_CASE("Endure.multi: every multi operation that changes documents awaits copies") {
    if (skipped_elsewhere("it stops replication")) return;
    ClusterRun run(four);
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        std::vector<std::pair<std::string, std::string>> documents;
        std::vector<std::string> names;
        std::vector<std::string> counters;
        for (int i = 0; i < 200; ++i) {
            names.push_back("many" + std::to_string(i));
            counters.push_back("counter" + std::to_string(i));
            documents.emplace_back(names.back(), "v");
        }
        const auto inserted = co_await bucket.insert_multi(documents, {.persist_to = -1, .replicate_to = -1});
        CHECK(inserted.size() == 200);
        for (const auto& [key, result] : inserted) CHECK(result->persisted_on() == 0b111);
        const auto upserted = co_await bucket.upsert_multi(documents, {.replicate_to = 2});
        CHECK(upserted.all_ok());
        const auto replaced = co_await bucket.replace_multi(documents, {.persist_to = 1});
        CHECK(replaced.all_ok());
        const auto appended = co_await bucket.append_multi(documents, {.persist_to = 2});
        CHECK(appended.all_ok());
        const auto prepended = co_await bucket.prepend_multi(documents, {.persist_to = 3, .replicate_to = 2});
        for (const auto& [key, result] : prepended) CHECK(result->replicated_on() == 0b110);
        const auto counted = co_await bucket.counter_multi(counters, {.initial = 1, .persist_to = 1});
        for (const auto& [key, result] : counted) CHECK(result->persisted_on() != 0);
        const auto durable = co_await bucket.upsert_multi(documents, {.durability = DurabilityLevel::majority});
        CHECK(durable.all_ok());

        r.cluster().set_replication_delay(never);
        const auto stored =
            co_await bucket.upsert_multi(documents, {.replicate_to = 1, .timeout = 100ms}).as_expected();
        REQUIRE(late(stored));
        const auto each = stored.error().all_results<OperationResult>();
        for (const auto& [key, result] : each) CHECK(late(result));
        const auto gone = co_await bucket.remove_multi(names, {.replicate_to = 1, .timeout = 100ms}).as_expected();
        REQUIRE(late(gone));
        r.cluster().set_replication_delay(Duration::zero());
        const auto missing = co_await bucket.remove_multi(names, {.replicate_to = 1, .quiet = true});
        CHECK_FALSE(missing.all_ok());  // nothing was there to be awaited
        CHECK(missing.errors().empty());
        CHECK(bucket.operations() == 0);
    });
}

TEST_CASE("data structures await copies") {
    if (skipped_elsewhere("it stops replication")) return;
    ClusterRun run(four);
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        const auto added = co_await bucket.map_add("map", "a", "1", {.create = true, .replicate_to = 2});
        CHECK(added.replicated_on() == 0b110);
        const auto pushed = co_await bucket.list_append("list", "1", {.create = true, .persist_to = 1});
        CHECK(pushed.persisted_on() != 0);
        co_await bucket.list_prepend("list", "0", {.durability = DurabilityLevel::majority});
        co_await bucket.set_add("set", "7", {.create = true, .persist_to = 1});
        co_await bucket.queue_push("queue", "1", {.create = true, .replicate_to = 1});

        r.cluster().set_replication_delay(never);
        const auto map = co_await bucket.map_add("map", "b", "2", {.replicate_to = 1, .timeout = 100ms}).as_expected();
        CHECK(late(map));
        const auto member = co_await bucket.map_remove("map", "a", {.replicate_to = 1, .timeout = 100ms}).as_expected();
        CHECK(late(member));
        const auto list = co_await bucket.list_set("list", 0, "5", {.replicate_to = 1, .timeout = 100ms}).as_expected();
        CHECK(late(list));
        const auto value = co_await bucket.list_get("list", 0);
        CHECK(value.value() == "5");
        // Of two steps: the second is awaited.
        const auto set = co_await bucket.set_remove("set", "7", {.replicate_to = 1, .timeout = 100ms}).as_expected();
        REQUIRE(late(set));
        CHECK(set.error().context().operation == "set_remove");
        CHECK(set.error().context().cas != 0);
        const auto none = co_await bucket.set_remove("set", "7", {.replicate_to = 1, .timeout = 100ms});
        CHECK_FALSE(none.success());
        // A value that was taken is not lost to its caller: it is not awaited, by a default neither.
        const auto scope = bucket.durability(0, 1, {.timeout = 100ms});
        const auto by_default = co_await bucket.list_append("list", "9").as_expected();
        CHECK(late(by_default));
        const auto taken = co_await bucket.queue_pop("queue");
        CHECK(taken.value() == "1");

        auto cancelled = bucket.set_add("set", "8", {.replicate_to = 1, .timeout = 5s});
        co_await r.sleep(20ms);
        cancelled.cancel();
        const auto outcome = co_await std::move(cancelled).as_expected();
        REQUIRE_FALSE(outcome.has_value());
        CHECK(outcome.error() == errc::cancelled);
        CHECK(outcome.error().context().mutation_happened);
        auto in_two_steps = bucket.set_remove("set", "8", {.replicate_to = 1, .timeout = 5s});
        co_await r.sleep(20ms);
        in_two_steps.cancel();
        const auto removed = co_await std::move(in_two_steps).as_expected();
        REQUIRE_FALSE(removed.has_value());
        CHECK(removed.error().context().mutation_happened);
        CHECK(removed.error().may_have_happened());
        CHECK(bucket.operations() == 0);
    });
}
