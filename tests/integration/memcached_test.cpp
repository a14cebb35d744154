// Every operation against a real memcached.

#include "support/memcached_process.hpp"
#include "tests/support/run.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace chaise;
using namespace std::chrono_literals;
using chaise::testing::MemcachedProcess;
using chaise::testing::Sleep;
using chaise::testing::with_bucket;

namespace {

const std::string& server() {
    static const MemcachedProcess process;
    return process.connection_string();
}

/// The error of an operation that must fail.
template <class T>
errc code_of(const Expected<T, Error>& outcome) {
    return outcome ? errc::success : outcome.error().code();
}

}  // namespace

TEST_CASE("a value comes back as it was stored, with its flags and a CAS") {
    with_bucket(server(), [](AsyncBucket& bucket) -> Task<> {
        const auto stored = co_await bucket.upsert("k1", "value", {.flags = 0xdeadbeef});
        CHECK(stored.success());
        CHECK(stored.cas() != 0);
        CHECK_FALSE(stored.mutation_token());
        const auto found = co_await bucket.get("k1");
        CHECK(found.value() == "value");
        CHECK(found.flags() == 0xdeadbeef);
        CHECK(found.cas() == stored.cas());
        CHECK(found.pinned_bytes() == 0);
    });
}

TEST_CASE("values of every size, binary bytes and empty ones") {
    with_bucket(server(), [](AsyncBucket& bucket) -> Task<> {
        for (const std::size_t size : {0u, 1u, 63u, 64u, 65u, 1000u, 65'000u, 65'536u, 70'000u, 500'000u, 1'000'000u}) {
            std::string value(size, '\0');
            for (std::size_t i = 0; i < size; ++i) value[i] = static_cast<char>(i * 31 + size);
            co_await bucket.upsert("sized", value);
            const auto found = co_await bucket.get("sized");
            CHECK(found.value() == value);
            CHECK((found.pinned_bytes() == 0) == (size <= 64));
        }
        const auto too_large = co_await bucket.upsert("sized", std::string(2'000'000, 'x')).as_expected();
        CHECK(code_of(too_large) == errc::value_too_large);
        // memcached drops the old value, too; the stream is in step.
        CHECK_AWAIT(!(co_await bucket.get("sized", {.quiet = true})).success());
    });
}

TEST_CASE("insert, replace and CAS") {
    with_bucket(server(), [](AsyncBucket& bucket) -> Task<> {
        co_await bucket.remove("doc", {.quiet = true});
        CHECK_AWAIT(code_of(co_await bucket.replace("doc", "x").as_expected()) == errc::document_not_found);
        const auto first = co_await bucket.insert("doc", "1");
        const auto again = co_await bucket.insert("doc", "2").as_expected();
        CHECK(code_of(again) == errc::document_exists);
        CHECK(again.error().context().status == 0x02);
        CHECK(again.error().context().key == "doc");
        CHECK_FALSE(again.error().may_have_happened());

        const auto second = co_await bucket.replace("doc", "2", {.cas = first.cas()});
        CHECK(second.cas() != first.cas());
        CHECK_AWAIT(code_of(co_await bucket.upsert("doc", "3", {.cas = first.cas()}).as_expected()) ==
                    errc::cas_mismatch);
        CHECK_AWAIT(code_of(co_await bucket.remove("doc", {.cas = first.cas()}).as_expected()) == errc::cas_mismatch);
        CHECK_AWAIT((co_await bucket.get("doc")).value() == "2");
        CHECK_AWAIT((co_await bucket.remove("doc", {.cas = second.cas()})).success());
        CHECK_AWAIT(code_of(co_await bucket.upsert("doc", "4", {.cas = 99}).as_expected()) == errc::document_not_found);
    });
}

TEST_CASE("quiet: not found is a result, per call and per bucket") {
    const auto body = [](AsyncBucket& bucket, bool by_default) -> Task<> {
        if (by_default) {
            CHECK_AWAIT((co_await bucket.get("absent")).rc() == errc::document_not_found);
            CHECK_AWAIT(!(co_await bucket.remove("absent")).success());
            CHECK_AWAIT(code_of(co_await bucket.get("absent", {.quiet = false}).as_expected()) ==
                        errc::document_not_found);
        } else {
            CHECK_THROWS_AS(co_await bucket.get("absent"), NotFoundError);
            CHECK_THROWS_AS(co_await bucket.remove("absent"), DataError);
            CHECK_AWAIT(!(co_await bucket.get("absent", {.quiet = true})).success());
            CHECK_AWAIT(!(co_await bucket.remove("absent", {.quiet = true})).success());
            CHECK_AWAIT(!(co_await bucket.get_and_touch("absent", 1min, {.quiet = true})).success());
        }
    };
    with_bucket(server(), [&](AsyncBucket& bucket) { return body(bucket, false); });
    with_bucket(server(), {.quiet = true}, [&](AsyncBucket& bucket) { return body(bucket, true); });
    with_bucket(server() + "?quiet=true", [&](AsyncBucket& bucket) { return body(bucket, true); });
}

TEST_CASE("append and prepend") {
    with_bucket(server(), [](AsyncBucket& bucket) -> Task<> {
        const auto stored = co_await bucket.upsert("text", "b");
        const auto appended = co_await bucket.append("text", "c");
        CHECK_AWAIT((co_await bucket.prepend("text", "a", {.cas = appended.cas()})).success());
        CHECK_AWAIT((co_await bucket.get("text")).value() == "abc");
        CHECK_AWAIT(code_of(co_await bucket.append("text", "d", {.cas = stored.cas()}).as_expected()) ==
                    errc::cas_mismatch);
        CHECK_AWAIT(code_of(co_await bucket.append("nothing", "d").as_expected()) == errc::document_not_found);
    });
}

TEST_CASE("counters: initial value, up, down, floor, not a number") {
    with_bucket(server(), [](AsyncBucket& bucket) -> Task<> {
        co_await bucket.remove("n", {.quiet = true});
        CHECK_AWAIT(code_of(co_await bucket.counter("n").as_expected()) == errc::document_not_found);
        const auto created = co_await bucket.counter("n", {.delta = 5, .initial = 100});
        CHECK(created.counter() == 100);
        CHECK(created.value() == "100");
        CHECK_AWAIT((co_await bucket.counter("n", {.delta = 5})).counter() == 105);
        CHECK_AWAIT((co_await bucket.counter("n", {.delta = -6})).counter() == 99);
        CHECK_AWAIT((co_await bucket.counter("n", {.delta = -1000})).counter() == 0);
        CHECK_AWAIT((co_await bucket.counter("n", {.delta = 0})).counter() == 0);
        co_await bucket.upsert("n", "18446744073709551615");
        CHECK_AWAIT((co_await bucket.counter("n", {.delta = 2})).counter() == 1);
        co_await bucket.upsert("n", "many");
        CHECK_AWAIT(code_of(co_await bucket.counter("n").as_expected()) == errc::delta_invalid);
        CHECK_AWAIT(code_of(co_await bucket.counter("n", {.expiry = 1min}).as_expected()) == errc::invalid_argument);
    });
}

TEST_CASE("expiry, touch and get_and_touch") {
    EpollLoop loop;
    AsyncBucket bucket(loop, server());
    const auto sleeper = loop.make_iops();
    const auto body = [&]() -> Task<> {
        co_await bucket.upsert("brief", "v", {.expiry = 1s});
        co_await bucket.upsert("touched", "v", {.expiry = 1s});
        co_await bucket.upsert("got", "v", {.expiry = 1s});
        co_await bucket.upsert("long", "v", {.expiry = 24h * 40});  // 40 days: the trap
        co_await bucket.upsert("dated", "v", {.expiry = std::chrono::system_clock::now() + 24h * 400});
        co_await bucket.upsert("past", "v", {.expiry = std::chrono::system_clock::now() - 24h});
        CHECK_AWAIT(!(co_await bucket.get("past", {.quiet = true})).success());
        co_await bucket.touch("touched", 1min);
        CHECK_AWAIT((co_await bucket.get_and_touch("got", Expiry{})).value() == "v");
        CHECK_AWAIT((co_await bucket.get("brief")).success());
        co_await Sleep(*sleeper, 2500ms);
        CHECK_AWAIT(!(co_await bucket.get("brief", {.quiet = true})).success());
        CHECK_AWAIT((co_await bucket.get("touched", {.quiet = true})).success());
        CHECK_AWAIT((co_await bucket.get("got", {.quiet = true})).success());
        CHECK_AWAIT((co_await bucket.get("long", {.quiet = true})).success());
        CHECK_AWAIT((co_await bucket.get("dated", {.quiet = true})).success());
        CHECK_AWAIT(code_of(co_await bucket.touch("absent", 1min).as_expected()) == errc::document_not_found);
        CHECK_AWAIT(code_of(co_await bucket.upsert("k", "v", {.expiry = -1s}).as_expected()) == errc::invalid_argument);
        CHECK_AWAIT(code_of(co_await bucket.touch("k", 24h * 365 * 51).as_expected()) == errc::invalid_argument);
    };
    spawn(loop, body());
    loop.run();
}

TEST_CASE("noop, version and stats") {
    with_bucket(server(), [](AsyncBucket& bucket) -> Task<> {
        CHECK_AWAIT((co_await bucket.noop()).success());
        const auto version = co_await bucket.version();
        REQUIRE(version.versions().size() == 1);
        CHECK(version.versions().begin()->first == server().substr(sizeof("memcached://") - 1));
        CHECK(version.versions().begin()->second.starts_with("1."));
        const auto stats = co_await bucket.stats();
        CHECK(stats.get("version") == version.versions().begin()->second);
        CHECK(stats.stats().size() > 20);
        const auto settings = co_await bucket.stats("settings");
        CHECK(settings.get("binding_protocol") != "");
        CHECK_AWAIT(code_of(co_await bucket.stats("no such group").as_expected()) == errc::document_not_found);
        CHECK_AWAIT((co_await bucket.noop()).success());  // the stream is in step
    });
}

TEST_CASE("flush deletes everything, and only when it is enabled") {
    const MemcachedProcess own;
    with_bucket(own.connection_string(), [](AsyncBucket& bucket) -> Task<> {
        co_await bucket.upsert("k", "v");
        CHECK_AWAIT(code_of(co_await bucket.flush().as_expected()) == errc::unsupported_operation);
        CHECK_AWAIT((co_await bucket.get("k")).success());
    });
    with_bucket(own.connection_string(), {.enable_flush = true}, [](AsyncBucket& bucket) -> Task<> {
        CHECK_AWAIT((co_await bucket.flush()).success());
        CHECK_AWAIT(!(co_await bucket.get("k", {.quiet = true})).success());
    });
}

TEST_CASE("keys: 1 to 250 bytes, refused before anything is sent") {
    with_bucket(server(), [](AsyncBucket& bucket) -> Task<> {
        CHECK_AWAIT(code_of(co_await bucket.get("").as_expected()) == errc::invalid_argument);
        CHECK_AWAIT(code_of(co_await bucket.get(std::string(251, 'k')).as_expected()) == errc::invalid_argument);
        const std::string longest(250, 'k');
        co_await bucket.upsert(longest, "v");
        CHECK_AWAIT((co_await bucket.get(longest)).value() == "v");
        co_await bucket.upsert(std::string("\0\r\n \xff", 5), "bytes");
        CHECK_AWAIT((co_await bucket.get(std::string("\0\r\n \xff", 5))).value() == "bytes");
        CHECK_THROWS_AS(co_await bucket.upsert("big", std::string((20u << 20) + 1, 'x')), TooBigError);
    });
}

TEST_CASE("ten thousand operations at once, each with its own key's value") {
    with_bucket(server(), [](AsyncBucket& bucket) -> Task<> {
        std::vector<AsyncResult<OperationResult>> stores;
        for (int i = 0; i < 10'000; ++i) {
            stores.push_back(bucket.upsert("many" + std::to_string(i), "value" + std::to_string(i)));
        }
        for (auto& store : stores) CHECK_AWAIT((co_await store).success());
        std::vector<AsyncResult<ValueResult>> gets;
        for (int i = 0; i < 10'000; ++i) gets.push_back(bucket.get("many" + std::to_string(i)));
        int right = 0;
        for (int i = 0; i < 10'000; ++i) {
            const auto found = co_await gets[static_cast<std::size_t>(i)];
            right += found.value() == "value" + std::to_string(i);
        }
        CHECK(right == 10'000);
    });
}

TEST_CASE("results outlive their bucket and their loop") {
    std::vector<ValueResult> kept;
    with_bucket(server(), [&](AsyncBucket& bucket) -> Task<> {
        co_await bucket.upsert("small", "s");
        co_await bucket.upsert("large", std::string(1000, 'L'));
        kept.push_back(co_await bucket.get("small"));
        kept.push_back(co_await bucket.get("large"));
    });
    CHECK(kept[0].value() == "s");
    CHECK(kept[1].value() == std::string(1000, 'L'));
    CHECK(kept[1].pinned_bytes() >= 1000);
    CHECK(kept[1].owned().size() == 1000);
}
