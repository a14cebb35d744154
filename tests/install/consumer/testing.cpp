// A user's test in the simulator and on a local cluster, and the suite for a user's adapter: chaise::testing.
#include <chaise/chaise.hpp>
#include <chaise/epoll.hpp>
#include <chaise/testing/iops_conformance.hpp>
#include <chaise/testing/local_cluster.hpp>
#include <chaise/testing/simulation.hpp>

#include <chrono>
#include <cstdio>

namespace {

chaise::Task<> lonely(chaise::AsyncBucket& bucket, chaise::errc& outcome) {
    const auto got = co_await bucket.get("k", {.timeout = std::chrono::seconds(5)}).as_expected();
    outcome = got ? chaise::errc::success : got.error().code();
}

chaise::Task<> at_home(chaise::AsyncBucket& bucket, bool& fine) {
    co_await bucket.upsert("k", "v");
    const auto got = co_await bucket.get("k");
    fine = got.value() == "v";
}

bool local_cluster_works() {
    chaise::EpollLoop loop;
    chaise::testing::LocalCluster cluster(loop, {.nodes = 2});
    chaise::AsyncBucket bucket(loop, cluster.connection_string(),
                               {.username = "Administrator", .password = "password"});
    bool fine = false;
    chaise::spawn(loop, at_home(bucket, fine));
    loop.run();
    return fine;
}

}  // namespace

int main() {
    chaise::testing::SimWorld world(1);
    chaise::AsyncBucket bucket(world, "memcached://nobody");
    auto outcome = chaise::errc::success;
    chaise::spawn(world, lonely(bucket, outcome));
    world.run();
    const bool nothing = chaise::testing::ConformanceReport{}.passed();
    std::printf("testing: %s\n", outcome == chaise::errc::timeout_before_send ? "nobody was there" : "what was that?");
    return outcome == chaise::errc::timeout_before_send && !nothing && local_cluster_works() ? 0 : 1;
}
