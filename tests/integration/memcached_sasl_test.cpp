// Authentication against a real memcached -S with a sasldb.

#include "support/memcached_process.hpp"
#include "tests/support/run.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace chaise;
using namespace std::chrono_literals;
using chaise::testing::MemcachedProcess;
using chaise::testing::with_bucket;

namespace {

MemcachedProcess::Options sasl(std::string mechanisms) {
    return {.mechanisms = std::move(mechanisms), .user = "ada@chaise", .password = "pencil"};
}

/// The outcome of connecting and of a round trip.
Error attempt(const MemcachedProcess& server, const BucketOptions& options) {
    Error outcome;
    with_bucket(server.connection_string(), options, [&](AsyncBucket& bucket) -> Task<> {
        auto connected = co_await bucket.connect().as_expected();
        if (!connected) {
            outcome = connected.error();
            co_return;
        }
        co_await bucket.upsert("k", "v");
        CHECK_AWAIT((co_await bucket.get("k")).value() == "v");
    });
    return outcome;
}

}  // namespace

TEST_CASE("each mechanism that memcached offers") {
    for (const std::string mechanism : {"scram-sha-256", "scram-sha-1", "cram-md5"}) {
        INFO(mechanism);
        const MemcachedProcess server(sasl(mechanism));
        CHECK(attempt(server, {.username = "ada@chaise", .password = "pencil"}).code() == errc::success);
        const Error wrong = attempt(server, {.username = "ada@chaise", .password = "pen"});
        CHECK(wrong.code() == errc::authentication_failure);
        CHECK(wrong.context().node == server.connection_string().substr(12));
        CHECK(wrong.message().find("user \"ada@chaise\"") != std::string::npos);
        CHECK(wrong.message().find("pencil") == std::string::npos);
    }
}

TEST_CASE("PLAIN only when nothing else is listed and it is allowed") {
    const MemcachedProcess server(sasl("plain"));
    const Error refused = attempt(server, {.username = "ada@chaise", .password = "pencil"});
    CHECK(refused.code() == errc::authentication_failure);
    CHECK(refused.message().find("allow_plain") != std::string::npos);
    CHECK(attempt(server, {.username = "ada@chaise", .password = "pencil", .allow_plain = true}).code() ==
          errc::success);

    const MemcachedProcess both(sasl("plain scram-sha-1"));
    CHECK(attempt(both, {.username = "ada@chaise", .password = "pencil"}).code() == errc::success);
}

TEST_CASE("credentials that are missing, or that nobody wants") {
    const MemcachedProcess wants(sasl("scram-sha-256"));
    const Error missing = attempt(wants, {});
    CHECK(missing.code() == errc::authentication_failure);
    CHECK(missing.message().find("wants a username and password") != std::string::npos);

    const MemcachedProcess plain;
    CHECK(attempt(plain, {.username = "ada@chaise", .password = "pencil"}).code() == errc::authentication_failure);
}

TEST_CASE("operations that wait when authentication fails get that error, at once") {
    const MemcachedProcess server(sasl("scram-sha-256"));
    with_bucket(
        server.connection_string(), {.username = "ada@chaise", .password = "wrong"},
        [](AsyncBucket& bucket) -> Task<> { CHECK_THROWS_AS(co_await bucket.get("k", {.timeout = 20s}), AuthError); });
}
