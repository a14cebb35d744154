// CouchbaseBootstrap: who one is, and by which mechanism it is shown.

#include "tests/unit/engine/bootstrap_fixture.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <string>
#include <vector>

using namespace chaise;
using namespace chaise::detail;
using namespace chaise::testing;
using protocol::Feature;
using protocol::Opcode;
using protocol::Status;
using Opcodes = std::vector<Opcode>;

TEST_CASE("a mechanism that the server does not have is replaced by the best that it lists", "[couchbase bootstrap]") {
    for (const std::string mechanism : {"SCRAM-SHA256", "SCRAM-SHA1"}) {
        for (const Status refusal : {Status::auth_error, Status::einval, Status::unknown_command}) {
            Talk talk;
            talk.mechanisms = "PLAIN " + mechanism;
            CHECK(talk.run(Opcode::sasl_auth) == Progress::more);
            CHECK(talk.next({.status = refusal}) == Progress::more);
            REQUIRE(talk.waiting() == Opcodes{Opcode::sasl_auth});
            CHECK(talk.heard.back().key == mechanism);
            CHECK(talk.heard.back().value != talk.heard[3].value);  // another nonce
            CHECK(talk.next() == Progress::more);
            CHECK(talk.waiting() == second_flight);
            CHECK(talk.run() == Progress::done);
            CHECK(talk.selected == "travel");
        }
    }
    SECTION("the list comes after the refusal") {
        Talk talk;
        talk.mechanisms = "SCRAM-SHA1";
        CHECK(talk.run(Opcode::sasl_list_mechs) == Progress::more);
        const Said list = talk.unanswered.front();
        talk.unanswered.pop_front();
        CHECK(talk.next() == Progress::more);  // refused
        CHECK(talk.unanswered.empty());
        CHECK(talk.answer(list, talk.good(list)) == Progress::more);
        CHECK(talk.run() == Progress::done);
    }
    SECTION("it is refused, too") {
        Talk talk;
        talk.mechanisms = "SCRAM-SHA1";
        CHECK(talk.run(Opcode::sasl_auth) == Progress::more);
        CHECK(talk.next() == Progress::more);
        CHECK(talk.next({.status = Status::auth_error}) == Progress::failed);
        talk.fails(errc::authentication_failure, "user \"me\" by SCRAM-SHA1: the server refused");
    }
}

TEST_CASE("PLAIN only when it is allowed, and then everything goes behind it", "[couchbase bootstrap]") {
    {
        Talk talk(settings_for({.allow_plain = false}));
        talk.mechanisms = "PLAIN";
        CHECK(talk.run() == Progress::failed);
        talk.fails(errc::authentication_failure, "allow_plain");
        for (const Said& one : talk.heard) CHECK(one.value.find("secret") == std::string::npos);
    }
    {
        Talk talk(settings_for({.allow_plain = true}));
        CHECK(talk.heard[3].key == "SCRAM-SHA512");  // never before the server's list is known
        talk.mechanisms = "PLAIN";
        CHECK(talk.run(Opcode::sasl_auth) == Progress::more);
        CHECK(talk.next() == Progress::more);
        CHECK(talk.waiting() == Opcodes{Opcode::sasl_auth, Opcode::select_bucket, Opcode::get_cluster_config});
        CHECK(talk.run() == Progress::done);
    }
    {
        Talk talk(settings_for({.password = "wrong", .allow_plain = true}));
        talk.mechanisms = "PLAIN";
        CHECK(talk.run() == Progress::failed);
        talk.fails(errc::authentication_failure, "user \"me\" by PLAIN: the server refused");
    }
    {
        Talk talk;
        talk.mechanisms = "GSSAPI OAUTHBEARER";
        CHECK(talk.run() == Progress::failed);
        talk.fails(errc::authentication_failure, "the server lists \"GSSAPI OAUTHBEARER\"");
    }
}

TEST_CASE("a wrong user, a wrong password, a server that does not know the password", "[couchbase bootstrap]") {
    for (const auto& [user, password] : {std::pair{"me", "wrong"}, std::pair{"you", "secret2"}}) {
        Talk talk(settings_for({.username = user, .password = password}));
        CHECK(talk.run() == Progress::failed);
        talk.fails(errc::authentication_failure,
                   std::string("user \"") + user + "\" by SCRAM-SHA512: the server refused");
        CHECK_THAT(talk.bootstrap.reason(), !Catch::Contains(password));
    }
    {
        Talk talk;
        CHECK(talk.run(Opcode::sasl_step) == Progress::more);
        CHECK(talk.next({.value = "v=AAAA"}) == Progress::failed);
        talk.fails(errc::authentication_failure, "the server's signature is wrong");
    }
    {
        Talk talk;
        CHECK(talk.run(Opcode::sasl_step) == Progress::more);
        CHECK(talk.next({}) == Progress::failed);  // as if the password had been right
        talk.fails(errc::authentication_failure, "did not sign");
    }
    {
        Talk talk;
        CHECK(talk.run(Opcode::sasl_auth) == Progress::more);
        CHECK(talk.next({}) == Progress::failed);
        talk.fails(errc::authentication_failure, "before the password was proven");
    }
    for (const std::string_view odd : {"", "r=", "r=x,s=,i=1", "\xff\xff", "m=1,r=x", "e=no\nway"}) {
        Talk talk;
        CHECK(talk.run(Opcode::sasl_auth) == Progress::more);
        CHECK(talk.next({.status = Status::auth_continue, .value = std::string(odd)}) == Progress::failed);
        talk.fails(errc::authentication_failure, "user \"me\" by SCRAM-SHA512: ");
        CHECK(talk.bootstrap.reason().find('\n') == std::string::npos);
    }
    {
        Talk talk;
        CHECK(talk.run(Opcode::sasl_auth) == Progress::more);
        CHECK(talk.next({.status = Status::auth_error, .value = R"({"error":{"context":"account locked"}})"}) ==
              Progress::failed);
        talk.fails(errc::authentication_failure, "status 0x20 (AUTH_ERROR): account locked");
    }
}

TEST_CASE("one conversation's key serves the next", "[couchbase bootstrap]") {
    protocol::ScramKeyCache keys;
    for (int i = 0; i < 3; ++i) {
        Talk talk(settings_for(), {.keys = &keys});
        CHECK(talk.run() == Progress::done);
    }
    CHECK(keys.computed() == 1);
}

TEST_CASE("Cyrus wants one more step: the bucket is asked for again", "[couchbase bootstrap]") {
    Talk talk;
    talk.cyrus = true;
    CHECK(talk.run(Opcode::sasl_step) == Progress::more);
    CHECK(talk.waiting() == second_flight);
    CHECK(talk.next() == Progress::more);
    CHECK(talk.waiting() == Opcodes{Opcode::select_bucket, Opcode::get_cluster_config});
    CHECK(talk.next() == Progress::more);  // 0x24: not authenticated yet
    CHECK(talk.next() == Progress::more);
    CHECK(talk.waiting() == second_flight);
    CHECK(talk.run() == Progress::done);
    CHECK(talk.selected == "travel");
}

TEST_CASE("the proof waits until the first flight is answered", "[couchbase bootstrap]") {
    // In every order, as a server may answer that executes out of order.
    std::vector<std::size_t> order = {0, 1, 2, 3};
    do {
        Talk talk;
        const std::deque<Said> asked = std::exchange(talk.unanswered, {});
        for (std::size_t i = 0; i < order.size(); ++i) {
            CHECK(talk.unanswered.empty());
            CHECK(talk.answer(asked[order[i]], talk.good(asked[order[i]])) == Progress::more);
        }
        CHECK(talk.waiting() == second_flight);
        CHECK(talk.run() == Progress::done);
        CHECK(talk.bootstrap.features().contains(Feature::xerror));
    } while (std::next_permutation(order.begin(), order.end()));
}
