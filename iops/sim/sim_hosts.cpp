// What happens to whole hosts: paused, killed, cut off, and back.

#include "iops/sim/sim_core.hpp"
#include "iops/sim/sim_iops.hpp"
#include "iops/sim/sim_link.hpp"
#include "iops/sim/sim_network.hpp"

#include <algorithm>
#include <utility>

namespace chaise::testing::sim {

void Lifecycle::fire() {
    // Told here and not in kill(): whoever killed the host may be standing in one of its handlers.
    // Who is told may destroy its IOPS, and others: begin again after each.
    for (std::size_t i = 0; i < core_.iops.size();) {
        SimIops& iops = *core_.iops[i++];
        if (&iops.host() != &owner_ || iops.alive() || iops.told()) continue;
        iops.loop_gone();
        i = 0;
    }
    std::exchange(owner_.process, nullptr).reset();
    if (owner_.alive && std::exchange(owner_.boot_due, false) && owner_.boot) {
        owner_.process = owner_.boot(core_.make_iops(owner_));
    }
}

void Core::pause(Host& host) {
    if (std::exchange(host.paused, true)) return;
    record_fault(SimFault::host_paused, host.id);
}

void Core::resume(Host& host) {
    if (!std::exchange(host.paused, false)) return;
    for (Scheduled* node : std::exchange(host.held, {})) {
        if (node == nullptr) continue;
        node->held_ = false;
        node->position_ = Scheduled::idle;
        if (node->incarnation_ == host.incarnation) queue.push(*node, now_);
    }
}

void Core::kill(Host& host) {
    if (!host.alive) return;
    record_fault(SimFault::host_killed, host.id);
    host.alive = false;
    ++host.incarnation;
    resume(host);  // forgets what was held for the dead
    for (auto& [port, listener] : std::exchange(host.listeners, {})) listener->host_gone();
    for (Link* link : links) {
        if (&link->client.host == &host) link->server.receive_reset(link->latency(), link->random.chance(0.5));
        if (&link->server.host == &host) link->client.receive_reset(link->latency(), link->random.chance(0.5));
    }
    schedule(host.lifecycle, Duration::zero());
}

void Core::respawn(Host& host) {
    if (host.alive) return;
    host.alive = true;
    host.boot_due = true;
    schedule(host.lifecycle, Duration::zero());
}

void Core::set_black_hole(Host& host, bool on) {
    if (std::exchange(host.black_holed, on) == on) return;
    if (on) {
        record_fault(SimFault::black_hole, host.id);
    } else {
        reconnect_network();
    }
}

void Core::set_partition(Host& a, Host& b, bool on) {
    const auto same = [&](const auto& pair) {
        return (pair.first == &a && pair.second == &b) || (pair.first == &b && pair.second == &a);
    };
    const bool was = std::any_of(partitions.begin(), partitions.end(), same);
    if (was == on) return;
    if (on) {
        partitions.emplace_back(&a, &b);
        record_fault(SimFault::partition, a.id);
    } else {
        std::erase_if(partitions, same);
        reconnect_network();
    }
}

void Core::reset_connections(Host& host) {
    for (Link* link : links) {
        if (&link->client.host != &host && &link->server.host != &host) continue;
        record_fault(SimFault::reset, link->number);
        link->reset();
    }
}

void Core::close_connections(Host& host) {
    for (Link* link : links) {
        if (&link->client.host != &host && &link->server.host != &host) continue;
        link->client.receive_end(link->latency());
        link->server.receive_end(link->latency());
    }
}

void Core::reconnect_network() {
    for (Link* link : links) {
        if (link->cut()) continue;
        link->client.unblock();
        link->server.unblock();
    }
}

void Core::reset_half_open() {
    for (Link* link : links) {
        if (!std::exchange(link->half_open, false)) continue;
        link->client.unblock();
        link->server.unblock();
        link->reset();
    }
}

void Core::undo_host_faults() {
    for (auto& host : hosts) {
        resume(*host);
        respawn(*host);
        host->black_holed = false;
    }
    partitions.clear();
    reconnect_network();
    reset_half_open();
}

void Chaos::restart() {
    core_.cancel(*this);
    const SimFaults& f = core_.faults;
    const double weights = f.host_paused + f.host_killed + f.black_hole + f.partition + f.clock_jump;
    if (weights > 0) core_.schedule(*this, core_.chaos_random.exponential(f.host_fault_interval));
}

void Chaos::fire() {
    SimRandom& random = core_.chaos_random;
    const SimFaults& f = core_.faults;
    // Whatever is drawn is drawn in every case, so that the state of the hosts does not shift the stream.
    const double weights[] = {f.host_paused, f.host_killed, f.black_hole, f.partition, f.clock_jump};
    double total = 0;
    for (double weight : weights) total += weight;
    double point = static_cast<double>(random() >> 11) * 0x1p-53 * total;
    std::size_t choice = 0;
    while (choice < 4 && point >= weights[choice]) point -= weights[choice++];
    const std::uint64_t server_draw = random();
    const std::uint64_t client_draw = random();
    const Duration length = random.exponential(f.host_fault_length);

    std::vector<Host*> servers;
    std::vector<Host*> clients;
    for (auto& host : core_.hosts) {
        const bool serves = host->boot || !host->listeners.empty();
        if (!serves) clients.push_back(host.get());
        if (serves && host->alive && !host->paused && !host->black_holed) servers.push_back(host.get());
    }
    Core& core = core_;
    const auto later = [&](auto undo) {
        core.after(length, std::make_unique<PostedFunction<decltype(undo)>>(std::move(undo)));
    };
    if (choice == 4) {
        // Forward or back, from seconds to a day.
        const std::int64_t seconds = static_cast<std::int64_t>(server_draw % 86'400) + 1;
        core.wall_offset += std::chrono::seconds{client_draw % 2 == 0 ? seconds : -seconds};
        core.record_fault(SimFault::clock_jump, 0);
    } else if (!servers.empty()) {
        Host& server = *servers[server_draw % servers.size()];
        if (choice == 0) {
            core.pause(server);
            later([&core, &server] { core.resume(server); });
        } else if (choice == 1 && server.boot) {
            core.kill(server);
            later([&core, &server] { core.respawn(server); });
        } else if (choice == 2) {
            core.set_black_hole(server, true);
            later([&core, &server] { core.set_black_hole(server, false); });
        } else if (choice == 3 && !clients.empty()) {
            Host& client = *clients[client_draw % clients.size()];
            core.set_partition(client, server, true);
            later([&core, &client, &server] { core.set_partition(client, server, false); });
        }
    }
    restart();
}

}  // namespace chaise::testing::sim
