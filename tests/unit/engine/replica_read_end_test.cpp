// Reads from replicas that are refused, cancelled, dropped, or end with their bucket.

#include "tests/unit/engine/replica_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Opcode;
using Hosts = std::vector<std::string>;

TEST_CASE("get_replica: refused before anything is sent", "[replica]") {
    Copies f;
    f.connected();
    f.key = "";
    auto& empty = f.any();
    auto& empty_all = f.all();
    f.key = std::string(251, 'x');
    auto& longer = f.any({.index = 0});
    f.loop.run();
    CHECK(empty.failed(errc::invalid_argument));
    CHECK(empty_all.failed(errc::invalid_argument));
    CHECK(longer.failed(errc::invalid_argument));
    CHECK(f.cluster.seen.empty());
    f.bucket->close().detach();
    f.key = "k";
    auto& closed = f.any();
    f.loop.run();
    CHECK(closed.failed(errc::shutdown));
    CHECK(closed.error->context().key == "k");
}

TEST_CASE("get_replica: cancelled, dropped, closed, destroyed, at every step", "[replica]") {
    const auto steps = {0, 1, 2, 3};
    for (const int step : steps) {
        for (const char* how : {"cancel", "drop", "close", "destroy"}) {
            CAPTURE(step, how);
            Copies f;
            f.fill();
            if (step > 0) f.connected();
            for (const char* host : {"n1", "n2", "n3"}) f.cluster.node(host).hold = true;
            auto any = std::make_optional(f.bucket->get_replica(f.key));
            auto all = std::make_optional(f.bucket->get_all_replicas(f.key));
            if (step > 1) f.loop.run();
            if (step > 2) {  // one of all has answered
                f.cluster.node("n2").copies.clear();
                for (std::size_t n = 0; n < f.cluster.seen.size(); ++n) {
                    if (f.cluster.seen[n].node == "n2") f.cluster.answer(n);
                }
                f.loop.run();
            }
            if (how == std::string_view("drop")) {
                any.reset();
                all.reset();
                f.check_clean();
                continue;
            }
            if (how == std::string_view("cancel")) {
                any->cancel();
                all->cancel();
            }
            Outcome first, second;
            const auto watch = [&](auto& operation, Outcome& outcome) {
                operation.set_callbacks([&](auto) { ++outcome.calls; },
                                        [&](const Error& error) {
                                            ++outcome.calls;
                                            outcome.error = error;
                                        });
            };
            watch(*any, first);
            watch(*all, second);
            if (how == std::string_view("close")) f.bucket->close().detach();
            if (how == std::string_view("destroy")) f.bucket.reset();
            f.loop.run();
            const errc expected = how == std::string_view("cancel") ? errc::cancelled : errc::shutdown;
            CHECK(first.failed(expected));
            CHECK(second.failed(expected));
            any.reset();
            all.reset();
            if (f.bucket && how == std::string_view("cancel")) f.check_clean();
        }
    }
}

TEST_CASE("get_replica: a callback ends others that start in the same turn", "[replica]") {
    for (const bool cancel : {true, false}) {
        CAPTURE(cancel);
        Copies f;
        f.fill();
        f.connected();
        Outcome outcome;
        // Refused in its start, so that the callback runs between the starts.
        auto first = f.bucket->get_replica(f.key, {.index = 9});
        auto second = std::make_optional(f.bucket->get_replica(f.key));
        auto third = std::make_optional(f.bucket->ping());
        if (cancel) {
            second->set_callbacks([&](auto) { ++outcome.calls; },
                                  [&](const Error& error) {
                                      ++outcome.calls;
                                      outcome.error = error;
                                  });
        }
        unsigned refused = 0;
        first.set_callbacks([](auto) { FAIL("there is no such replica"); },
                            [&](const Error&) {
                                ++refused;
                                if (cancel) second->cancel();
                                if (!cancel) second.reset();
                                third.reset();
                            });
        f.loop.run();
        CHECK(refused == 1);
        if (cancel) CHECK(outcome.failed(errc::cancelled));
        // What is only dropped goes on, unobserved.
        CHECK(f.replica_reads("n2") + f.replica_reads("n3") == (cancel ? 0 : 2));
    }
}

TEST_CASE("get_replica: no more wait for the cluster than a queue may hold", "[replica]") {
    Copies f(ScriptMap::replicated({"n1", "n2", "n3"}, 2), {.max_queue_operations = 10});
    unsigned full = 0;
    std::vector<AsyncResult<ReplicaResult>> waiting;
    for (int i = 0; i < 12; ++i) {
        waiting.push_back(f.bucket->get_replica(f.key));
        waiting.back().set_callbacks([](auto) {}, [&](const Error& error) { full += error == errc::queue_full; });
    }
    f.loop.run();
    CHECK(full == 2);
}

TEST_CASE("get_replica: replicas are never written to", "[replica]") {
    Copies f;
    f.fill();
    f.connected();
    f.cluster.refuse("n1");
    f.cluster.reset("n1");
    f.loop.run();
    auto& write = f.upsert(f.key, "x", {.timeout = 300ms});
    f.loop.advance(300ms);
    CHECK(write.failed(errc::timeout_before_send));
    CHECK(f.cluster.path(f.key).empty());
}

TEST_CASE("operations that begin in one turn: the first one's consumer ends them all", "[replica]") {
    Copies f;
    f.fill();
    f.connected();
    const bool destroyed = GENERATE(true, false);
    std::optional<Error> refused;
    f.bucket->get_replica(f.key, {.index = 7})
        .set_callbacks([](const ReplicaResult&) {},
                       [&](const Error& error) {
                           refused = error;
                           if (destroyed) {
                               f.bucket.reset();
                           } else {
                               f.bucket->close().set_callbacks([](const OperationResult&) {}, [](const Error&) {});
                           }
                       });
    auto& next = f.any();
    auto& named = f.track(f.bucket->scope("s").collection("c").get_replica(f.key));
    f.loop.advance(10s);
    REQUIRE(refused);
    CHECK(*refused == errc::invalid_argument);
    CHECK(next.failed(errc::shutdown));
    CHECK(named.failed(errc::shutdown));
}

TEST_CASE("operations that begin in one turn: each consumer's exception leaves run()", "[replica]") {
    Copies f;
    f.fill();
    f.connected();
    for (int i = 0; i < 2; ++i) {
        f.bucket->get_replica(f.key, {.index = 7})
            .set_callbacks([](const ReplicaResult&) {}, [](const Error&) { throw std::runtime_error("boom"); });
    }
    int thrown = 0;
    for (int i = 0; i < 5; ++i) {
        try {
            f.loop.run();
        } catch (const std::runtime_error&) {
            ++thrown;
        }
    }
    CHECK(thrown == 2);
    f.check_clean();
}
