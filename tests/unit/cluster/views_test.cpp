#include <catch2/catch.hpp>

#include <chrono>
#include <string>

#include "cluster/json/collation.hpp"
#include "cluster/views/script_steps.hpp"
#include "protocol/json_text.hpp"
#include "views_fixture.hpp"

namespace chaise::testing {
namespace {

using Catch::Matchers::Contains;

const std::string by_n =
    R"({"views":{"by_n":{"map":"function (doc, meta) { emit(doc.n, null); }"},)"
    R"("sums":{"map":"function (doc, meta) { emit([doc.n % 2, doc.n], doc.n); }","reduce":"_sum"},)"
    R"("counts":{"map":"function (doc, meta) { emit([doc.n % 2, doc.n], doc.n); }","reduce":"_count"},)"
    R"("stats":{"map":"function (doc, meta) { emit(null, doc.n); }","reduce":"_stats"}}})";

// Documents d1 to d9 with n 1 to 9.
struct Nine : ViewsFixture {
    explicit Nine(std::size_t count = 1) : ViewsFixture(count) {
        for (int i = 1; i <= 9; ++i) put("d" + std::to_string(i), "{\"n\":" + std::to_string(i) + "}");
        design("dd", by_n);
    }
};

TEST_CASE("collation: CouchDB's order of all kinds") {
    const std::vector<std::string> ordered{"null",
                                           "false",
                                           "true",
                                           "-1e300",
                                           "-1.5",
                                           "-1",
                                           "0",
                                           "1e-9",
                                           "1",
                                           "1.5",
                                           "2",
                                           "10",
                                           "1e300",
                                           R"("")",
                                           R"(" ")",
                                           R"("_x")",
                                           R"("-")",
                                           R"("0")",
                                           R"("9")",
                                           R"("a")",
                                           R"("A")",
                                           R"("á")",
                                           R"("aa")",
                                           R"("aA")",
                                           R"("Aa")",
                                           R"("ab")",
                                           R"("áb")",
                                           R"("B")",
                                           R"("b0")",
                                           R"("z")",
                                           R"("β")",
                                           R"("\u0fff")",
                                           R"("日")",
                                           R"("😀")",
                                           "[]",
                                           "[null]",
                                           "[1]",
                                           "[1,2]",
                                           R"(["a"])",
                                           R"(["a","B"])",
                                           R"(["A","a"])",
                                           R"(["b"])",
                                           "[[]]",
                                           "[{}]",
                                           "{}",
                                           R"({"a":1})",
                                           R"({"a":2})",
                                           R"({"a":2,"b":1})",
                                           R"({"b":0})"};
    for (std::size_t i = 0; i + 1 < ordered.size(); ++i) {
        CAPTURE(ordered[i], ordered[i + 1]);
        const auto a = parse_json(ordered[i]);
        const auto b = parse_json(ordered[i + 1]);
        REQUIRE((a && b));
        CHECK(collation_key(*a) < collation_key(*b));
    }
    CHECK(collation_key(*parse_json("1")) == collation_key(*parse_json("1.0")));
    CHECK(collation_key(*parse_json("-0")) == collation_key(*parse_json("0")));
    CHECK(collation_key(*parse_json(R"("\u0061")")) == collation_key(*parse_json(R"("a")")));
}

TEST_CASE("views: rows in order of their keys, from all nodes") {
    Nine f(3);
    CHECK(f.rows("dd/_view/by_n") == "d1 d2 d3 d4 d5 d6 d7 d8 d9");
    const Answered answer = f.view("dd/_view/by_n", "limit=1&skip=2");
    CHECK(answer.body == "{\"total_rows\":9,\"rows\":[\r\n{\"id\":\"d3\",\"key\":3,\"value\":null}\r\n]\r\n}\n");
    // Any node answers the same.
    for (std::size_t node = 0; node < 3; ++node) {
        const Answered same =
            f.ask("GET", "/default/_design/dd/_view/by_n?limit=1&skip=2", {}, "Administrator:password", node);
        CHECK(same.body == answer.body);
    }
}

TEST_CASE("views: which rows") {
    Nine f(2);
    f.put("e5", R"({"n":5})");
    f.put("f5", R"({"n":5})");
    const auto [parameters, ids] = GENERATE(table<std::string, std::string>({
        {"limit=2", "d1 d2"},
        {"limit=0", ""},
        {"skip=9", "d8 d9"},  // of 11
        {"skip=2&limit=2&descending=true", "d7 d6"},
        {"descending=true&limit=2", "d9 d8"},
        {"key=5", "d5 e5 f5"},
        {"key=5&descending=true", "f5 e5 d5"},
        {"key=%225%22", ""},
        {"keys=[9,1,5,77]", "d9 d1 d5 e5 f5"},
        {"keys=[5,9]&descending=true", "f5 e5 d5 d9"},
        {"keys=[]", ""},
        {"startkey=8", "d8 d9"},
        {"start_key=8", "d8 d9"},
        {"endkey=2", "d1 d2"},
        {"end_key=2&inclusive_end=false", "d1"},
        {"startkey=4&endkey=6", "d4 d5 e5 f5 d6"},
        {"startkey=4&endkey=5&inclusive_end=false", "d4"},
        {"startkey=5&endkey=4&descending=true", "f5 e5 d5 d4"},
        {"startkey=5&endkey=4&descending=true&inclusive_end=false", "f5 e5 d5"},
        {"startkey=5&startkey_docid=e5&limit=2", "e5 f5"},
        {"startkey=5&start_key_doc_id=e5&limit=2", "e5 f5"},
        {"startkey=5&startkey_docid=e5&endkey=5&descending=true", "e5 d5"},
        {"endkey=5&endkey_docid=e5", "d1 d2 d3 d4 d5 e5"},
        {"endkey=5&end_key_doc_id=e5&inclusive_end=false", "d1 d2 d3 d4 d5"},
        {"descending=true&endkey=5&endkey_docid=e5", "d9 d8 d7 d6 f5 e5"},
        {"descending=true&endkey=5&endkey_docid=e5&inclusive_end=false", "d9 d8 d7 d6 f5"},
        {"startkey_docid=e5&limit=1", "d1"},  // without its key it says nothing
        {"something=else&limit=1&_=12", "d1"},
    }));
    CAPTURE(parameters);
    CHECK(f.rows("dd/_view/by_n", parameters) == ids);
}

TEST_CASE("views: keys in the body") {
    Nine f;
    CHECK(f.rows("dd/_view/by_n", "", R"({"keys":[3,1]})") == "d3 d1");
    CHECK(f.rows("dd/_view/by_n", "limit=1", "{}") == "d1");
    CHECK(f.view("dd/_view/by_n", "", "nonsense").status == 400);
    CHECK(f.view("dd/_view/by_n", "", R"({"keys":3})").status == 400);
}

TEST_CASE("views: reduced") {
    Nine f(3);
    CHECK(f.rows("dd/_view/sums") == "null=45");
    CHECK(f.rows("dd/_view/sums", "group_level=1") == "[0]=20 [1]=25");
    CHECK(f.rows("dd/_view/sums", "group_level=1&descending=true") == "[1]=25 [0]=20");
    CHECK(f.rows("dd/_view/counts", "group_level=1&skip=1") == "[1]=5");
    CHECK(f.rows("dd/_view/sums", "group=true&startkey=[1]&limit=3") == "[1,1]=1 [1,3]=3 [1,5]=5");
    CHECK(f.rows("dd/_view/sums", "group_level=2&endkey=[0,4]") == "[0,2]=2 [0,4]=4");
    CHECK(f.rows("dd/_view/sums", "group=true&keys=[[1,9],[0,2]]") == "[1,9]=9 [0,2]=2");
    CHECK(f.rows("dd/_view/sums", "key=[1,77]") == "");
    CHECK(f.rows("dd/_view/stats") == R"(null={"sum":45,"count":9,"min":1,"max":9,"sumsqr":285})");
    CHECK(f.rows("dd/_view/sums", "reduce=false&limit=2") == "d2 d4");
    CHECK_THAT(f.view("dd/_view/sums").body, !Contains("total_rows"));
    CHECK_THAT(f.view("dd/_view/sums", "reduce=false").body, Contains(R"("total_rows":9)"));
}

TEST_CASE("views: reduce functions in JavaScript, and reduced again") {
    ViewsFixture f(2);
    for (int i = 0; i < 250; ++i) f.put("d" + std::to_string(i), "{\"n\":" + std::to_string(i) + "}");
    std::string json = R"({"views":{"v":{"map":"function (doc, meta) { emit(doc.n, doc.n); }","reduce":)";
    protocol::append_json_string(json, R"(function (keys, values, rereduce) {
        if (!rereduce) return {sum: sum(values), again: 0, keys: keys.length};
        var t = {sum: 0, again: values.length, first: keys};
        for (var i = 0; i < values.length; i++) t.sum += values[i].sum;
        return t;
    })");
    f.design("r", json + "}}}");
    CHECK(f.rows("r/_view/v") == R"(null={"sum":31125,"again":3,"first":null})");
    CHECK(f.rows("r/_view/v", "endkey=9") == R"(null={"sum":45,"again":0,"keys":10})");
}

TEST_CASE("views: an index is as old as its last update") {
    Nine f(2);
    CHECK(f.rows("dd/_view/by_n", "stale=ok") == "");
    CHECK(f.rows("dd/_view/by_n", "stale=update_after") == "");
    CHECK(f.rows("dd/_view/by_n", "stale=ok") == "");  // that comes after
    f.world.run_for(std::chrono::milliseconds{1});
    CHECK(f.rows("dd/_view/by_n", "stale=ok") == "d1 d2 d3 d4 d5 d6 d7 d8 d9");
    f.put("d5", R"({"n":50})");
    f.remove("d1");
    f.put("new", R"({"n":0})");
    CHECK(f.rows("dd/_view/by_n", "stale=ok&limit=3") == "d1 d2 d3");
    CHECK(f.rows("dd/_view/by_n", "stale=false") == "new d2 d3 d4 d6 d7 d8 d9 d5");
    CHECK(f.rows("dd/_view/by_n", "stale=ok") == "new d2 d3 d4 d6 d7 d8 d9 d5");
    // Nothing said: update_after.
    f.remove("d9");
    CHECK(f.ask("GET", "/default/_design/dd/_view/by_n?descending=true&limit=2").body.find("d9") != std::string::npos);
    f.world.run_for(std::chrono::milliseconds{1});
    CHECK(f.rows("dd/_view/by_n", "stale=ok&descending=true&limit=2") == "d5 d8");
    f.state->flush_bucket("default");
    CHECK(f.rows("dd/_view/by_n") == "");
    f.put("d1", R"({"n":1})");
    CHECK(f.rows("dd/_view/by_n") == "d1");
}

TEST_CASE("views: an answer is made from the index as it was") {
    Nine f;
    CHECK(f.rows("dd/_view/by_n") == "d1 d2 d3 d4 d5 d6 d7 d8 d9");
    const HttpResponse response = f.handlers[0]->answer(http_request("GET", "/default/_design/dd/_view/by_n?stale=ok"));
    BodySink sink;
    const auto stream = response.stream(sink);
    f.remove("d3");
    CHECK(f.rows("dd/_view/by_n") == "d1 d2 d4 d5 d6 d7 d8 d9");
    while (stream->on_room()) {
    }
    CHECK_THAT(sink.body, Contains("\"d3\""));
}

TEST_CASE("views: what a map function sees and may do") {
    ViewsFixture f;
    f.put("doc",
          R"({"text":"Zürich \ud83d\ude00","list":[1,{"a":null}],"date":"2013-05-06T07:08:09Z","big":12345678901})");
    f.put("bytes", std::string("\x00\x01\xff", 3));
    const auto emits = [&](const std::string& code) {
        std::string json = R"({"views":{"v":{"map":)";
        protocol::append_json_string(json, "function (doc, meta) { " + code + " }");
        f.design("m", json + "}}}");
        const auto answer = parse_json(f.view("m/_view/v").body);
        REQUIRE(answer);
        std::string text;
        for (const Json& row : (*answer)["rows"].items) text += row["key"].dump() + ":" + row["value"].dump() + ";";
        return text;
    };
    CHECK(emits("emit(meta.id, meta.type);") == R"("bytes":"base64";"doc":"json";)");
    CHECK(emits("if (meta.type == 'json') emit(doc.text, doc.list);") == "\"Zürich 😀\":[1,{\"a\":null}];");
    CHECK(emits("if (meta.type == 'base64') emit(doc, decodeBase64(doc));") == R"("AAH/":[0,1,255];)");
    CHECK(emits("if (doc.date) emit(dateToArray(doc.date), doc.big);") == "[2013,5,6,7,8,9]:12345678901;");
    CHECK(emits("if (doc.list) { emit(2, 'b'); emit(1, 'a'); emit(2, 'c'); }") == R"(1:"a";2:"b";2:"c";)");
    CHECK(emits("if (doc.list) { emit(); emit(undefined, undefined); emit(NaN, function () {}); }") ==
          "null:null;null:null;null:null;");
    CHECK(emits("if (doc.list) emit([typeof eval, typeof Function, typeof Duktape, typeof require], meta.flags);") ==
          R"(["undefined","undefined","undefined","undefined"]:0;)");
    CHECK(emits("emit(sum([1, 2, 3]), meta.expiration)") == "6:0;6:0;");
    // What throws indexes nothing of that document; others go on.
    CHECK(emits("if (meta.id == 'doc') { emit(1); throw new Error('no'); } emit(2);") == "2:null;");
    CHECK_THAT(f.view("m/_view/v", "debug=true").body,
               Contains("document `doc`: Error: no") && Contains(R"("failed_documents":1)"));
}

TEST_CASE("views: a function that goes on for ever is stopped") {
    ViewsFixture f;
    f.put("doc", "{}");
    f.put("other", "{}");
    f.design("m", R"({"views":{"v":{"map":"function (doc, meta) { if (meta.id == 'doc') for (;;) {} emit(1); }"}}})");
    CHECK(f.rows("m/_view/v") == "other");
}

TEST_CASE("script: whatever goes on for ever is stopped") {
    const std::string code = GENERATE(
        as<std::string>{}, "while (true);", "for (;;) {}", "for (var i = 0; ; i++);", "do { } while (1)",
        "for (var i = 0; i >= 0; ) { try { throw 1; } catch (e) { } }",
        "function f() { try { f(); } catch (e) { f(); } f(); } f();",
        "var o = { get x() { return this.x + this.x; } }; for (;;) { try { o.x; } catch (e) { } }",
        "var s = 'x'; while (true) s += s;", "while (true) emit('key', 'value');",
        "var a = []; for (;;) a.push(new Array(1000));", "while\xc2\xa0(true);", "// \r while (true);",
        "// \xe2\x80\xa8 for (;;);", "var o = { get if() { try { this.if; } catch (e) { } this.if; } }; o.if;",
        "(function (__chaise_step) { while (true); })(function () { return true; });",
        "var names = Object.getOwnPropertyNames((function () { return this; })()), fake = {};"
        "names.forEach(function (name) { fake[name] = function () { return true; }; }); with (fake) while (true);",
        "var fake = {}, seen = typeof Proxy == 'undefined' ? {} : new Proxy({}, { has: function (t, name) {"
        "fake[name] = function () { return true; }; return false; } });"
        "with (seen) { for (var i = 0; i < 2; i++); } with (fake) while (true);");
    CAPTURE(code);
    Script script(7, {.steps = 20'000, .memory = std::size_t{8} << 20});  // exceptions cost much under ASan
    std::string error;
    const auto function = script.compile("function (doc, meta) { " + code + " }", error);
    INFO(error);
    REQUIRE(function);
    std::vector<Emitted> emitted;
    CHECK_FALSE(script.map(*function, "{}", "{}", emitted, error));
    CHECK_FALSE(error.empty());
    CHECK(emitted.empty());
}

TEST_CASE("script: the steps leave what a program means") {
    const auto [source, result] = GENERATE(table<std::string, std::string>({
        {"function () { var t = 0; for (var i = 0; i < 4; i++) t += i; return t; }", "6"},
        {"function () { var t = 0; for (var k in {a: 1, b: 2}) t++; return t; }", "2"},
        {"function () { var t = 5; while (t > 2) t--; do t *= 2; while (t < 30) return t; }", "32"},
        {"function () { var i = 0; for (;;) { if (++i > 5) break; } return i; }", "6"},
        {"function () { for (var i = 0; /* ; */ ; i++) if (i == 3) return i; }", "3"},
        {"function () { return 'while (x) for (;;) function () {' + \"'\" + /[/]while[(]\\/'/.test(\"/while(/'\"); }",
         R"("while (x) for (;;) function () {'true")"},
        {"function () { var a = 8, g = 2; return a / 2 / g; }", "2"},
        {"function () { var a = [8], i = 0, g = 1; return [a[0] / 2 / g, (a[0]) / 4 / g, a[i++] / 8 /g]; }", "[4,2,1]"},
        {"function () { if (true) /x/.test('x'); return {while: 1, for: 2, 'if': 3}.while; }", "1"},
        {"function () { 'use strict'; return (function () { return this === undefined; })(); }", "true"},
        {"function () { switch (2) { case 1: return 1; case 2: { return 'two'; } } }", R"("two")"},
        {"function () { try { throw 1; } catch (e) { return e; } finally { } }", "1"},
        {"function () { // while (\n return [1, 2].map(function (x) { return x * 2; }); }", "[2,4]"},
        {"function () { outer: for (var i = 0; i < 3; i++) { for (;;) { continue outer; } } return i; }", "3"},
        {"function () { var get = 1, n = 3, t = 0; if (get) { t = 1 } get\nif (t) { t++ } while (n --> 0) t++; return "
         "t; }",
         "5"},
        {"function () { var o = { get if() { return 8; }, get: 2 }; return o.if / o.get / 2; }", "2"},
    }));
    CAPTURE(source, with_steps(source, "step").value_or("?"));
    Script script(7);
    std::string error;
    const auto function = script.compile(source, error);
    INFO(error);
    REQUIRE(function);
    std::string got;
    CHECK(script.reduce(*function, "[]", "[]", false, got, error));
    CHECK(error.empty());
    CHECK(got == result);
}

TEST_CASE("script: what might hide a loop is refused") {
    const std::string source =
        GENERATE(as<std::string>{}, "function () { var f = function () {} /1; while (true); /1; }",
                 "function () { {} /* */ /'/.test(''); while (true); ''; }",
                 "function () { var get = 1; get\nif (1) /'/.test(''); while (true); ''; }",
                 "function () { var a = 1, b = 2; a <!-- '\n while (true); '' }",
                 "function () { var a = 1;\n --> '\n while (true); '' }");
    CAPTURE(source);
    CHECK_FALSE(with_steps(source, "step"));
    Script script(7);
    std::string error;
    CHECK_FALSE(script.compile(source, error));
    CHECK_FALSE(error.empty());
}

TEST_CASE("views: names that are no UTF-8 come back as JSON") {
    ViewsFixture f;
    f.put("k\xff", "1");
    f.design("m%C3", R"({"views":{"v":{"map":"function (doc, meta) { emit(meta.id); }"}}})");
    for (const Answered& answer : {f.view("m%C3/_view/v"), f.view("%80nobody/_view/v"),
                                   f.view("m%C3/_view/v", "skip=%ff"), f.ask("DELETE", "/default/_design/m%C3")}) {
        CAPTURE(answer.body);
        CHECK(parse_json(answer.body));
        CHECK_THAT(answer.body, Contains("\xef\xbf\xbd"));
    }
    std::string text;
    append_json_text(text, "\"\xc3\xa9\xc3|\xe0\x80\x80|\xed\xa0\x80|\xf4\x90\x80\x80|\xf0\x9f\x98\x80\xf0\x9f");
    CHECK(parse_json(text));
    CHECK(text.starts_with("\"\\\"\xc3\xa9\xef\xbf\xbd|\xef\xbf\xbd"));
}

TEST_CASE("views: design documents") {
    ViewsFixture f(2);
    const std::string text = R"({"views":{"v":{"map":"function (doc, meta) { emit(meta.id); }"}},"note":1})";
    CHECK(f.ask("GET", "/default/_design/dev_x").status == 404);
    const Answered made = f.ask("PUT", "/default/_design/dev_x", text);
    CHECK(made.status == 201);
    CHECK(made.body == "{\"ok\":true,\"id\":\"_design/dev_x\"}\n");
    for (const char* path : {"/default/_design/dev_x", "/default/_design%2fdev_x", "/default%2Babc/_design/dev_x"}) {
        const Answered got = f.ask("GET", path, {}, "Administrator:password", 1);
        CHECK(got.status == 200);
        CHECK(got.body == text);
        REQUIRE(got.headers.size() == 1);
        CHECK(got.headers[0].name == "X-Couchbase-Meta");
        CHECK_THAT(got.headers[0].value, Contains(R"("id":"_design/dev_x","rev":"1-)"));
    }
    // Publishing is what clients do: get, put, delete.
    CHECK(f.ask("PUT", "/default/_design/x", text).status == 201);
    CHECK(f.ask("DELETE", "/default/_design/dev_x").status == 200);
    CHECK(f.ask("DELETE", "/default/_design/dev_x").status == 404);
    CHECK_THAT(f.ask("GET", "/default/_design/dev_x").body, Contains(R"("reason":"deleted")"));
    CHECK_THAT(f.ask("GET", "/default/_design/dev_x/_view/v").body, Contains(R"("reason":"deleted")"));
    f.put("a", "{}");
    CHECK(f.rows("x/_view/v") == "a");
    // Another content is another index.
    f.design("x", R"({"views":{"v":{"map":"function (doc, meta) { emit(1, 2); emit(2, 3); }"}}})");
    CHECK(f.rows("x/_view/v") == "a a");
    const std::string list = design_list(f.shared->designs(), *f.state->bucket_config("default"));
    const auto json = parse_json(list);
    REQUIRE(json);
    REQUIRE((*json)["rows"].items.size() == 1);
    CHECK((*json)["rows"].items[0]["doc"]["meta"]["id"].string() == "_design/x");
    CHECK((*json)["rows"].items[0]["doc"]["meta"]["rev"].string().substr(0, 2) == "2-");
    CHECK((*json)["rows"].items[0]["doc"]["json"].find("views") != nullptr);
}

TEST_CASE("views: design documents that are refused") {
    ViewsFixture f;
    const std::string body = GENERATE(
        as<std::string>{}, "no json", "[]", R"({"views":[]})", R"({"views":{"v":1}})", R"({"views":{"v":{}}})",
        R"({"views":{"v":{"map":7}}})", R"({"views":{"v":{"map":"function (doc { }"}}})",
        R"({"views":{"v":{"map":"1 + 1"}}})", R"({"views":{"v":{"map":"function (a) {}","reduce":"_median"}}})",
        R"({"views":{"v":{"map":"function (a) {}","reduce":"function ("}}})",
        R"({"views":{"":{"map":"function (a) {}"}}})");
    CAPTURE(body);
    const Answered answer = f.ask("PUT", "/default/_design/x", body);
    CHECK(answer.status == 400);
    CHECK_THAT(answer.body, Contains(R"("error":)") && Contains(R"("reason":)"));
    CHECK(f.ask("GET", "/default/_design/x").status == 404);
}

TEST_CASE("views: refused queries") {
    Nine f;
    const auto [target, status, text] = GENERATE(table<std::string, int, std::string>({
        {"dd/_view/none", 404, "missing_named_view"},
        {"none/_view/by_n", 404, "Design document _design/none not found"},
        {"dd/_spatial/by_n", 404, "Spatial"},
        {"dd/_view", 404, "missing"},
        {"dd/_view/by_n?group=true", 400, "Invalid URL parameter `group` for map view."},
        {"dd/_view/by_n?group_level=1", 400, "`group_level`"},
        {"dd/_view/by_n?reduce=true", 400, "`reduce`"},
        {"dd/_view/sums?reduce=false&group=true", 400, "`group`"},
        {"dd/_view/sums?keys=[1]", 400, "group=true"},
        {"dd/_view/by_n?keys=[1]&key=1", 400, "incompatible"},
        {"dd/_view/by_n?keys=1", 400, "array"},
        {"dd/_view/by_n?key=abc", 400, "invalid UTF-8 JSON"},
        {"dd/_view/by_n?stale=maybe", 400, "query_parse_error"},
        {"dd/_view/by_n?on_error=panic", 400, "on_error"},
        {"dd/_view/by_n?descending=1", 400, "Invalid boolean parameter"},
        {"dd/_view/by_n?limit=-1", 400, "positive integer"},
        {"dd/_view/by_n?skip=x", 400, "integer"},
        {"dd/_view/by_n?startkey=2&endkey=1", 400, "No rows can match"},
        {"dd/_view/by_n?startkey=1&endkey=2&descending=true", 400, "No rows can match"},
    }));
    CAPTURE(target);
    const Answered answer = f.ask("GET", "/default/_design/" + target);
    CHECK(answer.status == status);
    CHECK_THAT(answer.body, Contains(text));
    CHECK(parse_json(answer.body));
}

TEST_CASE("views: who may see what") {
    Nine f;
    f.state->add_user({"limited", "secret", {"other"}});
    const std::string target = "/default/_design/dd/_view/by_n";
    CHECK(f.ask("GET", target, {}, "").status == 401);
    CHECK(f.ask("GET", target, {}, "Administrator:wrong").status == 401);
    CHECK(f.ask("GET", target, {}, "limited:secret").status == 403);
    CHECK(f.ask("GET", "/nothing/_design/dd/_view/by_n").status == 404);
    CHECK(f.ask("DELETE", target).status == 405);
    CHECK(f.ask("GET", "/", {}, "").status == 200);
}

TEST_CASE("views: errors come behind the rows, and rows stop at them when asked to") {
    Nine f(3);
    REQUIRE(f.rows("dd/_view/by_n") == "d1 d2 d3 d4 d5 d6 d7 d8 d9");
    f.crash(2);
    const auto on = parse_json(f.view("dd/_view/by_n").body);
    REQUIRE(on);
    CHECK((*on)["rows"].items.size() > 0);
    CHECK((*on)["rows"].items.size() < 9);
    REQUIRE((*on)["errors"].items.size() == 1);
    CHECK_THAT(std::string((*on)["errors"].items[0]["from"].string()),
               Contains("http://node2:") && Contains("/_view_merge/"));
    CHECK((*on)["errors"].items[0]["reason"].string() == "econnrefused");
    const auto stop = parse_json(f.view("dd/_view/by_n", "on_error=stop").body);
    REQUIRE(stop);
    CHECK((*stop)["rows"].items.empty());
    CHECK((*stop)["errors"].items.size() == 1);

    std::string living = "x";
    while (f.active(living) == 2) living += 'x';
    f.put(living, R"({"n":"no number"})");
    const auto sum = parse_json(f.view("dd/_view/stats").body);
    REQUIRE(sum);
    CHECK((*sum)["rows"].items.empty());
    CHECK_THAT((*sum)["errors"].items.back().dump(), Contains("local") && Contains("not a number"));
}

TEST_CASE("views: what a node has lost or won by failover") {
    ViewsFixture f(2, {.vbuckets = 8, .replicas = 1});
    for (int i = 1; i <= 9; ++i) f.put("d" + std::to_string(i), "{\"n\":" + std::to_string(i) + "}");
    f.world.run_for(std::chrono::milliseconds{10});
    f.design("dd", by_n);
    REQUIRE(f.rows("dd/_view/by_n") == "d1 d2 d3 d4 d5 d6 d7 d8 d9");
    f.state->hand_over(1);
    f.world.run_for(std::chrono::milliseconds{10});
    CHECK(f.rows("dd/_view/by_n") == "d1 d2 d3 d4 d5 d6 d7 d8 d9");
    const Answered elsewhere = f.ask("GET", "/default/_design/dd/_view/by_n?stale=ok", {}, "Administrator:password", 1);
    CHECK(elsewhere.status == 302);
    CHECK_THAT(elsewhere.body, Contains("no_active_vbuckets"));
    REQUIRE(elsewhere.headers.size() == 1);
    CHECK_THAT(elsewhere.headers[0].value, Contains("/default/_design/dd/_view/by_n?stale=ok"));
}

TEST_CASE("views: a development view looks at a part of many documents") {
    ViewsFixture f;
    for (int i = 0; i < 200; ++i) f.put("d" + std::to_string(i), "{\"n\":" + std::to_string(i) + "}");
    f.design("dev_dd", by_n);
    f.design("dd", by_n);
    const auto count = [&](const std::string& path, const std::string& parameters) {
        const auto json = parse_json(f.view(path, parameters).body);
        REQUIRE(json);
        CHECK((*json)["total_rows"].number == static_cast<double>((*json)["rows"].items.size()));
        return (*json)["rows"].items.size();
    };
    CHECK(count("dd/_view/by_n", "") == 200);
    CHECK(count("dev_dd/_view/by_n", "full_set=true") == 200);
    const std::size_t part = count("dev_dd/_view/by_n", "");
    CHECK(part > 0);
    CHECK(part < 60);
}

TEST_CASE("views: debug tells where a row is from") {
    Nine f(2);
    const auto json = parse_json(f.view("dd/_view/by_n", "debug=true").body);
    REQUIRE(json);
    CHECK(json->members.front().first == "debug_info");
    CHECK(json->members.front().second.find("local") != nullptr);
    for (const Json& row : (*json)["rows"].items) {
        CHECK(row["partition"].number == f.vbucket_of(row["id"].string()));
        CHECK_THAT(std::string(row["node"].string()), Contains("node" + std::to_string(f.active(row["id"].string()))));
    }
}

TEST_CASE("views: rows that nobody wants are passed over in lots") {
    ViewsFixture f;
    for (int i = 0; i < 20; ++i) f.put("d" + std::to_string(i), "{}");
    f.design("m",
             R"({"views":{"v":{"map":"function (doc, meta) { for (var i = 0; i < 1000; i++) emit(i, meta.id); }"}}})");
    const HttpResponse response =
        f.handlers[0]->answer(http_request("GET", "/default/_design/m/_view/v?stale=false&skip=19999"));
    REQUIRE(response.stream);
    BodySink sink;
    const auto stream = response.stream(sink);
    int turns = 0;
    while (stream->on_room()) ++turns;
    CHECK(sink.ended);
    CHECK(turns == 5);  // of 4096 rows
    const auto json = parse_json(sink.body);
    REQUIRE(json);
    CHECK((*json)["rows"].items.size() == 1);
}

TEST_CASE("views: many rows leave in small pieces") {
    ViewsFixture f;
    for (int i = 0; i < 20; ++i) f.put("d" + std::to_string(i), "{}");
    f.design("m",
             R"({"views":{"v":{"map":"function (doc, meta) { for (var i = 0; i < 1000; i++) emit(i, meta.id); }"}}})");
    const Answered answer = f.view("m/_view/v");  // answered() checks the pieces
    const auto json = parse_json(answer.body);
    REQUIRE(json);
    CHECK((*json)["rows"].items.size() == 20000);
    CHECK(answer.body.size() > 500000);
}

}  // namespace
}  // namespace chaise::testing
