// Bootstrap and Backoff.

#include "session/bootstrap.hpp"
#include "protocol/request_decoder.hpp"
#include "protocol/response_encoder.hpp"
#include "session/backoff.hpp"

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::detail;
using namespace std::chrono_literals;
using protocol::Opcode;
using protocol::Status;
using Progress = Bootstrap::Progress;

namespace {

Settings with(std::string_view user, std::string_view password, bool allow_plain = false) {
    return Settings::make("memcached://h", {.username = user, .password = password, .allow_plain = allow_plain});
}

/// The server's half, played by the test.
struct Talk {
    explicit Talk(Settings its_settings) : settings(std::move(its_settings)) {
        REQUIRE(bootstrap.start(out) == Progress::more);
    }
    /// What the client said last.
    protocol::Frame said() {
        last = std::exchange(out, {});
        protocol::Frame frame;
        const auto parsed = protocol::parse_frame(last, frame);
        REQUIRE(parsed.status == protocol::ParseStatus::complete);
        REQUIRE(parsed.size == last.size());
        return frame;
    }
    Progress answer(Opcode opcode, Status status, std::string_view value = {}, std::uint32_t opaque = 0xffffffff) {
        const std::string bytes =
            protocol::encoded(protocol::Response{.opcode = opcode, .status = status, .opaque = opaque, .value = value});
        protocol::Frame frame;
        REQUIRE(protocol::parse_frame(bytes, frame).status == protocol::ParseStatus::complete);
        return bootstrap.on_frame(frame, out);
    }
    /// The whole conversation with a server that has these mechanisms; the name of what was chosen.
    std::pair<Progress, std::string> authenticate(std::string_view mechanisms, bool cyrus = true) {
        REQUIRE(said().opcode == Opcode::sasl_list_mechs);
        Progress progress = answer(Opcode::sasl_list_mechs, Status::success, mechanisms);
        if (progress != Progress::more) return {progress, {}};
        auto frame = said();
        REQUIRE(frame.opcode == Opcode::sasl_auth);
        const std::string mechanism(frame.key);
        protocol::SaslServer server(mechanism, {.password_of = [](std::string_view user) -> std::optional<std::string> {
                                                    return user == "me" ? std::optional<std::string>("secret")
                                                                        : std::nullopt;
                                                },
                                                .nonce = "nonce-of-the-server-12345",
                                                .salt = "salt-of-16-bytes",
                                                .iterations = 4096,
                                                .cyrus = cyrus});
        for (int i = 0; i < 10; ++i) {
            const auto reply = server.step(frame.value);
            progress = answer(frame.opcode, reply.status, reply.data);
            if (progress != Progress::more) return {progress, mechanism};
            frame = said();
            REQUIRE(frame.opcode == Opcode::sasl_step);
            REQUIRE(frame.key == mechanism);
        }
        FAIL("no end of the conversation");
        return {};
    }
    Settings settings;
    Bootstrap bootstrap{settings, "a-nonce-of-the-client-0123456789"};
    std::string out;
    std::string last;
};

}  // namespace

TEST_CASE("without credentials a NOOP is said, nothing else, and its answer is enough", "[bootstrap]") {
    Talk talk(with("", ""));
    const auto frame = talk.said();
    CHECK(frame.opcode == Opcode::noop);
    CHECK(talk.last.size() == protocol::header_size);
    CHECK(talk.answer(Opcode::noop, Status::success) == Progress::done);
    CHECK(talk.out.empty());
}

TEST_CASE("a server that wants credentials and gets none", "[bootstrap]") {
    for (const Status status : {Status::auth_error, Status::eaccess}) {
        Talk talk(with("", ""));
        CHECK(talk.answer(Opcode::noop, status) == Progress::failed);
        CHECK(talk.bootstrap.error() == errc::authentication_failure);
        CHECK_THAT(talk.bootstrap.reason(), Catch::Contains("username"));
    }
}

TEST_CASE("a NOOP that is answered strangely is a protocol error", "[bootstrap]") {
    {
        Talk talk(with("", ""));
        CHECK(talk.answer(Opcode::noop, Status::unknown_command) == Progress::failed);
        CHECK(talk.bootstrap.error() == errc::protocol_error);
        CHECK_THAT(talk.bootstrap.reason(), Catch::Contains("0x81"));
    }
    {
        Talk talk(with("", ""));
        CHECK(talk.answer(Opcode::get, Status::success) == Progress::failed);
        CHECK(talk.bootstrap.error() == errc::protocol_error);
    }
    {
        Talk talk(with("", ""));
        CHECK(talk.answer(Opcode::noop, Status::success, {}, 17) == Progress::failed);
        CHECK(talk.bootstrap.error() == errc::protocol_error);
    }
}

TEST_CASE("the strongest mechanism that the server lists is taken", "[bootstrap]") {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"PLAIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256", "SCRAM-SHA-256"},
        {"SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 PLAIN", "SCRAM-SHA-256"},
        {"PLAIN SCRAM-SHA-1 CRAM-MD5", "SCRAM-SHA-1"},
        {"CRAM-MD5 PLAIN", "CRAM-MD5"},
        {"SCRAM-SHA256 PLAIN", "SCRAM-SHA256"},
    };
    for (const bool allow_plain : {false, true}) {
        for (const auto& [listed, chosen] : cases) {
            for (const bool cyrus : {false, true}) {
                Talk talk(with("me", "secret", allow_plain));
                const auto [progress, mechanism] = talk.authenticate(listed, cyrus);
                INFO(listed << ": " << talk.bootstrap.reason());
                CHECK(progress == Progress::done);
                CHECK(mechanism == chosen);
            }
        }
    }
}

TEST_CASE("a wrong password, by every mechanism", "[bootstrap]") {
    for (const char* mechanism : {"SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN"}) {
        for (const auto& [user, password] : {std::pair{"me", "wrong"}, std::pair{"you", "secret"}}) {
            Talk talk(with(user, password, true));
            CHECK(talk.authenticate(mechanism).first == Progress::failed);
            CHECK(talk.bootstrap.error() == errc::authentication_failure);
            CHECK_THAT(talk.bootstrap.reason(), Catch::Contains(user) && Catch::Contains(mechanism));
            CHECK_THAT(talk.bootstrap.reason(), !Catch::Contains(password));  // it would land in logs
        }
    }
}

TEST_CASE("PLAIN is refused unless it is allowed, and then said only if nothing better is listed", "[bootstrap]") {
    {
        Talk talk(with("me", "secret", false));
        CHECK(talk.authenticate("PLAIN").first == Progress::failed);
        CHECK(talk.bootstrap.error() == errc::authentication_failure);
        CHECK_THAT(talk.bootstrap.reason(), Catch::Contains("allow_plain"));
        CHECK(talk.out.empty());  // the password was not sent
    }
    {
        Talk talk(with("me", "secret", true));
        CHECK(talk.authenticate("PLAIN") == std::pair{Progress::done, std::string("PLAIN")});
    }
}

TEST_CASE("a server without SASL, or without a mechanism in common", "[bootstrap]") {
    {
        Talk talk(with("me", "secret"));
        CHECK(talk.answer(Opcode::sasl_list_mechs, Status::unknown_command) == Progress::failed);
        CHECK(talk.bootstrap.error() == errc::authentication_failure);
        CHECK_THAT(talk.bootstrap.reason(), Catch::Contains("without a username"));
    }
    {
        Talk talk(with("me", "secret", true));
        CHECK(talk.authenticate("GSSAPI OAUTHBEARER").first == Progress::failed);
        CHECK_THAT(talk.bootstrap.reason(), Catch::Contains("GSSAPI OAUTHBEARER"));
    }
    {
        Talk talk(with("me", "secret"));
        CHECK(talk.answer(Opcode::sasl_list_mechs, Status::einternal) == Progress::failed);
        CHECK_THAT(talk.bootstrap.reason(), Catch::Contains("0x84"));
    }
}

TEST_CASE("back-off doubles to one second, from the upper half, and starts anew only after a healthy while",
          "[backoff]") {
    for (const std::uint64_t random : {std::uint64_t{0}, std::uint64_t{12345}, ~std::uint64_t{0}}) {
        Backoff backoff;
        Duration full = 10ms;
        for (int i = 0; i < 20; ++i) {
            const Duration delay = backoff.next(random);
            CHECK(delay >= full / 2);
            CHECK(delay <= full);
            full = std::min<Duration>(full * 2, 1s);
        }
        backoff.connection_held(999ms);
        CHECK(backoff.next(random) >= 500ms);
        backoff.connection_held(1s);
        CHECK(backoff.next(random) <= 10ms);
    }
    // Drawn, not fixed.
    std::vector<Duration> drawn;
    for (std::uint64_t i = 0; i < 100; ++i) {
        Backoff backoff;
        drawn.push_back(backoff.next(i * 0x9e3779b97f4a7c15));
    }
    const auto [least, most] = std::minmax_element(drawn.begin(), drawn.end());
    CHECK(*most - *least > 4ms);
}
