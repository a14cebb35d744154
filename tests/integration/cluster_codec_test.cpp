// Compression, preserve_expiry and the server's duration, against nodes that serve them.

#include <string>

#include "cluster_run.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

TEST_CASE("cluster: compressed and not, who writes and who reads need not agree") {
    const std::string text(100'000, 'x');
    for (const std::string writer : {"on", "off", "inflate_only", "force"}) {
        for (const std::string reader : {"on", "off", "inflate_only"}) {
            CAPTURE(writer, reader);
            ClusterRun run({.nodes = 2});
            run([&](ClusterRun& r) -> Task<> {
                AsyncBucket writing(r.loop, r.access.connection_string + "?compression=" + writer, r.access.with());
                AsyncBucket reading(r.loop, r.access.connection_string + "?compression=" + reader, r.access.with());
                co_await writing.connect();
                co_await reading.connect();
                for (int i = 0; i < 8; ++i) {
                    const std::string key = r.key("text" + std::to_string(i));
                    co_await writing.upsert(key, text);
                    const auto found = co_await reading.get(key);
                    const bool same = found.value() == text;
                    CHECK(same);
                    CHECK((found.datatype() & 2) == 0);
                    co_await writing.append(key, "!");
                    const auto longer = co_await reading.get(key);
                    const bool appended = longer.value() == text + "!";
                    CHECK(appended);
                }
            });
        }
    }
}

TEST_CASE("cluster: preserve_expiry keeps the expiry that a document has") {
    ClusterRun run({.nodes = 2});
    if (skipped_elsewhere("looks into the nodes")) return;
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        const std::string key = r.key("kept");
        const auto expiry = [&] {
            return r.cluster().stored(r.cluster().placement(key).active.value(), key).value().expiry;
        };
        co_await bucket.upsert(key, "1", {.expiry = 1000s});
        const auto first = expiry();
        CHECK(first != 0);
        co_await bucket.upsert(key, "2", {.preserve_expiry = true});
        CHECK(expiry() == first);
        co_await bucket.upsert(key, std::string(500, 'x'), {.expiry = 5000s, .preserve_expiry = true});
        CHECK(expiry() == first);
        co_await bucket.replace(key, "4", {.preserve_expiry = true});
        CHECK(expiry() == first);
        co_await bucket.counter(key, {.preserve_expiry = true});
        CHECK(expiry() == first);
        co_await bucket.replace(key, "5");
        CHECK(expiry() == 0);
    });
}

TEST_CASE("cluster: an error tells how long the server took") {
    ClusterRun run;
    run([](ClusterRun& r) -> Task<> {
        const auto missing = co_await r.bucket().get(r.key("none")).as_expected();
        REQUIRE_FALSE(missing.has_value());
        const auto& context = missing.error().context();
        REQUIRE(context.server_duration.has_value());
        CHECK(*context.server_duration >= Duration{0});
        CHECK(*context.server_duration < 1s);
        CHECK_THAT(missing.error().message(), Catch::Contains("server took"));
    });
}
