// Cases of the seed's tests of views and queries: View, ViewIterator, N1QL, and those of its asynchronous flavours, on
// beers and breweries as its sample bucket has them (docs/seed-tests.md).

#include "cluster_run.hpp"

#include <algorithm>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

constexpr int breweries = 8;
constexpr int beers = 25;  // of each
constexpr int documents = breweries * (1 + beers);

std::string brewery(int n) { return "brewery" + std::to_string(n); }
std::string beer(int n, int m) { return brewery(n) + "-beer" + (m < 10 ? "0" : "") + std::to_string(m); }
std::string text(const std::string& string) { return '"' + string + '"'; }

class Beers : public ClusterRun {
public:
    Beers() : ClusterRun({.nodes = 2, .replicas = 1}) {}

    template <class F>
    void operator()(const F& body) {
        ClusterRun::operator()([&](ClusterRun&) -> Task<> {
            co_await brew();
            co_await body(*this);
        });
    }

    Task<> brew() {
        std::vector<std::pair<std::string, std::string>> all;
        for (int n = 0; n < breweries; ++n) {
            all.emplace_back(brewery(n), R"({"type":"brewery"})");
            for (int m = 0; m < beers; ++m) {
                all.emplace_back(beer(n, m), R"({"type":"beer","abv":)" + std::to_string(m) + R"(,"brewery":")" +
                                                 brewery(n) + "\"}");
            }
        }
        co_await bucket().upsert_multi(all);
        auto designs = bucket().design_documents();
        co_await designs.create("beer",
                                R"({"views":{"brewery_beers":{"map":"function(doc, meta) {)"
                                R"( if (doc.type == 'brewery') emit([meta.id], null);)"
                                R"( else emit([doc.brewery, meta.id], doc.abv); }"},)"
                                R"("count":{"map":"function(doc) { emit(doc.type, 1); }","reduce":"_count"}}})",
                                {.development = false});
        co_await designs.wait_for_index("beer", {.development = false});
    }
    [[nodiscard]] Rows query(const ViewOptions& options = {}) {
        return bucket().view_query("beer", "brewery_beers", options);
    }
    Task<std::size_t> count(const ViewOptions& options) {
        Rows rows = query(options);
        const auto all = co_await rows.all();
        co_return all.size();
    }
    Task<Error> error(Rows rows) {
        try {
            co_await rows.all();
        } catch (const Exception& thrown) {
            co_return thrown.error();
        }
        co_return Error();
    }
};

/// A view by callbacks, and who waits for its end.
class Telling : public AsyncViewBase {
public:
    struct Story {
        std::vector<std::size_t> portions;
        std::vector<std::string> rows;
        Error error;
        int done = 0;
        std::optional<std::uint64_t> total;
    };
    Telling(ViewCall call, Story& story) : AsyncViewBase(std::move(call)), story_(story) {}

private:
    void on_rows(std::span<const Row> rows) override {
        story_.portions.push_back(rows.size());
        for (const Row& row : rows) story_.rows.emplace_back(row.json());
    }
    void on_error(const Error& error) override { story_.error = error; }
    void on_done() override {
        ++story_.done;
        story_.total = meta().total_rows();
    }
    Story& story_;
};

Task<> end_of(Beers& run, Telling& view, const Telling::Story& story) {
    view.start();
    CHECK(story.done == 0);
    for (int i = 0; i < 5000 && story.done == 0; ++i) co_await run.sleep(1ms);
    co_await run.sleep(2ms);
    CHECK(story.done == 1);
}

/// Makes "brewery0-beer07: 7 %" of a row with its document.
class Labels final : public RowProcessor {
    std::vector<Row> handle_rows(std::vector<Row> rows) override {
        std::vector<Row> out;
        for (const Row& row : rows) {
            if (!row.doc()) throw std::runtime_error("labels are made of documents");
            const std::string_view doc = row.doc()->value().value();
            const auto abv = doc.find("\"abv\":");
            if (abv == std::string_view::npos) continue;
            const std::string_view rest = doc.substr(abv + 6);
            out.emplace_back(text(*row.docid() + ": " + std::string(rest.substr(0, rest.find(','))) + " %"));
        }
        return out;
    }
};

}  // namespace

TEST_CASE("View.simple_view, with_params, with_strparam, with_jparams, missing_view") {
    if (skipped_elsewhere("it makes views")) return;
    Beers run;
    run([](Beers& r) -> Task<> {
        Rows rows = r.query({.stale = Stale::updated});
        const auto all = co_await rows.all();
        CHECK(all.size() == documents);
        CHECK(rows.meta().total_rows() == documents);
        CHECK_AWAIT(co_await r.count({.limit = 1}) == 1);
        CHECK_AWAIT(co_await r.count({.raw = "limit=2"}) == 2);
        const std::string one = "[" + text(brewery(3)) + "," + text(beer(3, 7)) + "]",
                          other = "[" + text(brewery(5)) + "]";
        Rows inclusive = r.query({.startkey = one, .endkey = one, .inclusive_end = true});
        const auto only = co_await inclusive.all();
        REQUIRE(only.size() == 1);
        CHECK(only[0].docid() == beer(3, 7));
        const std::string both = "[" + one + "," + other + R"(,["nobody's"]])";
        Rows listed = r.query({.keys = both});
        const auto two = co_await listed.all();
        REQUIRE(two.size() == 2);
        CHECK(two[0].key() == one);
        CHECK(two[1].key() == other);
        const Error missing = co_await r.error(r.bucket().view_query("beer", "none"));
        CHECK(missing == errc::view_not_found);
        CHECK(missing.context().http_status == 404);
    });
}

TEST_CASE("View.reject_ephemeral") {
    if (skipped_elsewhere("it needs buckets without views")) return;
    for (const LocalBucketType type : {LocalBucketType::memcached, LocalBucketType::ephemeral}) {
        ClusterRun run({.bucket_type = type});
        run([&](ClusterRun& r) -> Task<> {
            Error error;
            try {
                Rows rows = r.bucket().view_query("beer", "brewery_beers");
                co_await rows.all();
            } catch (const Exception& thrown) {
                error = thrown.error();
            }
            CHECK(error.code() == errc::unsupported_operation);
            CHECK_FALSE(error.context().http_status);
            CHECK_THAT(error.message(), Catch::Contains(std::string(name(r.bucket().kind()))));
        });
    }
}

TEST_CASE("ViewIterator.simple_query, no_rows, already_queried, props_before_rows") {
    if (skipped_elsewhere("it makes views")) return;
    Beers run;
    run([](Beers& r) -> Task<> {
        Rows rows = r.query({.limit = 3});
        CHECK_THROWS_AS(rows.meta(), std::logic_error);
        std::vector<std::string> ids;
        while (auto row = co_await rows.next()) {
            ids.push_back(row.docid().value());
            CHECK(row.doc() == nullptr);
        }
        CHECK(ids == std::vector<std::string>{brewery(0), beer(0, 0), beer(0, 1)});
        CHECK(rows.rows_returned() == 3);
        CHECK(rows.meta().total_rows() == documents);
        CHECK(rows.meta().errors().empty());
        const Row after = co_await rows.next();  // once is enough: there are no more
        CHECK_FALSE(after);
        CHECK(rows.rows_returned() == 3);

        Rows none = r.query({.limit = 0});
        int turns = 0;
        while (auto row = co_await none.next()) ++turns;
        CHECK(turns == 0);
        CHECK(none.ended());
    });
}

TEST_CASE("ViewIterator.include_docs, row_processor") {
    if (skipped_elsewhere("it makes views")) return;
    Beers run;
    run([](Beers& r) -> Task<> {
        Rows rows = r.query({.limit = 30, .include_docs = true});
        int n = 0;
        while (auto row = co_await rows.next()) {
            REQUIRE(row.doc());
            REQUIRE(row.doc()->has_value());
            const auto direct = co_await r.bucket().get(row.docid().value());
            CHECK(row.doc()->value().value() == direct.value());
            CHECK(row.doc()->value().cas() == direct.cas());
            ++n;
        }
        CHECK(n == 30);
        const Error reduced =
            co_await r.error(r.bucket().view_query("beer", "count", {.reduce = true, .include_docs = true}));
        CHECK(reduced == errc::invalid_argument);

        Telling::Story story;
        auto labels = r.bucket().query<Telling>("beer", "brewery_beers", {.limit = 3, .include_docs = true}, story);
        labels->set_row_processor(std::make_unique<Labels>());
        co_await end_of(r, *labels, story);
        CHECK(story.rows == std::vector<std::string>{text(beer(0, 0) + ": 0 %"), text(beer(0, 1) + ": 1 %")});
        CHECK_FALSE(story.error);
    });
    // Without documents the processor throws, out of the loop; the end is told all the same.
    Telling::Story story;
    auto labels = run.bucket().query<Telling>("beer", "brewery_beers", {.limit = 3}, story);
    labels->set_row_processor(std::make_unique<Labels>());
    labels->start();
    const auto wait = [&]() -> Task<> {
        for (int i = 0; i < 5000 && story.done == 0; ++i) co_await run.sleep(1ms);
    };
    spawn(run.loop, wait());
    CHECK_THROWS_WITH(run.loop.run(), "labels are made of documents");
    run.loop.run();
    CHECK(story.rows.empty());
    CHECK(story.done == 1);
}

TEST_CASE("ViewIterator.bad_view, mixed_query") {
    if (skipped_elsewhere("it makes views")) return;
    Beers run;
    run([](Beers& r) -> Task<> {
        Rows bad = r.bucket().view_query("none", "none");  // nothing is thrown here
        errc thrown = errc::success;
        try {
            co_await bad.next();
        } catch (const NotFoundError& error) {
            thrown = error.code();
            CHECK(error.context().http_status == 404);
        }
        CHECK(thrown == errc::design_document_not_found);
        CHECK_AWAIT(co_await r.error(r.query({.limit = 1, .raw = "limit=2"})) == errc::invalid_argument);
        ViewOptions options{.limit = 1};  // changed instead
        options.limit = 2;
        CHECK_AWAIT(co_await r.count(options) == 2);
    });
}

TEST_CASE("ViewIterator.streaming, streaming_dtor, pycbc_206, http_data, http_data_streaming") {
    if (skipped_elsewhere("it makes views")) return;
    Beers run;
    run([](Beers& r) -> Task<> {
        CHECK_AWAIT(co_await r.count({.limit = 100}) == 100);
        Rows rows = r.query({.debug = true});
        std::uint64_t n = 0;
        while (auto row = co_await rows.next()) {
            CHECK_FALSE(row.value().empty());
            ++n;
        }
        CHECK(n == rows.meta().total_rows());
        CHECK(rows.meta().json().find(R"("rows":[])") != std::string::npos);
        CHECK_FALSE(rows.meta().debug_info().empty());
        for (int i = 0; i < 5; ++i) {
            Rows left = r.query();
            for (int k = 0; k < i; ++k) {
                const Row row = co_await left.next();
                CHECK(row);
            }
        }
        CHECK_AWAIT(co_await r.count({}) == documents);
    });
}

TEST_CASE("ViewIterator.range_query, key_query, long_uri") {
    if (skipped_elsewhere("it makes views")) return;
    Beers run;
    run([](Beers& r) -> Task<> {
        const std::string three = "[" + text(brewery(3)) + "]", three_all = "[" + text(brewery(3)) + ",{}]";
        const std::string end = "[" + json_string("brewery3" + std::string(string_range_end)) + "]";
        const std::string six = "[" + text(brewery(6)) + "]", last = "[" + text(brewery(7)) + "]";
        CHECK_AWAIT(co_await r.count({.mapkey_range = {three, three_all}}) == 1 + beers);
        CHECK_AWAIT(co_await r.count({.mapkey_range = {three, end}}) == 1 + beers);
        CHECK_AWAIT(co_await r.count({.mapkey_range = {.start = six}}) == 2 * (1 + beers));
        CHECK_AWAIT(co_await r.count({.mapkey_range = {six, last}, .inclusive_end = false}) == 1 + beers);
        CHECK_AWAIT(co_await r.count({.key = three}) == 1);
        const std::string two = "[" + three + "," + six + "]";
        CHECK_AWAIT(co_await r.count({.keys = two}) == 2);

        std::string many = "[";
        for (int i = 0; i < 2048; ++i) many += "[" + text(beer(i % 8, i / 8)) + "],";
        for (int m = 0; m < 10; ++m) many += "[" + text(brewery(1)) + "," + text(beer(1, m)) + "],";
        many += three + "]";
        CHECK_AWAIT(co_await r.count({.keys = many}) == 11);
        Rows five = r.query({.limit = 5, .keys = many});
        const auto asked = co_await five.all();
        REQUIRE(asked.size() == 5);
        for (const Row& row : asked) CHECK(many.find(row.key()) != std::string::npos);
    });
}

TEST_CASE("N1QL.onerow, emptyrow, meta, httperror_str") {
    if (skipped_elsewhere("its answers are scripted")) return;
    ClusterRun run;
    run([](ClusterRun& r) -> Task<> {
        r.cluster().script_query("one", R"({"results":[{"row":"value"}],"status":"success","metrics":{"a":1}})");
        r.cluster().script_query("none", R"({"results":[],"status":"success"})");
        r.cluster().script_query("wrong", R"({"errors":[{"code":5000,"msg":"of the server"}],"status":"fatal"})", 500);
        Rows one = r.bucket().n1ql_query("one");
        CHECK_THROWS_AS(one.meta(), std::logic_error);
        const Row row = co_await one.next();
        CHECK(row.member("row") == R"("value")");
        const Row end = co_await one.next();
        CHECK_FALSE(end);
        CHECK(one.meta().metrics() == R"({"a":1})");
        Rows none = r.bucket().n1ql_query("none");
        const Row nothing = co_await none.next();
        CHECK_FALSE(nothing);
        CHECK(none.meta().member("status") == R"("success")");

        Rows wrong = r.bucket().n1ql_query("wrong", {.readonly = true});
        std::string what;
        try {
            co_await wrong.all();
        } catch (const Exception& error) {
            what = error.what();
            CHECK(error.context().http_status == 500);
            CHECK(error.context().server_code == 5000);
        }
        CHECK_THAT(what, Catch::Contains("HTTP 500") && Catch::Contains("of the server"));
    });
}

TEST_CASE("views.testEmptyView, testLimitView, testBadView, testIncrementalRows") {
    if (skipped_elsewhere("it makes views")) return;
    Beers run;
    run([](Beers& r) -> Task<> {
        const auto ask = [&](const char* design, const ViewOptions& options) {
            auto story = std::make_unique<Telling::Story>();
            return std::pair(r.bucket().query<Telling>(design, "brewery_beers", options, *story), std::move(story));
        };
        auto [empty, of_empty] = ask("beer", {.limit = 0});
        co_await end_of(r, *empty, *of_empty);
        CHECK(of_empty->rows.empty());
        CHECK(of_empty->portions.empty());
        CHECK_FALSE(of_empty->error);
        auto [limited, of_limited] = ask("beer", {.limit = 10});
        co_await end_of(r, *limited, *of_limited);
        CHECK(of_limited->rows.size() == 10);
        auto [bad, of_bad] = ask("none", {});
        co_await end_of(r, *bad, *of_bad);
        CHECK(of_bad->error == errc::design_document_not_found);
        CHECK(of_bad->error.context().http_status == 404);
        auto [all, of_all] = ask("beer", {});
        all->set_rows_per_call(7);
        co_await end_of(r, *all, *of_all);
        CHECK(of_all->rows.size() == documents);
        CHECK(of_all->total == documents);
        CHECK(of_all->portions.size() >= documents / 7);
        CHECK(*std::max_element(of_all->portions.begin(), of_all->portions.end()) <= 7);
        CHECK(all->rows_returned() == documents);
    });
}

TEST_CASE("n1ql.testIncremental, testBatched, testEmpty") {
    if (skipped_elsewhere("its answers are scripted")) return;
    Beers run;
    run([](Beers& r) -> Task<> {
        r.cluster().script_query("one", R"({"results":[{"row":"value"}],"status":"success"})");
        r.cluster().script_query("none", R"({"results":[],"status":"success"})");
        Telling::Story one, none;
        auto incremental = r.bucket().n1ql_query<Telling>("one", {}, one);
        co_await end_of(r, *incremental, one);
        CHECK(one.rows == std::vector<std::string>{R"({"row":"value"})"});
        auto empty = r.bucket().n1ql_query<Telling>("none", {}, none);
        co_await end_of(r, *empty, none);
        CHECK(none.rows.empty());
        CHECK_FALSE(none.error);
        Rows batched = r.bucket().n1ql_query("one");
        const auto all = co_await batched.all();
        REQUIRE(all.size() == 1);
        CHECK(all[0].member("row") == R"("value")");
    });
}
