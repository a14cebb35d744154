// Every operation on documents against a cluster, with 1, 2 and 4 nodes.

#include <string>

#include "cluster_run.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

TEST_CASE("cluster: a value comes back as it was stored, with its flags and a CAS") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        for (int i = 0; i < 20; ++i) {  // on every node
            const std::string key = run.key("stored" + std::to_string(i));
            const std::string value = "value of " + key;
            const auto stored = co_await bucket.upsert(key, value, {.flags = 0xdeadbeef});
            CHECK(stored.success());
            CHECK(stored.cas() != 0);
            const auto found = co_await bucket.get(key);
            CHECK(found.value() == value);
            CHECK(found.flags() == 0xdeadbeef);
            CHECK(found.cas() == stored.cas());
            const auto exists = co_await bucket.exists(key);
            CHECK(exists.exists());
            CHECK(exists.cas() == stored.cas());
            const auto removed = co_await bucket.remove(key);
            CHECK(removed.success());
            CHECK_AWAIT(code_of(co_await bucket.get(key).as_expected()) == errc::document_not_found);
            CHECK_AWAIT(!(co_await bucket.exists(key)).exists());
        }
        CHECK(bucket.operations() == 0);
    });
}

TEST_CASE("cluster: values of every size, binary bytes and empty ones") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const std::string key = run.key("sized");
        for (const std::size_t size :
             {0u, 1u, 63u, 64u, 65u, 1000u, 65'000u, 65'536u, 70'000u, 1'000'000u, 5'000'000u, 20u << 20}) {
            CAPTURE(size);
            std::string value(size, '\0');
            for (std::size_t i = 0; i < size; ++i) value[i] = static_cast<char>(i * 31 + size);
            co_await bucket.upsert(key, value, {.timeout = 20s});
            const auto found = co_await bucket.get(key, {.timeout = 20s});
            const bool same = found.value() == value;  // not 20 MiB of message
            CHECK(same);
        }
        CHECK_THROWS_AS(co_await bucket.upsert(key, std::string((20u << 20) + 1, 'x')), TooBigError);
        CHECK_AWAIT((co_await bucket.get(key, {.timeout = 20s})).value().size() == 20u << 20);
    });
}

TEST_CASE("cluster: insert, replace and CAS conflicts") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        for (int i = 0; i < 8; ++i) {
            const std::string key = run.key("cas" + std::to_string(i));
            CHECK_AWAIT(code_of(co_await bucket.replace(key, "x").as_expected()) == errc::document_not_found);
            const auto first = co_await bucket.insert(key, "1", {.flags = 7});
            const auto again = co_await bucket.insert(key, "2").as_expected();
            REQUIRE_FALSE(again);
            CHECK(again.error().code() == errc::document_exists);
            CHECK(again.error().context().key == key);
            CHECK(again.error().context().operation == "insert");
            CHECK_FALSE(again.error().context().node.empty());
            CHECK_FALSE(again.error().may_have_happened());
            CHECK_THROWS_AS(co_await bucket.insert(key, "2"), KeyExistsError);

            const auto second = co_await bucket.replace(key, "2", {.cas = first.cas()});
            CHECK(second.cas() != first.cas());
            CHECK_AWAIT(code_of(co_await bucket.upsert(key, "3", {.cas = first.cas()}).as_expected()) ==
                        errc::cas_mismatch);
            CHECK_AWAIT(code_of(co_await bucket.replace(key, "3", {.cas = first.cas()}).as_expected()) ==
                        errc::cas_mismatch);
            CHECK_AWAIT(code_of(co_await bucket.append(key, "3", {.cas = first.cas()}).as_expected()) ==
                        errc::cas_mismatch);
            CHECK_AWAIT(code_of(co_await bucket.prepend(key, "3", {.cas = first.cas()}).as_expected()) ==
                        errc::cas_mismatch);
            CHECK_AWAIT(code_of(co_await bucket.remove(key, {.cas = first.cas()}).as_expected()) == errc::cas_mismatch);
            const auto found = co_await bucket.get(key);
            CHECK(found.value() == "2");
            CHECK(found.flags() == 0);
            CHECK(found.cas() == second.cas());
            CHECK_AWAIT((co_await bucket.remove(key, {.cas = second.cas()})).success());
            CHECK_AWAIT(code_of(co_await bucket.upsert(key, "4", {.cas = 99}).as_expected()) ==
                        errc::document_not_found);
            CHECK_AWAIT(code_of(co_await bucket.remove(key).as_expected()) == errc::document_not_found);
        }
    });
}

TEST_CASE("cluster: of two who change a document at once, by its CAS, one must look again") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        AsyncBucket other(run.loop, run.access.connection_string, run.access.with());
        const std::string key = run.key("contended");
        co_await bucket.upsert(key, "0");
        const auto add = [&](AsyncBucket& by) -> Task<int> {
            int conflicts = 0;
            for (int done = 0; done < 20;) {
                const auto found = co_await by.get(key);
                const std::string next = std::to_string(std::stoi(found.owned()) + 1);
                const auto stored = co_await by.replace(key, next, {.cas = found.cas()}).as_expected();
                if (stored) {
                    ++done;
                } else {
                    CHECK(stored.error().code() == errc::cas_mismatch);
                    ++conflicts;
                }
            }
            co_return conflicts;
        };
        bool finished = false;
        int conflicts = 0;
        const auto beside = [&]() -> Task<> {
            conflicts += co_await add(other);
            finished = true;
        };
        spawn(run.loop, beside());
        conflicts += co_await add(bucket);
        while (!finished) co_await run.sleep(1ms);
        CHECK(conflicts > 0);
        CHECK_AWAIT((co_await bucket.get(key)).value() == "40");
    });
}

TEST_CASE("cluster: append and prepend") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        for (int i = 0; i < 8; ++i) {
            const std::string key = run.key("text" + std::to_string(i));
            CHECK_AWAIT(code_of(co_await bucket.append(key, "d").as_expected()) == errc::document_not_found);
            CHECK_AWAIT(code_of(co_await bucket.prepend(key, "d").as_expected()) == errc::document_not_found);
            co_await bucket.upsert(key, "b", {.flags = 5});
            const auto appended = co_await bucket.append(key, "c");
            CHECK_AWAIT((co_await bucket.prepend(key, "a", {.cas = appended.cas()})).success());
            const auto found = co_await bucket.get(key);
            CHECK(found.value() == "abc");
            CHECK(found.flags() == 5);
        }
    });
}

TEST_CASE("cluster: counters") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        for (int i = 0; i < 8; ++i) {
            const std::string key = run.key("counter" + std::to_string(i));
            CHECK_AWAIT(code_of(co_await bucket.counter(key).as_expected()) == errc::document_not_found);
            const auto created = co_await bucket.counter(key, {.delta = 5, .initial = 100});
            CHECK(created.counter() == 100);
            CHECK(created.value() == "100");
            CHECK(created.cas() != 0);
            CHECK_AWAIT((co_await bucket.counter(key, {.delta = 5})).counter() == 105);
            CHECK_AWAIT((co_await bucket.counter(key, {.delta = -6})).counter() == 99);
            CHECK_AWAIT((co_await bucket.get(key)).value() == "99");
            CHECK_AWAIT((co_await bucket.counter(key, {.delta = -1000})).counter() == 0);
            co_await bucket.upsert(key, "18446744073709551615");
            CHECK_AWAIT((co_await bucket.counter(key, {.delta = 2})).counter() == 1);
            co_await bucket.upsert(key, "many");
            CHECK_AWAIT(code_of(co_await bucket.counter(key).as_expected()) == errc::delta_invalid);
        }
    });
}

TEST_CASE("cluster: quiet, per call and per bucket") {
    const auto body = [](ClusterRun& run, bool by_default) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const std::string absent = run.key("absent");
        if (by_default) {
            CHECK_AWAIT((co_await bucket.get(absent)).rc() == errc::document_not_found);
            CHECK_AWAIT(!(co_await bucket.remove(absent)).success());
            CHECK_AWAIT(!(co_await bucket.lock(absent, 1s)).success());
            CHECK_AWAIT(code_of(co_await bucket.get(absent, {.quiet = false}).as_expected()) ==
                        errc::document_not_found);
        } else {
            CHECK_THROWS_AS(co_await bucket.get(absent), NotFoundError);
            CHECK_THROWS_AS(co_await bucket.remove(absent), DataError);
            CHECK_THROWS_AS(co_await bucket.lock(absent, 1s), NotFoundError);
            CHECK_AWAIT(!(co_await bucket.get(absent, {.quiet = true})).success());
            CHECK_AWAIT(!(co_await bucket.remove(absent, {.quiet = true})).success());
            CHECK_AWAIT(!(co_await bucket.get_and_touch(absent, 1min, {.quiet = true})).success());
            CHECK_AWAIT(!(co_await bucket.lock(absent, 1s, {.quiet = true})).success());
        }
    };
    on_clusters([&](ClusterRun& run) { return body(run, false); });
    on_clusters({.quiet = true}, [&](ClusterRun& run) { return body(run, true); });
}

TEST_CASE("cluster: keys of 1 to 250 bytes, and what is refused before anything is sent") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        CHECK_AWAIT(code_of(co_await bucket.get("").as_expected()) == errc::invalid_argument);
        CHECK_AWAIT(code_of(co_await bucket.get(std::string(251, 'k')).as_expected()) == errc::invalid_argument);
        std::string longest = run.key("longest");
        longest.resize(250, 'k');
        co_await bucket.upsert(longest, "v", {.expiry = 1min});
        CHECK_AWAIT((co_await bucket.get(longest)).value() == "v");
        const std::string bytes = run.key(std::string("\0\r\n \xc3\xa9", 6));
        co_await bucket.upsert(bytes, "bytes");
        CHECK_AWAIT((co_await bucket.get(bytes)).value() == "bytes");
        CHECK_AWAIT(code_of(co_await bucket.upsert(bytes, "v", {.expiry = -1s}).as_expected()) ==
                    errc::invalid_argument);
        CHECK_AWAIT(code_of(co_await bucket.lock(bytes, 31s).as_expected()) == errc::invalid_argument);
        CHECK_AWAIT(code_of(co_await bucket.unlock(bytes, 0).as_expected()) == errc::invalid_argument);
        CHECK_AWAIT(code_of(co_await bucket.flush().as_expected()) == errc::unsupported_operation);
        CHECK_AWAIT((co_await bucket.get(bytes)).value() == "bytes");
    });
}

TEST_CASE("cluster: results outlive their bucket, their loop and the cluster") {
    std::vector<ValueResult> kept;
    {
        ClusterRun run({.nodes = 2});
        run([&](ClusterRun& r) -> Task<> {
            const std::string small = r.key("small");
            const std::string large = r.key("large");
            co_await r.bucket().upsert(small, "s");
            co_await r.bucket().upsert(large, std::string(1000, 'L'));
            kept.push_back(co_await r.bucket().get(small));
            kept.push_back(co_await r.bucket().get(large));
        });
    }
    REQUIRE(kept.size() == 2);
    CHECK(kept[0].value() == "s");
    CHECK(kept[1].value() == std::string(1000, 'L'));
}
