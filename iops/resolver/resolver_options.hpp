#pragma once

#include <chrono>
#include <string>

namespace chaise {

/// How names are resolved. The hosts file always comes first.
struct ResolverOptions {
    /// Name servers as "address[:port],…" ("[::1]:53" for IPv6); empty takes the system's.
    std::string nameservers{};
    /// For the first try at each server; later tries wait longer.
    std::chrono::milliseconds timeout{2000};
    int tries = 3;
};

}  // namespace chaise
