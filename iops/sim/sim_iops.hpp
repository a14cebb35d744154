#pragma once

#include "iops/sim/sim_core.hpp"
#include "iops/sim/sim_network.hpp"

#include <memory>

namespace chaise::testing::sim {

class SimTimer final : public TimerEvent, public Scheduled {
public:
    SimTimer(std::shared_ptr<Core> core, Host& host) noexcept;
    ~SimTimer() override;
    void fire() override { ready(0); }

private:
    std::shared_ptr<Core> core_;
};

class SimIops final : public IOPS {
public:
    SimIops(std::shared_ptr<Core> core, Host& host, const SimRandom& random);
    ~SimIops() override;

    // Never touches the event: there are no descriptors here.
    void update_event(IOEvent& event, EventAction action, int flags) override;
    void update_timer(TimerEvent& event, EventAction action, std::chrono::microseconds delay) override;
    [[nodiscard]] std::unique_ptr<TimerEvent> timer_event_factory() override;
    [[nodiscard]] TimePoint now() override { return core_->read_clock(); }
    [[nodiscard]] WallTime wall_time() override { return core_->wall_time(); }
    [[nodiscard]] std::uint64_t random() override { return random_(); }
    [[nodiscard]] TransportFactory& transport_factory() override { return transports_; }
    [[nodiscard]] std::unique_ptr<HttpClient> make_http_client() override;
    void on_exception(std::exception_ptr exception) noexcept override;

    void loop_gone() noexcept {
        told_ = true;
        notify_loop_destroyed();
    }
    [[nodiscard]] bool told() const noexcept { return told_; }
    [[nodiscard]] const Host& host() const noexcept { return host_; }
    [[nodiscard]] std::uint32_t incarnation() const noexcept { return incarnation_; }
    [[nodiscard]] bool alive() const noexcept {
        return !core_->dead() && host_.alive && incarnation_ == host_.incarnation;
    }

private:
    std::shared_ptr<Core> core_;
    Host& host_;
    std::uint32_t incarnation_;
    bool told_ = false;
    SimRandom random_;
    SimTransportFactory transports_;
};

}  // namespace chaise::testing::sim
