// Multi operations over the nodes of a cluster: where entries go, what one node's trouble does to the whole.

#include "tests/unit/engine/cluster_fixture.hpp"

#include <chaise/multi_operations.hpp>

#include <catch2/catch.hpp>

#include <map>
#include <optional>
#include <string>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Opcode;
using Hosts = std::vector<std::string>;

namespace {

struct MultiCluster : ClusterFixture {
    using ClusterFixture::ClusterFixture;

    void start(const std::vector<std::string>& all, QuietMultiOptions options = {.timeout = {}, .quiet = true}) {
        calls = 0;
        error = {};
        results = {};
        bucket->get_multi(all, options)
            .set_callbacks(
                [this](MultiResult<ValueResult> found) {
                    ++calls;
                    results = std::move(found);
                },
                [this](const Error& failed) {
                    ++calls;
                    error = failed;
                    results = failed.all_results<ValueResult>();
                });
    }
    [[nodiscard]] std::vector<std::string> spread(int n) const {
        std::vector<std::string> all;
        for (int i = 0; i < n; ++i) all.push_back("k" + std::to_string(i));
        return all;
    }
    void fill(const std::vector<std::string>& all) {
        for (const std::string& key : all) cluster.node(cluster.owner_of(key)).items[key] = {"value of " + key, 0, 7};
    }
    [[nodiscard]] std::size_t writes() const {
        std::size_t n = 0;
        for (const auto& link : loop.net.links) n += link->writes.size();
        return n;
    }

    unsigned calls = 0;
    Error error;
    MultiResult<ValueResult> results;
};

}  // namespace

TEST_CASE("multi: ten thousand keys over three nodes, one flush for each", "[multi]") {
    MultiCluster f;
    f.connected();
    const auto all = f.spread(10'000);
    f.fill(all);
    const std::size_t before = f.writes();
    f.start(all);
    CHECK(f.writes() == before);
    f.loop.run();
    CHECK(f.writes() == before + 3);
    CHECK(f.calls == 1);
    CHECK(f.results.all_ok());
    REQUIRE(f.results.size() == all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
        REQUIRE(f.results[i].key == all[i]);
        REQUIRE(f.results[i].result->value() == "value of " + all[i]);
    }
    for (const auto& seen : f.cluster.seen) REQUIRE(seen.node == f.cluster.owner_of(seen.key));
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("multi: before the map is there, and without one", "[multi]") {
    MultiCluster f;
    const auto all = f.spread(50);
    f.fill(all);
    f.start(all);
    f.loop.run();
    CHECK(f.calls == 1);
    CHECK(f.results.all_ok());

    MultiCluster dead;
    dead.cluster.refuse("n1");
    dead.start(all);
    dead.loop.advance(2400ms);
    CHECK(dead.calls == 0);
    dead.loop.advance(200ms);
    CHECK(dead.calls == 1);
    CHECK(dead.error == errc::timeout_before_send);
    CHECK(dead.error.context().key == "k0");
    CHECK(dead.results.errors().size() == 50);
    CHECK(dead.bucket->operations() == 0);
}

TEST_CASE("multi: one node's queue is full: nothing is sent anywhere", "[multi]") {
    MultiCluster f(ScriptMap::spread({"n1", "n2", "n3"}), "couchbase://n1", {.max_queue_operations = 4});
    f.connected();
    f.cluster.node("n2").hold = true;
    auto& other = f.get(f.cluster.key_at("n2", 0), {.quiet = true});
    f.loop.run();
    const std::size_t seen = f.cluster.seen.size();
    const std::size_t before = f.writes();
    std::vector<std::string> all;
    for (int i = 0; i < 4; ++i) {
        for (const char* host : {"n1", "n2", "n3"}) all.push_back(f.cluster.key_at(host, i));
    }
    f.start(all);
    CHECK(f.calls == 0);
    f.loop.run();
    CHECK(f.calls == 1);
    CHECK(f.error == errc::queue_full);
    CHECK(f.error.context().key == all[10]);  // the fourth for n2, which has one already
    CHECK_FALSE(f.error.may_have_happened());
    CHECK(f.results.empty());
    CHECK(f.cluster.seen.size() == seen);
    CHECK(f.writes() == before);
    CHECK(f.bucket->operations() == 1);
    f.cluster.node("n2").hold = false;
    f.cluster.answer_all();
    f.loop.run();
    CHECK(other.ok());
    f.start(all);
    f.loop.run();
    CHECK(f.calls == 1);
    CHECK(f.results.size() == 12);
}

TEST_CASE("multi: NOT_MY_VBUCKET for some of them: asked again where they are", "[multi]") {
    MultiCluster f;
    f.connected();
    const auto all = f.spread(60);
    f.fill(all);
    const std::string moved = f.cluster.key_at("n1");
    const std::string owner_before = f.cluster.owner_of(moved);
    f.start(all);
    f.cluster.publish(f.cluster.moved(moved, 2));  // the client does not know yet
    f.loop.run();
    CHECK(f.calls == 1);
    CHECK(f.results.all_ok());
    CHECK(f.cluster.node("n1").refused > 0);
    CHECK(f.results.at(moved)->value() == "value of " + moved);
    CHECK(f.cluster.path(moved) == Hosts{"n1", "n3"});
    for (std::size_t i = 0; i < all.size(); ++i) CHECK(f.results[i].key == all[i]);
}

TEST_CASE("multi: one node is silent: its entries time out, the others are there", "[multi]") {
    MultiCluster f;
    f.connected();
    const auto all = f.spread(30);
    f.fill(all);
    f.cluster.node("n2").hold = true;
    f.start(all, {.timeout = 500ms, .quiet = {}});
    f.loop.advance(499ms);
    CHECK(f.calls == 0);
    f.loop.advance(1ms);
    CHECK(f.calls == 1);
    CHECK(f.error == errc::timeout_after_send);
    for (const auto& [key, result] : f.results) {
        CHECK(result.has_value() == (f.cluster.owner_of(key) != "n2"));
        if (!result) CHECK(result.error().context().node.find("n2") != std::string::npos);
    }
    f.cluster.answer_all();
    f.loop.run();
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("multi: what has come so far is there while the rest is under way", "[multi]") {
    MultiCluster f;
    f.connected();
    const auto all = f.spread(30);
    f.fill(all);
    f.cluster.node("n2").hold = true;
    auto operation = f.bucket->get_multi(all, {.timeout = 500ms});
    CHECK(operation.so_far().empty());
    f.loop.advance(100ms);
    const MultiResult<ValueResult> some = operation.so_far();
    std::vector<std::string> there;
    for (const auto& key : all) {
        if (f.cluster.owner_of(key) != "n2") there.push_back(key);
    }
    REQUIRE(some.size() == there.size());
    REQUIRE(some.size() < all.size());
    CHECK(some.all_ok());
    for (std::size_t i = 0; i < there.size(); ++i) {
        CHECK(some[i].key == there[i]);
        CHECK(some[i].result->value() == "value of " + there[i]);
    }
    SECTION("the outcome waits for its consumer") {
        f.cluster.answer_all();
        f.loop.run();
        CHECK(operation.so_far().size() == all.size());
        std::size_t given = 0;
        operation.set_callbacks([&](const auto& results) { given = results.size(); }, [](const Error&) {});
        f.loop.run();
        CHECK(given == all.size());
        CHECK(operation.so_far().empty());
    }
    SECTION("an error waits for its consumer") {
        f.loop.advance(500ms);
        CHECK(operation.so_far().size() == all.size());
        CHECK(operation.so_far().errors().size() == all.size() - there.size());
        operation.detach();
        f.cluster.answer_all();
        f.loop.run();
    }
    SECTION("it is cancelled") {
        operation.cancel();
        CHECK(operation.so_far().errors().size() == all.size() - there.size());
        operation.detach();
        f.cluster.answer_all();
        f.loop.run();
    }
    CHECK(some.size() == there.size());  // a copy
    const AsyncResult<MultiResult<ValueResult>> none;
    CHECK(none.so_far().empty());
}

TEST_CASE("multi: stats of every node, cancelled and dropped, leave nothing behind", "[multi]") {
    ClusterFixture f;
    f.connected();
    for (auto& [host, node] : f.cluster.nodes()) node.hold = true;
    auto cancelled = f.bucket->stats();
    auto dropped = f.bucket->version();
    f.loop.run();
    cancelled.cancel();
    auto& outcome = f.track(std::move(cancelled));
    {
        auto gone = std::move(dropped);
    }
    f.loop.run();
    CHECK(outcome.failed(errc::cancelled));
    f.cluster.answer_all();
    f.loop.run();
    CHECK(f.bucket->operations() == 0);
}
