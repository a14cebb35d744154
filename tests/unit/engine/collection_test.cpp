// Collections against a scripted cluster: how ids are found, lost and found again.
#include "tests/unit/engine/cluster_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace chaise;
using namespace std::chrono_literals;
using testing::ClusterFixture;
using testing::Outcome;
using testing::ScriptManifest;
using testing::ScriptMap;
using Seen = testing::ScriptCluster::Seen;
using protocol::Opcode;

struct CollectionFixture : ClusterFixture {
    explicit CollectionFixture(std::string_view where = "couchbase://n1", BucketOptions options = {},
                               std::vector<std::string> nodes = {"n1", "n2", "n3"})
        : ClusterFixture(ScriptMap::spread(std::move(nodes)), where, options) {
        cluster.manifest = {.uid = 7, .ids = {{"shop.carts", 8}, {"shop.orders", 0x4321}, {"_default.people", 9}}};
    }
    AsyncCollection carts() { return bucket->scope("shop").collection("carts"); }
    std::size_t asked() const {
        return static_cast<std::size_t>(std::count_if(cluster.seen.begin(), cluster.seen.end(), [](const Seen& one) {
            return one.opcode == Opcode::collections_get_id;
        }));
    }
    /// The collections of the requests with this key, in order; -1: none was said.
    std::vector<long> ids(std::string_view key) const {
        std::vector<long> out;
        for (const Seen& one : cluster.seen) {
            if (one.key == key) out.push_back(one.collection ? static_cast<long>(*one.collection) : -1);
        }
        return out;
    }
};

using Ids = std::vector<long>;

}  // namespace

TEST_CASE("a collection's id is asked for once, by the first operation", "[collections]") {
    CollectionFixture f;
    f.connected();
    AsyncCollection carts = f.carts();
    CHECK(carts.name() == "carts");
    CHECK(carts.scope_name() == "shop");
    CHECK(f.asked() == 0);
    std::vector<Outcome*> all;
    for (int i = 0; i < 50; ++i) all.push_back(&f.track(carts.upsert("k" + std::to_string(i), "v")));
    f.loop.run();
    for (const Outcome* one : all) CHECK(one->ok());
    CHECK(f.asked() == 1);
    CHECK(f.ids("k7") == Ids{8});
    AsyncCollection again = f.carts();
    const Outcome& found = f.track(again.get("k7"));
    const Outcome& elsewhere = f.get("k7");
    f.loop.run();
    CHECK(found.value == "v");
    CHECK(elsewhere.failed(errc::document_not_found));
    CHECK(elsewhere.error->context().collection.empty());
    CHECK(f.ids("k7") == Ids{8, 8, 0});
    CHECK(f.asked() == 1);
}

TEST_CASE("operations on collections may come before there is a map", "[collections]") {
    CollectionFixture f;
    const Outcome& stored = f.track(f.bucket->scope("shop").collection("orders").upsert("k", "v"));
    const Outcome& plain = f.upsert("k", "w");
    const Outcome& in_default = f.track(f.bucket->collection("people").upsert("k", "x"));
    f.loop.run();
    CHECK(stored.ok());
    CHECK(plain.ok());
    CHECK(in_default.ok());
    CHECK(f.track(f.bucket->default_collection().get("k")).pending());
    f.loop.run();
    CHECK(f.outcomes.back()->value == "w");
    CHECK(f.asked() == 2);
    Ids ids = f.ids("k");
    std::sort(ids.begin(), ids.end());
    CHECK(ids == Ids{0, 0, 9, 0x4321});
}

TEST_CASE("a collection that nobody knows, and one that is created later", "[collections]") {
    CollectionFixture f;
    f.connected();
    AsyncCollection missing = f.bucket->scope("shop").collection("missing");
    const Outcome& first = f.track(missing.get("k"));
    const Outcome& no_scope = f.track(f.bucket->scope("nowhere").collection("carts").get("k"));
    const TimePoint start = f.loop.now();
    f.loop.run();
    REQUIRE(first.failed(errc::collection_not_found));
    CHECK(first.error->context().scope == "shop");
    CHECK(first.error->context().collection == "missing");
    CHECK(first.error->context().key == "k");
    CHECK_FALSE(first.error->may_have_happened());
    CHECK_THAT(first.error->message(), Catch::Contains("shop.missing"));
    CHECK(no_scope.failed(errc::scope_not_found));
    CHECK(first.at - start < 100ms);
    CHECK(f.asked() == 6);  // every node
    CHECK(f.ids("k").empty());
    f.cluster.manifest.uid = 8;
    f.cluster.manifest.ids["shop.missing"] = 20;
    const Outcome& later = f.track(missing.upsert("k", "v"));
    f.loop.run();
    CHECK(later.ok());
    CHECK(f.ids("k") == Ids{20});
}

TEST_CASE("what a node denies that is behind the others is not believed", "[collections]") {
    CollectionFixture f;
    f.connected();
    const ScriptManifest old = f.cluster.manifest;
    f.cluster.manifest.uid = 8;
    f.cluster.manifest.ids["shop.fresh"] = 20;
    SECTION("while others know it") {
        const std::string key = f.cluster.key_at("n3");
        f.cluster.node("n1").manifest = old;
        f.cluster.node("n2").manifest = old;
        const Outcome& stored = f.track(f.bucket->scope("shop").collection("fresh").upsert(key, "v"));
        f.loop.advance(1s);
        CHECK(stored.ok());
    }
    SECTION("while its documents are asked of it") {
        const std::string key = f.cluster.key_at("n2");
        f.cluster.node("n2").manifest = old;
        const Outcome& stored =
            f.track(f.bucket->scope("shop").collection("fresh").upsert(key, "v", {.timeout = 2500ms}));
        f.loop.advance(300ms);
        CHECK(stored.pending());
        CHECK(f.ids(key).size() > 3);
        CHECK(f.ids(key).size() < 20);
        f.cluster.node("n2").manifest.reset();
        f.loop.advance(1500ms);
        CHECK(stored.ok());
        CHECK(f.asked() <= 3);
    }
    SECTION("for ever") {
        for (const char* host : {"n1", "n2", "n3"}) f.cluster.node(host).manifest = old;
        ScriptMap next = f.cluster.map;
        ++next.rev;
        next.manifest_uid = 8;
        f.cluster.publish(next);
        f.cluster.push("n1", false);
        f.loop.run();
        const Outcome& waits =
            f.track(f.bucket->scope("shop").collection("fresh").upsert("k", "v", {.timeout = 400ms}));
        const TimePoint start = f.loop.now();
        f.loop.advance(1s);
        REQUIRE(waits.failed(errc::timeout_before_send));
        CHECK(waits.at - start == 400ms);
        CHECK_THAT(waits.error->message(), Catch::Contains("shop.fresh"));
        CHECK_THAT(waits.error->message(), Catch::Contains("older manifest"));
        CHECK(f.ids("k").empty());
    }
}

TEST_CASE("what was denied before an operation began is not its answer", "[collections]") {
    CollectionFixture f("couchbase://n1", {}, {"n1"});
    f.connected();
    AsyncCollection fresh = f.bucket->scope("shop").collection("fresh");
    f.cluster.node("n1").hold = true;
    const Outcome& before = f.track(fresh.upsert("a", "v"));
    const Outcome& many_before = f.track(fresh.endure("a"));
    f.loop.advance(10ms);
    f.cluster.node("n1").hold = false;
    f.cluster.answer_all();  // and the answer is on its way
    f.cluster.manifest.uid = 8;
    f.cluster.manifest.ids["shop.fresh"] = 20;
    const Outcome& after = f.track(fresh.upsert("b", "v"));
    f.loop.run();
    CHECK(before.failed(errc::collection_not_found));
    CHECK(many_before.failed(errc::collection_not_found));
    CHECK(after.ok());
    CHECK(f.ids("b") == Ids{20});
    CHECK(f.asked() == 2);
}

TEST_CASE("a collection dropped and made anew has another id, and operations find it", "[collections]") {
    CollectionFixture f;
    f.connected();
    AsyncCollection carts = f.carts();
    for (int i = 0; i < 30; ++i) f.track(carts.upsert("k" + std::to_string(i), "v"));
    f.loop.run();
    f.cluster.manifest.uid = 9;
    f.cluster.manifest.ids["shop.carts"] = 0x123456;
    const std::size_t before = f.asked();
    std::vector<Outcome*> all;
    for (int i = 0; i < 30; ++i) all.push_back(&f.track(carts.counter("n" + std::to_string(i), {.initial = 1})));
    f.loop.advance(10ms);
    for (const Outcome* one : all) CHECK(one->ok());
    CHECK(f.asked() == before + 1);
    for (int i = 0; i < 30; ++i) {
        CHECK(f.ids("n" + std::to_string(i)) == Ids{8, 0x123456});
        CHECK(f.cluster.executed("n" + std::to_string(i)) == 1);
    }
    f.cluster.manifest.uid = 10;
    f.cluster.manifest.ids.erase("shop.carts");
    const Outcome& gone = f.track(carts.get("k1"));
    f.loop.advance(1s);
    CHECK(gone.failed(errc::collection_not_found));
}

TEST_CASE("an id that a node refuses again and again is not asked for without a pause", "[collections]") {
    CollectionFixture f;
    f.connected();
    const std::string key = f.cluster.key_at("n2");
    f.cluster.node("n2").manifest = ScriptManifest{.uid = 7};  // as new as the others', and does not have it
    const Outcome& never = f.track(f.carts().upsert(key, "v", {.timeout = 2s}));
    f.loop.advance(3s);
    CHECK(never.calls == 1);
    CHECK(never.error);
    CHECK(f.asked() < 30);
    CHECK(f.ids(key).size() < 20);
}

TEST_CASE("an operation that waits for an id can time out, be cancelled and end with the bucket", "[collections]") {
    CollectionFixture f;
    f.connected();
    for (const char* host : {"n1", "n2", "n3"}) f.cluster.node(host).hold = true;
    AsyncCollection carts = f.carts();
    const TimePoint start = f.loop.now();
    const Outcome& expires = f.track(carts.get("a", {.timeout = 200ms}));
    auto cancelled = carts.get("b");
    Outcome& of_cancelled = f.track(std::move(cancelled));
    auto operation = carts.get("c");
    std::optional<errc> of_c;
    operation.set_callbacks([](ValueResult) {}, [&](const Error& error) { of_c = error.code(); });
    operation.cancel();
    {
        auto dropped = carts.get("d");
        dropped.detach();
    }
    f.loop.advance(300ms);
    REQUIRE(expires.failed(errc::timeout_before_send));
    CHECK(expires.at - start == 200ms);
    CHECK_THAT(expires.error->message(), Catch::Contains("shop.carts"));
    CHECK(of_c == errc::cancelled);
    CHECK(of_cancelled.pending());
    SECTION("the bucket closes") {
        f.bucket.reset();
        f.loop.run();
        CHECK(of_cancelled.failed(errc::shutdown));
        const Outcome& late = f.track(carts.get("e"));
        f.loop.run();
        CHECK(late.failed(errc::shutdown));
    }
    SECTION("the node answers at last") {
        for (const char* host : {"n1", "n2", "n3"}) f.cluster.node(host).hold = false;
        f.cluster.answer_all();
        f.loop.run();
        CHECK(of_cancelled.failed(errc::document_not_found));
        CHECK(f.ids("c").empty());
        CHECK(f.ids("a").empty());
    }
    SECTION("another node is asked") {
        for (const char* host : {"n1", "n2", "n3"}) f.cluster.node(host).hold = false;
        f.loop.advance(2s);
        CHECK(of_cancelled.failed(errc::document_not_found));
    }
}

TEST_CASE("an old cluster without collections", "[collections]") {
    CollectionFixture f;
    f.cluster.denied = {protocol::Feature::collections};
    const Outcome& early = f.upsert("k", "v");
    const Outcome& early_named = f.track(f.carts().upsert("k", "v"));
    f.connected();
    const Outcome& stored = f.upsert("j", "v");
    const Outcome& found = f.get("k");
    const Outcome& named = f.track(f.carts().get("k"));
    f.loop.run();
    CHECK(early.ok());
    CHECK(stored.ok());
    CHECK(found.value == "v");
    CHECK(early_named.failed(errc::unsupported_operation));
    CHECK(named.failed(errc::unsupported_operation));
    CHECK(f.ids("k") == Ids{-1, -1});
    CHECK(f.asked() == 0);
}

TEST_CASE("a cluster of nodes with collections and nodes without", "[collections]") {
    CollectionFixture f;
    f.cluster.node("n2").denied = std::set{protocol::Feature::collections};
    const std::string old = f.cluster.key_at("n2"), modern = f.cluster.key_at("n3");
    // Before anything is known of the nodes, and after.
    for (int round = 0; round < 2; ++round) {
        const Outcome& a = f.upsert(old, "v");
        const Outcome& b = f.upsert(modern, "v");
        const Outcome& c = f.track(f.carts().upsert(old, "v"));
        const Outcome& d = f.track(f.carts().upsert(modern, "v"));
        f.loop.run();
        CHECK(a.ok());
        CHECK(b.ok());
        REQUIRE(c.failed(errc::unsupported_operation));
        CHECK(c.error->context().key == old);
        CHECK(d.ok());
    }
    CHECK(f.ids(old) == Ids{-1, -1});
    Ids ids = f.ids(modern);
    std::sort(ids.begin(), ids.end());
    CHECK(ids == Ids{0, 0, 8, 8});
    // Documents that move between them.
    f.cluster.publish(f.cluster.moved(old, 2));
    const Outcome& moved = f.get(old);
    f.loop.run();
    CHECK(moved.value == "v");
    CHECK(f.cluster.path(old).back() == "n3");
    f.cluster.publish(f.cluster.moved(modern, 1));
    const Outcome& back = f.get(modern);
    const Outcome& named = f.track(f.carts().get(modern));
    f.loop.run();
    CHECK(back.value == "v");
    REQUIRE(named.failed(errc::unsupported_operation));
    CHECK(named.error->context().key == modern);
}

TEST_CASE("a node comes back with collections, or without", "[collections]") {
    CollectionFixture f;
    f.connected();
    const std::string key = f.cluster.key_at("n2");
    f.cluster.node("n2").denied = std::set{protocol::Feature::collections};
    f.cluster.reset("n2");
    f.loop.advance(1ms);
    const Outcome& without = f.upsert(key, "v");
    f.loop.advance(2s);
    CHECK(without.ok());
    f.cluster.node("n2").denied.clear();
    f.cluster.reset("n2");
    f.loop.advance(1ms);
    const Outcome& with = f.get(key);
    const Outcome& named = f.track(f.carts().upsert(key, "w"));
    f.loop.advance(2s);
    CHECK(with.value == "v");
    CHECK(named.ok());
    CHECK(f.ids(key) == Ids{-1, 0, 8});
}

TEST_CASE("requests of collections follow their vbuckets", "[collections]") {
    CollectionFixture f;
    f.connected();
    AsyncCollection carts = f.carts();
    const std::string key = f.cluster.key_at("n1");
    f.track(carts.upsert(key, "v"));
    f.loop.run();
    f.cluster.publish(f.cluster.moved(key, 2));
    const Outcome& found = f.track(carts.get(key));
    f.loop.run();
    CHECK(found.value == "v");
    CHECK(f.cluster.path(key) == std::vector<std::string>{"n1", "n1", "n3"});
    CHECK(f.ids(key) == Ids{8, 8, 8});
}

TEST_CASE("what no collection has: names and keys", "[collections]") {
    CollectionFixture f;
    f.connected();
    AsyncCollection carts = f.carts();
    const Outcome& fits = f.track(carts.upsert(std::string(246, 'k'), "v"));
    const Outcome& too_long = f.track(carts.upsert(std::string(247, 'k'), "v"));
    const Outcome& fits_default = f.upsert(std::string(250, 'k'), "v");
    const Outcome& empty = f.track(carts.get(""));
    f.loop.run();
    CHECK(fits.ok());
    REQUIRE(too_long.failed(errc::invalid_argument));
    CHECK_THAT(too_long.error->message(), Catch::Contains("the limit is 246"));
    CHECK(fits_default.ok());
    CHECK(empty.failed(errc::invalid_argument));
    for (const std::string& name : {std::string(), std::string("a.b"), std::string("a b"), std::string(252, 'x')}) {
        const Outcome& in_scope = f.track(f.bucket->scope("shop").collection(name).get("k"));
        const Outcome& of_scope = f.track(f.bucket->scope(name).collection("carts").get("k"));
        f.loop.run();
        CHECK(in_scope.failed(errc::invalid_argument));
        CHECK(of_scope.failed(errc::invalid_argument));
    }
    CHECK(f.asked() == 1);
}

TEST_CASE("plain memcached has the default collection only", "[collections]") {
    testing::Fixture f;
    f.connected();
    const Outcome& stored = f.track(f.bucket->default_collection().upsert("k", "v"));
    const Outcome& named = f.track(f.bucket->collection("people").upsert("k", "v"));
    std::optional<errc> manifest;
    f.bucket->collections_manifest().set_callbacks([](ManifestResult) {},
                                                   [&](const Error& error) { manifest = error.code(); });
    f.loop.run();
    CHECK(stored.ok());
    REQUIRE(named.failed(errc::unsupported_operation));
    CHECK(named.error->context().collection == "people");
    CHECK(manifest == errc::unsupported_operation);
}

TEST_CASE("many keys of a collection at once", "[collections]") {
    CollectionFixture f;
    AsyncCollection carts = f.carts();
    std::vector<std::pair<std::string, std::string>> entries;
    std::vector<std::string> keys;
    for (int i = 0; i < 100; ++i) {
        keys.push_back("k" + std::to_string(i));
        entries.emplace_back(keys.back(), "v" + std::to_string(i));
    }
    std::optional<MultiResult<OperationResult>> stored;
    carts.upsert_multi(entries).set_callbacks([&](MultiResult<OperationResult> r) { stored = std::move(r); },
                                              [](const Error&) {});
    f.loop.run();
    REQUIRE(stored);
    CHECK(stored->all_ok());
    std::optional<MultiResult<ValueResult>> found;
    carts.get_multi(keys).set_callbacks([&](MultiResult<ValueResult> r) { found = std::move(r); }, [](const Error&) {});
    std::optional<Error> error;
    f.bucket->scope("shop").collection("missing").get_multi(keys).set_callbacks(
        [](MultiResult<ValueResult>) {}, [&](const Error& failed) { error = failed; });
    f.loop.run();
    REQUIRE(found);
    CHECK(found->all_ok());
    REQUIRE(error);
    CHECK(error->code() == errc::collection_not_found);
    CHECK(error->context().collection == "missing");
    CHECK(error->all_results<ValueResult>().size() == 100);
}

TEST_CASE("the bucket may go at any step of an operation on a collection", "[collections]") {
    for (int steps = 0;; ++steps) {
        CollectionFixture f;
        std::optional<AsyncCollection> carts = f.carts();
        const Outcome& outcome = f.track(carts->upsert("k", "v"));
        int left = steps;
        for (; left > 0 && outcome.pending(); --left) {
            if (!f.loop.turn()) f.loop.advance(1ms);
        }
        const bool over = !outcome.pending();
        f.bucket.reset();
        if (steps % 2 == 0) carts.reset();
        f.loop.run();
        CHECK(outcome.calls == 1);
        CHECK(f.loop.armed_timers() == 0);
        if (over) {
            CHECK(steps > 3);
            break;
        }
        REQUIRE(steps < 1000);
    }
}

TEST_CASE("a bucket that is made anew has other ids: none of before is used", "[collections]") {
    CollectionFixture f;
    f.connected();
    AsyncCollection carts = f.carts();
    f.track(carts.upsert("k", "v"));
    f.loop.run();
    REQUIRE(f.ids("k") == Ids{8});

    // The number is another collection's there.
    f.cluster.manifest = {.uid = 2, .ids = {{"shop.orders", 8}, {"shop.carts", 10}}};
    f.cluster.map.uuid = "another";
    ++f.cluster.map.rev;
    f.cluster.push("n1", false);
    f.loop.run();
    const Outcome& stored = f.track(carts.upsert("k", "w"));
    f.loop.run();
    CHECK(stored.ok());
    CHECK(f.ids("k") == Ids{8, 10});
    CHECK(f.asked() == 2);
    f.check_clean();
}

TEST_CASE("close waits for what waits for a collection's id, too", "[collections][close]") {
    CollectionFixture f;  // not connected yet
    const Outcome& stored = f.track(f.carts().upsert("k", "v"));
    const Outcome& closed = f.track(f.bucket->close({.drain = 5s}));
    f.loop.run();
    CHECK(stored.ok());
    CHECK(closed.ok());
    CHECK(f.ids("k") == Ids{8});
}
