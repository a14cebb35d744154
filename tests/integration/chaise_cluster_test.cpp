// The program chaise-cluster, and what hostile clients can do to it: nothing.
#include <chaise/epoll.hpp>

#include <catch2/catch.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base64.hpp"
#include "protocol/cluster_map.hpp"
#include "protocol/vbucket.hpp"
#include "raw_client.hpp"
#include "support/cluster_process.hpp"

namespace chaise::testing {
namespace {

using namespace std::chrono_literals;
using protocol::Status;

std::vector<Endpoint> endpoints_of(const std::string& connection_string) {
    std::vector<Endpoint> endpoints;
    std::string_view rest = connection_string;
    constexpr std::string_view scheme = "couchbase://";
    REQUIRE(rest.starts_with(scheme));
    rest.remove_prefix(scheme.size());
    while (!rest.empty()) {
        constexpr std::string_view host = "127.0.0.1:";
        REQUIRE(rest.starts_with(host));
        const std::size_t comma = std::min(rest.find(','), rest.size());
        const std::string port(rest.substr(host.size(), comma - host.size()));
        endpoints.push_back({"127.0.0.1", static_cast<std::uint16_t>(std::stoul(port))});
        rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
    return endpoints;
}

struct Fixture {
    template <class P>
    bool until(P&& predicate, Duration longest = 20s) {
        const TimePoint deadline = loop.now() + longest;
        while (!predicate() && loop.now() < deadline) loop.run_one_turn(10ms);
        return predicate();
    }
    // A well-behaved client's view: logs in, gets the map, stores and reads.
    protocol::ParsedMap check_alive(const Endpoint& node, std::string_view bucket = "default") {
        RawClient client(*iops, node);
        client.log_in("Administrator", "password", bucket);
        client.send(protocol::GetClusterConfigRequest{});
        REQUIRE(until([&] { return client.answers.size() == 4 || client.ended; }));
        REQUIRE(client.answers.size() == 4);
        for (const RawAnswer& answer : client.answers) CHECK(answer.status == Status::success);
        const protocol::ParsedMap map = protocol::parse_cluster_map(client.answers[3].value, "127.0.0.1");
        REQUIRE(map.map);
        return map;
    }

    EpollLoop loop;
    std::unique_ptr<IOPS> iops = loop.make_iops();
};

TEST_CASE("chaise-cluster: one line when it is ready, and a good end") {
    const int signal = GENERATE(SIGTERM, SIGINT);
    Fixture f;
    ClusterProcess cluster(
        {.arguments = {"--nodes", "3", "--replicas", "1", "--bucket", "travel", "--vbuckets", "128"}});
    const std::vector<Endpoint> nodes = endpoints_of(cluster.connection_string());
    REQUIRE(nodes.size() == 3);
    for (const Endpoint& node : nodes) {
        const protocol::ParsedMap map = f.check_alive(node, "travel");
        CHECK(map.map->vbucket_count() == 128);
        CHECK(map.map->replicas == 1);
        REQUIRE(map.map->kv.size() == 3);
        for (std::size_t i = 0; i < 3; ++i) CHECK(map.map->kv[i].port == nodes[i].port);
    }
    CHECK(cluster.stop(signal) == 0);
    CHECK(cluster.printed_later().empty());
}

TEST_CASE("chaise-cluster: what it does not understand it says, and does not start") {
    const auto [argument, said] = GENERATE(table<std::string, std::string>({
        {"--nodes 0", "nodes is 1 to 64"},
        {"--nodes 2 --replicas 2", "more nodes than replicas"},
        {"--vbuckets 1000", "power of two"},
        {"--bucket a/b", "a/b"},
        {"--nonsense", "--nonsense"},
        {"--replication-delay-ms -1", "--replication-delay-ms"},
        {"--replication-spread-ms x", "--replication-spread-ms"},
        {"--persistence-spread-ms -1", "--persistence-spread-ms"},
        {"--config-delay-ms -1", "--config-delay-ms"},
        {"--user ''", "username is empty"},
        {"--cccp perhaps", "--cccp"},
        {"--terse-streams 2", "--terse-streams"},
        {"--seed x", "--seed"},
        {"--seed -1", "--seed"},
        {"--bucket-type disk", "--bucket-type"},
        {"--bucket-type disk", "{couchbase,ephemeral,memcached}"},
        {"--bucket-type 1", "{couchbase,ephemeral,memcached}"},
        {"--nodes 2 --groups a b", "b"},
        {"--bucket-type memcached --nodes 2 --replicas 1", "--bucket-type memcached"},
        {"--bucket-type memcached --vbuckets 64", "--bucket-type memcached"},
        {"--bucket-type ephemeral --persistence-delay-ms 5", "--bucket-type ephemeral"},
        {"--bucket '' --bucket-type ephemeral", "an empty --bucket"},
        {"--nodes 3 --groups a,b", "a server group for each node"},
        {"--nodes 2 --groups a,", "server group"},
        {"--external-ports own", "--external-address"},
        {"--external-address x --external-ports some", "--external-ports"},
        {"--external-address x --external-ports some", "{own,same,translated}"},
        {"--external-address 'a b'", "the external address is no host"},
        {"--internal-address 10.0.0.1:11210", "the internal address is no host"},
    }));
    CAPTURE(argument);
    // A program that starts all the same is ended; that is status 124.
    const std::string command = "exec timeout 5 \"$(dirname \"$(readlink -f /proc/" + std::to_string(getpid()) +
                                "/exe)\")\"/chaise-cluster " + argument + " 2>&1 >/dev/null";
    FILE* const errors = popen(command.c_str(), "r");
    REQUIRE(errors);
    std::string printed(4000, '\0');
    printed.resize(std::fread(printed.data(), 1, printed.size(), errors));
    const int status = pclose(errors);
    CHECK_THAT(printed, Catch::Contains(said));
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) != 0);
    CHECK(WEXITSTATUS(status) < 124);
}

TEST_CASE("chaise-cluster: groups, addresses and the seed, as maps tell them") {
    Fixture f;
    const std::vector<std::string> arguments = {"--nodes",
                                                "2",
                                                "--groups",
                                                "east,west",
                                                "--internal-address",
                                                "inner.test",
                                                "--external-address",
                                                "127.0.0.1",
                                                "--external-ports",
                                                "translated",
                                                "--seed",
                                                "7"};
    const auto map_now = [&] {
        const ClusterProcess cluster({.arguments = arguments});
        const std::vector<Endpoint> nodes = endpoints_of(cluster.connection_string());
        const protocol::ClusterMap map = *f.check_alive(nodes.at(0)).map;
        REQUIRE(map.nodes.size() == 2);
        for (std::size_t i = 0; i < 2; ++i) {
            CHECK(map.nodes[i].server_group == arguments[3].substr(i * 5, 4));
            CHECK(map.nodes[i].endpoint(protocol::Service::kv, "default", false) ==
                  protocol::Endpoint{"inner.test", 11210});
            CHECK(map.nodes[i].endpoint(protocol::Service::kv, "external", false) ==
                  protocol::Endpoint{"127.0.0.1", nodes.at(i).port});
        }
        return map;
    };
    const protocol::ClusterMap first = map_now(), again = map_now();
    CHECK(first.nodes[0].uuid == again.nodes[0].uuid);
    CHECK(first.nodes[0].uuid != first.nodes[1].uuid);
    const ClusterProcess other({.arguments = {"--seed", "8"}});
    CHECK(f.check_alive(endpoints_of(other.connection_string()).at(0)).map->nodes.at(0).uuid != first.nodes[0].uuid);
}

TEST_CASE("chaise-cluster: types of buckets, and maps that key-value connections do not give") {
    Fixture f;
    const auto [type, locator] = GENERATE(table<std::string, protocol::ClusterMap::Locator>({
        {"couchbase", protocol::ClusterMap::Locator::vbucket},
        {"ephemeral", protocol::ClusterMap::Locator::vbucket},
        {"memcached", protocol::ClusterMap::Locator::ketama},
    }));
    {
        const ClusterProcess cluster({.arguments = {"--nodes", "2", "--bucket-type", type, "--cccp", "on"}});
        const protocol::ParsedMap map = f.check_alive(endpoints_of(cluster.connection_string()).at(0));
        CHECK(map.map->locator == locator);
        CHECK(map.map->has_capability("couchapi") == (type == "couchbase"));
    }
    const ClusterProcess mute({.arguments = {"--bucket-type", type, "--cccp", "off", "--terse-streams", "off"}});
    RawClient client(*f.iops, endpoints_of(mute.connection_string()).at(0));
    client.log_in("Administrator", "password", "default");
    client.send(protocol::GetClusterConfigRequest{});
    REQUIRE(f.until([&] { return client.answers.size() == 4 || client.ended; }));
    REQUIRE(client.answers.size() == 4);
    CHECK(client.answers[2].status == Status::success);
    CHECK(client.answers[3].status != Status::success);
}

TEST_CASE("chaise-cluster: the delays of its options") {
    Fixture f;
    const ClusterProcess cluster(
        {.arguments = {"--nodes", "2", "--replicas", "1", "--vbuckets", "1", "--replication-delay-ms", "300"}});
    const std::vector<Endpoint> nodes = endpoints_of(cluster.connection_string());
    RawClient active(*f.iops, nodes[0]);
    RawClient replica(*f.iops, nodes[1]);
    for (RawClient* client : {&active, &replica}) client->log_in("Administrator", "password", "default");
    REQUIRE(f.until([&] { return active.answers.size() == 3 && replica.answers.size() == 3; }));
    const auto read_replica = [&] {
        replica.answers.clear();
        replica.send(protocol::GetRequest{.key = "k", .opcode = protocol::Opcode::get_replica});
        REQUIRE(f.until([&] { return !replica.answers.empty(); }));
        return replica.answers[0].status;
    };
    const TimePoint before = f.loop.now();
    active.send(protocol::StoreRequest{.key = "k", .value = "v"});
    REQUIRE(f.until([&] { return active.answers.size() == 4; }));
    REQUIRE(active.answers[3].status == Status::success);
    CHECK(read_replica() == Status::key_enoent);
    REQUIRE(f.until([&] { return read_replica() == Status::success; }));
    CHECK(f.loop.now() - before >= 290ms);
}

TEST_CASE("chaise-cluster: hostile clients lose their connections, and nobody else loses anything") {
    Fixture f;
    ClusterProcess cluster({.arguments = {"--nodes", "2", "--vbuckets", "64"}});
    const std::vector<Endpoint> nodes = endpoints_of(cluster.connection_string());
    const protocol::ParsedMap map = f.check_alive(nodes[0]);
    const Endpoint management{"127.0.0.1", map.map->nodes.at(0).ports.port(protocol::Service::management, false)};
    REQUIRE(management.port != 0);

    // One who works all the time.
    RawClient good(*f.iops, nodes[0]);
    good.log_in("Administrator", "password", "default");
    REQUIRE(f.until([&] { return good.answers.size() == 3; }));
    const auto good_works = [&] {
        good.answers.clear();
        good.send(protocol::NoopRequest{});
        REQUIRE(f.until([&] { return !good.answers.empty() || good.ended; }));
        REQUIRE(good.answers.size() == 1);
        CHECK(good.answers[0].status == Status::success);
    };
    good_works();

    std::mt19937 random(20'240'101);
    const auto draw = [&](std::uint32_t below) { return static_cast<std::uint32_t>(random() % below); };
    const auto noise = [&](std::size_t size) {
        std::string bytes(size, '\0');
        for (char& byte : bytes) byte = static_cast<char>(draw(256));
        return bytes;
    };
    // A conversation that is right, to be damaged.
    const auto session = [&] {
        std::string bytes;
        const auto add = [&](const auto& request) {
            const std::size_t size = encoded_size(request);
            bytes.resize(bytes.size() + size);
            encode(request, bytes.data() + bytes.size() - size);
        };
        const protocol::Feature features[] = {protocol::Feature::xerror, protocol::Feature::collections,
                                              protocol::Feature::alt_request, protocol::Feature::snappy};
        add(protocol::HelloRequest{.agent = "x", .features = features});
        add(protocol::SaslAuthRequest{.mechanism = "PLAIN", .data = std::string_view("\0Administrator\0password", 23)});
        add(protocol::SelectBucketRequest{.bucket = "default"});
        for (std::uint16_t vbucket = 0; vbucket < 8; ++vbucket) {
            const protocol::RequestContext context{.vbucket = vbucket, .collection = 0};
            add(protocol::StoreRequest{.context = context, .key = "key", .value = "value"});
            add(protocol::GetRequest{.context = context, .key = "key"});
            add(protocol::CounterRequest{.context = context, .key = "count"});
            add(protocol::GetLockedRequest{.context = context, .key = "key", .lock_time = 1});
        }
        add(protocol::GetClusterConfigRequest{});
        add(protocol::StatRequest{});
        return bytes;
    }();

    std::vector<std::unique_ptr<RawClient>> clients;
    const auto attack = [&](const Endpoint& where, std::string bytes) {
        clients.push_back(std::make_unique<RawClient>(*f.iops, where));
        clients.back()->frames = false;
        clients.back()->send_bytes(bytes);
        if (clients.size() < 50) return;
        REQUIRE(
            f.until([&] { return std::all_of(clients.begin(), clients.end(), [](auto& c) { return c->sent(); }); }));
        clients.clear();  // whatever they were about
        good_works();
    };
    for (int i = 0; i < 300; ++i) {
        attack(nodes[draw(2)], noise(draw(2000)));
        attack(nodes[draw(2)], "\x80" + noise(23 + draw(100)));
        std::string damaged = session;
        for (std::uint32_t change = 0; change <= draw(6); ++change) {
            damaged[draw(static_cast<std::uint32_t>(damaged.size()))] = static_cast<char>(draw(256));
        }
        attack(nodes[0], damaged);
        attack(nodes[0], session.substr(0, draw(static_cast<std::uint32_t>(session.size()))));
        attack(management, noise(draw(2000)));
        attack(management,
               "GET /pools/default/b/" + noise(draw(100)) + " HTTP/1.1\r\n" + noise(draw(300)) + "\r\n\r\n");
        std::string request =
            "GET /pools/default/bs/default HTTP/1.1\r\nAuthorization: Basic "
            "QWRtaW5pc3RyYXRvcjpwYXNzd29yZA==\r\nContent-Length: 10\r\n\r\n0123456789";
        request[draw(static_cast<std::uint32_t>(request.size()))] = static_cast<char>(draw(256));
        attack(management, request);
    }
    clients.clear();
    // A frame that announces more than there may be is not waited for.
    std::string huge(24, '\0');
    huge[0] = '\x80';
    huge[8] = '\x7f';
    RawClient announcing(*f.iops, nodes[0]);
    announcing.frames = false;
    announcing.send_bytes(huge);
    CHECK(f.until([&] { return announcing.ended; }));

    good_works();
    for (const Endpoint& node : nodes) f.check_alive(node);
    CHECK(cluster.stop(SIGTERM) == 0);
}

TEST_CASE("chaise-cluster: a client that does not read holds up nobody") {
    Fixture f;
    ClusterProcess cluster({.arguments = {"--vbuckets", "1"}});
    const Endpoint node = endpoints_of(cluster.connection_string()).at(0);
    // Stores a megabyte, then asks for it a thousand times, and looks at nothing.
    auto greedy = std::make_unique<RawClient>(*f.iops, node);
    greedy->log_in("Administrator", "password", "default");
    const std::string value(1'000'000, 'v');
    greedy->send(protocol::StoreRequest{.key = "large", .value = value});
    REQUIRE(f.until([&] { return greedy->answers.size() == 4; }));
    greedy->stop_reading();
    for (int i = 0; i < 1000; ++i) greedy->send(protocol::GetRequest{.key = "large"});
    for (int i = 0; i < 50; ++i) f.loop.run_one_turn(1ms);
    f.check_alive(node);

    const std::string status = "/proc/" + std::to_string(cluster.pid()) + "/statm";
    FILE* file = std::fopen(status.c_str(), "r");
    REQUIRE(file);
    unsigned long size = 0, resident = 0;
    CHECK(std::fscanf(file, "%lu %lu", &size, &resident) == 2);
    std::fclose(file);
    CHECK(resident * 4096 < 200'000'000);
    greedy.reset();
    f.check_alive(node);
    CHECK(cluster.stop(SIGTERM) == 0);
}

}  // namespace
}  // namespace chaise::testing
