#include <catch2/catch.hpp>

#include <random>

#include "protocol/cluster_map.hpp"
#include "protocol/vbucket.hpp"
#include "tests/support/sample_map.hpp"

using namespace chaise::protocol;
using chaise::testing::part;
using chaise::testing::sample_map;
using chaise::testing::with;
using Endpoints = std::vector<Endpoint>;

namespace {

std::shared_ptr<const ClusterMap> parsed(std::string_view text, std::string_view origin = "10.1.0.11") {
    ParsedMap result = parse_cluster_map(text, origin);
    INFO(result.error);
    REQUIRE(result.map);
    CHECK(result.error.empty());
    return result.map;
}

std::string why_refused(std::string_view text) {
    const ParsedMap result = parse_cluster_map(text, "10.1.0.11");
    REQUIRE_FALSE(result.map);
    CHECK_FALSE(result.error.empty());
    return result.error;
}

std::string without(const std::string& text, std::string_view what) { return with(text, what, ""); }

/// Whatever a map says, what it is asked stays in bounds.
void ask_everything(const ClusterMap& map) {
    REQUIRE_FALSE(map.nodes.empty());
    REQUIRE(map.kv.size() == map.kv_nodes.size());
    const auto servers = static_cast<int>(map.kv.size());
    for (unsigned vbucket = 0; vbucket < map.vbucket_count() + 2u; ++vbucket) {
        for (unsigned copy = 0; copy < 6; ++copy) {
            for (const int server : {map.server(static_cast<std::uint16_t>(vbucket), copy),
                                     map.forward_server(static_cast<std::uint16_t>(vbucket), copy)}) {
                if (server < -1 || server >= servers) FAIL("server " << server);
            }
        }
    }
    for (const std::string network : {"default", "external", "auto"}) {
        for (const bool tls : {false, true}) {
            const std::string chosen = choose_network(map, network, {"10.1.0.11", 11210}, tls);
            REQUIRE(kv_endpoints(map, chosen, tls).size() == map.kv.size());
            REQUIRE(service_endpoints(map, Service::query, chosen, tls).size() <= map.nodes.size());
        }
    }
}

}  // namespace

TEST_CASE("the sample map: what it says of the bucket") {
    const auto map = parsed(sample_map());
    CHECK(map->epoch == 2);
    CHECK(map->rev == 4217);
    CHECK(map->revision() == ConfigRevision{2, 4217});
    CHECK(map->name == "travel");
    CHECK(map->uuid == "3f2a9c0d5b7e4a61b0c2d4e6f8091a2b");
    CHECK(map->locator == ClusterMap::Locator::vbucket);
    CHECK(map->replicas == 1);
    CHECK(map->vbucket_count() == 64);
    CHECK(map->manifest_uid == 0x1f);
    CHECK(map->has_forward());
    CHECK(map->has_capability("durableWrite"));
    CHECK(map->has_capability("collections"));
    CHECK_FALSE(map->has_capability("durable"));
    CHECK(map->has_cluster_capability("search", "vectorSearch"));
    CHECK_FALSE(map->has_cluster_capability("n1ql", "vectorSearch"));
    CHECK(map->text.empty());
    REQUIRE(map->nodes.size() == 4);
    CHECK(map->nodes[0].this_node);
    CHECK_FALSE(map->nodes[1].this_node);
    CHECK(map->nodes[2].server_group == "Group 3");
    CHECK(map->nodes[3].uuid == "77aa55cc33bb4411aa22dd00ee99ff14");
    CHECK(map->kv == Endpoints{{"10.1.0.11", 11210}, {"10.1.0.12", 11210}, {"10.1.0.13", 11210}});
    CHECK(map->kv_nodes == std::vector<std::int16_t>{0, 1, 2});
    ask_everything(*map);
}

TEST_CASE("the sample map routes keys as libcouchbase routes them") {
    const auto map = parsed(sample_map());
    const struct {
        std::string_view key;
        int vbucket, active, replica, forward;
    } rows[] = {
        {"foo", 51, 2, 1, 2},        {"bar", 63, 2, -1, 2},      {"baz", 36, 1, 2, 1},       {"abc", 36, 1, 2, 1},
        {"key", 16, 0, 1, 0},        {"mykey", 38, 1, 2, 1},     {"user:1", 37, 1, 0, 1},    {"user:1000", 52, 2, 0, 2},
        {"airline_10", 41, 1, 0, 1}, {"test", 63, 2, -1, 2},     {"couchbase", 46, 2, 0, 2}, {"k1", 14, 0, 1, 0},
        {"q1", 35, 1, 0, 1},         {"doc::0001", 59, 2, 1, 2}, {"probe_13", 0, 0, 1, 2},   {"probe_57", 1, 0, 2, 2},
        {"probe_28", 63, 2, -1, 2},
    };
    for (const auto& row : rows) {
        INFO(row.key);
        const std::uint16_t vbucket = vbucket_of(row.key, map->vbucket_count());
        CHECK(vbucket == row.vbucket);
        CHECK(map->server(vbucket) == row.active);
        CHECK(map->server(vbucket, 1) == row.replica);
        CHECK(map->forward_server(vbucket) == row.forward);
    }
    CHECK(map->server(0, 2) == ClusterMap::nobody);
    CHECK(map->server(64) == ClusterMap::nobody);
}

TEST_CASE("the sample map through networks, with and without TLS") {
    const auto map = parsed(sample_map());
    CHECK(kv_endpoints(*map, "default", true) ==
          Endpoints{{"10.1.0.11", 11207}, {"10.1.0.12", 11207}, {"10.1.0.13", 11207}});
    CHECK(kv_endpoints(*map, "external") ==
          Endpoints{{"node1.example.com", 32110}, {"node2.example.com", 11210}, {"node3.example.com", 32310}});
    CHECK(kv_endpoints(*map, "external", true) ==
          Endpoints{{"node1.example.com", 32107}, {"node2.example.com", 11207}, {"node3.example.com", 0}});
    CHECK(service_endpoints(*map, Service::management, "external") ==
          Endpoints{{"node1.example.com", 32091}, {"node2.example.com", 8091}});
    CHECK(service_endpoints(*map, Service::query) == Endpoints{{"10.1.0.11", 8093}, {"10.1.0.14", 8093}});
    CHECK(service_endpoints(*map, Service::views) ==
          Endpoints{{"10.1.0.11", 8092}, {"10.1.0.12", 8092}, {"10.1.0.13", 8092}});
    for (const Endpoint& endpoint : kv_endpoints(*map, "internal-two")) CHECK_FALSE(endpoint);
}

TEST_CASE("auto finds the network by the seed that delivered the map") {
    const auto map = parsed(sample_map());
    CHECK(choose_network(*map, "auto", {"10.1.0.12", 11210}, false) == "default");
    CHECK(choose_network(*map, "", {"node1.example.com", 32110}, false) == "external");
    CHECK(choose_network(*map, "auto", {"NODE1.example.com", 32110}, false) == "external");
    CHECK(choose_network(*map, "auto", {"node2.example.com", 4711}, false) == "external");  // lists no ports
    CHECK(choose_network(*map, "auto", {"node1.example.com", 11210}, false) == "default");  // another port
    CHECK(choose_network(*map, "auto", {"node1.example.com", 32107}, true) == "external");
    CHECK(choose_network(*map, "auto", {"lb.example.com", 11210}, false) == "default");
    CHECK(choose_network(*map, "external", {"10.1.0.12", 11210}, false) == "external");
    CHECK(choose_network(*map, "default", {"node1.example.com", 32110}, false) == "default");
}

TEST_CASE("which of two maps is newer") {
    const std::string sample = sample_map();
    const auto current = parsed(sample);
    const auto why = [&](const std::string& text) { return why_not_acceptable(*current, *parsed(text)); };
    CHECK(why(sample) == "its epoch 2 revision 4217 is not newer than the current epoch 2 revision 4217");
    CHECK_FALSE(why(with(sample, "\"rev\":4217", "\"rev\":4216")).empty());
    CHECK(why(with(sample, "\"rev\":4217", "\"rev\":4218")).empty());
    CHECK(why(with(with(sample, "\"rev\":4217", "\"rev\":1"), "\"revEpoch\":2", "\"revEpoch\":3")).empty());
    CHECK_FALSE(why(with(with(sample, "\"rev\":4217", "\"rev\":9999"), "\"revEpoch\":2", "\"revEpoch\":1")).empty());
    CHECK(why(without(sample, "\"revEpoch\":2,")) ==
          "its epoch none revision 4217 is not newer than the current epoch 2 revision 4217");
    CHECK_FALSE(why(without(sample, "\"rev\":4217,")).empty());
    CHECK(newer(*current, *parsed(with(sample, "\"revEpoch\":2", "\"revEpoch\":-1"))));

    const std::string next = with(sample, "\"rev\":4217", "\"rev\":4218");
    CHECK(why(with(next, "\"name\":\"travel\"", "\"name\":\"beer\"")) == "it is of bucket \"beer\", not \"travel\"");
    const std::string fewer = with(without(next, std::string(",") + std::string(part(next, "\"vBucketMapForward\":["))),
                                   part(next, "\"vBucketMap\":["), "\"vBucketMap\":[[0,1],[1,2]]");
    CHECK(why(fewer) == "it has 2 vbuckets, and the bucket 64");
    CHECK(why(with(fewer, "\"uuid\":\"3f", "\"uuid\":\"4f")).empty());  // dropped and made anew

    // Very old servers number nothing: another text is another map.
    const std::string old = without(without(sample, "\"rev\":4217,"), "\"revEpoch\":2,");
    const auto old_map = parsed(old);
    CHECK(old_map->text == old);
    CHECK_FALSE(old_map->revision());
    CHECK(why_not_acceptable(*old_map, *parsed(old)) == "it is the current map");
    CHECK(why_not_acceptable(*old_map, *parsed(old + " ")).empty());
    CHECK(why_not_acceptable(*old_map, *current).empty());
    CHECK(newer(*parsed(without(sample, "\"revEpoch\":2,")), *old_map));
}

TEST_CASE("a map's hosts may be told by the address of its sender, and be IPv6") {
    const std::string sample = sample_map();
    const std::string unnamed = without(sample, "\"hostname\":\"10.1.0.11\",");
    CHECK(parsed(unnamed, "192.0.2.7")->kv.front() == Endpoint{"192.0.2.7", 11210});
    const std::string dollar = with(unnamed, "\"10.1.0.11:11210\"", "\"$HOST:11210\"");
    CHECK(parsed(dollar, "192.0.2.7")->kv.front() == Endpoint{"192.0.2.7", 11210});
    CHECK(parsed(dollar, "fd00::7")->kv.front() == Endpoint{"fd00::7", 11210});
    CHECK(parsed(dollar, "[fd00::7]")->kv.front() == Endpoint{"fd00::7", 11210});

    for (const char* spelled : {"\"fd00::11\"", "\"[fd00::11]\""}) {
        const std::string v6 = with(with(sample, "\"hostname\":\"10.1.0.11\"", std::string("\"hostname\":") + spelled),
                                    "\"10.1.0.11:11210\"", "\"[fd00::11]:11210\"");
        const auto map = parsed(v6);
        CHECK(map->kv.front() == Endpoint{"fd00::11", 11210});
        CHECK(authority(map->kv.front()) == "[fd00::11]:11210");
        CHECK(choose_network(*map, "auto", {"fd00::11", 11210}, false) == "default");
    }
    CHECK(authority({"10.1.0.11", 1}) == "10.1.0.11:1");
}

TEST_CASE("servers of the list are nodes: by their place, by what the list says, or by neither") {
    const std::string sample = sample_map();
    SECTION("nodes absent: those with a key-value service") {
        const auto map = parsed(without(sample, std::string(part(sample, "\"nodes\":[")) + ","));
        CHECK(map->kv_nodes == std::vector<std::int16_t>{0, 1, 2});
        CHECK(kv_endpoints(*map, "default", true)[2] == Endpoint{"10.1.0.13", 11207});
    }
    SECTION("the list is believed when it is in another order") {
        const auto map =
            parsed(with(sample, "\"10.1.0.11:11210\",\"10.1.0.12:11210\"", "\"10.1.0.12:11210\",\"10.1.0.11:11210\""));
        CHECK(map->kv_nodes == std::vector<std::int16_t>{1, 0, 2});
    }
    SECTION("a server that is named otherwise is known by its place") {
        const auto map = parsed(with(sample, "\"10.1.0.12:11210\"", "\"db2.internal:11210\""));
        CHECK(map->kv_nodes == std::vector<std::int16_t>{0, 1, 2});
        CHECK(map->kv[1] == Endpoint{"10.1.0.12", 11210});
    }
    SECTION("of another number: by host and port; who is no node has no TLS and no other network") {
        const auto map = parsed(with(sample, "\"10.1.0.13:11210\"]", "\"10.1.0.13:11210\",\"10.1.0.99:11210\"]"));
        CHECK(map->kv_nodes == std::vector<std::int16_t>{0, 1, 2, -1});
        CHECK(kv_endpoints(*map)[3] == Endpoint{"10.1.0.99", 11210});
        CHECK_FALSE(kv_endpoints(*map, "default", true)[3]);
        CHECK_FALSE(kv_endpoints(*map, "external")[3]);
        ask_everything(*map);
    }
    SECTION("no nodesExt: as very old servers told it") {
        const auto map = parsed(without(sample, std::string(part(sample, "\"nodesExt\":[")) + ","));
        CHECK(map->kv == Endpoints{{"10.1.0.11", 11210}, {"10.1.0.12", 11210}, {"10.1.0.13", 11210}});
        CHECK(service_endpoints(*map, Service::management)[1] == Endpoint{"10.1.0.12", 8091});
    }
    SECTION("a node that does not expose its plain port") {
        const auto map = parsed(with(sample, "\"kv\":11210,", ""));
        CHECK_FALSE(kv_endpoints(*map)[0]);
        CHECK(kv_endpoints(*map, "default", true)[0] == Endpoint{"10.1.0.11", 11207});
    }
}

TEST_CASE("rows may be shorter or longer than they should be") {
    const std::string sample = sample_map();
    const auto map = parsed(with(sample, "\"vBucketMap\":[[0,1],[0,2],[0,1]", "\"vBucketMap\":[[],[2],[1,0,2,2]"));
    CHECK(map->server(0) == -1);
    CHECK(map->server(1) == 2);
    CHECK(map->server(1, 1) == -1);
    CHECK(map->server(2) == 1);
    CHECK(map->server(2, 1) == 0);
    CHECK(map->server(2, 2) == -1);
    CHECK(map->server(3, 0) == 0);
}

TEST_CASE("maps of memcached buckets, and of the cluster") {
    const std::string sample = sample_map();
    const std::string no_vbuckets = without(sample, std::string(part(sample, "\"vBucketServerMap\":{")) + ",");
    const auto ketama = parsed(with(no_vbuckets, "\"vbucket\"", "\"ketama\""));
    CHECK(ketama->locator == ClusterMap::Locator::ketama);
    CHECK(ketama->vbucket_count() == 0);
    CHECK(ketama->kv.size() == 3);
    const auto cluster = parsed(without(without(no_vbuckets, "\"name\":\"travel\","), "\"nodeLocator\":\"vbucket\","));
    CHECK(cluster->locator == ClusterMap::Locator::none);
    CHECK(cluster->name.empty());
    CHECK(cluster->kv.size() == 3);
    CHECK(cluster->server(0) == ClusterMap::nobody);
    ask_everything(*cluster);
}

TEST_CASE("a bucket that is being created has no vbuckets yet") {
    const std::string sample = sample_map();
    for (const bool forward : {true, false}) {
        std::string text = with(sample, part(sample, "\"vBucketMap\":["), "\"vBucketMap\":[]");
        if (!forward) text = without(text, std::string(",") + std::string(part(text, "\"vBucketMapForward\":[")));
        const ParsedMap result = parse_cluster_map(text, "h");
        CHECK_FALSE(result.map);
        CHECK(result.incomplete);
        CHECK(result.error == "it has no vbuckets: the bucket is being created");
    }
}

TEST_CASE("what is wrong with a map is told in words") {
    const std::string sample = sample_map();
    const auto refused = [&](std::string_view what, std::string_view instead) {
        return why_refused(with(sample, what, instead));
    };
    CHECK(refused("\"CRC\"", "\"MD5\"") == "hashAlgorithm \"MD5\" is not known");
    CHECK(refused("\"hashAlgorithm\":\"CRC\",", "") == "it has no hashAlgorithm");
    CHECK(refused("\"numReplicas\":1", "\"numReplicas\":4") == "numReplicas is not a number from 0 to 3");
    CHECK(refused("\"numReplicas\":1", "\"numReplicas\":-1") == "numReplicas is not a number from 0 to 3");
    CHECK(refused("\"vBucketMap\":[[0,1]", "\"vBucketMap\":[[3,1]") ==
          "vBucketMap[0] names a server that is not in the serverList");
    CHECK(refused("\"vBucketMap\":[[0,1]", "\"vBucketMap\":[[0,-2]") ==
          "vBucketMap[0] names a server that is not in the serverList");
    CHECK(refused("\"vBucketMap\":[[0,1]", "\"vBucketMap\":[[0,1.5]") ==
          "vBucketMap[0] names a server that is not in the serverList");
    CHECK(refused("\"vBucketMapForward\":[[2,0]", "\"vBucketMapForward\":[[2,99999999999]") ==
          "vBucketMapForward[0] names a server that is not in the serverList");
    CHECK(refused("\"vBucketMapForward\":[[2,0],", "\"vBucketMapForward\":[") ==
          "vBucketMapForward and vBucketMap differ in length");
    CHECK(refused("\"vBucketMap\":[[0,1]", "\"vBucketMap\":[7") == "vBucketMap[0] is not an array");
    CHECK(refused("\"10.1.0.11:11210\"", "\"10.1.0.11\"") == "serverList[0] is not host:port: \"10.1.0.11\"");
    CHECK(refused("\"10.1.0.11:11210\"", "\"10.1.0.11:0\"") == "serverList[0] has no port: \"10.1.0.11:0\"");
    CHECK(refused("\"10.1.0.11:11210\"", "\"fd00::1:11210\"") == "serverList[0] is not host:port: \"fd00::1:11210\"");
    CHECK(refused("\"10.1.0.11:11210\"", "\"a b:11210\"") == "serverList[0] is not a host: \"a b\"");
    CHECK(refused("\"hostname\":\"10.1.0.11\"", "\"hostname\":\"a\\nb\"") ==
          "nodesExt[0].hostname is not a host: \"a\\u000ab\"");
    CHECK(refused("\"kv\":11210", "\"kv\":112100") == "nodesExt[0].services.kv is not a port");
    CHECK(refused("\"kv\":11210", "\"kv\":\"11210\"") == "nodesExt[0].services.kv is not a port");
    CHECK(refused("\"kv\":11210", "\"kv\":1,\"kv\":2") == "nodesExt[0].services has two members \"kv\"");
    CHECK(refused("\"rev\":4217", "\"rev\":0") == "rev is 0, less than 1");
    CHECK(refused("\"rev\":4217", "\"rev\":1e3") == "rev is not a 64-bit integer");
    CHECK(refused("\"rev\":4217", "\"rev\":18446744073709551615") == "rev is not a 64-bit integer");
    CHECK(refused("\"rev\":4217", "\"rev\":1,\"rev\":2") == "it has two members \"rev\"");
    CHECK(refused("\"nodeLocator\":\"vbucket\"", "\"nodeLocator\":\"modula\"") ==
          "nodeLocator \"modula\" is not known");
    CHECK(refused(part(sample, "\"vBucketServerMap\":{"), "\"x\":1") == "it has no vBucketServerMap");
    CHECK(refused(part(sample, "\"nodesExt\":["), "\"nodesExt\":[]") == "it has no nodes");
    CHECK(refused(part(sample, "\"serverList\":["), "\"serverList\":[]") == "its serverList is empty");
    CHECK(refused("\"external\":{", "\"external\":{},\"external\":{") ==
          "nodesExt[0].alternateAddresses.\"external\" has no hostname");
    CHECK(why_refused("").starts_with("it is not JSON: "));
    CHECK(why_refused("[]") == "it is not a JSON object");
    CHECK(why_refused("{}") == "it has no nodes");
    CHECK(why_refused("{\"rev\":NaN}").starts_with("it is not JSON: "));
    CHECK(why_refused("{\"rev\":1,\"nodesExt\":[{}]").starts_with("it is not JSON: "));
    CHECK(why_refused("{\"name\":\"b\",\"nodesExt\":[{}]}") == "it has a bucket, but no nodeLocator");
    CHECK(parse_cluster_map("{\"nodesExt\":[{}]}", "").error == "nodesExt[0].hostname is not a host: \"\"");
}

TEST_CASE("hostile maps are refused soon, and take no more memory than their length allows") {
    const std::string sample = sample_map();
    CHECK(why_refused(std::string(max_map_size + 1, ' ')) == "it is longer than 8388608 bytes");
    CHECK_FALSE(why_refused(std::string(1'000'000, '[')).empty());
    CHECK_FALSE(
        why_refused(with(sample, "\"rev\":", std::string(2000, '[') + std::string(2000, ']') + "\"rev\":")).empty());
    const auto many = [](std::string_view one, std::size_t n) {
        std::string list = "[";
        for (std::size_t i = 0; i < n; ++i) (list += i == 0 ? "" : ",") += one;
        return list + "]";
    };
    CHECK(why_refused(with(sample, part(sample, "\"vBucketMap\":["), "\"vBucketMap\":" + many("[0]", 32769))) ==
          "vBucketMap has more rows than 32768");
    CHECK(why_refused(with(sample, part(sample, "\"vBucketMap\":["), "\"vBucketMap\":" + many("[]", 1'000'000))) ==
          "vBucketMap has more rows than 32768");
    CHECK(why_refused(with(sample, part(sample, "\"nodesExt\":["), "\"nodesExt\":" + many("{}", 1025))) ==
          "it has more nodes than 1024");
    CHECK(why_refused(with(sample, part(sample, "\"serverList\":["), "\"serverList\":" + many("\"a:1\"", 1025))) ==
          "it has more servers than 1024");
    std::string networks;
    for (int i = 0; i < 17; ++i) networks += "\"n" + std::to_string(i) + "\":{\"hostname\":\"h\"},";
    CHECK(why_refused(with(sample, "\"external\":{", networks + "\"external\":{")) ==
          "nodesExt[0].alternateAddresses has too many networks");
    const auto map = parsed(with(sample, part(sample, "\"bucketCapabilities\":["),
                                 "\"bucketCapabilities\":" + many("\"collections\"", 100'000)));
    CHECK(map->capabilities.size() <= 256);
}

TEST_CASE("ten thousand mutations of the sample are read or refused, and never asked out of bounds") {
    const std::string sample = sample_map();
    std::mt19937 random(20250117);
    const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
    constexpr std::string_view pieces[] = {
        "[",    "]",   "{",    "}",     "\"",    ",",  ":",    "-1", "99",        "0",          "1e999",
        "null", "NaN", "true", "\\u00", "$HOST", "]]", "[[],", "{}", "\"kv\":0,", "\"rev\":1,", "\"hostname\":\"\","};
    int accepted = 0;
    for (int run = 0; run < 10'000; ++run) {
        std::string text = sample;
        for (std::size_t edits = 1 + below(3); edits != 0; --edits) {
            const std::size_t at = below(text.size());
            switch (below(5)) {
                case 0:
                    text[at] = static_cast<char>(random());
                    break;
                case 1:
                    text.erase(at, 1 + below(40));
                    break;
                case 2:
                    text.insert(at, pieces[below(std::size(pieces))]);
                    break;
                case 3:
                    text.insert(at, sample.substr(below(sample.size()), 1 + below(100)));
                    break;
                default:
                    text[at] = static_cast<char>('0' + below(10));
            }
        }
        const ParsedMap result = parse_cluster_map(text, "origin");
        CHECK(result.error.empty() == (result.map != nullptr));
        if (!result.map) continue;
        ++accepted;
        ask_everything(*result.map);
    }
    CHECK(accepted > 100);  // else the mutations would prove little
    for (std::size_t length = 0; length < sample.size(); length += 7) {
        CHECK_FALSE(parse_cluster_map(std::string_view(sample).substr(0, length), "origin").map);
    }
}
