// "Not now": what is tried again, when, and what comes of it in the end.

#include "operation/retry.hpp"
#include "operation/retry_queue.hpp"
#include "tests/unit/engine/cluster_fixture.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using detail::OperationKind;
using protocol::Status;

namespace {

/// Says what it was told to, and keeps what it was asked.
struct Spy : RetryStrategy {
    std::optional<Duration> retry_after(const RetryRequest& request) noexcept override {
        asked.push_back(request);
        return answer;
    }
    std::vector<RetryRequest> asked;
    std::optional<Duration> answer = Duration(10ms);
};

std::deque<Status> times(std::size_t n, Status status) { return std::deque<Status>(n, status); }

protocol::ErrorMap::Entry entry_with(const char* attributes, const char* retry = "") {
    const auto map =
        protocol::decode_error_map(R"({"version":2,"revision":1,"errors":{"f2":{"name":"N","desc":"D","attrs":)" +
                                   std::string(attributes) + retry + "}}}");
    REQUIRE(map);
    return *map->find(static_cast<Status>(0xf2));
}

}  // namespace

TEST_CASE("the queue of retries gives them in the order of their times, then of adding", "[retry]") {
    detail::RetryQueue queue;
    const TimePoint zero{};
    queue.add(zero + 30ms, 1);
    queue.add(zero + 10ms, 2);
    queue.add(zero + 10ms, 3);
    queue.add(zero + 20ms, 4);
    CHECK(queue.first() == zero + 10ms);
    CHECK_FALSE(queue.take(zero + 9ms));
    std::vector<std::uint32_t> order;
    while (const auto next = queue.take(zero + 1s)) order.push_back(*next);
    CHECK(order == std::vector<std::uint32_t>{2, 3, 4, 1});
    CHECK(queue.empty());
}

TEST_CASE("best effort: 1 ms doubling to 500 ms, each from its upper half; what is suggested goes first", "[retry]") {
    BestEffortRetry strategy;
    Duration full = 1ms;
    for (std::uint32_t n = 0; n < 20; ++n) {
        for (const std::uint64_t random : {std::uint64_t{0}, std::uint64_t{12345678901}, ~std::uint64_t{0}}) {
            const auto delay = strategy.retry_after({.retries = n, .suggested = {}, .random = random});
            REQUIRE(delay);
            CHECK(*delay >= full / 2);
            CHECK(*delay <= full);
        }
        full = std::min<Duration>(full * 2, 500ms);
    }
    CHECK(strategy.retry_after({.retries = 3, .suggested = 77ms}) == Duration(77ms));
    CHECK_FALSE(FailFastRetry().retry_after({.suggested = 1ms}));
}

TEST_CASE("which answers may be tried again", "[retry]") {
    using detail::retry_reason;
    CHECK(retry_reason(OperationKind::upsert, Status::locked, nullptr) == RetryReason::locked);
    CHECK_FALSE(retry_reason(OperationKind::unlock, Status::locked, nullptr));
    for (const Status status : {Status::etmpfail, Status::ebusy, Status::enomem}) {
        CHECK(retry_reason(OperationKind::get, status, nullptr) == RetryReason::temporary_failure);
    }
    CHECK(retry_reason(OperationKind::upsert, Status::sync_write_in_progress, nullptr) ==
          RetryReason::sync_write_in_progress);
    CHECK_FALSE(retry_reason(OperationKind::upsert, Status::sync_write_ambiguous, nullptr));
    CHECK_FALSE(retry_reason(OperationKind::get, Status::key_enoent, nullptr));

    const auto unknown = static_cast<Status>(0xf2);
    CHECK_FALSE(retry_reason(OperationKind::get, unknown, nullptr));
    const auto retried = [&](const char* attributes) {
        const auto entry = entry_with(attributes);
        return retry_reason(OperationKind::get, unknown, &entry) == RetryReason::error_map;
    };
    CHECK(retried(R"(["retry-later"])"));
    CHECK(retried(R"(["temp"])"));
    CHECK(retried(R"(["auto-retry"])"));
    CHECK(retried(R"(["fetch-config"])"));
    CHECK_FALSE(retried(R"(["item-only"])"));
    CHECK_FALSE(retried(R"(["temp","no-retry"])"));
    CHECK_FALSE(retried(R"(["temp","system-constraint"])"));
    // A status that we know keeps its meaning, whatever the map says.
    const auto entry = entry_with(R"(["retry-later"])");
    CHECK_FALSE(retry_reason(OperationKind::get, Status::key_enoent, &entry));
}

TEST_CASE("delays that the error map asks for", "[retry]") {
    using detail::suggested_delay;
    const auto delays = [](const protocol::ErrorMap::Entry& entry) {
        std::vector<std::int64_t> ms;
        for (std::uint32_t n = 0; n < 6; ++n) {
            const auto delay = suggested_delay(entry, n);
            ms.push_back(delay ? std::chrono::duration_cast<std::chrono::milliseconds>(*delay).count() : -1);
        }
        return ms;
    };
    using Ms = std::vector<std::int64_t>;
    const char* attributes = R"(["auto-retry"])";
    CHECK(delays(entry_with(attributes, R"(,"retry":{"strategy":"constant","interval":20,"after":5})")) ==
          Ms{5, 20, 20, 20, 20, 20});
    CHECK(delays(entry_with(attributes, R"(,"retry":{"strategy":"linear","interval":20,"after":5,"ceil":70})")) ==
          Ms{5, 20, 40, 60, 70, 70});
    CHECK(delays(entry_with(attributes, R"(,"retry":{"strategy":"exponential","interval":3,"after":0,"ceil":50})")) ==
          Ms{0, 3, 9, 27, 50, 50});
    CHECK(delays(entry_with(attributes, R"(,"retry":{"strategy":"sometimes","interval":3})")) ==
          Ms{-1, -1, -1, -1, -1, -1});
    CHECK(delays(entry_with(R"(["retry-now"])")) == Ms{0, -1, -1, -1, -1, -1});
    CHECK(delays(entry_with(
              attributes, R"(,"retry":{"strategy":"exponential","interval":4000000000,"after":-1})"))[5] == 4294967295);
}

TEST_CASE("a document that cannot be served now is asked for again, and the caller hears of success only", "[retry]") {
    const auto [status, name] =
        GENERATE(table<Status, const char*>({{Status::etmpfail, "ETMPFAIL"},
                                             {Status::ebusy, "EBUSY"},
                                             {Status::enomem, "ENOMEM"},
                                             {Status::locked, "LOCKED"},
                                             {Status::sync_write_in_progress, "SYNC_WRITE_IN_PROGRESS"}}));
    INFO(name);
    ClusterFixture f;
    f.connected();
    f.cluster.refusals["k"] = times(4, status);
    Outcome& store = f.upsert("k", "v");
    f.loop.run();
    CHECK(store.pending());
    f.loop.advance(100ms);
    CHECK(store.ok());
    CHECK(f.cluster.path("k").size() == 5);
    CHECK(f.cluster.executed("k") == 1);
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("the strategy decides, and is told what it decides by", "[retry]") {
    Spy spy;
    ClusterFixture f(ScriptMap::spread({"n1", "n2"}), "couchbase://n1", {.retry_strategy = &spy});
    f.connected();
    f.cluster.refusals["k"] = times(2, Status::etmpfail);
    Outcome& store = f.upsert("k", "v", {.timeout = 1s});
    f.loop.run();
    CHECK(f.cluster.path("k").size() == 1);
    f.loop.advance(9ms);
    CHECK(f.cluster.path("k").size() == 1);
    f.loop.advance(1ms);
    CHECK(f.cluster.path("k").size() == 2);
    f.loop.advance(10ms);
    CHECK(store.ok());
    REQUIRE(spy.asked.size() == 2);
    CHECK(spy.asked[0].operation == "upsert");
    CHECK(spy.asked[0].reason == RetryReason::temporary_failure);
    CHECK_FALSE(spy.asked[0].idempotent);
    CHECK(spy.asked[0].retries == 0);
    CHECK(spy.asked[1].retries == 1);
    CHECK(spy.asked[1].time_spent >= 10ms);
    CHECK(spy.asked[1].time_left <= 990ms);
    CHECK(spy.asked[0].random != spy.asked[1].random);

    spy.answer = std::nullopt;
    f.cluster.refusals["k"] = times(1, Status::locked);
    Outcome& refused = f.upsert("k", "w");
    f.loop.run();
    REQUIRE(refused.failed(errc::document_locked));
    CHECK(refused.error->context().retries == 0);
    CHECK_FALSE(refused.error->context().may_have_happened);
}

TEST_CASE("who cannot try again in time hears the last answer at once", "[retry]") {
    ClusterFixture f;
    f.connected();
    const TimePoint start = f.loop.now();
    f.cluster.refusals["k"] = times(1000, Status::etmpfail);
    Outcome& store = f.upsert("k", "v", {.timeout = 100ms});
    f.loop.run();
    for (int i = 0; i < 2000 && store.pending(); ++i) f.loop.advance(100us);
    REQUIRE(store.failed(errc::temporary_failure));
    CHECK(store.at - start < 100ms);
    CHECK(store.at - start > 30ms);
    const ErrorContext& context = store.error->context();
    CHECK(context.retries == f.cluster.path("k").size() - 1);
    CHECK(context.retries >= 5);
    CHECK(context.status == static_cast<std::uint16_t>(Status::etmpfail));
    CHECK_FALSE(context.may_have_happened);
    CHECK(context.key == "k");
    CHECK_FALSE(context.node.empty());
}

TEST_CASE("fail_fast, by option and by connection string: every answer comes at once", "[retry]") {
    for (const bool by_option : {true, false}) {
        BucketOptions options;
        FailFastRetry fail_fast;
        if (by_option) options.retry_strategy = &fail_fast;
        ClusterFixture f(ScriptMap::spread({"n1"}), by_option ? "couchbase://n1" : "couchbase://n1?retry=fail_fast",
                         options);
        f.connected();
        f.cluster.refusals["k"] = times(1, Status::etmpfail);
        Outcome& store = f.upsert("k", "v");
        f.loop.run();
        CHECK(store.failed(errc::temporary_failure));
    }
    CHECK_THROWS_AS(ClusterFixture(ScriptMap::spread({"n1"}), "couchbase://n1?retry=sometimes"), ArgumentError);
}

TEST_CASE("what rests can be cancelled, expires, and ends with its bucket", "[retry]") {
    Spy spy;
    spy.answer = Duration(400ms);
    ClusterFixture f(ScriptMap::spread({"n1"}), "couchbase://n1", {.retry_strategy = &spy});
    f.connected();
    f.cluster.refusals["k"] = times(100, Status::locked);
    auto cancelled = f.bucket->upsert("k", "v");
    Outcome cancelled_outcome;
    cancelled.set_callbacks([](OperationResult) {}, [&](const Error& error) { cancelled_outcome.error = error; });
    Outcome& closed = f.upsert("k", "v");
    f.loop.run();
    CHECK(f.cluster.seen.size() == 2);
    cancelled.cancel();
    f.loop.run();
    REQUIRE(cancelled_outcome.error);
    CHECK(cancelled_outcome.error->code() == errc::cancelled);
    CHECK_FALSE(cancelled_outcome.error->context().may_have_happened);
    f.loop.advance(400ms);
    CHECK(f.cluster.seen.size() == 3);  // the other one alone
    f.bucket->close().detach();
    f.loop.run();
    CHECK(closed.failed(errc::shutdown));
    f.loop.advance(1s);
    CHECK(f.cluster.seen.size() == 3);
}

TEST_CASE("a bucket that is destroyed, or loses its loop, while requests rest", "[retry]") {
    Spy spy;
    for (const bool loop_first : {false, true}) {
        auto f = std::make_unique<ClusterFixture>(ScriptMap::spread({"n1"}), "couchbase://n1",
                                                  BucketOptions{.retry_strategy = &spy});
        f->connected();
        f->cluster.refusals["k"] = times(100, Status::ebusy);
        Outcome& store = f->upsert("k", "v");
        f->loop.run();
        if (!loop_first) {
            f->bucket.reset();
            f->loop.run();
            CHECK(store.failed(errc::shutdown));
        } else {
            CHECK(store.pending());
        }
    }
}

TEST_CASE("when its time comes, the request goes to who has the vbucket by then", "[retry]") {
    Spy spy;
    ClusterFixture f(ScriptMap::spread({"n1", "n2", "n3"}), "couchbase://n1", {.retry_strategy = &spy});
    f.connected();
    const std::string key = f.cluster.key_at("n1");
    f.cluster.refusals[key] = times(1, Status::etmpfail);
    Outcome& store = f.upsert(key, "v");
    f.loop.run();
    f.cluster.publish(f.cluster.moved(key, 1));
    f.cluster.push("n1", false);
    f.loop.advance(10ms);
    CHECK(store.ok());
    CHECK(f.cluster.path(key) == std::vector<std::string>{"n1", "n2"});
}

TEST_CASE("a status that only the error map knows: tried again as it says", "[retry]") {
    ClusterFixture f(ScriptMap::spread({"n1"}));
    f.cluster.error_map =
        R"({"version":2,"revision":1,"errors":{"f2":{"name":"ODD","desc":"odd","attrs":["temp","auto-retry"],)"
        R"("retry":{"strategy":"constant","interval":30,"after":10,"max-duration":100}},)"
        R"("f3":{"name":"GONE","desc":"of no use","attrs":["conn-state-invalidated"]}}})";
    f.connected();
    f.cluster.refusals["k"] = times(2, static_cast<Status>(0xf2));
    Outcome& store = f.upsert("k", "v");
    f.loop.advance(39ms);
    CHECK(store.pending());
    CHECK(f.cluster.seen.size() == 2);
    f.loop.advance(1ms);
    CHECK(store.ok());

    f.cluster.refusals["k"] = times(100, static_cast<Status>(0xf2));
    Outcome& never = f.upsert("k", "v");
    f.loop.advance(200ms);
    REQUIRE(never.failed(errc::unknown_status));
    CHECK(never.error->message().find("ODD") != std::string::npos);
    CHECK(never.error->context().retries == 4);  // after 10, 40, 70 and 100 ms

    f.cluster.refusals["k"] = times(1, static_cast<Status>(0xf3));
    Outcome& gone = f.upsert("k", "v");
    f.loop.run();
    CHECK(gone.failed(errc::unknown_status));
    f.loop.advance(100ms);
    CHECK(f.cluster.connections("n1") == 2);
    CHECK(f.upsert("k2", "v").pending());
    f.loop.run();
    CHECK(f.outcomes.back()->ok());
}

TEST_CASE("a lost connection: the strategy is asked for what does no harm twice", "[retry]") {
    Spy spy;
    ClusterFixture f(ScriptMap::spread({"n1"}), "couchbase://n1", {.retry_strategy = &spy});
    f.connected();
    f.cluster.node("n1").hold = true;
    Outcome& get = f.get("k", {.quiet = true});
    Outcome& store = f.upsert("k", "v");
    f.loop.run();
    f.cluster.reset("n1");
    f.loop.run();
    CHECK(store.failed(errc::connection_lost_after_send));
    CHECK(get.pending());
    REQUIRE(spy.asked.size() == 1);
    CHECK(spy.asked[0].reason == RetryReason::connection_lost_in_flight);
    CHECK(spy.asked[0].idempotent);
    spy.answer = std::nullopt;
    f.cluster.node("n1").hold = true;
    f.loop.advance(1s);
    f.cluster.reset("n1");
    f.loop.run();
    CHECK(get.failed(errc::connection_lost_after_send));
}
