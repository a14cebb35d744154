// One connection: bootstrap, pipeline, answers, what the server does wrong. No socket; every byte is the test's.

#include "protocol/response_encoder.hpp"
#include "tests/unit/engine/session_fixture.hpp"

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Opcode;
using protocol::Status;

namespace {

std::string get_answer(std::uint32_t opaque, std::string_view value, Opcode opcode = Opcode::get) {
    return protocol::encoded(
        protocol::Response{.opcode = opcode, .opaque = opaque, .cas = 9, .extras = {"\0\0\0\0", 4}, .value = value});
}

}  // namespace

TEST_CASE("it resolves, connects, says NOOP, and then requests flow", "[session]") {
    Fixture f({}, "memcached://node:4711");
    f.server.mute = true;
    Outcome& early = f.get("early");
    CHECK(f.loop.net.resolved.empty());
    while (f.loop.net.resolved.empty()) REQUIRE(f.loop.turn());
    CHECK(f.loop.net.attempts.empty());
    CHECK(f.loop.net.resolved == std::vector<std::string>{"node"});
    while (f.loop.net.links.empty()) REQUIRE(f.loop.turn());
    f.loop.run();  // the NOOP goes out, and nobody answers
    CHECK(f.loop.net.attempts == std::vector<Endpoint>{{"node", 4711}});
    CHECK(f.link().received.size() == protocol::header_size);  // nothing but the NOOP
    CHECK_FALSE(f.bucket->connected());
    f.server.mute = false;
    f.loop.run();
    CHECK(f.bucket->connected());
    CHECK(f.server.bootstraps == 1);
    CHECK(early.failed(errc::document_not_found));
    CHECK(early.error->context().node == "node:4711");
    CHECK(early.error->context().operation == "get");
    CHECK(early.error->context().key == "early");
    CHECK(early.error->context().status == 1);
    CHECK_FALSE(early.error->may_have_happened());
}

TEST_CASE("every address of the host is tried, then the next attempt starts anew", "[session]") {
    Fixture f({}, "memcached://many");
    f.loop.net.addresses["many"] = {"10.0.0.1", "10.0.0.2", "10.0.0.3"};
    f.loop.net.connect_errors["10.0.0.1"] = std::make_error_code(std::errc::connection_refused);
    f.loop.net.connect_errors["10.0.0.2"] = std::make_error_code(std::errc::timed_out);
    f.connected();
    CHECK(f.loop.net.attempts == std::vector<Endpoint>{{"10.0.0.1", 11211}, {"10.0.0.2", 11211}, {"10.0.0.3", 11211}});
}

TEST_CASE("a failed attempt is told to connect(), and tried again after a back-off", "[session]") {
    Fixture f;
    f.loop.net.connect_errors["*"] = std::make_error_code(std::errc::connection_refused);
    Outcome& first = f.track(f.bucket->connect());
    Outcome& get = f.get("k", {.timeout = 5s});
    f.loop.run();
    REQUIRE(first.failed(errc::not_connected));
    CHECK_THAT(first.error->message(), Catch::Contains("node:11211") && Catch::Contains("refused"));
    CHECK(get.pending());
    Outcome& second = f.track(f.bucket->connect());
    f.loop.advance(10ms);
    CHECK(second.failed(errc::not_connected));
    f.loop.net.connect_errors.clear();
    Outcome& third = f.track(f.bucket->connect());
    f.loop.advance(1s);
    CHECK(third.ok());
    CHECK(get.failed(errc::document_not_found));
    CHECK(f.track(f.bucket->connect()).pending());  // never inline
    f.loop.run();
    CHECK(f.outcomes.back()->ok());
}

TEST_CASE("attempts back off to one a second", "[session]") {
    Fixture f;
    f.loop.net.connect_errors["*"] = std::make_error_code(std::errc::connection_refused);
    f.loop.advance(10s);
    const std::size_t in_ten = f.loop.net.attempts.size();
    f.loop.advance(60s);
    const std::size_t in_sixty = f.loop.net.attempts.size() - in_ten;
    CHECK((in_ten >= 14 && in_ten <= 30));
    CHECK((in_sixty >= 59 && in_sixty <= 121));
}

TEST_CASE("a server that lets go of every connection at once is not hammered", "[session]") {
    Fixture f;
    f.loop.net.on_accept = [](Link& link) { link.close(); };
    f.loop.advance(30s);
    CHECK(f.loop.net.attempts.size() <= 80);
    CHECK(f.loop.net.attempts.size() >= 25);
}

TEST_CASE("a host that cannot be resolved", "[session]") {
    Fixture f;
    f.loop.net.resolve_error = std::make_error_code(std::errc::host_unreachable);
    Outcome& connect = f.track(f.bucket->connect());
    f.loop.run();
    CHECK(connect.failed(errc::host_not_found));
    CHECK_THAT(connect.error->message(), Catch::Contains("\"node\""));
    f.loop.net.resolve_error = {};
    f.loop.advance(1s);
    CHECK(f.bucket->connected());
}

TEST_CASE("an attempt that hangs ends after connect_timeout, wherever it hangs", "[session]") {
    for (const std::string_view where : {"resolve", "connect", "bootstrap"}) {
        Fixture f({.connect_timeout = 3s});
        (where == "resolve"   ? f.loop.net.hang_resolve
         : where == "connect" ? f.loop.net.hang_connect
                              : f.server.mute) = true;
        Outcome& connect = f.track(f.bucket->connect({.timeout = 20s}));
        f.loop.advance(2999ms);
        CHECK(connect.pending());
        f.loop.advance(1ms);
        INFO(where);
        CHECK(connect.failed(errc::timeout_before_send));
        CHECK_THAT(connect.error->message(), Catch::Contains("connect_timeout"));
        CHECK(f.loop.net.pending->empty());  // what hung was given up
        f.loop.net.hang_resolve = f.loop.net.hang_connect = f.server.mute = false;
        f.loop.advance(1s);
        CHECK(f.bucket->connected());
    }
}

TEST_CASE("with credentials it authenticates first; without, it tells that it should", "[session]") {
    {
        Fixture f({.username = "me", .password = "secret"});
        f.server.mechanisms = "SCRAM-SHA-256 PLAIN";
        Outcome& get = f.get("k");
        f.connected();
        CHECK(get.failed(errc::document_not_found));
        CHECK(f.link().received.find("secret") == std::string::npos);
    }
    {
        Fixture f;
        f.server.mechanisms = "SCRAM-SHA-256";
        Outcome& connect = f.track(f.bucket->connect());
        Outcome& get = f.get("k");
        f.loop.run();
        CHECK(connect.failed(errc::authentication_failure));
        CHECK(get.failed(errc::authentication_failure));  // waiting would not help
        CHECK_FALSE(get.error->may_have_happened());
    }
}

TEST_CASE("a wrong password fails what waits, and is tried again later", "[session]") {
    Fixture f({.username = "me", .password = "wrong"});
    f.server.mechanisms = "SCRAM-SHA-1";
    Outcome& get = f.get("k");
    f.loop.run();
    CHECK(get.failed(errc::authentication_failure));
    f.server.password = "wrong";  // the operator gave in
    Outcome& later = f.get("k");
    f.loop.advance(1s);
    CHECK(later.failed(errc::document_not_found));
}

TEST_CASE("answers may come in any order: they are matched by opaque", "[session]") {
    Fixture f;
    f.connected();
    f.server.hold = true;
    for (char c = 'a'; c <= 'e'; ++c)
        f.server.items[std::string(1, c)] = {.value = std::string(3, c), .flags = 0, .cas = 1};
    std::vector<Outcome*> gets;
    for (char c = 'a'; c <= 'e'; ++c) gets.push_back(&f.get(std::string(1, c)));
    f.loop.run();
    REQUIRE(f.server.seen.size() == 5);
    for (const std::size_t n : {3u, 0u, 4u, 2u, 1u}) {
        f.server.answer(n);
        CHECK(gets[n]->pending());
        f.loop.run();
        CHECK(gets[n]->ok());
        CHECK(gets[n]->value == std::string(3, static_cast<char>('a' + n)));
    }
}

TEST_CASE("an answer that nobody asked for is skipped", "[session]") {
    Fixture f;
    f.connected();
    f.server.items["k"].value = "v";
    f.link().send(get_answer(0x00012345, "stranger"));
    f.link().send(get_answer(0xffffffff, "stranger"));
    f.link().send(get_answer(0, "stranger"));  // a slot's opaque, but nothing is under way
    Outcome& get = f.get("k");
    f.loop.run();
    CHECK(get.ok());
    CHECK(get.value == "v");
    CHECK(f.loop.net.links.size() == 1);
}

TEST_CASE("an answer to a request that is not sent yet is skipped", "[session]") {
    Fixture f;
    f.connected();
    f.link().window = 0;
    Outcome& get = f.get("k");
    f.loop.run();
    CHECK(f.link().received.size() == protocol::header_size);
    for (std::uint32_t opaque = 0; opaque < 256; ++opaque) f.link().send(get_answer(opaque, "guess"));
    f.loop.run();
    CHECK(get.pending());
    f.link().window = SIZE_MAX;
    f.loop.run();
    CHECK(get.failed(errc::document_not_found));
}

TEST_CASE("an answer to another operation than the request drops the connection", "[session]") {
    Fixture f;
    f.connected();
    f.server.hold = true;
    Outcome& get = f.get("k");
    Outcome& set = f.upsert("k", "v");
    f.loop.run();
    f.link().send(get_answer(f.server.seen[0].opaque, "v", Opcode::set));
    f.server.hold = false;
    f.loop.advance(1s);
    CHECK(f.loop.net.links.size() == 2);
    CHECK(f.loop.net.links[0]->closed_by_client);
    CHECK(get.ok());  // idempotent: asked again
    CHECK(set.failed(errc::connection_lost_after_send));
    CHECK_THAT(set.error->message(), Catch::Contains("protocol error"));
    CHECK(set.error->may_have_happened());
}

TEST_CASE("what is not a response drops the connection; news from the server are skipped", "[session]") {
    const std::vector<std::string> wrong = {
        protocol::encoded(protocol::Response{.opcode = Opcode::get, .opaque = 0}).replace(0, 1, "\x80"),  // a request
        protocol::encoded(protocol::Response{.opcode = Opcode::get, .opaque = 0}).replace(0, 1, "\x83"),  // our answer
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        protocol::encoded(protocol::Response{.opcode = Opcode::get}).replace(8, 4, std::string("\x7f\xff\xff\xff", 4)),
        protocol::encoded(protocol::Response{.opcode = Opcode::get}).replace(2, 2, std::string("\x00\x05", 2)),
    };
    for (const std::string& bytes : wrong) {
        Fixture f;
        f.connected();
        f.link().send(bytes);
        f.loop.run();
        CHECK(f.loop.net.links[0]->closed_by_client);
        Outcome& get = f.get("k");
        f.loop.advance(1s);
        CHECK(get.failed(errc::document_not_found));
        CHECK(f.loop.net.links.size() == 2);
    }
    Fixture f;
    f.connected();
    f.link().send(protocol::encoded(protocol::ServerRequest{.key = "bucket", .value = "{}"}));
    Outcome& get = f.get("k");
    f.loop.run();
    CHECK(get.failed(errc::document_not_found));
    CHECK(f.loop.net.links.size() == 1);
}

TEST_CASE("an answer cut at every byte is waited for, and lost with the connection", "[session]") {
    const std::string whole = get_answer(0, std::string(100, 'v'));
    for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
        Fixture f;
        f.connected();
        f.server.hold = true;
        Outcome& get = f.get("k");
        Outcome& set = f.upsert("k2", "v");
        f.loop.run();
        const std::string answer = get_answer(f.server.seen[0].opaque, std::string(100, 'v'));
        f.link().send(answer.substr(0, cut));
        f.loop.run();
        CHECK(get.pending() == (cut < whole.size()));
        f.link().close();
        f.server.hold = false;
        f.loop.advance(1s);
        CHECK(set.failed(errc::connection_lost_after_send));
        if (cut < whole.size()) {
            CHECK(get.failed(errc::document_not_found));  // asked again
            CHECK(get.error->context().retries == 1);
        } else {
            CHECK(get.ok());
        }
    }
}

TEST_CASE("answers in reads of every size", "[session]") {
    for (const std::size_t chunk : {1u, 2u, 23u, 24u, 25u, 1000u, 65536u}) {
        Fixture f;
        f.server.items["small"].value = "s";
        f.server.items["big"].value = std::string(chunk < 20 ? 5'000 : 300'000, 'b');
        f.connected();
        f.link().read_chunk = chunk;
        Outcome& a = f.get("small");
        Outcome& b = f.get("big");
        Outcome& c = f.get("none");
        Outcome& d = f.get("big");
        f.loop.run();
        CHECK(a.value == "s");
        CHECK(b.value == f.server.items["big"].value);
        CHECK(c.failed(errc::document_not_found));
        CHECK(d.value == b.value);
    }
}

TEST_CASE("a thousand operations in one turn are one write", "[session]") {
    Fixture f;
    f.connected();
    f.link().writes.clear();
    for (int i = 0; i < 1000; ++i) f.get("key-" + std::to_string(i));
    CHECK(f.link().writes.empty());  // nothing inline
    f.loop.turn();
    CHECK(f.link().writes.size() == 1);
    f.loop.run();
    CHECK(f.link().writes.size() == 1);
    CHECK(f.server.seen.size() == 1000);
    for (const auto& outcome : f.outcomes) CHECK(outcome->failed(errc::document_not_found));
}

TEST_CASE("what callbacks start in one dispatch is one write too, before the read is armed again", "[session]") {
    Fixture f;
    f.connected();
    int done = 0;
    for (int i = 0; i < 100; ++i) {
        f.bucket->noop().set_callbacks(
            [&](OperationResult) {
                f.bucket->noop().set_callbacks([&](OperationResult) { ++done; }, [](const Error&) {});
            },
            [](const Error&) {});
    }
    f.link().writes.clear();
    f.loop.run();
    CHECK(done == 100);
    CHECK(f.link().writes.size() == 2);
    CHECK(f.link().writes[0] == f.link().writes[1]);
}

TEST_CASE("an operation is never completed inside the call that starts it", "[session]") {
    Fixture f({.max_queue_operations = 2});
    f.connected();
    f.get("k");
    f.get("k");
    for (Outcome* outcome : {&f.get("queue full"), &f.get(""), &f.get(std::string(251, 'k')),
                             &f.upsert("k", std::string((20u << 20) + 1, 'v')), &f.track(f.bucket->flush()),
                             &f.track(f.bucket->connect()), &f.track(f.bucket->touch("k", -1s))}) {
        CHECK(outcome->pending());
    }
    const unsigned turn = f.loop.turns;
    f.loop.run();
    for (const auto& outcome : f.outcomes) {
        CHECK(outcome->calls == 1);
        CHECK(outcome->turn > turn);
    }
}

TEST_CASE("queue_full, by operations and by bytes; room comes back", "[session]") {
    {
        Fixture f({.max_queue_operations = 10});
        f.connected();
        for (int round = 0; round < 3; ++round) {
            f.outcomes.clear();
            for (int i = 0; i < 15; ++i) f.get("k");
            f.loop.run();
            for (std::size_t i = 0; i < 15; ++i) {
                CHECK(f.outcomes[i]->failed(i < 10 ? errc::document_not_found : errc::queue_full));
            }
            CHECK_FALSE(f.outcomes[14]->error->may_have_happened());
        }
    }
    {
        Fixture f({.max_queue_bytes = 300'000});
        f.connected();
        for (int round = 0; round < 3; ++round) {
            f.outcomes.clear();
            for (int i = 0; i < 10; ++i) f.upsert("k", std::string(50'000, 'v'));
            f.loop.run();
            std::size_t ok = 0;
            for (const auto& outcome : f.outcomes) {
                CHECK((outcome->ok() || outcome->failed(errc::queue_full)));
                ok += outcome->ok() ? 1u : 0u;
            }
            CHECK((ok >= 3 && ok <= 5));
        }
    }
    {
        Fixture f({.max_queue_bytes = 1024});                     // far less than a block
        for (int i = 0; i < 100; ++i) f.get("0123456789012345");  // 40 bytes each
        f.connected();
        std::size_t ok = 0;
        for (const auto& outcome : f.outcomes) ok += outcome->failed(errc::document_not_found) ? 1u : 0u;
        CHECK(ok == 1024 / 40);
    }
}

TEST_CASE("all operations speak with the server as they should", "[session]") {
    Fixture f({.enable_flush = true});
    f.connected();
    auto& b = *f.bucket;
    const auto ok = [&](Outcome& outcome) {
        f.loop.run();
        if (outcome.error) UNSCOPED_INFO(outcome.error->message());
        return outcome.ok();
    };
    const auto fails = [&](Outcome& outcome, errc code) {
        f.loop.run();
        return outcome.failed(code);
    };
    CHECK(ok(f.track(b.insert("k", "one", {.expiry = 5s, .flags = 77}))));
    CHECK(fails(f.track(b.insert("k", "two")), errc::document_exists));
    CHECK(f.server.items["k"].flags == 77);
    CHECK(f.server.seen[0].expiry == 5);
    Outcome& got = f.get("k");
    CHECK(ok(got));
    CHECK(got.value == "one");
    CHECK(fails(f.track(b.replace("k", "three", {.cas = got.cas + 1})), errc::cas_mismatch));
    CHECK(ok(f.track(b.replace("k", "three", {.cas = got.cas}))));
    CHECK(fails(f.track(b.replace("none", "x")), errc::document_not_found));
    CHECK(fails(f.track(b.upsert("none", "x", {.cas = 5})), errc::document_not_found));
    CHECK(ok(f.track(b.append("k", "-end"))));
    CHECK(ok(f.track(b.prepend("k", "start-"))));
    CHECK(f.server.items["k"].value == "start-three-end");
    CHECK(fails(f.track(b.append("none", "x")), errc::document_not_found));
    CHECK(fails(f.track(b.prepend("none", "x")), errc::document_not_found));
    CHECK(ok(f.track(b.touch("k", 60s))));
    CHECK(f.server.seen.back().expiry == 60);
    CHECK(fails(f.track(b.touch("none", 60s)), errc::document_not_found));
    CHECK(ok(f.track(b.get_and_touch("k", std::chrono::days(40)))));
    CHECK(f.server.seen.back().expiry == 1'700'000'000 + 40 * 86400);
    CHECK(f.outcomes.back()->value == "start-three-end");
    CHECK(fails(f.counter("n"), errc::document_not_found));
    CHECK(ok(f.counter("n", {.initial = 10})));
    CHECK(f.outcomes.back()->value == "10");
    CHECK(ok(f.counter("n", {.delta = 5})));
    CHECK(f.outcomes.back()->value == "15");
    CHECK(ok(f.counter("n", {.delta = -20})));
    CHECK(f.outcomes.back()->value == "0");
    CHECK(ok(f.counter("n", {.delta = std::numeric_limits<std::int64_t>::min()})));
    CHECK(fails(f.counter("n", {.expiry = 5s}), errc::invalid_argument));
    CHECK(ok(f.track(b.remove("k"))));
    CHECK(fails(f.track(b.remove("k")), errc::document_not_found));
    CHECK(ok(f.track(b.noop())));
    Outcome& quiet = f.get("k", {.quiet = true});
    CHECK(ok(quiet));
    CHECK(quiet.rc == errc::document_not_found);
    Outcome& quiet_remove = f.track(b.remove("k", {.quiet = true}));
    CHECK(ok(quiet_remove));
    CHECK(quiet_remove.rc == errc::document_not_found);
    std::string stats;
    b.stats("").set_callbacks(
        [&](StatsResult r) { stats = std::string(r.get("pid")) + "/" + std::string(r.get("threads", "node:11211")); },
        [](const Error&) {});
    std::string version;
    b.version().set_callbacks([&](VersionResult r) { version = r.versions().at("node:11211"); }, [](const Error&) {});
    f.loop.run();
    CHECK(stats == "7/4");
    CHECK(version == "1.2.3");
    CHECK(fails(f.track(b.stats("nonsense")), errc::document_not_found));
    CHECK(ok(f.track(b.flush())));
    CHECK(f.server.items.empty());
    CHECK(b.operations() == 0);
}

TEST_CASE("responses that make no sense are the operation's protocol error, the connection goes on", "[session]") {
    Fixture f;
    f.connected();
    f.server.hold = true;
    Outcome& get = f.get("k");
    Outcome& counter = f.counter("n");
    f.loop.run();
    f.link().send(protocol::encoded(
        protocol::Response{.opcode = Opcode::get, .opaque = f.server.seen[0].opaque, .value = "no flags"}));
    f.link().send(protocol::encoded(
        protocol::Response{.opcode = Opcode::increment, .opaque = f.server.seen[1].opaque, .value = "short"}));
    f.link().send(protocol::encoded(protocol::Response{
        .opcode = Opcode::get, .status = static_cast<Status>(0x7777), .opaque = f.server.seen[0].opaque}));
    f.loop.run();
    CHECK(get.failed(errc::protocol_error));
    CHECK(counter.failed(errc::protocol_error));
    f.server.hold = false;
    CHECK(f.loop.net.links.size() == 1);
    f.server.hold = true;
    Outcome& strange = f.get("k");
    f.loop.run();
    f.link().send(protocol::encoded(protocol::Response{.opcode = Opcode::get,
                                                       .status = static_cast<Status>(0x7777),
                                                       .opaque = f.server.seen.back().opaque,
                                                       .value = "odd"}));
    f.loop.run();
    CHECK(strange.failed(errc::unknown_status));
    CHECK(strange.error->context().status == 0x7777);
    CHECK(strange.error->context().server_text == "odd");
}
