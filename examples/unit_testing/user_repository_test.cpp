// How to test a service that keeps its data in Couchbase: with a cluster in the test's own process.

#include "user_repository.hpp"

#include <chaise/epoll.hpp>
#include <chaise/testing/local_cluster.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

using namespace std::chrono_literals;

/// A cluster, a bucket on it, and what is to be tested: new for every test.
struct Fixture {
    chaise::EpollLoop loop;
    chaise::testing::LocalCluster cluster{loop, {.nodes = 3, .replicas = 1}};
    chaise::AsyncBucket bucket{loop,
                               cluster.connection_string(),
                               {.username = "Administrator", .password = "password", .operation_timeout = 200ms}};
    UserRepository users{bucket};

    template <class Body>
    void run(const Body& body) {
        chaise::spawn(loop, body());
        loop.run();
    }
};

TEST_CASE("users are there after a failover") {
    Fixture f;
    f.run([&]() -> chaise::Task<> {
        co_await f.users.add("ada", "Ada Lovelace");
        f.cluster.failover(f.cluster.placement("user::ada").active.value());
        const auto ada = co_await f.users.find("ada");
        CHECK(ada);
    });
}

TEST_CASE("a user that was added is found") {
    Fixture f;
    f.run([&]() -> chaise::Task<> {
        co_await f.users.add("ada", "Ada Lovelace");
        const auto ada = co_await f.users.find("ada");
        REQUIRE(ada);
        CHECK(ada->name == "Ada Lovelace");
    });
}

TEST_CASE("a login is taken once") {
    Fixture f;
    f.run([&]() -> chaise::Task<> {
        co_await f.users.add("ada", "Ada Lovelace");
        CHECK_THROWS_AS(co_await f.users.add("ada", "Ada Yonath"), LoginTaken);
        const auto ada = co_await f.users.find("ada");
        CHECK(ada.value().name == "Ada Lovelace");
        const auto nobody = co_await f.users.find("nobody");
        CHECK_FALSE(nobody);
    });
}

TEST_CASE("titles that are added at the same moment are both there") {
    Fixture f;
    f.run([&]() -> chaise::Task<> { co_await f.users.add("ada", "Ada"); });
    const auto add = [&](std::string title) -> chaise::Task<> {
        const bool added = co_await f.users.add_title("ada", title);
        CHECK(added);
    };
    chaise::spawn(f.loop, add("Dr."));  // both under way at once
    chaise::spawn(f.loop, add("Countess"));
    f.loop.run();
    f.run([&]() -> chaise::Task<> {
        const auto ada = co_await f.users.find("ada");
        const std::string name = ada.value().name;
        CHECK((name == "Dr. Countess Ada" || name == "Countess Dr. Ada"));
    });
}

TEST_CASE("logins are counted") {
    Fixture f;
    f.run([&]() -> chaise::Task<> {
        for (std::uint64_t i = 1; i <= 10; ++i) {
            const auto count = co_await f.users.count_login("ada");
            CHECK(count == i);
        }
    });
}

TEST_CASE("a greeting comes also while the database is away") {
    Fixture f;
    Greeter greeter(f.users);
    f.run([&]() -> chaise::Task<> {
        co_await f.users.add("ada", "Ada Lovelace");
        const auto before = co_await greeter.greet("ada");
        CHECK(before == "Hello, Ada Lovelace!");
        for (std::size_t node = 0; node < 3; ++node) f.cluster.pause(node);
        const auto meanwhile = co_await greeter.greet("ada");
        CHECK(meanwhile == "Hello!");
        for (std::size_t node = 0; node < 3; ++node) f.cluster.resume(node);
        const auto after = co_await greeter.greet("ada");
        CHECK(after == "Hello, Ada Lovelace!");
    });
}
