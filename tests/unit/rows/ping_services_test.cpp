// ping of the services behind HTTP: whom it asks, and what it makes of the answers.

#include "tests/unit/rows/rows_fixture.hpp"

#include <chaise/diagnostics.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

struct PingFixture : RowsFixture {
    PingFixture() : RowsFixture({"n1", "n2"}) {
        bucket->connect().detach();
        loop.run();
    }
    auto ping(const PingOptions& options = {}) {
        auto operation = bucket->ping(options);
        loop.run();
        return operation;
    }
    void hear(AsyncResult<PingResult>& operation) {
        operation.set_callbacks([this](PingResult told) { result = std::move(told); },
                                [this](const Error& failed) { error = failed; });
    }
    std::optional<PingResult> result;
    std::optional<Error> error;
};

}  // namespace

TEST_CASE("ping asks each service of each node", "[ping]") {
    PingFixture f;
    auto operation = f.ping();
    f.hear(operation);
    std::set<std::string> targets;
    for (ScriptHttp::Asked& one : f.http.asked) {
        CHECK(one.request.method == "GET");
        CHECK(one.request.username == "me");
        targets.insert(one.request.host + ":" + std::to_string(one.request.port) + one.request.target);
        one.head(200);
        one.body("{}");
    }
    CHECK(targets.size() == f.http.asked.size());
    CHECK(targets.contains("n1:8092/"));
    CHECK(targets.contains("n2:8093/admin/ping"));
    CHECK_FALSE(f.result);
    f.loop.advance(7ms);
    for (ScriptHttp::Asked& one : f.http.asked) one.end();
    f.loop.run();
    REQUIRE(f.result);
    CHECK(f.result->all_ok());
    CHECK(f.result->services().at("kv").size() == 2);
    CHECK(f.result->services().at("views").size() == 2);
    const EndpointPing& query = f.result->services().at("n1ql")[1];
    CHECK(query.remote == "n2:8093");
    CHECK(query.latency == 7ms);
    CHECK(query.error.empty());
    CHECK(f.result->to_json().find(R"("n1ql":[)") != std::string::npos);
}

TEST_CASE("ping: services that refuse, break off, or are silent", "[ping]") {
    PingFixture f;
    auto operation = f.ping({.timeout = 100ms});
    f.hear(operation);
    std::map<std::string, ScriptHttp::Asked*> asked;
    for (ScriptHttp::Asked& one : f.http.asked) asked[one.request.host + ":" + std::to_string(one.request.port)] = &one;
    asked.at("n1:8092")->head(401);
    asked.at("n1:8092")->end();
    asked.at("n1:8093")->end(std::make_error_code(std::errc::connection_refused), "nobody listens");
    f.loop.advance(99ms);
    CHECK_FALSE(f.result);
    f.loop.advance(1ms);
    REQUIRE(f.result);
    CHECK_FALSE(f.result->all_ok());
    const auto& views = f.result->services().at("views");
    CHECK(views[0].state == PingState::error);
    CHECK(views[0].error == "HTTP status 401");
    CHECK(views[0].latency == 0ms);
    CHECK(views[1].state == PingState::timeout);
    CHECK(views[1].latency == 100ms);
    const auto& query = f.result->services().at("n1ql");
    CHECK(query[0].state == PingState::error);
    CHECK(query[0].error == "nobody listens");
    CHECK(f.http.open() == 0);  // those that were silent are not waited for
}

TEST_CASE("ping of services: not asked for, cancelled, closed", "[ping]") {
    PingFixture f;
    auto few = f.ping({.key_value_only = true});
    f.hear(few);
    f.loop.run();
    CHECK(f.http.asked.empty());
    REQUIRE(f.result);
    CHECK(f.result->services().size() == 1);

    auto cancelled = f.ping();
    f.hear(cancelled);
    CHECK(f.http.open() != 0);
    cancelled.cancel();
    f.loop.run();
    CHECK(f.http.open() == 0);
    REQUIRE(f.error);
    CHECK(*f.error == errc::cancelled);

    f.error.reset();
    auto closed = f.ping();
    f.hear(closed);
    f.bucket->close().detach();
    f.loop.run();
    CHECK(f.http.open() == 0);
    REQUIRE(f.error);
    CHECK(*f.error == errc::shutdown);
}
