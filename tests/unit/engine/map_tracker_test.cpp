// MapTracker: which maps are taken, and what they change.

#include "topology/map_tracker.hpp"

#include "tests/support/sample_map.hpp"

#include <catch2/catch.hpp>

using namespace chaise::detail;
using chaise::protocol::Endpoint;
using chaise::testing::sample_map;
using chaise::testing::with;
using Endpoints = std::vector<Endpoint>;

namespace {

const Endpoint inside{"10.1.0.11", 11210};
const Endpoint one{"10.1.0.11", 11210}, two{"10.1.0.12", 11210}, three{"10.1.0.13", 11210};

}  // namespace

TEST_CASE("the first map brings its nodes", "[map tracker]") {
    MapTracker tracker("travel");
    CHECK_FALSE(tracker.current());
    CHECK(tracker.servers().empty());
    CHECK(tracker.is_news({-1, 1}));
    CHECK(tracker.offer(sample_map(), inside).empty());
    REQUIRE(tracker.current());
    CHECK(tracker.current()->rev == 4217);
    CHECK(tracker.network() == "default");
    CHECK(tracker.servers() == Endpoints{one, two, three});
}

TEST_CASE("a newer map is in force, whatever has changed", "[map tracker]") {
    MapTracker tracker("travel");
    REQUIRE(tracker.offer(sample_map(), inside) == "");
    const auto before = tracker.current();
    // 12 is replaced by 99, and 11 and 13 change places.
    std::string text = with(sample_map(), "\"rev\":4217", "\"rev\":4218");
    text = with(text, "\"hostname\":\"10.1.0.11\"", "\"hostname\":\"10.1.0.13\"");
    text = with(text, "\"hostname\":\"10.1.0.12\"", "\"hostname\":\"10.1.0.99\"");
    text = with(text, "\"hostname\":\"10.1.0.13\",\"serverGroup\":\"Group 3\"",
                "\"hostname\":\"10.1.0.11\",\"serverGroup\":\"Group 3\"");
    text = with(text, R"("10.1.0.11:11210","10.1.0.12:11210","10.1.0.13:11210")",
                R"("10.1.0.13:11210","10.1.0.99:11210","10.1.0.11:11210")");
    REQUIRE(tracker.offer(text, two) == "");
    CHECK(tracker.servers() == Endpoints{three, {"10.1.0.99", 11210}, one});
    CHECK(before->rev == 4217);  // who still holds it is not disturbed
    // Another port is another place to connect to.
    REQUIRE(tracker.offer(with(with(text, "\"rev\":4218", "\"rev\":4219"), "\"kv\":11210", "\"kv\":12000"), two) == "");
    CHECK(tracker.servers()[0] == Endpoint{"10.1.0.13", 12000});
}

TEST_CASE("what is not taken changes nothing, and says why", "[map tracker]") {
    MapTracker tracker("travel");
    const std::string sample = sample_map();
    CHECK_THAT(tracker.offer("{", inside), Catch::StartsWith("it is not JSON"));
    CHECK(tracker.offer(with(sample, chaise::testing::part(sample, "\"vBucketMap\":["), "\"vBucketMap\":[]"), inside) !=
          "");
    CHECK_FALSE(tracker.current());

    REQUIRE(tracker.offer(sample, inside) == "");
    const auto current = tracker.current();
    for (const std::string& text :
         {sample, with(sample, "\"rev\":4217", "\"rev\":4216"), with(sample, "\"revEpoch\":2,", ""),
          with(with(sample, "\"rev\":4217", "\"rev\":5000"), "\"name\":\"travel\"", "\"name\":\"beer\""),
          std::string("nonsense")}) {
        CHECK(tracker.offer(text, inside) != "");
        CHECK(tracker.current() == current);
    }
    MapTracker other("beer");
    CHECK(other.offer(sample, inside) == "it is of bucket \"travel\", not \"beer\"");
}

TEST_CASE("the network is chosen by the first map, for good", "[map tracker]") {
    const Endpoint outside{"node1.example.com", 32110};
    MapTracker tracker("travel");
    REQUIRE(tracker.offer(sample_map(), outside) == "");
    CHECK(tracker.network() == "external");
    const Endpoints external = {outside, {"node2.example.com", 11210}, {"node3.example.com", 32310}};
    CHECK(tracker.servers() == external);
    CHECK(tracker.offer(with(sample_map(), "\"rev\":4217", "\"rev\":4218"), inside) == "");
    CHECK(tracker.servers() == external);
    CHECK(tracker.network() == "external");
    // A node that has no address there any more is a server that cannot be reached.
    const std::string lost = tracker.offer(
        with(with(sample_map(), "\"rev\":4217", "\"rev\":4219"), "\"external\":{\"hostname\":\"node2.example.com\"}",
             "\"other\":{\"hostname\":\"node2.example.com\"}"),
        outside);
    CHECK(lost == "");
    CHECK_FALSE(tracker.servers()[1]);

    MapTracker told("travel", "external");
    REQUIRE(told.offer(sample_map(), inside) == "");
    CHECK(told.servers() == external);
    MapTracker encrypted("travel", "external", true);
    REQUIRE(encrypted.offer(sample_map(), inside) == "");
    REQUIRE(encrypted.servers().size() == 3);
    CHECK(encrypted.servers()[0] == Endpoint{"node1.example.com", 32107});
    CHECK(encrypted.servers()[1] == Endpoint{"node2.example.com", 11207});
    CHECK_FALSE(encrypted.servers()[2]);
    MapTracker nowhere("travel", "mars");
    CHECK(nowhere.offer(sample_map(), inside) == "none of its nodes has a key-value address in network \"mars\"");
    CHECK_FALSE(nowhere.current());
}

TEST_CASE("which revisions are news", "[map tracker]") {
    MapTracker tracker("travel");
    REQUIRE(tracker.offer(sample_map(), inside) == "");
    CHECK_FALSE(tracker.is_news({2, 4217}));
    CHECK_FALSE(tracker.is_news({2, 4216}));
    CHECK_FALSE(tracker.is_news({1, 9999}));
    CHECK(tracker.is_news({2, 4218}));
    CHECK(tracker.is_news({3, 1}));
}

TEST_CASE("the map of a memcached bucket names its nodes", "[map tracker]") {
    MapTracker tracker("travel");
    CHECK(tracker.offer(R"({"rev":1,"name":"travel","nodeLocator":"ketama","nodes":[{},{}],"nodesExt":[)"
                        R"({"hostname":"a","services":{"kv":11210}},{"hostname":"b","services":{"kv":11211}}]})",
                        inside) == "");
    REQUIRE(tracker.current());
    CHECK(tracker.current()->locator == chaise::protocol::ClusterMap::Locator::ketama);
    CHECK(tracker.servers() == Endpoints{{"a", 11210}, {"b", 11211}});
}
