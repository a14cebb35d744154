#pragma once

#include <cstdint>

namespace chaise::bench {

/// What this thread did since it began. Counted where it happens: the bench's executables define the C library's
/// functions themselves and pass the calls on (allocations.cpp, system_calls.cpp), so every face and the floor are
/// counted alike.
struct Counters {
    std::uint64_t allocations = 0;  ///< malloc, calloc, realloc, aligned_alloc, posix_memalign, thus operator new too
    std::uint64_t news = 0;         ///< operator new, plain and aligned
    std::uint64_t system_calls = 0;
};

inline constinit thread_local Counters counters;

}  // namespace chaise::bench
