#pragma once

// A memcached of a few lines behind a ScriptLoop's connections: answers at once, or holds its answers until it is told.

#include "protocol/frame.hpp"
#include "protocol/opcode.hpp"
#include "protocol/sasl.hpp"
#include "protocol/status.hpp"
#include "tests/unit/engine/script_loop.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace chaise::testing {

class ScriptServer {
public:
    struct Item {
        std::string value;
        std::uint32_t flags = 0;
        std::uint64_t cas = 0;
    };
    /// A request that was read.
    struct Seen {
        protocol::Opcode opcode{};
        std::string key;
        std::string value;
        std::uint32_t opaque = 0;
        std::uint32_t expiry = 0;
        std::string answer;  ///< held, or sent already
        Link* link = nullptr;
    };

    explicit ScriptServer(ScriptLoop& loop);
    ~ScriptServer();
    ScriptServer(const ScriptServer&) = delete;
    ScriptServer& operator=(const ScriptServer&) = delete;

    std::map<std::string, Item> items;
    bool hold = false;       ///< answers to operations wait for answer()
    bool mute = false;       ///< not even the bootstrap is answered
    std::string mechanisms;  ///< not empty: asks for SASL
    std::string user = "me", password = "secret";
    std::vector<Seen> seen;  ///< operations, without the bootstrap
    std::size_t bootstraps = 0;
    std::size_t executed_increments = 0;

    /// Sends the answer that is held for the n-th operation.
    void answer(std::size_t n) { seen.at(n).link->send(seen.at(n).answer); }
    void answer_all();
    [[nodiscard]] std::size_t count(protocol::Opcode opcode) const;

private:
    using Opcode = protocol::Opcode;
    using Status = protocol::Status;

    void serve(Link& link);

    std::string bootstrap(const protocol::Frame& frame);

    std::string execute(const protocol::Frame& frame);

    ScriptLoop& loop_;
    std::optional<protocol::SaslServer> sasl_;
    std::uint64_t last_cas_ = 100;
    std::size_t answered_ = 0;
};

}  // namespace chaise::testing
