#include "cluster/local/node_hosts.hpp"

#include <chaise/detail/exit_hook.hpp>

#include <utility>
#include <vector>

namespace chaise::testing {

namespace {

class LoopHosts final : public NodeHosts {
public:
    LoopHosts(std::shared_ptr<NodePlaces> places, MakeIops make_iops)
        : places_(std::move(places)), make_iops_(std::move(make_iops)), processes_(places_->places.size()) {}

    void start(NodeId node) override {
        if (processes_.size() <= node) processes_.resize(node + 1);
        if (processes_[node]) return;
        processes_[node] = std::make_unique<NodeProcess>(places_, node, make_iops_());
    }
    void kill(NodeId node) override { processes_.at(node).reset(); }
    void set_paused(NodeId node, bool on) override {
        if (processes_.at(node)) processes_[node]->set_paused(on);
    }
    std::unique_ptr<IOPS> make_iops() override { return make_iops_(); }

private:
    std::shared_ptr<NodePlaces> places_;
    MakeIops make_iops_;
    std::vector<std::unique_ptr<NodeProcess>> processes_;
};

class SimHosts final : public NodeHosts {
public:
    SimHosts(std::shared_ptr<NodePlaces> places, SimWorld& world, std::string prefix)
        : places_(std::move(places)), prefix_(std::move(prefix)), world_(&world), world_ends_(*this) {
        world.at_exit(world_ends_);
    }
    SimHosts(const SimHosts&) = delete;
    SimHosts& operator=(const SimHosts&) = delete;
    ~SimHosts() override {
        places_->closed = true;
        for (NodeId node = 0; node < places_->places.size(); ++node) kill(node);
    }

    void start(NodeId node) override {
        if (world_ == nullptr) return;
        const std::string host = host_of(node);
        if (booted_.size() <= node) booted_.resize(node + 1);
        if (booted_[node]) return world_->respawn(host);
        booted_[node] = true;
        world_->boot(host, [places = places_, node](std::unique_ptr<IOPS> iops) -> std::shared_ptr<void> {
            if (places->closed) return nullptr;
            return std::make_shared<NodeProcess>(places, node, std::move(iops));
        });
    }
    void kill(NodeId node) override {
        if (world_ == nullptr) return;
        world_->kill(host_of(node));
        // The world destroys the process in its next dispatch; it is dead now.
        if (NodeProcess* process = places_->places.at(node).process) process->stop();
    }
    void set_paused(NodeId node, bool on) override {
        if (world_ == nullptr) return;
        if (on) {
            world_->pause(host_of(node));
        } else {
            world_->resume(host_of(node));
        }
    }
    std::unique_ptr<IOPS> make_iops() override { return world_ ? world_->make_iops(prefix_ + "s") : nullptr; }

private:
    struct WorldEnds : ExitHook {
        explicit WorldEnds(SimHosts& its_hosts)
            : ExitHook([](ExitHook& hook) noexcept { static_cast<WorldEnds&>(hook).hosts.world_ = nullptr; }),
              hosts(its_hosts) {}
        SimHosts& hosts;
    };

    [[nodiscard]] std::string host_of(NodeId node) const { return prefix_ + std::to_string(node + 1); }

    std::shared_ptr<NodePlaces> places_;
    std::string prefix_;
    SimWorld* world_;
    WorldEnds world_ends_;
    std::vector<bool> booted_;
};

}  // namespace

std::unique_ptr<NodeHosts> make_loop_hosts(std::shared_ptr<NodePlaces> places, MakeIops make_iops) {
    return std::make_unique<LoopHosts>(std::move(places), std::move(make_iops));
}

std::unique_ptr<NodeHosts> make_sim_hosts(std::shared_ptr<NodePlaces> places, SimWorld& world, std::string prefix) {
    return std::make_unique<SimHosts>(std::move(places), world, std::move(prefix));
}

}  // namespace chaise::testing
