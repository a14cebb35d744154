#pragma once

/// \file
/// SimWorld: an event loop on virtual time, a network in memory and everything that goes wrong in one, all drawn from
/// one seed. The same program with the same seed does the same, event by event; `trace_hash()` proves it.
///
/// ```
/// SimWorld world{seed, {.swarm = true}};
/// world.boot("mc1", [](std::unique_ptr<IOPS> iops) { return std::make_shared<MyServer>(std::move(iops)); });
/// AsyncBucket bucket{world, "memcached://mc1"};
/// chaise::spawn(world, workload(bucket));
/// world.run();
/// ```
///
/// One thread. Two worlds do not know of each other.

#include <chaise/detail/exit_hook.hpp>
#include <chaise/iops.hpp>
#include <chaise/testing/sim_faults.hpp>
#include <chaise/testing/sim_random.hpp>

#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace chaise::testing {

namespace sim {
class Core;
/// A function that post() keeps, once for each type.
struct Posted {
    virtual ~Posted() = default;
    virtual void run() = 0;
};
template <class F>
struct PostedFunction final : Posted {
    explicit PostedFunction(F f) : function(std::move(f)) {}
    void run() override { function(); }
    F function;
};
}  // namespace sim

struct SimOptions {
    /// One-way: a connection's own base is drawn from latency_min … latency_mean, each delivery adds an exponential
    /// part with the mean of what is left to latency_mean.
    Duration latency_min = std::chrono::microseconds{20};
    Duration latency_mean = std::chrono::microseconds{150};
    /// Bytes that one direction of a connection holds before a write takes nothing more.
    std::size_t pipe_capacity = 64 * 1024;
    /// Calendar time at the start of the run.
    WallTime wall_start = WallTime{std::chrono::seconds{1'700'000'000}};
    SimFaults faults{};
    /// Draw the faults from the seed (SimFaults::swarm); `faults` is then ignored.
    bool swarm = false;
    /// Virtual time that one IOPS::now() takes. By default handlers take no time at all; with more, events come late,
    /// as on a machine that has work to do, and who waits for time to pass inside a handler waits with success.
    Duration clock_reading = Duration::zero();
    /// A livelock is an error: more dispatches than this without virtual time passing.
    std::uint64_t dispatches_per_instant_max = 1'000'000;
};

/// What is left over. Nothing, when everything is closed.
struct SimLeaks {
    std::size_t connections = 0;  ///< ends of connections that nobody has closed
    std::size_t listeners = 0;
    std::size_t timers = 0;    ///< armed
    std::size_t pendings = 0;  ///< connects and resolutions under way
    [[nodiscard]] bool none() const noexcept { return connections + listeners + timers + pendings == 0; }
    [[nodiscard]] std::string to_string() const;
};

struct SimCounts {
    std::uint64_t events = 0;       ///< dispatched
    std::uint64_t connections = 0;  ///< established
    std::uint64_t connects = 0;     ///< attempts
    /// The most attempts of one host to reach one address that began within one second: no storm of reconnects.
    std::uint64_t connects_in_a_second = 0;
    std::uint64_t bytes = 0;  ///< delivered to readers
    SimFaultCounts faults;
};

class SimWorld {
public:
    explicit SimWorld(std::uint64_t seed, const SimOptions& options = {});
    SimWorld(const SimWorld&) = delete;
    SimWorld& operator=(const SimWorld&) = delete;
    /// Runs the exit hooks (suspended roots of `chaise::spawn`), tells every IOPS that is still there, destroys the
    /// processes and, unrun, what was posted. IOPS and transports that outlive the world do nothing.
    ~SimWorld();

    // ---- hosts and their handles ------------------------------------------------------------------------------

    /// On a client host of its own ("client1", …).
    [[nodiscard]] std::unique_ptr<IOPS> make_iops();
    /// On the named host, which is made when it is first named. What listens there is reached by that name as
    /// address; "127.0.0.1", "::1" and "localhost" are the host itself.
    [[nodiscard]] std::unique_ptr<IOPS> make_iops(std::string_view host);

    /// What runs on a host: made at once with an IOPS of that host, destroyed when the host is killed, and made anew
    /// when it is started again. Keep in the closure (not in the process) what survives, as a disk would.
    using Boot = std::function<std::shared_ptr<void>(std::unique_ptr<IOPS>)>;
    void boot(std::string_view host, Boot boot);
    /// What resolve() answers for a name; a host's own name needs no entry. Empty: the name does not exist.
    void set_addresses(std::string_view name, std::vector<std::string> addresses);

    // ---- running ------------------------------------------------------------------------------------------------

    /// Dispatches until stop(), until counted work (`work_started`) has come to its end, or until nothing is
    /// scheduled any more. Rethrows what a callback or coroutine threw; may then be called again.
    void run();
    /// Dispatches until the predicate holds (asked before the first and after every dispatch): true. False when
    /// `virtual_time_max` has passed, nothing is scheduled, or stop().
    template <std::predicate P>
    bool run_until(P&& predicate, Duration virtual_time_max = std::chrono::hours{1}) {
        return run_until_impl(
            [](void* p) { return static_cast<bool>((*static_cast<std::remove_reference_t<P>*>(p))()); },
            const_cast<void*>(static_cast<const void*>(std::addressof(predicate))), virtual_time_max);
    }
    /// Virtual time passes, whatever happens in it.
    void run_for(Duration duration);
    /// run() and its kin return after the present dispatch, or the next of them returns at once.
    void stop() noexcept;
    /// Calls f() once, in a later dispatch at the present virtual time.
    template <std::invocable F>
    void post(F&& f) {
        after(Duration::zero(), std::forward<F>(f));
    }
    /// Calls f() once after a delay: the scripted faults of a test.
    template <std::invocable F>
    void after(Duration delay, F&& f) {
        schedule(std::make_unique<sim::PostedFunction<std::decay_t<F>>>(std::forward<F>(f)), delay);
    }

    [[nodiscard]] TimePoint now() const noexcept;
    [[nodiscard]] WallTime wall_time() const noexcept;

    // For chaise::spawn and the like, as EpollLoop has them.
    /// An exception that run() shall rethrow after the present dispatch; of several, the later ones by the next run().
    void on_exception(std::exception_ptr exception) noexcept;
    /// Counts work that `run` waits for. Work alone does not keep it waiting if nothing is scheduled.
    void work_started() noexcept;
    void work_finished() noexcept;
    /// Has `hook` run when the world ends, while its IOPS still work.
    void at_exit(ExitHook& hook) noexcept;

    // ---- chance -------------------------------------------------------------------------------------------------

    [[nodiscard]] std::uint64_t seed() const noexcept;
    /// A stream of its own for a workload; equal names and numbers give equal streams.
    [[nodiscard]] SimRandom random(std::string_view name, std::uint64_t number = 0) const noexcept;
    /// The rates in force.
    [[nodiscard]] const SimFaults& faults() const noexcept;
    void set_faults(const SimFaults& faults);
    /// The quiet tail: no more random faults; what paused goes on, what was killed is started, what was cut off is
    /// reached again, half-open connections are reset.
    void faults_off();

    // ---- scripted faults; each counted ----------------------------------------------------------------------------

    /// Every connection of the host: both ends get connection_reset (the far one after a latency).
    void reset_connections(std::string_view host);
    /// The ends of the stream arrive, no data is lost: what an orderly shutdown of the far process looks like.
    void close_connections(std::string_view host);
    /// No more events for the host's IOPS until resume(); its kernel still accepts and takes bytes.
    void pause(std::string_view host);
    void resume(std::string_view host);
    /// Resets its connections, forgets its listeners, stops its IOPS for good (LoopObserver is told), and destroys
    /// its process in the next dispatch. Connection attempts are refused.
    void kill(std::string_view host);
    /// Starts the host again, and its process if it was booted with one.
    void respawn(std::string_view host);
    /// Nothing reaches or leaves the host; nobody is told. What was written meanwhile arrives after heal().
    void black_hole(std::string_view host);
    void heal(std::string_view host);
    /// Nothing passes between the two.
    void partition(std::string_view a, std::string_view b);
    void heal(std::string_view a, std::string_view b);
    void jump_wall_clock(Duration by) noexcept;
    [[nodiscard]] bool alive(std::string_view host) const noexcept;

    // ---- what happened ------------------------------------------------------------------------------------------

    /// Over every event, its virtual time and the bytes that were sent.
    [[nodiscard]] std::uint64_t trace_hash() const noexcept;
    /// One line per event from now on; nullptr ends it. The stream must outlive that.
    void trace(std::ostream* out) noexcept;
    [[nodiscard]] const SimCounts& counts() const noexcept;
    [[nodiscard]] SimLeaks leaks() const;

private:
    bool run_until_impl(bool (*predicate)(void*), void* context, Duration virtual_time_max);
    void schedule(std::unique_ptr<sim::Posted> posted, Duration delay);

    std::shared_ptr<sim::Core> core_;
};

}  // namespace chaise::testing
