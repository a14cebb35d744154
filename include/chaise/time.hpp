#pragma once

/// \file
/// Time as the engine sees it. There is deliberately no `now()` here: every clock reading goes through
/// `IOPS::now()`, so that the same engine runs on real and on virtual time.

#include <chrono>

namespace chaise {

using Duration = std::chrono::nanoseconds;

/// Monotonic time of one loop. Only `IOPS::now()` makes values of it.
struct LoopClock {
    using duration = Duration;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<LoopClock>;
    static constexpr bool is_steady = true;
};

using TimePoint = LoopClock::time_point;
using WallTime = std::chrono::system_clock::time_point;

}  // namespace chaise
