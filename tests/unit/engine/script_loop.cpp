#include "tests/unit/engine/script_loop.hpp"

#include "tests/unit/engine/script_iops.hpp"
#include "tests/unit/engine/script_transport.hpp"

#include <algorithm>
#include <stdexcept>

namespace chaise::testing {

ScriptLoop::ScriptLoop() = default;

template <class F>
void ScriptLoop::guarded(F&& function) {
    try {
        function();
    } catch (...) {
        exceptions_.push_back(std::current_exception());
    }
}

bool ScriptLoop::turn() {
    if (in_turn_) throw std::logic_error("ScriptLoop::turn inside a turn");
    in_turn_ = true;
    ++turns;
    bool did = deliver_io();
    did = deliver_timers() || did;
    did = deliver_posted() || did;
    did = deliver_deferred() || did;
    in_turn_ = false;
    rethrow();
    return did;
}

void ScriptLoop::run() {
    rethrow();
    for (unsigned n = 0; turn(); ++n) {
        if (n > 100'000) throw std::logic_error("ScriptLoop: turns without end");
    }
}

void ScriptLoop::advance(Duration by) {
    const TimePoint end = now_ + by;
    run();
    while (true) {
        const auto first =
            std::min_element(armed_->begin(), armed_->end(), [](auto* a, auto* b) { return a->due < b->due; });
        if (first == armed_->end() || (*first)->due > end) break;
        now_ = std::max(now_, (*first)->due);
        run();
    }
    now_ = end;
    run();
}

void ScriptLoop::on_exception(std::exception_ptr exception) noexcept { exceptions_.push_back(std::move(exception)); }

void ScriptLoop::rethrow() {
    if (exceptions_.empty()) return;
    std::exception_ptr exception = std::move(exceptions_.front());
    exceptions_.pop_front();
    std::rethrow_exception(exception);
}

bool ScriptLoop::deliver_io() {
    bool did = false;
    auto steps = std::vector<ScriptNet::Step*>(net.pending->begin(), net.pending->end());
    for (ScriptNet::Step* step : steps) {
        if (std::find(net.pending->begin(), net.pending->end(), step) == net.pending->end()) continue;
        if (step->service ? net.hang_service : step->resolve ? net.hang_resolve : net.hang_connect) continue;
        if (step->connect && net.hanging.contains(step->endpoint.address)) continue;
        did = true;
        net.pending->remove(step);
        guarded([&] { step->service ? look_up(*step) : step->resolve ? resolve(*step) : connect(*step); });
    }
    for (std::size_t i = 0; i < net.links.size(); ++i) {
        const std::shared_ptr<Link> link = net.links[i];
        if (net.server && !link->closed_by_client) net.server(*link);
        if (link->writable()) {
            did = true;
            link->waiting_writable = false;
            guarded([&] { link->handler->on_writable(); });
        }
        if (link->readable()) {
            did = true;
            guarded([&] { read(*link); });
        }
        if (link->closed_by_client) link->handler = nullptr;
    }
    return did;
}

void ScriptLoop::look_up(ScriptNet::Step& step) {
    const auto known = net.services->find(step.host);
    if (known != net.services->end()) return step.service->on_service(known->second, {});
    step.service->on_service({}, std::make_error_code(std::errc::host_unreachable));
}

void ScriptLoop::resolve(ScriptNet::Step& step) {
    net.resolved.push_back(step.host);
    std::error_code error = net.resolve_error;
    if (net.unresolvable.contains(step.host)) error = std::make_error_code(std::errc::host_unreachable);
    if (net.fault->hit()) error = std::make_error_code(std::errc::host_unreachable);
    const auto known = net.addresses.find(step.host);
    auto addresses = known == net.addresses.end() ? std::vector<std::string>{step.host} : known->second;
    step.resolve->on_resolve(error ? std::vector<std::string>{} : addresses, error);
}

void ScriptLoop::connect(ScriptNet::Step& step) {
    net.attempts.push_back(step.endpoint);
    std::error_code error;
    if (const auto all = net.connect_errors.find("*"); all != net.connect_errors.end()) error = all->second;
    if (const auto one = net.connect_errors.find(step.endpoint.address); one != net.connect_errors.end()) {
        error = one->second;
    }
    if (net.fault->hit()) error = std::make_error_code(std::errc::connection_refused);
    if (error) return step.connect->on_connect(nullptr, error);
    auto link = std::make_shared<Link>();
    link->endpoint = step.endpoint;
    net.links.push_back(link);
    if (net.on_accept) net.on_accept(*link);
    step.connect->on_connect(std::make_unique<ScriptTransport>(link, net.fault), {});
}

void ScriptLoop::read(Link& link) {
    if (net.fault->hit()) {
        link.to_client.clear();
        link.reset();
    }
    link.reading = false;
    const std::size_t n = std::min({link.buffer.size, link.to_client.size(), link.read_chunk});
    if (n != 0) {
        link.to_client.copy(static_cast<char*>(link.buffer.data), n);
        link.to_client.erase(0, n);
        return link.handler->on_read(n, {});
    }
    link.handler->on_read(0, link.read_error);
}

bool ScriptLoop::deliver_timers() {
    bool did = false;
    auto due = std::vector<ScriptTimer*>(armed_->begin(), armed_->end());
    std::erase_if(due, [&](ScriptTimer* timer) { return timer->due > now_; });
    std::stable_sort(due.begin(), due.end(), [](auto* a, auto* b) { return a->due < b->due; });
    for (ScriptTimer* timer : due) {
        if (std::find(armed_->begin(), armed_->end(), timer) == armed_->end() || timer->due > now_) continue;
        did = true;
        timer->disarm();
        guarded([&] { timer->ready(0); });
    }
    return did;
}

bool ScriptLoop::deliver_posted() {
    auto posted = std::exchange(posted_, {});
    const bool did = !posted.empty();
    for (auto& callable : posted) guarded([&] { callable->call(); });
    return did;
}

bool ScriptLoop::deliver_deferred() {
    const auto deferred = std::vector<ScriptTimer*>(deferred_->begin(), deferred_->end());
    for (ScriptTimer* timer : deferred) {
        if (std::find(deferred_->begin(), deferred_->end(), timer) == deferred_->end()) continue;
        deferred_->remove(timer);
        guarded([&] { timer->ready(0); });
    }
    return !deferred.empty();
}

std::unique_ptr<IOPS> ScriptLoop::make_iops() { return std::make_unique<ScriptIops>(*this); }

ScriptLoop::~ScriptLoop() {
    hooks_.run_all();
    while (!iops_.empty()) {
        ScriptIops* iops = iops_.back();
        iops_.pop_back();
        iops->loop_gone();
    }
    posted_.clear();
}

}  // namespace chaise::testing
