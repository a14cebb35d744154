#pragma once

#include "iops/resolver/resolver_options.hpp"

#include <chrono>

namespace chaise {

/// How a PosixTransportFactory makes its sockets.
struct PosixOptions {
    /// TCP_USER_TIMEOUT: how long sent data may stay unacknowledged before the connection is given up; 0 leaves it
    /// to the system.
    std::chrono::milliseconds user_timeout{0};
    /// As StreamOptions::keepalive.
    std::chrono::seconds keepalive{0};
    ResolverOptions resolver{};
};

}  // namespace chaise
