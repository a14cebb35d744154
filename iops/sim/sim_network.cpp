#include "iops/sim/sim_network.hpp"

#include <algorithm>
#include <utility>

namespace chaise::testing::sim {

namespace {

Duration draw_latency(const Core& core, SimRandom& random) {
    return core.options.latency_min + random.exponential(core.options.latency_mean - core.options.latency_min);
}

bool is_numeric(std::string_view name) noexcept {
    return name.find(':') != std::string_view::npos || name.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace

bool is_loopback(std::string_view address) noexcept {
    return address == "127.0.0.1" || address == "::1" || address == "localhost";
}

// ---- listener -------------------------------------------------------------------------------------------------------

SimListener::SimListener(std::shared_ptr<Core> core, Host& host, Endpoint endpoint, AcceptHandler& handler)
    : Scheduled(Kind::accept, &host),
      core_(std::move(core)),
      host_(host),
      endpoint_(std::move(endpoint)),
      handler_(handler) {
    host_.listeners[endpoint_.port] = this;
}

SimListener::~SimListener() {
    core_->cancel(*this);
    if (listening_) host_.listeners.erase(endpoint_.port);
    for (Waiting& waiting : backlog_) {
        waiting.link->client.receive_reset(waiting.link->latency(), true);
        waiting.link->server.closed = true;
    }
}

void SimListener::enqueue(std::shared_ptr<Link> link, Duration delay) {
    std::int64_t due = core_->now() + delay.count();
    if (!backlog_.empty()) due = std::max(due, backlog_.back().due);
    backlog_.push_back({due, std::move(link)});
    if (!scheduled()) core_->schedule(*this, Duration{due - core_->now()});
}

void SimListener::host_gone() noexcept {
    listening_ = false;
    core_->cancel(*this);
}

void SimListener::fire() {
    auto link = std::move(backlog_.front().link);
    backlog_.pop_front();
    if (!backlog_.empty()) core_->schedule(*this, Duration{backlog_.front().due - core_->now()});
    End& end = link->server;
    handler_.on_accept(std::make_unique<SimTransport>(std::move(link), end));
}

// ---- connector ------------------------------------------------------------------------------------------------------

SimConnect::SimConnect(std::shared_ptr<Core> core, Host& host, const Endpoint& endpoint, ConnectHandler& handler)
    : Scheduled(Kind::connect, nullptr),
      core_(std::move(core)),
      client_(host),
      endpoint_(endpoint),
      handler_(&handler),
      // By who, where and how often: another connection elsewhere shifts nothing here.
      random_(core_->random.fork(host.name).fork(endpoint.address, endpoint.port).fork("connect", host.connects++)),
      incarnation_(host.incarnation) {
    ++core_->pendings;
    core_->record_connect(host, endpoint);
    hung_ = random_.chance(core_->faults.connect_hung);
    if (hung_) core_->record_fault(SimFault::connect_hung, host.id);
    core_->schedule(*this, draw_latency(*core_, random_));
}

SimConnect::~SimConnect() {
    core_->cancel(*this);
    if (counted_) --core_->pendings;
    if (link_) link_->client.close();
}

void SimConnect::fire() {
    if (!decided_) {
        reach_target();
        return;
    }
    counted_ = false;
    --core_->pendings;
    std::unique_ptr<Transport> transport;
    if (link_) {
        End& end = link_->client;
        transport = std::make_unique<SimTransport>(std::move(link_), end);
    }
    handler_->on_connect(std::move(transport), error_);  // may destroy this
}

// The first packet arrives, or does not.
void SimConnect::reach_target() {
    if (client_.incarnation != incarnation_) return;
    Host* target = is_loopback(endpoint_.address) ? &client_ : core_->find_host(endpoint_.address);
    if (target == nullptr) return finish(std::make_error_code(std::errc::host_unreachable));
    if (hung_ || core_->cut_off(client_, *target)) {
        // Sent again after 1, 2, 4 … seconds, as Linux does, and given up after two minutes.
        if (attempts_ == 7) return finish(std::make_error_code(std::errc::timed_out));
        core_->schedule(*this, std::chrono::seconds{1} * (1 << attempts_++));
        return;
    }
    const auto listener = target->listeners.find(endpoint_.port);
    if (!target->alive || listener == target->listeners.end()) {
        return finish(std::make_error_code(std::errc::connection_refused));
    }
    if (random_.chance(core_->faults.connect_refused)) {
        core_->record_fault(SimFault::connect_refused, target->id);
        return finish(std::make_error_code(std::errc::connection_refused));
    }
    Endpoint local{is_loopback(endpoint_.address) ? endpoint_.address : client_.name, client_.next_port++};
    link_ = std::make_shared<Link>(core_, random_.fork("link"), client_, std::move(local), *target, endpoint_);
    listener->second->enqueue(link_, link_->latency());
    finish({});
}

void SimConnect::finish(std::error_code error) {
    error_ = error;
    decided_ = true;
    set_host(&client_);
    core_->schedule(*this, draw_latency(*core_, random_));
}

// ---- resolver -------------------------------------------------------------------------------------------------------

SimResolve::SimResolve(std::shared_ptr<Core> core, Host& host, std::string_view name, ResolveHandler& handler)
    : Scheduled(Kind::resolve, &host), core_(std::move(core)), name_(name), handler_(&handler) {
    ++core_->pendings;
    if (is_numeric(name)) {
        core_->schedule(*this, Duration::zero());
        return;
    }
    SimRandom random = core_->random.fork(host.name).fork("resolve").fork(name, host.resolves++);
    Duration delay = draw_latency(*core_, random);
    if (random.chance(core_->faults.resolve_slow)) {
        core_->record_fault(SimFault::resolve_slow, host.id);
        delay += random.exponential(std::chrono::milliseconds{200});
    }
    failing_ = random.chance(core_->faults.resolve_failed);
    if (failing_) core_->record_fault(SimFault::resolve_failed, host.id);
    core_->schedule(*this, delay);
}

SimResolve::~SimResolve() {
    core_->cancel(*this);
    if (counted_) --core_->pendings;
}

void SimResolve::fire() {
    counted_ = false;
    --core_->pendings;
    std::vector<std::string> addresses;
    if (const auto entry = core_->names.find(name_); entry != core_->names.end()) {
        addresses = entry->second;
    } else if (name_ == "localhost") {
        addresses = {"127.0.0.1", "::1"};
    } else if (is_numeric(name_) || core_->find_host(name_) != nullptr) {
        addresses = {name_};
    }
    std::error_code error;
    if (failing_ || addresses.empty()) {
        addresses.clear();
        error = std::make_error_code(std::errc::host_unreachable);
    }
    handler_->on_resolve(std::move(addresses), error);  // may destroy this
}

// ---- factory --------------------------------------------------------------------------------------------------------

std::unique_ptr<Pending> SimTransportFactory::connect(const Endpoint& endpoint, ConnectHandler& handler) {
    return std::make_unique<SimConnect>(core_, host_, endpoint, handler);
}

std::unique_ptr<Listener> SimTransportFactory::listen(const Endpoint& endpoint, AcceptHandler& handler) {
    const bool any = endpoint.address == "0.0.0.0" || endpoint.address == "::" || endpoint.address.empty();
    const auto refuse = [&](std::errc code) {
        throw std::system_error(std::make_error_code(code), "SimWorld: listen on " + endpoint.to_string());
    };
    if (core_->dead() || !host_.alive || incarnation_ != host_.incarnation) refuse(std::errc::not_connected);
    if (!any && !is_loopback(endpoint.address) && endpoint.address != host_.name) {
        refuse(std::errc::address_not_available);
    }
    Endpoint chosen = endpoint;
    if (any) chosen.address = host_.name;
    if (chosen.port == 0) {
        do {
            chosen.port = host_.next_port++;
        } while (chosen.port == 0 || host_.listeners.contains(chosen.port));
    } else if (host_.listeners.contains(chosen.port)) {
        refuse(std::errc::address_in_use);
    }
    return std::make_unique<SimListener>(core_, host_, std::move(chosen), handler);
}

std::unique_ptr<Pending> SimTransportFactory::resolve(std::string_view host, ResolveHandler& handler) {
    return std::make_unique<SimResolve>(core_, host_, host, handler);
}

}  // namespace chaise::testing::sim
