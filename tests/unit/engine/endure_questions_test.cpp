// The pure part of endure: whom it asks, together with whom, when, and again.

#include "protocol/vbucket.hpp"
#include "tests/unit/engine/endure_machine.hpp"

#include <string>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace chaise::testing::endure;

TEST_CASE("endure: packets are grouped", "[endure]") {
    const ScriptMap script = ScriptMap::replicated({"n1", "n2", "n3"}, 1);
    const Map map = parsed(script);
    const auto run_of = [&](bool tokens) {
        Endure run({.persist_to = -1, .replicate_to = -1, .deadline = begin + 5s});
        for (std::uint32_t i = 0; i < 10'000; ++i) {
            Endure::Key key;
            key.name = "key" + std::to_string(i);
            key.vbucket = protocol::vbucket_of(key.name, 64);
            key.cas = 7;
            if (tokens) key.token = MutationToken{.vbucket_uuid = key.vbucket, .seqno = i, .vbucket = key.vbucket};
            run.add(key);
        }
        run.begin(*map);
        return run;
    };
    SECTION("by CAS: one for each node") {
        Endure run = run_of(false);
        const auto packets = run.ask(*map, begin);
        CHECK(packets.size() == 3);
        std::size_t targets = 0;
        for (const auto& packet : packets) {
            targets += packet.targets.size();
            CHECK(run.answered(packet, answer_to(run, packet, [](auto) { return persisted; }), begin));
        }
        CHECK(targets == 20'000);
        CHECK(run.done());
    }
    SECTION("by token: one for each copy of a vbucket") {
        Endure run = run_of(true);
        const auto packets = run.ask(*map, begin);
        CHECK(packets.size() == 128);
        for (const auto& packet : packets) CHECK(run.answered(packet, One::answer(packet, {10'000, 10'000}), begin));
        CHECK(run.done());
    }
    SECTION("a packet has its bounds") {
        Endure run({.persist_to = 1, .replicate_to = 0, .deadline = begin + 5s});
        for (std::uint32_t i = 0; i < 50'000; ++i) {
            Endure::Key key;
            key.name = std::string(240, 'k') + std::to_string(i);
            run.add(key);
        }
        run.begin(*map);
        CHECK(run.ask(*map, begin).size() == 2);
    }
    SECTION("the same key twice") {
        Endure run({.persist_to = 1, .replicate_to = 0, .deadline = begin + 5s});
        for (const std::uint64_t cas : {7u, 7u, 5u}) {
            Endure::Key key;
            key.name = "key";
            key.cas = cas;
            run.add(key);
        }
        run.begin(*map);
        const auto packets = run.ask(*map, begin);
        REQUIRE(packets.size() == 1);
        CHECK(run.answered(packets[0], answer_to(run, packets[0], [](auto) { return persisted; }), begin));
        CHECK(run.keys()[0].outcome == errc::success);
        CHECK(run.keys()[1].outcome == errc::success);
        CHECK(run.keys()[2].outcome == errc::mutation_superseded);
        CHECK(run.done());
    }
}

TEST_CASE("endure: a silent replica holds up only itself", "[endure]") {
    One one({.persist_to = 0, .replicate_to = 1});
    auto first = one.ask();
    REQUIRE(first.size() == 3);
    const auto lagging = [](std::int16_t server) { return server == 0 ? found : missing; };
    for (const auto& packet : first) {
        if (packet.server != 1) CHECK(one.run.answered(packet, answer_to(one.run, packet, lagging), begin));
    }
    auto second = one.ask();
    REQUIRE(second.size() == 2);  // without the silent one
    for (const auto& packet : second) {
        CHECK(packet.server != 1);
        CHECK(one.run.answered(packet, answer_to(one.run, packet, [](auto) { return found; }), begin));
    }
    CHECK(one.outcome() == errc::success);
    // What it says afterwards is nobody's.
    CHECK(one.run.answered(first[1], answer_to(one.run, first[1], [](auto) { return missing; }), begin));
    CHECK(one.outcome() == errc::success);
    CHECK(one.key().replicated_on() == 0b100);
}

TEST_CASE("endure: it follows the map", "[endure]") {
    One one({.persist_to = 0, .replicate_to = 2});
    one.sweep({found, found, missing});
    CHECK(one.key().replicated_on() == 0b010);
    SECTION("the same map changes nothing") {
        CHECK_FALSE(one.run.follow(*one.map));
        CHECK(one.key().replicated_on() == 0b010);
    }
    SECTION("what is known holds while the same node has the copy, whatever its number") {
        one.change([](ScriptMap& map) {
            map.hosts = {"n9", "n1", "n2", "n3"};
            for (auto& server : map.active) ++server;
            for (auto& row : map.replicas) {
                for (auto& server : row) ++server;
            }
        });
        CHECK(one.run.follow(*one.map));
        CHECK(one.key().replicated_on() == 0b010);
    }
    SECTION("another node starts anew, and answers of the one before are nobody's") {
        const auto asked = one.ask();
        one.change([](ScriptMap& map) {
            map.hosts.push_back("n4");
            map.replicas[0] = {1, 3};
        });
        CHECK(one.run.follow(*one.map));
        CHECK(one.key().replicated_on() == 0b010);
        REQUIRE(asked.size() == 2);
        for (const auto& packet : asked) {
            CHECK(one.run.answered(packet, answer_to(one.run, packet, [](auto) { return found; }), begin));
        }
        CHECK(one.key().replicated_on() == 0b010);  // n3 has it, and is asked no more
        CHECK_FALSE(one.outcome());
        one.sweep({found, found, found, missing});
        CHECK_FALSE(one.outcome());
        one.sweep({found, found, found, found});
        CHECK(one.outcome() == errc::success);
    }
    SECTION("a map without a revision is another one by what it says") {
        protocol::ClusterMap map = *one.map;
        map.rev.reset();
        CHECK_FALSE(one.run.follow(map));
        CHECK_FALSE(one.run.follow(map));
        CHECK(one.key().replicated_on() == 0b010);
        std::swap(one.script.replicas[0][0], one.script.replicas[0][1]);
        map = *parsed(one.script);
        map.rev.reset();
        CHECK(one.run.follow(map));
        CHECK_FALSE(one.run.follow(map));
    }
    SECTION("fewer copies than wanted: it is impossible now") {
        one.change([](ScriptMap& map) { map.replicas[0][1] = -1; });
        CHECK(one.run.follow(*one.map));
        CHECK(one.outcome() == errc::durability_impossible);
        CHECK(one.key().why.find("fewer") != std::string::npos);
    }
    SECTION("fewer copies, and still enough") {
        One less({.persist_to = 0, .replicate_to = 1});
        less.change([](ScriptMap& map) { map.replicas[0][1] = -1; });
        CHECK(less.run.follow(*less.map));
        CHECK_FALSE(less.outcome());
        less.sweep({found, found, missing});
        CHECK(less.outcome() == errc::success);
    }
    SECTION("nobody has it for a while") {
        one.change([](ScriptMap& map) { map.active[0] = -1; });
        one.sweep({found, found, found});
        CHECK_FALSE(one.outcome());
        one.change([](ScriptMap& map) { map.active[0] = 0; });
        one.sweep({found, found, found});
        CHECK(one.outcome() == errc::success);
    }
}

TEST_CASE("endure: answers to something else", "[endure]") {
    One one({.persist_to = 1, .replicate_to = 0});
    const auto packet = one.ask().front();
    const std::string right = answer_to(one.run, packet, [](auto) { return persisted; });
    SECTION("of the active copy: the end") {
        std::string odd_state = right;
        odd_state[4 + 3] = 0x55;
        const std::string wrong = GENERATE_COPY(std::string(), right.substr(1), right + right, "x" + right, odd_state);
        CHECK_FALSE(one.run.answered(packet, wrong, begin));
        CHECK(one.outcome() == errc::protocol_error);
    }
    SECTION("of a replica: it is asked again") {
        One two({.persist_to = 0, .replicate_to = 1});
        auto packets = two.ask();
        CHECK(two.run.answered(packets[0], answer_to(two.run, packets[0], [](auto) { return found; }), begin));
        CHECK_FALSE(two.run.answered(packets[1], std::string_view("nonsense"), begin));
        CHECK_FALSE(two.outcome());
        two.sweep({found, found, missing});
        CHECK(two.outcome() == errc::success);
    }
    SECTION("about another history") {
        One by_seqno({.persist_to = 1, .replicate_to = 0}, 0, 10);
        auto wrong = One::answer(by_seqno.ask().front(), {10, 10});
        const auto asked = Endure::Packet{};
        One again({.persist_to = 1, .replicate_to = 0}, 0, 10);
        const auto question = again.ask().front();
        wrong.vbucket_uuid = 1;
        CHECK_FALSE(again.run.answered(question, wrong, begin));
        CHECK(again.outcome() == errc::protocol_error);
    }
    SECTION("errors") {
        one.run.failed(packet, "n1 said: temporary failure");
        CHECK_FALSE(one.outcome());
        REQUIRE(one.ask().size() == 1);
        one.run.expire();
        CHECK(one.outcome() == errc::timeout_after_send);
        CHECK(one.key().why.find("n1 said: temporary failure") != std::string::npos);
        One two({.persist_to = 1, .replicate_to = 0});
        two.run.refused(two.ask().front(), errc::unsupported_operation, "no");
        CHECK(two.outcome() == errc::unsupported_operation);
    }
}

TEST_CASE("endure: when it asks", "[endure]") {
    const auto times = [](Endure::Options options, Duration round_trip) {
        One one(options, 0, 10);
        std::vector<std::int64_t> all;
        TimePoint now = begin;
        while (now < one.run.deadline()) {
            all.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(now - begin).count());
            const auto packets = one.run.ask(*one.map, now);
            const TimePoint due = one.run.next(now);
            CHECK(due > now);
            for (const auto& packet : packets) {
                CHECK(one.run.answered(packet, One::answer(packet, {0, 0}), now + round_trip));
            }
            now = due;
        }
        CHECK(now == one.run.deadline());
        return all;
    };
    // 10 ms, doubling up to 100 ms; the last question leaves time for its answer.
    CHECK(times({.deadline = begin + 500ms}, 0ms) == std::vector<std::int64_t>{0, 10, 30, 70, 150, 250, 350, 450, 499});
    // A given one is kept.
    CHECK(times({.deadline = begin + 100ms, .interval = 30ms}, 0ms) == std::vector<std::int64_t>{0, 30, 60, 90, 99});
    CHECK(times({.deadline = begin + 1s, .interval = 300ms}, 5ms) == std::vector<std::int64_t>{0, 300, 600, 900, 990});
    CHECK(times({.deadline = begin + 100ms, .interval = 10s}, 1ms) == std::vector<std::int64_t>{0, 99});

    One one({.persist_to = 2, .replicate_to = 1, .deadline = begin + 1s});
    one.sweep({found, found, missing});
    one.run.expire();
    CHECK(one.outcome() == errc::timeout_after_send);
    CHECK(one.key().why == "persisted to 0 of 2, replicated to 1 of 1, not on the active node's disk");
    CHECK(one.run.done());
}
