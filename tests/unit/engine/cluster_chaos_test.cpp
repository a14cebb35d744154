// Whatever happens, and in whichever order: each operation has one outcome, in time; none happens twice; nothing is
// left over.

#include "tests/unit/engine/cluster_world.hpp"

#include <array>
#include <random>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

class Chaos {
public:
    explicit Chaos(unsigned seed)
        : random_(seed), world_(ScriptMap::spread({"n1", "n2", "n3"}, 1, 16), "couchbase://n1,n2,n9") {
        world_.cluster.node("n9");
        if (chance(3)) world_.cluster.map.forward = world_.cluster.map.active;
    }

    void run(int actions) {
        if (chance(2)) world_.connect();
        for (int i = 0; i < actions && !closed_; ++i) act();
        heal();
        settle();
    }
    [[nodiscard]] std::size_t operations() const { return world_.books.size(); }
    [[nodiscard]] std::size_t succeeded() const {
        return static_cast<std::size_t>(std::count_if(world_.books.begin(), world_.books.end(),
                                                      [](const auto& book) { return !book->outcome.error; }));
    }
    [[nodiscard]] std::size_t refused() {
        std::size_t n = 0;
        for (auto& [host, node] : world_.cluster.nodes()) n += node.refused;
        return n;
    }

private:
    unsigned pick(std::size_t n) { return static_cast<unsigned>(random_() % n); }
    bool chance(unsigned one_in) { return pick(one_in) == 0; }
    std::string host() { return "n" + std::to_string(1 + pick(5)); }
    std::string key() { return "k" + std::to_string(pick(24)); }

    void issue() {
        constexpr std::array<Duration, 4> timeouts = {20ms, 500ms, 2500ms, 8s};
        const Duration timeout = timeouts[pick(4)];
        const bool cancel = chance(12);
        switch (pick(8)) {
            case 0:
                return world_.noop(timeout);
            case 1:
                return world_.connect(timeout);
            case 2:
            case 3:
                return world_.get(key(), timeout, cancel);
            default:
                return world_.count(key(), timeout, cancel);
        }
    }
    void publish(ScriptMap next) {
        const ScriptMap old = world_.cluster.map;
        next.rev = old.rev + 1;
        if (chance(10))
            next = [&] {
                auto n = next;
                n.epoch = old.epoch + 1;
                n.rev = 1;
                return n;
            }();
        world_.cluster.publish(std::move(next));
        for (auto& [name, node] : world_.cluster.nodes()) {
            if (chance(2) && !node.map) node.map = old;
        }
    }
    void act() {
        ScriptCluster& cluster = world_.cluster;
        auto& node = cluster.node(host());
        const auto links = cluster.open(node.host);
        switch (pick(24)) {
            case 0:
            case 1:
            case 2:
            case 3:
            case 4:
                for (unsigned n = 1 + pick(4); n > 0; --n) issue();
                break;
            case 5:
                node.hold = !node.hold;
                break;
            case 6:
                if (!cluster.seen.empty()) cluster.answer(pick(cluster.seen.size()));
                break;
            case 7:
                cluster.answer_all();
                break;
            case 8: {  // a few vbuckets move
                ScriptMap next = cluster.map;
                for (unsigned n = 1 + pick(5); n > 0; --n) {
                    next.active[pick(next.active.size())] =
                        static_cast<int>(pick(next.hosts.size() + 1)) - (chance(3) ? 1 : 0);
                }
                for (int& server : next.active) server = std::min(server, static_cast<int>(next.hosts.size()) - 1);
                if (!next.forward.empty()) {
                    for (int& server : next.forward) server = static_cast<int>(pick(next.hosts.size()));
                }
                publish(std::move(next));
                break;
            }
            case 9: {  // nodes come and go
                std::vector<std::string> hosts;
                for (int i = 1; i <= 5; ++i) {
                    if (chance(2)) hosts.push_back("n" + std::to_string(i));
                }
                if (hosts.empty()) hosts = {"n2"};
                ScriptMap next = ScriptMap::spread(hosts, 1, 16);
                if (chance(3)) next.forward = next.active;
                publish(std::move(next));
                break;
            }
            case 10:
            case 11:
                node.map.reset();
                break;
            case 12:
                node.body = !node.body;
                break;
            case 13:
                cluster.push(node.host, chance(2));
                break;
            case 14:
                cluster.reset(node.host);
                break;
            case 15:
                cluster.refuse(node.host, chance(2));
                break;
            case 16:
                node.silent = chance(3);
                break;
            case 17:
                node.hold_config = chance(3);
                break;
            case 18:  // executed, and the answer is lost
                if (!cluster.seen.empty()) {
                    const std::size_t n = pick(cluster.seen.size());
                    if (cluster.seen[n].link->closed_by_client) break;
                    cluster.execute_silently(n);
                    cluster.seen[n].link->reset();
                }
                break;
            case 19:
                for (const auto& link : links) link->window = chance(2) ? SIZE_MAX : pick(60);
                break;
            case 20:
                for (const auto& link : links) link->read_chunk = chance(2) ? SIZE_MAX : 1 + pick(40);
                break;
            case 21:
                if (chance(2)) {
                    world_.on_outcome = [this] {
                        world_.on_outcome = nullptr;
                        issue();
                    };
                } else if (chance(10)) {
                    world_.on_outcome = [this] {
                        world_.on_outcome = nullptr;
                        close();
                    };
                }
                break;
            case 22:
                if (chance(60)) close();
                break;
            default:
                break;
        }
        constexpr std::array<Duration, 7> times = {0ms, 0ms, 1ms, 5ms, 40ms, 300ms, 1200ms};
        if (chance(3)) {
            world_.loop->advance(times[pick(7)]);
        } else {
            for (unsigned n = pick(4); n > 0; --n) world_.loop->turn();
        }
    }
    void close() {
        if (std::exchange(closed_, true)) return;
        world_.bucket->close().detach();
    }
    void heal() {
        world_.on_outcome = nullptr;
        for (auto& [name, node] : world_.cluster.nodes()) {
            node.map.reset();
            node.hold = node.hold_config = node.silent = false;
            node.body = true;
            world_.cluster.refuse(name, false);
            for (const auto& link : world_.cluster.open(name)) link->window = link->read_chunk = SIZE_MAX;
        }
        ScriptMap next = world_.cluster.map;
        ++next.rev;
        for (int& server : next.active) server = std::max(server, 0);
        world_.cluster.publish(std::move(next));
        world_.cluster.answer_all();
        world_.loop->advance(15s);
    }
    void settle() {
        ScriptCluster& cluster = world_.cluster;
        if (!closed_) {
            // All is well again: everything succeeds, over one connection to each node.
            const std::size_t before = world_.books.size();
            for (int i = 0; i < 24; ++i) world_.count("k" + std::to_string(i));
            world_.loop->advance(3s);
            for (std::size_t i = before; i < world_.books.size(); ++i) {
                INFO(world_.books[i]->key);
                CHECK(world_.books[i]->outcome.ok());
            }
            CHECK(world_.bucket->connected());
            world_.loop->advance(5s);
            for (auto& [name, node] : cluster.nodes()) {
                INFO(name);
                const auto& hosts = cluster.map.hosts;
                CHECK(cluster.open(name).size() ==
                      static_cast<std::size_t>(std::count(hosts.begin(), hosts.end(), name)));
            }
        }
        world_.check_outcomes();
        CHECK(world_.bucket->operations() == 0);
        world_.bucket.reset();
        world_.check_nothing_is_left();
    }

    std::mt19937 random_;
    World world_;
    bool closed_ = false;
};

}  // namespace

TEST_CASE("answers, silence, moves, losses, time, in any order", "[router][chaos]") {
    std::size_t operations = 0, succeeded = 0, refused = 0;
    for (unsigned seed = 1; seed <= 300; ++seed) {
        INFO("seed " << seed);
        Chaos chaos(seed);
        chaos.run(200);
        operations += chaos.operations();
        succeeded += chaos.succeeded();
        refused += chaos.refused();
    }
    // Not only the easy ones, and not only the hopeless.
    CHECK(operations > 300 * 60);
    CHECK(succeeded > operations / 3);
    CHECK(succeeded < operations * 9 / 10);
    CHECK(refused > 300);
}
