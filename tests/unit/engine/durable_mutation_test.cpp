// Mutations with persist_to, replicate_to or a level, on a scripted cluster: what is sent when, and what becomes of it.

#include "tests/unit/engine/endure_fixture.hpp"

#include <chaise/durability.hpp>
#include <chaise/multi.hpp>
#include <chaise/mutation_state.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Feature;
using protocol::ObserveState;
using protocol::Opcode;
using protocol::Status;

TEST_CASE("mutations with persist_to and replicate_to: one operation", "[endure]") {
    Endured f;
    std::uint64_t persisted = 0;
    std::uint64_t replicated = 0;
    f.cluster.seqnos = [&](const std::string& host, std::uint16_t vbucket, std::uint64_t uuid) {
        return host == "n1" ? std::pair(Status::success, seqno_answer(vbucket, uuid, persisted, 1000))
                            : std::pair(Status::success, seqno_answer(vbucket, uuid, 0, replicated));
    };
    SECTION("its outcome comes when both are done, the first question with the mutation's answer") {
        const TimePoint start = f.loop.now();
        auto& one = f.book(f.bucket->upsert(f.key, "new", {.persist_to = 1, .replicate_to = 2}));
        f.loop.run();
        CHECK(f.asked(Opcode::set) == 1);
        CHECK(f.asked(Opcode::observe_seqno) == 3);
        CHECK(f.loop.now() == start);
        CHECK(one.pending());
        persisted = replicated = 1000;
        f.loop.advance(10ms);
        CHECK(one.ok());
        CHECK(one.cas == f.cluster.node("n1").items[f.key].cas);
        CHECK(one.result.mutation_token()->seqno == 1);
        CHECK(one.result.persisted_on() == 0b001);
        CHECK(one.result.replicated_on() == 0b110);
    }
    SECTION("it happened, and is not durable") {
        const TimePoint start = f.loop.now();
        auto& late = f.book(f.bucket->upsert(f.key, "new", {.persist_to = 1, .timeout = 1s}));
        f.loop.advance(10s);
        REQUIRE(late.failed(errc::timeout_after_send));
        CHECK(late.at - start == 1s);
        const ErrorContext& context = late.error->context();
        CHECK(context.mutation_happened);
        CHECK(context.may_have_happened);
        CHECK(context.operation == "upsert");
        CHECK(context.key == f.key);
        CHECK(context.cas == f.cluster.node("n1").items[f.key].cas);
        REQUIRE(context.mutation_token);
        CHECK(context.mutation_token->seqno == 1);
        CHECK(late.error->message().find("the mutation happened") != std::string::npos);
        CHECK(MutationState(*late.error).size() == 1);
        // And now it is.
        persisted = 1000;
        auto& then = f.endure({.persist_to = 1, .replicate_to = 0, .token = context.mutation_token});
        f.loop.run();
        CHECK(then.ok());
    }
    SECTION("without a timeout: 5 s from the mutation on") {
        f.cluster.node("n1").hold = true;
        const TimePoint start = f.loop.now();
        auto& one = f.book(f.bucket->upsert(f.key, "new", {.persist_to = 1}));
        f.loop.advance(2s);
        f.cluster.node("n1").hold = false;
        f.cluster.answer_all();
        f.loop.advance(10s);
        CHECK(one.failed(errc::timeout_after_send));
        CHECK(one.at - start == 7s);
    }
    SECTION("lost in a failover") {
        f.cluster.seqnos = [](const std::string&, std::uint16_t vbucket, std::uint64_t uuid) {
            return std::pair(Status::success, failover_answer(vbucket, uuid, 0, 500));
        };
        auto& one = f.book(f.bucket->upsert(f.key, "new", {.replicate_to = 1}));
        f.loop.run();
        REQUIRE(one.failed(errc::mutation_lost));
        CHECK(one.error->context().mutation_happened);
    }
    SECTION("an unknown history, said twice") {
        f.cluster.seqnos = [](const std::string&, std::uint16_t, std::uint64_t) {
            return std::pair(Status::key_enoent, std::string());
        };
        auto& one = f.book(f.bucket->upsert(f.key, "new", {.persist_to = 1}));
        f.loop.run();
        CHECK(one.pending());
        f.loop.advance(10ms);
        CHECK(one.failed(errc::mutation_lost));
    }
    SECTION("its own error: nothing is asked") {
        auto& one = f.book(f.bucket->upsert(f.key, "new", {.cas = 12345, .persist_to = 1}));
        f.cluster.refusals[f.key] = {Status::key_eexists};
        f.loop.run();
        REQUIRE(one.failed(errc::cas_mismatch));
        CHECK_FALSE(one.error->context().mutation_happened);
        CHECK(f.asked(Opcode::observe_seqno) == 0);
    }
    SECTION("too many copies: nothing is written") {
        auto& more = f.book(f.bucket->upsert(f.key, "new", {.persist_to = 4}));
        auto& both = f.book(f.bucket->upsert(f.key, "new", {.persist_to = 1, .durability = DurabilityLevel::majority}));
        auto& excessive = f.book(f.bucket->remove(f.key, {.replicate_to = 200}));
        f.loop.run();
        CHECK(more.failed(errc::durability_impossible));
        CHECK(both.failed(errc::invalid_argument));
        CHECK(excessive.failed(errc::invalid_argument));
        CHECK(f.cluster.seen.empty());
    }
    SECTION("by CAS where the server gives no token") {
        f.cluster.tokens = false;
        auto& one = f.book(f.bucket->upsert(f.key, "new", {.persist_to = 1}));
        f.loop.run();
        CHECK(one.ok());
        CHECK(f.asked(Opcode::observe) == 1);
        // Somebody is faster.
        f.cluster.node("n1").items[f.key].state = ObserveState::found;
        f.cluster.node("n1").hold = true;
        auto& other = f.book(f.bucket->upsert(f.key, "newer", {.persist_to = 1}));
        f.loop.run();
        f.cluster.answer_all();
        f.loop.run();
        f.cluster.node("n1").items[f.key] = {"x", 0, 99, 0, ObserveState::persisted};
        f.cluster.answer_all();
        f.loop.run();
        CHECK(other.failed(errc::mutation_superseded));
    }
    SECTION("a counter has its token, too") {
        persisted = replicated = 1000;
        ValueResult counted;
        f.bucket->counter("n" + f.key, {.initial = 3, .persist_to = 1, .replicate_to = 0})
            .set_callbacks([&](ValueResult result) { counted = std::move(result); }, [](const Error&) {});
        f.cluster.seqnos = [&](const std::string&, std::uint16_t vbucket, std::uint64_t uuid) {
            return std::pair(Status::success, seqno_answer(vbucket, uuid, 1000, 1000));
        };
        f.loop.run();
        CHECK(counted.counter() == 3);
        CHECK(counted.value() == "3");
        CHECK(counted.persisted_on() == 1);
        const ValueResult copy = counted;
        REQUIRE(copy.mutation_token());
        CHECK(copy.mutation_token()->seqno == 1);
        CHECK(MutationState(copy).size() == 1);
    }
    SECTION("cancelled: the error says that it happened") {
        auto operation = f.bucket->upsert(f.key, "new", {.persist_to = 1});
        f.loop.advance(5ms);
        operation.cancel();
        auto& one = f.book(std::move(operation));
        f.loop.run();
        REQUIRE(one.failed(errc::cancelled));
        CHECK(one.error->context().mutation_happened);
        CHECK(one.error->context().cas != 0);
    }
    SECTION("closed") {
        auto& one = f.book(f.bucket->upsert(f.key, "new", {.persist_to = 1}));
        f.loop.advance(5ms);
        static_cast<void>(f.track(f.bucket->close()));
        f.loop.run();
        REQUIRE(one.failed(errc::shutdown));
        CHECK(one.error->context().mutation_happened);
    }
    f.check_clean();
}

TEST_CASE("mutations with persist_to before the bucket is connected", "[endure]") {
    ClusterFixture f(ScriptMap::replicated({"n1", "n2"}, 1), "couchbase://n1");
    const std::string key = f.cluster.key_at("n1");
    f.cluster.seqnos = [](const std::string&, std::uint16_t vbucket, std::uint64_t uuid) {
        return std::pair(Status::success, seqno_answer(vbucket, uuid, 1000, 1000));
    };
    auto& one = f.upsert(key, "1", {.persist_to = 2, .replicate_to = 1});
    auto& two = f.upsert(key, "2");
    auto& three = f.upsert(key, "3", {.persist_to = 3});
    f.connected();
    CHECK(one.ok());
    CHECK(two.ok());
    REQUIRE(three.failed(errc::durability_impossible));  // that was not known before
    CHECK(three.error->context().mutation_happened);
    CHECK(f.cluster.node("n1").items[key].value == "3");  // in the order of the calls
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("bucket.durability: a default while it lives", "[endure]") {
    Endured f;
    f.cluster.seqnos = [](const std::string&, std::uint16_t vbucket, std::uint64_t uuid) {
        return std::pair(Status::success, seqno_answer(vbucket, uuid, 1000, 1000));
    };
    const auto questions = [&](StoreOptions options = {}) {
        f.cluster.seen.clear();
        auto& one = f.book(f.bucket->upsert(f.key, "v", options));
        f.loop.run();
        CHECK(one.ok());
        return f.asked(Opcode::observe_seqno);
    };
    CHECK(questions() == 0);
    {
        const auto active = f.bucket->durability(1);
        CHECK(questions() == 1);
        CHECK(questions({.replicate_to = 1}) == 3);
        {
            const auto all = f.bucket->durability();
            CHECK(questions() == 3);
            const auto none = f.bucket->durability(0, 0);
            CHECK(questions() == 0);
        }
        CHECK(questions() == 1);
        // The newest holds, in whatever order they end.
        auto first = std::make_unique<DurabilityScope>(f.bucket->durability(0, 1));
        auto second = std::make_unique<DurabilityScope>(f.bucket->durability(1, 0));
        first.reset();
        CHECK(questions() == 1);
        second.reset();
        CHECK(questions() == 1);
        // It is the collections', too; and it is taken at the call.
        f.cluster.seen.clear();
        auto collection = f.bucket->default_collection();
        auto& counted = f.track(collection.counter("c" + f.key, {.initial = 1}));
        std::vector<std::pair<std::string, std::string>> documents = {{"a", "1"}, {"b", "2"}};
        f.bucket->upsert_multi(documents).set_callbacks([](const auto&) {}, [](const auto&) {});
        {
            DurabilityScope moved = f.bucket->durability(1);
            DurabilityScope again = std::move(moved);
        }
        f.loop.run();
        CHECK(counted.ok());
        CHECK(f.asked(Opcode::observe_seqno) == 3);
    }
    CHECK(questions() == 0);
    SECTION("its timeout and interval") {
        f.cluster.seqnos = [](const std::string&, std::uint16_t vbucket, std::uint64_t uuid) {
            return std::pair(Status::success, seqno_answer(vbucket, uuid, 0, 1000));
        };
        const TimePoint start = f.loop.now();
        auto& one = [&]() -> Endured::Book& {
            const auto scope = f.bucket->durability(1, 0, {.timeout = 300ms, .interval = 100ms});
            return f.book(f.bucket->upsert(f.key, "v"));
        }();
        f.cluster.seen.clear();
        f.loop.advance(1s);
        CHECK(one.failed(errc::timeout_after_send));
        CHECK(one.at - start == 300ms);
        CHECK(f.asked(Opcode::observe_seqno) == 4);  // 0, 100, 200, 299 ms
    }
    SECTION("it outlives the bucket") {
        const auto scope = f.bucket->durability();
        f.bucket.reset();
        return;
    }
    f.check_clean();
}

TEST_CASE("durable writes: level and timeout go with the mutation", "[endure]") {
    ScriptMap map = ScriptMap::replicated({"n1", "n2"}, 1);
    map.capabilities = R"("durableWrite")";
    ClusterFixture f(map, "couchbase://n1", {.silence_timeout = 1min});
    const auto framing = [](int level, unsigned timeout) {
        std::string frame = {'\x13', static_cast<char>(level), 0, 0};
        protocol::store_be16(frame.data() + 2, static_cast<std::uint16_t>(timeout));
        return frame;
    };
    f.connected();
    SECTION("frames") {
        f.upsert("a", "v", {.durability = DurabilityLevel::majority});
        f.upsert("b", "v",
                 {.preserve_expiry = true, .durability = DurabilityLevel::persist_to_majority, .timeout = 1s});
        f.track(f.bucket->insert("c", "v",
                                 {.durability = DurabilityLevel::majority_and_persist_to_active, .timeout = 5min}));
        f.track(f.bucket->append("d", "v", {.durability = DurabilityLevel::majority, .timeout = 1ms}));
        f.track(f.bucket->remove("e", {.durability = DurabilityLevel::majority, .timeout = 2s}));
        f.counter("f", {.initial = 1, .durability = DurabilityLevel::majority, .timeout = 2s});
        f.bucket
            ->mutate_in("g", MutateSpecs(subdoc::upsert("p", "1")),
                        {.durability = DurabilityLevel::majority, .timeout = 2s})
            .set_callbacks([](const auto&) {}, [](const auto&) {});
        f.loop.run();
        REQUIRE(f.cluster.seen.size() == 7);
        const auto sent = [&](std::string_view key) {
            return std::find_if(f.cluster.seen.begin(), f.cluster.seen.end(),
                                [&](const auto& s) { return s.key == key; })
                ->framing;
        };
        CHECK(sent("a") == framing(1, 9000));
        CHECK(sent("b") == framing(3, 900) + "\x50");
        CHECK(sent("c") == framing(2, 65'534));
        CHECK(sent("d") == framing(1, 1));
        for (const char* key : {"e", "f", "g"}) CHECK(sent(key) == framing(1, 1800));
    }
    SECTION("without a timeout: 10 s") {
        f.cluster.node("n1").hold = true;
        const TimePoint start = f.loop.now();
        auto& one = f.upsert(f.cluster.key_at("n1"), "v", {.durability = DurabilityLevel::majority});
        f.loop.advance(20s);
        REQUIRE(one.failed(errc::timeout_after_send));
        CHECK(one.at - start == 10s);
        CHECK(one.error->may_have_happened());
    }
    SECTION("what the server says") {
        const auto code = [&](std::deque<Status> said) {
            f.cluster.refusals["k"] = std::move(said);
            auto& one = f.upsert("k", "v", {.durability = DurabilityLevel::majority});
            f.loop.advance(1s);
            REQUIRE(one.calls == 1);
            if (one.error) CHECK(one.error->may_have_happened() == (*one.error == errc::durability_ambiguous));
            if (one.error && *one.error == errc::durability_ambiguous) {
                CHECK(one.error->message().find("read the document back") != std::string::npos);
            }
            return one.error ? one.error->code() : errc::success;
        };
        CHECK(code({Status::durability_invalid_level}) == errc::durability_level_not_available);
        CHECK(code({Status::durability_impossible}) == errc::durability_impossible);
        CHECK(code({Status::sync_write_ambiguous}) == errc::durability_ambiguous);
        CHECK(code({Status::sync_write_in_progress, Status::sync_write_in_progress}) == errc::success);
        CHECK(code({Status::sync_write_re_commit_in_progress}) == errc::success);
    }
    SECTION("a lost connection leaves doubt, and nothing is repeated") {
        f.cluster.node("n1").hold = true;
        auto& one = f.upsert(f.cluster.key_at("n1"), "v", {.durability = DurabilityLevel::majority});
        f.loop.run();
        f.cluster.reset("n1");
        f.loop.advance(1s);
        REQUIRE(one.failed(errc::connection_lost_after_send));
        CHECK(one.error->may_have_happened());
    }
    SECTION("a level that there is not") {
        auto& one = f.upsert("k", "v", {.durability = static_cast<DurabilityLevel>(4)});
        f.loop.run();
        CHECK(one.failed(errc::invalid_argument));
    }
}

TEST_CASE("durable writes are refused where they cannot be", "[endure]") {
    ScriptMap map = ScriptMap::replicated({"n1", "n2"}, 1);
    SECTION("the bucket") {
        ClusterFixture f(map, "couchbase://n1");
        f.connected();
        auto& one = f.upsert("k", "v", {.durability = DurabilityLevel::majority});
        f.loop.run();
        REQUIRE(one.failed(errc::feature_not_available));
        CHECK(one.error->context().message.find("the bucket") != std::string::npos);
        CHECK(f.cluster.seen.empty());
    }
    map.capabilities = R"("durableWrite")";
    SECTION("the node") {
        ClusterFixture f(map, "couchbase://n1");
        f.cluster.denied = {Feature::sync_replication};
        auto& early = f.upsert("k", "v", {.durability = DurabilityLevel::majority});
        f.connected();
        auto& one = f.upsert("k", "v", {.durability = DurabilityLevel::majority});
        f.loop.run();
        CHECK(early.failed(errc::feature_not_available));  // found out when it was to be sent
        CHECK(one.failed(errc::feature_not_available));
        CHECK_FALSE(one.error->may_have_happened());
        CHECK(f.cluster.seen.empty());
        CHECK(f.bucket->operations() == 0);
    }
}

TEST_CASE("MutationState: the newest token of each vbucket", "[endure]") {
    const auto token = [](std::uint16_t vbucket, std::uint64_t uuid, std::uint64_t seqno) {
        return MutationToken{.vbucket_uuid = uuid, .seqno = seqno, .vbucket = vbucket};
    };
    MutationState state;
    CHECK(state.empty());
    CHECK(state.add(token(1, 10, 5)));
    state.add(token(1, 10, 4));
    state.add(token(2, 20, 1));
    CHECK(state.size() == 2);
    CHECK(state.tokens().at(1) == token(1, 10, 5));
    state.add(token(1, 10, 6));
    CHECK(state.tokens().at(1).seqno == 6);
    state.add(token(1, 11, 3));  // after a failover
    CHECK(state.tokens().at(1) == token(1, 11, 3));
    CHECK_FALSE(state.add(OperationResult(errc::success, 5)));
    CHECK(state.add(OperationResult(errc::success, 5, token(3, 30, 9))));
    MutationState other(OperationResult(errc::success, 5, token(3, 30, 10)));
    other.add(state);
    CHECK(other.size() == 3);
    CHECK(other.tokens().at(3).seqno == 10);
    CHECK(other != state);
}
