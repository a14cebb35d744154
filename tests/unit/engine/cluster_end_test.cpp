// The end, at every moment: each operation has one outcome, and nothing is left over.

#include "tests/unit/engine/cluster_world.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

/// From the first seed to a drained node; told before each turn how many there were. Ends when told to, or by itself.
void walk(World& world, const std::function<bool(int)>& go_on) {
    int step = 0;
    const auto turns = [&](int n) {
        for (int i = 0; i < n; ++i) {
            if (!go_on(step++)) return false;
            world.loop->turn();
        }
        return true;
    };
    const auto pass = [&](Duration time) {
        if (!go_on(step++)) return false;
        world.loop->advance(time);
        return true;
    };
    ScriptCluster& cluster = world.cluster;
    const auto burst = [&] {
        for (int i = 0; i < 6; ++i)
            (i % 2 == 0 ? world.get("k" + std::to_string(i)) : world.count("k" + std::to_string(i)));
        world.noop();
    };
    world.loop->net.hanging.insert("s1");
    cluster.node("s2");
    cluster.refuse("s2");
    world.connect();
    burst();
    if (!turns(8) || !pass(500ms) || !turns(12)) return;
    burst();
    if (!turns(4)) return;
    // The map changes: a node goes, one comes, one vbucket has no owner.
    for (auto& [host, node] : cluster.nodes()) node.hold = true;
    burst();
    if (!turns(3)) return;
    const ScriptMap old = cluster.map;
    ScriptMap next = ScriptMap::spread({"n1", "n3", "n4"}, 2, 16);
    next.active[cluster.vbucket_of("k0")] = -1;
    cluster.publish(next);
    cluster.node("n3").map = old;
    cluster.node("n3").body = false;
    for (auto& [host, node] : cluster.nodes()) node.hold = host == "n2";
    cluster.answer_all();
    burst();
    if (!turns(6) || !pass(1ms) || !turns(3)) return;
    cluster.push("n1", true);
    if (!turns(4) || !pass(20ms)) return;
    cluster.reset("n1");
    burst();
    if (!turns(4) || !pass(30ms)) return;
    cluster.reset("n2");
    next.rev = 3;
    next.active[cluster.vbucket_of("k0")] = 1;
    cluster.publish(next);
    cluster.node("n3").map.reset();
    if (!turns(4) || !pass(2s) || !pass(1s)) return;
    go_on(step);
}

int steps_of_walk() {
    World world(ScriptMap::spread({"n1", "n2", "n3"}, 1, 16), "couchbase://s1,s2,n1");
    int steps = 0;
    walk(world, [&](int n) { return steps = n, true; });
    CHECK(world.bucket->operations() == 0);
    world.check_outcomes();
    CHECK(std::count_if(world.books.begin(), world.books.end(), [](auto& b) { return !b->outcome.error; }) > 30);
    world.bucket.reset();
    world.check_nothing_is_left();
    return steps;
}

}  // namespace

TEST_CASE("closed, destroyed, or the loop gone, at every moment of a cluster's life", "[router][chaos]") {
    const int steps = steps_of_walk();
    CHECK(steps > 50);
    for (const std::string_view how :
         {"close", "destroy", "loop", "callback closes", "callback destroys", "drain", "callback drains"}) {
        for (int end = 0; end <= steps; ++end) {
            INFO(how << " at step " << end);
            World world(ScriptMap::spread({"n1", "n2", "n3"}, 1, 16), "couchbase://s1,s2,n1");
            bool ended = false;
            const auto finish = [&] {
                if (std::exchange(ended, true)) return;
                if (how.ends_with("drain") || how.ends_with("drains")) {
                    world.bucket->close({.drain = 50ms}).detach();
                } else if (how.ends_with("closes") || how == "close") {
                    world.bucket->close().detach();
                } else {
                    world.bucket.reset();
                }
            };
            walk(world, [&](int n) {
                if (ended) return false;
                if (n != end) return true;
                if (how.starts_with("callback")) {
                    world.on_outcome = finish;
                    return true;
                }
                if (how == "loop") {
                    world.loop->net.server = nullptr;
                    world.loop.reset();
                    ended = true;
                } else {
                    finish();
                }
                return false;
            });
            if (how == "loop") {
                for (const auto& book : world.books) {
                    CHECK(book->outcome.calls <= 1);
                    CHECK(book->alive.use_count() == 1);  // called, or destroyed uncalled
                }
                CHECK(world.bucket->operations() == 0);
                world.bucket.reset();
                continue;
            }
            world.loop->run();
            finish();  // no outcome came after that moment
            world.loop->advance(how.find("drain") == how.npos ? 0ms : 50ms);
            if (world.bucket) {
                CHECK(world.bucket->operations() == 0);
                world.count("late");
                world.connect();
                world.loop->run();
                CHECK(world.books.back()->outcome.failed(errc::shutdown));
                CHECK(world.bucket->operations() == 0);
                world.bucket.reset();
            }
            world.check_outcomes();
            world.check_nothing_is_left();
        }
    }
}
