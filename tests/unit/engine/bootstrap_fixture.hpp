#pragma once

// The server's half of a CouchbaseBootstrap.

#include "protocol/feature.hpp"
#include "protocol/opcode.hpp"
#include "protocol/sasl.hpp"
#include "protocol/status.hpp"
#include "session/couchbase_bootstrap.hpp"

#include <deque>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::protocol {
struct Response;
}

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

Settings settings_for(BucketOptions options = {});

std::string features(std::initializer_list<protocol::Feature> list);

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
    explicit Talk(Settings its_settings = settings_for(), CouchbaseBootstrap::Identity identity = {0x1234, 0xabcd});
    ~Talk();
    /// Frames must come whole, one after the other, each with an opaque of its own.
    void hear(std::string_view bytes);
    std::vector<protocol::Opcode> waiting() const;
    Progress raw(const protocol::Response& response);
    Progress answer(const Said& request, const Answer& with);
    /// Answers the oldest unanswered request as a good server does.
    Progress next();
    Progress next(const Answer& with);
    /// Until it ends, or `stop` is the next to be answered.
    Progress run(std::optional<protocol::Opcode> stop = {});
    Answer good(const Said& request);
    void fails(errc code, std::string_view reason, bool temporary = false) const;

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
