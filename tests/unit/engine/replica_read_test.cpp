// Reads from replicas: any copy, one, all of them; nodes that are dead, silent or elsewhere, and maps that change
// meanwhile.

#include "tests/unit/engine/replica_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Opcode;
using Hosts = std::vector<std::string>;

TEST_CASE("get_replica by index: that copy, and no other", "[replica]") {
    Copies f;
    f.fill();
    f.connected();
    auto& first = f.any({.index = 0});
    auto& second = f.any({.index = 1});
    CHECK(first.pending());
    f.loop.run();
    CHECK(first.ok());
    CHECK(first.value == "first");
    CHECK(first.cas == 2);
    CHECK(first.is_replica);
    CHECK(second.value == "second");
    CHECK(f.cluster.path(f.key) == Hosts{"n2", "n3"});

    // ReplicaGet.get_ix: only on replica 1
    f.cluster.node("n2").copies.clear();
    auto& gone = f.any({.index = 0});
    auto& quiet = f.any({.index = 0, .quiet = true});
    f.loop.run();
    CHECK(gone.failed(errc::document_not_found));
    CHECK(gone.error->context().operation == "get_replica");
    CHECK(gone.error->context().key == f.key);
    CHECK(gone.error->context().node == "n2:11210");
    CHECK(quiet.ok());
    CHECK(quiet.rc == errc::document_not_found);
    f.check_clean();
}

TEST_CASE("get_replica by index: no such replica, nobody has it, no replicas at all", "[replica]") {
    Copies f;
    f.fill();
    f.connected();
    auto& beyond = f.any({.index = 2});
    f.loop.run();
    CHECK(beyond.failed(errc::invalid_argument));
    CHECK(beyond.error->context().message == "there is no replica 2: the bucket has 2 of them");
    CHECK(beyond.error->context().key == f.key);

    ScriptMap map = f.cluster.map;
    ++map.rev;
    map.replicas[f.cluster.vbucket_of(f.key)][0] = -1;
    Copies gap(map);
    gap.connected();
    auto& nobody = gap.any({.index = 0});
    gap.loop.run();
    CHECK(nobody.failed(errc::document_unretrievable));
    CHECK(nobody.error->context().message == "no node has replica 0 of it");
    CHECK(gap.cluster.seen.empty());

    Copies none(ScriptMap::spread({"n1", "n2"}));
    none.fill();
    none.connected();
    auto& without = none.any({.index = 0});
    auto& any = none.any();
    none.loop.run();
    CHECK(without.failed(errc::invalid_argument));
    CHECK(any.value == "active");
    CHECK_FALSE(any.is_replica);
    none.check_clean();
}

TEST_CASE("get_replica: the first that has it wins, and the others are forgotten", "[replica]") {
    Copies f;
    f.fill();
    f.connected();
    for (const char* host : {"n1", "n2"}) f.cluster.node(host).hold = true;
    auto& any = f.any();
    f.loop.run();
    CHECK(any.ok());
    CHECK(any.value == "second");
    CHECK(any.is_replica);
    CHECK(f.bucket->operations() == 2);  // responses to come
    f.check_clean();
    CHECK(any.calls == 1);
}

TEST_CASE("get_replica: the active node is dead", "[replica]") {
    Copies f;
    f.fill();
    f.connected();
    f.cluster.refuse("n1");
    f.cluster.reset("n1");
    f.loop.run();
    auto& any = f.any();
    auto& plain = f.get(f.key);
    f.loop.run();
    CHECK(any.ok());
    CHECK(any.is_replica);
    CHECK(plain.pending());
    f.loop.advance(2500ms);
    CHECK(plain.failed(errc::timeout_before_send));
    f.check_clean();
}

TEST_CASE("get_replica: the active copy is not there: ReplicaGet.get_kw", "[replica]") {
    Copies f;
    f.fill();
    f.cluster.node("n1").items.clear();
    f.connected();
    auto& plain = f.get(f.key);
    auto& any = f.any();
    f.loop.run();
    CHECK(plain.failed(errc::document_not_found));
    CHECK(any.ok());
    CHECK(any.is_replica);
    f.check_clean();
}

TEST_CASE("get_replica: none has it", "[replica]") {
    Copies f;
    f.connected();
    auto& any = f.any();
    auto& quiet = f.any({.quiet = true});
    auto& all = f.all();
    auto& quiet_all = f.all({.quiet = true});
    f.loop.run();
    CHECK(any.failed(errc::document_unretrievable));
    CHECK(any.error->context().operation == "get_replica");
    CHECK(any.error->context().key == f.key);
    CHECK(any.error->context().message.find("n3:11210: document_not_found") != std::string::npos);
    CHECK(quiet.ok());
    CHECK(quiet.rc == errc::document_not_found);
    CHECK(all.failed(errc::document_unretrievable));
    CHECK(all.error->context().operation == "get_all_replicas");
    CHECK(quiet_all.ok());
    CHECK(quiet_all.rc == errc::document_not_found);
    CHECK(quiet_all.values.empty());
    f.check_clean();
}

TEST_CASE("get_replica: silence is a timeout, silence and a 'no' is unretrievable", "[replica]") {
    Copies f;
    f.connected();
    for (const char* host : {"n1", "n2", "n3"}) f.cluster.node(host).hold = true;
    auto& silent = f.any({.timeout = 300ms});
    f.loop.advance(299ms);
    CHECK(silent.pending());
    f.loop.advance(1ms);
    CHECK(silent.failed(errc::timeout_after_send));
    CHECK(silent.error->context().key == f.key);
    CHECK_FALSE(silent.error->may_have_happened());

    f.cluster.node("n2").hold = false;
    auto& one = f.any({.timeout = 300ms, .quiet = true});
    f.loop.advance(300ms);
    CHECK(one.failed(errc::document_unretrievable));  // not quiet: two have not said that it is not there
    f.check_clean();
}

TEST_CASE("get_all_replicas: each copy, in whatever order", "[replica]") {
    Copies f;
    f.fill();
    f.connected();
    auto& all = f.all();
    f.loop.run();
    CHECK(all.ok());
    CHECK(all.values == std::vector<std::string>{"active", "first*", "second*"});
    CHECK(all.cas == 3);

    SECTION("one is not there") {
        f.cluster.node("n2").copies.clear();
        auto& two = f.all();
        f.loop.run();
        CHECK(two.values == std::vector<std::string>{"active", "second*"});
    }
    SECTION("one is silent: what there is, at the deadline") {
        f.cluster.node("n1").hold = true;
        auto& two = f.all({.timeout = 200ms});
        f.loop.advance(199ms);
        CHECK(two.pending());
        f.loop.advance(1ms);
        CHECK(two.values == std::vector<std::string>{"first*", "second*"});
        CHECK(two.cas == 0);
    }
    SECTION("one is dead") {
        f.cluster.refuse("n3");
        f.cluster.reset("n3");
        f.loop.run();
        auto& two = f.all({.timeout = 200ms});
        f.loop.advance(200ms);
        CHECK(two.values == std::vector<std::string>{"active", "first*"});
    }
    f.check_clean();
}

TEST_CASE("get_replica: NOT_MY_VBUCKET leads to where the replica is now", "[replica]") {
    Copies f;
    f.fill();
    f.connected();
    ScriptMap next = f.cluster.map;
    ++next.rev;
    next.replicas[f.cluster.vbucket_of(f.key)] = {2, 1};  // they change places
    f.cluster.publish(next);
    f.fill();
    auto& first = f.any({.index = 0});
    SECTION("the answer brings the map") {
        f.loop.run();
        CHECK(first.value == "first");  // both nodes have both, as it were: n2 still holds a replica
    }
    SECTION("the old holder has none any more") {
        ScriptMap two = next;
        ++two.rev;
        two.replicas[f.cluster.vbucket_of(f.key)] = {2, -1};
        f.cluster.publish(two);
        f.cluster.node("n3").copies[f.key] = {"moved", 0, 9};
        const bool brings_the_map = GENERATE(true, false);
        f.cluster.node("n2").body = brings_the_map;
        f.loop.advance(50ms);
        CHECK(first.value == "moved");
        CHECK(f.cluster.path(f.key).front() == "n2");
        CHECK(f.cluster.path(f.key).back() == "n3");
        CHECK(f.cluster.node("n2").refused >= 1);
    }
    f.check_clean();
}

TEST_CASE("get_replica: a replica that no node has any more", "[replica]") {
    Copies f;
    f.fill();
    f.connected();
    ScriptMap next = f.cluster.map;
    ++next.rev;
    next.replicas[f.cluster.vbucket_of(f.key)] = {-1, -1};
    f.cluster.publish(next);
    auto& first = f.any({.index = 0});
    auto& all = f.all();
    f.cluster.node("n1").items[f.key] = {"active", 0, 3};
    f.loop.run();
    CHECK(first.failed(errc::document_unretrievable));
    CHECK(first.at == f.loop.now());  // at once
    CHECK(first.error->context().message.find("no node has replica 0 of it any more") != std::string::npos);
    CHECK(all.values == std::vector<std::string>{"active"});
    f.check_clean();
}

TEST_CASE("get_replica: the map changes while it waits for a dead replica", "[replica]") {
    Copies f;
    f.fill();
    f.connected();
    f.cluster.refuse("n2");
    f.cluster.reset("n2");
    f.loop.run();
    auto& first = f.any({.index = 0});
    f.loop.advance(100ms);
    CHECK(first.pending());
    ScriptMap next = f.cluster.map;
    ++next.rev;
    SECTION("the node is out of the map") {
        for (auto& row : next.replicas) std::replace(row.begin(), row.end(), 1, -1);
        for (int& server : next.active) server = server == 1 ? 2 : server;
        next.replicas[f.cluster.vbucket_of(f.key)] = {2, -1};
    }
    SECTION("it stays, but another has the replica") { next.replicas[f.cluster.vbucket_of(f.key)] = {2, -1}; }
    f.cluster.publish(next);
    f.cluster.node("n3").copies[f.key] = {"moved", 0, 9};
    f.cluster.push("n1", false);
    f.loop.run();
    CHECK(first.ok());
    CHECK(first.value == "moved");
    f.check_clean();
}

TEST_CASE("get_replica: before the map is there, and without one", "[replica]") {
    Copies f;
    f.fill();
    auto& any = f.any();
    auto& first = f.any({.index = 0});
    auto& beyond = f.any({.index = 7});
    f.loop.run();
    CHECK(any.ok());
    CHECK(first.value == "first");
    CHECK(beyond.failed(errc::invalid_argument));
    f.check_clean();

    Copies dead;
    dead.cluster.refuse("n1");
    dead.cluster.refuse("n2");
    auto& never = dead.any();
    dead.loop.advance(2499ms);
    CHECK(never.pending());
    dead.loop.advance(1ms);
    CHECK(never.failed(errc::timeout_before_send));
    CHECK(never.error->context().key == dead.key);
    CHECK(dead.bucket->operations() == 0);
}

TEST_CASE("get_replica: the preferred server group", "[replica]") {
    ScriptMap map = ScriptMap::replicated({"n1", "n2", "n3"}, 2);
    map.groups = {"east", "west", "west"};
    const auto in_group = ReadPreference::selected_server_group;
    const auto or_all = ReadPreference::selected_server_group_or_all_available;
    SECTION("only nodes of the group are asked") {
        Copies f(map, {.preferred_server_group = "west"});
        f.fill();
        f.connected();
        auto& any = f.any({.read_preference = in_group});
        auto& all = f.all({.read_preference = in_group});
        f.loop.run();
        CHECK(any.is_replica);
        CHECK(all.values == std::vector<std::string>{"first*", "second*"});
        for (const auto& one : f.cluster.seen) CHECK(one.node != "n1");
        f.check_clean();
    }
    SECTION("the active copy may be the one") {
        Copies f(map, {.preferred_server_group = "east"});
        f.fill();
        f.connected();
        auto& any = f.any({.read_preference = in_group});
        f.loop.run();
        CHECK(any.value == "active");
        CHECK(f.cluster.seen.size() == 1);
    }
    SECTION("nobody is in it") {
        Copies f(map, {.preferred_server_group = "north"});
        f.fill();
        f.connected();
        auto& any = f.any({.read_preference = in_group});
        auto& all = f.all({.read_preference = or_all});
        f.loop.run();
        CHECK(any.failed(errc::document_unretrievable));
        CHECK(any.error->context().message == "no node of server group \"north\" has a copy of it");
        CHECK(all.values.size() == 3);
    }
    SECTION("what goes together") {
        Copies f(map);
        f.connected();
        auto& no_group = f.any({.read_preference = in_group});
        auto& both = f.any({.index = 0, .read_preference = in_group});
        f.loop.run();
        CHECK(no_group.failed(errc::invalid_argument));
        CHECK(both.failed(errc::invalid_argument));
        CHECK(f.cluster.seen.empty());
    }
}

TEST_CASE("get_replica_multi: each entry from its copies", "[replica]") {
    Copies f;
    f.connected();
    std::vector<std::string> all;
    for (int i = 0; i < 60; ++i) {
        all.push_back("k" + std::to_string(i));
        f.cluster.node(f.cluster.replica_of(all.back(), 1)).copies[all.back()] = {"copy of " + all.back(), 0, 5};
    }
    unsigned calls = 0;
    f.bucket->get_replica_multi(all, {.index = 1})
        .set_callbacks(
            [&](MultiResult<ReplicaResult> found) {
                ++calls;
                CHECK(found.all_ok());
                REQUIRE(found.size() == all.size());
                for (std::size_t i = 0; i < all.size(); ++i) {
                    CHECK(found[i].result->value() == "copy of " + all[i]);
                    CHECK(found[i].result->is_replica());
                }
            },
            [&](const Error& error) { FAIL(error.message()); });
    f.bucket->get_replica_multi(keys("k1", "none"))
        .set_callbacks([&](MultiResult<ReplicaResult>) { FAIL("one of them is nowhere"); },
                       [&](const Error& error) {
                           ++calls;
                           CHECK(error == errc::document_unretrievable);
                           CHECK(error.context().operation == "get_replica_multi");
                           CHECK(error.context().key == "none");
                           CHECK(error.all_results<ReplicaResult>().at("k1")->value() == "copy of k1");
                       });
    f.bucket->get_replica_multi(keys("k1", "none"), {.quiet = true})
        .set_callbacks(
            [&](MultiResult<ReplicaResult> found) {
                ++calls;
                CHECK_FALSE(found.all_ok());
                CHECK(found[0].success());
                CHECK_FALSE(found[1].success());
            },
            [&](const Error& error) { FAIL(error.message()); });
    f.bucket->get_replica_multi(keys("k1", ""))
        .set_callbacks([&](MultiResult<ReplicaResult>) { FAIL("an empty key"); },
                       [&](const Error& error) {
                           ++calls;
                           CHECK(error == errc::invalid_argument);
                       });
    f.loop.run();
    CHECK(calls == 4);
    f.check_clean();

    for (auto& [host, node] : f.cluster.nodes()) node.hold = true;
    auto held = f.bucket->get_replica_multi(keys("k1", "k2"));
    auto dropped = std::make_optional(f.bucket->get_replica_multi(keys("k1", "k2")));
    f.loop.run();
    held.cancel();
    dropped.reset();
    held.set_callbacks([&](MultiResult<ReplicaResult>) { FAIL("cancelled"); },
                       [&](const Error& error) {
                           ++calls;
                           CHECK(error == errc::cancelled);
                       });
    f.loop.run();
    CHECK(calls == 5);
    {
        auto gone = std::move(held);
    }
    f.check_clean();
}
