// AsioBucket against a cluster: on the same io_context, and with the cluster on a thread of its own.

#include "asio_bucket_support.hpp"

#include <asio/steady_timer.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster_run.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

/// Whatever makes IOPS is a loop for a LocalCluster.
struct AsioLoop {
    asio::io_context& io;
    [[nodiscard]] std::unique_ptr<IOPS> make_iops() const { return make_asio_iops(io); }
};

asio::awaitable<void> every_operation(AsioBucket& bucket, std::string prefix) {
    for (int i = 0; i < 8; ++i) {
        const std::string key = prefix + std::to_string(i);
        const auto stored = co_await bucket.upsert(key, "b", {.flags = 9});
        CHECK(stored.mutation_token());
        co_await bucket.append(key, "c");
        co_await bucket.prepend(key, "a");
        const auto found = co_await bucket.get(key);
        CHECK(found.value() == "abc");
        CHECK(found.flags() == 9);
        const auto conflict = co_await bucket.replace(key, "x", {.cas = stored.cas()}, as_expected());
        CHECK(code_of(conflict) == errc::cas_mismatch);
        co_await bucket.replace(key, "41", {.cas = found.cas()});
        const auto number = co_await bucket.counter(key);
        CHECK(number.counter() == 42);
        const auto again = co_await bucket.insert(key, "x", as_expected());
        CHECK(code_of(again) == errc::document_exists);
        co_await bucket.touch(key, 1min);
        const auto touched = co_await bucket.get_and_touch(key, 1min);
        CHECK(touched.value() == "42");
        const auto lock = co_await bucket.lock(key, 15s);
        const auto locked = co_await bucket.upsert(key, "x", as_expected());
        CHECK((code_of(locked) == errc::document_locked || code_of(locked) == errc::temporary_failure));
        co_await bucket.unlock(key, lock.cas());
        const auto exists = co_await bucket.exists(key);
        CHECK(exists.exists());
        const auto copy = co_await bucket.get_replica(key);
        CHECK(copy.value() == "42");
        const auto copies = co_await bucket.get_all_replicas(key, {.timeout = 1s});
        CHECK_FALSE(copies.empty());
        const auto observed = co_await bucket.observe(key, {.master_only = true});
        CHECK(observed.copies().size() == 1);
        const auto meta = co_await bucket.get_meta(key, as_expected());
        CHECK(meta->cas() == observed.cas());
        co_await bucket.remove(key);
        const auto gone = co_await bucket.get(key, {.quiet = true});
        CHECK_FALSE(gone.success());
    }
    co_await bucket.noop();
    const auto version = co_await bucket.version();
    const auto stats = co_await bucket.stats();
    const auto ping = co_await bucket.ping();
    CHECK(ping.all_ok());
    CHECK(ping.services().at("kv").size() == bucket.server_nodes().size());
    CHECK(stats.stats().at("version").size() == version.versions().size());
}

asio::awaitable<void> pause(Duration time) {
    asio::steady_timer timer(co_await asio::this_coro::executor, time);
    co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace

TEST_CASE("cluster: every operation by AsioBucket") {
    if (other_cluster()) {
        const ClusterAccess& access = *other_cluster();
        with_asio_bucket(access.connection_string, access.with(),
                         [](AsioBucket& bucket) { return every_operation(bucket, "chaise-test:asio:"); });
        return;
    }
    const std::size_t nodes = GENERATE(1u, 2u, 4u);
    CAPTURE(nodes);
    SECTION("on one io_context") {
        asio::io_context io{1};
        AsioLoop loop{io};
        std::optional<LocalCluster> cluster;
        cluster.emplace(loop, LocalClusterOptions{.nodes = nodes});
        AsioBucket bucket(io, cluster->connection_string(), ClusterAccess{}.with());
        run_with(io, bucket, [&](AsioBucket& same) -> asio::awaitable<void> {
            co_await every_operation(same, "asio");
            cluster.reset();  // it listens, so that run() would not return
        });
    }
    SECTION("with the cluster on a thread of its own") {
        const LocalCluster cluster = LocalCluster::on_thread({.nodes = nodes});
        with_asio_bucket(cluster.connection_string(), ClusterAccess{}.with(),
                         [](AsioBucket& bucket) { return every_operation(bucket, "asio"); });
    }
}

TEST_CASE("cluster: AsioBucket says why it cannot connect, and goes on when a node is failed over") {
    if (skipped_elsewhere("fails nodes over")) return;
    LocalCluster cluster = LocalCluster::on_thread({.nodes = 3, .replicas = 1});
    with_asio_bucket(cluster.connection_string(), {.username = "Administrator", .password = "guess"},
                     [](AsioBucket& bucket) -> asio::awaitable<void> {
                         const auto outcome = co_await bucket.connect(as_expected());
                         CHECK(code_of(outcome) == errc::authentication_failure);
                     });
    with_asio_bucket(cluster.connection_string(), {.username = "Administrator", .password = "password"},
                     [&](AsioBucket& bucket) -> asio::awaitable<void> {
                         co_await bucket.connect();
                         bool stop = false;
                         int left = 20, rounds = 0;
                         std::vector<errc> errors;
                         const auto work = [&](int number) -> asio::awaitable<void> {
                             const std::string key = "key" + std::to_string(number);
                             for (int i = 0; !stop; ++i, ++rounds) {
                                 const std::string value = std::to_string(number) + "." + std::to_string(i);
                                 const auto stored = co_await bucket.upsert(key, value, as_expected());
                                 if (!stored) errors.push_back(stored.error().code());
                             }
                             --left;
                         };
                         for (int number = 0; number < 20; ++number) {
                             asio::co_spawn(bucket.get_executor(), work(number), rethrow);
                         }
                         while (rounds < 200) co_await pause(1ms);
                         cluster.failover(2);
                         const int before = rounds;
                         for (int i = 0; i < 10'000 && rounds < before + 2000; ++i) co_await pause(1ms);
                         stop = true;
                         while (left != 0) co_await pause(1ms);
                         CHECK(errors.size() <= 20);  // what the node had when it let its clients go
                         for (const errc error : errors) CHECK(error == errc::connection_lost_after_send);
                         CHECK(rounds >= before + 2000);
                         for (int number = 0; number < 20; ++number) {
                             const auto found = co_await bucket.get("key" + std::to_string(number));
                             CHECK(found.value().starts_with(std::to_string(number) + "."));
                         }
                     });
}
