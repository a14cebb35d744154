// Multi operations on AsioBucket, against a real memcached.

#include "asio_bucket_support.hpp"

#include <asio/post.hpp>
#include <asio/use_future.hpp>

#include <map>
#include <optional>
#include <ranges>
#include <string>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

TEST_CASE("AsioBucket: multi operations are awaited, with and without options") {
    with_asio_bucket(shared_server(), [](AsioBucket& bucket) -> asio::awaitable<void> {
        const std::map<std::string, std::string> documents = {{"am1", "1"}, {"am2", "2"}, {"am3", "3"}};
        auto stored = co_await bucket.upsert_multi(documents, {.expiry = 10min});
        CHECK(stored.all_ok());
        const std::vector<std::string> ids = {"am3", "am1"};
        auto found = co_await bucket.get_multi(ids);
        CHECK((found.size() == 2 && found[0].result->value() == "3" && found[1].result->value() == "1"));
        auto quiet = co_await bucket.get_multi(keys("am1", "am4"), {.quiet = true});
        CHECK_FALSE(quiet.all_ok());
        std::string caught;
        try {
            co_await bucket.get_multi(keys("am1", "am4", "am5"));
        } catch (const NotFoundError& error) {
            caught = error.context().key;
            CHECK(error.all_results<ValueResult>().at("am1")->value() == "1");
            CHECK(error.all_results<ValueResult>().errors().size() == 2);
        }
        CHECK(caught == "am4");
        auto expected = co_await bucket.get_multi(keys("am4"), chaise::as_expected());
        CHECK(expected.error() == errc::document_not_found);
        auto counted = co_await bucket.counter_multi(ids, {.delta = 4}, asio::use_awaitable);
        CHECK(counted[0].result->counter() == 7);
        co_await bucket.touch_multi(ids, 1h, asio::use_awaitable);
        co_await bucket.touch_multi(ids, asio::use_awaitable);
        co_await bucket.touch_multi(ids, 1h, {.timeout = 1s}, asio::use_awaitable);
        co_await bucket.get_and_touch_multi(ids, 1h, asio::use_awaitable);
        auto there = co_await bucket.exists_multi(ids, asio::use_awaitable);
        CHECK(there.all_ok());
        auto locked = co_await bucket.lock_multi(ids, 10s, chaise::as_expected());
        CHECK(locked.error() == errc::unsupported_operation);
        co_await bucket.remove_multi(found, chaise::as_expected());
        co_await bucket.remove_multi(std::views::keys(documents), {.quiet = true});
    });
}

TEST_CASE("AsioBucket: a multi operation with a handler, and with a future") {
    asio::io_context io{1};
    AsioBucket bucket(io, shared_server());
    std::optional<MultiResult<ValueResult>> all;
    bucket.get_multi(keys("none1", "none2"), {.quiet = true},
                     [&](std::exception_ptr error, MultiResult<ValueResult> found) {
                         CHECK_FALSE(error);
                         all = std::move(found);
                     });
    auto future = bucket.get_multi(keys("none1"), asio::use_future);
    auto stored = bucket.upsert_multi(std::map<std::string, std::string>{{"future", "f"}}, asio::use_future);
    io.run_for(2s);
    REQUIRE(all);
    CHECK(all->size() == 2);
    CHECK_THROWS_AS(future.get(), NotFoundError);
    CHECK(stored.get().all_ok());
    asio::post(bucket.get_executor(), [&] { bucket.close([](std::exception_ptr, OperationResult) {}); });
    io.run();
}
