#pragma once

// What the parts of a simulated world share: the queue of what happens next, the hosts, the trace.

#include <chaise/detail/exit_hook.hpp>
#include <chaise/iops.hpp>
#include <chaise/testing/simulation.hpp>

#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <iosfwd>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chaise::testing::sim {

class Core;
class Link;
class SimIops;
class SimListener;
struct Host;

enum class Kind : std::uint8_t {
    timer,
    readable,
    writable,
    arrival,
    connect,
    accept,
    resolve,
    posted,
    lifecycle,
    chaos,
};
std::string_view to_string(Kind kind) noexcept;

// Something that happens at a time. Lives in its owner; the queue keeps only its address.
class Scheduled {
public:
    Scheduled(Kind kind, Host* host) noexcept : host_(host), kind_(kind) {}
    Scheduled(const Scheduled&) = delete;
    Scheduled& operator=(const Scheduled&) = delete;
    virtual ~Scheduled() = default;  // must be cancelled before

    virtual void fire() = 0;
    // The world ends before this happened. Whoever owns itself goes.
    virtual void drop() noexcept {}

    [[nodiscard]] bool scheduled() const noexcept { return position_ != idle; }
    [[nodiscard]] Kind kind() const noexcept { return kind_; }

protected:
    void set_host(Host* host) noexcept { host_ = host; }

private:
    friend class EventQueue;
    friend class Core;
    static constexpr std::uint32_t idle = ~std::uint32_t{0};

    Host* host_;  // whose processes hear of it; null is the network itself, which no pause stops
    std::uint32_t position_ = idle;
    std::uint32_t incarnation_ = 0;
    bool held_ = false;  // waits in host_->held for the host to go on
    Kind kind_;

public:
    std::uint64_t trace_id = 0;
};

// A 4-ary heap over (time, sequence): ties are served in the order in which they were scheduled.
class EventQueue {
public:
    struct Entry {
        std::int64_t time;
        std::uint64_t sequence;
        Scheduled* node;
        [[nodiscard]] bool before(const Entry& other) const noexcept {
            return time != other.time ? time < other.time : sequence < other.sequence;
        }
    };
    [[nodiscard]] bool empty() const noexcept { return heap_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return heap_.size(); }
    [[nodiscard]] const Entry& top() const noexcept { return heap_.front(); }
    [[nodiscard]] const std::vector<Entry>& entries() const noexcept { return heap_; }
    void push(Scheduled& node, std::int64_t time);
    void remove(Scheduled& node) noexcept;
    Scheduled& pop() noexcept;

private:
    void place(std::size_t at, const Entry& entry) noexcept {
        heap_[at] = entry;
        entry.node->position_ = static_cast<std::uint32_t>(at);
    }
    void sift_up(std::size_t at, const Entry& entry) noexcept;
    void sift_down(std::size_t at, const Entry& entry) noexcept;

    std::vector<Entry> heap_;
    std::uint64_t sequence_ = 0;
};

// Starts or ends a host's process, always from a dispatch of its own: whoever killed it may be standing in it.
class Lifecycle final : public Scheduled {
public:
    Lifecycle(Core& core, Host& owner) noexcept : Scheduled(Kind::lifecycle, nullptr), core_(core), owner_(owner) {}
    void fire() override;

private:
    Core& core_;
    Host& owner_;
};

struct Host {
    Host(Core& core, std::string its_name, std::uint32_t its_id)
        : name(std::move(its_name)), id(its_id), lifecycle(core, *this) {}
    std::string name;
    std::uint32_t id;
    std::uint32_t incarnation = 1;  // counts kills: what belongs to an earlier one hears nothing any more
    bool alive = true;
    bool paused = false;
    bool black_holed = false;
    bool boot_due = false;
    std::uint16_t next_port = 40000;
    std::uint64_t connects = 0;
    std::uint64_t resolves = 0;
    std::map<std::uint16_t, SimListener*> listeners;
    std::vector<Scheduled*> held;  // in order; null where the waiting one was cancelled
    SimWorld::Boot boot;
    std::shared_ptr<void> process;
    Lifecycle lifecycle;
};

// Host faults of a swarm, one after the other, each with its end.
class Chaos final : public Scheduled {
public:
    explicit Chaos(Core& core) noexcept : Scheduled(Kind::chaos, nullptr), core_(core) {}
    void fire() override;
    void restart();

private:
    Core& core_;
};

class Core : public std::enable_shared_from_this<Core> {
public:
    Core(std::uint64_t seed, const SimOptions& options);
    ~Core();

    // ---- time ----
    [[nodiscard]] std::int64_t now() const noexcept { return now_; }
    [[nodiscard]] TimePoint time_point() const noexcept { return TimePoint{Duration{now_}}; }
    [[nodiscard]] TimePoint read_clock() noexcept {
        now_ += options.clock_reading.count();
        return time_point();
    }
    [[nodiscard]] WallTime wall_time() const noexcept;
    void schedule(Scheduled& node, Duration delay);
    void cancel(Scheduled& node) noexcept;
    void after(Duration delay, std::unique_ptr<Posted> posted);
    // One dispatch; false when nothing is left that is due by `limit`. Chaos alone does not keep a world going,
    // unless it is to last until `limit` whatever happens.
    bool step(std::int64_t limit, bool to_the_limit);
    void advance_to(std::int64_t time) noexcept {
        if (time > now_) now_ = time;
    }
    void shut_down() noexcept;
    [[nodiscard]] bool dead() const noexcept { return dead_; }
    void rethrow_pending();

    // ---- hosts ----
    Host& host(std::string_view name);
    [[nodiscard]] Host* find_host(std::string_view name) noexcept;
    [[nodiscard]] std::unique_ptr<IOPS> make_iops(Host& host);
    [[nodiscard]] bool cut_off(const Host& a, const Host& b) const noexcept;
    void pause(Host& host);
    void resume(Host& host);
    void kill(Host& host);
    void respawn(Host& host);
    void set_black_hole(Host& host, bool on);
    void set_partition(Host& a, Host& b, bool on);
    void reset_connections(Host& host);
    void close_connections(Host& host);
    void undo_host_faults();
    // Cut-off connections that can pass again go on.
    void reconnect_network();
    void reset_half_open();

    // ---- the trace ----
    void record(Kind kind, std::uint64_t id, std::uint64_t detail) noexcept {
        hash_ = sim_mix(hash_ ^ static_cast<std::uint64_t>(now_));
        hash_ = sim_mix(hash_ ^ (static_cast<std::uint64_t>(kind) << 56 ^ id << 32 ^ detail));
        if (trace_ != nullptr) print(to_string(kind), id, detail);
    }
    void record_fault(SimFault fault, std::uint64_t id) noexcept;
    void record_connect(const Host& from, const Endpoint& to);
    void mix(std::uint64_t data) noexcept { hash_ = sim_mix(hash_ ^ data); }

    SimRandom random;  // the root; only forked, never drawn from
    SimOptions options;
    SimFaults faults;
    SimCounts counts;
    std::map<std::string, std::deque<std::int64_t>> connect_times;  // of the last second, by who and where
    Duration wall_offset{};
    std::vector<std::unique_ptr<Host>> hosts;
    std::vector<Link*> links;  // open ones, in the order in which they were made
    std::vector<SimIops*> iops;
    std::size_t pendings = 0;  // connects and resolutions that somebody waits for
    std::map<std::string, std::vector<std::string>, std::less<>> names;
    std::vector<std::pair<Host*, Host*>> partitions;
    Chaos chaos{*this};
    SimRandom chaos_random;
    EventQueue queue;
    std::size_t work = 0;
    ExitHooks exit_hooks;
    std::uint64_t next_timer_id = 0;
    std::uint32_t next_client = 0;
    bool stopped = false;
    std::vector<std::exception_ptr> exceptions;  // to be rethrown by the run
    std::ostream* trace_ = nullptr;
    std::uint64_t hash_;

private:
    void print(std::string_view what, std::uint64_t id, std::uint64_t detail) noexcept;

    std::int64_t now_ = std::chrono::nanoseconds{std::chrono::hours{1}}.count();  // 0 would look like "no time"
    std::int64_t start_ = now_;
    std::int64_t instant_ = now_;  // of the last dispatch
    std::uint64_t dispatches_at_instant_ = 0;
    bool dead_ = false;
};

}  // namespace chaise::testing::sim
