// observe: the pure part, and operations on a scripted cluster.

#include "durability/observe_round.hpp"
#include "protocol/requests.hpp"
#include "tests/unit/engine/cluster_fixture.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using detail::ObserveRound;
using protocol::ObserveState;
using protocol::Opcode;

namespace {

std::shared_ptr<const protocol::ClusterMap> parsed(const ScriptMap& map) {
    auto result = protocol::parse_cluster_map(map.text(), "n1");
    REQUIRE(result.map);
    return result.map;
}

std::string answer_to(const ObserveRound& round, const ObserveRound::Packet& packet, char state, std::uint64_t cas) {
    std::string value;
    for (const protocol::ObserveKey& entry : round.entries(packet)) {
        char head[4], tail[8];
        protocol::store_be16(head, entry.vbucket);
        protocol::store_be16(head + 2, static_cast<std::uint16_t>(entry.key.size()));
        protocol::store_be64(tail, cas);
        value.append(head, 4).append(entry.key).append(1, state).append(tail, 8);
    }
    return value;
}

/// n1, n2, n3, each vbucket with a replica on the next.
struct Observed : ClusterFixture {
    explicit Observed(ScriptMap map = ScriptMap::replicated({"n1", "n2", "n3"}, 1))
        : ClusterFixture(std::move(map), "couchbase://n1,n2") {
        key = cluster.key_at("n1");
    }
    struct Book : Outcome {
        std::vector<ObserveInfo> copies;
    };
    Book& observe(ObserveOptions options = {}) {
        books.push_back(std::make_unique<Book>());
        Book& book = *books.back();
        bucket->observe(key, options)
            .set_callbacks(
                [this, &book](ObserveResult found) {
                    note(book);
                    book.cas = found.cas();
                    book.copies = found.copies();
                },
                [this, &book](const Error& error) {
                    note(book);
                    book.error = error;
                });
        return book;
    }
    struct Many : Outcome {
        MultiResult<ObserveResult> all;
    };
    Many& observe_all(const std::vector<std::string>& wanted, ObserveOptions options = {}) {
        lists.push_back(std::make_unique<Many>());
        Many& book = *lists.back();
        bucket->observe_multi(wanted, options)
            .set_callbacks(
                [this, &book](MultiResult<ObserveResult> found) {
                    note(book);
                    book.all = std::move(found);
                },
                [this, &book](const Error& error) {
                    note(book);
                    book.error = error;
                    book.all = error.all_results<ObserveResult>();
                });
        return book;
    }
    [[nodiscard]] std::vector<std::string> many(int n) {
        std::vector<std::string> all;
        for (int i = 0; i < n; ++i) {
            all.push_back("k" + std::to_string(i));
            cluster.node(cluster.owner_of(all.back())).items[all.back()] = {"v", 0, 10u + static_cast<unsigned>(i)};
        }
        return all;
    }

    std::string key;
    std::vector<std::unique_ptr<Book>> books;
    std::vector<std::unique_ptr<Many>> lists;
};

}  // namespace

TEST_CASE("a round of observing: a packet for each node, of what has no answer yet", "[observe]") {
    ScriptMap script = ScriptMap::replicated({"n1", "n2", "n3"}, 1);
    script.replicas[2] = {-1};
    const auto map = parsed(script);
    ObserveRound round;
    for (std::uint16_t vbucket = 0; vbucket < 4; ++vbucket) {
        const std::size_t key = round.add("key" + std::to_string(vbucket), vbucket);
        round.want_all(key, *map);
    }
    CHECK(round.keys()[2].copies.size() == 1);  // no replica there
    CHECK(round.keys()[3].copies.size() == 2);
    auto packets = round.packets(*map);
    REQUIRE(packets.size() == 3);
    CHECK(packets[0].server == 0);
    CHECK(packets[0].targets.size() == 2);  // active of 0 and 3
    CHECK(packets[1].targets.size() == 3);  // replicas of 0 and 3, active of 1
    CHECK(packets[2].targets.size() == 2);  // replica of 1, active of 2

    CHECK(round.answer(packets[1], answer_to(round, packets[1], 1, 7)));
    CHECK(round.keys()[1].copies[0].answered);
    CHECK(round.keys()[0].copies[1].state == ObserveState::persisted);
    CHECK(round.keys()[0].copies[1].cas == 7);
    CHECK(round.keys()[0].copies[1].copy == 1);
    CHECK(round.packets(*map).size() == 2);
    CHECK(round.packets(*map, 1).size() == 4);

    // What is not an answer to it changes nothing.
    const std::string right = answer_to(round, packets[0], 0, 9);
    std::string other_key = right;
    other_key[4] = 'x';
    std::string odd_state = right;
    odd_state[4 + 4] = 0x55;
    for (const std::string& wrong :
         {std::string(), right.substr(0, right.size() - 1), right + right, right + "x", other_key, odd_state}) {
        CHECK_FALSE(round.answer(packets[0], wrong));
        CHECK_FALSE(round.keys()[0].copies[0].answered);
    }
    CHECK(round.answer(packets[0], right));

    // Nobody has vbucket 2 now: asked about in a packet for nobody.
    script.active[2] = -1;
    const auto later = parsed(script);
    packets = round.packets(*later);
    REQUIRE(packets.size() == 2);
    CHECK(packets[1].server == protocol::ClusterMap::nobody);

    CHECK(detail::the_observed_key(answer_to(round, {0, {{0, 0}}}, 1, 1).substr(0, 8)) == "key0");
    CHECK(detail::the_observed_key(right).empty());
    CHECK(detail::the_observed_key("xy").empty());
}

TEST_CASE("observe: every copy, the active one first", "[observe]") {
    Observed f;
    f.cluster.node("n1").items[f.key] = {"v", 0, 5, 0, ObserveState::found};
    f.cluster.node("n2").copies[f.key] = {"v", 0, 4, 0, ObserveState::persisted};
    f.connected();
    auto& all = f.observe();
    CHECK(all.pending());
    f.loop.run();
    CHECK(all.ok());
    CHECK(all.cas == 5);
    REQUIRE(all.copies.size() == 2);
    CHECK(all.copies[0].from_master);
    CHECK(all.copies[0].status == ObserveStatus::found);
    CHECK_FALSE(all.copies[1].from_master);
    CHECK(all.copies[1].copy == 1);
    CHECK(all.copies[1].status == ObserveStatus::persisted);
    CHECK(all.copies[1].cas == 4);
    for (const auto& one : f.cluster.seen) {
        CHECK(one.opcode == Opcode::observe);
        CHECK(one.key.empty());
        CHECK(one.vbucket == 0);  // of the header
    }
    // Observe.master
    auto& master = f.observe({.master_only = true});
    f.cluster.node("n1").items[f.key].state = ObserveState::logically_deleted;
    f.loop.run();
    REQUIRE(master.copies.size() == 1);
    CHECK(master.copies[0].status == ObserveStatus::logically_deleted);
    // A document that is not there is a success.
    f.cluster.node("n1").items.clear();
    f.cluster.node("n2").copies.clear();
    auto& gone = f.observe();
    f.loop.run();
    CHECK(gone.ok());
    CHECK(gone.copies[0].status == ObserveStatus::not_found);
    CHECK(gone.cas == 0);
    f.check_clean();
}

TEST_CASE("observe: a copy that does not answer says why, and none is an error", "[observe]") {
    Observed f;
    f.cluster.node("n1").items[f.key] = {"v", 0, 5};
    f.connected();
    SECTION("a silent replica") {
        f.cluster.node("n2").hold = true;
        auto& one = f.observe({.timeout = 100ms});
        f.loop.advance(99ms);
        CHECK(one.pending());
        f.loop.advance(1ms);
        CHECK(one.ok());
        CHECK(one.copies[0].rc == errc::success);
        CHECK(one.copies[1].rc == errc::timeout_after_send);
        CHECK(one.cas == 5);
    }
    SECTION("a dead active node") {
        f.cluster.node("n2").copies[f.key] = {"v", 0, 5};
        f.cluster.refuse("n1");
        f.cluster.reset("n1");
        f.loop.run();
        auto& one = f.observe({.timeout = 100ms});
        f.loop.advance(100ms);
        CHECK(one.ok());
        CHECK(one.copies[0].rc == errc::timeout_before_send);
        CHECK(one.copies[1].status == ObserveStatus::persisted);
        CHECK(one.cas == 0);
    }
    SECTION("both") {
        f.cluster.node("n1").hold = f.cluster.node("n2").hold = true;
        auto& none = f.observe({.timeout = 100ms});
        f.loop.advance(100ms);
        CHECK(none.failed(errc::timeout_after_send));
        CHECK(none.error->context().operation == "observe");
        CHECK(none.error->context().key == f.key);
    }
    SECTION("nonsense") {
        f.cluster.node("n1").garbled = f.cluster.node("n2").garbled = true;
        auto& none = f.observe();
        f.loop.run();
        CHECK(none.failed(errc::protocol_error));
    }
    f.check_clean();
}

TEST_CASE("observe: NOT_MY_VBUCKET leads to where the copy is now", "[observe]") {
    Observed f;
    f.connected();
    ScriptMap next = f.cluster.moved(f.key, 2);
    f.cluster.publish(next);
    f.cluster.node("n3").items[f.key] = {"v", 0, 8};
    f.cluster.node("n2").copies[f.key] = {"v", 0, 6};
    auto& one = f.observe();
    f.loop.advance(100ms);
    CHECK(one.ok());
    CHECK(one.cas == 8);
    REQUIRE(one.copies.size() == 2);
    CHECK(one.copies[1].rc == errc::success);
    CHECK(one.copies[1].cas == 6);
    CHECK(f.cluster.node("n1").refused == 1);
    f.check_clean();
}

TEST_CASE("observe_multi: one packet for each node", "[observe]") {
    Observed f;
    f.connected();
    auto all = f.many(60);
    all.push_back(all.front());  // twice
    all.push_back("missing");
    auto& many = f.observe_all(all);
    f.loop.run();
    CHECK(many.ok());
    REQUIRE(many.all.size() == 62);
    CHECK(many.all.all_ok());
    for (std::size_t i = 0; i < 60; ++i) {
        CHECK(many.all[i].key == all[i]);
        CHECK(many.all[i].result->cas() == 10 + i);
        CHECK(many.all[i].result->copies().size() == 2);
        CHECK(many.all[i].result->copies()[1].status == ObserveStatus::not_found);
    }
    CHECK(many.all[60].result->cas() == 10);
    CHECK(many.all[61].result->master()->status == ObserveStatus::not_found);
    CHECK(f.cluster.seen.size() == 3);

    SECTION("some vbuckets have moved: these are asked about once more") {
        f.cluster.publish(f.cluster.moved(f.key, 2));
        auto& again = f.observe_all(all, {.master_only = true});
        f.loop.advance(500ms);
        CHECK(again.ok());
        CHECK(again.all.all_ok());
        for (std::size_t i = 0; i < 60; ++i) CHECK(again.all[i].result->cas() == 10 + i);
        CHECK(f.cluster.node("n1").refused == 1);  // the packet as a whole; it brought the map
        CHECK(f.cluster.seen.size() > 3 + 3 + 20);
    }
    SECTION("a node is silent") {
        f.cluster.node("n2").hold = true;
        auto& partly = f.observe_all(all, {.timeout = 100ms});
        f.loop.advance(100ms);
        CHECK(partly.ok());  // of each key a copy has answered
        for (const auto& [name, result] : partly.all) {
            const bool active = f.cluster.owner_of(name) == "n2", replica = f.cluster.replica_of(name) == "n2";
            CHECK((result->copies()[0].rc == errc::timeout_after_send) == active);
            CHECK((result->copies()[1].rc == errc::timeout_after_send) == replica);
        }
        auto& masters = f.observe_all(all, {.master_only = true, .timeout = 100ms});
        f.loop.advance(100ms);
        CHECK(masters.failed(errc::timeout_after_send));
        CHECK(masters.error->context().operation == "observe_multi");
        CHECK(f.cluster.owner_of(masters.error->context().key) == "n2");
        CHECK(masters.all.size() == 62);
    }
    SECTION("the node leaves the cluster before it can be asked") {
        f.cluster.refuse("n3");
        f.cluster.reset("n3");
        f.loop.run();
        auto& waits = f.observe_all(all, {.master_only = true});
        f.loop.advance(100ms);
        CHECK(waits.pending());
        ScriptMap two = f.cluster.map;
        ++two.rev;
        for (int& server : two.active) server = server == 2 ? 0 : server;
        for (auto& row : two.replicas) row = {-1};
        two.hosts.pop_back();
        f.cluster.publish(two);
        f.cluster.push("n1", false);
        f.loop.run();
        CHECK(waits.ok());
        CHECK(waits.all.all_ok());
        for (std::size_t i = 0; i < 60; ++i) CHECK(waits.all[i].result->cas() == 10 + i);
    }
    f.check_clean();
}

TEST_CASE("observe_multi: refused, cancelled, closed, destroyed", "[observe]") {
    Observed f;
    f.connected();
    auto& none = f.observe_all({});
    auto& bad = f.observe_all({"good", ""});
    f.loop.run();
    CHECK(none.failed(errc::invalid_argument));
    CHECK(bad.failed(errc::invalid_argument));
    CHECK(bad.error->context().operation == "observe_multi");
    CHECK(f.cluster.seen.empty());

    const auto all = f.many(30);
    for (auto& [host, node] : f.cluster.nodes()) node.hold = true;
    auto cancelled = f.bucket->observe_multi(all);
    auto one = f.bucket->observe(all[0]);
    auto early = f.bucket->observe_multi(all);
    early.cancel();
    auto dropped = std::make_optional(f.bucket->observe_multi(all));
    f.loop.run();
    for (std::size_t n = 0; n < f.cluster.seen.size(); ++n) {
        if (f.cluster.seen[n].node == "n1") f.cluster.answer(n);
    }
    f.loop.run();
    cancelled.cancel();
    one.cancel();
    dropped.reset();
    std::optional<Error> of_many, of_one, of_early;
    cancelled.set_callbacks([](auto) { FAIL("cancelled"); }, [&](const Error& error) { of_many = error; });
    one.set_callbacks([](auto) { FAIL("cancelled"); }, [&](const Error& error) { of_one = error; });
    early.set_callbacks([](auto) { FAIL("cancelled"); }, [&](const Error& error) { of_early = error; });
    f.loop.run();
    REQUIRE(of_many);
    CHECK(*of_many == errc::cancelled);
    const auto results = of_many->all_results<ObserveResult>();
    REQUIRE(results.size() == 30);
    for (const auto& [name, result] : results) {
        const bool asked_n1 = f.cluster.owner_of(name) == "n1" || f.cluster.replica_of(name) == "n1";
        CHECK(result.has_value() == asked_n1);
    }
    CHECK(of_one.value() == errc::cancelled);
    CHECK(of_early.value() == errc::cancelled);
    {
        auto gone = std::move(cancelled);
        auto gone_one = std::move(one);
        auto gone_early = std::move(early);
    }
    f.check_clean();

    for (const bool destroyed : {false, true}) {
        Observed other;
        other.connected();
        for (auto& [host, node] : other.cluster.nodes()) node.hold = true;
        auto& held = other.observe_all(all);
        auto& single = other.observe();
        other.loop.run();
        if (destroyed) {
            other.bucket.reset();
        } else {
            other.bucket->close().detach();
        }
        other.loop.run();
        CHECK(held.failed(errc::shutdown));
        CHECK(single.failed(errc::shutdown));
    }
}
