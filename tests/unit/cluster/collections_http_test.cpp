// Scopes and collections, made and dropped as an administrator does it.

#include "kv_fixture.hpp"

#include <chaise/testing/local_cluster.hpp>

#include <stdexcept>

#include "cluster/http/cluster_http.hpp"
#include "protocol/base64.hpp"
#include "protocol/manifest.hpp"

namespace chaise::testing {
namespace {

using Catch::Matchers::Contains;
using namespace std::chrono_literals;

constexpr const char* scopes = "/pools/default/buckets/default/scopes";

struct Rest {
    explicit Rest(KvNode& node) : http(node, designs) {}
    HttpResponse operator()(std::string method, const std::string& below, std::string body = {},
                            const std::string& user = "Administrator:password") {
        HttpRequest request{.method = std::move(method), .target = scopes + below, .body = std::move(body)};
        if (!user.empty()) request.headers.push_back({"Authorization", "Basic " + protocol::base64_encode(user)});
        return http.answer(request);
    }
    [[nodiscard]] protocol::CollectionsManifest manifest() {
        const auto decoded = protocol::decode_manifest((*this)("GET", "").body);
        REQUIRE(decoded);
        return *decoded;
    }
    DesignDocuments designs;
    ClusterHttp http;
};

std::optional<std::uint32_t> id_of(KvUser& user, std::string_view path) {
    const KvAnswer answer = user.ask(protocol::GetCollectionIdRequest{{}, path});
    if (answer.status() != Status::success) return std::nullopt;
    return protocol::decode_collection_id(answer.frame)->id;
}

TEST_CASE("collections over HTTP: made, dropped, made again") {
    KvCluster cluster;
    Rest rest(*cluster.nodes[0]);
    KvUser user(cluster, 0);
    CHECK(rest.manifest().uid == 0);
    HttpResponse made = rest("POST", "", "name=inventory");
    CHECK(made.status == 200);
    CHECK(made.body == R"({"uid":"1"})");
    CHECK(rest("POST", "/inventory/collections", "name=air%2Dline&maxTTL=60").body == R"({"uid":"2"})");
    const auto manifest = rest.manifest();
    CHECK(manifest.uid == 2);
    REQUIRE(manifest.scopes.size() == 2);
    REQUIRE(manifest.scopes[1].collections.size() == 1);
    CHECK(manifest.scopes[1].collections[0].name == "air-line");
    CHECK(manifest.scopes[1].collections[0].max_ttl == 60);

    const auto first = id_of(user, "inventory.air-line");
    REQUIRE(first);
    CHECK(*first >= 8);
    protocol::RequestContext context = user.to("k");
    context.collection = *first;
    CHECK(user.ask(protocol::StoreRequest{context, protocol::Opcode::set, "k", "old"}).status() == Status::success);
    user.set("k", "default's");

    CHECK(rest("DELETE", "/inventory/collections/air-line").body == R"({"uid":"3"})");
    CHECK_FALSE(id_of(user, "inventory.air-line"));
    const KvAnswer gone = user.ask(protocol::GetRequest{context, "k"});
    CHECK(gone.status() == Status::unknown_collection);
    CHECK(protocol::decode_error_context(gone.frame).manifest_uid == 3);
    CHECK(rest("POST", "/inventory/collections", "name=air-line").status == 200);
    const auto second = id_of(user, "inventory.air-line");
    REQUIRE(second);
    CHECK(*second != *first);
    CHECK(user.ask(protocol::GetRequest{context, "k"}).status() == Status::unknown_collection);
    context.collection = *second;
    CHECK(user.ask(protocol::GetRequest{context, "k"}).status() == Status::key_enoent);
    CHECK(user.get("k").value() == "default's");

    // The scope goes with what is in it.
    CHECK(rest("DELETE", "/inventory").body == R"({"uid":"5"})");
    CHECK(user.ask(protocol::GetCollectionIdRequest{{}, "inventory.air-line"}).status() == Status::unknown_scope);
    CHECK(user.ask(protocol::GetRequest{context, "k"}).status() == Status::unknown_collection);
}

TEST_CASE("collections: what is dropped takes no memory, and does not come back with the disk") {
    KvCluster cluster;
    KvUser user(cluster, 0);
    cluster.state->create_collection("default", "_default", "c");
    protocol::RequestContext context = user.to("k");
    context.collection = id_of(user, ".c");
    REQUIRE(context.collection);
    CHECK(user.ask(protocol::StoreRequest{context, protocol::Opcode::set, "k", "v"}).status() == Status::success);
    VBucket* copy = cluster.nodes[0]->vbucket("default", context.vbucket);
    REQUIRE(copy);
    cluster.world.run_for(1s);
    const std::string uuid = cluster.state->bucket_config("default")->uuid;
    const auto& disk = cluster.state->disk(0).buckets.at(uuid).at(context.vbucket).documents;
    CHECK(copy->documents() == 1);
    CHECK(disk.size() == 1);
    cluster.state->drop_collection("default", "_default", "c");
    CHECK(copy->documents() == 0);
    CHECK(disk.empty());
}

TEST_CASE("collections: a replica keeps what it gets before it hears of the collection") {
    KvCluster cluster(2);
    const NodeId replica = cluster.replica("k");
    cluster.state->set_config_delay(replica, 10s);
    cluster.state->create_collection("default", "_default", "first");
    cluster.world.run_for(5s);
    cluster.state->create_collection("default", "_default", "second");
    KvUser user(cluster, cluster.active("k"));
    protocol::RequestContext context = user.to("k");
    context.collection = id_of(user, ".second");
    REQUIRE(context.collection);
    CHECK(user.ask(protocol::StoreRequest{context, protocol::Opcode::set, "k", "v"}).status() == Status::success);
    const auto kept = [&] { return cluster.node(replica).vbucket("default", context.vbucket)->documents(); };
    const auto believed = [&] { return cluster.node(replica).bucket_config("default")->manifest.uid; };
    cluster.world.run_for(1s);
    CHECK(kept() == 1);
    CHECK(believed() == 0);
    cluster.world.run_for(5s);  // to the manifest with the first, and not the second
    CHECK(believed() == 1);
    CHECK(kept() == 1);
    cluster.world.run_for(5s);
    CHECK(believed() == 2);
    CHECK(kept() == 1);
}

TEST_CASE("collections over HTTP: what is refused") {
    KvCluster cluster;
    Rest rest(*cluster.nodes[0]);
    REQUIRE(rest("POST", "", "name=s").status == 200);
    REQUIRE(rest("POST", "/s/collections", "name=c").status == 200);
    const auto refused = [&](const char* method, const std::string& below, const std::string& body, int status,
                             const char* why) {
        const HttpResponse answer = rest(method, below, body);
        INFO(method << ' ' << below << ' ' << body);
        CHECK(answer.status == status);
        CHECK_THAT(answer.body, Contains(why));
    };
    refused("POST", "", "name=s", 400, R"(Scope with name \"s\" already exists)");
    refused("POST", "/s/collections", "name=c", 400, R"(Collection with name \"c\" in scope \"s\" already exists)");
    refused("POST", "/x/collections", "name=c", 404, R"(Scope with name \"x\" is not found)");
    refused("DELETE", "/x", "", 404, "is not found");
    refused("DELETE", "/s/collections/x", "", 404, R"(Collection with name \"x\" in scope \"s\" is not found)");
    refused("DELETE", "/_default", "", 400, "not allowed");
    refused("DELETE", "/_default/collections/_default", "", 400, "not allowed");
    refused("POST", "", "", 400, "must be supplied");
    refused("POST", "", "name=", 400, "1 to 251");
    refused("POST", "", "name=" + std::string(252, 'a'), 400, "1 to 251");
    refused("POST", "", "name=_a", 400, "First character");
    refused("POST", "", "name=%25a", 400, "First character");
    refused("POST", "", "name=a.b", 400, "Can only contain");
    refused("POST", "", "name=a+b", 400, "Can only contain");
    refused("POST", "/s/collections", "name=d&maxTTL=x", 400, "integer");
    refused("POST", "/s/collections", "name=d&maxTTL=-2", 400, "maxTTL");
    CHECK(rest.manifest().uid == 2);
    CHECK(rest("POST", "", "name=" + std::string(251, 'a')).status == 200);

    CHECK(rest("PUT", "").status == 405);
    CHECK(rest("POST", "/s").status == 405);
    CHECK(rest("GET", "/s/else").status == 404);
    CHECK(rest("GET", "", {}, "").status == 401);
    cluster.state->add_user({"limited", "secret", {"default"}});
    CHECK(rest("GET", "", {}, "limited:secret").status == 200);
    CHECK(rest("POST", "", "name=t", "limited:secret").status == 403);
    cluster.state->add_user({"stranger", "secret", {"other"}});
    CHECK(rest("GET", "", {}, "stranger:secret").status == 403);
    cluster.state->create_bucket({.name = "ring", .type = BucketType::memcached, .vbuckets = 1, .replicas = 0});
    CHECK_THROWS_AS(cluster.state->create_scope("ring", "s"), std::invalid_argument);
    CHECK_THROWS_AS(cluster.state->create_scope("absent", "s"), std::out_of_range);
}

TEST_CASE("LocalCluster: scopes and collections, also of a cluster on its own thread") {
    const auto play = [](LocalCluster& cluster) {
        CHECK(cluster.create_scope("s") == 1);
        CHECK(cluster.create_collection("s", "c") == 2);
        CHECK(cluster.create_collection("_default", "d", "default", 30s) == 3);
        CHECK_THROWS_AS(cluster.create_scope("s"), std::invalid_argument);
        CHECK_THROWS_AS(cluster.create_collection("s", "c"), std::invalid_argument);
        CHECK_THROWS_AS(cluster.create_collection("absent", "c"), std::out_of_range);
        CHECK_THROWS_AS(cluster.create_scope("s", "absent"), std::out_of_range);
        CHECK(cluster.drop_collection("s", "c") == 4);
        CHECK_THROWS_AS(cluster.drop_collection("s", "c"), std::out_of_range);
        CHECK(cluster.drop_scope("s") == 5);
        CHECK_THROWS_AS(cluster.drop_scope("s"), std::out_of_range);
        CHECK_THROWS_AS(cluster.drop_scope("_default"), std::invalid_argument);
    };
    const LocalClusterOptions options{.nodes = 2, .bucket = "default"};
    SimWorld world{1};
    LocalCluster simulated(world, options);
    play(simulated);
    LocalCluster threaded = LocalCluster::on_thread(options);
    play(threaded);
}

}  // namespace
}  // namespace chaise::testing
