// Typed operations on AsioBucket: awaited, with tokens, and what cannot be decoded.

#include "asio_bucket_support.hpp"

#include <chaise/json.hpp>

#include <asio/use_future.hpp>

#include <map>
#include <optional>
#include <string>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {
using Scores = std::map<std::string, std::vector<int>>;
}

TEST_CASE("AsioBucket: typed documents are awaited, with and without options and tokens") {
    with_asio_bucket(shared_server(), [](AsioBucket& bucket) -> asio::awaitable<void> {
        auto scores = bucket.typed<Scores>();
        const Scores ann = {{"darts", {20, 5}}, {"chess", {}}};
        const auto stored = co_await scores.upsert("ta1", ann);
        const auto found = co_await scores.get("ta1");
        CHECK(found.value() == ann);
        CHECK(found.cas() == stored.cas());
        CHECK(format_of(found.flags()) == Format::json);
        co_await scores.replace("ta1", {}, {.cas = stored.cas()});
        const auto empty = co_await scores.get("ta1", asio::use_awaitable);
        CHECK(empty.value().empty());
        const auto touched = co_await scores.get_and_touch("ta1", 1min, asio::use_awaitable);
        CHECK(touched.success());
        co_await scores.upsert("ta1", ann, asio::use_awaitable);
        const auto again = co_await scores.insert("ta1", ann, chaise::as_expected());
        CHECK(again.error() == errc::document_exists);
        const auto none = co_await scores.get("ta-none", chaise::as_expected());
        CHECK(none.error() == errc::document_not_found);
        const auto quiet = co_await scores.get("ta-none", {.quiet = true});
        CHECK_FALSE(quiet.success());

        co_await bucket.upsert("ta2", "[1", {.flags = flags_of(Format::json)});
        const auto broken = co_await scores.get("ta2", chaise::as_expected(asio::use_awaitable));
        CHECK(broken.error() == errc::decoding_failure);
        std::string caught;
        try {
            co_await scores.get("ta2");
        } catch (const ValueFormatError& error) {
            caught = error.context().key;
        }
        CHECK(caught == "ta2");
        const auto both = co_await scores.get_multi(keys("ta1", "ta2"), chaise::as_expected());
        CHECK(both.error() == errc::decoding_failure);
        CHECK(both.error().all_results<TypedResult<Scores>>().at("ta1")->value() == ann);
        const std::map<std::string, Scores> all = {{"ta1", ann}, {"ta2", {}}};
        co_await scores.upsert_multi(all, asio::use_awaitable);
        const auto good = co_await scores.get_multi(keys("ta1", "ta2"));
        CHECK(good.at("ta2")->value().empty());
    });
}

TEST_CASE("AsioBucket: typed documents with a handler, with a future, and when the loop goes first") {
    std::optional<TypedResult<int>> handled;
    bool called = false;
    {
        asio::io_context io{1};
        AsioBucket bucket(io, shared_server());
        auto numbers = bucket.typed<int>();
        auto stored = numbers.upsert("ta3", 12, asio::use_future);
        numbers.get("ta3", [&](std::exception_ptr error, TypedResult<int> found) {
            CHECK_FALSE(error);
            handled = std::move(found);
        });
        auto future = numbers.get("ta3", asio::use_future);
        io.run_for(2s);
        CHECK(stored.get().success());
        REQUIRE(handled);
        CHECK(handled->value() == 12);
        CHECK(future.get().value() == 12);
    }
    {
        asio::io_context never_run{1};
        AsioBucket bucket(never_run, shared_server());
        bucket.typed<int>().get("ta3", [&](std::exception_ptr, const TypedResult<int>&) { called = true; });
    }
    CHECK_FALSE(called);
}
