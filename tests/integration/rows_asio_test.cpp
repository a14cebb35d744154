// Rows of an AsioBucket: by co_await in asio::awaitable, by completion tokens, cancelled, and at the end of everything.

#include "asio_bucket_support.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/detached.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_future.hpp>

#include <chaise/testing/local_cluster.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using namespace asio::experimental::awaitable_operators;

namespace {

constexpr const char* everything = "all of it";
constexpr int count = 3000;

/// A cluster on a thread of its own, whose query service has an answer of many rows.
struct Served {
    Served() {
        std::string body = R"({"results":[)";
        for (int i = 0; i < count; ++i) body += (i ? "," : "") + std::to_string(i);
        cluster.script_query(everything, body + R"(],"status":"success","metrics":{"resultCount":3000}})");
    }
    template <class F>
    void operator()(F body) {
        with_asio_bucket(cluster.connection_string(), {.username = "Administrator", .password = "password"},
                         std::move(body));
    }
    LocalCluster cluster = LocalCluster::on_thread({.nodes = 1});
};

asio::awaitable<void> pause(asio::steady_timer::duration time) {
    asio::steady_timer timer(co_await asio::this_coro::executor, time);
    co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<int> count_rows(AsioRows rows) {
    int n = 0;
    while (auto row = co_await rows.next()) {
        if (row.json() != std::to_string(n)) FAIL("row " << n << " is " << row.json());
        ++n;
    }
    co_return n;
}

}  // namespace

TEST_CASE("rows in asio::awaitable") {
    Served served;
    served([](AsioBucket& bucket) -> asio::awaitable<void> {
        auto rows = bucket.n1ql_query(everything);
        CHECK_THROWS_AS(rows.meta(), std::logic_error);
        int n = 0;
        while (auto row = co_await rows.next()) {
            if (row.json() != std::to_string(n)) FAIL("row " << n);
            ++n;
        }
        CHECK(n == count);
        CHECK(rows.ended());
        CHECK(rows.rows_returned() == count);
        CHECK(rows.meta().metrics() == R"({"resultCount":3000})");
        const Row nothing = co_await rows.next();  // again and again
        CHECK_FALSE(nothing);

        auto statement = bucket.n1ql_query("SELECT RAW $1 || '!'", {.positional = R"(["hello"])"});
        const auto all = co_await statement.all();
        REQUIRE(all.size() == 1);
        CHECK(all[0].json() == R"("hello!")");

        auto wrong = bucket.n1ql_query("SELEKT");
        bool thrown = false;
        try {
            co_await wrong.next();
        } catch (const Exception& error) {
            thrown = error.error() == errc::parsing_failure;
        }
        CHECK(thrown);
        CHECK(wrong.error() == errc::parsing_failure);

        // As Asio's own type, and with its operators.
        asio::awaitable<Row> plain = bucket.n1ql_query(everything).next().valid()
                                         ? asio::awaitable<Row>(statement.next())
                                         : asio::awaitable<Row>();
        const Row end = co_await std::move(plain);
        CHECK_FALSE(end);
        auto again = bucket.n1ql_query(everything);
        asio::steady_timer timer(co_await asio::this_coro::executor, 10s);
        const auto first = co_await (again.next() || timer.async_wait(asio::use_awaitable));
        REQUIRE(first.index() == 0);
        CHECK(std::get<0>(first).json() == "0");
        const int one = co_await count_rows(bucket.n1ql_query(everything));
        CHECK(one == count);
    });
}

TEST_CASE("rows by completion tokens") {
    Served served;
    served([](AsioBucket& bucket) -> asio::awaitable<void> {
        auto rows = bucket.n1ql_query(everything);
        std::vector<std::string> seen;
        rows.next([&](std::exception_ptr error, Row row) {
            rethrow(error);
            seen.emplace_back(row.json());
        });
        CHECK(seen.empty());
        CHECK_THROWS_AS(rows.next([](std::exception_ptr, Row) {}), std::logic_error);  // one at a time
        while (seen.empty()) co_await pause(1ms);
        const Row second = co_await rows.next(asio::use_awaitable);
        CHECK(second.json() == "1");
        const auto third = co_await rows.next(as_expected(asio::use_awaitable));
        CHECK(third->json() == "2");
        std::future<Row> fourth = rows.next(asio::use_future);
        while (fourth.wait_for(0s) != std::future_status::ready) co_await pause(1ms);
        const Row got = fourth.get();
        CHECK(got.json() == "3");
        const auto rest = co_await rows.all(asio::use_awaitable);
        CHECK(rest.size() == count - 4);
        CHECK(seen.size() == 1);

        auto wrong = bucket.n1ql_query("SELEKT");
        const auto error = co_await wrong.next(as_expected(asio::use_awaitable));
        REQUIRE_FALSE(error.has_value());
        CHECK(error.error() == errc::parsing_failure);
        errc thrown = errc::success;
        bool called = false;
        wrong.all([&](std::exception_ptr failed, std::vector<Row>) {
            thrown = code_of(failed);
            called = true;
        });
        while (!called) co_await pause(1ms);
        CHECK(thrown == errc::parsing_failure);
    });
}

TEST_CASE("who waits for a row is cancelled, and the row is not lost") {
    Served served;
    served([&](AsioBucket& bucket) -> asio::awaitable<void> {
        co_await bucket.connect();
        served.cluster.add_service_fault(LocalService::query, {.delay = 300ms});
        auto rows = bucket.n1ql_query(everything);
        asio::cancellation_signal signal;
        errc told = errc::success;
        rows.next(
            asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr error, Row) { told = code_of(error); }));
        co_await pause(20ms);
        signal.emit(asio::cancellation_type::none);
        signal.emit(asio::cancellation_type::total);
        CHECK(told == errc::success);  // later
        co_await pause(5ms);
        CHECK(told == errc::cancelled);
        CHECK_FALSE(signal.slot().has_handler());
        asio::steady_timer timer(co_await asio::this_coro::executor, 20ms);
        const auto none = co_await (rows.next() || timer.async_wait(asio::use_awaitable));
        CHECK(none.index() == 1);
        served.cluster.clear_service_faults();
        const auto first = co_await rows.next();
        CHECK(first.json() == "0");

        // Destroyed while somebody waits.
        served.cluster.add_service_fault(LocalService::query, {.delay = 10s});
        std::optional<AsioRows> gone(bucket.n1ql_query(everything));
        told = errc::success;
        gone->next([&](std::exception_ptr error, Row) { told = code_of(error); });
        co_await pause(20ms);
        gone.reset();
        CHECK(told == errc::success);
        co_await pause(5ms);
        CHECK(told == errc::cancelled);
        served.cluster.clear_service_faults();
    });
}

TEST_CASE("rows at the end: the bucket is closed, and the io_context goes first") {
    Served served;
    const auto alive = std::make_shared<int>();
    {
        auto io = std::make_unique<asio::io_context>(1);
        AsioBucket bucket(*io, served.cluster.connection_string(),
                          {.username = "Administrator", .password = "password"});
        std::optional<errc> closed;
        const auto waiting = [](AsioBucket& of, std::shared_ptr<int>,
                                std::optional<errc>* told) -> asio::awaitable<void> {
            auto rows = of.n1ql_query(everything);
            auto outcome = co_await rows.next(as_expected(asio::use_awaitable));
            if (!outcome && told) *told = outcome.error().code();
            auto others = of.n1ql_query(everything);
            while (auto row = co_await others.next()) continue;
            if (!told) FAIL("resumed");
        };
        bucket.connect([&](std::exception_ptr error, OperationResult) {
            rethrow(error);
            served.cluster.add_service_fault(LocalService::query, {.times = 2, .delay = 10s});
            asio::co_spawn(bucket.get_executor(), waiting(bucket, alive, nullptr), asio::detached);
            const auto direct = [](AsioBucket& of, std::shared_ptr<int>) -> asio::awaitable<void> {
                auto rows = of.n1ql_query(everything);
                auto row = co_await rows.next();
                FAIL("resumed");
            };
            asio::co_spawn(bucket.get_executor(), direct(bucket, alive), asio::detached);
        });
        io->run_for(100ms);
        CHECK(alive.use_count() == 3);
        io.reset();
        CHECK(alive.use_count() == 1);
        served.cluster.clear_service_faults();
    }
    served([&](AsioBucket& bucket) -> asio::awaitable<void> {
        co_await bucket.connect();
        served.cluster.add_service_fault(LocalService::query, {.delay = 10s});
        auto rows = bucket.n1ql_query(everything);
        std::optional<errc> told;
        rows.next([&](std::exception_ptr error, Row) { told = code_of(error); });
        co_await pause(20ms);
        co_await bucket.close();
        co_await pause(5ms);
        CHECK(told == errc::shutdown);
        auto late = bucket.n1ql_query(everything);
        const auto refused = co_await late.next(as_expected(asio::use_awaitable));
        CHECK(refused.error() == errc::shutdown);
        served.cluster.clear_service_faults();
    });
}

TEST_CASE("pages of a view in Asio: by co_await, by tokens, as_expected") {
    LocalCluster cluster = LocalCluster::on_thread({.nodes = 1});
    with_asio_bucket(cluster.connection_string(), {.username = "Administrator", .password = "password"},
                     [](AsioBucket& bucket) -> asio::awaitable<void> {
                         auto designs = bucket.design_documents();
                         co_await designs.create(
                             "d", R"({"views":{"v":{"map":"function(doc, meta) { emit(doc, null); }"}}})",
                             {.development = false});
                         for (int i = 0; i < 7; ++i) {
                             const std::string key = "d" + std::to_string(i);
                             co_await bucket.upsert(key, std::to_string(i));
                         }
                         AsioViewPages pages = bucket.view_pages("d", "v", 2, {.stale = Stale::updated});
                         const ViewPage first = co_await pages.next();
                         REQUIRE(first.size() == 2);
                         CHECK(first[1].docid() == "d1");
                         const ViewPage second = co_await pages.next(asio::use_awaitable);
                         REQUIRE(second.size() == 2);
                         CHECK(second[0].docid() == "d2");
                         const auto third = co_await pages.next(as_expected());
                         REQUIRE(third);
                         REQUIRE(third->size() == 2);
                         CHECK((*third)[1].docid() == "d5");
                         std::optional<std::size_t> last;
                         pages.next([&last](std::exception_ptr failure, const ViewPage& page) {
                             CHECK_FALSE(failure);
                             last = page.size();
                         });
                         CHECK_FALSE(last);
                         while (!last) co_await bucket.noop();
                         CHECK(last == 1);
                         CHECK_FALSE(pages.more());
                         AsioViewPages wrong = bucket.view_pages("d", "none", 2);
                         const auto error = co_await wrong.next(as_expected());
                         REQUIRE_FALSE(error);
                         CHECK(error.error().code() == errc::view_not_found);
                     });
}
