// Design documents and pages of views, on a LocalCluster.

#include <chaise/design_documents.hpp>
#include <chaise/view_pages.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster_run.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view by_n = R"({"views":{"by_n":{"map":"function(doc, meta) { emit(doc.n, null); }"}}})";

template <class Awaitable>
Task<errc> error_of(Awaitable operation) {
    try {
        co_await std::move(operation);
        co_return errc::success;
    } catch (const Exception& exception) {
        co_return exception.code();
    }
}

Task<std::string> joined(AsyncViewPages& pages) {
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
        CHECK_AWAIT(co_await error_of(designs.create("beer", "")) == errc::invalid_argument);
        CHECK_AWAIT(co_await error_of(designs.create("", "{}")) == errc::invalid_argument);
        CHECK_AWAIT(co_await error_of(designs.create("beer", R"({"views":{"v":{"map":"function("}}})")) ==
                    errc::invalid_argument);
        co_await designs.create("beer", by_n);
        const HttpResult text = co_await designs.get("beer");
        CHECK(text.headers().get("content-type").starts_with("application/json"));
        // The revision changes with the document, and with nothing else.
        const std::string meta(text.headers().get("x-couchbase-meta"));
        CHECK(meta.find(R"("id":"_design/dev_beer")") != std::string::npos);
        CHECK(meta.find(R"("rev":")") != std::string::npos);
        const HttpResult same = co_await designs.get("beer");
        CHECK(same.headers().get("X-Couchbase-Meta") == meta);
        co_await designs.create("beer", R"({"views":{"other":{"map":"function(doc, meta) { emit(1, 1); }"}}})");
        const HttpResult other = co_await designs.get("beer");
        CHECK(other.headers().get("X-Couchbase-Meta") != meta);
        co_await designs.create("beer", by_n);
        CHECK(text.success());
        CHECK(text.http_status() == 200);
        CHECK(text.value().find("emit(doc.n") != std::string::npos);
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
        const HttpResult real = co_await designs.get("beer", {.development = false});
        CHECK(real.value() == text.value());
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

TEST_CASE("design documents by callbacks, cancelled, late, and when the bucket goes") {
    ClusterRun run({.nodes = 1});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        auto designs = bucket.design_documents();
        std::vector<std::string> heard;
        const auto tell = [&](std::string what) { heard.push_back(std::move(what)); };
        auto written = designs.create("a", by_n);
        written.set_callbacks(
            [&](const HttpResult& result) { tell("written " + std::to_string(result.http_status())); },
            [&](const Error& error) { tell(error.message()); });
        co_await designs.create("b", by_n, {.development = false});
        REQUIRE(heard.size() == 1);
        CHECK(heard[0] == "written 201");
        const DesignListResult all = co_await designs.list();
        REQUIRE(all.size() == 2);
        CHECK(all.http_status() == 200);
        CHECK(all[0].name + " " + all[1].name == "b dev_a");
        std::optional<Error> cancelled;
        auto removed = designs.remove("a");
        removed.set_callbacks([&](const HttpResult&) { tell("removed"); },
                              [&](const Error& error) { cancelled = error; });
        co_await bucket.noop();
        removed.cancel();
        while (!cancelled) co_await bucket.noop();
        CHECK(cancelled->code() == errc::cancelled);
        CHECK(cancelled->may_have_happened());
        CHECK_AWAIT(co_await error_of(designs.get("a", {.timeout = 0s})) == errc::invalid_argument);
        {
            auto dropped = designs.create("c", by_n);
        }  // goes on unobserved
        for (errc code{}; code != errc::success;) code = co_await error_of(designs.get("c"));
        r.cluster().pause(0);
        std::optional<Error> late;
        try {
            co_await designs.create("d", by_n, {.timeout = 50ms});
        } catch (const Exception& exception) {
            late = exception.error();
        }
        REQUIRE(late);
        CHECK(late->code() == errc::timeout_after_send);
        CHECK(late->may_have_happened());
        CHECK(late->context().node.find("127.0.0.1") != std::string::npos);
        r.cluster().resume(0);
        CHECK(heard.size() == 1);
    });
}

TEST_CASE("design documents in flight when the bucket or its loop goes") {
    std::vector<errc> ends;
    const auto hear = [&](AsyncResult<HttpResult> operation) {
        operation.set_callbacks([&](const HttpResult&) { ends.push_back(errc::success); },
                                [&](const Error& error) { ends.push_back(error.code()); });
    };
    EpollLoop servers;
    LocalCluster cluster(servers, {.nodes = 1});
    std::optional<EpollLoop> loop(std::in_place);
    const auto turn = [&] {
        servers.poll();
        loop->run_one_turn(1ms);
    };
    auto bucket = std::make_unique<AsyncBucket>(*loop, cluster.connection_string(),
                                                BucketOptions{.username = "Administrator", .password = "password"});
    auto designs = bucket->design_documents();
    const auto connect = [&] {
        bool connected = false;
        bucket->connect().set_callbacks([&](const OperationResult&) { connected = true; }, [](const Error&) {});
        while (!connected) turn();
        hear(designs.publish("a"));
        hear(designs.create("a", by_n));
        loop->poll();
    };
    SECTION("the loop") {
        connect();
        loop.reset();
        CHECK(ends.empty());  // destroyed uncalled, as everywhere
        return;
    }
    SECTION("before there is a map") {
        hear(designs.get("a"));
        hear(designs.wait_for_index("a"));
    }
    SECTION("under way") { connect(); }
    bucket.reset();
    hear(designs.get("b"));
    while (ends.size() < 3) turn();
    loop->poll();
    CHECK(ends == std::vector<errc>(3, errc::shutdown));
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
        AsyncViewPages pages = bucket.view_pages("d", "by_half", 4, {.stale = Stale::updated});
        CHECK_AWAIT(co_await joined(pages) == "d0 d1 d2 d3 ");
        co_await bucket.remove("d1");
        CHECK_AWAIT(co_await joined(pages) == "d3 d4 d5 d6 ");
        co_await bucket.remove("d6");  // where the next page was to begin
        CHECK_AWAIT(co_await joined(pages) == "d7 d8 d9 ");
        CHECK_FALSE(pages.more());
        CHECK_AWAIT(co_await joined(pages) == "");

        AsyncViewPages down =
            bucket.view_pages("d", "by_half", 3, {.stale = Stale::updated, .descending = true, .limit = 5});
        CHECK_AWAIT(co_await joined(down) == "d9 d8 d7 ");
        CHECK_AWAIT(co_await joined(down) == "d5 d4 ");
        CHECK_FALSE(down.more());

        AsyncViewPages range =
            bucket.view_pages("d", "by_half", 2, {.stale = Stale::ok, .skip = 1, .mapkey_range = {"0", "1"}});
        CHECK_AWAIT(co_await joined(range) == "d2 d3 ");
        CHECK_AWAIT(co_await joined(range) == "d3 d4 ");
        CHECK_AWAIT(co_await joined(range) == "d5 ");
        CHECK_FALSE(range.more());

        AsyncViewPages reduced = bucket.view_pages("d", "sum", 3, {.stale = Stale::updated, .group = true});
        std::string keys;
        while (reduced.more()) {
            const auto page = co_await reduced.next();
            for (const Row& row : page) keys += row.key();
        }
        CHECK(keys == "02345789");
        AsyncViewPages some = bucket.view_pages("d", "sum", 2, {.keys = "[9,2,4]", .reduce = false});
        CHECK_AWAIT(co_await joined(some) == "d9 d2 ");
        CHECK_AWAIT(co_await joined(some) == "d4 ");
        // Keys that are encoded already, and those of the pages that follow.
        AsyncViewPages encoded = bucket.view_pages("d", "by_half", 3, {.startkey = "%31", .passthrough = true});
        CHECK_AWAIT(co_await joined(encoded) == "d3 d3 d4 ");
        CHECK_AWAIT(co_await joined(encoded) == "d5 d7 d8 ");
        AsyncViewPages raw = bucket.view_pages("d", "by_half", 3, {.raw = "stale=ok"});
        CHECK_AWAIT(co_await error_of(raw.next()) == errc::invalid_argument);
        AsyncViewPages wrong = bucket.view_pages("d", "none", 2);
        CHECK_AWAIT(co_await error_of(wrong.next()) == errc::view_not_found);
        CHECK(wrong.more());
    });
}

TEST_CASE("pages of a view by callbacks: one at a time, cancelled, dropped, late, refused, and when the bucket goes") {
    ClusterRun run({.nodes = 1});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        auto designs = bucket.design_documents();
        co_await designs.create("d", by_n, {.development = false});
        for (int i = 0; i < 5; ++i) {
            const std::string key = "d" + std::to_string(i);
            const std::string value = R"({"n":)" + std::to_string(i) + "}";
            co_await bucket.upsert(key, value);
        }
        AsyncViewPages pages = bucket.view_pages("d", "by_n", 2, {.stale = Stale::updated});
        std::vector<std::string> heard;
        const auto tell = [&heard](const ViewPage& page) {
            std::string ids;
            for (const Row& row : page) ids += row.docid().value_or("-");
            heard.push_back(ids);
        };
        const auto fault = [&heard](const Error& error) { heard.emplace_back(name(error.code())); };
        const auto hear = [&](AsyncViewPages& of) { of.next().set_callbacks(tell, fault); };
        const auto until = [&](std::size_t n) -> Task<> {
            while (heard.size() < n) co_await bucket.noop();
        };
        hear(pages);
        hear(pages);  // refused: the first is under way
        CHECK(heard.empty());
        co_await until(2);
        CHECK(heard == std::vector<std::string>{"invalid_argument", "d0d1"});

        // From inside the callback the next one can be asked for.
        heard.clear();
        pages.next().set_callbacks(
            [&](const ViewPage& page) {
                tell(page);
                hear(pages);
            },
            fault);
        co_await until(2);
        CHECK(heard == std::vector<std::string>{"d2d3", "d4"});
        CHECK_FALSE(pages.more());
        const ViewPage behind = co_await pages.next();
        CHECK(behind.empty());
        CHECK(behind.success());

        // What is given up comes again.
        heard.clear();
        AsyncViewPages again = bucket.view_pages("d", "by_n", 4);
        auto given_up = again.next();
        given_up.set_callbacks(tell, fault);
        co_await bucket.noop();
        given_up.cancel();
        co_await until(1);
        CHECK(heard[0] == "cancelled");
        CHECK_AWAIT(co_await joined(again) == "d0 d1 d2 d3 ");

        // An operation does not need the pages that it is of.
        heard.clear();
        {
            AsyncViewPages gone = bucket.view_pages("d", "by_n", 1);
            hear(gone);
        }
        co_await until(1);
        CHECK(heard[0] == "d0");

        AsyncViewPages wrong = bucket.view_pages("d", "by_n", 1, {.timeout = 0s});
        CHECK_AWAIT(co_await error_of(wrong.next()) == errc::invalid_argument);
        AsyncViewPages late = bucket.view_pages("d", "by_n", 1, {.timeout = 60ms});
        r.cluster().pause(0);
        CHECK_AWAIT(co_await error_of(late.next()) == errc::timeout_after_send);
        r.cluster().resume(0);
        CHECK_AWAIT(co_await error_of(late.next()) == errc::success);

        heard.clear();
        hear(again);
        co_await bucket.close();
        CHECK(heard == std::vector<std::string>{"shutdown"});
        CHECK_AWAIT(co_await error_of(again.next()) == errc::shutdown);
    });
}
