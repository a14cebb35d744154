#include "iops/sim/sim_core.hpp"
#include "iops/sim/sim_iops.hpp"
#include "iops/sim/sim_link.hpp"

#include <chaise/testing/simulation.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace chaise::testing {

std::string SimLeaks::to_string() const {
    if (none()) return "nothing left";
    return std::to_string(connections) + " ends of connections, " + std::to_string(listeners) + " listeners, " +
           std::to_string(timers) + " armed timers, " + std::to_string(pendings) + " connects or resolutions left";
}

SimWorld::SimWorld(std::uint64_t seed, const SimOptions& options) : core_(std::make_shared<sim::Core>(seed, options)) {}

SimWorld::~SimWorld() { core_->shut_down(); }

std::unique_ptr<IOPS> SimWorld::make_iops() { return make_iops("client" + std::to_string(++core_->next_client)); }

std::unique_ptr<IOPS> SimWorld::make_iops(std::string_view host) { return core_->make_iops(core_->host(host)); }

void SimWorld::boot(std::string_view name, Boot boot) {
    sim::Host& host = core_->host(name);
    host.boot = std::move(boot);
    std::exchange(host.process, nullptr).reset();
    if (host.alive) host.process = host.boot(core_->make_iops(host));
}

void SimWorld::set_addresses(std::string_view name, std::vector<std::string> addresses) {
    core_->names.insert_or_assign(std::string(name), std::move(addresses));
}

void SimWorld::run() {
    bool counted = false;
    run_until(
        [&] {
            counted = counted || core_->work > 0;
            return counted && core_->work == 0;
        },
        Duration::max());
}

bool SimWorld::run_until_impl(bool (*predicate)(void*), void* context, Duration virtual_time_max) {
    const std::int64_t now = core_->now();
    const std::int64_t limit = now + std::min(virtual_time_max.count(), std::numeric_limits<std::int64_t>::max() - now);
    core_->rethrow_pending();
    for (;;) {
        if (predicate(context)) return true;
        if (std::exchange(core_->stopped, false)) return false;
        if (!core_->step(limit, false)) return false;
        core_->rethrow_pending();
    }
}

void SimWorld::run_for(Duration duration) {
    const std::int64_t end = core_->now() + duration.count();
    core_->rethrow_pending();
    while (!std::exchange(core_->stopped, false)) {
        if (!core_->step(end, true)) {
            core_->advance_to(end);
            return;
        }
        core_->rethrow_pending();
    }
}

void SimWorld::stop() noexcept { core_->stopped = true; }

void SimWorld::schedule(std::unique_ptr<sim::Posted> posted, Duration delay) { core_->after(delay, std::move(posted)); }

TimePoint SimWorld::now() const noexcept { return core_->time_point(); }
WallTime SimWorld::wall_time() const noexcept { return core_->wall_time(); }

void SimWorld::on_exception(std::exception_ptr exception) noexcept {
    core_->exceptions.push_back(std::move(exception));
}
void SimWorld::work_started() noexcept { ++core_->work; }
void SimWorld::work_finished() noexcept { --core_->work; }
void SimWorld::at_exit(ExitHook& hook) noexcept { core_->exit_hooks.add(hook); }

std::uint64_t SimWorld::seed() const noexcept { return core_->random.seed(); }
SimRandom SimWorld::random(std::string_view name, std::uint64_t number) const noexcept {
    return core_->random.fork("workload").fork(name, number);
}
const SimFaults& SimWorld::faults() const noexcept { return core_->faults; }
void SimWorld::set_faults(const SimFaults& faults) {
    core_->faults = faults;
    core_->chaos.restart();
}
void SimWorld::faults_off() {
    set_faults(SimFaults{});
    core_->undo_host_faults();
}

void SimWorld::reset_connections(std::string_view host) { core_->reset_connections(core_->host(host)); }
void SimWorld::close_connections(std::string_view host) { core_->close_connections(core_->host(host)); }
void SimWorld::pause(std::string_view host) { core_->pause(core_->host(host)); }
void SimWorld::resume(std::string_view host) { core_->resume(core_->host(host)); }
void SimWorld::kill(std::string_view host) { core_->kill(core_->host(host)); }
void SimWorld::respawn(std::string_view host) { core_->respawn(core_->host(host)); }
void SimWorld::black_hole(std::string_view host) { core_->set_black_hole(core_->host(host), true); }
void SimWorld::heal(std::string_view host) { core_->set_black_hole(core_->host(host), false); }
void SimWorld::partition(std::string_view a, std::string_view b) {
    core_->set_partition(core_->host(a), core_->host(b), true);
}
void SimWorld::heal(std::string_view a, std::string_view b) {
    core_->set_partition(core_->host(a), core_->host(b), false);
}
void SimWorld::jump_wall_clock(Duration by) noexcept {
    core_->wall_offset += by;
    core_->record_fault(SimFault::clock_jump, 0);
}
bool SimWorld::alive(std::string_view host) const noexcept {
    const sim::Host* known = core_->find_host(host);
    return known != nullptr && known->alive;
}

std::uint64_t SimWorld::trace_hash() const noexcept { return core_->hash_; }
void SimWorld::trace(std::ostream* out) noexcept { core_->trace_ = out; }
const SimCounts& SimWorld::counts() const noexcept { return core_->counts; }

SimLeaks SimWorld::leaks() const {
    SimLeaks leaks;
    for (const sim::Link* link : core_->links) {
        leaks.connections +=
            static_cast<std::size_t>(!link->client.closed) + static_cast<std::size_t>(!link->server.closed);
    }
    for (const auto& host : core_->hosts) {
        leaks.listeners += host->listeners.size();
        for (const sim::Scheduled* node : host->held) {
            if (node != nullptr && node->kind() == sim::Kind::timer) ++leaks.timers;
        }
    }
    for (const auto& entry : core_->queue.entries()) {
        if (entry.node->kind() == sim::Kind::timer) ++leaks.timers;
    }
    leaks.pendings = core_->pendings;
    return leaks;
}

}  // namespace chaise::testing
