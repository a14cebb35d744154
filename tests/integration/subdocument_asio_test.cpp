// Sub-document operations and data structures by AsioBucket against a cluster.

#include "asio_bucket_support.hpp"

#include <memory>
#include <optional>
#include <string>

#include "cluster_run.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

struct AsioLoop {
    asio::io_context& io;
    [[nodiscard]] std::unique_ptr<IOPS> make_iops() const { return make_asio_iops(io); }
};

asio::awaitable<void> every_operation(AsioBucket& bucket, std::string prefix) {
    for (int i = 0; i < 8; ++i) {
        const std::string key = prefix + std::to_string(i);
        co_await bucket.mutate_in(key,
                                  {sd::upsert("a.b", std::to_string(i), {.create_parents = true}),
                                   sd::upsert("x", R"("attr")", {.xattr = true})},
                                  {.store = StoreSemantics::upsert});
        const auto found =
            co_await bucket.lookup_in(key, {sd::get("a.b"), sd::exists("c"), sd::get("x", {.xattr = true})});
        CHECK(found.value(0) == std::to_string(i));
        CHECK_FALSE(found.exists("c"));
        CHECK(found.value(2) == R"("attr")");
        const auto failed = co_await bucket.mutate_in(key, {sd::insert("a.b", "1")}, as_expected());
        CHECK(code_of(failed) == errc::path_exists);
        const auto retrieved = co_await bucket.retrieve_in(key, {"a"}, {.timeout = 1s}, as_expected());
        CHECK(retrieved->value(0) == "{\"b\":" + std::to_string(i) + "}");
        bool thrown = false;
        try {
            co_await bucket.mutate_in(key, {sd::replace("none", "1")});
        } catch (const SubdocPathNotFoundError& error) {
            thrown = error.context().spec == 0u;
        }
        CHECK(thrown);

        co_await bucket.map_add(key + "m", "na.me", "1", {.create = true});
        const auto member = co_await bucket.map_get(key + "m", "na.me");
        CHECK(member.value() == "1");
        co_await bucket.list_append(key + "l", "1,2", {.create = true});
        const auto size = co_await bucket.list_size(key + "l");
        CHECK(size.size() == 2);
        co_await bucket.set_add(key + "s", "true", {.create = true});
        const auto has = co_await bucket.set_contains(key + "s", "true");
        CHECK(has.exists());
        const auto removed = co_await bucket.set_remove(key + "s", "true");
        CHECK(removed.success());
        co_await bucket.queue_push(key + "q", "7", {.create = true});
        const auto popped = co_await bucket.queue_pop(key + "q");
        CHECK(popped.value() == "7");
        const auto empty = co_await bucket.queue_pop(key + "q", as_expected());
        CHECK(code_of(empty) == errc::queue_empty);
        for (const char* kind : {"", "m", "l", "s", "q"}) co_await bucket.remove(key + kind);
    }
}

}  // namespace

TEST_CASE("cluster: sub-documents and data structures by AsioBucket") {
    if (other_cluster()) {
        const ClusterAccess& access = *other_cluster();
        with_asio_bucket(access.connection_string, access.with(),
                         [](AsioBucket& bucket) { return every_operation(bucket, "chaise-test:asio-subdoc:"); });
        return;
    }
    const std::size_t nodes = GENERATE(1u, 2u, 4u);
    CAPTURE(nodes);
    SECTION("on one io_context") {
        asio::io_context io{1};
        AsioLoop loop{io};
        std::optional<LocalCluster> cluster;
        cluster.emplace(loop, LocalClusterOptions{.nodes = nodes});
        AsioBucket bucket(io, cluster->connection_string(), {.username = "Administrator", .password = "password"});
        run_with(io, bucket, [&](AsioBucket& same) -> asio::awaitable<void> {
            co_await every_operation(same, "asio");
            cluster.reset();  // it listens, so that run() would not return
        });
    }
    SECTION("with the cluster on a thread of its own") {
        const LocalCluster cluster = LocalCluster::on_thread({.nodes = nodes});
        with_asio_bucket(cluster.connection_string(), {.username = "Administrator", .password = "password"},
                         [](AsioBucket& bucket) { return every_operation(bucket, "asio"); });
    }
}
