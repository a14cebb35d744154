// Values on the wire as Snappy blocks: when they are, when they are not, and what a broken one does.

#include "protocol/datatype.hpp"
#include "protocol/snappy.hpp"
#include "tests/unit/engine/cluster_fixture.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <string>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Feature;
using protocol::Opcode;
namespace datatype = protocol::datatype;
using Hosts = std::vector<std::string>;

namespace {

/// Compresses well.
std::string text(std::size_t size) {
    std::string out;
    while (out.size() < size) out += "again and again " + std::to_string(out.size() % 7);
    out.resize(size);
    return out;
}

/// Does not.
std::string noise(std::size_t size) {
    std::mt19937 random(7);
    std::string out(size, '\0');
    for (char& c : out) c = static_cast<char>(random());
    return out;
}

ScriptMap one_node() { return ScriptMap::spread({"n1"}); }

const ScriptCluster::Seen& last(const ClusterFixture& f) { return f.cluster.seen.back(); }

}  // namespace

TEST_CASE("stored values are compressed from a size on, where it pays", "[compression]") {
    ClusterFixture f(one_node());
    f.connected();
    const auto stored = [&](const std::string& value) {
        const Outcome& outcome = f.upsert("k", value, {.flags = 5});
        f.loop.run();
        CHECK(outcome.ok());
        CHECK(last(f).extras == std::string("\0\0\0\5\0\0\0\0", 8));
        return last(f);
    };
    for (const std::size_t size : {32u, 100u, 70'000u, 3'000'000u}) {
        CAPTURE(size);
        const std::string value(size, 'x');
        const auto seen = stored(value);
        CHECK(seen.datatype == datatype::snappy);
        CHECK(seen.value.size() < size / 2);
        CHECK((protocol::snappy_inflate(seen.value) == value));
        const Outcome& found = f.get("k");
        f.loop.run();
        CHECK((found.ok() && found.value == value));
    }
    for (const std::string& value : {std::string(31, 'x'), std::string(), noise(10'000)}) {
        const auto seen = stored(value);
        CHECK(seen.datatype == 0);
        CHECK((seen.value == value));
    }
}

TEST_CASE("the thresholds of compression are options", "[compression]") {
    ClusterFixture f(one_node(), "couchbase://n1?compression_min_size=1000&compression_min_ratio=0.2");
    f.connected();
    const auto sent_as = [&](const std::string& value) {
        f.upsert("k", value);
        f.loop.run();
        return last(f).datatype;
    };
    CHECK(sent_as(std::string(999, 'x')) == 0);
    CHECK(sent_as(std::string(1000, 'x')) == datatype::snappy);
    CHECK(sent_as(std::string(300, 'x') + noise(700)) == 0);  // not to a fifth
}

TEST_CASE("every store compresses, also the entries of a multi operation; the rest does not", "[compression]") {
    ClusterFixture f(one_node());
    f.connected();
    const std::string value = text(500);
    f.track(f.bucket->insert("a", value));
    f.track(f.bucket->replace("b", value));
    f.track(f.bucket->append("c", value));
    std::map<std::string, std::string> many = {{"d", value}, {"e", "short"}};
    unsigned calls = 0;
    f.bucket->upsert_multi(many).set_callbacks([&](const auto&) { ++calls; }, [&](const Error&) { ++calls; });
    f.loop.run();
    CHECK(calls == 1);
    REQUIRE(f.cluster.seen.size() == 5);
    for (const auto& seen : f.cluster.seen) {
        CAPTURE(seen.key);
        const bool compressed = seen.key == "a" || seen.key == "b" || seen.key == "d";
        CHECK(seen.datatype == (compressed ? datatype::snappy : datatype::raw));
    }
}

TEST_CASE("compression switched off, or only for what is received", "[compression]") {
    for (const Compression compression : {Compression::off, Compression::inflate_only}) {
        ClusterFixture f(one_node(), "couchbase://n1", {.compression = compression});
        f.connected();
        f.upsert("k", text(500));
        f.loop.run();
        CHECK(last(f).datatype == 0);
        CHECK(last(f).value == text(500));
    }
    ClusterFixture f(one_node(), "couchbase://n1?compression=inflate_only");
    f.connected();
    f.cluster.node("n1").items["k"] = {protocol::snappy_deflate(text(500)), 0, 7, datatype::snappy};
    const Outcome& found = f.get("k");
    f.loop.run();
    CHECK(found.value == text(500));
}

TEST_CASE("nothing compressed goes to a node that did not grant it", "[compression]") {
    const std::string value = text(5000);
    SECTION("the only one") {
        ClusterFixture f(one_node());
        f.cluster.denied = {Feature::snappy};
        f.connected();
        f.upsert("k", value);
        f.loop.run();
        CHECK(last(f).datatype == 0);
        CHECK(last(f).value == value);
    }
    SECTION("what waits for the connection") {
        ClusterFixture f(one_node());
        f.cluster.denied = {Feature::snappy};
        const Outcome& stored = f.upsert("k", value);
        f.loop.run();
        CHECK(stored.ok());
        CHECK(last(f).datatype == 0);
        CHECK(last(f).value == value);
    }
    SECTION("what moves to it from another; and back") {
        ClusterFixture f;
        f.cluster.node("n2").denied = {Feature::snappy};
        f.connected();
        const std::string key = f.cluster.key_at("n1");
        f.cluster.node("n1").hold = true;
        const Outcome& stored = f.upsert(key, value, {.cas = 0, .expiry = 10s, .flags = 77});
        f.loop.run();
        REQUIRE(last(f).datatype == datatype::snappy);
        const std::string extras = last(f).extras;
        f.cluster.publish(f.cluster.moved(key, 1));
        f.cluster.answer(0);  // not its own any more
        f.loop.run();
        CHECK(stored.ok());
        CHECK(f.cluster.path(key) == Hosts{"n1", "n2"});
        CHECK(last(f).datatype == 0);
        CHECK(last(f).value == value);
        CHECK(last(f).extras == extras);
        CHECK(last(f).vbucket == f.cluster.vbucket_of(key));
    }
    SECTION("what moves to one that grants it, too, stays as it is") {
        ClusterFixture f;
        f.connected();
        const std::string key = f.cluster.key_at("n1");
        f.cluster.node("n1").hold = true;
        const Outcome& stored = f.upsert(key, value);
        f.loop.run();
        const std::string block = last(f).value;
        f.cluster.publish(f.cluster.moved(key, 1));
        f.cluster.answer(0);
        f.loop.run();
        CHECK(stored.ok());
        CHECK(f.cluster.path(key) == Hosts{"n1", "n2"});
        CHECK(last(f).datatype == datatype::snappy);
        CHECK(last(f).value == block);
    }
    SECTION("the same node, which grants less on the next connection; the order is kept") {
        ClusterFixture f(one_node());
        f.connected();
        f.link().window = 0;
        std::vector<Outcome*> stored = {&f.upsert("k", value), &f.upsert("k", "short"), &f.upsert("k", text(900))};
        f.loop.run();
        REQUIRE(f.cluster.seen.empty());
        f.cluster.denied = {Feature::snappy};
        f.cluster.reset("n1");
        f.loop.advance(1s);
        for (const Outcome* one : stored) CHECK(one->ok());
        REQUIRE(f.cluster.seen.size() == 3);
        CHECK(f.cluster.seen[0].value == value);
        CHECK(f.cluster.seen[1].value == "short");
        CHECK(f.cluster.seen[2].value == text(900));
        for (const auto& seen : f.cluster.seen) CHECK(seen.datatype == 0);
    }
}

TEST_CASE("received blocks are inflated into memory that their results share", "[compression]") {
    ClusterFixture f(one_node());
    f.connected();
    std::vector<std::string> values;
    for (const std::size_t size : {1u, 64u, 65u, 1000u, 40'000u, 65'536u, 65'537u, 1'000'000u, 300u, 30'000u}) {
        values.push_back(text(size));
    }
    std::vector<ValueResult> kept;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const std::string key = "k" + std::to_string(i);
        f.cluster.node("n1").items[key] = {protocol::snappy_deflate(values[i]), 9, 7,
                                           static_cast<std::uint8_t>(datatype::snappy | datatype::json)};
        f.bucket->get(key).set_callbacks([&](ValueResult r) { kept.push_back(std::move(r)); },
                                         [](const Error& error) { FAIL(error.message()); });
    }
    f.loop.run();
    REQUIRE(kept.size() == values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        CAPTURE(i);
        CHECK((kept[i].value() == values[i]));
        CHECK(kept[i].flags() == 9);
        CHECK(kept[i].datatype() == datatype::json);
        CHECK((kept[i].pinned_bytes() != 0) == (values[i].size() > ValueResult::inline_capacity));
        volatile char behind = kept[i].value().data()[values[i].size() + 63];  // ASan would know
        static_cast<void>(behind);
    }
    // Results that are gone give their memory back: the same block again and again.
    kept.clear();
    std::set<const char*> places;
    for (int i = 0; i < 100; ++i) {
        f.bucket->get("k4").set_callbacks([&](const ValueResult& r) { places.insert(r.value().data()); },
                                          [](const Error& error) { FAIL(error.message()); });
        f.loop.run();
    }
    CHECK(places.size() == 1);
}

TEST_CASE("a broken block is an error of its operation alone", "[compression]") {
    ClusterFixture f(one_node());
    f.connected();
    auto& items = f.cluster.node("n1").items;
    items["broken"] = {"\x64nonsense", 0, 7, datatype::snappy};
    items["no length"] = {"\xff\xff\xff\xff\xff\xff", 0, 7, datatype::snappy};
    items["huge"] = {std::string("\x80\x80\x80\x80\x01") + "x", 0, 7, datatype::snappy};  // 256 MiB, it says
    items["empty"] = {"", 0, 7, datatype::snappy};
    items["cut"] = {protocol::snappy_deflate(text(500)).substr(0, 20), 0, 7, datatype::snappy};
    items["right"] = {protocol::snappy_deflate(text(500)), 0, 7, datatype::snappy};
    std::map<std::string, Outcome*> outcomes;
    for (const auto& [key, item] : items) outcomes[key] = &f.get(key);
    f.loop.run();
    for (const auto& [key, outcome] : outcomes) {
        CAPTURE(key);
        if (key == "right") {
            CHECK(outcome->value == text(500));
        } else {
            REQUIRE(outcome->failed(errc::decoding_failure));
            CHECK(outcome->error->context().key == key);
            CHECK_THAT(outcome->error->message(), Catch::Contains("the compressed value is broken"));
            CHECK_FALSE(outcome->error->may_have_happened());
        }
    }
    CHECK(f.loop.net.links.size() == 1);  // the connection goes on
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("compression=force: a node without it is named", "[compression]") {
    ClusterFixture f(one_node(), "couchbase://n1?compression=force");
    f.cluster.denied = {Feature::snappy};
    const Outcome& connecting = f.track(f.bucket->connect());
    f.loop.run();
    REQUIRE(connecting.failed(errc::feature_not_available));
    CHECK_THAT(connecting.error->message(), Catch::Contains("n1:11210") && Catch::Contains("Snappy"));
}
