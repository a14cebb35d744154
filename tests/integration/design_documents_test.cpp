// Design documents and pages of views, on a LocalCluster.

#include <chaise/design_documents.hpp>
#include <chaise/view_pages.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "cluster_run.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view by_n = R"({"views":{"by_n":{"map":"function(doc, meta) { emit(doc.n, null); }"}}})";

template <class T>
Task<errc> error_of(Task<T> task) {
    try {
        co_await task;
        co_return errc::success;
    } catch (const Exception& exception) {
        co_return exception.code();
    }
}

Task<std::string> joined(ViewPages& pages) {
    std::string out;
    const auto page = co_await pages.next();
    for (const Row& row : page) out += row.docid().value_or("-") + " ";
    co_return out;
}

}  // namespace

TEST_CASE("design documents: written, read, published, listed, removed") {
    ClusterRun run({.nodes = 2, .replicas = 1});
    run([](ClusterRun& r) -> Task<> {
        auto designs = r.bucket().design_documents();
        const auto none = co_await designs.list();
        CHECK(none.empty());
        CHECK_AWAIT(co_await error_of(designs.get("beer")) == errc::design_document_not_found);
        CHECK_AWAIT(co_await error_of(designs.create("beer", "{")) == errc::invalid_argument);
        CHECK_AWAIT(co_await error_of(designs.create("beer", "[]")) == errc::invalid_argument);
        CHECK_AWAIT(co_await error_of(designs.create("", "{}")) == errc::invalid_argument);
        CHECK_AWAIT(co_await error_of(designs.create("beer", R"({"views":{"v":{"map":"function("}}})")) ==
                    errc::invalid_argument);
        co_await designs.create("beer", by_n);
        const std::string text = co_await designs.get("beer");
        CHECK(text.find("emit(doc.n") != std::string::npos);
        CHECK_AWAIT(co_await error_of(designs.get("beer", {.development = false})) == errc::design_document_not_found);

        for (int i = 0; i < 8; ++i) {
            const std::string key = "d" + std::to_string(i);
            const std::string value = R"({"n":)" + std::to_string(i) + "}";
            co_await r.bucket().upsert(key, value);
        }
        co_await designs.wait_for_index("beer");
        auto rows = r.bucket().view_query("beer", "by_n", {.stale = Stale::ok, .full_set = true, .development = true});
        const auto all = co_await rows.all();
        CHECK(all.size() == 8);

        co_await designs.publish("beer");
        CHECK_AWAIT(co_await error_of(designs.get("beer")) == errc::design_document_not_found);
        const std::string real = co_await designs.get("beer", {.development = false});
        CHECK(real == text);
        const auto one = co_await designs.list();
        REQUIRE(one.size() == 1);
        CHECK(one[0].name == "beer");
        CHECK(one[0].json.find("by_n") != std::string::npos);
        co_await designs.wait_for_index("beer", {.development = false});
        auto fresh = r.bucket().view_query("beer", "by_n", {.stale = Stale::ok});
        const auto again = co_await fresh.all();
        CHECK(again.size() == 8);
        co_await designs.remove("beer", {.development = false});
        CHECK_AWAIT(co_await error_of(designs.remove("beer", {.development = false})) ==
                    errc::design_document_not_found);
    });
}

TEST_CASE("pages of a view: nothing twice, nothing missing, whatever changes meanwhile") {
    ClusterRun run({.nodes = 2, .replicas = 1});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        auto designs = bucket.design_documents();
        co_await designs.create(
            "d",
            R"({"views":{"by_half":{"map":"function(doc, meta) { emit(Math.floor(doc.n / 3), null); )"
            R"(if (doc.twice) emit(Math.floor(doc.n / 3), 2); }"},)"
            R"("sum":{"map":"function(doc, meta) { emit(doc.n, 1); }","reduce":"_sum"}}})",
            {.development = false});
        for (int i = 0; i < 10; ++i) {
            const std::string key = "d" + std::to_string(i);
            const std::string value = R"({"n":)" + std::to_string(i) + (i == 3 ? R"(,"twice":true})" : "}");
            co_await bucket.upsert(key, value);
        }
        ViewPages pages = bucket.view_pages("d", "by_half", 4, {.stale = Stale::updated});
        CHECK_AWAIT(co_await joined(pages) == "d0 d1 d2 d3 ");
        co_await bucket.remove("d1");
        CHECK_AWAIT(co_await joined(pages) == "d3 d4 d5 d6 ");
        co_await bucket.remove("d6");  // where the next page was to begin
        CHECK_AWAIT(co_await joined(pages) == "d7 d8 d9 ");
        CHECK_FALSE(pages.more());
        CHECK_AWAIT(co_await joined(pages) == "");

        ViewPages down =
            bucket.view_pages("d", "by_half", 3, {.stale = Stale::updated, .descending = true, .limit = 5});
        CHECK_AWAIT(co_await joined(down) == "d9 d8 d7 ");
        CHECK_AWAIT(co_await joined(down) == "d5 d4 ");
        CHECK_FALSE(down.more());

        ViewPages range =
            bucket.view_pages("d", "by_half", 2, {.stale = Stale::ok, .skip = 1, .mapkey_range = {"0", "1"}});
        CHECK_AWAIT(co_await joined(range) == "d2 d3 ");
        CHECK_AWAIT(co_await joined(range) == "d3 d4 ");
        CHECK_AWAIT(co_await joined(range) == "d5 ");
        CHECK_FALSE(range.more());

        ViewPages reduced = bucket.view_pages("d", "sum", 3, {.stale = Stale::updated, .group = true});
        std::string keys;
        while (reduced.more()) {
            const auto page = co_await reduced.next();
            for (const Row& row : page) keys += row.key();
        }
        CHECK(keys == "02345789");
        ViewPages some = bucket.view_pages("d", "sum", 2, {.keys = "[9,2,4]", .reduce = false});
        CHECK_AWAIT(co_await joined(some) == "d9 d2 ");
        CHECK_AWAIT(co_await joined(some) == "d4 ");
        ViewPages wrong = bucket.view_pages("d", "none", 2);
        CHECK_AWAIT(co_await error_of(wrong.next()) == errc::view_not_found);
        CHECK(wrong.more());
    });
}
