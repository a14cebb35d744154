// The two forms in which rows are consumed: coroutines and AsyncViewBase.

#include "tests/unit/rows/rows_fixture.hpp"

#include <memory>
#include <stdexcept>
#include <string>

using namespace chaise;
using namespace chaise::testing;
using Strings = std::vector<std::string>;

namespace {

constexpr std::string_view three =
    R"({"total_rows":3,"rows":[{"id":"a","key":1,"value":2},{"id":"b\n","key":[],"value":3},)"
    R"({"key":null,"value":"x"}],"debug_info":{"a":1}})";

struct Story {
    Strings events;
    bool throws = false;
};

class MyView : public AsyncViewBase {
public:
    MyView(ViewCall call, Story& story) : AsyncViewBase(std::move(call)), story_(story) {}
    std::unique_ptr<MyView>* dies_in_rows = nullptr;
    std::unique_ptr<MyView>* dies_in_done = nullptr;

private:
    void on_rows(std::span<const Row> rows) override {
        std::string event = "rows";
        for (const Row& row : rows) event += " " + std::string(row.json().substr(0, 9));
        story_.events.push_back(event);
        if (dies_in_rows) return dies_in_rows->reset();
        if (std::exchange(story_.throws, false)) throw std::runtime_error("mine");
    }
    void on_error(const Error& error) override { story_.events.push_back("error " + std::string(name(error.code()))); }
    void on_done() override {
        story_.events.push_back("done " + meta().json().substr(0, 20));
        if (dies_in_done) dies_in_done->reset();
    }
    Story& story_;
};

}  // namespace

TEST_CASE("the documented forms of reading rows", "[rows]") {
    RowsFixture f;
    Strings seen;
    const auto body = [&]() -> Task<> {
        auto rows = f.bucket->view_query("d", "v", {.limit = 3});
        CHECK_THROWS_AS(rows.meta(), std::logic_error);
        while (auto row = co_await rows.next()) seen.emplace_back(row.docid().value_or("none"));
        CHECK(rows.meta().total_rows() == 3);
        CHECK(rows.meta().debug_info() == R"({"a":1})");
        CHECK(rows.rows_returned() == 3);
        CHECK(rows.ended());
        const Row nothing = co_await rows.next();  // again and again
        CHECK_FALSE(nothing);
        seen.emplace_back("after");
    };
    spawn(f.loop, body());
    f.loop.run();
    f.answer(200, three);
    CHECK(seen == Strings{"a", "b\n", "none", "after"});
    CHECK(f.loop.work == 0);

    std::size_t all = 0;
    const auto whole = [&]() -> Task<> {
        auto rows = f.bucket->view_query("d", "v");
        const auto got = co_await rows.all();
        all = got.size();
        CHECK(got.at(0).key() == "1");
        CHECK(got.at(1).value() == "3");
        CHECK(got.at(0).member("nothing").empty());
    };
    spawn(f.loop, whole());
    f.loop.run();
    f.answer(200, three);
    CHECK(all == 3);

    // In one expression, options and all.
    const auto one = [&]() -> Task<> {
        const auto got = co_await f.bucket->view_query("d", "v", {.limit = 3, .key = R"("a")"}).all();
        all += got.size();
    };
    spawn(f.loop, one());
    f.loop.run();
    f.answer(200, three);
    CHECK(all == 6);
}

namespace {

/// Nothing local but the row in the condition (GCC 12 loses bodies in such coroutines, if nothing is declared there).
Task<> without_locals(Rows& rows, Strings& seen) {
    while (auto row = co_await rows.next()) seen.emplace_back(row.json());
}

}  // namespace

TEST_CASE("the loop of the documentation in a coroutine without locals", "[rows]") {
    RowsFixture f;
    Rows rows = f.bucket->view_query("d", "v");
    Strings seen;
    spawn(f.loop, without_locals(rows, seen));
    f.loop.run();
    f.answer(200, R"({"rows":[1,2,3]})");
    CHECK(seen == Strings{"1", "2", "3"});
    CHECK(f.loop.work == 0);
}

TEST_CASE("rows outlive the answer, the rows that they came with, and the bucket", "[rows]") {
    RowsFixture f;
    std::vector<Row> kept;
    const auto body = [&]() -> Task<> {
        auto rows = f.bucket->view_query("d", "v");
        for (int i = 0; i < 2; ++i) {
            Row row = co_await rows.next();
            kept.push_back(std::move(row));
        }
    };
    spawn(f.loop, body());
    f.loop.run();
    f.answer(200, three);
    f.bucket.reset();
    f.loop.run();
    REQUIRE(kept.size() == 2);
    CHECK(kept[0].json() == R"({"id":"a","key":1,"value":2})");
    CHECK(kept[1].docid() == "b\n");
}

TEST_CASE("the error is thrown behind the rows that came, and again", "[rows]") {
    RowsFixture f;
    Strings events;
    const auto body = [&]() -> Task<> {
        auto rows = f.bucket->view_query("d", "v");
        for (int i = 0; i < 3; ++i) {
            try {
                const Row row = co_await rows.next();
                events.emplace_back(row.json());
            } catch (const ViewEngineError& error) {
                events.emplace_back(name(error.code()));
            }
        }
        CHECK(rows.error() == errc::view_failure);
        CHECK(rows.meta().errors() == R"([{"from":"n2","reason":"r"}])");
    };
    spawn(f.loop, body());
    f.loop.run();
    f.answer(200, R"({"rows":[1],"errors":[{"from":"n2","reason":"r"}]})");
    CHECK(events == Strings{"1", "view_failure", "view_failure"});
    CHECK(f.loop.work == 0);
}

TEST_CASE("a coroutine that is destroyed while it awaits a row", "[rows]") {
    RowsFixture f;
    Rows rows = f.bucket->view_query("d", "v");
    bool came = false;
    {
        auto loop = std::make_unique<ScriptLoop>();
        const auto body = [&]() -> Task<> {
            const Row row = co_await rows.next();
            came = static_cast<bool>(row);
        };
        spawn(*loop, body());
        loop->run();
    }
    f.answer(200, three);
    CHECK_FALSE(came);
    CHECK(f.run(std::move(rows)).rows.size() == 3);
    Rows two = f.bucket->view_query("d", "v");
    auto first = two.next();
    CHECK_FALSE(first.await_ready());
    first.await_suspend(std::noop_coroutine());
    auto second = two.next();
    CHECK_THROWS_AS(second.await_ready(), std::logic_error);
}

TEST_CASE("AsyncViewBase: rows, then done; or error, then done", "[rows]") {
    RowsFixture f;
    Story story;
    auto view = f.bucket->query<MyView>("d", "v", {.limit = 3}, story);
    CHECK(f.http.asked.empty());
    CHECK_THROWS_AS(view->meta(), std::logic_error);
    view->start();
    view->start();
    REQUIRE(f.http.asked.size() == 1);
    CHECK(f.http.last().request.target == "/default/_design/d/_view/v?limit=3");
    f.answer(200, three);
    CHECK(story.events == Strings{R"(rows {"id":"a" {"id":"b\ {"key":nu)", R"(done {"total_rows":3,"row)"});
    CHECK(view->rows_returned() == 3);
    CHECK(view->meta().total_rows() == 3);
    CHECK_THROWS_AS(view->start(), std::logic_error);

    story.events.clear();
    auto failing = f.bucket->query<MyView>("d", "v", {}, story);
    failing->start();
    f.answer(200, R"({"rows":[1],"errors":[{"from":"n2","reason":"r"}]})");
    CHECK(story.events == Strings{"rows 1", "error view_failure", R"(done {"rows":[],"errors":)"});

    story.events.clear();
    auto cut = f.bucket->query<MyView>("d", "v", {}, story);
    cut->start();
    f.answer(200, R"({"rows":[1,)");
    CHECK(story.events == Strings{"rows 1", "error protocol_error", R"(done {"rows":[)"});

    story.events.clear();
    auto wrong = f.bucket->query<MyView>("d", "v", {.key = "x"}, story);
    wrong->start();
    CHECK(story.events.empty());
    f.loop.run();
    CHECK(story.events == Strings{"error invalid_argument", "done "});

    story.events.clear();
    auto none = f.bucket->n1ql_query<MyView>("SELECT 1", {}, story);
    none->start();
    f.answer(200, R"({"results":[]})");
    CHECK(story.events == Strings{R"(done {"results":[]})"});
}

TEST_CASE("AsyncViewBase: rows in small portions, and a processor of one's own", "[rows]") {
    class Odd final : public RowProcessor {
        std::vector<Row> handle_rows(std::vector<Row> rows) override {
            std::vector<Row> out;
            for (const Row& row : rows) {
                if (row.value() == "3") continue;
                out.emplace_back("\"" + std::string(row.docid().value_or("?")) + "\"");
            }
            return out;
        }
    };
    RowsFixture f;
    Story story;
    auto view = f.bucket->query<MyView>("d", "v", {}, story);
    view->set_rows_per_call(1);
    view->set_row_processor(std::make_unique<Odd>());
    view->start();
    f.answer(200, three);
    CHECK(story.events == Strings{"rows \"a\"", "rows \"?\"", R"(done {"total_rows":3,"row)"});
}

TEST_CASE("AsyncViewBase: what on_rows throws goes to the loop; destroying it ends it, anywhere", "[rows]") {
    RowsFixture f;
    Story story;
    auto view = f.bucket->query<MyView>("d", "v", {}, story);
    view->set_rows_per_call(2);
    view->start();
    story.throws = true;
    CHECK_THROWS_AS(f.answer(200, three), std::runtime_error);
    f.loop.run();
    CHECK(story.events.size() == 3);  // the rest came all the same
    CHECK(story.events.back().starts_with("done"));

    story.events.clear();
    auto dies = f.bucket->query<MyView>("d", "v", {}, story);
    dies->dies_in_rows = &dies;
    dies->start();
    f.answer(200, three);
    CHECK_FALSE(dies);
    CHECK(story.events.size() == 1);

    story.events.clear();
    auto ends = f.bucket->query<MyView>("d", "v", {}, story);
    ends->dies_in_done = &ends;
    ends->start();
    f.answer(200, three);
    CHECK_FALSE(ends);
    CHECK(story.events.size() == 2);

    story.events.clear();
    auto running = f.bucket->query<MyView>("d", "v", {}, story);
    running->start();
    f.http.last().head(200);
    f.http.last().body(R"({"rows":[1,)");
    running.reset();
    CHECK(f.http.open() == 0);
    f.loop.run();
    CHECK(story.events.empty());

    auto unsent = f.bucket->query<MyView>("d", "v", {}, story);
    unsent.reset();
    auto closed = f.bucket->query<MyView>("d", "v", {}, story);
    f.bucket.reset();
    closed->start();
    f.loop.run();
    CHECK(story.events == Strings{"error shutdown", "done "});
}
