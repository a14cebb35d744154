// endure, durable mutations and durable writes against a LocalCluster whose replication and persistence are late, stand
// still, or lose what they had not done. Cases of the seed's tests keep their names (seed-semantics.md H).

#include <chaise/durability.hpp>
#include <chaise/multi.hpp>
#include <chaise/mutation_state.hpp>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster_run.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

/// As the seed's mock: four nodes, two replicas.
constexpr LocalClusterOptions four{.nodes = 4, .replicas = 2};

double ms(Duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

/// Only the active node of the key persists.
void only_active_persists(ClusterRun& run, const std::string& key) {
    run.cluster().set_persistence_delay(never);
    run.cluster().set_persistence_delay(*run.cluster().placement(key).active, Duration::zero());
}

}  // namespace

TEST_CASE("Endure.excessive") {
    if (skipped_elsewhere("it counts on three copies")) return;
    ClusterRun run(four);
    run([](ClusterRun& r) -> Task<> {
        co_await r.bucket().upsert("key", "v");
        const auto excessive = co_await r.bucket().endure("key", {.persist_to = 99, .replicate_to = 99}).as_expected();
        CHECK(code_of(excessive) == errc::invalid_argument);
        const auto more = co_await r.bucket().endure("key", {.persist_to = 4, .replicate_to = 0}).as_expected();
        CHECK(code_of(more) == errc::durability_impossible);
        const auto mutation = co_await r.bucket().upsert("key", "new", {.persist_to = 4}).as_expected();
        CHECK(code_of(mutation) == errc::durability_impossible);
        const auto value = co_await r.bucket().get("key");
        CHECK(value.value() == "v");
    });
}

TEST_CASE("Endure.single_poll") {
    if (skipped_elsewhere("it stops the nodes' disks")) return;
    const bool by_token = GENERATE(true, false);
    CAPTURE(by_token);
    ClusterRun run(four);
    run([&](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        const std::string key = "single_poll_key";
        const auto code = [&](int persist_to, int replicate_to, OperationResult stored) -> Task<errc> {
            EndureOptions options{.persist_to = persist_to, .replicate_to = replicate_to, .timeout = 150ms};
            options.cas = stored.cas();
            if (by_token) options.token = stored.mutation_token();
            const auto result = co_await bucket.endure(key, options).as_expected();
            co_return code_of(result);
        };
        const auto everywhere = co_await bucket.upsert(key, "1");
        CHECK_AWAIT(co_await code(-1, -1, everywhere) == errc::success);
        CHECK_AWAIT(co_await code(3, 2, everywhere) == errc::success);
        r.cluster().set_persistence_delay(never);
        const auto in_memory = co_await bucket.upsert(key, "2");
        CHECK_AWAIT(co_await code(1, 0, in_memory) == errc::timeout_after_send);
        CHECK_AWAIT(co_await code(0, 2, in_memory) == errc::success);
        only_active_persists(r, key);
        const auto active_only = co_await bucket.upsert(key, "3");
        CHECK_AWAIT(co_await code(1, 0, active_only) == errc::success);
        CHECK_AWAIT(co_await code(2, 0, active_only) == errc::timeout_after_send);
        CHECK_AWAIT(co_await code(0, 2, active_only) == errc::success);
        CHECK_AWAIT(co_await code(-1, 0, active_only) == errc::timeout_after_send);
        CHECK(bucket.operations() == 0);
    });
}

TEST_CASE("Endure.embedded_endure_set") {
    if (skipped_elsewhere("it stops the nodes' disks")) return;
    ClusterRun run(four);
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        const auto scope = bucket.durability(-1, -1, {.timeout = 100ms});
        const auto endured = co_await bucket.upsert("key", "v");
        CHECK(endured.persisted_on() == 0b111);
        CHECK(endured.replicated_on() == 0b110);
        r.cluster().set_persistence_delay(never);
        const auto late = co_await bucket.upsert("key", "w").as_expected();
        REQUIRE_FALSE(late.has_value());
        CHECK(late.error() == errc::timeout_after_send);
        CHECK(late.error().context().mutation_happened);
        CHECK(late.error().context().replicated_on == 0b110);
        bool timed_out = false;
        try {
            co_await bucket.replace("key", "x");
        } catch (const TimeoutError& error) {  // the seed's class
            timed_out = error.context().mutation_happened;
        }
        CHECK(timed_out);
        const auto value = co_await bucket.get("key");
        CHECK(value.value() == "x");
    });
}

TEST_CASE("Endure.embedded_endure_delete") {
    if (skipped_elsewhere("it stops replication")) return;
    const bool by_token = GENERATE(true, false);
    ClusterRun run(four);
    run([&](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        co_await bucket.upsert("key", "v", {.persist_to = -1, .replicate_to = -1});
        const auto gone = co_await bucket.remove("key", {.persist_to = -1, .replicate_to = -1});
        CHECK(gone.persisted_on() == 0b111);
        if (!by_token) {
            const auto looked = co_await bucket.endure("key", {.timeout = 200ms, .check_removed = true});
            CHECK(looked.persisted_on() == 0b111);
            const auto there = co_await bucket.endure("key", {.timeout = 200ms}).as_expected();
            CHECK(code_of(there) == errc::document_not_found);
        }
        co_await bucket.upsert("key", "v", {.persist_to = -1, .replicate_to = -1});
        r.cluster().set_replication_delay(never);
        const auto still = co_await bucket.remove("key", {.replicate_to = -1, .timeout = 100ms}).as_expected();
        CHECK(code_of(still) == errc::timeout_after_send);
        CHECK(still.error().context().mutation_happened);
        const auto looked =
            co_await bucket.endure("key", {.persist_to = 0, .timeout = 100ms, .check_removed = true}).as_expected();
        CHECK(code_of(looked) == errc::timeout_after_send);
        const auto missing = co_await bucket.remove("key", {.quiet = true}).as_expected();
        CHECK(missing->rc() == errc::document_not_found);
        const auto quiet = co_await bucket.remove("key", {.replicate_to = -1, .quiet = true});
        CHECK(quiet.rc() == errc::document_not_found);  // nothing to be awaited
    });
}

TEST_CASE("endure: every mutation, in order of persist_to and replicate_to") {
    if (skipped_elsewhere("it counts on three copies")) return;
    ClusterRun run({.nodes = 3, .replicas = 2, .replication_delay = 3ms, .persistence_delay = 2ms});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        MutationState state;
        const auto inserted = co_await bucket.insert("key", "1", {.persist_to = 3, .replicate_to = 2});
        CHECK(inserted.persisted_on() == 0b111);
        const auto replaced = co_await bucket.replace("key", "2", {.cas = inserted.cas(), .replicate_to = 2});
        CHECK(replaced.replicated_on() == 0b110);
        const auto appended = co_await bucket.append("key", "3", {.persist_to = 1});
        CHECK((appended.persisted_on() & 1) == 1);
        const auto prepended = co_await bucket.prepend("key", "1", {.replicate_to = 1});
        CHECK(prepended.replicated_on() != 0);
        const auto counted = co_await bucket.counter("key", {.delta = 7, .persist_to = -1, .replicate_to = -1});
        CHECK(counted.counter() == 130);
        CHECK(counted.persisted_on() == 0b111);
        CHECK(counted.replicated_on() == 0b110);
        CHECK(state.add(counted));
        co_await bucket.upsert("doc", "{}");
        const MutateSpecs specs(subdoc::upsert("a", "1"));
        const auto mutated = co_await bucket.mutate_in("doc", specs, {.persist_to = 3});
        CHECK(mutated.all_ok());
        CHECK(mutated.persisted_on() == 0b111);
        CHECK(state.add(mutated));
        CHECK(state.size() >= 1);
        const auto removed = co_await bucket.remove("key", {.persist_to = 2, .replicate_to = 2});
        CHECK(removed.mutation_token().has_value());
        co_await r.sleep(100ms);  // answers of those that were not waited for
        CHECK(bucket.operations() == 0);
    });
}

TEST_CASE("endure: a failover loses what had not been replicated") {
    if (skipped_elsewhere("it kills a node")) return;
    const bool by_token = GENERATE(true, false);
    CAPTURE(by_token);
    ClusterRun run({.nodes = 3, .replicas = 1});
    run([&](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        const std::string key = "lost";
        const auto first = co_await bucket.upsert(key, "1", {.persist_to = -1, .replicate_to = -1});
        CHECK(first.replicated_on() == 0b010);
        r.cluster().set_replication_delay(never);
        const auto second = co_await bucket.upsert(key, "2");
        EndureOptions options{.persist_to = 0, .replicate_to = 1, .cas = second.cas()};
        if (by_token) options.token = second.mutation_token();
        auto waiting = bucket.endure(key, options);
        co_await r.sleep(20ms);
        const std::size_t active = *r.cluster().placement(key).active;
        r.cluster().kill_node(active);
        r.cluster().failover(active);
        const auto outcome = co_await waiting.as_expected();
        // 2 nodes are left, and nobody has a replica of it before a rebalance: that may be found first.
        REQUIRE_FALSE(outcome.has_value());
        const errc code = outcome.error().code();
        CHECK(
            (code == errc::mutation_lost || code == errc::mutation_superseded || code == errc::durability_impossible));
        // What was endured is there.
        const auto value = co_await bucket.get(key);
        CHECK(value.value() == "1");
        // On the active copy alone it is certain.
        options.replicate_to = 0;
        options.persist_to = 1;
        const auto alone = co_await bucket.endure(key, options).as_expected();
        CHECK(code_of(alone) == (by_token ? errc::mutation_lost : errc::mutation_superseded));
        const auto survived =
            co_await bucket.endure(key, {.persist_to = 1, .replicate_to = 0, .token = first.mutation_token()});
        CHECK(survived.persisted_on() == 1);
    });
}

TEST_CASE("endure: operations during topology changes") {
    if (skipped_elsewhere("it moves vbuckets")) return;
    ClusterRun run({.nodes = 3, .replicas = 2, .persistence_delay = 30ms});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        std::vector<std::pair<std::string, std::string>> documents;
        for (int i = 0; i < 300; ++i) documents.emplace_back("k" + std::to_string(i), "v");
        const auto stored = co_await bucket.upsert_multi(documents);
        auto waiting = bucket.endure_multi(stored);
        co_await r.sleep(5ms);
        r.cluster().hand_over(0);  // its vbuckets are active elsewhere now, with another history
        const auto all = co_await waiting.as_expected();
        if (!all) FAIL(all.error().message());
        CHECK(all->all_ok());
        CHECK(all->size() == 300);

        // A replica fewer than asked for.
        r.cluster().set_persistence_delay(never);
        auto impossible = bucket.upsert("k1", "w", {.persist_to = 3});
        co_await r.sleep(15ms);
        r.cluster().failover(r.cluster().placement("k1").replicas.back());
        const TimePoint start = r.loop.now();
        const auto outcome = co_await impossible.as_expected();
        CHECK(code_of(outcome) == errc::durability_impossible);
        CHECK(outcome.error().context().mutation_happened);
        CHECK(r.loop.now() - start < 1s);  // not by the timeout
        co_await r.sleep(100ms);           // what was asked besides is answered
        CHECK(bucket.operations() == 2);   // the two handles here
    });
}

TEST_CASE("endure: a replica that hangs holds up only itself") {
    if (skipped_elsewhere("it pauses a node")) return;
    ClusterRun run({.nodes = 3, .replicas = 2, .replication_delay = 20ms});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        co_await bucket.connect();
        const auto placement = r.cluster().placement("key");
        r.cluster().pause(placement.replicas[0]);
        const auto one = co_await bucket.upsert("key", "v", {.replicate_to = 1});
        CHECK(one.replicated_on() == 0b100);
        const auto both = co_await bucket.upsert("key", "v", {.replicate_to = 2, .timeout = 200ms}).as_expected();
        CHECK(code_of(both) == errc::timeout_after_send);
        r.cluster().resume(placement.replicas[0]);
        const auto again = co_await bucket.upsert("key", "v", {.replicate_to = 2});
        CHECK(again.replicated_on() == 0b110);
    });
}

TEST_CASE("durable writes: each level, and when they cannot be") {
    if (skipped_elsewhere("it stops nodes")) return;
    ClusterRun run({.nodes = 2, .replicas = 1});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        for (const auto level : {DurabilityLevel::majority, DurabilityLevel::majority_and_persist_to_active,
                                 DurabilityLevel::persist_to_majority}) {
            const auto stored = co_await bucket.upsert("key", "v", {.durability = level});
            CHECK(stored.mutation_token().has_value());
            const auto counted = co_await bucket.counter("n", {.initial = 1, .durability = level});
            CHECK(counted.mutation_token().has_value());
            const MutateSpecs specs(subdoc::upsert("a", "1"));
            const auto mutated =
                co_await bucket.mutate_in("doc", specs, {.durability = level, .store = StoreSemantics::upsert});
            CHECK(mutated.all_ok());
            const auto removed = co_await bucket.remove("key", {.durability = level});
            CHECK(removed.success());
        }
        const std::string key = "durable";
        const auto placement = r.cluster().placement(key);
        // Replication stands still: the server gives up before the client does.
        r.cluster().set_replication_delay(never);
        auto pending = bucket.upsert(key, "1", {.durability = DurabilityLevel::majority, .timeout = 300ms});
        co_await r.sleep(50ms);
        const auto invisible = co_await bucket.get(key).as_expected();
        CHECK(code_of(invisible) == errc::document_not_found);
        const auto meanwhile = co_await bucket.upsert(key, "2", {.timeout = 50ms}).as_expected();
        CHECK(code_of(meanwhile) == errc::durable_write_in_progress);
        const auto ambiguous = co_await pending.as_expected();
        REQUIRE_FALSE(ambiguous.has_value());
        CHECK(ambiguous.error() == errc::durability_ambiguous);
        CHECK(ambiguous.error().may_have_happened());
        r.cluster().set_replication_delay(Duration::zero());
        // What a durable write reported survives.
        const auto safe = co_await bucket.upsert(key, "safe", {.durability = DurabilityLevel::majority});
        CHECK(safe.success());
        r.cluster().kill_node(*placement.active);
        r.cluster().failover(*placement.active);
        const auto value = co_await bucket.get(key);
        CHECK(value.value() == "safe");
        const auto impossible =
            co_await bucket.upsert(key, "3", {.durability = DurabilityLevel::majority}).as_expected();
        CHECK(code_of(impossible) == errc::durability_impossible);
        CHECK_FALSE(impossible.error().may_have_happened());
        const auto unchanged = co_await bucket.get(key);
        CHECK(unchanged.value() == "safe");
        co_await r.sleep(100ms);
        CHECK(bucket.operations() == 1);  // the handle here
    });
}

TEST_CASE("endure: how long it takes, against the delay of replication", "[timing]") {
    if (skipped_elsewhere("it measures a LocalCluster")) return;
    std::printf(
        "endure, time beyond the replication delay (3 nodes, 1 replica, replicate_to 1)\n"
        "%10s %22s %22s %22s\n",
        "delay", "upsert(replicate_to)", "10,000 keys by token", "10,000 keys by CAS");
    for (const auto delay : {0ms, 5ms, 50ms}) {
        ClusterRun run({.nodes = 3, .replicas = 1, .replication_delay = delay});
        run([&](ClusterRun& r) -> Task<> {
            AsyncBucket& bucket = r.bucket();
            co_await bucket.upsert("warm", "v", {.replicate_to = 1});
            Duration single = Duration::max();
            Duration plain = Duration::max();
            for (int i = 0; i < 5; ++i) {
                TimePoint start = r.iops->now();
                co_await bucket.upsert("one", "v");
                plain = std::min(plain, r.iops->now() - start);
                start = r.iops->now();
                co_await bucket.upsert("one", "v", {.replicate_to = 1});
                single = std::min(single, r.iops->now() - start);
            }
            std::vector<std::pair<std::string, std::string>> documents;
            for (int i = 0; i < 10'000; ++i) documents.emplace_back("key" + std::to_string(i), "value");
            Duration many[2];
            for (const bool by_cas : {false, true}) {
                const auto stored = co_await bucket.upsert_multi(documents);
                std::vector<EndureEntry> entries;
                for (const auto& [key, result] : stored) {
                    entries.push_back({.key = key, .cas = result->cas()});
                    if (!by_cas) entries.back().token = result->mutation_token();
                }
                const TimePoint start = r.iops->now();
                const auto all =
                    co_await bucket.endure_multi(entries, {.persist_to = 0, .replicate_to = 1, .timeout = 20s});
                CHECK(all.all_ok());
                many[by_cas ? 1 : 0] = r.iops->now() - start;
            }
            std::printf("%7.0f ms %19.2f ms %19.2f ms %19.2f ms\n", ms(delay), ms(single - plain) - ms(delay),
                        ms(many[0]) - ms(delay), ms(many[1]) - ms(delay));
            // Questions go at 0, 10, 30 and 70 ms: the one after 50 ms has 20 ms of overhead, 40 ms after the one
            // before.
            CHECK(single - plain - delay < (delay == 50ms ? 40ms : 12ms));
        });
    }
}
