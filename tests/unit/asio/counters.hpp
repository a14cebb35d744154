#pragma once

#include <cstdint>

namespace chaise::testing {

/// Of the calling thread, since it started: counted where they are made.
struct Counters {
    std::uint64_t allocations = 0;
    std::uint64_t system_calls = 0;
};
[[nodiscard]] Counters& counters() noexcept;

}  // namespace chaise::testing
