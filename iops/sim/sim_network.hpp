#pragma once

// Connectors, listeners and the resolver of one simulated host.

#include "iops/sim/sim_core.hpp"
#include "iops/sim/sim_link.hpp"

#include <chaise/transport.hpp>

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

namespace chaise::testing::sim {

class SimListener final : public Listener, public Scheduled {
public:
    SimListener(std::shared_ptr<Core> core, Host& host, Endpoint endpoint, AcceptHandler& handler);
    ~SimListener();
    [[nodiscard]] Endpoint local_endpoint() const override { return endpoint_; }
    void enqueue(std::shared_ptr<Link> link, Duration delay);
    void host_gone() noexcept;  // the host forgets it; nobody is told
    void fire() override;

private:
    struct Waiting {
        std::int64_t due;
        std::shared_ptr<Link> link;
    };
    std::shared_ptr<Core> core_;
    Host& host_;
    Endpoint endpoint_;
    AcceptHandler& handler_;
    std::deque<Waiting> backlog_;
    bool listening_ = true;
};

class SimConnect final : public Pending, public Scheduled {
public:
    SimConnect(std::shared_ptr<Core> core, Host& host, const Endpoint& endpoint, ConnectHandler& handler);
    ~SimConnect();
    void fire() override;

private:
    void reach_target();
    void finish(std::error_code error);

    std::shared_ptr<Core> core_;
    Host& client_;
    Endpoint endpoint_;
    ConnectHandler* handler_;
    SimRandom random_;
    std::shared_ptr<Link> link_;
    std::error_code error_;
    std::uint32_t incarnation_;
    int attempts_ = 0;
    bool decided_ = false;
    bool hung_ = false;
    bool counted_ = true;
};

class SimResolve final : public Pending, public Scheduled {
public:
    SimResolve(std::shared_ptr<Core> core, Host& host, std::string_view name, ResolveHandler& handler);
    ~SimResolve();
    void fire() override;

private:
    std::shared_ptr<Core> core_;
    std::string name_;
    ResolveHandler* handler_;
    bool failing_ = false;
    bool counted_ = true;
};

class SimTransportFactory final : public TransportFactory {
public:
    SimTransportFactory(std::shared_ptr<Core> core, Host& host) noexcept
        : core_(std::move(core)), host_(host), incarnation_(host.incarnation) {}
    [[nodiscard]] std::unique_ptr<Pending> connect(const Endpoint& endpoint, ConnectHandler& handler) override;
    [[nodiscard]] std::unique_ptr<Listener> listen(const Endpoint& endpoint, AcceptHandler& handler) override;
    [[nodiscard]] std::unique_ptr<Pending> resolve(std::string_view host, ResolveHandler& handler) override;

private:
    std::shared_ptr<Core> core_;
    Host& host_;
    std::uint32_t incarnation_;
};

[[nodiscard]] bool is_loopback(std::string_view address) noexcept;

}  // namespace chaise::testing::sim
