// The way to a cluster's first map: seeds, connect(), and what a person reads when it does not work.

#include "tests/unit/engine/cluster_fixture.hpp"

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Opcode;
using protocol::Status;
using Speaks = ScriptCluster::Speaks;

namespace {

struct Golden {
    std::string what;
    std::function<void(ClusterFixture&)> before;
    errc code;
    std::string message;
    BucketOptions options{};
    std::string where = "couchbase://n1";
};

const std::vector<Golden>& golden() {
    const auto speaks = [](Speaks what) { return [what](ClusterFixture& f) { f.cluster.node("n1").speaks = what; }; };
    const auto says = [](std::string map) { return [map](ClusterFixture& f) { f.cluster.node("n1").map_text = map; }; };
    static const std::vector<Golden> table = {
        {"refused", [](auto& f) { f.cluster.refuse("n1"); }, errc::not_connected,
         "connect at n1:11210: not connected: cannot connect: Connection refused"},
        {"unresolvable", [](auto& f) { f.loop.net.unresolvable = {"n1"}; }, errc::host_not_found,
         "connect at n1:11210: host not found: cannot resolve \"n1\": No route to host"},
        {"silent host", [](auto& f) { f.loop.net.hanging = {"n1"}; }, errc::timeout_before_send,
         "connect at n1:11210: timeout before the request was sent: no connection within connect_timeout "
         "[after 10.000 s]"},
        {"silent resolver", [](auto& f) { f.loop.net.hang_resolve = true; }, errc::timeout_before_send,
         "connect at n1:11210: timeout before the request was sent: cannot resolve \"n1\" within connect_timeout "
         "[after 10.000 s]"},
        {"silent server", [](auto& f) { f.cluster.node("n1").silent = true; }, errc::timeout_before_send,
         "connect at n1:11210: timeout before the request was sent: connected, but the server did not answer within "
         "connect_timeout [after 10.000 s]"},
        {"wrong password",
         [](auto&) {},
         errc::authentication_failure,
         "connect at n1:11210: authentication failure: user \"me\" by SCRAM-SHA512: the server refused the username or "
         "the password, status 0x20 (AUTH_ERROR)",
         {.password = "guess"}},
        {"unknown user",
         [](auto&) {},
         errc::authentication_failure,
         "connect at n1:11210: authentication failure: user \"nobody\" by SCRAM-SHA512: the server refused the "
         "username or the password, status 0x20 (AUTH_ERROR)",
         {.username = "nobody"}},
        {"only PLAIN", [](auto& f) { f.cluster.mechanisms = "PLAIN"; }, errc::authentication_failure,
         "connect at n1:11210: authentication failure: the server takes passwords only in the clear; set allow_plain "
         "to send it"},
        {"missing bucket",
         [](auto&) {},
         errc::bucket_not_found,
         "connect at n1:11210: bucket not found: bucket \"travel\" does not exist, or user \"me\" has no access to it, "
         "status 0x01 (KEY_ENOENT)",
         {},
         "couchbase://n1:11210/travel"},
        {"memcached", speaks(Speaks::memcached), errc::protocol_error,
         "connect at n1:11210: protocol error: not a Couchbase server: it does not know HELLO (a plain memcached?)"},
        {"HTTP",
         speaks(Speaks::http),
         errc::protocol_error,
         "connect at n1:8091: protocol error: not a Couchbase key-value port: it answers in HTTP",
         {},
         "couchbase://n1:8091"},
        {"garbage",
         speaks(Speaks::garbage),
         errc::protocol_error,
         "connect at n1:22: protocol error: not a Couchbase key-value port: it answers "
         "\"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\"",
         {},
         "couchbase://n1:22"},
        {"lets go", [](auto& f) { f.loop.net.on_accept = [](Link& link) { link.close(); }; }, errc::protocol_error,
         "connect at n1:11210: protocol error: the server closed the connection; HELLO was never answered: not a "
         "Couchbase server (a plain memcached?)"},
        {"a map that is none", says("{\"name\":\"default\""), errc::protocol_error,
         "connect at n1:11210: protocol error: its cluster map is of no use: it is not JSON: The JSON document has an "
         "improper structure: missing or superfluous commas, braces, missing keys, etc."},
        {"an empty map", says(""), errc::protocol_error,
         "connect at n1:11210: protocol error: the server's cluster map is empty"},
        {"two seeds",
         [](auto& f) { f.cluster.refuse("n1"), f.loop.net.unresolvable = {"n9"}; },
         errc::not_connected,
         "connect at n1:11210: not connected: cannot connect: Connection refused; n9:11210: cannot resolve \"n9\": No "
         "route to host",
         {},
         "couchbase://n1,n9"},
        {"one of two seeds is silent",
         [](auto& f) { f.cluster.refuse("n1"), f.loop.net.hanging = {"n9"}; },
         errc::not_connected,
         "connect at n1:11210: not connected: cannot connect: Connection refused; n9:11210: no connection within "
         "connect_timeout [after 10.000 s]",
         {},
         "couchbase://n1,n9"},
        {"wrong password at one of two, the other refuses",
         [](auto& f) { f.cluster.refuse("n9"); },
         errc::authentication_failure,
         "connect at n1:11210: authentication failure: user \"me\" by SCRAM-SHA512: the server refused the username or "
         "the password, status 0x20 (AUTH_ERROR); n9:11210: cannot connect: Connection refused",
         {.password = "guess"},
         "couchbase://n1,n9"},
    };
    return table;
}

}  // namespace

TEST_CASE("what a person reads when connect() fails", "[router][golden]") {
    for (const Golden& one : golden()) {
        INFO(one.what);
        ClusterFixture f(ScriptMap::spread({"n1"}), one.where, one.options);
        one.before(f);
        const TimePoint began = f.loop.now();
        Outcome& connect = f.track(f.bucket->connect());
        Outcome& get = f.get("k");
        f.loop.advance(10s);
        REQUIRE(connect.error);
        CHECK(name(connect.error->code()) == name(one.code));
        CHECK(connect.error->message() == one.message);
        CHECK(connect.calls == 1);
        CHECK(connect.at - began <= 10s);
        CHECK_FALSE(connect.error->may_have_happened());
        // An operation that waited meanwhile says as much, and when credentials are wrong, as soon.
        REQUIRE(get.error);
        CHECK_THAT(get.error->message(), Catch::Contains("n1:"));
        const bool at_once = one.code == errc::authentication_failure;
        CHECK(get.failed(at_once ? errc::authentication_failure : errc::timeout_before_send));
        CHECK(get.at - began == (at_once ? 0ms : 2500ms));
        CHECK_FALSE(get.error->may_have_happened());
        f.bucket.reset();
        f.loop.run();
        CHECK(f.loop.armed_timers() == 0);
        CHECK(f.cluster.open() == 0);
    }
}

TEST_CASE("connect() that expires before the seeds have answered says what is known", "[router][golden]") {
    ClusterFixture f(ScriptMap::spread({"n1"}), "couchbase://n1,n9");
    f.loop.net.hanging = {"n1"};
    f.cluster.refuse("n9");
    Outcome& connect = f.track(f.bucket->connect({.timeout = 3s}));
    f.loop.advance(3s);
    REQUIRE(connect.error);
    CHECK(connect.error->message() ==
          "connect at n9:11210: not connected: cannot connect: Connection refused [after 3.000 s]");
    ClusterFixture silent(ScriptMap::spread({"n1"}), "couchbase://n1,n9");
    silent.loop.net.hanging = {"n1", "n9"};
    Outcome& nothing = silent.track(silent.bucket->connect({.timeout = 3s}));
    silent.loop.advance(3s);
    REQUIRE(nothing.error);
    CHECK_THAT(nothing.error->message(), Catch::Contains("n1:11210") && Catch::Contains("n9:11210"));
    CHECK(nothing.failed(errc::timeout_before_send));
}

TEST_CASE("without a username there is no couchbase://, and the constructor says so", "[router][golden]") {
    ScriptLoop loop;
    const auto message = [&](BucketOptions options) -> std::string {
        try {
            AsyncBucket bucket(loop.make_iops(), "couchbase://n1", options);
        } catch (const ArgumentError& error) {
            return error.what();
        }
        return "no error";
    };
    CHECK(message({}) ==
          "invalid argument: couchbase:// needs a username and a password (for a plain memcached say memcached://)");
    CHECK(message({.password = "secret"}) == "invalid argument: a password without a username");
}

TEST_CASE("connect() may be awaited many times: before, while, after; and again after a failure", "[router]") {
    ClusterFixture f;
    f.cluster.refuse("n1");
    Outcome& one = f.track(f.bucket->connect());
    Outcome& two = f.track(f.bucket->connect());
    f.loop.run();
    CHECK(one.failed(errc::not_connected));
    CHECK(two.failed(errc::not_connected));
    Outcome& between = f.track(f.bucket->connect());
    f.loop.advance(10ms);  // the next round has come
    CHECK(between.failed(errc::not_connected));
    f.cluster.refuse("n1", false);
    Outcome& again = f.track(f.bucket->connect());
    Outcome& get = f.get("k", {.quiet = true});
    f.loop.advance(1s);
    CHECK(again.ok());
    CHECK(get.ok());
    CHECK(f.bucket->connected());
    Outcome& after = f.track(f.bucket->connect());
    CHECK(after.pending());  // never inline
    f.loop.run();
    CHECK(after.ok());
    CHECK(after.calls == 1);
}

TEST_CASE("connect() is done with the map; the other nodes follow", "[router]") {
    ClusterFixture f;
    f.cluster.refuse("n2");
    Outcome& connect = f.track(f.bucket->connect());
    Outcome& late = f.get(f.cluster.key_at("n2"), {.timeout = 20s, .quiet = true});
    f.loop.run();
    CHECK(connect.ok());
    CHECK_FALSE(f.bucket->connected());
    CHECK(late.pending());
    f.cluster.refuse("n2", false);
    f.loop.advance(1s);
    CHECK(f.bucket->connected());
    CHECK(late.ok());
}

TEST_CASE("a wrong password is corrected at the server: the next connect() succeeds", "[router]") {
    ClusterFixture f(ScriptMap::spread({"n1"}), "couchbase://n1", {.password = "new"});
    Outcome& first = f.track(f.bucket->connect());
    f.loop.run();
    CHECK(first.failed(errc::authentication_failure));
    f.cluster.password = "new";
    Outcome& second = f.track(f.bucket->connect());
    f.loop.advance(1s);
    CHECK(second.ok());
}

TEST_CASE("a bucket that is made later is found then", "[router]") {
    ClusterFixture f(ScriptMap::spread({"n1"}), "couchbase://n1/travel");
    f.cluster.map.bucket = "travel";
    Outcome& get = f.get("k", {.quiet = true});
    f.loop.advance(500ms);
    CHECK(get.pending());
    f.cluster.buckets.insert("travel");
    f.loop.advance(1500ms);
    CHECK(get.ok());
}

TEST_CASE("several seeds: one that refuses, and one that knows", "[router]") {
    ClusterFixture f(ScriptMap::spread({"n1", "n2"}), "couchbase://n8,n9,n1,n7");
    for (const char* host : {"n7", "n8", "n9"}) f.cluster.refuse(host);
    Outcome& connect = f.track(f.bucket->connect());
    f.loop.run();  // no time passes
    CHECK(connect.ok());
    CHECK(f.bucket->connected());
    CHECK(f.cluster.open() == 2);
}

TEST_CASE("several seeds: after half a second of silence the next is asked, too; the first map wins", "[router]") {
    for (const bool host_hangs : {true, false}) {
        // The order is the client's choice: whichever it asks first is silent.
        ClusterFixture f(ScriptMap::spread({"n1", "n2", "n3"}), "couchbase://s1,s2,s3");
        std::string first;
        for (const char* host : {"s1", "s2", "s3"}) {
            f.cluster.node(host);
            if (host_hangs) f.loop.net.hanging.insert(host);
            f.cluster.node(host).silent = true;
        }
        Outcome& connect = f.track(f.bucket->connect());
        f.loop.run();
        CHECK(f.loop.net.resolved.size() == 1);
        f.loop.advance(499ms);
        CHECK(f.loop.net.resolved.size() == 1);
        f.loop.advance(1ms);
        REQUIRE(f.loop.net.resolved.size() == 2);
        const std::string second = f.loop.net.resolved[1];
        CHECK(connect.pending());
        f.loop.net.hanging.erase(second);
        f.cluster.node(second).silent = false;
        f.loop.run();
        CHECK(connect.ok());
        CHECK(f.bucket->connected());
        CHECK(f.cluster.open() == 3);
        CHECK(f.cluster.open(second).empty());  // it is not in its own map
        CHECK(f.loop.net.pending->empty());     // nor does anybody wait for the first
        f.loop.net.hanging.clear();
        f.loop.advance(20s);
        CHECK(f.loop.net.resolved.size() == 5);
        CHECK(f.cluster.open() == 3);
    }
}

TEST_CASE("two seeds of the cluster at once: each node has one connection in the end", "[router]") {
    ClusterFixture f(ScriptMap::spread({"n1", "n2"}), "couchbase://n1,n2");
    f.cluster.node("n1").silent = f.cluster.node("n2").silent = true;
    f.loop.advance(600ms);  // both are being asked
    CHECK(f.cluster.open() == 2);
    f.cluster.node("n2").silent = false;
    f.loop.run();
    Outcome& at_two = f.get(f.cluster.key_at("n2"), {.quiet = true});
    Outcome& at_one = f.get(f.cluster.key_at("n1"), {.quiet = true});
    f.loop.run();
    CHECK(at_two.ok());
    CHECK(at_one.pending());
    f.cluster.node("n1").silent = false;  // the attempt that was under way goes on
    f.loop.run();
    CHECK(at_one.ok());
    CHECK(f.bucket->connected());
    CHECK(f.cluster.connections("n1") == 1);
    CHECK(f.cluster.connections("n2") == 1);
}

TEST_CASE("a seed that refused and is in the map is tried again as a node", "[router]") {
    ClusterFixture f(ScriptMap::spread({"n1", "n2"}), "couchbase://n1,n2");
    // Whichever is first refuses once.
    f.loop.net.connect_errors["*"] = std::make_error_code(std::errc::connection_refused);
    while (f.loop.net.attempts.empty()) REQUIRE(f.loop.turn());
    f.loop.net.connect_errors.clear();
    f.loop.run();
    CHECK(f.bucket->connected());
    CHECK(f.cluster.open("n1").size() == 1);
    CHECK(f.cluster.open("n2").size() == 1);
}

TEST_CASE("an unusable map is told, and the seed asked again later", "[router]") {
    ClusterFixture f;
    f.cluster.node("n1").map_text = "[]";
    Outcome& connect = f.track(f.bucket->connect());
    f.loop.run();
    CHECK(connect.failed(errc::protocol_error));
    CHECK(f.cluster.open() == 0);
    f.cluster.node("n1").map_text.reset();
    f.loop.advance(1s);
    CHECK(f.bucket->connected());
}
