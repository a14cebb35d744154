// Data structures on documents against a cluster with 1, 2 and 4 nodes: the cases of the Couchbase Python SDK's
// datastructures tests (seed-semantics.md H), by Task and by callback.

#include <algorithm>
#include <string>
#include <vector>

#include "cluster_run.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

TEST_CASE("cluster: Datastructure.map") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        for (int i = 0; i < 6; ++i) {
            const std::string key = run.key("map" + std::to_string(i));
            CHECK_AWAIT(code_of(co_await bucket.map_add(key, "key1", R"("val1")").as_expected()) ==
                        errc::document_not_found);
            const auto added = co_await bucket.map_add(key, "key1", R"("val1")", {.create = true});
            CHECK(added.cas() != 0);
            CHECK_AWAIT((co_await bucket.map_get(key, "key1")).value() == R"("val1")");
            CHECK_AWAIT((co_await bucket.map_size(key)).size() == 1);
            CHECK_AWAIT(code_of(co_await bucket.map_get(key, "key2").as_expected()) == errc::path_not_found);
            // Names are names, not paths.
            const std::string odd[] = {"a.b", "c[0]", "back`tick", "say \"hi\"\\", "line\nend", "\xc3\xa9", "[-1]"};
            for (const std::string& name : odd) co_await bucket.map_add(key, name, "{\"x\":1}");
            for (const std::string& name : odd)
                CHECK_AWAIT((co_await bucket.map_get(key, name)).value() == "{\"x\":1}");
            CHECK_AWAIT((co_await bucket.map_size(key)).size() == 8);
            for (const std::string& name : odd) co_await bucket.map_remove(key, name);
            CHECK_AWAIT((co_await bucket.get(key)).value() == R"({"key1":"val1"})");
            CHECK_AWAIT(code_of(co_await bucket.map_remove(key, "key1", {.cas = 1}).as_expected()) ==
                        errc::cas_mismatch);
            co_await bucket.map_remove(key, "key1");
            CHECK_AWAIT((co_await bucket.map_size(key)).size() == 0);
            CHECK_AWAIT(code_of(co_await bucket.map_remove(key, "key1").as_expected()) == errc::path_not_found);
            co_await bucket.remove(key);
        }
        CHECK(bucket.operations() == 0);
    });
}

TEST_CASE("cluster: Datastructure.list") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        for (int i = 0; i < 6; ++i) {
            const std::string key = run.key("list" + std::to_string(i));
            CHECK_AWAIT(code_of(co_await bucket.list_append(key, R"("world")").as_expected()) ==
                        errc::document_not_found);
            co_await bucket.list_append(key, R"("world")", {.create = true});
            CHECK_AWAIT((co_await bucket.list_get(key, 0)).value() == R"("world")");
            co_await bucket.list_prepend(key, R"("hello")");
            CHECK_AWAIT((co_await bucket.list_get(key, 0)).value() == R"("hello")");
            CHECK_AWAIT((co_await bucket.list_get(key, -1)).value() == R"("world")");
            CHECK_AWAIT((co_await bucket.list_size(key)).size() == 2);
            CHECK_AWAIT(code_of(co_await bucket.list_get(key, 2).as_expected()) == errc::path_not_found);
            co_await bucket.list_set(key, 1, R"("after")");
            CHECK_AWAIT((co_await bucket.get(key)).value() == R"(["hello","after"])");
            CHECK_AWAIT(code_of(co_await bucket.list_set(key, 5, "1").as_expected()) == errc::path_not_found);
            co_await bucket.list_append(key, "1,2,3");
            co_await bucket.list_remove(key, -1);
            co_await bucket.list_remove(key, 0);
            CHECK_AWAIT((co_await bucket.get(key)).value() == R"(["after",1,2])");
            CHECK_AWAIT(code_of(co_await bucket.list_remove(key, 3).as_expected()) == errc::path_not_found);
            CHECK_AWAIT(code_of(co_await bucket.map_add(key, "m", "1").as_expected()) == errc::path_mismatch);
            co_await bucket.remove(key);
        }
    });
}

TEST_CASE("cluster: Datastructure.sets") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        for (int i = 0; i < 6; ++i) {
            const std::string key = run.key("set" + std::to_string(i));
            CHECK_AWAIT(code_of(co_await bucket.set_add(key, "123").as_expected()) == errc::document_not_found);
            CHECK_AWAIT((co_await bucket.set_add(key, "123", {.create = true})).success());
            const auto again = co_await bucket.set_add(key, "123");
            CHECK_FALSE(again.success());
            CHECK(again.rc() == errc::path_exists);
            CHECK_AWAIT((co_await bucket.set_size(key)).size() == 1);
            CHECK_AWAIT((co_await bucket.set_contains(key, "123")).exists());
            CHECK_AWAIT(!(co_await bucket.set_contains(key, "\"123\"")).exists());
            co_await bucket.set_add(key, R"("a \"b\"")");
            co_await bucket.set_add(key, "null");
            CHECK_AWAIT((co_await bucket.set_contains(key, R"("\u0061 \"b\"")")).exists());
            CHECK_AWAIT((co_await bucket.set_remove(key, R"("a \"b\"")")).success());
            CHECK_AWAIT((co_await bucket.set_remove(key, R"("a \"b\"")")).rc() == errc::path_not_found);
            CHECK_AWAIT((co_await bucket.get(key)).value() == "[123,null]");
            co_await bucket.remove(key);
        }
    });
}

TEST_CASE("cluster: Datastructure.queue") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        for (int i = 0; i < 6; ++i) {
            const std::string key = run.key("queue" + std::to_string(i));
            CHECK_AWAIT(code_of(co_await bucket.queue_push(key, "1").as_expected()) == errc::document_not_found);
            CHECK_AWAIT(code_of(co_await bucket.queue_pop(key).as_expected()) == errc::document_not_found);
            for (int n = 0; n < 10; ++n) co_await bucket.queue_push(key, std::to_string(n), {.create = true});
            CHECK_AWAIT((co_await bucket.queue_size(key)).size() == 10);
            for (int n = 0; n < 10; ++n) {
                CHECK_AWAIT((co_await bucket.queue_pop(key)).value() == std::to_string(n));
            }
            CHECK_THROWS_AS(co_await bucket.queue_pop(key), QueueEmpty);
            co_await bucket.remove(key);
        }
        CHECK(bucket.operations() == 0);
    });
}

TEST_CASE("cluster: two clients, one queue and one set: nothing is taken twice, nothing is lost") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket other(run.loop, run.access.connection_string, run.access.with());
        const std::string queue = run.key("shared queue");
        const std::string set = run.key("shared set");
        constexpr int most = 40;
        for (int n = 0; n < most; ++n) {
            co_await run.bucket().queue_push(queue, std::to_string(n), {.create = true});
            co_await run.bucket().set_add(set, std::to_string(n), {.create = true});
        }
        // All at once, from both, so that they meet.
        std::vector<AsyncResult<ValueResult>> pops;
        std::vector<AsyncResult<OperationResult>> removals;
        for (int n = 0; n < most; ++n) {
            pops.push_back((n % 2 == 0 ? run.bucket() : other).queue_pop(queue, {.timeout = 30s}));
            removals.push_back(run.bucket().set_remove(set, std::to_string(n), {.timeout = 30s}));
            removals.push_back(other.set_remove(set, std::to_string(n), {.timeout = 30s}));
        }
        std::vector<int> taken;
        for (auto& pop : pops) {
            const auto value = co_await pop;
            taken.push_back(std::stoi(value.owned()));
        }
        std::sort(taken.begin(), taken.end());
        for (int n = 0; n < most; ++n) CHECK(taken[static_cast<std::size_t>(n)] == n);
        int removed = 0;
        for (auto& removal : removals) removed += (co_await removal).success() ? 1 : 0;
        CHECK(removed == most);
        CHECK_AWAIT((co_await other.queue_size(queue)).size() == 0);
        CHECK_AWAIT((co_await other.set_size(set)).size() == 0);
        co_await other.close();
    });
}

TEST_CASE("cluster: data structures by callback") {
    if (skipped_elsewhere("the same, by callback")) return;
    for (const std::size_t nodes : {1u, 2u, 4u}) {
        ClusterRun run({.nodes = nodes, .replicas = 0});
        AsyncBucket& bucket = run.bucket();
        std::string got;
        int left = 10;
        const auto failed = [](const Error& error) { FAIL(error.message()); };
        for (int i = 0; i < 10; ++i) {
            const std::string key = "callback queue " + std::to_string(i);
            bucket.queue_push(key, std::to_string(i), {.create = true})
                .set_callbacks(
                    [&, key](const OperationResult&) {
                        bucket.queue_pop(key).set_callbacks(
                            [&, key](const ValueResult& value) {
                                got += value.value();
                                bucket.queue_pop(key).set_callbacks([](const ValueResult&) { FAIL("taken twice"); },
                                                                    [&](const Error& error) {
                                                                        CHECK(error == errc::queue_empty);
                                                                        --left;
                                                                    });
                            },
                            failed);
                    },
                    failed);
        }
        run([&](ClusterRun& same) -> Task<> {
            for (int waited = 0; left > 0 && waited < 5000; ++waited) co_await same.sleep(1ms);
        });
        CHECK(left == 0);
        std::sort(got.begin(), got.end());
        CHECK(got == "0123456789");
    }
}
