#pragma once

// A conversation with a memcached as data: what is sent and what must come back, byte for byte but for the CAS. The
// same script is held against the simulated and the real one.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/opcode.hpp"
#include "protocol/status.hpp"

namespace chaise::testing {

struct ScriptRequest {
    protocol::Opcode opcode{};
    std::string key{};
    std::string extras{};
    std::string value{};
    std::string cas_of{};        // the CAS that an answer was remembered by; empty: 0
    std::uint64_t cas_plus = 0;  // added to it, for one that is wrong
    std::string raw{};           // instead of all that: bytes as they are
};

struct ScriptAnswer {
    std::size_t of = 0;  // which request of the step it answers
    protocol::Status status{};
    std::string value{};
    std::string extras{};
    std::string key{};
    bool cas = false;        // not zero
    std::string remember{};  // the CAS, under this name; implies cas
    bool any_value = false;  // differs between versions and machines: only there
};

struct ScriptStep {
    std::string name;
    std::vector<ScriptRequest> send;
    std::vector<ScriptAnswer> expect;
    bool closes = false;   // the server closes behind the answers; otherwise a NOOP ends the step
    int wait_seconds = 0;  // before it
};

// One connection at a time to a server that keeps its items between connections.
class ScriptTarget {
public:
    virtual ~ScriptTarget() = default;
    virtual void connect() = 0;
    // Sends and returns what came back until `done` holds for it, or the connection was closed (then closed = true).
    virtual std::string exchange(const std::string& bytes, const std::function<bool(std::string_view)>& done,
                                 bool& closed) = 0;
    virtual void wait(int seconds) = 0;
};

// What differed, one line each; empty: all as expected.
std::vector<std::string> run_script(ScriptTarget& target, const std::vector<ScriptStep>& script);

std::vector<ScriptStep> memcached_script();
// Against a server that asks for SASL.
std::vector<ScriptStep> unauthenticated_script();

std::string u32(std::uint32_t number);
std::string u64(std::uint64_t number);

}  // namespace chaise::testing
