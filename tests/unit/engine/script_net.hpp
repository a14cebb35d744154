#pragma once

// The network of a ScriptLoop: connections as the far end sees them, and what shall fail.

#include <chaise/http.hpp>
#include <chaise/iops.hpp>

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace chaise::testing {

/// One connection, as the far end sees it.
struct Link {
    std::string received;               ///< everything the client wrote
    std::size_t parsed = 0;             ///< how much of it the server has read
    std::vector<std::size_t> writes;    ///< bytes of each write call that took something
    std::size_t window = SIZE_MAX;      ///< bytes that are still taken
    std::size_t read_chunk = SIZE_MAX;  ///< most that one read gets
    std::string to_client;
    bool end_of_stream = false;
    std::error_code read_error;   ///< told by the next read
    std::error_code write_error;  ///< told by the next write
    bool closed_by_client = false;
    unsigned reads_armed = 0;
    Endpoint endpoint;

    TransportHandler* handler = nullptr;
    MutableBuffer buffer;
    bool reading = false;
    bool waiting_writable = false;

    void send(std::string_view bytes) { to_client += bytes; }
    void close() { end_of_stream = true; }
    void reset();
    [[nodiscard]] bool readable() const;
    [[nodiscard]] bool writable() const;
};

/// Which step of a script fails: they are counted from 1 in the order in which they happen.
struct StepFault {
    unsigned at = 0;  ///< 0: none
    unsigned steps = 0;
    bool hit() { return ++steps == at; }
};

/// The network of a ScriptLoop, and what it shall do.
struct ScriptNet {
    ScriptNet();
    ~ScriptNet();
    ScriptNet(const ScriptNet&) = delete;
    ScriptNet& operator=(const ScriptNet&) = delete;

    struct Step final : Pending {
        ResolveHandler* resolve = nullptr;
        ConnectHandler* connect = nullptr;
        ServiceHandler* service = nullptr;
        Endpoint endpoint;
        std::string host;
        std::shared_ptr<std::list<Step*>> pending;
        ~Step() override;
    };
    std::shared_ptr<std::list<Step*>> pending = std::make_shared<std::list<Step*>>();
    std::shared_ptr<StepFault> fault = std::make_shared<StepFault>();
    std::map<std::string, std::vector<std::string>> addresses;  ///< default: the host itself
    std::error_code resolve_error;
    std::optional<std::map<std::string, std::vector<ServiceTarget>>> services;  ///< SRV records; none: no such lookup
    bool hang_service = false;
    std::vector<std::string> services_asked;
    std::map<std::string, std::error_code> connect_errors;  ///< by address; "*" for all
    std::set<std::string> unresolvable;
    std::set<std::string> hanging;  ///< hosts of which nothing is heard, not even a refusal
    bool hang_resolve = false;
    bool hang_connect = false;
    std::vector<std::shared_ptr<Link>> links;  ///< every connection there was
    std::vector<std::string> resolved;         ///< every name that was asked for
    std::vector<Endpoint> attempts;            ///< every connection that was tried
    std::function<void(Link&)> on_accept;
    std::function<void(Link&)> server;                  ///< reads what has arrived, answers
    std::function<std::unique_ptr<HttpClient>()> http;  ///< none: there is no HTTP

    [[nodiscard]] Link& link() { return *links.back(); }
};

}  // namespace chaise::testing
