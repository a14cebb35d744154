#pragma once

/// \file
/// What can go wrong in a simulated world, how often, and how often it did.

#include <chaise/testing/sim_random.hpp>
#include <chaise/time.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace chaise::testing {

enum class SimFault : std::uint8_t {
    partial_read,     ///< fewer bytes than had arrived
    partial_write,    ///< fewer bytes taken than there was room for, perhaps none
    delay,            ///< a delivery took 10 to 200 times its latency
    small_pipe,       ///< a connection of 64 to 2048 bytes per direction
    reset,            ///< both ends of a connection told so, data in flight perhaps lost
    half_open,        ///< a connection takes bytes and delivers nothing, without a notice
    slow_close,       ///< the end of a stream arrived late
    connect_refused,  ///< although something listens
    connect_hung,     ///< no answer to a connection attempt
    resolve_slow,
    resolve_failed,
    host_paused,  ///< a host's processes stand still, its kernel goes on
    host_killed,  ///< connections reset, listeners gone, the process destroyed
    black_hole,   ///< nothing reaches or leaves a host
    partition,    ///< nothing passes between two hosts
    clock_jump,   ///< calendar time leaps
};
inline constexpr std::size_t sim_fault_kinds = 16;

/// "partial_read" …
[[nodiscard]] std::string_view to_string(SimFault fault) noexcept;

/// How often faults happen; everything off by default. Probabilities are per read, per write, per delivery, per
/// connection or per resolution, as the name says.
struct SimFaults {
    double partial_read = 0;
    double partial_write = 0;
    double delay = 0;
    double small_pipe = 0;
    double reset = 0;      ///< per write
    double half_open = 0;  ///< per write
    double slow_close = 0;
    double connect_refused = 0;
    double connect_hung = 0;
    double resolve_slow = 0;
    double resolve_failed = 0;
    /// Relative weights: which of these happens when a host fault is due.
    double host_paused = 0;
    double host_killed = 0;  ///< only of hosts with a process (SimWorld::boot); it is started again later
    double black_hole = 0;
    double partition = 0;
    double clock_jump = 0;
    /// Mean times between two host faults, and until one is undone.
    Duration host_fault_interval = std::chrono::milliseconds{200};
    Duration host_fault_length = std::chrono::milliseconds{50};

    /// Every fault at a rate that a client survives.
    [[nodiscard]] static SimFaults all() noexcept;
    /// A random half of all(), each at a random strength: every run has a character of its own.
    [[nodiscard]] static SimFaults swarm(SimRandom& random) noexcept;
    [[nodiscard]] double rate(SimFault fault) const noexcept;
    /// "partial_read=0.3 reset=0.001": what is on, for the line that a run prints first.
    [[nodiscard]] std::string to_string() const;
};

/// How often each fault was injected.
class SimFaultCounts {
public:
    [[nodiscard]] std::uint64_t operator[](SimFault fault) const noexcept {
        return counts_[static_cast<std::size_t>(fault)];
    }
    [[nodiscard]] std::uint64_t total() const noexcept;
    /// How many kinds happened at least once.
    [[nodiscard]] std::size_t kinds() const noexcept;
    [[nodiscard]] std::string to_string() const;
    void add(SimFault fault) noexcept { ++counts_[static_cast<std::size_t>(fault)]; }

private:
    std::array<std::uint64_t, sim_fault_kinds> counts_{};
};

}  // namespace chaise::testing
