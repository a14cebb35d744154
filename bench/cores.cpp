#include "bench/cores.hpp"

#include <sched.h>

namespace chaise::bench {

std::optional<Cores> two_cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) return {};
    int first = -1;
    for (int core = 0; core < CPU_SETSIZE; ++core) {
        if (!CPU_ISSET(static_cast<std::size_t>(core), &set)) continue;
        if (first >= 0) return Cores{first, core};
        first = core;
    }
    return {};
}

void pin_to(int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(core), &set);
    sched_setaffinity(0, sizeof set, &set);
}

}  // namespace chaise::bench
