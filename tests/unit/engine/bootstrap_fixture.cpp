#include "tests/unit/engine/bootstrap_fixture.hpp"

#include "protocol/request_decoder.hpp"
#include "protocol/response_encoder.hpp"

#include <catch2/catch.hpp>

#include <utility>

namespace chaise::testing {

Settings settings_for(BucketOptions options) {
    if (options.username.empty()) options.username = "me";
    if (options.password.empty()) options.password = "secret";
    if (options.bucket.empty()) options.bucket = "travel";
    return Settings::make("couchbase://h", options);
}

std::string features(std::initializer_list<protocol::Feature> list) {
    std::string value;
    for (const protocol::Feature feature : list) {
        const auto code = static_cast<unsigned>(feature);
        value += {static_cast<char>(code >> 8), static_cast<char>(code & 255)};
    }
    return value;
}

Talk::Talk(Settings its_settings, CouchbaseBootstrap::Identity identity)
    : settings(std::move(its_settings)), bootstrap(settings, "a-nonce-of-the-client-0123456789", identity) {
    std::string out;
    REQUIRE(bootstrap.start(out) == Progress::more);
    hear(out);
}

Talk::~Talk() = default;

void Talk::hear(std::string_view bytes) {
    while (!bytes.empty()) {
        protocol::Frame frame;
        const auto parsed = protocol::parse_frame(bytes, frame);
        REQUIRE(parsed.status == protocol::ParseStatus::complete);
        REQUIRE(frame.magic == protocol::Magic::client_request);
        REQUIRE(frame.vbucket() == 0);
        for (const Said& other : heard) REQUIRE(other.opaque != frame.opaque);
        heard.push_back(
            {frame.opcode, frame.opaque, std::string(frame.extras), std::string(frame.key), std::string(frame.value)});
        unanswered.push_back(heard.back());
        bytes.remove_prefix(parsed.size);
    }
}

std::vector<protocol::Opcode> Talk::waiting() const {
    std::vector<protocol::Opcode> opcodes;
    for (const Said& one : unanswered) opcodes.push_back(one.opcode);
    return opcodes;
}

Progress Talk::raw(const protocol::Response& response) {
    const std::string bytes = protocol::encoded(response);
    protocol::Frame frame;
    REQUIRE(protocol::parse_frame(bytes, frame).status == protocol::ParseStatus::complete);
    std::string out;
    const Progress progress = bootstrap.on_frame(frame, out);
    hear(out);
    return progress;
}

Progress Talk::answer(const Said& request, const Answer& with) {
    return raw({.opcode = request.opcode,
                .status = with.status,
                .opaque = request.opaque,
                .datatype = with.datatype,
                .value = with.value});
}

Progress Talk::next() {
    REQUIRE_FALSE(unanswered.empty());
    const Said request = unanswered.front();
    unanswered.pop_front();
    return answer(request, good(request));
}

Progress Talk::next(const Answer& with) {
    REQUIRE_FALSE(unanswered.empty());
    const Said request = unanswered.front();
    unanswered.pop_front();
    return answer(request, with);
}

Progress Talk::run(std::optional<protocol::Opcode> stop) {
    Progress progress = Progress::more;
    while (progress == Progress::more && !unanswered.empty() && unanswered.front().opcode != stop) progress = next();
    return progress;
}

Answer Talk::good(const Said& request) {
    switch (request.opcode) {
        case protocol::Opcode::hello:
            return {.value = granted};
        case protocol::Opcode::get_error_map:
            return {.value = std::string(error_map)};
        case protocol::Opcode::sasl_list_mechs:
            return {.value = mechanisms};
        case protocol::Opcode::sasl_auth:
            if (mechanisms.find(request.key) == std::string::npos) return {.status = protocol::Status::auth_error};
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
        case protocol::Opcode::sasl_step: {
            const auto reply = server->step(request.value);
            authenticated = reply.status == protocol::Status::success;
            return {.status = reply.status, .value = reply.data};
        }
        case protocol::Opcode::select_bucket:
            if (!authenticated) return {.status = protocol::Status::eaccess};
            selected = request.key;
            return {};
        case protocol::Opcode::get_cluster_config:
            if (!authenticated) return {.status = protocol::Status::eaccess};
            return {.value = "{\"rev\":1}"};
        default:
            FAIL("not asked");
            return {};
    }
}

void Talk::fails(errc code, std::string_view reason, bool temporary) const {
    CHECK(bootstrap.error() == code);
    CHECK_THAT(bootstrap.reason(), Catch::Contains(std::string(reason)));
    CHECK(bootstrap.temporary() == temporary);
    CHECK_THAT(bootstrap.reason(), !Catch::Contains("secret"));  // it would land in logs
}

}  // namespace chaise::testing
