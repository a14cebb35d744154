#include "cluster/http/cluster_http.hpp"

#include <chaise/testing/simulation.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base64.hpp"
#include "protocol/cluster_map.hpp"

namespace chaise::testing {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;

struct Sink final : HttpSink {
    void send(std::string_view part) override { parts.emplace_back(part); }
    void end() override { ended = true; }
    void cut() override { ended = true; }
    std::vector<std::string> parts;
    bool ended = false;
};

struct Fixture {
    Fixture() {
        for (std::uint16_t i = 0; i < 2; ++i) {
            const NodeId id = state->add_node({});
            nodes.push_back(std::make_unique<KvNode>(state, id, *iops));
            const auto port = [&](int first) { return static_cast<std::uint16_t>(first + i); };
            state->set_ports(id, {.kv = port(11210), .mgmt = port(8091)});
        }
        state->add_user({"limited", "secret", {"a%b"}});
        state->create_bucket({.name = "default", .replicas = 1});
        state->create_bucket({.name = "a%b", .replicas = 0});
        world.run_for(std::chrono::seconds{1});
        http = std::make_unique<ClusterHttp>(*nodes[0], designs);
    }
    [[nodiscard]] HttpResponse ask(std::string target, const std::string& user = "Administrator",
                                   const std::string& password = "password", std::string method = "GET") {
        HttpRequest request{.method = std::move(method), .target = std::move(target), .local_host = "192.0.2.1"};
        if (!user.empty()) {
            request.headers.push_back({"Authorization", "Basic " + protocol::base64_encode(user + ":" + password)});
        }
        return http->answer(request);
    }
    [[nodiscard]] HttpResponse ask_limited(std::string target) { return ask(std::move(target), "limited", "secret"); }

    SimWorld world{1};
    std::unique_ptr<IOPS> iops = world.make_iops("nodes");
    std::shared_ptr<ClusterState> state = std::make_shared<ClusterState>();
    std::vector<std::unique_ptr<KvNode>> nodes;
    DesignDocuments designs;
    std::unique_ptr<ClusterHttp> http;
};

// What the client reads out of it.
protocol::ClusterMap map_of(const std::string& json) {
    const protocol::ParsedMap result = protocol::parse_cluster_map(json, "192.0.2.1");
    INFO(result.error);
    REQUIRE(result.map != nullptr);
    return *result.map;
}

TEST_CASE("ClusterHttp: the map of a bucket") {
    Fixture f;
    const HttpResponse response = f.ask("/pools/default/b/default");
    CHECK(response.status == 200);
    CHECK(response.content_type == "application/json");
    const protocol::ClusterMap map = map_of(response.body);
    CHECK(map.name == "default");
    CHECK(map.replicas == 1);
    REQUIRE(map.kv.size() == 2);
    CHECK(map.kv[0] == protocol::Endpoint{"192.0.2.1", 11210});
    CHECK(map.kv[1] == protocol::Endpoint{"192.0.2.1", 11211});
    CHECK(map.nodes.at(0).this_node);
    CHECK_FALSE(map.nodes.at(1).this_node);

    const protocol::ClusterMap other = map_of(f.ask("/pools/default/b/a%25b?bucket_uuid=x").body);
    CHECK(other.name == "a%b");
    CHECK(other.replicas == 0);
}

TEST_CASE("ClusterHttp: the older documents can be read as maps, too") {
    Fixture f;
    const HttpResponse one = f.ask("/pools/default/buckets/default");
    CHECK(map_of(one.body).kv.size() == 2);
    CHECK_THAT(one.body, Contains(R"("replicaNumber":1)") && Contains(R"("authType":"sasl")"));
    const HttpResponse all = f.ask("/pools/default/buckets");
    CHECK(all.body.front() == '[');
    CHECK(all.body.back() == ']');
    CHECK_THAT(all.body, Contains(R"("name":"default")") && Contains(R"("name":"a%b")"));
    const HttpResponse limited = f.ask_limited("/pools/default/buckets");
    CHECK_THAT(limited.body, !Contains(R"("name":"default")") && Contains(R"("name":"a%b")"));
    REQUIRE(f.state->delete_bucket("default"));
    REQUIRE(f.state->delete_bucket("a%b"));
    CHECK(f.ask("/pools/default/buckets").body == "[]");
}

TEST_CASE("ClusterHttp: nodes and services") {
    Fixture f;
    const protocol::ClusterMap map = map_of(f.ask("/pools/default/nodeServices").body);
    CHECK(map.locator == protocol::ClusterMap::Locator::none);
    REQUIRE(map.nodes.size() == 2);
    CHECK(map.nodes[1].ports.port(protocol::Service::management, false) == 8092);

    CHECK_THAT(f.ask("/pools").body, Contains(R"("uri":"/pools/default")") && Contains(R"("isAdminCreds":true)"));
    CHECK_THAT(f.ask_limited("/pools").body, Contains(R"("isAdminCreds":false)"));
    const std::string pool = f.ask("/pools/default").body;
    CHECK_THAT(pool, Contains(R"("hostname":"192.0.2.1:8092")") && Contains(R"("ports":{"direct":11211})"));
    CHECK_THAT(pool, !Contains("unhealthy"));
    CHECK_THAT(pool, Contains(R"("serverGroupsUri":"/pools/default/serverGroups")"));
    CHECK_THAT(pool, Contains(R"("serverGroup":"Group 1")") && !Contains("alternateAddresses"));
    f.nodes[1].reset();
    CHECK_THAT(f.ask("/pools/nodes").body, Contains("unhealthy") && Contains(R"("name":"nodes")"));
}

TEST_CASE("ClusterHttp: server groups and external addresses, wherever nodes are told") {
    Fixture f;
    const NodeId far = f.state->add_node("inner", "far \"away\"");
    f.state->set_ports(far, {.kv = 4000, .mgmt = 4001});
    f.state->set_addresses(far, {.external = "outer", .ports = ExternalPorts::translated});
    const std::string group = R"("serverGroup":"far \"away\"")";
    const std::string outer =
        R"("alternateAddresses":{"external":{"hostname":"outer","ports":{"mgmt":4001,"kv":4000}}})";
    for (const char* target : {"/pools/default", "/pools/nodes", "/pools/default/nodeServices",
                               "/pools/default/serverGroups", "/pools/default/b/default"}) {
        CAPTURE(target);
        CHECK_THAT(f.ask(target).body, Contains(group) && Contains(outer));
    }
    const protocol::ClusterMap map = map_of(f.ask("/pools/default/nodeServices").body);
    REQUIRE(map.nodes.size() == 3);
    CHECK(map.nodes[0].server_group == "Group 1");
    CHECK(map.nodes[0].alternates.empty());
    CHECK(map.nodes[2].server_group == "far \"away\"");
    CHECK(map.nodes[2].endpoint(protocol::Service::kv, "default", false) == protocol::Endpoint{"inner", 11210});
    CHECK(map.nodes[2].endpoint(protocol::Service::kv, "external", false) == protocol::Endpoint{"outer", 4000});
    // The terse document's old list of nodes has neither; the verbose one's has, once the node serves the bucket.
    const auto count = [&](const char* target, std::string_view text) {
        const std::string body = f.ask(target).body;
        std::size_t found = 0;
        for (auto at = body.find(text); at != std::string::npos; at = body.find(text, at + 1)) ++found;
        return found;
    };
    CHECK(count("/pools/default/b/default", R"("serverGroup")") == 3);
    CHECK(count("/pools/default/buckets/default", R"("serverGroup")") == 5);
    CHECK(count("/pools/default/serverGroups", R"("name":"Group 1")") == 1);
    CHECK(count("/pools/default/serverGroups", R"("uri":"/pools/default/serverGroups/)") == 2);
    f.state->set_addresses(far, {});
    CHECK_THAT(f.ask("/pools/default/b/default").body, !Contains("alternateAddresses"));
}

TEST_CASE("ClusterHttp: who may see what") {
    Fixture f;
    const auto status = [&](const char* target, const char* user, const char* password) {
        return f.ask(target, user, password).status;
    };
    for (const char* target :
         {"/pools/default", "/pools/nodes", "/pools/default/nodeServices", "/pools/default/b/default",
          "/pools/default/bs/default", "/pools/default/buckets", "/pools/default/b/absent"}) {
        CAPTURE(target);
        CHECK(status(target, "", "") == 401);
        CHECK(status(target, "Administrator", "wrong") == 401);
        CHECK(status(target, "nobody", "password") == 401);
    }
    CHECK(f.ask("/pools/default", "").headers.at(0).name == "WWW-Authenticate");
    CHECK(status("/pools", "", "") == 200);
    CHECK(status("/pools", "Administrator", "wrong") == 401);
    CHECK(f.ask_limited("/pools/default/b/a%25b").status == 200);
    CHECK(f.ask_limited("/pools/default/b/default").status == 403);
    CHECK(f.ask_limited("/pools/default/bs/default").status == 403);
    for (const char* target : {"/", "/other", "/pools/other", "/pools/default/other", "/pools/default/b",
                               "/pools/default/b/absent", "/pools/default/bs/absent", "/pools/default/x/default",
                               "/pools/default/buckets/absent", "/pools/default/b/default/more"}) {
        CAPTURE(target);
        CHECK(status(target, "Administrator", "password") == 404);
    }
    CHECK(f.ask("/pools/default", "Administrator", "password", "DELETE").status == 405);
    CHECK(f.ask("/pools/default", "Administrator", "password", "HEAD").status == 200);
}

TEST_CASE("ClusterHttp: a stream tells every new map, and ends with its bucket") {
    Fixture f;
    const char* target = GENERATE("/pools/default/bs/default", "/pools/default/bucketsStreaming/default");
    const HttpResponse response = f.ask(target);
    CHECK(response.status == 200);
    REQUIRE(response.stream);
    Sink sink;
    const std::unique_ptr<HttpStream> stream = response.stream(sink);
    REQUIRE(sink.parts.size() == 1);
    CHECK_THAT(sink.parts[0], EndsWith("}\n\n\n\n"));
    const protocol::ClusterMap before = map_of(sink.parts[0]);
    CHECK(before.kv.size() == 2);

    f.state->failover(1);
    f.world.run_for(std::chrono::seconds{1});
    REQUIRE(sink.parts.size() >= 2);
    const protocol::ClusterMap after = map_of(sink.parts.back());
    CHECK(after.kv.size() == 1);
    CHECK(after.rev > before.rev);
    CHECK_FALSE(sink.ended);

    // What happens to another bucket is not told.
    const std::size_t told = sink.parts.size();
    f.state->delete_bucket("a%b");
    f.world.run_for(std::chrono::seconds{1});
    CHECK(sink.parts.size() == told);
    f.state->delete_bucket("default");
    f.world.run_for(std::chrono::seconds{1});
    CHECK(sink.ended);
}

TEST_CASE("ClusterHttp: the stream of nodes, and streams that are dropped") {
    Fixture f;
    Sink sink;
    std::unique_ptr<HttpStream> stream = f.ask("/pools/default/nodeServicesStreaming").stream(sink);
    REQUIRE(sink.parts.size() == 1);
    CHECK(map_of(sink.parts[0]).nodes.size() == 2);
    f.state->set_ports(1, {.kv = 4000, .mgmt = 4001});
    f.world.run_for(std::chrono::seconds{1});
    REQUIRE(sink.parts.size() == 2);
    CHECK(map_of(sink.parts[1]).nodes.at(1).ports.port(protocol::Service::kv, false) == 4000);
    stream.reset();
    f.state->set_ports(1, {.kv = 4002, .mgmt = 4001});
    f.world.run_for(std::chrono::seconds{1});
    CHECK(sink.parts.size() == 2);
}

TEST_CASE("ClusterHttp: doFlush") {
    Fixture f;
    const char* target = "/pools/default/buckets/default/controller/doFlush";
    CHECK(f.ask(target, "", "", "POST").status == 401);
    CHECK(f.ask(target, "limited", "secret", "POST").status == 403);
    CHECK(f.ask(target).status == 405);
    CHECK(f.ask("/pools/default/buckets/absent/controller/doFlush", "Administrator", "password", "POST").status == 404);
    CHECK(f.ask("/pools/default/buckets/default/controller/other", "Administrator", "password", "POST").status == 404);

    const KvTime time{f.iops->now(), f.iops->wall_time()};
    VBucket* copy = nullptr;
    for (std::uint16_t i = 0; i < 64 && (!copy || copy->state() != VBucketState::active); ++i) {
        copy = f.nodes[0]->vbucket("default", i);
    }
    REQUIRE(copy);
    REQUIRE(copy->store(StoreMode::set, std::string("\0k", 2), "v", 0, 0, 0, {}, time).status ==
            protocol::Status::success);
    CHECK(f.ask(target, "Administrator", "password", "POST").status == 200);
    f.world.run_for(std::chrono::seconds{1});
    for (std::uint16_t i = 0; i < 64; ++i) {
        const VBucket* now = f.nodes[0]->vbucket("default", i);
        CHECK((now == nullptr || now->documents() == 0));
    }
}

}  // namespace
}  // namespace chaise::testing
