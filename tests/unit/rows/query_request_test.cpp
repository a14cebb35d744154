// How requests to the query service, to analytics and to search are written.

#include "rows/query_request.hpp"
#include "protocol/json_check.hpp"

#include <chaise/mutation_state.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <string>

using namespace chaise;
using namespace chaise::detail;
using namespace std::chrono_literals;

namespace {

RowRequest request(const QueryOptions& options) { return n1ql_request("b", "SELECT 1", options, "id"); }

std::string body(const QueryOptions& options) {
    const RowRequest made = request(options);
    CHECK(made.refused == errc::success);
    protocol::JsonCheck is_json;
    CHECK(is_json(made.body));
    return made.body;
}

/// What is between the context and the timeout.
std::string added(QueryOptions options) {
    options.timeout = 1s;
    const std::string all = body(options);
    const std::string begin = R"({"statement":"SELECT 1","client_context_id":"id")";
    const std::string end = R"(,"timeout":"1000000us"})";
    CHECK(all.starts_with(begin));
    CHECK(all.ends_with(end));
    const std::string middle = all.substr(begin.size(), all.size() - begin.size() - end.size());
    return middle.empty() ? middle : middle.substr(1);
}

}  // namespace

TEST_CASE("every option of a query is written as the service reads it", "[rows]") {
    CHECK(body({}) == R"({"statement":"SELECT 1","client_context_id":"id","timeout":"75000000us"})");
    CHECK(added({}).empty());
    CHECK(added({.positional = R"(["a", {"b":1}])"}) == R"("args":["a", {"b":1}])");
    CHECK(added({.named = R"({"a":1, "$b" : [ 2 ], "c\"": "x"})"}) == R"("$a":1,"$b":[ 2 ],"$c\"":"x")");
    CHECK(added({.positional = "[1]", .named = R"({"a":null})"}) == R"("args":[1],"$a":null)");
    CHECK(added({.scan_consistency = ScanConsistency::not_bounded}) == R"("scan_consistency":"not_bounded")");
    CHECK(added({.scan_consistency = ScanConsistency::request_plus}) == R"("scan_consistency":"request_plus")");
    CHECK(added({.readonly = true}) == R"("readonly":true)");
    CHECK(added({.metrics = false}) == R"("metrics":false)");
    CHECK(added({.profile = QueryProfile::off}) == R"("profile":"off")");
    CHECK(added({.profile = QueryProfile::phases}) == R"("profile":"phases")");
    CHECK(added({.profile = QueryProfile::timings}) == R"("profile":"timings")");
    CHECK(added({.query_context = "default:b.s"}) == R"("query_context":"default:b.s")");
    CHECK(n1ql_request("b", "SELECT 1", {.scan_wait = -2ms}, "id").refused == errc::invalid_argument);
    CHECK(added({.scan_wait = 2ms}) == R"("scan_wait":"2000us")");
    CHECK(added({.scan_cap = 1, .pipeline_batch = 2, .pipeline_cap = 3, .max_parallelism = 4}) ==
          R"("scan_cap":"1","pipeline_batch":"2","pipeline_cap":"3","max_parallelism":"4")");
    CHECK(added({.preserve_expiry = true, .use_fts = true}) == R"("preserve_expiry":true,"use_fts":true)");
    CHECK(request({.client_context_id = "mine"}).context == "mine");
    CHECK(body({.more = R"({"signature":false})"}).ends_with(R"(,"signature":false})"));
    CHECK(request({.timeout = 1s}).timeout == 1s + query_grace);
    CHECK_FALSE(request({}).read_only);
    CHECK(request({.readonly = true}).read_only);
}

TEST_CASE("at_plus: the newest mutation of each vbucket", "[rows]") {
    MutationState state;
    state.add(MutationToken{.vbucket_uuid = 18446744073709551615u, .seqno = 5, .vbucket = 7});
    state.add(MutationToken{.vbucket_uuid = 9, .seqno = 6, .vbucket = 3});
    CHECK(added({.consistent_with = &state}) ==
          R"("scan_consistency":"at_plus","scan_vectors":{"b":{"3":[6,"9"],"7":[5,"18446744073709551615"]}})");
    CHECK(request({.scan_consistency = ScanConsistency::request_plus, .consistent_with = &state}).refused ==
          errc::invalid_argument);
    const MutationState nothing;
    CHECK(added({.consistent_with = &nothing}).empty());
}

TEST_CASE("a statement to be prepared is left out of the body", "[rows]") {
    const RowRequest made = request({.positional = "[1]", .adhoc = false});
    CHECK(made.prepared == "SELECT 1");
    CHECK(made.body == R"({"client_context_id":"id","args":[1],"timeout":"75000000us")");
    CHECK(made.plan_key != request({.query_context = "default:b.s", .adhoc = false}).plan_key);
}

TEST_CASE("queries that contradict themselves are refused", "[rows]") {
    const auto refused = [](const QueryOptions& options) {
        const RowRequest made = request(options);
        CHECK(made.refused == errc::invalid_argument);
        return made.why;
    };
    CHECK(n1ql_request("b", "", {}, "id").refused == errc::invalid_argument);
    CHECK(refused({.positional = "{}"}) == "positional must be a JSON array: {}");
    refused({.positional = "[1"});
    refused({.named = "[1]"});
    CHECK(refused({.named = R"({"a":1,"$a":2})"}) == "\"$a\" is given twice");
    CHECK(refused({.more = R"({"statement":"x"})"}) == "\"statement\" is given twice");
    CHECK(refused({.more = R"({"timeout":"1s"})"}) == "\"timeout\" is given twice");
    refused({.timeout = 0s});
}

TEST_CASE("analytics and search", "[rows]") {
    const RowRequest analytics = analytics_request("SELECT 1",
                                                   {.positional = "[1]",
                                                    .named = R"({"n":2})",
                                                    .scan_consistency = ScanConsistency::request_plus,
                                                    .readonly = true,
                                                    .client_context_id = "c",
                                                    .query_context = "default:x",
                                                    .priority = true,
                                                    .more = R"({"format":"json"})",
                                                    .timeout = 2s},
                                                   "id");
    CHECK(analytics.target == "/analytics/service");
    CHECK(analytics.array == "results");
    CHECK(analytics.read_only);
    CHECK(analytics.body ==
          R"({"statement":"SELECT 1","client_context_id":"c","args":[1],"$n":2,"scan_consistency":"request_plus",)"
          R"("readonly":true,"query_context":"default:x","priority":-1,"timeout":"2000000us","format":"json"})");

    const RowRequest search = search_request("my index", R"({ "query": {"match":"hop"} })",
                                             {.limit = 3,
                                              .skip = 1,
                                              .explain = true,
                                              .fields = R"(["*"])",
                                              .sort = R"(["-_score"])",
                                              .facets = R"({"f":{}})",
                                              .timeout = 2s});
    CHECK(search.refused == errc::success);
    CHECK(search.target == "/api/index/my%20index/query");
    CHECK(search.array == "hits");
    CHECK(search.body == R"({"query":{"match":"hop"},"size":3,"from":1,"explain":true,"fields":["*"],)"
                         R"("sort":["-_score"],"facets":{"f":{}},"ctl":{"timeout":2000}})");
    MutationState state;
    state.add(MutationToken{.vbucket_uuid = 18446744073709551615u, .seqno = 5, .vbucket = 7});
    state.add(MutationToken{.vbucket_uuid = 9, .seqno = 6, .vbucket = 3});
    CHECK(search_request("my \"i\"", R"({"query":{}})", {.consistent_with = &state, .timeout = 2s}).body ==
          R"({"query":{},"ctl":{"timeout":2000,"consistency":{"level":"at_plus","vectors":{"my \"i\"":)"
          R"({"3/9":6,"7/18446744073709551615":5}}}}})");
    CHECK(search_request("i", R"({"query":{},"ctl":{}})", {.consistent_with = &state}).refused ==
          errc::invalid_argument);
    const MutationState nothing;
    CHECK(search_request("i", R"({"query":{}})", {.consistent_with = &nothing, .timeout = 2s}).body ==
          R"({"query":{},"ctl":{"timeout":2000}})");
    CHECK(search_request("i", R"({"query":{},"ctl":{"timeout":1}})", {}).body == R"({"query":{},"ctl":{"timeout":1}})");
    CHECK(search_request("i", R"({"query":{},"size":1})", {.limit = 2}).refused == errc::invalid_argument);
    CHECK(search_request("i", "hop", {}).refused == errc::invalid_argument);
    CHECK(search_request("", "{}", {}).refused == errc::invalid_argument);
    CHECK(search_request("i", "", {}).refused == errc::invalid_argument);
}
