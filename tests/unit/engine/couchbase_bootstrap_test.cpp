// CouchbaseBootstrap: the server's half is played by the test.

#include "session/couchbase_bootstrap.hpp"
#include "protocol/request_decoder.hpp"
#include "protocol/response_encoder.hpp"

#include <catch2/catch.hpp>

#include <deque>
#include <set>

using namespace chaise;
using namespace chaise::detail;
using protocol::Feature;
using protocol::Opcode;
using protocol::Status;
using Progress = CouchbaseBootstrap::Progress;
using Opcodes = std::vector<Opcode>;

namespace {

constexpr std::string_view all_mechanisms = "SCRAM-SHA512 SCRAM-SHA256 SCRAM-SHA1 PLAIN";
constexpr std::string_view error_map =
    R"({"version":2,"revision":4,"errors":{"f0":{"name":"ODD","desc":"d","attrs":["temp","retry-later"]}}})";
const Opcodes first_flight = {Opcode::hello, Opcode::get_error_map, Opcode::sasl_list_mechs, Opcode::sasl_auth};
const Opcodes second_flight = {Opcode::sasl_step, Opcode::select_bucket, Opcode::get_cluster_config};

Settings settings_for(BucketOptions options = {}) {
    if (options.username.empty()) options.username = "me";
    if (options.password.empty()) options.password = "secret";
    if (options.bucket.empty()) options.bucket = "travel";
    return Settings::make("couchbase://h", options);
}

std::string features(std::initializer_list<Feature> list) {
    std::string value;
    for (const Feature feature : list) {
        const auto code = static_cast<unsigned>(feature);
        value += {static_cast<char>(code >> 8), static_cast<char>(code & 255)};
    }
    return value;
}

/// One request, copied out of what the client said.
struct Said {
    Opcode opcode{};
    std::uint32_t opaque = 0;
    std::string extras, key, value;
};

/// What an answer looks like before it is sent; a test may change it.
struct Answer {
    Status status = Status::success;
    std::string value{};
    std::uint8_t datatype = 0;
};

struct Talk {
    explicit Talk(Settings its_settings = settings_for(), CouchbaseBootstrap::Identity identity = {0x1234, 0xabcd})
        : settings(std::move(its_settings)), bootstrap(settings, "a-nonce-of-the-client-0123456789", identity) {
        std::string out;
        REQUIRE(bootstrap.start(out) == Progress::more);
        hear(out);
    }
    /// Frames must come whole, one after the other, each with an opaque of its own.
    void hear(std::string_view bytes) {
        while (!bytes.empty()) {
            protocol::Frame frame;
            const auto parsed = protocol::parse_frame(bytes, frame);
            REQUIRE(parsed.status == protocol::ParseStatus::complete);
            REQUIRE(frame.magic == protocol::Magic::client_request);
            REQUIRE(frame.vbucket() == 0);
            for (const Said& other : heard) REQUIRE(other.opaque != frame.opaque);
            heard.push_back({frame.opcode, frame.opaque, std::string(frame.extras), std::string(frame.key),
                             std::string(frame.value)});
            unanswered.push_back(heard.back());
            bytes.remove_prefix(parsed.size);
        }
    }
    Opcodes waiting() const {
        Opcodes opcodes;
        for (const Said& one : unanswered) opcodes.push_back(one.opcode);
        return opcodes;
    }
    Progress raw(const protocol::Response& response) {
        const std::string bytes = protocol::encoded(response);
        protocol::Frame frame;
        REQUIRE(protocol::parse_frame(bytes, frame).status == protocol::ParseStatus::complete);
        std::string out;
        const Progress progress = bootstrap.on_frame(frame, out);
        hear(out);
        return progress;
    }
    Progress answer(const Said& request, const Answer& with) {
        return raw({.opcode = request.opcode,
                    .status = with.status,
                    .opaque = request.opaque,
                    .datatype = with.datatype,
                    .value = with.value});
    }
    /// Answers the oldest unanswered request as a good server does.
    Progress next() {
        REQUIRE_FALSE(unanswered.empty());
        const Said request = unanswered.front();
        unanswered.pop_front();
        return answer(request, good(request));
    }
    Progress next(const Answer& with) {
        REQUIRE_FALSE(unanswered.empty());
        const Said request = unanswered.front();
        unanswered.pop_front();
        return answer(request, with);
    }
    /// Until it ends, or `stop` is the next to be answered.
    Progress run(std::optional<Opcode> stop = {}) {
        Progress progress = Progress::more;
        while (progress == Progress::more && !unanswered.empty() && unanswered.front().opcode != stop)
            progress = next();
        return progress;
    }
    Answer good(const Said& request) {
        switch (request.opcode) {
            case Opcode::hello:
                return {.value = granted};
            case Opcode::get_error_map:
                return {.value = std::string(error_map)};
            case Opcode::sasl_list_mechs:
                return {.value = mechanisms};
            case Opcode::sasl_auth:
                if (mechanisms.find(request.key) == std::string::npos) return {.status = Status::auth_error};
                server.emplace(request.key, protocol::SaslServerOptions{
                                                .password_of = [](std::string_view user) -> std::optional<std::string> {
                                                    if (user != "me") return std::nullopt;
                                                    return "secret";
                                                },
                                                .nonce = "nonce-of-the-server-12345",
                                                .salt = "salt-of-16-bytes",
                                                .iterations = 4096,
                                                .cyrus = cyrus});
                [[fallthrough]];
            case Opcode::sasl_step: {
                const auto reply = server->step(request.value);
                authenticated = reply.status == Status::success;
                return {.status = reply.status, .value = reply.data};
            }
            case Opcode::select_bucket:
                if (!authenticated) return {.status = Status::eaccess};
                selected = request.key;
                return {};
            case Opcode::get_cluster_config:
                if (!authenticated) return {.status = Status::eaccess};
                return {.value = "{\"rev\":1}"};
            default:
                FAIL("not asked");
                return {};
        }
    }
    void fails(errc code, std::string_view reason, bool temporary = false) const {
        CHECK(bootstrap.error() == code);
        CHECK_THAT(bootstrap.reason(), Catch::Contains(std::string(reason)));
        CHECK(bootstrap.temporary() == temporary);
        CHECK_THAT(bootstrap.reason(), !Catch::Contains("secret"));  // it would land in logs
    }

    Settings settings;
    CouchbaseBootstrap bootstrap;
    std::string granted = features({Feature::tcp_nodelay, Feature::xerror, Feature::json, Feature::tracing});
    std::string mechanisms{all_mechanisms};
    bool cyrus = false;
    bool authenticated = false;
    std::string selected;
    std::optional<protocol::SaslServer> server;
    std::deque<Said> heard;
    std::deque<Said> unanswered;
};

}  // namespace

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
    const std::set<std::uint16_t> all = {0x03, 0x04, 0x06, 0x07, 0x08, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e,
                                         0x0f, 0x10, 0x11, 0x14, 0x15, 0x17, 0x18, 0x1d, 0x1e, 0x20};
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
        talk.granted =
            features({Feature::collections, Feature::snappy, Feature::unordered_execution, Feature::xerror}) +
            std::string("\x7f\x7f");
        REQUIRE(talk.run() == Progress::done);
        CHECK_FALSE(talk.bootstrap.features().contains(Feature::collections));
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
