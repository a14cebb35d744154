// The stream of rows: whom it asks, how it ends, what it holds.

#include "rows/row_book.hpp"
#include "tests/unit/rows/rows_fixture.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using Strings = std::vector<std::string>;

TEST_CASE("rows are given while the answer arrives, the rest behind them", "[rows]") {
    RowsFixture f;
    auto& got = f.view({.stale = Stale::ok});
    REQUIRE(f.http.asked.size() == 1);
    const HttpClient::Request& request = f.http.last().request;
    CHECK(request.method == "GET");
    CHECK(request.port == 8092);
    CHECK(request.target == "/default/_design/d/_view/v?stale=ok");
    CHECK(request.username == "me");
    CHECK(request.password == "secret");
    f.http.last().head(200);
    f.http.last().body(R"({"total_rows":2,"rows":[{"id":"a","key":1,"va)");
    f.loop.run();
    CHECK(got.rows.empty());
    f.http.last().body(R"(lue":null},)");
    f.loop.run();
    CHECK(got.rows == Strings{R"({"id":"a","key":1,"value":null})"});
    f.http.last().body(R"({"id":"b","key":2,"value":{}}]})");
    f.loop.run();
    CHECK(got.rows.size() == 2);
    CHECK_FALSE(got.done);
    f.http.last().end();
    f.loop.run();
    CHECK(got.ok());
    CHECK(got.meta == R"({"total_rows":2,"rows":[]})");
}

TEST_CASE("requests of the services go to their ports", "[rows]") {
    RowsFixture f;
    f.query({.client_context_id = "c"});
    CHECK(f.http.last().request.port == 8093);
    CHECK(f.http.last().request.method == "POST");
    CHECK(f.http.last().request.target == "/query/service");
    CHECK(f.http.last().request.body.find(R"("client_context_id":"c")") != std::string::npos);
    f.answer(200, R"({"results":[1,"x"],"status":"success"})");
    CHECK(f.all.back()->rows == Strings{"1", "\"x\""});
    f.run(f.bucket->search_query("i", R"({"query":{}})"));
    CHECK(f.http.last().request.port == 8094);
    f.answer(200, R"({"status":{"total":1,"failed":0},"hits":[{"id":"x"}],"total_hits":1})");
    CHECK(f.all.back()->rows == Strings{R"({"id":"x"})"});
    f.run(f.bucket->analytics_query("SELECT 1"));
    CHECK(f.http.last().request.port == 8095);
    f.answer(200, R"({"results":[],"status":"success"})");
    CHECK(f.all.back()->ok());
}

TEST_CASE("a query that is called before there is a map waits for it", "[rows]") {
    ClusterFixture f(with_services(ScriptMap::spread({"n1"})));
    ScriptHttp http(f.loop);
    RowsFixture::Got got;
    spawn(f.loop, RowsFixture::read(f.bucket->view_query("d", "v"), got));
    CHECK(http.asked.empty());
    f.loop.run();
    REQUIRE(http.asked.size() == 1);
    http.last().head(200);
    http.last().body(R"({"rows":[1]})");
    http.last().end();
    f.loop.run();
    CHECK(got.ok());
    CHECK(got.rows == Strings{"1"});
    f.bucket.reset();
    f.loop.run();
}

TEST_CASE("found before anything is sent: told by the rows", "[rows]") {
    RowsFixture f;
    CHECK(f.view({.key = "x"}).failed(errc::invalid_argument));
    CHECK(f.all.back()->error->context().operation == "view_query");
    CHECK(f.http.asked.empty());
    {
        ClusterFixture none(ScriptMap::spread({"n1"}));
        ScriptHttp http(none.loop);
        none.loop.run();
        RowsFixture::Got got;
        spawn(none.loop, RowsFixture::read(none.bucket->view_query("d", "v"), got));
        none.loop.run();
        CHECK(got.failed(errc::service_not_available));
        none.bucket.reset();
        none.loop.run();
    }
    {
        ClusterFixture deaf(with_services(ScriptMap::spread({"n1"})));
        deaf.loop.run();
        RowsFixture::Got got;
        spawn(deaf.loop, RowsFixture::read(deaf.bucket->view_query("d", "v"), got));
        deaf.loop.run();
        CHECK(got.failed(errc::feature_not_available));
    }
}

TEST_CASE("pages: where the next one begins, by key and document or by number", "[rows]") {
    RowsFixture f;
    f.loop.run();
    const auto targets = [&](const ViewOptions& options) {
        f.http.asked.clear();
        Strings seen;
        AsyncViewPages pages = f.bucket->view_pages("d", "v", 1, options);
        for (int i = 0; i < 2; ++i) {
            pages.next().set_callbacks([](const ViewPage&) {}, [](const Error& error) { FAIL(error.message()); });
            f.loop.run();
            seen.push_back(f.http.last().request.target);
            f.answer(200, R"({"rows":[{"id":"a b","key":"x&y","value":null}]})");
            f.loop.run();
        }
        return seen;
    };
    CHECK(targets({}) == Strings{"/default/_design/d/_view/v?limit=1",
                                 "/default/_design/d/_view/v?limit=2&startkey=%22x%26y%22&startkey_docid=a%20b"});
    CHECK(targets({.passthrough = true}) ==
          Strings{"/default/_design/d/_view/v?limit=1",
                  "/default/_design/d/_view/v?limit=2&startkey=%22x%26y%22&startkey_docid=a%20b"});
    CHECK(targets({.key = "1"}) ==
          Strings{"/default/_design/d/_view/v?limit=1&key=1", "/default/_design/d/_view/v?limit=1&skip=1&key=1"});
    const Strings spatial = targets({.start_range = "[1]", .end_range = "[2]"});
    CHECK(spatial[1].find("skip=1") != std::string::npos);
    CHECK(spatial[1].find("startkey") == std::string::npos);
}

TEST_CASE("pages: a server that gives more rows than it was asked for is not listened to", "[rows]") {
    RowsFixture f;
    f.loop.run();
    AsyncViewPages pages = f.bucket->view_pages("d", "v", 2);
    Strings ids;
    const auto ask = [&] {
        ids.clear();
        pages.next().set_callbacks(
            [&](const ViewPage& page) {
                for (const Row& row : page) ids.push_back(row.docid().value_or("-"));
            },
            [](const Error& error) { FAIL(error.message()); });
        f.loop.run();
    };
    ask();
    f.http.last().head(200);
    f.http.last().body(R"({"rows":[{"id":"a","key":1},{"id":"b","key":2},{"id":"c","key":3},)");
    f.loop.run();
    CHECK(ids == Strings{"a", "b"});
    CHECK(f.http.open() == 0);
    CHECK(pages.more());
    ask();
    f.answer(200, R"({"rows":[{"id":"b","key":2},{"id":"c","key":3}]})");
    f.loop.run();
    CHECK(ids == Strings{"c"});
    CHECK_FALSE(pages.more());
}

TEST_CASE("plain memcached has no rows, and no design documents", "[rows]") {
    Fixture f;
    AsyncBucket& bucket = *f.bucket;
    std::size_t refused = 0;
    const auto hear = [&](const Error& error) {
        INFO(error.message());
        CHECK(error == errc::unsupported_operation);
        CHECK_FALSE(error.may_have_happened());
        ++refused;
    };
    const auto read = [&](Rows rows) {
        RowsFixture::Got got;
        spawn(f.loop, RowsFixture::read(std::move(rows), got));
        f.loop.run();
        REQUIRE(got.error);
        hear(*got.error);
    };
    read(bucket.view_query("d", "v"));
    read(bucket.n1ql_query("SELECT 1"));
    read(bucket.search_query("i", R"({"query":{}})"));
    read(bucket.analytics_query("SELECT 1"));
    class View : public AsyncViewBase {
    public:
        View(ViewCall call, decltype(hear)& errback) : AsyncViewBase(std::move(call)), errback_(errback) {}

    private:
        void on_rows(std::span<const Row>) override {}
        void on_error(const Error& error) override { errback_(error); }
        void on_done() override {}
        decltype(hear)& errback_;
    };
    const auto view = bucket.query<View>("d", "v", {}, hear);
    view->start();
    auto pages = bucket.view_pages("d", "v", 2);
    pages.next().set_callbacks([](const ViewPage&) {}, hear);
    auto designs = bucket.design_documents();
    designs.list().set_callbacks([](const DesignListResult&) {}, hear);
    designs.get("d").set_callbacks([](const HttpResult&) {}, hear);
    f.loop.run();
    CHECK(refused == 8);
}

TEST_CASE("nothing is read while nobody takes the rows", "[rows]") {
    RowsFixture f;
    Rows rows = f.bucket->view_query("d", "v");
    f.http.last().head(200);
    const std::string row = "\"" + std::string(998, 'x') + "\",";
    std::string piece;
    for (int i = 0; i < 64; ++i) piece += row;
    f.http.last().body("{\"rows\":[");
    int pieces = 0;
    for (; pieces < 1000 && !f.http.last().paused; ++pieces) {
        f.http.last().body(piece);
        f.loop.run();
    }
    CHECK(pieces == 5);  // 64,000 bytes each, 256 KiB

    int taken = 0;
    const auto take = [&](int count) -> Task<> {
        for (int i = 0; i < count; ++i) {
            const Row one = co_await rows.next();
            REQUIRE(one.json().size() == 1000);
            ++taken;
        }
    };
    spawn(f.loop, take(200));
    f.loop.run();
    CHECK(taken == 200);
    CHECK(f.http.last().paused);
    spawn(f.loop, take(100));
    f.loop.run();
    CHECK(taken == 300);
    CHECK_FALSE(f.http.last().paused);
    f.http.last().body("1]}");
    f.http.last().end();
    auto& got = f.run(std::move(rows));
    CHECK(got.ok());
    CHECK(got.rows.size() == 21);
}

TEST_CASE("200,000 rows for who is slower than they come: what is held is bounded", "[rows]") {
    RowsFixture f;
    Rows rows = f.bucket->view_query("d", "v");
    f.http.last().head(200);
    f.http.last().body("{\"total_rows\":200000,\"rows\":[");
    constexpr int total = 200'000;
    int sent = 0;
    int taken = 0;
    std::size_t held = 0;
    std::size_t most_held = 0;
    int pauses = 0;
    const auto row_text = [](int n) {
        std::string number = std::to_string(n);
        return R"({"id":"beer_)" + std::string(8 - number.size(), '0') + number + R"(","key":")" +
               std::string(60, 'k') + R"(","value":null})";
    };
    const std::size_t row_size = row_text(0).size();
    // As a network: 16 KiB at a time, in pieces that end anywhere, as long as somebody wants them.
    std::string waiting;
    const auto feed = [&] {
        while (!f.http.last().paused && (sent < total || !waiting.empty())) {
            while (waiting.size() < 16384 && sent < total) {
                waiting += row_text(sent++);
                if (sent < total) waiting += ',';
            }
            const std::string piece = waiting.substr(0, 16384);
            waiting.erase(0, piece.size());
            held += piece.size();
            f.http.last().body(piece);
            most_held = std::max(most_held, held);
        }
        if (f.http.last().paused) ++pauses;
    };
    const auto take = [&](int count) -> Task<> {
        for (int i = 0; i < count; ++i) {
            const Row one = co_await rows.next();
            if (one.json() != row_text(taken)) throw std::runtime_error("another row was expected");
            held -= one.json().size() + 1;
            ++taken;
        }
    };
    while (taken < total) {
        feed();
        f.loop.run();
        spawn(f.loop, take(std::min(100, total - taken)));  // a tenth of what may come meanwhile
        f.loop.run();
    }
    CHECK(taken == total);
    CHECK(row_size * static_cast<std::size_t>(total) > 20'000'000);
    CHECK(pauses > 50);
    CHECK(most_held > 256 * 1024);
    CHECK(most_held <= 256 * 1024 + 2 * 16384 + row_size);  // the level, the piece that went over it, half a row
    f.http.last().body("]}");
    f.http.last().end();
    auto& rest = f.run(std::move(rows));
    CHECK(rest.ok());
    CHECK(rest.rows.empty());
}

TEST_CASE("time: until the answer begins, all attempts together; and in silence", "[rows]") {
    RowsFixture f;
    auto& late = f.view({.timeout = 2s});
    CHECK(f.http.last().request.idle_timeout == 2s);
    f.loop.advance(1500ms);
    f.break_off();
    f.loop.advance(400ms);
    CHECK_FALSE(late.done);
    f.loop.advance(100ms);
    CHECK(late.failed(errc::timeout_after_send));
    CHECK(f.http.open() == 0);

    auto& slow = f.view({.timeout = 2s});  // the answer has begun: now only silence counts, which is HTTP's
    f.http.last().head(200);
    f.loop.advance(10s);
    CHECK_FALSE(slow.done);
    HttpReceiver* receiver = std::exchange(f.http.last().receiver, nullptr);
    receiver->on_end({std::make_error_code(std::errc::timed_out), "silence", true, true});
    f.loop.run();
    CHECK(slow.failed(errc::timeout_after_send));
}

TEST_CASE("destroying rows ends the request; closing the bucket ends the rows", "[rows]") {
    RowsFixture f;
    {
        Rows rows = f.bucket->view_query("d", "v");
        f.http.last().head(200);
        f.http.last().body("{\"rows\":[1,");
        CHECK(f.http.open() == 1);
    }
    CHECK(f.http.open() == 0);
    auto& got = f.view();
    auto& query = f.query();
    CHECK(f.http.open() == 2);
    f.bucket.reset();
    CHECK(f.http.open() == 0);
    CHECK_FALSE(got.done);
    f.loop.run();
    CHECK(got.failed(errc::shutdown));
    CHECK_FALSE(got.error->may_have_happened());
    CHECK(query.failed(errc::shutdown));
    CHECK(query.error->may_have_happened());
}

TEST_CASE("prepared statements: the plan is used again, and made anew when it is gone", "[rows]") {
    RowsFixture f({"n1"});
    const auto asked = [&](std::string_view what) {
        return f.http.last().request.body.find(what) != std::string::npos;
    };
    auto& first = f.query({.adhoc = false});
    CHECK(asked(R"("auto_execute":true,"statement":"PREPARE SELECT 1"})"));
    f.answer(200, R"({"prepared":"p1","results":[1],"status":"success"})");
    CHECK(first.ok());
    auto& second = f.query({.adhoc = false});
    CHECK(asked(R"("prepared":"p1"})"));
    CHECK_FALSE(asked("statement"));
    f.answer(404, R"({"errors":[{"code":4040,"msg":"No such prepared statement"}],"status":"fatal"})");
    CHECK_FALSE(second.done);
    CHECK(asked("PREPARE SELECT 1"));
    f.answer(404, R"({"errors":[{"code":4040,"msg":"No such prepared statement"}],"status":"fatal"})");
    CHECK(second.failed(errc::prepared_statement_failure));  // once
    auto& third = f.query({.adhoc = false});
    CHECK(asked("PREPARE SELECT 1"));
    f.answer(200, R"({"prepared":"p2","results":[],"status":"success"})");
    CHECK(third.ok());
    f.query({.query_context = "default:b.s", .adhoc = false});
    CHECK(asked("PREPARE SELECT 1"));
    f.answer(200, R"({"results":[]})");
}

TEST_CASE("the book of plans forgets those that were not used for long", "[rows]") {
    detail::PreparedStatements book;
    for (std::size_t i = 0; i < detail::PreparedStatements::most; ++i) book.put(std::to_string(i), "p");
    REQUIRE(book.find("0"));
    book.put("one more", "p");
    CHECK(book.size() == detail::PreparedStatements::most);
    CHECK(book.find("0"));
    CHECK_FALSE(book.find("1"));
    book.put("0", "other");
    CHECK(*book.find("0") == "other");
    book.erase("0");
    CHECK_FALSE(book.find("0"));
}

TEST_CASE("include_docs: the rows have their documents, in their order, few ahead", "[rows]") {
    RowsFixture f;
    for (int i = 0; i < 100; ++i) {
        const std::string key = "k" + std::to_string(i);
        if (i != 3) f.cluster.node(f.cluster.owner_of(key)).items[key] = {.value = "v" + std::to_string(i)};
    }
    for (auto& [host, node] : f.cluster.nodes()) node.hold = true;
    std::vector<std::string> values;
    const auto body = [&]() -> Task<> {
        Rows rows = f.bucket->view_query("d", "v", {.include_docs = true});
        for (;;) {
            const Row row = co_await rows.next();
            if (!row) co_return;
            if (!row.doc()) {
                values.push_back("none");
            } else if (!row.doc()->has_value()) {
                values.push_back("error");
            } else {
                values.push_back((*row.doc())->success() ? (*row.doc())->owned() : "missing");
            }
        }
    };
    spawn(f.loop, body());
    f.loop.run();
    std::string text = R"({"rows":[{"key":1,"value":"reduced"})";
    for (int i = 0; i < 100; ++i) text += R"(,{"id":"k)" + std::to_string(i) + R"(","key":1,"value":null})";
    f.answer(200, text + "]}");
    CHECK(values == Strings{"none"});
    CHECK(f.asked(protocol::Opcode::get) == 16);
    for (auto& [host, node] : f.cluster.nodes()) node.hold = false;
    f.cluster.answer_all();
    f.loop.run();
    REQUIRE(values.size() == 101);
    for (int i = 0; i < 100; ++i) {
        CHECK(values[static_cast<std::size_t>(i) + 1] == (i == 3 ? "missing" : "v" + std::to_string(i)));
    }
    // Destroyed while documents are under way.
    for (auto& [host, node] : f.cluster.nodes()) node.hold = true;
    {
        Rows rows = f.bucket->view_query("d", "v", {.include_docs = true});
        auto next = rows.next();
        f.http.last().head(200);
        f.http.last().body(R"({"rows":[{"id":"k1"},)");
        CHECK_FALSE(next.await_ready());
        f.loop.run();
    }
    f.check_clean();
}
