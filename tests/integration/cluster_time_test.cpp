// Documents that end, and documents that are locked, against a cluster.

#include <string>
#include <vector>

#include "cluster_run.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

constexpr Cas hidden = ~Cas{0};

/// Servers before 7.6 say less of locks.
bool locked(errc code) { return code == errc::document_locked || code == errc::temporary_failure; }

}  // namespace

TEST_CASE("cluster: expiry, touch and get_and_touch") {
    ClusterRun run({.nodes = 2});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        const std::string brief = r.key("brief"), touched = r.key("touched"), got = r.key("got"), counted = r.key("n"),
                          replaced = r.key("replaced"), appended = r.key("appended"), lasting = r.key("lasting"),
                          dated = r.key("dated"), past = r.key("past");
        co_await bucket.upsert(brief, "v", {.expiry = 1s});
        co_await bucket.upsert(touched, "v", {.expiry = 1s});
        co_await bucket.upsert(got, "v", {.expiry = 1s});
        co_await bucket.upsert(replaced, "v", {.expiry = 1s});
        co_await bucket.insert(appended, "v", {.expiry = 1s});
        co_await bucket.counter(counted, {.initial = 1, .expiry = 1s});
        co_await bucket.upsert(lasting, "v", {.expiry = 24h * 40});  // over 30 days: the trap
        co_await bucket.upsert(dated, "v", {.expiry = std::chrono::system_clock::now() + 24h * 400});
        co_await bucket.upsert(past, "v", {.expiry = std::chrono::system_clock::now() - 24h});
        CHECK_AWAIT(!(co_await bucket.get(past, {.quiet = true})).success());
        const auto changed = co_await bucket.touch(touched, 1min);
        CHECK(changed.cas() != 0);
        CHECK_AWAIT((co_await bucket.get_and_touch(got, Expiry{})).value() == "v");
        co_await bucket.replace(replaced, "w");  // and with that, no expiry
        co_await bucket.append(appended, "w");   // leaves it
        CHECK_AWAIT((co_await bucket.get(brief)).success());
        co_await r.sleep(2200ms);
        const std::vector<std::string> ended{brief, counted, appended};
        for (const std::string& gone : ended) {
            CAPTURE(gone);
            CHECK_AWAIT(!(co_await bucket.get(gone, {.quiet = true})).success());
            CHECK_AWAIT(!(co_await bucket.exists(gone)).exists());
            CHECK_AWAIT(code_of(co_await bucket.replace(gone, "x").as_expected()) == errc::document_not_found);
            CHECK_AWAIT(code_of(co_await bucket.touch(gone, 1min).as_expected()) == errc::document_not_found);
        }
        const std::vector<std::string> left{touched, got, replaced, lasting, dated};
        for (const std::string& there : left) {
            CAPTURE(there);
            CHECK_AWAIT((co_await bucket.get(there, {.quiet = true})).success());
        }
        CHECK_AWAIT((co_await bucket.insert(brief, "again")).success());
    });
}

TEST_CASE("cluster: who meets a lock waits until it is gone, or for his timeout") {
    BestEffortRetry patient;
    on_clusters({.retry_strategy = &patient}, [](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const std::string key = run.key("waited-for");
        co_await bucket.upsert(key, "v");
        const auto lock = co_await bucket.lock(key, 15s);
        // Long enough that the pauses grow, so that hardly any attempt is in flight when it ends; on a machine that
        // stands still at that moment one may be, and there is another try.
        auto in_vain = co_await bucket.upsert(key, "w", {.timeout = 600ms}).as_expected();
        for (int i = 0; i < 4 && in_vain.error().may_have_happened(); ++i) {
            in_vain = co_await bucket.upsert(key, "w", {.timeout = 600ms}).as_expected();
        }
        CHECK(locked(code_of(in_vain)));
        CHECK(in_vain.error().context().retries >= 2);
        CHECK_FALSE(in_vain.error().may_have_happened());
        auto waiting = bucket.upsert(key, "w", {.timeout = 5s});
        co_await run.sleep(30ms);
        co_await bucket.unlock(key, lock.cas());
        const auto stored = co_await waiting;
        CHECK(stored.cas() != lock.cas());
        CHECK_AWAIT((co_await bucket.get(key)).value() == "w");
    });
}

TEST_CASE("cluster: a lock keeps others from changing a document until its CAS comes") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        for (int i = 0; i < 8; ++i) {
            const std::string key = run.key("locked" + std::to_string(i));
            const auto stored = co_await bucket.upsert(key, "v", {.flags = 3});
            const auto not_locked = code_of(co_await bucket.unlock(key, stored.cas()).as_expected());
            CHECK((not_locked == errc::document_not_locked || not_locked == errc::temporary_failure));
            const auto lock = co_await bucket.lock(key, 15s);
            CHECK(lock.value() == "v");
            CHECK(lock.flags() == 3);
            CHECK(lock.cas() != 0);
            CHECK(lock.cas() != hidden);

            CHECK_AWAIT(locked(code_of(co_await bucket.upsert(key, "other").as_expected())));
            CHECK_AWAIT(locked(code_of(co_await bucket.append(key, "other").as_expected())));
            CHECK_AWAIT(locked(code_of(co_await bucket.remove(key).as_expected())));
            CHECK_AWAIT(locked(code_of(co_await bucket.lock(key, 1s).as_expected())));
            const auto read = co_await bucket.get(key);
            CHECK(read.value() == "v");
            CHECK(read.cas() == hidden);
            CHECK_AWAIT((co_await bucket.exists(key)).exists());
            const auto wrong = code_of(co_await bucket.unlock(key, lock.cas() + 1).as_expected());
            CHECK((wrong == errc::cas_mismatch || locked(wrong)));

            if (i % 2 == 0) {
                CHECK_AWAIT((co_await bucket.unlock(key, lock.cas())).success());
                CHECK_AWAIT((co_await bucket.upsert(key, "other")).success());
            } else {
                CHECK_AWAIT((co_await bucket.replace(key, "mine", {.cas = lock.cas()})).success());
                CHECK_AWAIT((co_await bucket.append(key, "!")).success());
            }
            CHECK_AWAIT((co_await bucket.get(key)).value() == (i % 2 == 0 ? "other" : "mine!"));
        }
    });
}

TEST_CASE("cluster: a lock ends by itself") {
    ClusterRun run({.nodes = 2});
    run([](ClusterRun& r) -> Task<> {
        const std::string key = r.key("locked for a second");
        co_await r.bucket().upsert(key, "v");
        const auto lock = co_await r.bucket().lock(key, 1s);
        CHECK_AWAIT(locked(code_of(co_await r.bucket().upsert(key, "w").as_expected())));
        co_await r.sleep(2200ms);
        CHECK_AWAIT((co_await r.bucket().upsert(key, "w")).success());
        CHECK_AWAIT(code_of(co_await r.bucket().replace(key, "x", {.cas = lock.cas()}).as_expected()) ==
                    errc::cas_mismatch);
    });
}
