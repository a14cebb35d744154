#pragma once

#include "tests/unit/engine/script_loop.hpp"

#include <chrono>
#include <cstdint>
#include <exception>
#include <list>
#include <memory>
#include <string_view>

namespace chaise::testing {

class ScriptTimer final : public TimerEvent {
public:
    explicit ScriptTimer(std::shared_ptr<std::list<ScriptTimer*>> armed);
    ~ScriptTimer() override;
    void arm(TimePoint at);
    void disarm() { armed_->remove(this); }
    TimePoint due{};

private:
    std::shared_ptr<std::list<ScriptTimer*>> armed_;
};

/// What a bucket sees of a ScriptLoop.
class ScriptIops final : public IOPS, public TransportFactory {
public:
    explicit ScriptIops(ScriptLoop& loop);
    ~ScriptIops() override;
    void update_event(IOEvent&, EventAction, int) override;
    void update_timer(TimerEvent& event, EventAction action, std::chrono::microseconds delay) override;
    void update_deferred(TimerEvent& event) override;
    [[nodiscard]] std::unique_ptr<TimerEvent> timer_event_factory() override;
    [[nodiscard]] TimePoint now() override;
    [[nodiscard]] WallTime wall_time() override;
    [[nodiscard]] std::uint64_t random() override;
    [[nodiscard]] TransportFactory& transport_factory() override;
    [[nodiscard]] std::unique_ptr<HttpClient> make_http_client() override;
    void on_exception(std::exception_ptr exception) noexcept override;
    void loop_gone() noexcept;

    [[nodiscard]] std::unique_ptr<Pending> connect(const Endpoint& endpoint, ConnectHandler& handler) override;
    [[nodiscard]] std::unique_ptr<Listener> listen(const Endpoint&, AcceptHandler&) override;
    [[nodiscard]] std::unique_ptr<Pending> resolve(std::string_view host, ResolveHandler& handler) override;
    [[nodiscard]] std::unique_ptr<Pending> resolve_service(std::string_view name, ServiceHandler& handler) override;

private:
    std::unique_ptr<ScriptNet::Step> step();
    ScriptLoop* loop_;
    std::shared_ptr<std::list<ScriptTimer*>> armed_;
    std::shared_ptr<std::list<ScriptTimer*>> deferred_;
    TimePoint last_{};
};

}  // namespace chaise::testing
