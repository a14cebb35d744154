#pragma once

// Couchbase nodes of a few lines behind a ScriptLoop's connections: the way to the bucket is theirs, what comes of
// operations is the test's.

#include "protocol/frame.hpp"
#include "protocol/opcode.hpp"
#include "protocol/status.hpp"
#include "tests/unit/engine/script_loop.hpp"
#include "tests/unit/engine/script_sasl.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace chaise::testing {

class ScriptNodes {
public:
    /// A request that was read, after the bootstrap.
    struct Seen {
        protocol::Opcode opcode{};
        std::uint16_t vbucket = 0;
        std::uint32_t opaque = 0;
        std::uint64_t cas = 0;
        std::string extras, key, value;
        std::string node;  ///< "host:port" that it was sent to
    };
    struct Answer {
        protocol::Status status = protocol::Status::success;
        std::uint64_t cas = 0;
        std::string extras{}, value{};
        bool silent = false;  ///< no answer
    };

    explicit ScriptNodes(ScriptLoop& loop);
    ~ScriptNodes();
    ScriptNodes(const ScriptNodes&) = delete;
    ScriptNodes& operator=(const ScriptNodes&) = delete;

    /// As GET_CLUSTER_CONFIG tells it.
    std::string map;
    /// What comes of an operation.
    std::function<Answer(const Seen&)> answer = [](const Seen&) { return Answer{}; };
    /// Changes an answer to the bootstrap: by opcode.
    std::map<protocol::Opcode, Answer> instead;
    std::vector<Seen> seen;
    std::string user = "me", password = "secret";

    /// A map of these nodes, all at port 11210: vbucket v belongs to node v mod n.
    static std::string map_of(const std::vector<std::string>& hosts, int revision, int vbuckets = 8);

private:
    using Opcode = protocol::Opcode;

    void serve(Link& link);

    Answer bootstrap(const protocol::Frame& frame, Link& link);

    ScriptSasl sasl_{user, password};
};

}  // namespace chaise::testing
