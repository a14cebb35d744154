// The seed's EnhancedError: what a server adds to its "no" is in the error, and in its text.

#include "tests/support/answers_at_once.hpp"
#include "tests/unit/engine/script_node.hpp"
#include "tests/unit/engine/session_fixture.hpp"

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::testing;
using protocol::Status;

TEST_CASE("EnhancedError.permission", "[error]") {
    Fixture f({.username = "me", .password = "secret", .retry_strategy = AnswersAtOnce::instance()},
              "couchbase://node");
    ScriptNodes nodes(f.loop);
    const std::string words = R"({"error":{"context":"Authorization failure: can't write","ref":"7f2a"}})";
    nodes.map = ScriptNodes::map_of({"node"}, 1);
    nodes.answer = [&](const ScriptNodes::Seen&) {
        return ScriptNodes::Answer{.status = Status::eaccess, .value = words};
    };
    f.connected();
    Outcome& write = f.track(f.bucket->upsert("k", "v"));
    f.loop.run();
    REQUIRE(write.failed(errc::authentication_failure));
    const Error& error = *write.error;
    CHECK(error.is(ErrorKind::input));
    CHECK(error.context().key == "k");
    CHECK(error.context().status == 0x24);
    CHECK(error.context().server_text == words);
    CHECK(error.context().server_context == "Authorization failure: can't write");
    CHECK(error.context().server_ref == "7f2a");
    CHECK_THAT(error.message(), Catch::Contains("Authorization failure: can't write") && Catch::Contains("7f2a"));
    CHECK_FALSE(error.may_have_happened());
}

TEST_CASE("EnhancedError: what it says is bounded, and read before its text is cut", "[error]") {
    Fixture f({.username = "me", .password = "secret", .retry_strategy = AnswersAtOnce::instance()},
              "couchbase://node");
    ScriptNodes nodes(f.loop);
    const std::string why(5000, 'w');
    nodes.map = ScriptNodes::map_of({"node"}, 1);
    nodes.answer = [&](const ScriptNodes::Seen&) {
        return ScriptNodes::Answer{.status = Status::eaccess,
                                   .value = R"({"error":{"context":")" + why + R"(","ref":"7f2a"}})"};
    };
    f.connected();
    Outcome& write = f.track(f.bucket->upsert("k", "v"));
    f.loop.run();
    REQUIRE(write.failed(errc::authentication_failure));
    const ErrorContext& context = write.error->context();
    CHECK(context.server_text.size() == 1024);
    CHECK(context.server_context == why.substr(0, 1024));
    CHECK(context.server_ref == "7f2a");
    CHECK_THAT(write.error->message(), Catch::Contains("www") && Catch::Contains("7f2a"));
    CHECK(write.error->message().size() < 600);
}
