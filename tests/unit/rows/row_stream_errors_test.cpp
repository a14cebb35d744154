// What goes wrong in answers of rows: which error it is, what it says, and whether another node is asked.

#include "rows/row_errors.hpp"
#include "tests/unit/rows/rows_fixture.hpp"

#include <chrono>
#include <set>
#include <string>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using Strings = std::vector<std::string>;

TEST_CASE("errors in the body, in both shapes, and by HTTP", "[rows]") {
    struct Case {
        int status;
        std::string_view body;
        errc view;  ///< success: none
        std::size_t rows = 0;
    };
    RowsFixture f({"n1"});
    for (const Case& one : std::initializer_list<Case>{
             {404, R"({"error":"not_found","reason":"missing"})", errc::design_document_not_found},
             {404, R"({"error":"not_found","reason":"Design document _design/d not found"})",
              errc::design_document_not_found},
             {404, R"({"error":"not_found","reason":"missing_named_view"})", errc::view_not_found},
             {404, R"({"error":"not_found","reason":"no_db_file"})", errc::bucket_not_found},
             {400, R"({"error":"query_parse_error","reason":"Invalid value for stale."})", errc::invalid_argument},
             {401, R"({"error":"unauthorized","reason":"no"})", errc::authentication_failure},
             {401, "<html>", errc::authentication_failure},
             {403, R"({"error":"forbidden","reason":"no"})", errc::authentication_failure},
             {500, R"({"error":"error","reason":"boom"})", errc::view_failure},
             {500, "Internal", errc::http_failure},
             {503, "", errc::service_not_available},
             {302, R"({"error":"no_active_vbuckets","reason":"x"})", errc::http_failure},
             {200, R"({"error":"x","reason":"y"})", errc::view_failure},
             {200, R"({"rows":[1,2],"errors":[{"from":"n2","reason":"down"}]})", errc::view_failure, 2},
             {200, R"({"rows":[1],"errors":[]})", errc::success, 1},
         }) {
        INFO(one.status << ' ' << one.body);
        auto& got = f.view();
        f.answer(one.status, one.body);
        REQUIRE(got.done);
        CHECK((got.error ? got.error->code() : errc::success) == one.view);
        CHECK(got.rows.size() == one.rows);
        if (!got.error) continue;
        CHECK(got.error->context().http_status == one.status);
        CHECK(got.error->context().node == "n1:8092");
        if (one.status != 200) CHECK(got.error->context().server_text == one.body);
        CHECK_FALSE(got.error->may_have_happened());
    }
    // The caller said that he wants to go on: told in the meta data.
    auto& got = f.view({.on_error = OnViewError::continue_});
    f.answer(200, R"({"rows":[1],"errors":[{"from":"n2","reason":"down"}]})");
    CHECK(got.ok());
    CHECK(RowsMeta(got.meta).errors() == R"([{"from":"n2","reason":"down"}])");
}

TEST_CASE("the message of an error has what the server says, in words, once and bounded", "[rows]") {
    RowsFixture f({"n1"});
    f.view();
    f.answer(404, R"({"error":"not_found","reason":"Design document \"_design/d\" not found\r\nok"})");
    const std::string view = f.all.back()->error->message();
    CHECK(view.find("not_found: Design document \"_design/d\" not found  ok [HTTP 404") != std::string::npos);
    CHECK(view.find("reason") == std::string::npos);
    CHECK(f.all.back()->error->context().server_text.starts_with(R"({"error":"not_found")"));

    f.query();
    f.answer(400, R"({"errors":[{"code":3000,"msg":"syntax error near \"FRM\""}],"status":"fatal"})");
    const std::string query = f.all.back()->error->message();
    CHECK(query.find("syntax error near \"FRM\" (error 3000)") != std::string::npos);
    CHECK(query.find("fatal") == std::string::npos);
    // Also of an answer that began well.
    f.query();
    f.answer(200, R"({"results":[1],"errors":[{"code":5010,"msg":"lost"}],"status":"errors"})");
    CHECK(f.all.back()->error->message().find("lost (error 5010)") != std::string::npos);
    CHECK(f.all.back()->error->message().find("[{") == std::string::npos);
    CHECK(f.all.back()->error->context().server_text == R"([{"code":5010,"msg":"lost"}])");

    const std::string page = "<html>\n" + std::string(3000, 'x');
    f.view();
    f.answer(500, page);
    const Error& html = *f.all.back()->error;
    CHECK(html.context().message.starts_with("HTTP status 500: <html> xxx"));
    CHECK(html.context().message.ends_with("x..."));
    CHECK(html.message().size() < 400);
    CHECK(html.context().server_text == page);
    f.view();
    f.answer(500, R"({"error":"error","reason":")" + std::string(3000, 'r') + "\"}");
    CHECK(f.all.back()->error->context().message == "error: " + std::string(505, 'r') + "...");
    f.view();
    f.answer(500, "");
    CHECK(f.all.back()->error->context().message == "HTTP status 500");
}

TEST_CASE("what a server says in one line", "[rows]") {
    CHECK(detail::one_line("a\tb\n") == "a b");
    CHECK(detail::one_line("abcdef", 6) == "abcdef");
    CHECK(detail::one_line("abcdefg", 6) == "abcdef...");
    CHECK(detail::one_line("abcd\u00e9", 5) == "abcd...");  // not half of a letter
    CHECK(detail::one_line("\n", 5).empty());
}

TEST_CASE("errors of the query service have their numbers", "[rows]") {
    RowsFixture f({"n1"});
    struct Case {
        int code;
        std::string_view text;
        errc is;
    };
    for (const Case& one : std::initializer_list<Case>{{3000, "syntax", errc::parsing_failure},
                                                       {4000, "plan", errc::planning_failure},
                                                       {4040, "No such", errc::prepared_statement_failure},
                                                       {4300, "The index x already exists", errc::index_exists},
                                                       {5010, "eval", errc::internal_server_failure},
                                                       {12003, "Keyspace", errc::collection_not_found},
                                                       {12004, "No index", errc::index_not_found},
                                                       {12009, "CAS mismatch", errc::cas_mismatch},
                                                       {12009, "DML", errc::dml_failure},
                                                       {12021, "Scope", errc::scope_not_found},
                                                       {12015, "vector", errc::index_failure},
                                                       {13014, "credentials", errc::authentication_failure},
                                                       {1065, "parameter", errc::invalid_argument},
                                                       {1080, "timeout", errc::timeout_after_send},
                                                       {1000, "read only", errc::query_failure}}) {
        INFO(one.code);
        auto& got = f.query();
        f.answer(one.code == 1080 ? 200 : 400, R"({"results":[7],"errors":[{"code":)" + std::to_string(one.code) +
                                                   R"(,"msg":")" + std::string(one.text) + R"("}],"status":"fatal"})");
        CHECK(got.failed(one.is));
        CHECK(got.rows == Strings{"7"});
        CHECK(got.error->context().server_code == one.code);
        CHECK(got.error->message().find(one.text) != std::string::npos);
    }
    auto& got = f.query();
    f.answer(200, R"({"results":[],"status":"stopped"})");
    CHECK(got.failed(errc::query_failure));
    f.run(f.bucket->search_query("i", "{}"));
    f.answer(400, R"({"error":"rest_auth: preparePerms, err: index not found","status":"fail"})");
    CHECK(f.all.back()->failed(errc::index_not_found));
    f.run(f.bucket->analytics_query("x"));
    f.answer(400, R"({"errors":[{"code":24045,"msg":"Cannot find analytics collection"}],"status":"fatal"})");
    CHECK(f.all.back()->failed(errc::dataset_not_found));
}

TEST_CASE("an answer that is cut, or no JSON, is an error behind the rows that came", "[rows]") {
    RowsFixture f({"n1"});
    for (const auto& [body, rows] :
         std::initializer_list<std::pair<std::string_view, std::size_t>>{{"", 0},
                                                                         {R"({"rows":[1,2)", 1},
                                                                         {R"({"rows":[1,2],"errors":)", 2},
                                                                         {R"({"rows":[1,{"a":tru},3]})", 1},
                                                                         {R"({"rows":[1 2]})", 1},
                                                                         {R"({"rows":[1]} x)", 1},
                                                                         {R"({"rows":[1],"a":tru})", 1}}) {
        INFO(body);
        auto& got = f.view();
        f.answer(200, body);
        CHECK(got.failed(errc::protocol_error));
        CHECK(got.rows.size() == rows);
    }
    auto& got = f.view();
    f.http.last().head(200);
    f.http.last().body(R"({"rows":[1,)");
    f.loop.run();
    f.break_off();
    CHECK(got.failed(errc::connection_lost_after_send));
    CHECK(got.rows == Strings{"1"});
    CHECK(f.http.open() == 0);
}

TEST_CASE("another node is asked if no row was given and it does no harm", "[rows]") {
    SECTION("views") {
        RowsFixture f;
        auto& got = f.view();
        f.break_off();
        REQUIRE(f.http.asked.size() == 2);
        f.answer(302, R"({"error":"no_active_vbuckets","reason":"x"})");
        REQUIRE(f.http.asked.size() == 3);
        const std::set<std::string> hosts{f.http.asked[0].request.host, f.http.asked[1].request.host,
                                          f.http.asked[2].request.host};
        CHECK(hosts.size() == 3);
        f.answer(200, R"({"rows":[1]})");
        CHECK(got.ok());
        CHECK(got.rows == Strings{"1"});
    }
    SECTION("every node, once") {
        RowsFixture f;
        auto& got = f.view();
        for (int i = 0; i < 3; ++i) f.break_off(i == 0);
        CHECK(f.http.asked.size() == 3);
        CHECK(got.failed(errc::not_connected));
        CHECK(got.error->context().retries == 2);
    }
    SECTION("not when a row was given") {
        RowsFixture f;
        auto& got = f.view();
        f.http.last().head(200);
        f.http.last().body(R"({"rows":[1,)");
        f.loop.run();
        f.break_off();
        CHECK(f.http.asked.size() == 1);
        CHECK(got.failed(errc::connection_lost_after_send));
    }
    SECTION("rows that came and were not given are forgotten") {
        RowsFixture f;
        Rows rows = f.bucket->view_query("d", "v");
        f.http.last().head(200);
        f.http.last().body(R"({"rows":["old",)");
        f.loop.run();
        f.break_off();
        REQUIRE(f.http.asked.size() == 2);
        auto& got = f.run(std::move(rows));
        f.answer(200, R"({"rows":["new"]})");
        CHECK(got.rows == Strings{"\"new\""});
    }
    SECTION("a statement that may change something is not sent twice") {
        RowsFixture f;
        auto& unsent = f.query();
        f.break_off(false);
        REQUIRE(f.http.asked.size() == 2);
        f.break_off(true);
        CHECK(f.http.asked.size() == 2);
        CHECK(unsent.failed(errc::connection_lost_after_send));
        CHECK(unsent.error->may_have_happened());
        auto& harmless = f.query({.readonly = true});
        f.break_off(true);
        CHECK(f.http.asked.size() == 4);
        f.answer(200, R"({"results":[]})");
        CHECK(harmless.ok());
    }
}

TEST_CASE("whether a statement may have changed something", "[rows]") {
    RowsFixture f({"n1"});
    const auto failed = [&](std::string_view body, const QueryOptions& options = {}) {
        auto& got = f.query(options);
        f.answer(200, body);
        REQUIRE(got.error);
        return got.error->may_have_happened();
    };
    constexpr std::string_view half_done =
        R"({"results":[],"errors":[{"code":12009,"msg":"DML Error"}],"status":"errors"})";
    CHECK(failed(half_done));
    CHECK_FALSE(failed(half_done, {.readonly = true}));
    CHECK(failed(R"({"results":[],"status":"timeout"})"));
    CHECK(failed(R"({"results":[1,{]})"));
    CHECK(failed(R"({"results":[1,nonsense]})"));
    CHECK_FALSE(failed(R"({"errors":[{"code":3000,"msg":"syntax error"}],"status":"fatal"})"));
}
