// lookup_in of copies: which are asked, what they have, and what becomes of it while nodes are dead.

#include <chaise/chaise.hpp>

#include <string>
#include <vector>

#include "cluster_run.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

constexpr const char* document = R"({"name":"Ada","born":{"year":1815}})";
constexpr LocalClusterOptions three{.nodes = 3, .replicas = 2};

}  // namespace

TEST_CASE("cluster: paths of every copy of a document") {
    if (skipped_elsewhere("it counts on three copies")) return;
    ClusterRun run(three);
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        co_await bucket.upsert("ada", document, {.replicate_to = 2});
        co_await bucket.mutate_in("ada", {sd::upsert("mark", "7", {.xattr = true})}, {.replicate_to = 2});
        const std::vector<LookupSpec> specs = {sd::get("born.year"), sd::get("mark", {.xattr = true}),
                                               sd::exists("nothing"), sd::count("born")};
        const auto all = co_await bucket.lookup_in_all_replicas("ada", specs);
        REQUIRE(all.size() == 3);
        std::size_t active = 0;
        for (const LookupReplicaResult& copy : all) {
            active += copy.is_replica() ? 0u : 1u;
            REQUIRE(copy.size() == 4);
            CHECK(copy.value(0) == "1815");
            CHECK(copy.value(1) == "7");
            CHECK_FALSE(copy.exists(2));
            CHECK(copy.value(3) == "1");
            CHECK(copy.cas() == all.cas());
        }
        CHECK(active == 1);
        const auto any = co_await bucket.lookup_in_replica("ada", {sd::get("name")});
        CHECK(any.value(0) == "\"Ada\"");
        for (unsigned index = 0; index < 2; ++index) {
            const auto one = co_await bucket.lookup_in_replica("ada", {sd::get("name")}, {.index = index});
            CHECK(one.is_replica());
            CHECK(one.value("name") == "\"Ada\"");
        }

        // What a replica has is what has come to it.
        r.cluster().set_replication_delay(never);
        co_await bucket.mutate_in("ada", {sd::upsert("name", "\"Lovelace\"")});
        const auto old = co_await bucket.lookup_in_replica("ada", {sd::get("name")}, {.index = 0});
        CHECK(old.value(0) == "\"Ada\"");
        const auto both = co_await bucket.lookup_in_all_replicas("ada", {sd::get("name")});
        for (const LookupReplicaResult& copy : both) {
            CHECK(copy.value(0) == (copy.is_replica() ? "\"Ada\"" : "\"Lovelace\""));
        }

        const auto beyond = co_await bucket.lookup_in_replica("ada", {sd::get("name")}, {.index = 2}).as_expected();
        CHECK(code_of(beyond) == errc::invalid_argument);
        const auto nothing = co_await bucket.lookup_in_replica("ada", LookupSpecs()).as_expected();
        CHECK(code_of(nothing) == errc::invalid_argument);
        const auto no_group =
            co_await bucket
                .lookup_in_replica("ada", {sd::get("a")}, {.read_preference = ReadPreference::selected_server_group})
                .as_expected();
        CHECK(code_of(no_group) == errc::invalid_argument);
        const auto missing = co_await bucket.lookup_in_replica("nobody", {sd::get("name")}).as_expected();
        REQUIRE(code_of(missing) == errc::document_unretrievable);
        CHECK(missing.error().context().operation == "lookup_in_replica");
        CHECK(missing.error().context().key == "nobody");
        const auto quiet = co_await bucket.lookup_in_all_replicas("nobody", {sd::get("name")}, {.quiet = true});
        CHECK_FALSE(quiet.success());
        CHECK(quiet.empty());
        CHECK(bucket.operations() == 0);
    });
}

TEST_CASE("cluster: paths of a named collection's document, while its active node is dead") {
    if (skipped_elsewhere("it kills a node")) return;
    ClusterRun run(three);
    run([](ClusterRun& r) -> Task<> {
        r.cluster().create_scope("shop");
        r.cluster().create_collection("shop", "people");
        auto people = r.bucket().scope("shop").collection("people");
        co_await people.upsert("ada", document, {.replicate_to = 2});
        const KeyPlacement placement = r.cluster().placement("ada");
        r.cluster().kill_node(*placement.active);
        const auto any = co_await people.lookup_in_replica("ada", {sd::get("name"), sd::get("born")});
        CHECK(any.is_replica());
        CHECK(any.value(1) == R"({"year":1815})");
        const auto all = co_await people.lookup_in_all_replicas("ada", {sd::get("name")}, {.timeout = 300ms});
        CHECK(all.size() == 2);
        CHECK(all.cas() == 0);
        auto cancelled = people.lookup_in_all_replicas("ada", {sd::get("name")}, {.timeout = 10s});
        co_await r.sleep(20ms);
        cancelled.cancel();
        const auto outcome = co_await std::move(cancelled).as_expected();
        CHECK(code_of(outcome) == errc::cancelled);
    });
}
