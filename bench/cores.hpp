#pragma once

#include <optional>

namespace chaise::bench {

/// Two cores that this process may use; none if it has one only.
struct Cores {
    int server;
    int client;
};
[[nodiscard]] std::optional<Cores> two_cores();
/// From now on this thread runs there only.
void pin_to(int core);

}  // namespace chaise::bench
