// endure, on a scripted cluster: what is sent when, and what becomes of it.

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

TEST_CASE("endure asks at once, then after 10, 20, 40 ms, and says who had it", "[endure]") {
    Endured f;
    auto& one = f.endure({.persist_to = 2, .replicate_to = 1, .cas = 5});
    f.loop.run();
    CHECK(f.asked(Opcode::observe) == 3);
    f.loop.advance(9ms);
    CHECK(f.asked(Opcode::observe) == 3);
    f.put(ObserveState::found, ObserveState::persisted, {});
    f.loop.advance(1ms);
    CHECK(f.asked(Opcode::observe) == 6);
    f.loop.advance(19ms);
    CHECK(f.asked(Opcode::observe) == 6);
    CHECK(one.pending());
    f.put(ObserveState::persisted, ObserveState::persisted, {});
    f.loop.advance(1ms);
    CHECK(f.asked(Opcode::observe) == 8);  // the first replica has it: it is not asked again
    CHECK(f.asked(Opcode::observe, "n2") == 2);
    CHECK(one.ok());
    CHECK(one.cas == 5);
    CHECK(one.result.persisted_on() == 0b011);
    CHECK(one.result.replicated_on() == 0b010);
    f.check_clean();
}

TEST_CASE("endure: what is wrong is said before anything is asked", "[endure]") {
    Endured f;
    const auto code = [&](EndureOptions options) {
        auto& one = f.endure(options);
        CHECK(one.pending());
        f.loop.run();
        REQUIRE(one.error);
        CHECK(one.error->context().operation == "endure");
        CHECK(one.error->context().key == f.key);
        CHECK_FALSE(one.error->may_have_happened());
        return one.error->code();
    };
    CHECK(code({.persist_to = 0, .replicate_to = 0}) == errc::invalid_argument);
    CHECK(code({.persist_to = 99, .replicate_to = 99}) == errc::invalid_argument);  // Endure.excessive
    CHECK(code({.persist_to = 4, .replicate_to = 0}) == errc::durability_impossible);
    CHECK(code({.persist_to = -1, .replicate_to = 3}) == errc::durability_impossible);
    CHECK(code({.interval = 0ms}) == errc::invalid_argument);
    const auto other = static_cast<std::uint16_t>(f.cluster.vbucket_of(f.key) ^ 1u);
    CHECK(code({.token = MutationToken{.vbucket_uuid = 1, .seqno = 1, .vbucket = other}}) == errc::invalid_argument);
    CHECK(f.cluster.seen.empty());
    auto& none = f.endure_all(std::vector<std::string>{});
    auto& excessive = f.endure_all(std::vector<std::string>{f.key, "x"}, {.persist_to = 4, .replicate_to = 0});
    f.loop.run();
    CHECK(none.failed(errc::invalid_argument));
    CHECK(excessive.failed(errc::durability_impossible));
    CHECK(excessive.error->context().operation == "endure_multi");
    CHECK(f.cluster.seen.empty());
    f.check_clean();
}

TEST_CASE("endure on memcached is refused", "[endure]") {
    Fixture f;
    f.connected();
    auto& one = f.track(f.bucket->endure("k"));
    auto& two = f.upsert("k", "v", {.persist_to = 1});
    auto& three = f.upsert("k", "v", {.durability = DurabilityLevel::majority});
    std::optional<errc> four;
    f.bucket->endure_multi(std::vector<std::string>{"k", "l"})
        .set_callbacks([](const auto&) {}, [&](const Error& error) { four = error.code(); });
    f.loop.run();
    CHECK(four == errc::unsupported_operation);
    CHECK(one.failed(errc::unsupported_operation));
    CHECK(two.failed(errc::unsupported_operation));
    CHECK(three.failed(errc::feature_not_available));
}

TEST_CASE("endure: a silent replica holds up only itself; all its time is used", "[endure]") {
    Endured f;
    f.cluster.node("n2").hold = true;
    f.put(ObserveState::found, {}, {});
    SECTION("the other one is enough") {
        auto& one = f.endure({.persist_to = 0, .replicate_to = 1});
        f.loop.advance(100ms);
        CHECK(one.pending());
        CHECK(f.asked(Opcode::observe, "n2") == 1);
        CHECK(f.asked(Opcode::observe, "n3") == 4);
        f.put(ObserveState::found, {}, ObserveState::found);
        f.loop.advance(50ms);
        CHECK(one.ok());
        CHECK(one.result.replicated_on() == 0b100);
    }
    SECTION("both are wanted") {
        f.put(ObserveState::found, {}, ObserveState::found);
        const TimePoint start = f.loop.now();
        auto& one = f.endure({.persist_to = 0, .replicate_to = 2, .timeout = 1s});
        f.loop.advance(2s);
        REQUIRE(one.failed(errc::timeout_after_send));
        CHECK(one.at - start == 1s);
        CHECK(one.error->context().replicated_on == 0b100);
        CHECK(one.error->context().message.starts_with(
            "persisted to 0 of 0, replicated to 1 of 2; no answer of n2:11210"));
        CHECK_FALSE(one.error->may_have_happened());
    }
    SECTION("by default it has 5 s") {
        const TimePoint start = f.loop.now();
        auto& one = f.endure({});
        f.loop.advance(10s);
        CHECK(one.failed(errc::timeout_after_send));
        CHECK(one.at - start == 5s);
    }
    f.check_clean();
}

TEST_CASE("endure: a long one does not grow", "[endure]") {
    Endured f;
    auto& one = f.endure({.persist_to = 1, .replicate_to = 1, .timeout = 1h, .interval = 1ms});
    f.loop.advance(5s);
    CHECK(one.pending());
    CHECK(f.asked(Opcode::observe) == 3 * 5001);
    CHECK(f.bucket->operations() == 2);  // it, and its pause
    f.put(ObserveState::persisted, ObserveState::found, {});
    f.loop.advance(1ms);
    CHECK(one.ok());
    f.check_clean();
}

TEST_CASE("endure follows the map", "[endure]") {
    Endured f;
    SECTION("NOT_MY_VBUCKET brings a newer one: it is asked there, at once") {
        ScriptMap next = f.cluster.moved(f.key, 1);
        next.replicas[f.cluster.vbucket_of(f.key)] = {2, 0};
        f.cluster.publish(next);
        f.cluster.node("n2").items[f.key] = {"v", 0, 5, 0, ObserveState::persisted};
        f.cluster.node("n1").owned = std::set<std::uint16_t>{};
        f.cluster.map.replicas[f.cluster.vbucket_of(f.key)] = {2, -1};
        f.cluster.map.rev++;
        auto& one = f.endure({.persist_to = 1, .replicate_to = 0, .interval = 1s, .cas = 5});
        f.loop.advance(20ms);
        CHECK(one.ok());
        CHECK(f.cluster.node("n1").refused == 1);
    }
    SECTION("it has no newer one: at the next sweep") {
        f.cluster.node("n1").owned = std::set<std::uint16_t>{};
        f.cluster.node("n1").body = false;
        auto& one = f.endure({.persist_to = 1, .replicate_to = 0});
        f.loop.advance(100ms);
        CHECK(one.pending());
        CHECK(f.cluster.node("n1").refused >= 3);
        CHECK(f.cluster.node("n1").refused <= 5);
        f.cluster.node("n1").owned.reset();
        f.put(ObserveState::persisted, {}, {});
        f.loop.advance(100ms);
        CHECK(one.ok());
    }
    SECTION("fewer replicas than wanted") {
        auto& one = f.endure({.persist_to = 0, .replicate_to = 2});
        f.loop.advance(15ms);
        CHECK(one.pending());
        ScriptMap next = f.cluster.map;
        ++next.rev;
        next.replicas[f.cluster.vbucket_of(f.key)] = {1, -1};
        f.cluster.publish(next);
        f.cluster.push("n1", false);
        f.loop.advance(100ms);
        REQUIRE(one.failed(errc::durability_impossible));
        CHECK(one.error->context().message.find("fewer") != std::string::npos);
    }
    SECTION("a connection is lost, and made again") {
        f.cluster.node("n1").hold = true;
        auto& one = f.endure({.persist_to = 1, .replicate_to = 0});
        f.loop.run();
        f.cluster.node("n1").hold = false;
        f.put(ObserveState::persisted, {}, {});
        f.cluster.reset("n1");
        f.loop.advance(1s);
        CHECK(one.ok());
    }
    f.check_clean();
}

TEST_CASE("endure ends with its bucket, its handle and its loop", "[endure]") {
    Endured f;
    SECTION("close while it pauses") {
        auto& one = f.endure({});
        auto& many = f.endure_all(std::vector<std::string>{f.key, "x"});
        f.put(ObserveState::found, {}, {});
        f.cluster.node(f.cluster.owner_of("x")).items["x"] = {"v", 0, 5, 0, ObserveState::found};
        f.loop.advance(5ms);
        CHECK(one.pending());
        static_cast<void>(f.track(f.bucket->close()));
        f.loop.run();
        CHECK(one.failed(errc::shutdown));
        CHECK(many.failed(errc::shutdown));
        CHECK(many.all.size() == 2);
    }
    SECTION("close while it asks") {
        f.cluster.node("n1").hold = f.cluster.node("n2").hold = f.cluster.node("n3").hold = true;
        auto& one = f.endure({});
        f.loop.run();
        static_cast<void>(f.track(f.bucket->close()));
        f.loop.run();
        CHECK(one.failed(errc::shutdown));
    }
    SECTION("cancel") {
        auto operation = f.bucket->endure(f.key);
        f.loop.advance(5ms);
        operation.cancel();
        auto& one = f.book(std::move(operation));
        f.loop.run();
        CHECK(one.failed(errc::cancelled));
        f.loop.advance(200ms);
        CHECK(f.asked(Opcode::observe) == 3);
    }
    SECTION("the bucket is destroyed") {
        auto& one = f.endure({});
        f.loop.advance(5ms);
        f.bucket.reset();
        f.loop.run();
        CHECK(one.failed(errc::shutdown));
        return;
    }
    SECTION("before it is connected") {
        ClusterFixture late(ScriptMap::replicated({"n1", "n2"}, 1), "couchbase://n1");
        const std::string key = late.cluster.key_at("n1");
        late.cluster.node("n1").items[key] = {"v", 0, 5};
        late.cluster.node("n2").copies[key] = {"v", 0, 5};
        auto& one = late.track(late.bucket->endure(key));
        auto& impossible = late.track(late.bucket->endure(key, {.persist_to = 3}));
        late.connected();
        CHECK(one.ok());
        CHECK(impossible.failed(errc::durability_impossible));
        CHECK(late.bucket->operations() == 0);
    }
    f.check_clean();
}

TEST_CASE("endure goes on while the bucket is being closed", "[endure]") {
    Endured f;
    f.put(ObserveState::found, {}, {});
    auto& one = f.endure({.persist_to = 1, .replicate_to = 0, .cas = 5});
    f.loop.run();
    auto& closed = f.track(f.bucket->close({.drain = 1s}));
    f.loop.advance(5ms);  // nothing is on its way now: it pauses
    CHECK(one.pending());
    CHECK(closed.pending());
    f.put(ObserveState::persisted, {}, {});
    f.loop.advance(5ms);
    CHECK(one.ok());
    CHECK(closed.ok());
}

TEST_CASE("endure_multi: one packet for each node and sweep", "[endure]") {
    Endured f;
    std::vector<std::string> keys;
    for (int i = 0; i < 500; ++i) {
        keys.push_back("many" + std::to_string(i));
        const std::string& key = keys.back();
        f.cluster.node(f.cluster.owner_of(key)).items[key] = {"v", 0, 7};
        f.cluster.node(f.cluster.replica_of(key, 0)).copies[key] = {"v", 0, 7};
        f.cluster.node(f.cluster.replica_of(key, 1)).copies[key] = {"v", 0, 7};
    }
    keys.push_back(keys.front());  // twice
    auto& all = f.endure_all(keys);
    f.loop.run();
    CHECK(all.ok());
    CHECK(all.all.size() == 501);
    CHECK(all.all.all_ok());
    CHECK(f.cluster.seen.size() == 3);
    for (const auto& [key, result] : all.all) {
        CHECK(result->persisted_on() == 0b111);
        CHECK(result->replicated_on() == 0b110);
        CHECK(result->cas() == 7);
    }
    // One of them lags, one is not there, one was changed: each has its own outcome, in the caller's order.
    f.cluster.node(f.cluster.replica_of(keys[3])).copies.erase(keys[3]);
    const std::vector<std::pair<std::string, Cas>> some = {{keys[0], 7}, {"missing", 7}, {keys[3], 7}, {keys[4], 6}};
    auto& mixed = f.endure_all(some, {.timeout = 1s});
    f.loop.advance(2s);
    REQUIRE(mixed.failed(errc::document_not_found));
    CHECK(mixed.error->context().key == "missing");
    CHECK(mixed.error->context().operation == "endure_multi");
    REQUIRE(mixed.all.size() == 4);
    CHECK(mixed.all[0].success());
    CHECK(mixed.all[2].result.error().code() == errc::timeout_after_send);
    CHECK(mixed.all[2].result.error().context().persisted_on == 0b101);
    CHECK(mixed.all[3].result.error().code() == errc::mutation_superseded);
    f.check_clean();
}

TEST_CASE("endure_multi of results that have tokens: one packet for each copy of a vbucket", "[endure]") {
    Endured f;
    f.cluster.seqnos = [](const std::string&, std::uint16_t vbucket, std::uint64_t uuid) {
        return std::pair(Status::success, seqno_answer(vbucket, uuid, 1'000'000, 1'000'000));
    };
    std::vector<std::pair<std::string, std::string>> documents;
    for (int i = 0; i < 500; ++i) documents.emplace_back("many" + std::to_string(i), "v");
    MultiResult<OperationResult> stored;
    f.bucket->upsert_multi(documents).set_callbacks([&](MultiResult<OperationResult> all) { stored = std::move(all); },
                                                    [](const Error&) {});
    f.loop.run();
    REQUIRE(stored.size() == 500);
    CHECK(MutationState(stored).size() == 64);
    f.cluster.seen.clear();
    auto& all = f.endure_all(stored);
    f.loop.run();
    CHECK(all.ok());
    CHECK(all.all.all_ok());
    CHECK(f.cluster.seen.size() == 64 * 3);
    CHECK(all.all[7].result->mutation_token() == stored[7].result->mutation_token());
    CHECK(all.all[7].result->cas() == stored[7].result->cas());
    // What failed names no version.
    f.cluster.refusals["many1"] = {Status::einternal};
    MultiResult<OperationResult> failed;
    f.bucket->upsert_multi(documents).set_callbacks(
        [](const MultiResult<OperationResult>&) {},
        [&](const Error& error) { failed = error.all_results<OperationResult>(); });
    f.loop.run();
    auto& refused = f.endure_all(failed);
    f.loop.run();
    CHECK(refused.failed(errc::invalid_argument));
    f.check_clean();
}
