// When a strand is put around the user's executor.
#include <catch2/catch.hpp>

#include "support.hpp"

#include <asio/strand.hpp>
#include <asio/system_executor.hpp>
#include <asio/thread_pool.hpp>

using namespace chaise;

TEST_CASE("an executor is wrapped in a strand unless it is single-threaded or a strand") {
    asio::io_context context;
    const asio::any_io_executor plain = context.get_executor();

    SECTION("any executor gets a strand") {
        const auto iops = make_asio_iops(context);
        CHECK(iops->get_executor() != plain);
        CHECK(iops->get_executor().target_type() == typeid(asio::strand<asio::io_context::executor_type>));
        const auto erased = make_asio_iops(plain);
        CHECK(erased->get_executor().target_type() == typeid(asio::strand<asio::io_context::executor_type>));
    }
    SECTION("not if it is said to be single-threaded") {
        CHECK(make_asio_iops(context, {.single_threaded = true})->get_executor() == plain);
        CHECK(make_asio_iops(plain, {.single_threaded = true})->get_executor() == plain);
    }
    SECTION("concurrency hint 1 says so") {
        asio::io_context one(1);
        CHECK(make_asio_iops(one)->get_executor() == asio::any_io_executor(one.get_executor()));
        asio::io_context two(2);
        CHECK(make_asio_iops(two)->get_executor() != asio::any_io_executor(two.get_executor()));
    }
    SECTION("a strand is used as it is, so that the user's handlers on it may call us") {
        const auto strand = asio::make_strand(context);
        CHECK(make_asio_iops(strand)->get_executor() == asio::any_io_executor(strand));
        CHECK(make_asio_iops(asio::any_io_executor(strand))->get_executor() == asio::any_io_executor(strand));
        const auto erased = asio::make_strand(plain);
        CHECK(make_asio_iops(erased)->get_executor() == asio::any_io_executor(erased));
        CHECK(make_asio_iops(asio::any_io_executor(erased))->get_executor() == asio::any_io_executor(erased));
        bool inside = false;
        const auto iops = make_asio_iops(strand);
        asio::post(strand, [&] { inside = iops->running_in_this_thread(); });
        CHECK_FALSE(iops->running_in_this_thread());
        context.run();
        CHECK(inside);
    }
    SECTION("a thread pool, also with one thread") {
        asio::thread_pool pool(1);
        CHECK(make_asio_iops(pool)->get_executor().target_type() ==
              typeid(asio::strand<asio::thread_pool::executor_type>));
        CHECK(make_asio_iops(pool, {.single_threaded = true})->get_executor() ==
              asio::any_io_executor(pool.get_executor()));
    }
}
