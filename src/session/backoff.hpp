#pragma once

#include <chaise/time.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace chaise::detail {

/// Delays between attempts to connect: doubling from 10 ms to 1 s, each drawn from its upper half, so that clients of
/// one server that failed do not come back together. Starts anew only after a connection that held for a while.
class Backoff {
public:
    static constexpr Duration first = std::chrono::milliseconds(10);
    static constexpr Duration most = std::chrono::seconds(1);
    static constexpr Duration healthy_after = std::chrono::seconds(1);

    [[nodiscard]] Duration next(std::uint64_t random) noexcept {
        const Duration full = std::min(most, first * (std::int64_t{1} << std::min(failures_, 10u)));
        ++failures_;
        const std::int64_t half = full.count() / 2;
        return Duration(half + static_cast<std::int64_t>(random % static_cast<std::uint64_t>(half + 1)));
    }
    void connection_held(Duration lifetime) noexcept {
        if (lifetime >= healthy_after) failures_ = 0;
    }

private:
    unsigned failures_ = 0;
};

}  // namespace chaise::detail
