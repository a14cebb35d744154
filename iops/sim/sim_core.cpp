#include "iops/sim/sim_core.hpp"

#include "iops/sim/sim_iops.hpp"
#include "iops/sim/sim_link.hpp"

#include <algorithm>
#include <cstdio>
#include <ostream>
#include <stdexcept>
#include <utility>

namespace chaise::testing::sim {

namespace {

class PostedNode final : public Scheduled {
public:
    explicit PostedNode(std::unique_ptr<Posted> posted) noexcept
        : Scheduled(Kind::posted, nullptr), posted_(std::move(posted)) {}
    void fire() override {
        auto posted = std::move(posted_);
        delete this;
        posted->run();
    }
    void drop() noexcept override { delete this; }

private:
    std::unique_ptr<Posted> posted_;
};

}  // namespace

std::string_view to_string(Kind kind) noexcept {
    switch (kind) {
        case Kind::timer:
            return "timer";
        case Kind::readable:
            return "read";
        case Kind::writable:
            return "writable";
        case Kind::arrival:
            return "arrival";
        case Kind::connect:
            return "connect";
        case Kind::accept:
            return "accept";
        case Kind::resolve:
            return "resolve";
        case Kind::posted:
            return "posted";
        case Kind::lifecycle:
            return "process";
        case Kind::chaos:
            return "chaos";
    }
    return "?";
}

Core::Core(std::uint64_t seed, const SimOptions& its_options)
    : random(seed), options(its_options), chaos_random(random.fork("chaos")), hash_(sim_mix(seed)) {
    SimRandom draw = random.fork("swarm");
    faults = options.swarm ? SimFaults::swarm(draw) : options.faults;
    chaos.restart();
}

Core::~Core() = default;

WallTime Core::wall_time() const noexcept {
    return options.wall_start + std::chrono::duration_cast<WallTime::duration>(Duration{now_ - start_} + wall_offset);
}

void Core::schedule(Scheduled& node, Duration delay) {
    if (dead_) return;
    cancel(node);
    node.incarnation_ = node.host_ == nullptr ? 0 : node.host_->incarnation;
    queue.push(node, now_ + std::max<std::int64_t>(delay.count(), 0));
}

void Core::cancel(Scheduled& node) noexcept {
    if (!node.scheduled()) return;
    if (node.held_) {
        node.host_->held[node.position_] = nullptr;
        node.held_ = false;
        node.position_ = Scheduled::idle;
    } else {
        queue.remove(node);
    }
}

void Core::after(Duration delay, std::unique_ptr<Posted> posted) {
    auto node = std::make_unique<PostedNode>(std::move(posted));
    if (dead_) return;
    schedule(*node, delay);
    node.release();
}

bool Core::step(std::int64_t limit, bool to_the_limit) {
    for (;;) {
        if (queue.size() == (chaos.scheduled() && !to_the_limit ? 1U : 0U) || queue.top().time > limit) return false;
        advance_to(queue.top().time);
        if (std::exchange(instant_, now_) != now_) dispatches_at_instant_ = 0;
        if (++dispatches_at_instant_ > options.dispatches_per_instant_max) {
            throw std::runtime_error("SimWorld: livelock: virtual time does not pass any more");
        }
        Scheduled& node = queue.pop();
        if (Host* host = node.host_; host != nullptr) {
            if (node.incarnation_ != host->incarnation) continue;  // killed meanwhile
            if (host->paused) {
                node.position_ = static_cast<std::uint32_t>(host->held.size());
                node.held_ = true;
                host->held.push_back(&node);
                continue;
            }
        }
        ++counts.events;
        record(node.kind(), node.trace_id, 0);
        node.fire();
        return true;
    }
}

void Core::rethrow_pending() {
    if (exceptions.empty()) return;
    std::exception_ptr first = exceptions.front();
    exceptions.erase(exceptions.begin());
    std::rethrow_exception(std::move(first));
}

void Core::shut_down() noexcept {
    exit_hooks.run_all();
    while (!iops.empty()) {  // who is told may destroy it, and others
        SimIops* last = iops.back();
        iops.pop_back();
        last->loop_gone();
    }
    for (auto& host : hosts) std::exchange(host->process, nullptr).reset();
    dead_ = true;
    for (auto& host : hosts) {
        for (Scheduled* node : host->held) {
            if (node == nullptr) continue;
            node->held_ = false;
            node->position_ = Scheduled::idle;
            node->drop();
        }
        host->held.clear();
        host->boot = nullptr;
    }
    while (!queue.empty()) queue.pop().drop();
}

Host& Core::host(std::string_view name) {
    if (Host* known = find_host(name)) return *known;
    hosts.push_back(std::make_unique<Host>(*this, std::string(name), static_cast<std::uint32_t>(hosts.size())));
    return *hosts.back();
}

Host* Core::find_host(std::string_view name) noexcept {
    for (auto& host : hosts) {
        if (host->name == name) return host.get();
    }
    return nullptr;
}

std::unique_ptr<IOPS> Core::make_iops(Host& host) {
    return std::make_unique<SimIops>(shared_from_this(), host,
                                     random.fork(host.name, std::uint64_t{host.incarnation} << 32 | iops.size()));
}

bool Core::cut_off(const Host& a, const Host& b) const noexcept {
    if (&a == &b) return false;
    if (a.black_holed || b.black_holed) return true;
    return std::any_of(partitions.begin(), partitions.end(), [&](const auto& pair) {
        return (pair.first == &a && pair.second == &b) || (pair.first == &b && pair.second == &a);
    });
}

void Core::record_connect(const Host& from, const Endpoint& to) {
    ++counts.connects;
    std::deque<std::int64_t>& times = connect_times[from.name + ">" + to.to_string()];
    times.push_back(now_);
    while (times.front() <= now_ - Duration(std::chrono::seconds(1)).count()) times.pop_front();
    counts.connects_in_a_second = std::max<std::uint64_t>(counts.connects_in_a_second, times.size());
}

void Core::record_fault(SimFault fault, std::uint64_t id) noexcept {
    counts.faults.add(fault);
    hash_ = sim_mix(hash_ ^ static_cast<std::uint64_t>(fault));
    if (trace_ != nullptr) print(testing::to_string(fault), id, 0);
}

void Core::print(std::string_view what, std::uint64_t id, std::uint64_t detail) noexcept try {
    char line[128];
    const std::int64_t elapsed = now_ - start_;
    const int length =
        std::snprintf(line, sizeof line, "%6lld.%06lld ms  %-14.*s #%llu", static_cast<long long>(elapsed / 1'000'000),
                      static_cast<long long>(elapsed % 1'000'000), static_cast<int>(what.size()), what.data(),
                      static_cast<unsigned long long>(id));
    trace_->write(line, length);
    if (detail != 0) *trace_ << "  " << detail;
    *trace_ << '\n';
} catch (...) {
    trace_ = nullptr;  // a stream that throws gets nothing more
}

}  // namespace chaise::testing::sim
