// CouchbaseBootstrap: the server's half is played by the test.

#include "protocol/response_encoder.hpp"
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

TEST_CASE("the way to a Couchbase bucket takes two flights", "[couchbase bootstrap]") {
    Talk talk;
    CHECK(talk.waiting() == first_flight);
    CHECK_THAT(talk.heard[0].key, Catch::StartsWith("{\"a\":\"chaise/") &&
                                      Catch::EndsWith("\",\"i\":\"0000000000001234/000000000000abcd\"}"));
    CHECK(talk.heard[0].key.size() <= 250);
    CHECK(talk.heard[1].value == std::string_view("\0\2", 2));
    CHECK(talk.heard[3].key == "SCRAM-SHA512");
    for (std::size_t i = 0; i < first_flight.size(); ++i) CHECK(talk.next() == Progress::more);
    CHECK(talk.waiting() == second_flight);
    CHECK(talk.heard[4].key == "SCRAM-SHA512");
    CHECK(talk.heard[5].key == "travel");
    CHECK(talk.heard[6].extras.empty());
    CHECK(talk.next() == Progress::more);
    CHECK(talk.next() == Progress::more);
    CHECK(talk.next() == Progress::done);
    CHECK(talk.selected == "travel");
    CHECK(talk.bootstrap.config() == "{\"rev\":1}");
    CHECK(talk.bootstrap.connection_name() == "0000000000001234/000000000000abcd");
    REQUIRE(talk.bootstrap.error_map());
    CHECK(talk.bootstrap.error_map()->revision == 4);
    CHECK(talk.bootstrap.features() ==
          protocol::FeatureSet{Feature::tcp_nodelay, Feature::xerror, Feature::json, Feature::tracing});
}

TEST_CASE("HELLO asks for what the engine can handle", "[couchbase bootstrap]") {
    const auto asked = [](const Talk& talk) {
        std::set<std::uint16_t> codes;
        for (std::size_t i = 0; i < talk.heard[0].value.size(); i += 2) {
            codes.insert(protocol::load_be16(talk.heard[0].value.data() + i));
        }
        return codes;
    };
    const std::set<std::uint16_t> all = {0x03, 0x04, 0x06, 0x07, 0x08, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f,
                                         0x10, 0x11, 0x12, 0x14, 0x15, 0x17, 0x18, 0x1c, 0x1d, 0x1e, 0x20};
    CHECK(asked(Talk()) == all);
    std::set<std::uint16_t> ordered = all;
    ordered.erase(0x0e);
    CHECK(asked(Talk(settings_for({.ordered = true}))) == ordered);

    std::set<std::uint16_t> uncompressed = all;
    uncompressed.erase(0x0a);
    CHECK(asked(Talk(settings_for({.compression = Compression::off}))) == uncompressed);
    CHECK(asked(Talk(settings_for({.compression = Compression::inflate_only}))) == all);

    // A server that grants more than was asked for does not change what the engine believes.
    for (const bool keep_order : {false, true}) {
        Talk talk(settings_for({.ordered = keep_order, .compression = Compression::off}));
        talk.granted = features({Feature::pitr, Feature::snappy, Feature::unordered_execution, Feature::xerror}) +
                       std::string("\x7f\x7f");
        REQUIRE(talk.run() == Progress::done);
        CHECK_FALSE(talk.bootstrap.features().contains(Feature::pitr));
        CHECK_FALSE(talk.bootstrap.features().contains(Feature::snappy));
        CHECK(talk.bootstrap.features().contains(Feature::unordered_execution) == !keep_order);
        CHECK(talk.bootstrap.features().contains(Feature::xerror));
    }
}

TEST_CASE("compression=force does not work with a node that has none", "[couchbase bootstrap]") {
    Talk without(settings_for({.compression = Compression::force}));
    CHECK(without.run() == Progress::failed);
    without.fails(errc::feature_not_available, "Snappy");
    Talk with(settings_for({.compression = Compression::force}));
    with.granted = features({Feature::snappy});
    CHECK(with.run() == Progress::done);
}

TEST_CASE("nothing is granted, no error map, no list of mechanisms: it works all the same", "[couchbase bootstrap]") {
    Talk talk;
    CHECK(talk.next({}) == Progress::more);
    CHECK(talk.next({.status = Status::unknown_command}) == Progress::more);
    CHECK(talk.next({.status = Status::unknown_command}) == Progress::more);
    CHECK(talk.run() == Progress::done);
    CHECK(talk.bootstrap.features().size() == 0);
    CHECK_FALSE(talk.bootstrap.error_map());

    for (const std::string_view odd : {"", "{", "[]", "{\"version\":2}", "\xff\xfe"}) {
        Talk other;
        CHECK(other.next() == Progress::more);
        CHECK(other.next({.value = std::string(odd)}) == Progress::more);
        CHECK(other.run() == Progress::done);
        CHECK_FALSE(other.bootstrap.error_map());
    }
}

TEST_CASE("answers to nothing, to another thing, or twice are a protocol error", "[couchbase bootstrap]") {
    const auto wrong = [](const std::function<protocol::Response(const Said&)>& make) {
        Talk talk;
        const Said request = talk.unanswered.front();
        CHECK(talk.raw(make(request)) == Progress::failed);
        talk.fails(errc::protocol_error, "what it was not asked");
    };
    wrong([](const Said& one) { return protocol::Response{.opcode = one.opcode, .opaque = one.opaque + 4}; });
    wrong([](const Said& one) { return protocol::Response{.opcode = one.opcode, .opaque = one.opaque - 1}; });
    wrong([](const Said& one) { return protocol::Response{.opcode = one.opcode, .opaque = 0}; });
    wrong([](const Said& one) { return protocol::Response{.opcode = Opcode::noop, .opaque = one.opaque}; });
    wrong([](const Said& one) { return protocol::Response{.opcode = Opcode::sasl_auth, .opaque = one.opaque}; });
    {
        Talk talk;
        const Said hello = talk.unanswered.front();
        CHECK(talk.next() == Progress::more);
        CHECK(talk.answer(hello, talk.good(hello)) == Progress::failed);
        talk.fails(errc::protocol_error, "what it was not asked");
    }
    {
        Talk talk;  // SELECT_BUCKET was not sent yet
        CHECK(talk.next() == Progress::more);
        CHECK(talk.raw({.opcode = Opcode::select_bucket, .opaque = talk.heard[0].opaque + 5}) == Progress::failed);
    }
}

TEST_CASE("pushes may come at any time", "[couchbase bootstrap]") {
    Talk talk;
    const std::string push =
        protocol::encoded(protocol::ServerRequest{.opaque = talk.unanswered.front().opaque,
                                                  .extras = std::string_view("\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2", 16),
                                                  .key = "travel",
                                                  .value = "{}"});
    protocol::Frame frame;
    REQUIRE(protocol::parse_frame(push, frame).status == protocol::ParseStatus::complete);
    Progress progress = Progress::more;
    while (progress == Progress::more) {
        std::string out;
        CHECK(talk.bootstrap.on_frame(frame, out) == Progress::more);
        CHECK(out.empty());
        progress = talk.next();
    }
    CHECK(progress == Progress::done);
}

TEST_CASE("who does not know HELLO is no Couchbase server", "[couchbase bootstrap]") {
    for (const Status status : {Status::unknown_command, Status::auth_error}) {
        Talk talk;
        CHECK(talk.next({.status = status, .value = "Unknown command"}) == Progress::failed);
        talk.fails(errc::protocol_error, "not a Couchbase server");
    }
    for (const char* odd : {"\0", "\0\x07\0", "abc"}) {
        Talk talk;
        CHECK(talk.next({.value = std::string(odd, odd[0] == 'a' ? 3 : odd[1] == '\0' ? 1 : 3)}) == Progress::failed);
        talk.fails(errc::protocol_error, "HELLO is malformed");
    }
    {
        Talk talk;
        CHECK(talk.next({.status = Status::einval}) == Progress::failed);
        talk.fails(errc::protocol_error, "HELLO is answered with status 0x04 (EINVAL)");
    }
    // A memcached says nothing, or closes (protocol.md 2.9).
    Talk talk;
    CHECK_THAT(talk.bootstrap.reason_of_loss("the server closed the connection"),
               Catch::StartsWith("the server closed the connection; ") && Catch::Contains("not a Couchbase server"));
    CHECK_THAT(talk.bootstrap.reason_of_loss("unknown magic", "HTTP/1.1 400 Bad Request\r\n"), Catch::Contains("HTTP"));
    CHECK(talk.next() == Progress::more);
    CHECK_THAT(talk.bootstrap.reason_of_loss("the server closed the connection"),
               !Catch::Contains("not a Couchbase server"));
}

TEST_CASE("a bucket that is not there, or not for this user", "[couchbase bootstrap]") {
    for (const Status status : {Status::key_enoent, Status::eaccess}) {
        Talk talk;
        CHECK(talk.run(Opcode::select_bucket) == Progress::more);
        CHECK(talk.next({.status = status}) == Progress::failed);
        talk.fails(errc::bucket_not_found, "bucket \"travel\" does not exist, or user \"me\" has no access to it");
    }
}

TEST_CASE("what may go well in a while says so", "[couchbase bootstrap]") {
    for (const Opcode opcode :
         {Opcode::hello, Opcode::sasl_auth, Opcode::sasl_step, Opcode::select_bucket, Opcode::get_cluster_config}) {
        for (const Status status : {Status::etmpfail, Status::ebusy, Status::enomem, Status::not_initialized}) {
            Talk talk;
            CHECK(talk.run(opcode) == Progress::more);
            CHECK(talk.next({.status = status}) == Progress::failed);
            talk.fails(errc::temporary_failure, "status 0x", true);
        }
        Talk talk;  // known by the error map only
        CHECK(talk.run(opcode) == Progress::more);
        CHECK(talk.next({.status = static_cast<Status>(0xf0)}) == Progress::failed);
        if (opcode == Opcode::hello) {
            talk.fails(errc::protocol_error, "0xf0");
        } else {
            talk.fails(errc::temporary_failure, "status 0xf0 (ODD)", true);
        }
    }
    {
        Talk talk;
        CHECK(talk.run(Opcode::select_bucket) == Progress::more);
        CHECK(talk.next({.status = Status::not_supported}) == Progress::failed);
        talk.fails(errc::temporary_failure, "not ready to select a bucket", true);
    }
    {
        Talk talk;
        CHECK(talk.run(Opcode::select_bucket) == Progress::more);
        CHECK(talk.next({.status = Status::rate_limited_max_connections}) == Progress::failed);
        talk.fails(errc::rate_limited, "0x32", true);
    }
    {
        Talk talk;
        CHECK(talk.run(Opcode::get_cluster_config) == Progress::more);
        CHECK(talk.next({.status = Status::key_enoent}) == Progress::failed);
        talk.fails(errc::temporary_failure, "bucket \"travel\" has no cluster map yet", true);
    }
}

TEST_CASE("a map that cannot be had", "[couchbase bootstrap]") {
    for (const Status status : {Status::unknown_command, Status::not_supported, Status::no_bucket}) {
        Talk talk;
        CHECK(talk.run(Opcode::get_cluster_config) == Progress::more);
        CHECK(talk.next({.status = status}) == Progress::failed);
        talk.fails(errc::unsupported_operation, "map of bucket \"travel\"");
    }
    {
        Talk talk;
        CHECK(talk.run(Opcode::get_cluster_config) == Progress::more);
        CHECK(talk.next({.status = Status::einternal}) == Progress::failed);
        talk.fails(errc::internal_server_failure, "0x84");
    }
    {
        Talk talk;
        CHECK(talk.run(Opcode::get_cluster_config) == Progress::more);
        CHECK(talk.next({}) == Progress::failed);
        talk.fails(errc::protocol_error, "the server's cluster map is empty");
    }
}

TEST_CASE("a map that is known need not be sent again, where the server can compare", "[couchbase bootstrap]") {
    {
        Talk talk(settings_for(), {.known_map = protocol::ConfigRevision{2, 4217}});
        talk.granted = features({Feature::get_cluster_config_with_known_version});
        CHECK(talk.run(Opcode::get_cluster_config) == Progress::more);
        CHECK(talk.unanswered.front().extras == std::string_view("\0\0\0\0\0\0\0\2\0\0\0\0\0\0\x10\x79", 16));
        CHECK(talk.next({}) == Progress::done);
        CHECK(talk.bootstrap.config().empty());
    }
    {
        Talk talk(settings_for(), {.known_map = protocol::ConfigRevision{2, 4217}});
        CHECK(talk.run(Opcode::get_cluster_config) == Progress::more);
        CHECK(talk.unanswered.front().extras.empty());
        CHECK(talk.next({}) == Progress::failed);
    }
}

TEST_CASE("answers are parsed from any pieces", "[couchbase bootstrap]") {
    Talk talk;
    Progress progress = Progress::more;
    while (progress == Progress::more) {
        const Said request = talk.unanswered.front();
        talk.unanswered.pop_front();
        const Answer answer = talk.good(request);
        const std::string bytes = protocol::encoded(protocol::Response{
            .opcode = request.opcode, .status = answer.status, .opaque = request.opaque, .value = answer.value});
        protocol::Frame frame;
        for (std::size_t length = 0; length < bytes.size(); ++length) {
            REQUIRE(protocol::parse_frame(std::string_view(bytes).substr(0, length), frame).status ==
                    protocol::ParseStatus::need_more);
        }
        progress = talk.answer(request, answer);
    }
    CHECK(progress == Progress::done);
}

TEST_CASE("a hostile server gets no further than an error", "[couchbase bootstrap]") {
    std::mt19937 random(4217);
    const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
    constexpr Status statuses[] = {Status::success,    Status::success,   Status::auth_continue,
                                   Status::auth_error, Status::etmpfail,  Status::unknown_command,
                                   Status::eaccess,    Status::key_enoent};
    int failed = 0, done = 0;
    for (int run = 0; run < 3000; ++run) {
        Talk talk(settings_for({.allow_plain = run % 2 == 0}));
        Progress progress = Progress::more;
        for (int answers = 0; progress == Progress::more && answers < 40 && !talk.unanswered.empty(); ++answers) {
            const std::size_t which = below(talk.unanswered.size());
            const Said request = talk.unanswered[which];
            talk.unanswered.erase(talk.unanswered.begin() + static_cast<std::ptrdiff_t>(which));
            Answer answer = talk.good(request);
            if (below(6) == 0) answer.status = statuses[below(std::size(statuses))];
            if (below(6) == 0 && !answer.value.empty())
                answer.value[below(answer.value.size())] = static_cast<char>(random());
            if (below(12) == 0) answer.value.resize(below(300), 'x');
            progress = talk.answer(request, answer);
        }
        failed += progress == Progress::failed;
        done += progress == Progress::done;
        if (progress == Progress::failed) CHECK_FALSE(talk.bootstrap.reason().empty());
        if (progress == Progress::done) CHECK(talk.authenticated);
    }
    CHECK(failed > 300);
    CHECK(done > 100);
    CHECK(failed + done == 3000);  // never stuck
}
