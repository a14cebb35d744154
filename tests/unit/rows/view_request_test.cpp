// How view queries are written, and which are refused.

#include "rows/view_request.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <string>

using namespace chaise;
using namespace chaise::detail;
using namespace std::chrono_literals;

namespace {

RowRequest request(const ViewOptions& options) { return view_request("b", "d", "v", options); }

/// The query string.
std::string written(const ViewOptions& options) {
    const RowRequest made = request(options);
    CHECK(made.refused == errc::success);
    CHECK(made.method == "GET");
    CHECK(made.body.empty());
    const std::string prefix = "/b/_design/d/_view/v";
    CHECK(made.target.starts_with(prefix));
    return made.target.size() == prefix.size() ? std::string() : made.target.substr(prefix.size() + 1);
}

std::string refused(const ViewOptions& options) {
    const RowRequest made = request(options);
    CHECK(made.refused == errc::invalid_argument);
    CHECK_FALSE(made.why.empty());
    return made.why;
}

}  // namespace

TEST_CASE("every option of a view is written as the server reads it", "[rows]") {
    CHECK(written({}).empty());
    CHECK(written({.stale = Stale::ok}) == "stale=ok");
    CHECK(written({.stale = Stale::update_after}) == "stale=update_after");
    CHECK(written({.stale = Stale::updated}) == "stale=false");
    CHECK(written({.descending = true}) == "descending=true");
    CHECK(written({.descending = false}) == "descending=false");
    CHECK(written({.limit = 0}) == "limit=0");
    CHECK(written({.limit = 18446744073709551615u, .skip = 7}) == "limit=18446744073709551615&skip=7");
    CHECK(written({.key = R"("a b&c=d/ü")"}) == "key=%22a%20b%26c%3Dd/%C3%BC%22");
    CHECK(written({.keys = R"(["a",1])"}) == "keys=%5B%22a%22%2C1%5D");
    CHECK(written({.startkey = "1", .endkey = "[2,{}]"}) == "startkey=1&endkey=%5B2%2C%7B%7D%5D");
    CHECK(written({.startkey = "1", .endkey = "2", .startkey_docid = "a+b", .endkey_docid = "%"}) ==
          "startkey=1&startkey_docid=a%2Bb&endkey=2&endkey_docid=%25");
    CHECK(written({.mapkey_range = {"1", "2"}, .dockey_range = {"x", "y"}}) ==
          "startkey=1&startkey_docid=x&endkey=2&endkey_docid=y");
    CHECK(written({.mapkey_range = {.start = "1"}}) == "startkey=1");
    CHECK(written({.endkey = "2", .inclusive_end = false}) == "endkey=2&inclusive_end=false");
    CHECK(written({.reduce = false}) == "reduce=false");
    CHECK(written({.reduce = true, .group = true}) == "reduce=true&group=true");
    CHECK(written({.group_level = 2}) == "group_level=2");
    CHECK(written({.on_error = OnViewError::continue_}) == "on_error=continue");
    CHECK(written({.on_error = OnViewError::stop}) == "on_error=stop");
    CHECK(written({.connection_timeout = 1500us}) == "connection_timeout=2");
    CHECK(written({.full_set = true, .debug = true}) == "full_set=true&debug=true");
    CHECK(written({.include_docs = true}) == "reduce=false");
    CHECK(written({.reduce = false, .include_docs = true}) == "reduce=false");
    CHECK(written({.raw = "stale=ok&limit=2"}) == "stale=ok&limit=2");
    const std::string end = json_string("abc" + std::string(string_range_end));
    CHECK(written({.startkey = "\"abc\"", .endkey = end}) == "startkey=%22abc%22&endkey=%22abc%E0%BF%BF%22");
    CHECK(json_string("a\"\\\n") == R"("a\"\\\u000a")");
}

TEST_CASE("the place of a view", "[rows]") {
    const auto target = [](std::string_view design, std::string_view view, const ViewOptions& options = {}) {
        return view_request("a b", design, view, options).target;
    };
    CHECK(target("d/e", "ü?") == "/a%20b/_design/d%2Fe/_view/%C3%BC%3F");
    CHECK(target("d", "v", {.development = true}) == "/a%20b/_design/dev_d/_view/v");
    CHECK(target("dev_d", "v", {.development = true}) == "/a%20b/_design/dev_d/_view/v");
    CHECK(target("d", "v", {.start_range = "[0,null]", .end_range = "[1,2]"}) ==
          "/a%20b/_design/d/_spatial/v?start_range=%5B0%2Cnull%5D&end_range=%5B1%2C2%5D");
    CHECK(view_request("b", "", "v", {}).refused == errc::invalid_argument);
    CHECK(view_request("b", "d", "", {}).refused == errc::invalid_argument);
}

TEST_CASE("long keys travel in the body; what stays in the address is bounded", "[rows]") {
    std::string keys = "[";
    while (keys.size() < 3000) keys += R"("key", )";
    keys += "1]";
    const RowRequest made = request({.stale = Stale::ok, .keys = keys});
    CHECK(made.refused == errc::success);
    CHECK(made.method == "POST");
    CHECK(made.target == "/b/_design/d/_view/v?stale=ok");
    CHECK(made.body == "{\"keys\":" + keys + "}");
    CHECK(made.read_only);

    const std::string key = json_string(std::string(2100, 'x'));
    const RowRequest too_long = request({.key = key});
    CHECK(too_long.refused == errc::value_too_large);
    // Just as long as may be: "key=%22…%22".
    const std::string fits = json_string(std::string(longest_view_parameters - 10, 'x'));
    CHECK(request({.key = fits}).refused == errc::success);
    CHECK(request({.limit = 1, .key = fits}).refused == errc::value_too_large);
}

TEST_CASE("options that contradict each other are refused, each with a reason", "[rows]") {
    CHECK(refused({.key = "1", .keys = "[1]"}) == "key and keys exclude each other");
    refused({.key = "1", .startkey = "1"});
    refused({.key = "1", .mapkey_range = {.end = "1"}});
    refused({.keys = "[1]", .endkey = "1"});
    refused({.startkey = "1", .mapkey_range = {.start = "1"}});
    refused({.startkey = "1", .startkey_docid = "x", .dockey_range = {.start = "1"}});
    refused({.startkey_docid = "x"});
    refused({.endkey_docid = "x"});
    refused({.inclusive_end = true});
    refused({.reduce = false, .group = true});
    refused({.reduce = false, .group_level = 1});
    refused({.group = true, .group_level = 1});
    refused({.reduce = true, .include_docs = true});
    refused({.group = true, .include_docs = true});
    refused({.group_level = 1, .include_docs = true});
    refused({.key = "1", .start_range = "[1]"});
    refused({.reduce = true, .end_range = "[1]"});
    refused({.limit = 1, .raw = "limit=2"});
    refused({.raw = "key=\"a b\""});
    refused({.connection_timeout = 999us});
    refused({.timeout = 0s});
    refused({.raw = "limit=2", .extra = "x=1", .unrecognized_ok = true});
    refused({.raw = "limit=2", .passthrough = true});
    CHECK(request({.key = "1", .startkey_docid = "x"}).refused == errc::success);
}

TEST_CASE("options that have no member are refused by name, unless they are wanted", "[rows]") {
    CHECK(refused({.extra = "colour=red"}) == "extra: unknown option colour (unrecognized_ok sends it)");
    CHECK(refused({.extra = "limit=2"}) == "extra: limit is set by its own member of the options");
    refused({.extra = "colour=red&limit=2", .unrecognized_ok = true});
    refused({.extra = "colour", .unrecognized_ok = true});
    refused({.extra = "=red", .unrecognized_ok = true});
    refused({.extra = "a=1&&b=2", .unrecognized_ok = true});
    refused({.extra = "a=1 2", .unrecognized_ok = true});
    refused({.extra = "a=1\r\nHost: x", .unrecognized_ok = true});
    CHECK(written({.extra = "a=%22x%22", .unrecognized_ok = true}) == "a=%22x%22");
    CHECK(written({.limit = 1, .extra = "a=&b=2=3", .unrecognized_ok = true}) == "limit=1&a=&b=2=3");
    CHECK(written({.unrecognized_ok = true}).empty());
    // In the address also if keys are in the body, and counted there.
    const std::string keys = "[" + std::string(2100, ' ') + "1]";
    const RowRequest post = request({.keys = keys, .extra = "a=1", .unrecognized_ok = true});
    CHECK(post.method == "POST");
    CHECK(post.target == "/b/_design/d/_view/v?a=1");
    const std::string too_long = "a=" + std::string(longest_view_parameters, 'x');
    CHECK(request({.extra = too_long, .unrecognized_ok = true}).refused == errc::value_too_large);
}

TEST_CASE("passthrough: keys are sent as they are given", "[rows]") {
    CHECK(written({.key = "%22a%20b%22", .passthrough = true}) == "key=%22a%20b%22");
    CHECK(written({.keys = "not_json", .passthrough = true}) == "keys=not_json");
    CHECK(written({.startkey = "1", .endkey = "%5B2%5D", .startkey_docid = "a%2Bb", .passthrough = true}) ==
          "startkey=1&startkey_docid=a%2Bb&endkey=%5B2%5D");
    CHECK(written({.stale = Stale::updated, .limit = 2, .passthrough = true}) == "stale=false&limit=2");
    CHECK(refused({.key = "\"a b\"", .passthrough = true}) == "key must be percent-encoded with passthrough");
    refused({.keys = "[1]&limit=1", .passthrough = true});
    refused({.startkey = "1\n", .passthrough = true});
    refused({.startkey = "1", .startkey_docid = "#", .passthrough = true});
    refused({.end_range = "[\xc3\xbc]", .passthrough = true});
    refused({.key = "1", .keys = "1", .passthrough = true});  // contradictions are none the less
    refused({.extra = "colour=red", .passthrough = true});    // and what is unknown is unknown
    const std::string keys(longest_view_parameters, '1');
    CHECK(request({.keys = keys, .passthrough = true}).refused == errc::value_too_large);
}

TEST_CASE("what should be JSON must be JSON", "[rows]") {
    CHECK(refused({.key = "abc"}) == "key must be JSON: abc");
    refused({.keys = "{}"});
    refused({.keys = "[1"});
    refused({.startkey = "[1]]"});
    refused({.endkey = "'a'"});
    refused({.start_range = "1"});
    refused({.end_range = "[nul]"});
    CHECK(request({.keys = " [ ] "}).refused == errc::success);
}
