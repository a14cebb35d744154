#pragma once

// A memcached that listens: an engine behind the transport seam, on any IOPS, simulated or real. It can be told to
// misbehave, as the list at the end of protocol.md section 10 has it.

#include <chaise/iops.hpp>
#include <chaise/transport.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "cluster/memcached/engine.hpp"

namespace chaise::testing {

enum class MemcachedFault : std::uint8_t {
    delay,         ///< the request, and whatever comes behind it on the connection, waits
    status,        ///< answered with this status, not executed
    lose_request,  ///< not executed, not answered
    lose_answer,   ///< executed, not answered
    silence,       ///< from now on the connection takes everything and answers nothing
    close_before,  ///< closed, not executed
    close_after,   ///< executed, closed without the answer
    truncate,      ///< executed; closed behind this many bytes of the answer
    garbage,       ///< bytes that are no frame before the answer
    stray,         ///< before the answer, one that nobody asked for
    duplicate,     ///< answered twice
    oversized,     ///< a header that announces 2 GiB, and then silence
};
inline constexpr std::size_t memcached_fault_kinds = 12;

/// When to do what. The first rule that matches a request is applied.
struct MemcachedRule {
    MemcachedFault fault{};
    std::optional<protocol::Opcode> opcode{};  ///< absent: any
    std::uint64_t skip = 0;                    ///< matching requests to leave alone first
    std::uint64_t times = 1;                   ///< then this often; 0: for ever
    double probability = 1;                    ///< each time; drawn from the IOPS
    Duration delay{};                          ///< of delay
    protocol::Status status{};                 ///< of status
    std::size_t bytes = 24;                    ///< of truncate and garbage
};

struct MemcachedServerOptions {
    Endpoint listen{"127.0.0.1", 0};
    /// Output that may wait for a client that does not read; beyond it nothing more is executed or read for that
    /// client. One answer may exceed it.
    std::size_t output_max = std::size_t{256} * 1024;
};

class MemcachedServer final : private AcceptHandler {
public:
    /// Listens at once. Several servers may share an engine; an engine that outlives its server keeps its items.
    MemcachedServer(std::unique_ptr<IOPS> iops, std::shared_ptr<MemcachedEngine> engine,
                    MemcachedServerOptions options = {});
    MemcachedServer(const MemcachedServer&) = delete;
    MemcachedServer& operator=(const MemcachedServer&) = delete;
    ~MemcachedServer();

    [[nodiscard]] Endpoint endpoint() const { return listener_->local_endpoint(); }
    [[nodiscard]] MemcachedEngine& engine() noexcept { return *engine_; }
    [[nodiscard]] std::size_t connections() const noexcept { return sessions_.size(); }
    void close_connections();

    void inject(const MemcachedRule& rule) { rules_.push_back({rule, 0, 0}); }
    void clear_rules() noexcept { rules_.clear(); }
    [[nodiscard]] std::uint64_t injected(MemcachedFault fault) const noexcept {
        return injected_[static_cast<std::size_t>(fault)];
    }
    /// Most output that ever waited for one client.
    [[nodiscard]] std::size_t output_peak() const noexcept { return output_peak_; }

private:
    class Session;
    struct Rule {
        MemcachedRule rule;
        std::uint64_t seen = 0;
        std::uint64_t applied = 0;
    };

    void on_accept(std::unique_ptr<Transport> transport) override;
    [[nodiscard]] const MemcachedRule* match(protocol::Opcode opcode);
    void remove(Session& session) noexcept;
    [[nodiscard]] UnixSeconds seconds();

    std::unique_ptr<IOPS> iops_;
    std::shared_ptr<MemcachedEngine> engine_;
    MemcachedServerOptions options_;
    TimePoint started_;
    WallTime started_wall_;
    std::vector<Rule> rules_;
    std::array<std::uint64_t, memcached_fault_kinds> injected_{};
    std::size_t output_peak_ = 0;
    std::vector<std::unique_ptr<Session>> sessions_;
    std::unique_ptr<Listener> listener_;
};

}  // namespace chaise::testing
