#include "protocol/row_splitter.hpp"

#include "protocol/json_check.hpp"
#include "tests/unit/protocol/random_answers.hpp"

#include <simdjson.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

using namespace chaise::protocol;
using Step = RowSplitter::Step;

namespace {

struct Outcome {
    std::vector<std::string> rows;
    std::string meta;
    RowSplitError error = RowSplitError::none;
    bool operator==(const Outcome&) const = default;
};

/// In pieces of which each is in memory of exactly its size: reads past an end show under ASan.
template <class NextSize>
Outcome split_by(std::string_view text, std::string_view array, RowSplitter::Limits limits, NextSize next_size) {
    Outcome out;
    RowSplitter splitter(array, limits);
    while (!text.empty()) {
        const std::size_t size = std::min(text.size(), next_size());
        const std::vector<char> piece(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size));
        text.remove_prefix(size);
        std::string_view input(piece.data(), piece.size());
        std::string_view row;
        Step step{};
        while ((step = splitter.next(input, row)) == Step::row) out.rows.emplace_back(row);
        if (step == Step::failed) {
            out.error = splitter.error();
            CHECK_FALSE(splitter.finish());
            return out;
        }
        REQUIRE(input.empty());
    }
    if (!splitter.finish()) {
        out.error = splitter.error();
    } else {
        out.meta = splitter.meta();
    }
    return out;
}

Outcome split(std::string_view text, std::size_t piece = std::string_view::npos, std::string_view array = "rows",
              RowSplitter::Limits limits = {}) {
    return split_by(text, array, limits, [piece] { return piece; });
}

Outcome split_at(std::string_view text, std::size_t first, std::string_view array) {
    return split_by(text, array, {}, [&, turn = 0]() mutable { return turn++ == 0 ? first : text.size(); });
}

/// What Couchbase's services answer.
struct Shape {
    std::string_view array;
    std::string_view text;
    std::vector<std::string_view> rows;
    std::string_view meta;
};

const std::vector<Shape>& shapes() {
    static const std::vector<Shape> all{
        {"rows",
         "{\"total_rows\":7303,\"rows\":[\r\n"
         R"({"id":"21st_amendment_brewery_cafe","key":["United States","California","San Francisco"],"value":null})"
         ",\r\n"
         R"({"id":"a\\","key":"quote \" and \\\" {[","value":{"s":"]}","n":[-1.5e+3,{},[]]}})"
         ",\r\n"
         R"({"id":"\u00fcber \ud83c\udf7a","key":"Größe 🍺","value":[[[]]]})"
         "\r\n]\r\n}\r\n",
         {R"({"id":"21st_amendment_brewery_cafe","key":["United States","California","San Francisco"],"value":null})",
          R"({"id":"a\\","key":"quote \" and \\\" {[","value":{"s":"]}","n":[-1.5e+3,{},[]]}})",
          R"({"id":"\u00fcber \ud83c\udf7a","key":"Größe 🍺","value":[[[]]]})"},
         R"({"total_rows":7303,"rows":[]})"},
        {"rows",
         R"({"debug_info": {"local": {"rows": [1, 2], "a": "\"rows\":["}}, "total_rows":1,"rows":[)"
         R"({"key":null,"value":12}], "errors":[{"from":"http://10.0.0.1:8092/_view_merge/","reason":"nodedown"}]})",
         {R"({"key":null,"value":12})"},
         R"({"debug_info":{"local": {"rows": [1, 2], "a": "\"rows\":["}},"total_rows":1,"rows":[],)"
         R"("errors":[{"from":"http://10.0.0.1:8092/_view_merge/","reason":"nodedown"}]})"},
        {"rows", R"({"error":"not_found","reason":"missing"})", {}, R"({"error":"not_found","reason":"missing"})"},
        {"results",
         "{\n\"requestID\": \"922edd9d-23d7-4053-8d60-91f7cbc22c83\",\n\"clientContextID\": \"42\",\n"
         "\"signature\": {\"*\":\"*\"},\n\"results\": [\n{\"greeting\":\"hi \\\\\"},\n\"raw \\\" row\\\\\",17,null,"
         "[true, false ],\"\"\n],\n\"status\": \"success\",\n\"metrics\": {\"elapsedTime\": \"1.2ms\",\"resultCount\": "
         "6}"
         "\n}\n",
         {R"({"greeting":"hi \\"})", R"("raw \" row\\")", "17", "null", "[true, false ]", R"("")"},
         R"({"requestID":"922edd9d-23d7-4053-8d60-91f7cbc22c83","clientContextID":"42","signature":{"*":"*"},)"
         R"("results":[],"status":"success","metrics":{"elapsedTime": "1.2ms","resultCount": 6}})"},
        {"results",
         R"({"requestID":"x","errors":[{"code":3000,"msg":"syntax error - at FORM"}],"status":"fatal","results":[]})",
         {},
         R"({"requestID":"x","errors":[{"code":3000,"msg":"syntax error - at FORM"}],"status":"fatal","results":[]})"},
        {"hits",
         R"({"status":{"total":6,"failed":0},"hits":[{"index":"i","id":"d1","score":0.5,"fields":{"a":[1]}}],)"
         R"("total_hits":1,"max_score":0.5,"facets":null})",
         {R"({"index":"i","id":"d1","score":0.5,"fields":{"a":[1]}})"},
         R"({"status":{"total":6,"failed":0},"hits":[],"total_hits":1,"max_score":0.5,"facets":null})"},
    };
    return all;
}

}  // namespace

TEST_CASE("answers of the services are split into rows and the rest", "[rows]") {
    for (const Shape& shape : shapes()) {
        const Outcome out = split(shape.text, std::string_view::npos, shape.array);
        CHECK(out.error == RowSplitError::none);
        CHECK(out.rows == std::vector<std::string>(shape.rows.begin(), shape.rows.end()));
        CHECK(out.meta == shape.meta);
    }
}

TEST_CASE("wherever the pieces end, the rows are the same", "[rows]") {
    for (const Shape& shape : shapes()) {
        const Outcome whole = split(shape.text, std::string_view::npos, shape.array);
        for (std::size_t at = 1; at < shape.text.size(); ++at) {
            if (!(split_at(shape.text, at, shape.array) == whole)) FAIL("split at " << at << " of " << shape.text);
        }
        for (std::size_t piece = 1; piece <= 130; ++piece) {
            if (!(split(shape.text, piece, shape.array) == whole)) FAIL("pieces of " << piece << " of " << shape.text);
        }
    }
}

TEST_CASE("an answer that ends early is truncated, wherever it does", "[rows]") {
    for (const Shape& shape : shapes()) {
        const std::size_t size = shape.text.find_last_of('}');
        for (std::size_t at = 0; at <= size; ++at) {
            const Outcome out = split(shape.text.substr(0, at), 7, shape.array);
            if (out.error != RowSplitError::truncated) FAIL("cut at " << at << " of " << shape.text);
            if (out.rows.size() > shape.rows.size()) FAIL("too many rows");
            if (!std::equal(out.rows.begin(), out.rows.end(), shape.rows.begin())) FAIL("rows of a cut answer");
        }
    }
}

TEST_CASE("what is not JSON beside the rows is refused", "[rows]") {
    const auto error = [](std::string_view text) {
        const RowSplitError whole = split(text).error;
        CHECK(split(text, 1).error == whole);
        return whole;
    };
    for (const std::string_view text : {"x",
                                        "[]",
                                        "\"rows\"",
                                        "{,}",
                                        "{\"a\"}",
                                        "{\"a\" 1}",
                                        "{\"a\":}",
                                        "{\"a\":1,}",
                                        "{\"a\":1 2}",
                                        "{a:1}",
                                        "{\"a\":tru}",
                                        "{\"a\":01}",
                                        "{\"a\":[}]}",
                                        "{\"a\":\"\\x\"}",
                                        "{\"a\":+1}",
                                        "{\"rows\":[,]}",
                                        "{\"rows\":[1,]}",
                                        "{\"rows\":[1 2]}",
                                        "{\"rows\":[}",
                                        "{\"rows\":[{}}",
                                        "{\"rows\":[1}]",
                                        "{\"rows\":[1],}",
                                        "{\"rows\":[],\"rows\":[]}",
                                        "{\"rows\":[x]}",
                                        "{\"a\":\"\xff\"}",
                                        "{\"a\":\"\n\"}",
                                        "<html>"}) {
        INFO(text);
        CHECK(error(text) == RowSplitError::invalid_json);
    }
    CHECK(error("{} {}") == RowSplitError::trailing);
    CHECK(error("{\"rows\":[1]}\n,") == RowSplitError::trailing);
    CHECK(error("") == RowSplitError::truncated);
    CHECK(error(" \n ") == RowSplitError::truncated);
    // The name elsewhere, or something else under it, belongs to the rest.
    CHECK(split("{\"rows\":{\"rows\":[1]},\"x\":[2]}").meta == "{\"rows\":{\"rows\":[1]},\"x\":[2]}");
    CHECK(split(" { \"rows\" : null } ").meta == "{\"rows\":null}");
    CHECK(split("{}").meta == "{}");
    CHECK(split("{\"\":[1],\"rows\":[2]}", std::string_view::npos, "").meta == "{\"\":[1],\"rows\":[2]}");
}

TEST_CASE("rows, the rest and their depth are bounded", "[rows]") {
    const RowSplitter::Limits limits{.max_row = 40, .max_meta = 60, .max_depth = 3};
    const auto error = [&](const std::string& text) {
        const RowSplitError whole = split(text, std::string_view::npos, "rows", limits).error;
        for (const std::size_t piece : {std::size_t{1}, std::size_t{5}, std::size_t{39}}) {
            CHECK(split(text, piece, "rows", limits).error == whole);
        }
        return whole;
    };
    const auto row = [](std::size_t size) { return "{\"rows\":[[\"" + std::string(size - 4, 'x') + "\"]]}"; };
    CHECK(error(row(40)) == RowSplitError::none);
    CHECK(error(row(41)) == RowSplitError::row_too_large);
    CHECK(error("{\"rows\":[" + std::string(41, '1') + "]}") == RowSplitError::row_too_large);
    CHECK(error("{\"rows\":[" + std::string(500, ' ') + "1]" + std::string(500, '\n') + "}") == RowSplitError::none);
    CHECK(error("{\"a\":\"" + std::string(52, 'x') + "\"}") == RowSplitError::none);
    CHECK(error("{\"a\":\"" + std::string(53, 'x') + "\"}") == RowSplitError::meta_too_large);
    CHECK(error("{\"" + std::string(100, 'n')) == RowSplitError::meta_too_large);
    CHECK(error("{\"rows\":[[[[]]]]}") == RowSplitError::none);
    CHECK(error("{\"rows\":[[[[[]]]]]}") == RowSplitError::too_deep);
    CHECK(error("{\"a\":[[[[]]]]}") == RowSplitError::too_deep);
    // A row that never ends holds no more than its bound.
    RowSplitter splitter("rows", limits);
    std::string_view text = "{\"rows\":[\"";
    std::string_view got;
    REQUIRE(splitter.next(text, got) == Step::more);
    std::size_t fed = 0;
    for (Step step = Step::more; step == Step::more; ++fed) {
        text = "x";
        step = splitter.next(text, got);
        REQUIRE(fed < 100);
    }
    CHECK(fed == 40);
    CHECK(splitter.error() == RowSplitError::row_too_large);
    CHECK(splitter.offset() == 9 + 40);
}

TEST_CASE("a row may be of any size, and its view lives until the next call", "[rows]") {
    std::string text = "{\"rows\":[";
    std::vector<std::string> rows;
    for (std::size_t size = 0; size < 300; ++size) {
        rows.push_back("{\"v\":\"" + std::string(size, size % 3 == 0 ? '}' : '{') + "\\\\\\\"\"}");
        text += (size ? "," : "") + rows.back();
    }
    text += "]}";
    for (const std::size_t piece :
         {std::size_t{1}, std::size_t{63}, std::size_t{64}, std::size_t{65}, std::size_t{1000}, std::size_t{1} << 20}) {
        CHECK(split(text, piece).rows == rows);
    }
}

namespace {

/// By a parser that sees the whole at once. False: it is no document for us.
bool parse_at_once(const std::string& text, std::vector<std::string>& rows, std::string& rest) {
    simdjson::dom::parser parser;
    simdjson::dom::object object;
    if (parser.parse(text).get(object) != simdjson::SUCCESS) return false;
    bool seen = false;
    for (const auto field : object) {
        simdjson::dom::array array;
        if (field.key == "rows" && field.value.get(array) == simdjson::SUCCESS) {
            if (seen) return false;
            seen = true;
            for (const simdjson::dom::element row : array) rows.push_back(simdjson::minify(row));
            rest += "|rows[]";
        } else {
            rest += "|" + std::string(field.key) + ":" + simdjson::minify(field.value);
        }
    }
    return true;
}

std::string minified(const std::string& text) {
    simdjson::dom::parser parser;
    return simdjson::minify(parser.parse(text).value());
}

}  // namespace

TEST_CASE("random documents come out as a parser of the whole has them", "[rows]") {
    const unsigned seed = GENERATE(1u, 2u, 3u);
    RandomAnswers random(seed);
    std::size_t good = 0;
    std::size_t bad = 0;
    for (unsigned run = 0; run < 4000; ++run) {
        std::string text = random.document();
        if (run % 2 == 1) random.spoil(text);
        INFO("seed " << seed << ", run " << run << ": " << text);
        std::vector<std::string> rows;
        std::string rest;
        const bool valid = parse_at_once(text, rows, rest);

        const Outcome whole = split(text);
        const Outcome pieces = split_by(text, "rows", {}, [&] { return 1 + random.below(20); });
        if (!(pieces == whole)) FAIL("the pieces make a difference");

        JsonCheck is_json;
        const bool ours = whole.error == RowSplitError::none &&
                          std::all_of(whole.rows.begin(), whole.rows.end(), [&](auto& row) { return is_json(row); });
        if (ours != valid) FAIL("valid: " << valid << ", ours: " << ours << ", " << name(whole.error));
        ++(valid ? good : bad);
        if (!valid) continue;
        std::string our_rest;
        std::vector<std::string> none;
        REQUIRE(parse_at_once(whole.meta, none, our_rest));
        if (!none.empty() || our_rest != rest) FAIL("the rest: " << whole.meta);
        if (whole.rows.size() != rows.size()) FAIL("number of rows");
        for (std::size_t i = 0; i < rows.size(); ++i) {
            if (minified(whole.rows[i]) != rows[i]) FAIL("row " << i);
        }
    }
    CHECK(good > 2000);
    CHECK(bad > 500);
}
