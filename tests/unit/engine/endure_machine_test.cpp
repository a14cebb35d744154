// The pure part of endure: maps, answers and times go in, outcomes come out.

#include "tests/unit/engine/endure_machine.hpp"

#include <set>
#include <string>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace chaise::testing::endure;

TEST_CASE("endure: numbers that are wrong in any cluster, and in this one", "[endure]") {
    CHECK_FALSE(Endure::fault_of(0, 0).empty());
    CHECK_FALSE(Endure::fault_of(5, 0).empty());
    CHECK_FALSE(Endure::fault_of(0, 4).empty());
    CHECK_FALSE(Endure::fault_of(99, 99).empty());
    CHECK(Endure::fault_of(4, 3).empty());
    CHECK(Endure::fault_of(-1, -1).empty());
    CHECK(Endure::fault_of(-1, 0).empty());
    CHECK(Endure::fault_of(0, -1).empty());

    const Map two = parsed(ScriptMap::replicated({"n1", "n2", "n3"}, 2));
    CHECK(Endure::fault_of(3, 2, *two).empty());
    CHECK_FALSE(Endure::fault_of(4, 0, *two).empty());
    CHECK_FALSE(Endure::fault_of(0, 3, *two).empty());
    CHECK_FALSE(Endure::fault_of(-1, 3, *two).empty());  // only the negative one is capped
    // Set up for two replicas, on one node.
    const Map one = parsed(ScriptMap::replicated({"n1"}, 2));
    CHECK(Endure::fault_of(1, 0, *one).empty());
    CHECK(Endure::fault_of(2, 0, *one).find("on 1 node") != std::string::npos);
    CHECK_FALSE(Endure::fault_of(0, 1, *one).empty());
    // One vbucket lacks a replica now.
    ScriptMap lacking = ScriptMap::replicated({"n1", "n2", "n3"}, 2);
    lacking.replicas[0][1] = -1;
    const Map now = parsed(lacking);
    CHECK(Endure::fault_of(3, 2, *now).empty());
    CHECK_FALSE(Endure::fault_of(3, 2, *now, 0).empty());
    CHECK(Endure::fault_of(3, 2, *now, 1).empty());
    CHECK(Endure::fault_of(-1, -1, *now, 0).empty());
}

TEST_CASE("endure: negative means as many as there are now", "[endure]") {
    ScriptMap script = ScriptMap::replicated({"n1", "n2", "n3"}, 2);
    script.replicas[0][1] = -1;
    One lacking({}, 7, {}, script);
    CHECK(lacking.key().persist_to == 2);
    CHECK(lacking.key().replicate_to == 1);
    lacking.sweep({persisted, persisted, missing});
    CHECK(lacking.outcome() == errc::success);
    CHECK(lacking.key().persisted_on() == 0b011);
    CHECK(lacking.key().replicated_on() == 0b010);

    One whole({.persist_to = -1, .replicate_to = 0});
    CHECK(whole.key().persist_to == 3);
    CHECK(whole.key().replicate_to == 0);
    One impossible({.persist_to = 3, .replicate_to = 0}, 7, {}, script);
    CHECK(impossible.outcome() == errc::durability_impossible);
    CHECK(impossible.ask().empty());
    // Without any replica replicate_to = -1 asks for none: the active copy must have it.
    One alone({.persist_to = 0, .replicate_to = -1}, 7, {}, ScriptMap::spread({"n1"}));
    CHECK_FALSE(alone.outcome());
    alone.sweep({found});
    CHECK(alone.outcome() == errc::success);
}

TEST_CASE("endure: when a key is satisfied", "[endure]") {
    struct Row {
        int persist_to, replicate_to;
        std::vector<Copy> copies;
        bool satisfied;
    };
    const Row rows[] = {
        {1, 0, {persisted, missing, missing}, true},
        {1, 0, {found, persisted, persisted}, false},
        {2, 0, {persisted, found, found}, false},  // it waits, though all replicas have it in memory
        {2, 0, {persisted, found, persisted}, true},
        {2, 0, {found, persisted, persisted}, false},  // not the active one
        {3, 0, {persisted, persisted, found}, false},
        {3, 0, {persisted, persisted, persisted}, true},
        {0, 1, {found, missing, missing}, false},  // the active one never counts
        {0, 1, {found, missing, found}, true},
        {0, 1, {found, persisted, missing}, true},
        {0, 2, {persisted, found, missing}, false},
        {0, 2, {found, found, found}, true},
        {1, 2, {found, found, found}, false},
        {1, 2, {persisted, found, found}, true},
        {-1, -1, {persisted, persisted, found}, false},
        {-1, -1, {persisted, persisted, persisted}, true},
        {0, 1, {found, other, missing}, false},  // an old version on a replica
        {2, 0, {persisted, other, other}, false},
    };
    for (const Row& row : rows) {
        const auto n = static_cast<std::size_t>(&row - rows);
        CAPTURE(n);
        One by_cas({.persist_to = row.persist_to, .replicate_to = row.replicate_to});
        by_cas.sweep(row.copies);
        CHECK(by_cas.outcome().has_value() == row.satisfied);
        if (row.satisfied) CHECK(by_cas.outcome() == errc::success);

        // The same by sequence number.
        One by_seqno({.persist_to = row.persist_to, .replicate_to = row.replicate_to}, 0, 10);
        std::vector<One::At> at;
        for (const Copy& copy : row.copies) {
            const bool has = copy.cas == 7;
            at.push_back({has && copy.state == ObserveState::persisted ? 10u : 9u, has ? 10u : 9u});
        }
        by_seqno.sweep_seqno(at);
        CHECK(by_seqno.outcome().has_value() == row.satisfied);
    }
}

TEST_CASE("endure: whom it asks", "[endure]") {
    const auto servers = [](One& one) {
        std::set<int> all;
        for (const auto& packet : one.ask()) all.insert(packet.server);
        return all;
    };
    One active_only({.persist_to = 1, .replicate_to = 0});
    CHECK(servers(active_only) == std::set<int>{0});
    One all({.persist_to = 0, .replicate_to = 1});
    CHECK(servers(all) == std::set<int>{0, 1, 2});
    CHECK(servers(all).empty());  // they are being asked

    // Copies that have it are left alone; but the active one, by CAS, says when it has another.
    One some({.persist_to = 0, .replicate_to = 2});
    some.sweep({found, found, missing});
    CHECK(servers(some) == std::set<int>{0, 2});
    One by_seqno({.persist_to = 0, .replicate_to = 2}, 0, 10);
    by_seqno.sweep_seqno({{0, 10}, {0, 10}, {0, 9}});
    CHECK(servers(by_seqno) == std::set<int>{2});
    One on_disk({.persist_to = 2, .replicate_to = 2}, 0, 10);
    on_disk.sweep_seqno({{0, 10}, {0, 10}, {10, 10}});
    CHECK(servers(on_disk) == std::set<int>{0, 1});
}

TEST_CASE("endure: the CAS is compared on every copy", "[endure]") {
    SECTION("another one on the active copy") {
        One one({.persist_to = 1});
        one.sweep({other, persisted, persisted});
        CHECK(one.outcome() == errc::mutation_superseded);
    }
    SECTION("removed since") {
        One one({.persist_to = 1});
        one.sweep({deleted, found, found});
        CHECK(one.outcome() == errc::mutation_superseded);
    }
    SECTION("superseded while it is polled") {
        One one({.persist_to = 0, .replicate_to = 2});
        one.sweep({found, found, missing});
        CHECK_FALSE(one.outcome());
        one.sweep({other, found, missing});
        CHECK(one.outcome() == errc::mutation_superseded);
    }
    SECTION("an old version on replicas is none") {
        One one({.persist_to = 0, .replicate_to = 2});
        one.sweep({found, other, found});
        CHECK_FALSE(one.outcome());
        one.sweep({found, found, found});
        CHECK(one.outcome() == errc::success);
    }
    SECTION("none given: that of the active copy, whenever its answer comes") {
        One one({.persist_to = 0, .replicate_to = 2}, 0);
        auto packets = one.ask();
        REQUIRE(packets.size() == 3);
        const auto is = [](std::int16_t) { return found; };
        CHECK(one.run.answered(packets[1], answer_to(one.run, packets[1], is), begin));
        CHECK(one.run.answered(packets[2], answer_to(one.run, packets[2], is), begin));
        CHECK_FALSE(one.outcome());
        CHECK(one.run.answered(packets[0], answer_to(one.run, packets[0], is), begin));
        CHECK(one.outcome() == errc::success);
        CHECK(one.key().last_cas() == 7);
    }
    SECTION("none given: a newer version begins anew") {
        One one({.persist_to = 0, .replicate_to = 2}, 0);
        one.sweep({found, found, missing});
        one.sweep({{ObserveState::found, 8}, missing, {ObserveState::found, 8}});
        CHECK_FALSE(one.outcome());
        one.sweep({{ObserveState::found, 8}, {ObserveState::found, 8}, {ObserveState::found, 8}});
        CHECK(one.outcome() == errc::success);
        CHECK(one.key().last_cas() == 8);
    }
}

TEST_CASE("endure: a document that is not there", "[endure]") {
    One active({.persist_to = 1});
    active.sweep({missing, persisted, persisted});
    CHECK(active.outcome() == errc::document_not_found);
    One gone({.persist_to = 1}, 0);
    gone.sweep({deleted, missing, missing});
    CHECK(gone.outcome() == errc::document_not_found);
    One replica({.persist_to = 0, .replicate_to = 1});
    replica.sweep({found, missing, deleted});
    CHECK_FALSE(replica.outcome());
}

TEST_CASE("endure: a removal", "[endure]") {
    constexpr Copy still{ObserveState::persisted, 5};
    const auto removal = [](int persist_to, int replicate_to, std::vector<Copy> copies, std::uint64_t cas = 9) {
        One one({.persist_to = persist_to, .replicate_to = replicate_to, .check_removed = true}, cas);
        one.sweep(copies);
        return one.outcome();
    };
    CHECK(removal(1, 0, {missing, still, still}) == errc::success);
    CHECK(removal(1, 0, {deleted, still, still}) == std::nullopt);  // in memory only
    CHECK(removal(0, 1, {deleted, still, deleted}) == errc::success);
    CHECK(removal(0, 2, {deleted, still, deleted}) == std::nullopt);
    CHECK(removal(-1, -1, {missing, missing, missing}) == errc::success);
    CHECK(removal(2, 0, {missing, deleted, deleted}) == std::nullopt);
    CHECK(removal(0, 1, {still, missing, missing}) == errc::mutation_superseded);  // there again
    CHECK(removal(0, 1, {still, missing, missing}, 0) == std::nullopt);            // not yet, perhaps
}

TEST_CASE("endure by sequence number: failovers", "[endure]") {
    SECTION("what had arrived survives, and is judged by its numbers in the new history") {
        One one({.persist_to = 1, .replicate_to = 1}, 0, 10);
        one.sweep_seqno({{9, 12, 10}, {9, 12}, {9, 9}});
        CHECK_FALSE(one.outcome());
        one.sweep_seqno({{10, 12, 10}, {9, 12}, {9, 9}});
        CHECK(one.outcome() == errc::success);
    }
    SECTION("what had not is lost, however far the new history is") {
        One one({.persist_to = 1, .replicate_to = 1}, 0, 10);
        one.sweep_seqno({{20, 20, 9}, {20, 20}, {20, 20}});
        CHECK(one.outcome() == errc::mutation_lost);
    }
    SECTION("a replica's word is a replica's") {
        One one({.persist_to = 0, .replicate_to = 1}, 0, 10);
        one.sweep_seqno({{0, 10}, {20, 20, 9}, {20, 20, 9}});
        CHECK_FALSE(one.outcome());
        one.sweep_seqno({{0, 10}, {20, 20, 9}, {10, 20}});
        CHECK(one.outcome() == errc::success);
        CHECK(one.key().replicated_on() == 0b100);
    }
    SECTION("a history that the active node does not know: when it says so again") {
        One one({.persist_to = 1, .replicate_to = 0}, 0, 10);
        one.run.unknown_history(one.ask().front());
        CHECK_FALSE(one.outcome());
        CHECK(one.run.wants_news());
        CHECK_FALSE(one.run.wants_news());
        one.run.unknown_history(one.ask().front());
        CHECK(one.outcome() == errc::mutation_lost);
    }
    SECTION("another node has it by then") {
        One one({.persist_to = 1, .replicate_to = 0}, 0, 10);
        one.run.unknown_history(one.ask().front());
        one.change([](ScriptMap& map) { map.active[0] = 2, map.replicas[0] = {1, 0}; });
        one.run.unknown_history(one.ask().front());
        CHECK_FALSE(one.outcome());
        for (const auto& packet : one.ask()) CHECK(one.run.answered(packet, One::answer(packet, {10, 10}), begin));
        CHECK(one.outcome() == errc::success);
    }
    SECTION("a replica that does not know it") {
        One one({.persist_to = 0, .replicate_to = 1}, 0, 10);
        for (int i = 0; i < 3; ++i) {
            for (const auto& packet : one.ask()) {
                if (packet.server == 0) {
                    CHECK(one.run.answered(packet, One::answer(packet, {0, 10}), begin));
                } else {
                    one.run.unknown_history(packet);
                }
            }
        }
        CHECK_FALSE(one.outcome());
    }
}
