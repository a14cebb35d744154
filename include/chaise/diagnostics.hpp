#pragma once

/// \file
/// How the connections are: ping asks every node, diagnostics tells what is known without asking (SDK-RFC 34). Both
/// write the RFC's JSON, version 2.

#include <chaise/options.hpp>
#include <chaise/result.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chaise {

enum class PingState : std::uint8_t { ok, timeout, error };

/// The answer of one service on one node to ping, or that there was none.
struct EndpointPing {
    std::string id;      ///< of the connection, as the server's log has it; empty: there is none, or it is of HTTP
    std::string remote;  ///< "host:port", as the cluster map or the connection string names the node
    std::string local;   ///< this end of the connection; empty: there is none, or it is of HTTP
    std::string bucket;  ///< the RFC's "namespace", of "kv"; empty: memcached
    PingState state = PingState::ok;
    Duration latency{};  ///< until the answer, or until it was given up
    std::string error;   ///< in words, unless `ok`
};

/// What ping gives. Services by name: "kv", and those that the cluster has of "views", "n1ql", "fts", "cbas" (these on
/// loops that have HTTP).
class PingResult : public Result {
public:
    using Services = std::map<std::string, std::vector<EndpointPing>, std::less<>>;
    PingResult() = default;
    PingResult(std::string id, Services services) noexcept : id_(std::move(id)), services_(std::move(services)) {}
    [[nodiscard]] const std::string& id() const noexcept { return id_; }
    [[nodiscard]] const Services& services() const noexcept { return services_; }
    /// Every endpoint answered.
    [[nodiscard]] bool all_ok() const noexcept;
    [[nodiscard]] std::string to_json() const;

private:
    std::string id_;
    Services services_;
};

enum class EndpointState : std::uint8_t { disconnected, connecting, connected, disconnecting };

/// One connection, or the attempt at one.
struct EndpointDiagnostics {
    std::string id;
    std::string remote;
    std::string local;
    std::string bucket;
    EndpointState state = EndpointState::disconnected;
    std::optional<Duration> last_activity;  ///< how long ago something was received; none: never, on this connection
    std::string details;                    ///< why the last attempt to connect failed; empty if it did not
};

/// online: every node is connected; degraded: some are; offline: none is.
enum class ClusterState : std::uint8_t { online, degraded, offline };

/// What diagnostics gives.
class DiagnosticsResult {
public:
    using Services = std::map<std::string, std::vector<EndpointDiagnostics>, std::less<>>;
    DiagnosticsResult() = default;
    DiagnosticsResult(std::string id, Services services) noexcept;
    [[nodiscard]] const std::string& id() const noexcept { return id_; }
    [[nodiscard]] const Services& services() const noexcept { return services_; }
    [[nodiscard]] ClusterState state() const noexcept { return state_; }
    [[nodiscard]] std::string to_json() const;

private:
    std::string id_;
    Services services_;
    ClusterState state_ = ClusterState::offline;
};

/// "ok", "connecting", …, as the RFC writes them.
[[nodiscard]] std::string_view name(PingState state) noexcept;
[[nodiscard]] std::string_view name(EndpointState state) noexcept;
[[nodiscard]] std::string_view name(ClusterState state) noexcept;

struct PingOptions {
    /// Of the whole: when it is over, nodes that have not answered are PingState::timeout.
    std::optional<Duration> timeout{};
    /// The report's id; default: a random one.
    std::string_view report_id{};
    /// Asks no HTTP services.
    bool key_value_only = false;
};

struct DiagnosticsOptions {
    /// The report's id; default: a random one.
    std::string_view report_id{};
};
static_assert(OperationOptions<PingOptions> && OperationOptions<DiagnosticsOptions>);

}  // namespace chaise
