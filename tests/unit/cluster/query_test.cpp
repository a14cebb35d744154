#include <catch2/catch.hpp>

#include <string>

#include "cluster/query/query_http.hpp"
#include "cluster/services/scripted_http.hpp"
#include "cluster/services/service_control.hpp"
#include "cluster/services/service_faults.hpp"
#include "views_fixture.hpp"

namespace chaise::testing {
namespace {

using Catch::Matchers::Contains;

struct QueryFixture : ViewsFixture {
    QueryFixture() : ViewsFixture(2) {
        put("a", R"({"name":"Ada","age":36,"tags":["x","y"],"home":{"city":"London"}})");
        put("b", R"({"name":"Bob","age":20,"home":{"city":"Bern"}})");
        put("c", R"({"name":"Cy","age":null})");
        put("d", R"({"name":"Dan"})");
    }
    Answered post(const std::string& json, const std::string& credentials = "Administrator:password") {
        return answered(http, http_request("POST", "/query/service", json, credentials));
    }
    Json query(const std::string& statement, const std::string& more = {}) {
        std::string body = R"({"statement":)";
        body += Json::of(statement).dump() + more + "}";
        last = post(body);
        const auto json = parse_json(last.body);
        INFO(last.body);
        REQUIRE(json);
        return *json;
    }
    /// The rows as one array.
    std::string rows(const std::string& statement, const std::string& more = {}) {
        const Json json = query(statement, more);
        CAPTURE(last.body);
        CHECK(json["status"].string() == "success");
        CHECK(last.status == 200);
        return json["results"].dump();
    }
    int code(const std::string& statement, const std::string& more = {}) {
        const Json json = query(statement, more);
        CAPTURE(last.body);
        CHECK(json["status"].string() != "success");
        REQUIRE(json["errors"].items.size() == 1);
        return static_cast<int>(json["errors"].items[0]["code"].number);
    }

    std::shared_ptr<QueryCluster> query_cluster = std::make_shared<QueryCluster>();
    std::shared_ptr<ScriptedAnswers> scripts = std::make_shared<ScriptedAnswers>();
    QueryHttp http{node(0), query_cluster, scripts};
    Answered last;
};

TEST_CASE("query: what is selected") {
    QueryFixture f;
    const auto [statement, result] = GENERATE(table<std::string, std::string>({
        {"SELECT name FROM default", R"([{"name":"Ada"},{"name":"Bob"},{"name":"Cy"},{"name":"Dan"}])"},
        {"select d.name as n from `default` d where d.age > 20", R"([{"n":"Ada"}])"},
        {"SELECT * FROM default AS x USE KEYS 'd'", R"([{"x":{"name":"Dan"}}])"},
        {"SELECT * FROM default USE KEYS ['d', 'nobody', 'd']",
         R"([{"default":{"name":"Dan"}},{"default":{"name":"Dan"}}])"},
        {"SELECT x.* FROM default x USE PRIMARY KEYS 'd'", R"([{"name":"Dan"}])"},
        {"SELECT x.*, META(x).id FROM default x USE KEYS 'd'", R"([{"name":"Dan","id":"d"}])"},
        {"SELECT RAW name FROM default LIMIT 2 OFFSET 1", R"(["Bob","Cy"])"},
        {"SELECT RAW META().id FROM default._default._default ORDER BY META().id DESC LIMIT 2", R"(["d","c"])"},
        {"SELECT RAW name FROM default:default WHERE age IS MISSING", R"(["Dan"])"},
        {"SELECT RAW name FROM default WHERE age IS NOT MISSING ORDER BY name DESC", R"(["Cy","Bob","Ada"])"},
        {"SELECT RAW name FROM default WHERE age IS NULL", R"(["Cy"])"},
        {"SELECT RAW name FROM default WHERE age IS VALUED AND NOT age = 20", R"(["Ada"])"},
        {"SELECT RAW name FROM default WHERE home.city = 'Bern' OR tags[1] = \"y\"", R"(["Ada","Bob"])"},
        {"SELECT RAW name FROM default WHERE name LIKE '%a%' AND name NOT LIKE 'A_a'", R"(["Dan"])"},
        {"SELECT RAW name FROM default WHERE name IN ['Bob', 'Cy'] AND age BETWEEN 10 AND 30", R"(["Bob"])"},
        {"SELECT RAW name FROM default WHERE 'x' IN tags", R"(["Ada"])"},
        {"SELECT RAW name FROM default ORDER BY age DESC, name", R"(["Ada","Bob","Cy","Dan"])"},
        {"SELECT RAW name FROM default ORDER BY age", R"(["Dan","Cy","Bob","Ada"])"},
        {"SELECT name AS age, META().id FROM default ORDER BY age DESC LIMIT 1", R"([{"age":"Dan","id":"d"}])"},
        {"SELECT COUNT(*) FROM default", R"([{"$1":4}])"},
        {"SELECT COUNT(*) AS n, COUNT(age) AS ages FROM default WHERE name != 'Ada'", R"([{"n":3,"ages":1}])"},
        {"SELECT RAW COUNT(*) FROM default WHERE name = 'nobody'", "[0]"},
        {"SELECT 1 AS one, 'it''s' || \" it\" AS s, -2 * (3 + 1) / 4 - 1 AS n, [1, {'a': TRUE}] AS l, MISSING AS m",
         R"([{"one":1,"s":"it's it","n":-3,"l":[1,{"a":true}]}])"},
        {"SELECT RAW age + 1 FROM default USE KEYS ['a', 'c', 'd']", "[37,null,null]"},
        {"SELECT age, nothing FROM default USE KEYS ['c', 'd'];", R"([{"age":null},{}])"},
        {"SELECT name -- a comment\n FROM /* another */ default LIMIT 1", R"([{"name":"Ada"}])"},
        {"SELECT home.`city` FROM default WHERE home.city > 'C'", R"([{"city":"London"}])"},
        {"SELECT name FROM default LIMIT 0", "[]"},
        {"SELECT RAW 2 = 2.0 AND 'a' < 'b' AND [1,2] < [1,3] AND NOT (1 = '1')", "[true]"},
    }));
    CAPTURE(statement);
    CHECK(f.rows(statement) == result);
}

TEST_CASE("query: parameters") {
    QueryFixture f;
    const std::string by_age = "SELECT RAW name FROM default WHERE age = ";
    CHECK(f.rows(by_age + "$1", R"(,"args":[20])") == R"(["Bob"])");
    CHECK(f.rows(by_age + "? OR name = ? ORDER BY name", R"(,"args":[20,"Dan"])") == R"(["Bob","Dan"])");
    CHECK(f.rows(by_age + "$wanted", R"(,"$wanted":36)") == R"(["Ada"])");
    CHECK(f.rows("SELECT RAW name FROM default USE KEYS $k LIMIT $1", R"(,"$k":["b","a"],"args":[1])") == R"(["Bob"])");
    CHECK(f.code(by_age + "$2", R"(,"args":[20])") == 5010);
    CHECK(f.code(by_age + "$name") == 5010);
    CHECK_THAT(f.last.body, Contains("No value for named parameter $name"));
    CHECK(f.code("SELECT 1 LIMIT 'x'") == 5010);
}

TEST_CASE("query: the answer's other members") {
    QueryFixture f;
    const Json json = f.query("SELECT name FROM default ORDER BY name LIMIT 2",
                              R"(,"client_context_id":"me \"","profile":"timings")");
    CHECK(json["clientContextID"].string() == "me \"");
    CHECK(json["requestID"].string().size() == 36);
    CHECK(json["signature"].dump() == R"({"name":"json"})");
    CHECK(json["metrics"]["resultCount"].number == 2);
    CHECK(json["metrics"]["resultSize"].number == 28);
    CHECK(json["metrics"]["sortCount"].number == 4);
    CHECK(json.find("profile") != nullptr);
    const Json bare = f.query("SELECT * FROM default", R"(,"metrics":false,"signature":false)");
    CHECK(bare.find("metrics") == nullptr);
    CHECK(bare.find("signature") == nullptr);
    CHECK(bare["requestID"].string() != json["requestID"].string());
}

TEST_CASE("query: errors have codes") {
    QueryFixture f;
    CHECK(f.code("SELEKT 1") == 3000);
    CHECK(f.last.status == 400);
    CHECK_THAT(f.last.body, Contains("line 1, column 1, near '', at: SELEKT") && Contains(R"("status": "fatal")"));
    for (const char* statement :
         {"SELECT", "SELECT 1 FROM", "SELECT a FROM default WHERE", "SELECT (1", "SELECT a b c FROM default",
          "SELECT 1 FROM default LIMIT", "SELECT 'open", "SELECT FROM default", "SELECT a, COUNT(*) FROM default",
          "SELECT LOWER(a) FROM default", "SELECT $0", "SELECT 007", "SELECT 1 1", "EXECUTE", "PREPARE x SELECT 1",
          "UPDATE default SET a = 1", "SELECT a FROM default JOIN b ON KEYS c"}) {
        CAPTURE(statement);
        CHECK(f.code(statement) == 3000);
    }
    CHECK(f.code("SELECT " + std::string(5000, '(')) == 3000);
    // Flat to the reader, and as deep as long to what goes over it.
    const auto repeated = [](std::string text, std::string_view what) {
        for (int i = 0; i < 100'000; ++i) text += what;
        return text;
    };
    CHECK(f.code(repeated("SELECT 1", "+1")) == 3000);
    CHECK(f.code(repeated("SELECT a", ".a")) == 3000);
    CHECK(f.code(repeated("SELECT a", " OR a")) == 3000);
    CHECK(f.rows("SELECT RAW [0." + std::string(400, '0') + "1 < 1, 1e-400 < 1, 1e400 > 1]") == "[[true,true,true]]");
    CHECK(f.code("SELECT \"\\u1") == 3000);
    CHECK(f.code("DELETE FROM default", R"(,"readonly":true)") == 1000);
    CHECK(f.last.status == 403);
    CHECK(f.code("SELECT * FROM nothing") == 12003);
    CHECK(f.last.status == 424);
    CHECK(f.code("SELECT * FROM default.`s`.`c`") == 12021);
    CHECK(f.code("SELECT * FROM default._default.c") == 12003);
    CHECK(f.code("SELECT 1", R"(,"surprise":1)") == 1065);
    CHECK(f.code("SELECT 1", R"(,"scan_consistency":"sometimes")") == 1070);
    CHECK(f.code("SELECT 1", R"(,"timeout":"1 hour")") == 1070);
    CHECK(f.code("SELECT 1", R"(,"scan_cap":7)") == 1070);
    CHECK(f.code("") == 1050);
    CHECK(f.post("no json").status == 400);
    CHECK(f.post(R"({"statement":"SELECT 1"})", "").status == 401);
    CHECK(f.post(R"({"statement":"SELECT 1"})", "Administrator:wrong").status == 401);
    f.state->add_user({"limited", "secret", {"other"}});
    const Answered refused = f.post(R"({"statement":"SELECT * FROM default"})", "limited:secret");
    CHECK(refused.status == 401);
    CHECK_THAT(refused.body, Contains("13014"));
    CHECK(answered(f.http, http_request("GET", "/query/service")).status == 405);
    CHECK(answered(f.http, http_request("GET", "/admin/ping", {}, "")).status == 200);
    f.crash(1);
    CHECK(f.code("SELECT * FROM default") == 12008);
}

TEST_CASE("query: long expressions, broad lists, large rows") {
    QueryFixture f;
    const auto repeated = [](std::string_view text, std::size_t times) {
        std::string all;
        for (std::size_t i = 0; i < times; ++i) all += text;
        return all;
    };
    CHECK(f.rows("SELECT RAW 1" + repeated(" + 1", 1000)) == "[1001]");
    CHECK(f.rows("SELECT RAW FALSE" + repeated(" OR FALSE", 1000)) == "[false]");
    CHECK(f.rows("SELECT RAW a" + repeated(".a", 1000) + " FROM default LIMIT 1") == "[null]");
    for (const char* part : {" + 1", " || 1", " OR 1", " AND 1", ".a", "[0]", " = 1", " * 1", " IS NULL", " IN 1"}) {
        CAPTURE(part);
        CHECK(f.code("SELECT RAW a" + repeated(part, 1001) + " FROM default") == 3000);
        CHECK(f.code("SELECT RAW a" + repeated(part, 100000) + " FROM default") == 3000);
    }
    // As many as one likes side by side.
    CHECK(f.rows("SELECT RAW 1 IN [0" + repeated(", 0", 5000) + ", -1, 1]") == "[true]");
    CHECK(f.rows("SELECT RAW META().id FROM default USE KEYS ['a'" + repeated(", 'a'", 2000) + "] LIMIT 1") ==
          R"(["a"])");
    f.rows("SELECT home.city" + repeated(", home.city", 1200) + " FROM default");

    const std::string large = R"(,"$a":")" + std::string(1 << 20, 'x') + '"';
    CHECK(f.rows("SELECT RAW [$a" + repeated(", $a", 2) + "]", R"(,"$a":")" + std::string(30000, 'x') + '"').size() >
          90000);
    CHECK(f.code("SELECT RAW [$a" + repeated(", $a", 200) + "]", large) == 5000);
    CHECK(f.code("SELECT RAW $a" + repeated(" || $a", 200), large) == 5000);
    CHECK(f.code("SELECT RAW name FROM default WHERE name IN [$a" + repeated(", $a", 200) + "]", large) == 5000);
    // Nothing is copied on the way to a member.
    f.put("e", R"({"large":")" + std::string(1 << 20, 'x') + R"(","small":1})");
    CHECK(f.rows("SELECT RAW e.small" + repeated(" + e.small", 300) + " FROM default e USE KEYS 'e'") == "[301]");
}

TEST_CASE("query: many members, and comments that do not end") {
    QueryFixture f;
    std::string members;
    for (int i = 0; i < 50; ++i) members += "\"m" + std::to_string(i) + "\": " + std::to_string(i) + ", ";
    const Json json = f.query("SELECT RAW {" + members + "\"m3\": 'three', \"m40\": 'forty', \"last\": 1}");
    REQUIRE(json["results"].items.size() == 1);
    const Json& row = json["results"].items[0];
    REQUIRE(row.members.size() == 51);
    CHECK(row.members[3].second.string() == "three");
    CHECK(row.members[40].second.string() == "forty");
    CHECK(row.members[49].first == "m49");
    CHECK(row.members[50].first == "last");
    CHECK(f.code("SELECT 1 /* /* /* ") == 3000);
    CHECK(f.rows("SELECT RAW 6 /* one */ /* two */ / 2") == "[3]");
    CHECK(f.code("SELECT \"\\u1") == 3000);
    CHECK(f.code("SELECT \"\\u12\"") == 3000);
}

TEST_CASE("query: errors quote whole characters") {
    QueryFixture f;
    for (const char* statement :
         {"SELECT \xc3\xa9", "SELECT 'aaaaaaaaaaaaaaaa\xc3\xa9' FROM", "SELECT 'aaaaaaaaaaaaaaa\xf0\x9f\x98\x80' )",
          "SELECT '\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80' a b"}) {
        CAPTURE(statement);
        const std::string text(statement);
        for (std::size_t blanks = 0; blanks < 5; ++blanks) {
            CHECK(f.code(text.substr(0, 7) + std::string(blanks, ' ') + text.substr(7)) == 3000);
            CHECK(f.last.body.find("\xef\xbf\xbd") == std::string::npos);
        }
    }
    f.code("SELECT \xc3\xa9");
    CHECK_THAT(f.last.body, Contains("at: \xc3\xa9"));
}

TEST_CASE("query: prepared statements") {
    QueryFixture f;
    const Json named = f.query("PREPARE by_age FROM SELECT RAW name FROM default WHERE age = $1");
    REQUIRE(named["results"].items.size() == 1);
    CHECK(named["results"].items[0]["name"].string() == "by_age");
    const std::string plan(named["results"].items[0]["encoded_plan"].string());
    CHECK(f.rows("EXECUTE by_age", R"(,"args":[20])") == R"(["Bob"])");
    CHECK(f.rows("EXECUTE by_age USING [36]") == R"(["Ada"])");
    const auto execute = [&](const std::string& fields) {
        f.last = f.post("{" + fields + "}");
        const auto json = parse_json(f.last.body);
        REQUIRE(json);
        return (*json)["results"].dump() +
               std::string((*json)["errors"].items.empty() ? "" : (*json)["errors"].items[0]["code"].text);
    };
    CHECK(execute(R"("prepared":"by_age","args":[20])") == R"(["Bob"])");
    f.query_cluster->prepared.clear();
    CHECK(execute(R"("prepared":"by_age","args":[20])") == "[]4040");
    CHECK(f.last.status == 404);
    CHECK(execute(R"("prepared":"by_age","encoded_plan":"bm9uc2Vuc2U=")") == "[]4050");
    CHECK(execute(R"("prepared":"by_age","args":[20],"encoded_plan":")" + plan + "\"") == R"(["Bob"])");
    CHECK(execute(R"("prepared":"by_age","args":[36])") == R"(["Ada"])");  // known again
    // At once, as clients ask for it nowadays.
    const Json at_once =
        f.query("PREPARE SELECT RAW name FROM default WHERE age = $1", R"(,"auto_execute":true,"args":[36])");
    CHECK(at_once["results"].dump() == R"(["Ada"])");
    const std::string name(at_once["prepared"].string());
    REQUIRE_FALSE(name.empty());
    CHECK(execute(R"("prepared":")" + name + R"(","args":[20])") == R"(["Bob"])");
    CHECK(f.code("EXECUTE nothing") == 4040);
    CHECK(f.code("PREPARE SELECT * FROM nothing") == 12003);
}

TEST_CASE("query: no index lags, and at_plus asks for what is there") {
    QueryFixture f;
    f.put("e", R"({"name":"Eve"})");
    CHECK(f.rows("SELECT RAW COUNT(*) FROM default", R"(,"scan_consistency":"not_bounded")") == "[5]");
    f.remove("e");
    CHECK(f.rows("SELECT RAW COUNT(*) FROM default", R"(,"scan_consistency":"request_plus")") == "[4]");
    const std::string vb = std::to_string(f.vbucket_of("a"));
    const std::string seqno = std::to_string(f.home("a").high_seqno());
    const auto vectors = [&](const std::string& number) {
        return R"(,"scan_consistency":"at_plus","scan_vectors":{"default":{")" + vb + R"(":[)" + number + R"(,"1"]}})";
    };
    CHECK(f.rows("SELECT RAW COUNT(*) FROM default", vectors(seqno)) == "[4]");
    CHECK(f.code("SELECT RAW COUNT(*) FROM default", vectors("99999")) == 12015);
    CHECK(f.code("SELECT RAW COUNT(*) FROM default", vectors("\"x\"")) == 1070);
    CHECK(f.code("SELECT 1", R"(,"scan_consistency":"at_plus")") == 1050);
}

TEST_CASE("query: a collection by the query's context") {
    QueryFixture f;
    protocol::CollectionsManifest manifest = default_manifest();
    manifest.uid = 1;
    manifest.scopes.push_back({"shop", 8, {{"items", 9, {}, {}}}});
    f.state->set_manifest("default", manifest);
    f.world.run_for(std::chrono::milliseconds{1});
    REQUIRE(
        f.home("i").store(StoreMode::set, "\x09i", R"({"n":1})", 0, 0, 0, {}, f.node(f.active("i")).time()).status ==
        Status::success);
    CHECK(f.rows("SELECT * FROM items", R"(,"query_context":"default:`default`.`shop`")") == R"([{"items":{"n":1}}])");
    CHECK(f.rows("SELECT RAW n FROM default.shop.items") == "[1]");
    CHECK(f.rows("SELECT RAW COUNT(*) FROM default") == "[4]");
    CHECK(f.code("SELECT * FROM other", R"(,"query_context":"default.shop")") == 12003);
}

TEST_CASE("query: scripted answers") {
    QueryFixture f;
    f.scripts->set(HttpService::query, " UPDATE x SET y = 1; ",
                   {200, R"({"requestID":"{{requestID}}","clientContextID":"{{clientContextID}}","results":[]})"});
    const Json json = f.query("UPDATE x SET y = 1", R"(,"client_context_id":"ctx")");
    CHECK(json["clientContextID"].string() == "ctx");
    CHECK(json["requestID"].string().size() == 36);
    CHECK(f.code("UPDATE x SET y = 2") == 3000);

    ScriptedHttp search(f.node(0), HttpService::search, f.scripts);
    ScriptedHttp analytics(f.node(0), HttpService::analytics, f.scripts);
    const std::string path = "/api/index/hotels/query";
    CHECK(answered(search, http_request("POST", path, "{}")).status == 404);
    f.scripts->set(HttpService::search, path, {200, R"({"hits":[]})"});
    CHECK(answered(search, http_request("POST", path, "{}")).body == R"({"hits":[]})");
    CHECK(answered(search, http_request("POST", path, "{}", "x:y")).status == 401);
    const std::string statement = R"({"statement":"SELECT 1","client_context_id":"c"})";
    CHECK(answered(analytics, http_request("POST", "/analytics/service", statement)).status == 400);
    f.scripts->set(HttpService::analytics, "SELECT 1", {200, R"({"clientContextID":"{{clientContextID}}"})"});
    CHECK(answered(analytics, http_request("POST", "/analytics/service", statement)).body ==
          R"({"clientContextID":"c"})");
}

TEST_CASE("control: faults and scripts from outside") {
    QueryFixture f;
    auto faults = std::make_shared<HttpFaults>();
    ServiceControl control(f.http, *f.state, faults, f.scripts);
    const auto post = [&](const std::string& path, const std::string& body,
                          const std::string& who = "Administrator:password") {
        return answered(control, http_request("POST", path, body, who)).status;
    };
    CHECK(post("/_chaise/faults", R"({"service":"views","status":503,"body":"x","cut":0,"node":1,"delay_ms":7})") ==
          200);
    CHECK_FALSE(faults->take(HttpService::views, 0));
    const auto fault = faults->take(HttpService::views, 1);
    REQUIRE(fault);
    CHECK(fault->status == 503);
    CHECK(fault->cut == 0u);
    CHECK(fault->delay == std::chrono::milliseconds{7});
    CHECK_FALSE(faults->take(HttpService::views, 1));
    CHECK(post("/_chaise/faults", R"({"service":"query","times":5})") == 200);
    CHECK(answered(control, http_request("DELETE", "/_chaise/faults")).status == 200);
    CHECK_FALSE(faults->take(HttpService::query, 0));
    CHECK(post("/_chaise/scripts", R"({"service":"search","request":"/x","body":"y"})") == 200);
    CHECK(f.scripts->find(HttpService::search, "/x") != nullptr);
    for (const char* bad :
         {"no", "[]", "{}", R"({"service":"views","times":-1})", R"({"service":"views","cut":"x"})"}) {
        CHECK(post("/_chaise/faults", bad) == 400);
    }
    CHECK(post("/_chaise/scripts", R"({"service":"views","request":"a","body":"b"})") == 400);
    CHECK(post("/_chaise/faults", R"({"service":"views"})", "Administrator:no") == 401);
    f.state->add_user({"limited", "secret", {"other"}});
    CHECK(post("/_chaise/faults", R"({"service":"views"})", "limited:secret") == 403);
    CHECK(post("/query/service", R"({"statement":"SELECT 1"})") == 200);  // goes on
}

TEST_CASE("faults: what happens to an answer") {
    QueryFixture f;
    auto faults = std::make_shared<HttpFaults>();
    FaultyHttp faulty(f.http, HttpService::query, 0, *f.iops[0], faults);
    const HttpRequest request = http_request("POST", "/query/service", R"({"statement":"SELECT * FROM default"})");
    const std::string whole = answered(f.http, request).body;
    struct Result {
        std::string body;
        bool cut;
        int turns;
    };
    const auto take = [&] {
        const HttpResponse response = faulty.answer(request);
        BodySink sink;
        const auto stream = response.stream(sink);
        int turns = 0;
        for (; turns < 1000 && !sink.ended && !sink.was_cut; ++turns) {
            while (stream->on_room()) {
            }
            if (!sink.ended && !sink.was_cut) f.world.run_for(std::chrono::milliseconds{1});
        }
        return Result{sink.body, sink.was_cut, turns};
    };
    faults->add({.service = HttpService::query, .node = 1, .status = 500});  // not of this node
    faults->add({.service = HttpService::query, .times = 2, .status = 503, .body = "busy"});
    faults->add({.service = HttpService::query, .delay = std::chrono::milliseconds{20}});
    faults->add({.service = HttpService::query, .piece_delay = std::chrono::milliseconds{5}, .piece = 100});
    faults->add({.service = HttpService::query, .cut = 150});
    faults->add({.service = HttpService::query, .cut = 0});
    for (int i = 0; i < 2; ++i) {
        CHECK(faulty.answer(request).status == 503);
    }
    const Result late = take();
    CHECK(late.body.size() == whole.size());
    CHECK(late.turns >= 20);
    const Result slow = take();
    CHECK(slow.body.size() == whole.size());
    CHECK(slow.turns >= static_cast<int>(whole.size() / 100 - 1) * 5);
    const Result cut = take();
    CHECK(cut.cut);
    CHECK(cut.body.size() == 150);
    const Result none = take();
    CHECK(none.cut);
    CHECK(none.body.empty());
    // And then it is well again.
    CHECK(answered(faulty, request).body.size() == whole.size());
}

}  // namespace
}  // namespace chaise::testing
