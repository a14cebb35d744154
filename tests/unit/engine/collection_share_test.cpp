// Collections share the bucket's core: copies, moves, and who goes first.
#include "tests/unit/engine/session_fixture.hpp"

#include <chaise/collection.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace chaise;
using testing::Fixture;
using testing::Outcome;

}  // namespace

TEST_CASE("the default collection is the bucket's own documents", "[collections]") {
    Fixture f;
    f.connected();
    AsyncCollection documents = f.bucket->default_collection();
    CHECK(documents.name() == "_default");
    CHECK(documents.scope_name() == "_default");
    const Outcome& stored = f.track(documents.upsert("k", "v"));
    const Outcome& found = f.get("k");
    const Outcome& again = f.track(documents.get("k"));
    f.loop.run();
    CHECK(stored.ok());
    CHECK(found.value == "v");
    CHECK(again.value == "v");
    std::vector<std::string> keys = {"k", "k"};
    std::optional<MultiResult<ValueResult>> all;
    documents.get_multi(keys).set_callbacks([&](MultiResult<ValueResult> result) { all = std::move(result); },
                                            [](const Error&) {});
    f.loop.run();
    REQUIRE(all);
    CHECK(all->size() == 2);
    CHECK(all->all_ok());
}

TEST_CASE("a collection outlives its bucket", "[collections]") {
    Fixture f;
    f.connected();
    std::optional<AsyncCollection> first = f.bucket->default_collection();
    AsyncCollection second = *first;
    AsyncCollection third = std::move(*first);
    first.reset();
    const Outcome& under_way = f.track(second.get("k"));
    f.bucket.reset();
    const Outcome& late = f.track(third.get("k"));
    f.loop.run();
    CHECK(under_way.failed(errc::shutdown));
    CHECK(late.failed(errc::shutdown));
    second = third;
    const Outcome& later = f.track(second.upsert("k", "v"));
    f.loop.run();
    CHECK(later.failed(errc::shutdown));
    CHECK(f.loop.armed_timers() == 0);
}

TEST_CASE("a bucket stays open when its collections go, and another is assigned to it", "[collections]") {
    Fixture f;
    f.connected();
    {
        AsyncCollection documents = f.bucket->default_collection();
        const AsyncCollection copy = documents;
        documents = copy;
    }
    const Outcome& found = f.track(f.bucket->default_collection().upsert("k", "v"));
    f.loop.run();
    CHECK(found.ok());
    AsyncCollection old = f.bucket->default_collection();
    *f.bucket = AsyncBucket(f.loop.make_iops(), "memcached://node");
    const Outcome& in_the_old = f.track(old.get("k"));
    const Outcome& in_the_new = f.get("k");
    f.loop.run();
    CHECK(in_the_old.failed(errc::shutdown));
    CHECK(in_the_new.value == "v");
}

TEST_CASE("a collection and its operations may be destroyed in a callback of their own", "[collections]") {
    Fixture f;
    f.connected();
    auto documents = std::make_unique<AsyncCollection>(f.bucket->default_collection());
    bool called = false;
    documents->upsert("k", "v").set_callbacks(
        [&](OperationResult) {
            called = true;
            f.bucket.reset();
            documents.reset();
        },
        [](const Error&) {});
    f.loop.run();
    CHECK(called);
    CHECK(f.loop.armed_timers() == 0);
}
