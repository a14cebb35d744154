// A connection's life: HELLO, SASL, error map, bucket, cluster map, collections, statistics.

#include "kv_fixture.hpp"

#include "protocol/cluster_map.hpp"
#include "protocol/manifest.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

Status sasl(KvClient& client, std::string_view mechanism, std::string_view user, std::string_view password) {
    protocol::SaslClient sasl_client(mechanism, user, password, "0123456789abcdef0123456789abcdef");
    auto step = sasl_client.start();
    bool first = true;
    while (true) {
        REQUIRE(step.kind == protocol::SaslResult::Kind::send);
        const KvAnswer answer = first ? client.ask(protocol::SaslAuthRequest{{}, sasl_client.mechanism(), step.data})
                                      : client.ask(protocol::SaslStepRequest{{}, sasl_client.mechanism(), step.data});
        first = false;
        step = sasl_client.step(answer.status(), answer.value());
        if (answer.status() != Status::auth_continue) {
            // The server's signature was right, too.
            CHECK((step.kind == protocol::SaslResult::Kind::done) == (answer.status() == Status::success));
            return answer.status();
        }
    }
}

std::map<std::string, std::string> stats(KvClient& client, std::string_view group) {
    std::map<std::string, std::string> all;
    auto answers = client.send(protocol::encoded(protocol::StatRequest{.group = group}));
    REQUIRE_FALSE(answers.empty());
    for (const KvAnswer& answer : answers) {
        REQUIRE(answer.status() == Status::success);
        const auto entry = protocol::decode_stat(answer.frame);
        CHECK(entry.last == (&answer == &answers.back()));
        if (!entry.last) all[std::string(entry.key)] = std::string(entry.value);
    }
    return all;
}

}  // namespace

TEST_CASE("HELLO grants what is served", "[kv]") {
    KvCluster cluster;
    KvClient client(cluster.node(0));
    std::vector<Feature> all;
    for (std::uint16_t code = 0; code < 0x40; ++code)
        if (code != static_cast<std::uint16_t>(Feature::tcpdelay)) all.push_back(static_cast<Feature>(code));
    const KvAnswer answer = client.ask(protocol::HelloRequest{.agent = "a", .features = all});
    std::vector<int> codes;
    for (std::size_t i = 0; i < answer.frame.value.size(); i += 2)
        codes.push_back(protocol::load_be16(answer.frame.value.data() + i));
    CHECK(codes == std::vector<int>{0x03, 0x04, 0x06, 0x07, 0x08, 0x0a, 0x0b, 0x0c, 0x0e, 0x0f, 0x10, 0x11, 0x12,
                                    0x14, 0x15, 0x17, 0x18, 0x19, 0x1c, 0x1d, 0x1e, 0x1f, 0x20, 0x21, 0x23});
    // Each one starts anew.
    CHECK(client.ask(protocol::HelloRequest{.agent = "a", .features = {}}).value().empty());
    const Feature alone[] = {Feature::clustermap_change_notification};
    CHECK(client.ask(protocol::HelloRequest{.agent = "a", .features = alone}).status() == Status::einval);
    const Feature both[] = {Feature::tcp_nodelay, Feature::tcpdelay};
    CHECK(client.ask(protocol::HelloRequest{.agent = "a", .features = both}).status() == Status::einval);
}

TEST_CASE("SASL", "[kv]") {
    ClusterOptions options;
    options.users = {{"Administrator", "password", {}}, {"a,b=c", "p\xc3\xa4ss", {"default"}}};
    KvCluster cluster(1, {}, options);
    KvClient client(cluster.node(0));
    client.hello();
    CHECK(client.ask(protocol::SaslListMechsRequest{}).value() == "SCRAM-SHA512 SCRAM-SHA256 SCRAM-SHA1 PLAIN");
    for (const char* mechanism : {"SCRAM-SHA512", "SCRAM-SHA256", "SCRAM-SHA1", "PLAIN"}) {
        INFO(mechanism);
        CHECK(sasl(client, mechanism, "Administrator", "password") == Status::success);
        CHECK(sasl(client, mechanism, "a,b=c", "p\xc3\xa4ss") == Status::success);
        CHECK(client.ask(protocol::NoopRequest{}).status() == Status::success);
        CHECK(sasl(client, mechanism, "Administrator", "wrong") == Status::auth_error);
        CHECK(client.ask(protocol::NoopRequest{}).status() == Status::eaccess);  // what it was before is over
        CHECK(sasl(client, mechanism, "nobody", "password") == Status::auth_error);
    }
    const KvAnswer unknown = client.ask(protocol::SaslAuthRequest{.mechanism = "CRAM-MD5"});
    CHECK(unknown.status() == Status::auth_error);
    CHECK(protocol::decode_error_context(unknown.frame).context.find("SCRAM-SHA512") != std::string::npos);
    CHECK(client.ask(protocol::SaslStepRequest{.mechanism = "SCRAM-SHA1", .data = "c=biws"}).status() ==
          Status::einval);
    CHECK(
        client.ask(protocol::SaslAuthRequest{.mechanism = "SCRAM-SHA1", .data = "n,,n=Administrator,r=abc"}).status() ==
        Status::auth_continue);
    CHECK(client.ask(protocol::SaslAuthRequest{.mechanism = "PLAIN", .data = ""}).status() == Status::einval);
}

TEST_CASE("before authentication there is not much to say", "[kv]") {
    KvCluster cluster;
    KvClient client(cluster.node(0));
    client.hello();
    CHECK(client.ask(protocol::GetErrorMapRequest{}).status() == Status::success);
    CHECK(client.ask(protocol::GetRequest{client.at(0), "k"}).status() == Status::eaccess);
    CHECK(client.ask(protocol::SelectBucketRequest{.bucket = "default"}).status() == Status::eaccess);
    CHECK(client.ask(protocol::GetClusterConfigRequest{}).status() == Status::eaccess);
    CHECK_FALSE(client.outlet.closed);
    SECTION("who doesn't know that status is cut off") {
        KvClient old(cluster.node(0));
        CHECK(old.send(protocol::encoded(protocol::NoopRequest{})).empty());
        CHECK(old.outlet.closed);
    }
}

TEST_CASE("the error map", "[kv]") {
    KvCluster cluster;
    KvClient client(cluster.node(0));
    client.hello();
    for (std::uint16_t version = 1; version <= 3; ++version) {
        const KvAnswer answer = client.ask(protocol::GetErrorMapRequest{.version = version});
        const auto map = protocol::decode_error_map(answer.value());
        REQUIRE(map);
        CHECK(map->version == std::min<int>(version, 2));
        REQUIRE(map->find(Status::locked) != nullptr);
        CHECK(map->find(Status::locked)->attributes == protocol::attributes(Status::locked));
        CHECK(protocol::has(map->find(Status::expiry_overflow)->attributes, protocol::ErrorAttribute::no_retry) ==
              (version >= 2));
    }
    CHECK(client.ask(protocol::GetErrorMapRequest{.version = 0}).status() == Status::key_enoent);
    CHECK(client.ask(protocol::GetErrorMapRequest{.context = {.vbucket = 1}}).status() == Status::einval);
}

TEST_CASE("selecting a bucket", "[kv]") {
    ClusterOptions options;
    options.users.push_back({"joe", "secret", {"other"}});
    KvCluster cluster(1, {}, options);
    cluster.state->create_bucket({.name = "other"});
    KvClient client(cluster.node(0));
    client.hello().login();
    CHECK(client.ask(protocol::GetRequest{client.at(0), "k"}).status() == Status::no_bucket);
    CHECK(client.ask(protocol::ListBucketsRequest{}).value() == "default other");
    CHECK(client.ask(protocol::SelectBucketRequest{.bucket = "nothing"}).status() == Status::eaccess);
    CHECK(client.ask(protocol::SelectBucketRequest{.bucket = std::string(101, 'x')}).status() == Status::einval);
    client.select("other");
    CHECK(client.ask(protocol::StoreRequest{client.at(1), Opcode::set, "k", "v"}).status() == Status::success);
    client.select("default");
    CHECK(client.ask(protocol::GetRequest{client.at(1), "k"}).status() == Status::key_enoent);
    client.select("@no bucket@");
    CHECK(client.ask(protocol::GetRequest{client.at(1), "k"}).status() == Status::no_bucket);

    SECTION("a user sees what is his") {
        KvClient joe(cluster.node(0));
        joe.hello().login("joe", "secret");
        CHECK(joe.ask(protocol::ListBucketsRequest{}).value() == "other");
        CHECK(joe.ask(protocol::SelectBucketRequest{.bucket = "default"}).status() == Status::eaccess);
        joe.select("other");
    }
    SECTION("one that this node has not heard of") {
        cluster.state->set_config_delay(0, paused);
        cluster.state->create_bucket({.name = "late"});
        CHECK(client.ask(protocol::SelectBucketRequest{.bucket = "late"}).status() == Status::key_enoent);
        cluster.state->set_config_delay(0, 1s);
        cluster.world.run_for(1s);
        client.select("late");
    }
    SECTION("its deletion closes the connection, and another of its name is empty") {
        client.select("other");
        cluster.state->delete_bucket("other");
        CHECK(client.outlet.closed);
        cluster.state->create_bucket({.name = "other"});
        KvClient again(cluster.node(0));
        again.hello().login().select("other");
        CHECK(again.ask(protocol::GetRequest{again.at(1), "k"}).status() == Status::key_enoent);
    }
}

TEST_CASE("the cluster map over key-value", "[kv]") {
    KvCluster cluster(3, {.vbuckets = 64, .replicas = 2});
    KvClient client(cluster.node(1));
    client.hello().login();
    const auto parse = [](const KvAnswer& answer) {
        REQUIRE(answer.status() == Status::success);
        const auto parsed = protocol::parse_cluster_map(answer.value(), "node0");
        INFO(parsed.error);
        REQUIRE(parsed.map);
        return parsed.map;
    };
    const auto cluster_level = parse(client.ask(protocol::GetClusterConfigRequest{}));
    CHECK(cluster_level->locator == protocol::ClusterMap::Locator::none);
    CHECK(cluster_level->nodes.size() == 3);

    client.select();
    const KvAnswer answer = client.ask(protocol::GetClusterConfigRequest{});
    CHECK(answer.frame.datatype == protocol::datatype::json);
    const auto map = parse(answer);
    CHECK(map->name == "default");
    CHECK(map->vbucket_count() == 64);
    CHECK(map->replicas == 2);
    REQUIRE(map->kv.size() == 3);
    CHECK(map->kv[2] == protocol::Endpoint{"node2", 11002});
    CHECK(map->nodes[1].this_node);
    CHECK_FALSE(map->nodes[0].this_node);
    CHECK(map->has_capability("durableWrite"));
    CHECK(map->has_capability("subdoc.ReplicaRead"));
    CHECK_FALSE(map->has_capability("rangeScan"));
    std::map<std::int16_t, int> actives, replicas;
    for (std::uint16_t vbucket = 0; vbucket < 64; ++vbucket) {
        ++actives[map->server(vbucket)];
        for (unsigned copy = 1; copy <= 2; ++copy) {
            ++replicas[map->server(vbucket, copy)];
            CHECK(map->server(vbucket, copy) != map->server(vbucket));
        }
        CHECK(map->server(vbucket, 1) != map->server(vbucket, 2));
        CHECK(cluster.node(static_cast<std::size_t>(map->server(vbucket))).vbucket("default", vbucket)->state() ==
              VBucketState::active);
    }
    CHECK(actives.size() == 3);
    for (const auto& [server, count] : actives) CHECK((count == 21 || count == 22));
    CHECK(replicas.size() == 3);
    for (const auto& [server, count] : replicas) CHECK((count == 42 || count == 43));

    const auto known = [&](protocol::ConfigRevision revision) {
        return client.ask(protocol::GetClusterConfigRequest{.known = revision});
    };
    const protocol::ConfigRevision current = *map->revision();
    CHECK(known(current).value().empty());
    CHECK(known({current.epoch, current.revision + 1}).value().empty());
    CHECK_FALSE(known({current.epoch, current.revision - 1}).value().empty());
    CHECK_FALSE(known({current.epoch - 1, current.revision + 9}).value().empty());
    SECTION("new ports, new revision") {
        cluster.state->set_ports(2, {12345, 1});
        const auto next = parse(known(current));
        CHECK(*next->revision() > current);
        CHECK(next->kv[2].port == 12345);
        cluster.state->set_ports(2, {12345, 1});
        CHECK(known(*next->revision()).value().empty());
    }
}

TEST_CASE("nodes without a hostname", "[kv]") {
    ClusterState state;
    state.add_node("");
    state.set_ports(0, {11210, 8091});
    state.create_bucket({.vbuckets = 64, .replicas = 0});
    const auto config = state.bucket_config("default");
    const std::string literal = to_json(*config, 0);
    CHECK(literal.find(R"("serverList":["$HOST:11210"])") != std::string::npos);
    CHECK(literal.find(R"("hostname":"$HOST")") == std::string::npos);  // absent from nodesExt
    CHECK(to_json(*config, 0, "::1").find(R"("serverList":["[::1]:11210"])") != std::string::npos);
    CHECK_THROWS_AS(state.create_bucket({.name = "bad name"}), std::invalid_argument);
    CHECK_THROWS_AS(state.create_bucket({.name = "default"}), std::invalid_argument);
    CHECK_THROWS_AS(state.create_bucket({.name = "b", .vbuckets = 100}), std::invalid_argument);
    CHECK_THROWS_AS(state.create_bucket({.name = "b", .replicas = 4}), std::invalid_argument);
    CHECK_THROWS_AS(state.failover(0), std::logic_error);
}

TEST_CASE("pushed maps", "[kv]") {
    KvCluster cluster(2);
    const auto client_with = [&](std::vector<Feature> features) {
        auto client = std::make_unique<KvClient>(cluster.node(0));
        features.push_back(Feature::duplex);
        features.push_back(Feature::json);
        client->hello(features).login().select();
        return client;
    };
    const auto full = client_with({Feature::clustermap_change_notification});
    const auto brief =
        client_with({Feature::clustermap_change_notification, Feature::clustermap_change_notification_brief});
    const auto neither = client_with({});
    cluster.state->set_ports(1, {4711, 0});
    const auto revision = cluster.state->bucket_config("default")->revision;
    const auto check = [&](KvClient& client, bool with_map) {
        const auto pushes = client.take();
        REQUIRE(pushes.size() == 1);
        CHECK(pushes[0].frame.magic == protocol::Magic::server_request);
        const auto push = protocol::decode_config_push(pushes[0].frame);
        REQUIRE(push);
        CHECK(push->bucket == "default");
        CHECK(push->revision == revision);
        CHECK(push->config.empty() != with_map);
        if (with_map) CHECK(protocol::parse_cluster_map(push->config, "node0").map->kv[1].port == 4711);
        // The client may answer.
        CHECK(client.send(protocol::encoded(protocol::PushResponse{.opaque = pushes[0].frame.opaque})).empty());
        CHECK_FALSE(client.outlet.closed);
    };
    check(*full, true);
    check(*brief, false);
    CHECK(neither->take().empty());
    // Only the bucket's own.
    cluster.state->create_bucket({.name = "other"});
    CHECK(full->take().empty());
    CHECK(brief->take().empty());
}

TEST_CASE("collections", "[kv]") {
    KvCluster cluster;
    protocol::CollectionsManifest manifest = default_manifest();
    manifest.uid = 0x1f;
    protocol::CollectionsManifest::Scope scope{"inventory", 9, {}};
    scope.collections.push_back({"airline", 0x80, {}, {}});
    scope.collections.push_back({"shortlived", 0x81, 10, {}});
    manifest.scopes.push_back(scope);
    cluster.state->set_manifest("default", manifest);
    KvUser user(cluster, 0);
    const auto decoded = protocol::decode_manifest(user.ask(protocol::GetManifestRequest{}).value());
    REQUIRE(decoded);
    CHECK(decoded->uid == 0x1f);
    REQUIRE(decoded->scopes.size() == 2);
    CHECK(decoded->scopes[1].collections[1].max_ttl == 10);

    const auto id = [&](std::string_view path) { return user.ask(protocol::GetCollectionIdRequest{{}, path}); };
    const KvAnswer airline = id("inventory.airline");
    CHECK(protocol::decode_collection_id(airline.frame)->id == 0x80);
    CHECK(protocol::decode_collection_id(airline.frame)->manifest_uid == 0x1f);
    for (const char* path : {"_default._default", ".", "_default.", "._default"})
        CHECK(protocol::decode_collection_id(id(path).frame)->id == 0);
    CHECK(id("inventory.x").status() == Status::unknown_collection);
    CHECK(protocol::decode_error_context(id("inventory.x").frame).manifest_uid == 0x1f);
    CHECK(id("x.airline").status() == Status::unknown_scope);
    CHECK(id("x").status() == Status::einval);
    CHECK(id("a.b.c").status() == Status::einval);
    const KvAnswer scope_id = user.ask(protocol::GetScopeIdRequest{{}, "inventory"});
    CHECK(protocol::decode_collection_id(scope_id.frame)->id == 9);
    CHECK(user.ask(protocol::GetScopeIdRequest{{}, "x"}).status() == Status::unknown_scope);

    protocol::RequestContext context = user.to("k");
    user.set("k", "default's");
    context.collection = 0x80;
    CHECK(user.ask(protocol::GetRequest{context, "k"}).status() == Status::key_enoent);
    CHECK(user.ask(protocol::StoreRequest{context, Opcode::set, "k", "airline's"}).status() == Status::success);
    CHECK(user.ask(protocol::GetRequest{context, "k"}).value() == "airline's");
    CHECK(user.get("k").value() == "default's");
    CHECK(stats(user, "collections")["0x9:0x80:items"] == "1");
    // Documents of a collection with a limit live no longer than that.
    context.collection = 0x81;
    user.ask(protocol::StoreRequest{context, Opcode::set, "k", "v", 0, 1000});
    CHECK(protocol::decode_get_meta(user.ask(protocol::GetMetaRequest{context, "k", 1}).frame)->expiry ==
          1'700'000'010);
}

TEST_CASE("statistics", "[kv]") {
    KvCluster cluster(2, {.vbuckets = 64});
    KvUser user(cluster, cluster.active("k"));
    user.set("k", "v");
    user.get("k");
    auto general = stats(user, "");
    CHECK(general["curr_items"] == "1");
    CHECK(general["cmd_set"] == "1");
    CHECK(general["get_hits"] == "1");
    CHECK(general["curr_connections"] == "1");
    const std::string vb = "vb_" + std::to_string(cluster.vbucket_of("k"));
    CHECK(stats(user, "vbucket").size() == 64);
    CHECK(stats(user, "vbucket")[vb] == "active");
    CHECK(stats(user, "vbucket-seqno " + std::to_string(cluster.vbucket_of("k")))[vb + ":high_seqno"] == "1");
    CHECK(stats(user, "failovers")[vb + ":num_entries"] == "1");
    const std::string key = "key k " + std::to_string(cluster.vbucket_of("k"));
    CHECK(stats(user, key)["key_flags"] == std::to_string(0xcafe));
    CHECK(stats(user, key)["key_is_dirty"] == "false");
    CHECK(user.ask(protocol::StatRequest{.group = "nonsense"}).status() == Status::key_enoent);
    CHECK(user.ask(protocol::StatRequest{.group = "key x 1"}).status() != Status::success);
}

TEST_CASE("the server's time is told", "[kv]") {
    KvCluster cluster;
    KvUser user(cluster, 0, {Feature::xerror, Feature::tracing, Feature::alt_request});
    const KvAnswer answer = user.set("k", "v");
    CHECK(answer.frame.magic == protocol::Magic::alt_client_response);
    const auto infos = protocol::decode_response_frame_infos(answer.frame.framing_extras);
    REQUIRE(infos);
    CHECK(infos->server_duration == 0);  // no time passes in a simulated handler
    CHECK(user.get("other").frame.magic == protocol::Magic::alt_client_response);
}

TEST_CASE("quit", "[kv]") {
    KvCluster cluster;
    KvUser user(cluster, 0);
    CHECK(user.ask(protocol::VersionRequest{}).value() == "7.6.0-chaise");
    CHECK(user.ask(protocol::QuitRequest{}).status() == Status::success);
    CHECK(user.outlet.closed);
    KvUser quiet(cluster, 0);
    CHECK(quiet.silent(protocol::QuitRequest{{}, Opcode::quitq}) == 0);
    CHECK(quiet.outlet.closed);
}
