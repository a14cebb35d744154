// chaise-promises: what endure, persist_to and replicate_to, or a durability level reported as safe is there after the
// failovers that it should survive; seed after seed, with failovers while it is being polled.
//
//   chaise-promises [--seeds N] [--first S] [--expect-broken]    --expect-broken: succeeds if a promise was broken
//
// The promise of a report that named n replicas, or of a durability level (n = 1): the document is there, in that
// version or a newer one, as long as no more than n active nodes were lost since the operation began; what was on the
// active node's disk is there after all nodes died and came back. Without any loss since it began, the report is
// compared with what the nodes have at that moment.

#include "tests/support/sleep.hpp"

#include <chaise/async_bucket.hpp>
#include <chaise/durability.hpp>
#include <chaise/spawn.hpp>
#include <chaise/task.hpp>
#include <chaise/testing/local_cluster.hpp>
#include <chaise/testing/simulation.hpp>

#include <bit>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

constexpr std::size_t writers = 8;
constexpr int writes = 12;  // each

struct Tally {
    std::uint64_t reports = 0, compared = 0, survived = 0, on_disk = 0, losses = 0, stalls = 0, errors = 0, lost = 0;
};

class PromiseRun {
public:
    explicit PromiseRun(std::uint64_t seed) : world_(seed), random_(world_.random("promises")) {
        shape_.nodes = random_.between(2, 4);
        shape_.replicas = static_cast<std::uint32_t>(random_.between(1, std::min<std::size_t>(2, shape_.nodes - 1)));
        shape_.vbuckets = 16;
        shape_.seed = seed;
        shape_.replication_delay = random_.chance(0.2) ? 0ms : Duration(random_.exponential(4ms));
        shape_.persistence_delay = random_.chance(0.2) ? 0ms : Duration(random_.exponential(8ms));
        cluster_.emplace(world_, shape_);
        if (random_.chance(0.6)) cluster_->set_replication_spread(random_.exponential(8ms));
        if (random_.chance(0.6)) cluster_->set_persistence_spread(random_.exponential(12ms));
        bucket_.emplace(world_, cluster_->connection_string("default"),
                        BucketOptions{.username = "Administrator", .password = "password"});
        iops_ = world_.make_iops();
        keys_.resize(writers);
    }

    void run() {
        for (std::size_t i = 0; i < writers; ++i) {
            ++busy_;
            spawn(world_, write(i));
        }
        ++busy_;
        spawn(world_, harm());
        spawn(world_, stall());
        if (!world_.run_until([this] { return busy_ == 0; }, 10min)) complain("it does not end");
        disks();
        if (!complaints.empty()) {
            complaints.push_back(std::to_string(shape_.nodes) + " nodes, " + std::to_string(shape_.replicas) +
                                 " replicas; " + history_);
        }
        bucket_.reset();
        world_.run_for(1s);
    }

    std::vector<std::string> complaints;
    Tally tally;

private:
    struct Key {
        std::string name;
        std::uint64_t version = 0;  ///< written last
        struct Promise {
            std::uint64_t version = 0;
            std::uint64_t losses = 0;  ///< when its operation began
            int survives = 0;
            bool active_disk = false;
            bool by_level = false;  ///< the active node may have it as a prepared write, which clients cannot read
            std::string how{};
        };
        std::vector<Promise> promises;
    };

    [[nodiscard]] std::uint64_t version_on(std::size_t node, const std::string& key, bool disk = false) const {
        const auto stored = disk ? cluster_->persisted(node, key) : cluster_->stored(node, key);
        return stored ? std::strtoull(stored->value.c_str(), nullptr, 10) : 0;
    }
    [[nodiscard]] static std::string time(TimePoint at) {
        return std::to_string(std::chrono::duration<double, std::milli>(at.time_since_epoch()).count()) + " ms";
    }
    void complain(std::string what) {
        if (complaints.size() < 5) complaints.push_back(std::move(what));
    }

    Task<> write(std::size_t number) {
        Key& key = keys_[number];
        key.name = "key" + std::to_string(number);
        SimRandom random = world_.random("writer", number);
        for (int i = 0; i < writes; ++i) {
            co_await Sleep(*iops_, random.exponential(10ms));
            const std::uint64_t version = ++key.version;
            const std::uint64_t losses = believed_losses_;
            const TimePoint began = world_.now();
            const std::string value = std::to_string(version);
            const auto way = random.below(5);
            StoreOptions options{.timeout = 2s};
            if (way < 3) {
                options.persist_to = static_cast<int>(random.below(shape_.replicas + 3)) - 1;
                options.replicate_to = static_cast<int>(random.below(shape_.replicas + 2)) - 1;
                if (options.persist_to == CopyCount() && options.replicate_to == CopyCount()) options.replicate_to = -1;
            }
            if (way == 3) options.durability = static_cast<DurabilityLevel>(random.between(1, 3));
            auto outcome = co_await bucket_->upsert(key.name, value, options).as_expected();
            bool by_cas = false;
            if (way == 4 && outcome) {  // by CAS, which the mutation's own polling does not do here
                by_cas = true;
                const EndureOptions wanted{.persist_to = static_cast<int>(random.below(3)) - 1,
                                           .replicate_to = random.chance(0.5) ? -1 : 1,
                                           .timeout = 2s,
                                           .cas = outcome->cas()};
                outcome = co_await bucket_->endure(key.name, wanted).as_expected();
            }
            if (!outcome) {
                ++tally.errors;
                const errc code = outcome.error().code();
                if (code == errc::mutation_lost) ++tally.lost;
                if (losses_ == losses && (code == errc::mutation_lost || code == errc::mutation_superseded)) {
                    complain(key.name + " version " + value + ": " + std::string(name(code)) +
                             ", and no node was lost");
                }
                continue;
            }
            ++tally.reports;
            Key::Promise promise{.version = version, .losses = losses};
            if (options.durability != DurabilityLevel::none) {
                promise.survives = 1;
                promise.by_level = true;
                promise.active_disk = options.durability != DurabilityLevel::majority;
            } else {
                promise.survives = std::popcount(outcome->replicated_on());
                // A node that was failed over alive goes on for a while with those who have not heard of it either:
                // what they get then is not where it is looked for. Who observes cannot know; durable writes do.
                if (failed_over_alive_ && believed_losses_ != losses_ && promise.survives > 0) --promise.survives;
                promise.active_disk = (outcome->persisted_on() & 1) != 0;
                if (losses_ == losses) compare(key, version, *outcome, by_cas);
            }
            promise.how = way == 3   ? "durability level " + std::to_string(static_cast<int>(options.durability))
                          : way == 4 ? "endure by CAS"
                                     : "persist_to " + std::to_string(options.persist_to.count()) + ", replicate_to " +
                                           std::to_string(options.replicate_to.count());
            promise.how += ", persisted on " + std::to_string(outcome->persisted_on()) + ", replicated on " +
                           std::to_string(outcome->replicated_on()) + ", from " + time(began) + " to " +
                           time(world_.now());
            key.promises.push_back(promise);
            check(key, "at the report");
        }
        --busy_;
    }

    /// No node was lost meanwhile: the nodes must have what the report says.
    void compare(const Key& key, std::uint64_t version, const OperationResult& result, bool by_cas) {
        ++tally.compared;
        const KeyPlacement where = cluster_->placement(key.name);
        const auto at = [&](const char* what, std::size_t node, bool disk) {
            if (version_on(node, key.name, disk) >= version) return;
            complain(key.name + " version " + std::to_string(version) + (by_cas ? " (by CAS)" : " (by token)") + ": " +
                     what + " node" + std::to_string(node + 1) + (disk ? " persisted" : " had") + " version " +
                     std::to_string(version_on(node, key.name, disk)));
        };
        if (where.active) {
            at("active", *where.active, false);
            if ((result.persisted_on() & 1) != 0) at("active", *where.active, true);
        }
        for (std::size_t i = 0; i < where.replicas.size(); ++i) {
            const unsigned bit = 2u << i;
            if ((result.replicated_on() & bit) != 0) at("replica", where.replicas[i], false);
            if ((result.persisted_on() & bit) != 0) at("replica", where.replicas[i], true);
        }
    }

    /// Every promise that should hold still, against the active copy.
    void check(const Key& key, const char* when) {
        const KeyPlacement where = cluster_->placement(key.name);
        if (!where.active || !cluster_->alive(*where.active)) return;
        check(key, when, version_on(*where.active, key.name), false);
    }
    /// Of durable writes: as a client reads it. It may hear that the write is being decided again.
    Task<> read(const Key& key) {
        const std::uint64_t losses = losses_;
        const auto value = co_await bucket_->get(key.name, {.timeout = 300ms}).as_expected();
        if (losses_ != losses) co_return;
        if (value) {
            check(key, "read after a failover", std::strtoull(value->owned().c_str(), nullptr, 10), true);
        } else if (value.error() == errc::document_not_found) {
            check(key, "read after a failover", 0, true);
        }
    }
    void check(const Key& key, const char* when, std::uint64_t there, bool by_level) {
        for (const Key::Promise& promise : key.promises) {
            if (promise.by_level != by_level) continue;
            if (losses_ - promise.losses > static_cast<std::uint64_t>(promise.survives)) continue;
            if (losses_ != promise.losses) ++tally.survived;
            if (there >= promise.version) continue;
            complain(time(world_.now()) + " " + key.name + ": version " + std::to_string(promise.version) + " (" +
                     promise.how + ") was safe against the loss of " + std::to_string(promise.survives) + "; after " +
                     std::to_string(losses_ - promise.losses) + " of them, " + when + ", there is version " +
                     std::to_string(there));
        }
    }

    /// Replication or persistence stands still for a while, and is resumed, with another spread.
    Task<> stall() {
        SimRandom random = world_.random("stall");
        while (true) {
            co_await Sleep(*iops_, random.exponential(40ms));
            if (busy_ == 0) co_return;
            const std::size_t node = random.below(shape_.nodes);
            const std::size_t other = random.below(shape_.nodes);
            const bool disk = random.chance(0.5);
            if (disk) {
                cluster_->set_persistence_delay(node, never);
            } else {
                cluster_->set_replication_delay(node, other, never);
            }
            ++tally.stalls;
            co_await Sleep(*iops_, random.exponential(30ms));
            if (busy_ == 0) co_return;
            if (disk) {
                cluster_->set_persistence_delay(node, random.exponential(8ms));
                cluster_->set_persistence_spread(random.chance(0.7) ? random.exponential(12ms) : Duration::zero());
            } else {
                cluster_->set_replication_delay(node, other, random.exponential(4ms));
                cluster_->set_replication_spread(random.chance(0.7) ? random.exponential(8ms) : Duration::zero());
            }
        }
    }

    Task<> harm() {
        SimRandom random = world_.random("harm");
        const std::size_t most = shape_.nodes - 1;
        for (std::size_t i = 0; i < most; ++i) {
            co_await Sleep(*iops_, random.exponential(40ms));
            for (std::size_t node = 0; node < shape_.nodes; ++node) {
                if (random.chance(0.3))
                    cluster_->set_replication_delay(node, random.below(shape_.nodes), random.exponential(15ms));
                if (random.chance(0.3)) cluster_->set_persistence_delay(node, random.exponential(15ms));
                cluster_->set_config_delay(node, random.chance(0.4) ? random.exponential(10ms) : Duration::zero());
            }
            co_await Sleep(*iops_, random.exponential(20ms));
            std::size_t node = random.below(shape_.nodes);
            while (!cluster_->member(node)) node = (node + 1) % shape_.nodes;
            const bool dead = random.chance(0.6);
            ++losses_;
            ++tally.losses;
            failed_over_alive_ = !dead;
            if (dead) {
                cluster_->kill_node(node);
                co_await Sleep(*iops_, random.exponential(5ms));
            }
            history_ += time(world_.now()) + " failover of node" + std::to_string(node + 1) +
                        (dead ? ", dead; " : ", living; ");
            cluster_->failover(node);
            co_await Sleep(*iops_, 60ms);
            for (std::size_t other = 0; other < shape_.nodes; ++other) {
                cluster_->set_config_delay(other, Duration::zero());
            }
            believed_losses_ = losses_;
            for (const Key& key : keys_) check(key, "after a failover");
            for (const Key& key : keys_) co_await read(key);
        }
        --busy_;
    }

    /// Everything dies, and comes back with what its disk has.
    void disks() {
        cluster_->set_persistence_delay(never);
        for (std::size_t node = 0; node < shape_.nodes; ++node) cluster_->set_config_delay(node, Duration::zero());
        world_.run_for(100ms);
        for (std::size_t node = 0; node < shape_.nodes; ++node) {
            if (cluster_->alive(node)) cluster_->kill_node(node);
        }
        world_.run_for(10ms);
        for (std::size_t node = 0; node < shape_.nodes; ++node) cluster_->restart_node(node);
        world_.run_for(100ms);
        for (const Key& key : keys_) {
            const KeyPlacement where = cluster_->placement(key.name);
            if (!where.active) continue;
            for (const Key::Promise& promise : key.promises) {
                if (promise.losses != losses_ || !promise.active_disk) continue;
                ++tally.on_disk;
                if (version_on(*where.active, key.name) >= promise.version) continue;
                complain(key.name + ": version " + std::to_string(promise.version) +
                         " was on the active node's disk; after the restart there is version " +
                         std::to_string(version_on(*where.active, key.name)));
            }
        }
    }

    SimWorld world_;
    SimRandom random_;
    LocalClusterOptions shape_;
    std::optional<LocalCluster> cluster_;
    std::optional<AsyncBucket> bucket_;
    std::unique_ptr<IOPS> iops_;
    std::vector<Key> keys_;
    std::uint64_t losses_ = 0;
    /// Of which every node has heard. Until then a node that was failed over may take writes, which are lost with it:
    /// the loss comes after the operation's beginning.
    std::uint64_t believed_losses_ = 0;
    bool failed_over_alive_ = false;  // the last of them
    std::string history_;
    int busy_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t first = 1;
    std::uint64_t seeds = 500;
    bool expect_broken = false;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        if (argument == "--expect-broken") {
            expect_broken = true;
        } else if (argument == "--seeds" && i + 1 < argc) {
            seeds = std::strtoull(argv[++i], nullptr, 10);
        } else if (argument == "--first" && i + 1 < argc) {
            first = std::strtoull(argv[++i], nullptr, 10);
        } else {
            std::fprintf(stderr, "chaise-promises [--seeds N] [--first S] [--expect-broken]\n");
            return 2;
        }
    }
    const auto start = std::chrono::steady_clock::now();
    Tally all;
    std::uint64_t broken = 0;
    for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
        PromiseRun run(seed);
        run.run();
        all.reports += run.tally.reports;
        all.compared += run.tally.compared;
        all.survived += run.tally.survived;
        all.on_disk += run.tally.on_disk;
        all.losses += run.tally.losses;
        all.stalls += run.tally.stalls;
        all.errors += run.tally.errors;
        all.lost += run.tally.lost;
        if (run.complaints.empty()) continue;
        if (++broken <= (expect_broken ? 1 : 10)) {
            std::printf("seed %llu; replay: %s --first %llu --seeds 1\n", static_cast<unsigned long long>(seed),
                        argv[0], static_cast<unsigned long long>(seed));
            for (const std::string& complaint : run.complaints) std::printf("   %s\n", complaint.c_str());
        }
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const auto n = [](std::uint64_t number) { return static_cast<unsigned long long>(number); };
    std::printf(
        "%llu seeds in %.1f s: %llu reports of safety, %llu compared with the nodes at that moment, %llu promises "
        "kept through one of %llu losses of a node, %llu through a restart of all; replication or persistence stood "
        "still %llu times; %llu operations failed, %llu of them by mutation_lost; %llu seeds with a broken promise\n",
        n(seeds), seconds, n(all.reports), n(all.compared), n(all.survived), n(all.losses), n(all.on_disk),
        n(all.stalls), n(all.errors), n(all.lost), n(broken));
    const bool enough = all.compared > seeds && all.survived > seeds && all.on_disk > 0;  // it did look
    return (expect_broken ? broken != 0 : broken == 0 && enough) ? 0 : 1;
}
