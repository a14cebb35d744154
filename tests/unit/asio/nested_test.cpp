// A handler that runs the loop from inside, as Asio allows.

#include <chaise/asio.hpp>

#include <asio/io_context.hpp>
#include <catch2/catch.hpp>

#include <optional>

using namespace chaise;

TEST_CASE("a handler destroys its bucket and polls the loop: the core goes after the dispatch", "[asio]") {
    asio::io_context io(1);
    std::optional<AsioBucket> bucket(std::in_place, io, "memcached://127.0.0.1:1");
    int refused = 0;
    int ended = 0;
    bucket->connect([&](const std::exception_ptr& error, const OperationResult&) {
        CHECK(error);
        ++refused;
        bucket.reset();
        CHECK(ended == 0);
        io.poll();
        CHECK(ended == 1);
    });
    bucket->get("k", [&](const std::exception_ptr& error, const ValueResult&) {
        CHECK_THROWS_AS(std::rethrow_exception(error), ShutdownError);
        ++ended;
    });
    io.run();
    CHECK(refused == 1);
    CHECK(ended == 1);
}
