// The cluster is no shared hash map: copies of their own, delays, crashes, failover.

#include "kv_fixture.hpp"

#include <map>

#include "protocol/cluster_map.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::ObserveState;

TEST_CASE("a replica shows the old value until the replication delay has passed", "[kv]") {
    KvCluster cluster(2);
    KvUser active(cluster, cluster.active("k"));
    KvUser replica(cluster, cluster.replica("k"));
    active.set("k", "old");
    CHECK(replica.get("k", Opcode::get_replica).value() == "old");
    cluster.state->set_replication_delay(50ms);
    const auto token = active.set("k", "new").token();
    active.set("k2", "x");
    CHECK(replica.get("k", Opcode::get_replica).value() == "old");
    cluster.world.run_for(49ms);
    CHECK(replica.get("k", Opcode::get_replica).value() == "old");
    const auto seqno = [&] {
        const KvAnswer answer = replica.ask(protocol::ObserveSeqnoRequest{replica.to("k"), token.vbucket_uuid});
        return protocol::decode_observe_seqno(answer.frame)->current_seqno;
    };
    CHECK(seqno() == token.seqno - 1);
    cluster.world.run_for(1ms);
    CHECK(replica.get("k", Opcode::get_replica).value() == "new");
    CHECK(seqno() == token.seqno);

    SECTION("per link, and what is under way follows a change") {
        cluster.state->set_replication_delay(cluster.active("k"), cluster.replica("k"), paused);
        active.remove("k");
        cluster.world.run_for(1h);
        CHECK(replica.get("k", Opcode::get_replica).value() == "new");
        cluster.state->set_replication_delay(cluster.active("k"), cluster.replica("k"), 0ms);
        CHECK(replica.get("k", Opcode::get_replica).status() == Status::key_enoent);
    }
    SECTION("each to his own") {
        CHECK(replica.get("k").status() == Status::not_my_vbucket);
        CHECK(active.get("k", Opcode::get_replica).status() == Status::not_my_vbucket);
    }
}

TEST_CASE("node A answers NOT_MY_VBUCKET for B's vbucket, with the map", "[kv]") {
    KvCluster cluster(2, {.replicas = 0});
    KvUser wrong(cluster, 1 - cluster.active("k"));
    for (const Opcode opcode : {Opcode::get, Opcode::get_replica, Opcode::evict_key})
        CHECK(wrong.get("k", opcode).status() == Status::not_my_vbucket);
    CHECK(wrong.set("k", "v").value().empty());  // deduplicated: this connection has seen the map

    KvUser plain(cluster, 1 - cluster.active("k"), {Feature::xerror});
    for (int i = 0; i < 2; ++i) {
        const KvAnswer answer = plain.set("k", "v");
        CHECK(answer.status() == Status::not_my_vbucket);
        const auto map = protocol::parse_cluster_map(answer.value(), "node0").map;
        REQUIRE(map);
        CHECK(static_cast<std::size_t>(map->server(cluster.vbucket_of("k"))) == cluster.active("k"));
    }
    SECTION("a newer map is sent again") {
        cluster.state->set_ports(0, {1, 1});
        CHECK_FALSE(wrong.set("k", "v").value().empty());
        CHECK(wrong.set("k", "v").value().empty());
    }
    SECTION("and beyond the last vbucket") {
        CHECK(wrong.ask(protocol::GetRequest{wrong.at(64), "k"}).status() == Status::not_my_vbucket);
    }
    KvUser right(cluster, cluster.active("k"));
    CHECK(right.get("k").status() == Status::key_enoent);
}

TEST_CASE("a killed node's memory is gone; what it had persisted is not", "[kv]") {
    ClusterOptions options;
    options.persistence_delay = 100ms;
    KvCluster cluster(1, {.replicas = 0}, options);
    std::uint64_t uuid = 0;
    {
        KvUser user(cluster, 0);
        uuid = user.set("k", "early").token().vbucket_uuid;
        CHECK(user.observe("k") == ObserveState::found);
        cluster.world.run_for(100ms);
        CHECK(user.observe("k") == ObserveState::persisted);
        user.set("k", "late");
        user.set("other", "late");
        CHECK(user.observe("k") == ObserveState::found);
        user.conversation.reset();
    }
    cluster.kill(0);
    CHECK_FALSE(cluster.state->alive(0));
    cluster.world.run_for(1s);
    cluster.restart(0);
    KvUser user(cluster, 0);
    CHECK(user.get("k").value() == "early");
    CHECK(user.get("other").status() == Status::key_enoent);
    // Another history: tokens of the old one can tell.
    const KvAnswer answer = user.ask(protocol::ObserveSeqnoRequest{user.to("k"), uuid});
    const auto observed = protocol::decode_observe_seqno(answer.frame);
    REQUIRE(observed);
    REQUIRE(observed->failover);
    CHECK(observed->failover->last_received_seqno == 1);
    CHECK(observed->vbucket_uuid != uuid);
}

TEST_CASE("a node that comes back rolls back to where the others' disks begin, not their memories", "[kv]") {
    KvCluster cluster(2, {.vbuckets = 16, .replicas = 1});
    const NodeId first = cluster.active("k"), second = cluster.replica("k");
    {
        KvUser user(cluster, first);
        user.set("k", "1");
        cluster.state->set_persistence_delay(second, paused);
        user.set("k", "2");
        user.conversation.reset();
    }
    // The other one goes on from both, has only the first on its disk, dies, and goes on from that.
    cluster.state->failover(first);
    cluster.kill(second);
    cluster.restart(second);
    cluster.state->set_persistence_delay(second, 0ms);
    KvUser user(cluster, second);
    CHECK(user.get("k").value() == "1");
    user.set("k", "3");
    cluster.state->begin_rebalance({first, second});
    auto move = ClusterState::Move::waiting;
    for (int i = 0; i < 1000 && move != ClusterState::Move::done && move != ClusterState::Move::failed; ++i) {
        cluster.world.run_for(1ms);
        move = cluster.state->next_move();
    }
    REQUIRE(move == ClusterState::Move::done);
    for (const NodeId node : {first, second}) {
        const VBucket* const copy = cluster.node(node).vbucket("default", cluster.vbucket_of("k"));
        REQUIRE(copy != nullptr);
        const Document* const document = copy->peek(std::string(1, '\0') + "k");
        REQUIRE(document != nullptr);
        CHECK(document->value == "3");
    }
}

TEST_CASE("persistence and replication with a spread: vbuckets overtake each other, none overtakes itself", "[kv]") {
    constexpr int keys = 40, rounds = 5;
    const bool disk = GENERATE(false, true);
    CAPTURE(disk);
    ClusterOptions options;
    options.replication_delay = options.persistence_delay = 10ms;
    KvCluster cluster(2, {.vbuckets = 16, .replicas = 1}, options);
    cluster.state->set_persistence_spread(disk ? 50ms : 0ms);
    cluster.state->set_replication_spread(disk ? 0ms : 50ms);
    std::vector<std::unique_ptr<KvUser>> users;
    for (NodeId node = 0; node < 2; ++node) users.push_back(std::make_unique<KvUser>(cluster, node));
    // In this order on each node; the numbers of each vbucket's writes.
    std::map<std::uint16_t, std::vector<std::uint64_t>> written;
    for (int round = 0; round < rounds; ++round) {
        for (int i = 0; i < keys; ++i) {
            const std::string key = "k" + std::to_string(i);
            KvUser& user = *users[cluster.active(key)];
            written[cluster.vbucket_of(key)].push_back(user.set(key, std::to_string(round)).token().seqno);
        }
    }
    const auto arrived = [&](std::uint16_t vbucket) {
        const VbucketRow& row = cluster.state->bucket_config("default")->row(vbucket);
        const VBucket* const copy =
            cluster.node(static_cast<std::size_t>(row[disk ? 0 : 1])).vbucket("default", vbucket);
        REQUIRE(copy != nullptr);
        return disk ? copy->persisted_seqno() : copy->high_seqno();
    };
    std::map<std::uint16_t, std::uint64_t> before;
    bool overtaken = false;
    for (int ms = 0; ms < 70; ++ms) {
        for (const auto& [vbucket, seqnos] : written) {
            const std::uint64_t now = arrived(vbucket);
            CHECK(now >= before[vbucket]);
            before[vbucket] = now;
            if (ms < 10) CHECK(now == 0);
            // Its last write has come, and of another vbucket, whose first was written long before that, nothing.
            for (const auto& [other, theirs] : written) {
                if (now == seqnos.back() && arrived(other) < theirs.front()) overtaken = true;
            }
        }
        cluster.world.run_for(1ms);
    }
    CHECK(overtaken);
    for (const auto& [vbucket, seqnos] : written) CHECK(arrived(vbucket) == seqnos.back());
}

TEST_CASE("a killed node's ephemeral bucket is empty", "[kv]") {
    KvCluster cluster(1, {.type = BucketType::ephemeral, .replicas = 0});
    {
        KvUser user(cluster, 0);
        user.set("k", "v");
        CHECK(user.observe("k") == ObserveState::found);
        user.conversation.reset();
    }
    cluster.kill(0);
    cluster.restart(0);
    KvUser user(cluster, 0);
    CHECK(user.get("k").status() == Status::key_enoent);
}

TEST_CASE("observe", "[kv]") {
    KvCluster cluster(2);
    KvUser user(cluster, cluster.active("k"));
    KvUser replica(cluster, cluster.replica("k"));
    cluster.state->set_persistence_delay(paused);
    cluster.state->set_persistence_delay(cluster.replica("k"), 10ms);
    cluster.state->set_replication_delay(5ms);
    CHECK(user.observe("k") == ObserveState::not_found);
    const auto token = user.set("k", "v").token();
    CHECK(user.observe("k") == ObserveState::found);
    CHECK(replica.observe("k") == ObserveState::not_found);
    cluster.world.run_for(5ms);
    CHECK(replica.observe("k") == ObserveState::found);
    cluster.world.run_for(10ms);
    CHECK(replica.observe("k") == ObserveState::persisted);
    CHECK(user.observe("k") == ObserveState::found);
    const auto persisted = [&](KvUser& whom) {
        const KvAnswer answer = whom.ask(protocol::ObserveSeqnoRequest{whom.to("k"), token.vbucket_uuid});
        return protocol::decode_observe_seqno(answer.frame)->last_persisted_seqno;
    };
    CHECK(persisted(user) == 0);
    CHECK(persisted(replica) == token.seqno);
    user.remove("k");
    CHECK(user.observe("k") == ObserveState::logically_deleted);
    cluster.state->set_persistence_delay(0ms);
    CHECK(user.observe("k") == ObserveState::not_found);
    CHECK(user.ask(protocol::ObserveSeqnoRequest{user.to("k"), 4711}).status() == Status::key_enoent);

    KvCluster lone(2, {.replicas = 0});
    KvUser elsewhere(lone, 1 - lone.active("k"));
    const protocol::ObserveKey keys[] = {{lone.vbucket_of("k"), "k", 0}};
    CHECK(elsewhere.ask(protocol::ObserveRequest{{}, keys}).status() == Status::not_my_vbucket);
}

TEST_CASE("sequence numbers can be waited for", "[kv]") {
    ClusterOptions options;
    options.persistence_delay = 20ms;
    KvCluster cluster(1, {.replicas = 0}, options);
    KvUser user(cluster, 0);
    const auto token = user.set("k", "v").token();
    CHECK(user.silent(protocol::SeqnoPersistenceRequest{user.to("k"), token.seqno}) == 0);
    CHECK(user.silent(protocol::NoopRequest{}) == 0);  // in order
    cluster.world.run_for(20ms);
    CHECK(user.outlet.resumed == 1);
    user.offer();
    auto answers = user.take();
    REQUIRE(answers.size() == 2);
    CHECK(answers[0].frame.opcode == Opcode::seqno_persistence);
    CHECK(answers[0].status() == Status::success);
    CHECK(user.ask(protocol::SeqnoPersistenceRequest{user.to("k"), token.seqno}).status() == Status::success);
    CHECK(user.silent(protocol::SeqnoPersistenceRequest{user.to("k"), 99}) == 0);
    cluster.world.run_for(30s);
    answers = user.take();
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].status() == Status::etmpfail);

    const KvAnswer all = user.ask(protocol::GetAllVbSeqnosRequest{{}, VBucketState::active, 0});
    protocol::VbSeqnosReader reader(all.frame);
    std::size_t count = 0;
    while (const auto entry = reader.next()) {
        ++count;
        CHECK(entry->seqno == (entry->vbucket == cluster.vbucket_of("k") ? 1 : 0));
    }
    CHECK(count == 64);
    const KvAnswer log = user.ask(protocol::GetFailoverLogRequest{user.to("k")});
    CHECK(protocol::FailoverLogReader(log.frame).next()->vbucket_uuid == token.vbucket_uuid);
}

TEST_CASE("failover", "[kv]") {
    KvCluster cluster(3, {.replicas = 2});
    const NodeId first = cluster.active("k");
    const NodeId replica = cluster.replica("k", 1);
    const NodeId other = cluster.replica("k", 2);
    std::uint64_t uuid = 0;
    {
        KvUser user(cluster, first);
        uuid = user.set("k", "safe").token().vbucket_uuid;
        user.set("k2", "x");
        cluster.state->set_replication_delay(100ms);
        user.set("k", "lost");
        user.conversation.reset();
    }
    KvUser watcher(cluster, replica);
    const auto before = cluster.state->bucket_config("default")->revision;
    SECTION("of a node that died") {
        cluster.kill(first);
        cluster.world.run_for(1s);
        CHECK(watcher.get("k", Opcode::get_replica).value() == "safe");
        CHECK(watcher.get("k").status() == Status::not_my_vbucket);  // nobody decided yet
        cluster.state->failover(first);
        CHECK(cluster.state->bucket_config("default")->revision > before);
        CHECK_FALSE(cluster.state->member(first));
        CHECK(cluster.active("k") == replica);
        CHECK(watcher.get("k").value() == "safe");
        const KvAnswer answer = watcher.ask(protocol::ObserveSeqnoRequest{watcher.to("k"), uuid});
        const auto observed = protocol::decode_observe_seqno(answer.frame);
        REQUIRE((observed && observed->failover));
        CHECK(observed->failover->old_vbucket_uuid == uuid);
        // The other replica follows the new active.
        cluster.state->set_replication_delay(0ms);
        CHECK(watcher.set("k", "after").status() == Status::success);
        KvUser third(cluster, other);
        CHECK(third.get("k", Opcode::get_replica).value() == "after");
        // Rows are of the same length, the lost copies are missing.
        for (const VbucketRow& row : cluster.state->bucket_config("default")->map) {
            CHECK(row.size() == 3);
            CHECK(row[2] == no_node);
            CHECK(position_of(first, row) == -1);
        }
        const KvAnswer map = watcher.ask(protocol::GetClusterConfigRequest{});
        CHECK(protocol::parse_cluster_map(map.value(), "node0").map->kv.size() == 2);
    }
    SECTION("the copy that has most is chosen") {
        cluster.state->set_replication_delay(first, other, 0ms);
        cluster.kill(first);
        cluster.state->failover(first);
        CHECK(cluster.active("k") == other);
        CHECK(watcher.get("k", Opcode::get_replica).value() == "safe");
        cluster.world.run_for(100ms);  // the replica catches up with its new active
        CHECK(watcher.get("k", Opcode::get_replica).value() == "lost");
    }
    SECTION("of a node that lives but does not hear of it: two believe that they are active") {
        cluster.state->set_config_delay(first, paused);
        cluster.state->failover(first);
        KvUser stale(cluster, first);
        CHECK(stale.set("k", "split").status() == Status::success);
        cluster.world.run_for(1s);
        CHECK(watcher.get("k").value() == "safe");
        cluster.state->set_config_delay(first, 0ms);
        CHECK(stale.outlet.closed);
        CHECK(cluster.node(first).bucket_config("default") == nullptr);
    }
}

TEST_CASE("a replica that was away catches up, and forgets what never happened", "[kv]") {
    KvCluster cluster(2);
    const NodeId first = cluster.active("k");
    const NodeId second = cluster.replica("k");
    KvUser user(cluster, first);
    user.set("k", "1");
    user.set("gone", "1");
    cluster.kill(second);
    user.set("k", "2");
    user.set("k3", "2");
    if (cluster.active("gone") == first) user.remove("gone");
    cluster.state->set_replication_delay(10ms);
    cluster.restart(second);
    KvUser replica(cluster, second);
    CHECK(replica.get("k", Opcode::get_replica).value() == "1");  // from its disk
    cluster.world.run_for(10ms);
    CHECK(replica.get("k", Opcode::get_replica).value() == "2");
    const auto* const theirs = cluster.node(first).vbucket("default", cluster.vbucket_of("k"));
    const auto* const ours = cluster.node(second).vbucket("default", cluster.vbucket_of("k"));
    CHECK(ours->high_seqno() == theirs->high_seqno());
    CHECK(ours->uuid() == theirs->uuid());

    SECTION("the active loses what it had not persisted; the replica has to forget it") {
        cluster.state->set_persistence_delay(first, paused);
        cluster.state->set_replication_delay(0ms);
        user.set("k", "3");
        CHECK(replica.get("k", Opcode::get_replica).value() == "3");
        user.conversation.reset();
        cluster.kill(first);
        cluster.restart(first);
        CHECK(replica.get("k", Opcode::get_replica).value() == "2");
        KvUser again(cluster, first);
        CHECK(again.get("k").value() == "2");
        again.set("k", "4");
        CHECK(replica.get("k", Opcode::get_replica).value() == "4");
    }
}

TEST_CASE("a vbucket moves by two maps", "[kv]") {
    KvCluster cluster(2, {.replicas = 0});
    const NodeId from = cluster.active("k");
    const NodeId to = 1 - from;
    const std::uint16_t vbucket = cluster.vbucket_of("k");
    KvUser user(cluster, from);
    KvUser there(cluster, to);
    user.set("k", "v");
    const auto map = cluster.state->bucket_config("default")->map;
    auto next = map;
    next[vbucket] = {static_cast<std::ptrdiff_t>(to)};
    cluster.state->set_map("default", map, next);
    CHECK(cluster.node(to).vbucket("default", vbucket)->state() == VBucketState::pending);
    CHECK(there.get("k").status() == Status::not_my_vbucket);
    user.set("k", "moving");
    const auto parsed = protocol::parse_cluster_map(user.ask(protocol::GetClusterConfigRequest{}).value(), "node0").map;
    REQUIRE(parsed);
    CHECK(parsed->has_forward());
    cluster.state->set_map("default", next);
    CHECK(there.get("k").value() == "moving");
    CHECK(user.get("k").status() == Status::not_my_vbucket);
    CHECK(cluster.node(from).vbucket("default", vbucket) == nullptr);
    CHECK_THROWS_AS(cluster.state->set_map("default", {}), std::invalid_argument);
}

TEST_CASE("a rebalance comes to its end though there are writes and replicas lag", "[kv]") {
    KvCluster cluster(3, {.vbuckets = 16, .replicas = 1});
    cluster.state->begin_rebalance({0, 1});
    while (cluster.state->next_move() != ClusterState::Move::done) cluster.world.run_for(1ms);
    cluster.state->set_replication_delay(20ms);
    cluster.state->begin_rebalance({0, 1, 2});
    CHECK_THROWS_AS(cluster.state->create_bucket({.name = "late"}), std::logic_error);
    std::map<std::string, std::string> last;
    auto move = ClusterState::Move::waiting;
    int moved = 0;
    for (int i = 0; i < 1000 && move != ClusterState::Move::done; ++i) {
        for (int k = 0; k < 64; ++k) {
            const std::string key = "k" + std::to_string(k);
            KvUser user(cluster, cluster.active(key));
            REQUIRE(user.set(key, std::to_string(i)).status() == Status::success);
            last[key] = std::to_string(i);
        }
        const auto before = cluster.state->bucket_config("default");
        move = cluster.state->next_move();
        const auto after = cluster.state->bucket_config("default");
        REQUIRE(move != ClusterState::Move::failed);
        if (move == ClusterState::Move::moved) {
            ++moved;
            // Nothing that was acknowledged is lost with the node that has just become active.
            for (std::uint16_t v = 0; v < 16; ++v) {
                const VbucketRow& row = after->row(v);
                if (row == before->row(v)) continue;
                const auto high = [&](std::ptrdiff_t node) {
                    return cluster.node(static_cast<std::size_t>(node)).vbucket("default", v)->high_seqno();
                };
                CHECK(high(row[0]) > 0);
                CHECK(high(row[1]) == high(row[0]));
            }
        }
        cluster.world.run_for(5ms);
    }
    CHECK(move == ClusterState::Move::done);
    CHECK(moved >= 4);
    CHECK_FALSE(cluster.state->rebalancing());
    cluster.state->create_bucket({.name = "late"});
    cluster.world.run_for(100ms);
    for (const auto& [key, value] : last) {
        CHECK(KvUser(cluster, cluster.active(key)).get(key).value() == value);
    }
    CHECK_THROWS_AS(cluster.state->begin_rebalance({0, 0}), std::invalid_argument);
    CHECK_FALSE(cluster.state->rebalancing());
}

TEST_CASE("a flushed bucket is empty everywhere", "[kv]") {
    KvCluster cluster(2);
    KvUser user(cluster, cluster.active("k"));
    KvUser replica(cluster, cluster.replica("k"));
    const auto token = user.set("k", "v").token();
    CHECK(cluster.state->flush_bucket("default"));
    CHECK(user.get("k").status() == Status::key_enoent);
    CHECK(replica.get("k", Opcode::get_replica).status() == Status::key_enoent);
    const auto after = user.set("k", "w").token();
    CHECK(after.vbucket_uuid != token.vbucket_uuid);
    CHECK(after.seqno == 1);
    CHECK(replica.get("k", Opcode::get_replica).value() == "w");
    user.conversation.reset();
    cluster.kill(cluster.active("k"));
    cluster.restart(cluster.active("k"));
    CHECK_FALSE(cluster.state->flush_bucket("nothing"));
}

TEST_CASE("a cluster that goes leaves nothing armed", "[kv]") {
    SimWorld world{3};
    {
        auto state = std::make_shared<ClusterState>();
        state->add_node("a");
        state->add_node("b");
        const auto iops_a = world.make_iops("a");
        const auto iops_b = world.make_iops("b");
        KvNode a(state, 0, *iops_a);
        KvNode b(state, 1, *iops_b);
        state->create_bucket({});
        state->set_replication_delay(1s);
        state->set_persistence_delay(1s);
        KvClient client(a);
        client.hello().login().select();
        for (std::uint16_t vbucket = 0; vbucket < 64; ++vbucket)
            client.send(protocol::encoded(protocol::StoreRequest{client.at(vbucket), Opcode::set, "k", "v"}));
        CHECK(world.leaks().timers != 0);
        CHECK_THROWS_AS(KvNode(state, 0, *iops_a), std::logic_error);
    }
    CHECK(world.leaks().none());
}
