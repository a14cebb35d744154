#include "tests/unit/engine/script_iops.hpp"

#include <stdexcept>
#include <utility>

namespace chaise::testing {

ScriptTimer::ScriptTimer(std::shared_ptr<std::list<ScriptTimer*>> armed) : armed_(std::move(armed)) {}

ScriptTimer::~ScriptTimer() { disarm(); }

void ScriptTimer::arm(TimePoint at) {
    disarm();
    due = at;
    armed_->push_back(this);
}

ScriptIops::ScriptIops(ScriptLoop& loop) : loop_(&loop), armed_(loop.armed_), deferred_(loop.deferred_) {
    loop.iops_.push_back(this);
}

ScriptIops::~ScriptIops() {
    if (loop_) loop_->iops_.remove(this);
}

void ScriptIops::update_event(IOEvent&, EventAction, int) { throw std::logic_error("ScriptIops has no descriptors"); }

void ScriptIops::update_timer(TimerEvent& event, EventAction action, std::chrono::microseconds delay) {
    auto& timer = static_cast<ScriptTimer&>(event);
    timer.disarm();
    if (action != EventAction::watch) deferred_->remove(&timer);
    if (action == EventAction::watch && loop_) timer.arm(loop_->now_ + delay);
}

void ScriptIops::update_deferred(TimerEvent& event) {
    if (loop_) deferred_->push_back(&static_cast<ScriptTimer&>(event));
}

std::unique_ptr<TimerEvent> ScriptIops::timer_event_factory() { return std::make_unique<ScriptTimer>(armed_); }

TimePoint ScriptIops::now() { return loop_ ? last_ = loop_->now_ : last_; }

WallTime ScriptIops::wall_time() { return loop_ ? loop_->wall : WallTime{}; }

std::uint64_t ScriptIops::random() {
    if (!loop_) return 4;
    loop_->random_ = loop_->random_ * 6364136223846793005u + 1442695040888963407u;
    return loop_->random_ >> 11;
}

TransportFactory& ScriptIops::transport_factory() { return *this; }

std::unique_ptr<HttpClient> ScriptIops::make_http_client() {
    return loop_ && loop_->net.http ? loop_->net.http() : nullptr;
}

void ScriptIops::on_exception(std::exception_ptr exception) noexcept {
    if (loop_) loop_->on_exception(std::move(exception));
}

void ScriptIops::loop_gone() noexcept {
    loop_ = nullptr;
    notify_loop_destroyed();
}

std::unique_ptr<Pending> ScriptIops::connect(const Endpoint& endpoint, ConnectHandler& handler) {
    auto step = this->step();
    step->connect = &handler;
    step->endpoint = endpoint;
    return step;
}

std::unique_ptr<Listener> ScriptIops::listen(const Endpoint&, AcceptHandler&) {
    throw std::logic_error("ScriptIops does not listen");
}

std::unique_ptr<Pending> ScriptIops::resolve(std::string_view host, ResolveHandler& handler) {
    auto step = this->step();
    step->resolve = &handler;
    step->host = host;
    return step;
}

std::unique_ptr<Pending> ScriptIops::resolve_service(std::string_view name, ServiceHandler& handler) {
    if (!loop_->net.services) return nullptr;
    loop_->net.services_asked.emplace_back(name);
    auto step = this->step();
    step->service = &handler;
    step->host = name;
    return step;
}

std::unique_ptr<ScriptNet::Step> ScriptIops::step() {
    auto step = std::make_unique<ScriptNet::Step>();
    step->pending = loop_->net.pending;
    step->pending->push_back(step.get());
    return step;
}

}  // namespace chaise::testing
