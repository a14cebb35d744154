// The pure part of endure: maps, answers and times go in, questions and outcomes come out.

#include "durability/endure.hpp"
#include "protocol/byte_order.hpp"
#include "protocol/vbucket.hpp"
#include "tests/unit/engine/script_cluster.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using detail::Endure;
using protocol::ObserveState;

namespace {

using Map = std::shared_ptr<const protocol::ClusterMap>;
constexpr TimePoint begin{1h};
constexpr std::uint64_t history = 0xabc;

Map parsed(const ScriptMap& map) {
    auto result = protocol::parse_cluster_map(map.text(), "n1");
    REQUIRE(result.map);
    return result.map;
}

struct Copy {
    ObserveState state = ObserveState::not_found;
    std::uint64_t cas = 0;
};

/// Answers as the copies are: by server number.
std::string answer_to(const Endure& run, const Endure::Packet& packet, const std::function<Copy(std::int16_t)>& copy) {
    std::string value;
    for (const protocol::ObserveKey& entry : run.entries(packet)) {
        const Copy is = copy(packet.server);
        char head[4], tail[8];
        protocol::store_be16(head, entry.vbucket);
        protocol::store_be16(head + 2, static_cast<std::uint16_t>(entry.key.size()));
        protocol::store_be64(tail, is.cas);
        value.append(head, 4).append(entry.key).append(1, static_cast<char>(is.state)).append(tail, 8);
    }
    return value;
}

/// Three nodes, two replicas, one key in vbucket 0: active on 0, replicas on 1 and 2.
struct One {
    explicit One(Endure::Options options, std::uint64_t cas = 7, std::optional<std::uint64_t> seqno = {},
                 ScriptMap first = ScriptMap::replicated({"n1", "n2", "n3"}, 2))
        : script(std::move(first)), map(parsed(script)), run(with_deadline(options)) {
        Endure::Key key;
        key.name = "key";
        key.cas = cas;
        if (seqno) key.token = MutationToken{.vbucket_uuid = history, .seqno = *seqno, .vbucket = 0};
        run.add(key);
        run.begin(*map);
    }
    static Endure::Options with_deadline(Endure::Options options) {
        if (options.deadline == TimePoint{}) options.deadline = begin + 5s;
        return options;
    }
    [[nodiscard]] const Endure::Key& key() const { return run.keys().front(); }
    [[nodiscard]] std::optional<errc> outcome() const { return key().outcome; }
    std::vector<Endure::Packet> ask() { return run.ask(*map, now); }
    /// Asks, and gives every node's answer.
    void sweep(const std::function<Copy(std::int16_t)>& copy) {
        for (const auto& packet : ask()) CHECK(run.answered(packet, answer_to(run, packet, copy), now));
    }
    void sweep(std::vector<Copy> copies) {
        sweep([copies](std::int16_t server) { return copies.at(static_cast<std::size_t>(server)); });
    }
    struct At {
        std::uint64_t persisted, current;
        std::optional<std::uint64_t> old_history_ends{};
    };
    void sweep_seqno(std::vector<At> copies) {
        for (const auto& packet : ask()) {
            const At at = copies.at(static_cast<std::size_t>(packet.server));
            CHECK(run.answered(packet, answer(packet, at), now));
        }
    }
    static protocol::ObserveSeqnoResponse answer(const Endure::Packet& packet, const At& at) {
        protocol::ObserveSeqnoResponse r{.vbucket = packet.vbucket,
                                         .vbucket_uuid = packet.uuid,
                                         .last_persisted_seqno = at.persisted,
                                         .current_seqno = at.current};
        if (at.old_history_ends) {
            r.vbucket_uuid = 0xdef;
            r.failover = {packet.uuid, *at.old_history_ends};
        }
        return r;
    }
    void change(const std::function<void(ScriptMap&)>& by) {
        by(script);
        ++script.rev;
        map = parsed(script);
    }

    ScriptMap script;
    Map map;
    Endure run;
    TimePoint now = begin;
};

constexpr Copy found{ObserveState::found, 7}, persisted{ObserveState::persisted, 7}, missing{},
    deleted{ObserveState::logically_deleted, 9}, other{ObserveState::persisted, 5};

}  // namespace

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
