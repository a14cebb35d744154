// Durable writes on the cluster: when they are done, when they cannot be, and what stands in their way.

#include "kv_fixture.hpp"

#include "protocol/cluster_map.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::DurabilityLevel;

namespace {

std::string durable(KvUser& user, std::string_view key, std::string_view value, DurabilityLevel level,
                    std::optional<std::uint16_t> timeout = std::nullopt, std::uint32_t opaque = 7) {
    const protocol::RequestFrameInfo info[] = {protocol::RequestFrameInfo::durability(level, timeout)};
    protocol::RequestContext context = user.to(key);
    context.frame_infos = info;
    context.opaque = opaque;
    return protocol::encoded(protocol::StoreRequest{context, Opcode::set, key, value});
}

std::vector<Feature> unordered() {
    std::vector<Feature> features = modern_features();
    features.push_back(Feature::unordered_execution);
    return features;
}

}  // namespace

TEST_CASE("durable writes", "[kv]") {
    ClusterOptions options;
    options.replication_delay = 10ms;
    options.persistence_delay = 100ms;
    KvCluster cluster(3, {.replicas = 2}, options);
    KvUser user(cluster, cluster.active("k"), unordered());
    user.set("k", "old");
    cluster.world.run_for(1s);
    const auto finish = [&](Duration after) {
        cluster.world.run_for(after - 1ms);
        CHECK(user.take().empty());
        cluster.world.run_for(1ms);
        auto answers = user.take();
        REQUIRE(answers.size() == 1);
        return std::move(answers.front());
    };
    SECTION("a majority has it in memory") {
        CHECK(user.send(durable(user, "k", "new", DurabilityLevel::majority)).empty());
        CHECK(user.get("k").value() == "old");  // reads are not held up, and see nothing yet
        CHECK(user.set("k", "x").status() == Status::sync_write_in_progress);
        CHECK(user.lock("k").status() == Status::sync_write_in_progress);
        const KvAnswer done = finish(10ms);
        CHECK(done.status() == Status::success);
        CHECK(done.frame.opaque == 7);
        CHECK(user.get("k").value() == "new");
        CHECK(user.get("k").frame.cas == done.frame.cas);
        CHECK(done.token().seqno == 3);
        CHECK(user.set("k", "x").status() == Status::success);
    }
    SECTION("and the active has persisted it") {
        CHECK(user.send(durable(user, "k", "new", DurabilityLevel::majority_and_persist_to_active)).empty());
        CHECK(finish(100ms).status() == Status::success);
    }
    SECTION("a majority has persisted it") {
        CHECK(user.send(durable(user, "k", "new", DurabilityLevel::persist_to_majority)).empty());
        CHECK(finish(110ms).status() == Status::success);
    }
    SECTION("not confirmed in time: who knows") {
        cluster.state->set_replication_delay(paused);
        CHECK(user.send(durable(user, "k", "new", DurabilityLevel::majority, 500)).empty());
        CHECK(finish(500ms).status() == Status::sync_write_ambiguous);
        CHECK(user.get("k").value() == "old");
        CHECK(user.set("k", "x").status() == Status::success);
    }
    SECTION("in order, without unordered execution") {
        KvUser ordered(cluster, cluster.active("k"));
        CHECK(ordered.send(durable(ordered, "k", "new", DurabilityLevel::majority)).empty());
        CHECK(ordered.send(protocol::encoded(protocol::GetRequest{ordered.to("k"), "k"})).empty());
        cluster.world.run_for(10ms);
        CHECK(ordered.outlet.resumed == 1);
        ordered.offer();
        const auto answers = ordered.take();
        REQUIRE(answers.size() == 2);
        CHECK(answers[1].value() == "new");
    }
    SECTION("a barrier waits") {
        CHECK(user.send(durable(user, "k", "new", DurabilityLevel::majority)).empty());
        CHECK(user.silent(protocol::NoopRequest{}) == 0);
        cluster.world.run_for(10ms);
        user.offer();
        CHECK(user.take().size() == 2);
    }
    SECTION("a connection that goes takes nothing with it") {
        CHECK(user.send(durable(user, "k", "new", DurabilityLevel::majority)).empty());
        user.conversation.reset();
        cluster.world.run_for(10ms);
        KvUser next(cluster, cluster.active("k"));
        CHECK(next.get("k").value() == "new");
    }
    SECTION("what was confirmed survives the active") {
        cluster.state->set_replication_delay(cluster.active("k"), cluster.replica("k", 1), paused);
        CHECK(user.send(durable(user, "k", "new", DurabilityLevel::majority)).empty());
        CHECK(finish(10ms).status() == Status::success);
        const NodeId dead = cluster.active("k");
        const NodeId behind = cluster.replica("k", 1);
        const NodeId ahead = cluster.replica("k", 2);
        user.conversation.reset();
        cluster.kill(dead);
        cluster.state->failover(dead);
        CHECK(cluster.active("k") == ahead);
        KvUser next(cluster, ahead);
        // It had the prepared write, not yet that it was decided; with the others' copies it decides.
        CHECK(next.get("k").status() == Status::sync_write_re_commit_in_progress);
        CHECK(next.set("k", "x").status() == Status::sync_write_re_commit_in_progress);
        cluster.world.run_for(10ms);
        CHECK(next.get("k").value() == "new");
        cluster.world.run_for(10ms);
        KvUser other(cluster, behind);
        CHECK(other.get("k", Opcode::get_replica).value() == "new");
    }
    SECTION("many at once") {
        std::string pipeline;
        for (std::uint32_t i = 0; i < 1000; ++i)
            pipeline += durable(user, "k", "v", DurabilityLevel::majority, std::nullopt, i);
        auto answers = user.send(pipeline);
        CHECK(answers.size() == 999);
        for (const KvAnswer& answer : answers) CHECK(answer.status() == Status::sync_write_in_progress);
        cluster.world.run_for(10ms);
        CHECK(user.take().size() == 1);
    }
}

TEST_CASE("durable writes that cannot be", "[kv]") {
    SECTION("too few nodes") {
        KvCluster cluster(1, {.replicas = 1});
        KvUser user(cluster, 0);
        const auto answers = user.send(durable(user, "k", "v", DurabilityLevel::majority));
        REQUIRE(answers.size() == 1);
        CHECK(answers[0].status() == Status::durability_impossible);
        CHECK(user.get("k").status() == Status::key_enoent);
    }
    SECTION("three replicas") {
        KvCluster cluster(4, {.replicas = 3});
        KvUser user(cluster, cluster.active("k"));
        CHECK(user.send(durable(user, "k", "v", DurabilityLevel::majority))[0].status() ==
              Status::durability_impossible);
    }
    SECTION("no disk") {
        KvCluster cluster(2, {.type = BucketType::ephemeral});
        KvUser user(cluster, cluster.active("k"));
        CHECK(user.send(durable(user, "k", "v", DurabilityLevel::persist_to_majority))[0].status() ==
              Status::durability_invalid_level);
        CHECK(user.send(durable(user, "k", "v", DurabilityLevel::majority))[0].status() == Status::success);
    }
    SECTION("no replica: the active is the majority") {
        KvCluster cluster(1, {.replicas = 0});
        KvUser user(cluster, 0);
        CHECK(user.send(durable(user, "k", "v", DurabilityLevel::persist_to_majority))[0].status() == Status::success);
        CHECK(user.get("k").value() == "v");
    }
}
