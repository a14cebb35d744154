// Multi operations with persist_to, replicate_to or a level: the copies of all entries are polled together, and each
// entry has its own outcome.

#include "tests/unit/engine/endure_fixture.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Opcode;
using protocol::Status;

namespace {

using Documents = std::vector<std::pair<std::string, std::string>>;

struct Stored : Endured {
    Stored() {
        cluster.seqnos = [this](const std::string& host, std::uint16_t vbucket, std::uint64_t uuid) {
            const std::uint64_t persisted = undurable.contains(vbucket) ? 0 : durable_up_to;
            static_cast<void>(host);
            return std::pair(Status::success, seqno_answer(vbucket, uuid, persisted, persisted));
        };
        cluster.seen.clear();
    }
    template <class Result>
    Many& keep(AsyncResult<MultiResult<Result>> operation) {
        lists.push_back(std::make_unique<Many>());
        Many& one = *lists.back();
        operation.set_callbacks(
            [this, &one](MultiResult<Result> all) {
                note(one);
                if constexpr (std::is_same_v<Result, OperationResult>) one.all = std::move(all);
            },
            [this, &one](const Error& error) {
                note(one);
                one.error = error;
                one.all = error.all_results<OperationResult>();
            });
        return one;
    }
    Documents some(int n) {
        Documents all;
        for (int i = 0; i < n; ++i) all.emplace_back("some" + std::to_string(i), std::to_string(i));
        return all;
    }
    std::uint64_t durable_up_to = 1000;
    std::set<std::uint16_t> undurable;
};

}  // namespace

TEST_CASE("multi operations that await copies", "[endure]") {
    Stored f;
    const auto vbucket_of = [&](const std::string& of) { return f.cluster.vbucket_of(of); };
    SECTION("polled together, from the mutations' answers on") {
        f.durable_up_to = 0;
        const Documents all = f.some(500);
        const TimePoint start = f.loop.now();
        auto& many = f.keep(f.bucket->upsert_multi(all, {.persist_to = 1, .replicate_to = 2}));
        f.loop.run();
        CHECK(f.loop.now() == start);
        CHECK(f.asked(Opcode::set) == 500);
        const std::size_t first = f.asked(Opcode::observe_seqno);
        CHECK(first >= 3 * 60);  // of 64 vbuckets, three copies each
        CHECK(first <= 3 * 64);
        CHECK(many.pending());
        f.durable_up_to = 1000;
        f.loop.advance(10ms);
        REQUIRE(many.ok());
        CHECK(f.asked(Opcode::observe_seqno) == 2 * first);
        REQUIRE(many.all.size() == 500);
        CHECK(many.all.all_ok());
        for (const auto& [name, result] : many.all) {
            CHECK(result->persisted_on() == 0b111);
            CHECK(result->replicated_on() == 0b110);
            CHECK(result->mutation_token());
        }
    }
    SECTION("one is not durable, one was not stored: the others are, and each says what became of it") {
        const Documents all = f.some(40);
        const std::uint16_t lame = vbucket_of("some3");
        f.undurable = {lame};
        f.cluster.refusals["some7"] = {Status::key_eexists};
        const TimePoint start = f.loop.now();
        auto& many = f.keep(f.bucket->upsert_multi(all, {.persist_to = 1, .timeout = 300ms}));
        f.loop.advance(10s);
        REQUIRE(many.failed(errc::timeout_after_send));
        CHECK(many.at - start == 300ms);
        CHECK(many.error->context().operation == "upsert_multi");
        REQUIRE(many.all.size() == 40);
        for (const auto& [name, result] : many.all) {
            CAPTURE(name);
            if (name == "some7") {
                REQUIRE_FALSE(result);
                CHECK(result.error() == errc::cas_mismatch);
                CHECK_FALSE(result.error().context().mutation_happened);
            } else if (vbucket_of(std::string(name)) == lame) {
                REQUIRE_FALSE(result);
                CHECK(result.error() == errc::timeout_after_send);
                const ErrorContext& context = result.error().context();
                CHECK(context.mutation_happened);
                CHECK(context.mutation_token);
                CHECK(context.cas != 0);
                CHECK(context.operation == "upsert");
                CHECK(context.key == name);
            } else {
                REQUIRE(result);
                CHECK(result->persisted_on() != 0);
            }
        }
    }
    SECTION("a node that is silent holds up its own entries alone") {
        f.cluster.node("n2").hold = true;
        const Documents all = f.some(60);
        auto& many = f.keep(f.bucket->upsert_multi(all, {.persist_to = 1, .timeout = 500ms}));
        f.loop.advance(10s);
        REQUIRE(many.calls == 1);
        std::size_t durable = 0;
        for (const auto& [name, result] : many.all) {
            const bool silent = f.cluster.map.owner(vbucket_of(std::string(name))) == "n2";
            CHECK(result.has_value() != silent);
            if (result) ++durable;
            if (!result) CHECK_FALSE(result.error().context().mutation_happened);
        }
        CHECK(durable > 20);
    }
    SECTION("the last to come has its time too, if none was given") {
        f.durable_up_to = 0;
        f.cluster.node("n2").hold = true;
        const Documents all = f.some(20);
        const TimePoint start = f.loop.now();
        auto& many = f.keep(f.bucket->upsert_multi(all, {.persist_to = 1}));
        f.loop.advance(2s);
        f.cluster.node("n2").hold = false;
        f.cluster.answer_all();
        f.loop.advance(6s - 2s);
        CHECK(many.pending());
        f.durable_up_to = 1000;
        f.loop.advance(200ms);
        CHECK(many.ok());
        CHECK(f.loop.now() - start < 7s);
    }
    SECTION("counters, and a default while it lives") {
        std::vector<std::string> names = {"c1", "c2"};
        MultiResult<ValueResult> counted;
        f.bucket->counter_multi(names, {.initial = 5, .replicate_to = 1})
            .set_callbacks([&](MultiResult<ValueResult> all) { counted = std::move(all); }, [](const Error&) {});
        f.loop.run();
        REQUIRE(counted.size() == 2);
        CHECK(counted[0].result->counter() == 5);
        CHECK(counted[0].result->replicated_on() == 0b110);
        f.cluster.seen.clear();
        {
            const auto scope = f.bucket->durability(1);
            f.keep(f.bucket->upsert_multi(f.some(300)));
            f.keep(f.bucket->get_multi(names));
        }
        f.loop.run();
        CHECK(f.asked(Opcode::observe_seqno) <= 64);
        CHECK(f.asked(Opcode::observe_seqno) > 0);
        for (const auto& one : f.lists) CHECK(one->ok());
    }
    SECTION("refused before anything is sent") {
        auto& more = f.keep(f.bucket->upsert_multi(f.some(3), {.persist_to = 4}));
        auto& excessive = f.keep(f.bucket->remove_multi(std::vector<std::string>{"a"}, {.replicate_to = 200}));
        auto& both =
            f.keep(f.bucket->append_multi(f.some(3), {.persist_to = 1, .durability = DurabilityLevel::majority}));
        auto& level =
            f.keep(f.bucket->counter_multi(std::vector<std::string>{"a"}, {.durability = DurabilityLevel::majority}));
        f.loop.run();
        CHECK(more.failed(errc::durability_impossible));
        CHECK(excessive.failed(errc::invalid_argument));
        CHECK(both.failed(errc::invalid_argument));
        CHECK(level.failed(errc::feature_not_available));  // this bucket has no durable writes
        CHECK(f.cluster.seen.empty());
    }
    SECTION("cancelled: what happened says so") {
        f.durable_up_to = 0;
        f.cluster.node("n2").hold = true;
        auto operation = f.bucket->upsert_multi(f.some(30), {.persist_to = 1});
        f.loop.advance(5ms);
        operation.cancel();
        auto& many = f.keep(std::move(operation));
        f.loop.run();
        REQUIRE(many.failed(errc::cancelled));
        CHECK(many.error->may_have_happened());
        REQUIRE(many.all.size() == 30);
        for (const auto& [name, result] : many.all) {
            REQUIRE_FALSE(result);
            CHECK(result.error() == errc::cancelled);
            CHECK(result.error().context().mutation_happened ==
                  (f.cluster.map.owner(vbucket_of(std::string(name))) != "n2"));
        }
    }
    SECTION("closed while it polls") {
        f.durable_up_to = 0;
        auto& many = f.keep(f.bucket->upsert_multi(f.some(30), {.persist_to = 1}));
        f.loop.advance(5ms);
        static_cast<void>(f.track(f.bucket->close()));
        f.loop.run();
        REQUIRE(many.failed(errc::shutdown));
        for (const auto& [name, result] : many.all) {
            REQUIRE_FALSE(result);
            CHECK(result.error().context().mutation_happened);
        }
    }
    f.check_clean();
}

TEST_CASE("multi operations with a durability level: it goes with each entry", "[endure]") {
    ScriptMap map = ScriptMap::replicated({"n1", "n2"}, 1);
    map.capabilities = R"("durableWrite")";
    ClusterFixture f(map, "couchbase://n1");
    f.connected();
    bool done = false;
    const Documents all = {{"a", "1"}, {"b", "2"}};
    f.bucket->upsert_multi(all, {.durability = DurabilityLevel::majority, .timeout = 2s})
        .set_callbacks([&](const auto&) { done = true; }, [](const Error&) {});
    f.loop.run();
    CHECK(done);
    REQUIRE(f.cluster.seen.size() == 2);
    for (const auto& sent : f.cluster.seen) {
        REQUIRE(sent.framing.size() == 4);
        CHECK(sent.framing[1] == 1);
    }
}
