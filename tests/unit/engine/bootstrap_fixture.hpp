#pragma once

// The server's half of a CouchbaseBootstrap.

#include "protocol/request_decoder.hpp"
#include "protocol/response_encoder.hpp"
#include "protocol/sasl.hpp"
#include "session/couchbase_bootstrap.hpp"

#include <catch2/catch.hpp>

#include <deque>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::testing {

using namespace chaise::detail;
using Progress = CouchbaseBootstrap::Progress;

inline constexpr std::string_view all_mechanisms = "SCRAM-SHA512 SCRAM-SHA256 SCRAM-SHA1 PLAIN";
inline constexpr std::string_view error_map =
    R"({"version":2,"revision":4,"errors":{"f0":{"name":"ODD","desc":"d","attrs":["temp","retry-later"]}}})";
inline const std::vector<protocol::Opcode> first_flight = {protocol::Opcode::hello, protocol::Opcode::get_error_map,
                                                           protocol::Opcode::sasl_list_mechs,
                                                           protocol::Opcode::sasl_auth};
inline const std::vector<protocol::Opcode> second_flight = {
    protocol::Opcode::sasl_step, protocol::Opcode::select_bucket, protocol::Opcode::get_cluster_config};

inline Settings settings_for(BucketOptions options = {}) {
    if (options.username.empty()) options.username = "me";
    if (options.password.empty()) options.password = "secret";
    if (options.bucket.empty()) options.bucket = "travel";
    return Settings::make("couchbase://h", options);
}

inline std::string features(std::initializer_list<protocol::Feature> list) {
    std::string value;
    for (const protocol::Feature feature : list) {
        const auto code = static_cast<unsigned>(feature);
        value += {static_cast<char>(code >> 8), static_cast<char>(code & 255)};
    }
    return value;
}

/// One request, copied out of what the client said.
struct Said {
    protocol::Opcode opcode{};
    std::uint32_t opaque = 0;
    std::string extras, key, value;
};

/// What an answer looks like before it is sent; a test may change it.
struct Answer {
    protocol::Status status = protocol::Status::success;
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
    std::vector<protocol::Opcode> waiting() const {
        std::vector<protocol::Opcode> opcodes;
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
    Progress run(std::optional<protocol::Opcode> stop = {}) {
        Progress progress = Progress::more;
        while (progress == Progress::more && !unanswered.empty() && unanswered.front().opcode != stop)
            progress = next();
        return progress;
    }
    Answer good(const Said& request) {
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
    void fails(errc code, std::string_view reason, bool temporary = false) const {
        CHECK(bootstrap.error() == code);
        CHECK_THAT(bootstrap.reason(), Catch::Contains(std::string(reason)));
        CHECK(bootstrap.temporary() == temporary);
        CHECK_THAT(bootstrap.reason(), !Catch::Contains("secret"));  // it would land in logs
    }

    Settings settings;
    CouchbaseBootstrap bootstrap;
    std::string granted = features({protocol::Feature::tcp_nodelay, protocol::Feature::xerror, protocol::Feature::json,
                                    protocol::Feature::tracing});
    std::string mechanisms{all_mechanisms};
    bool cyrus = false;
    bool authenticated = false;
    std::string selected;
    std::optional<protocol::SaslServer> server;
    std::deque<Said> heard;
    std::deque<Said> unanswered;
};

}  // namespace chaise::testing
