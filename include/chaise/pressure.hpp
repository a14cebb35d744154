#pragma once

/// \file
/// Back-pressure: how full a bucket is, waiting for a place in it, and how it is closed.

#include <chaise/time.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace chaise {

struct PlaceOptions {
    /// Of the request that is going to be made (key and value); one without a value needs none to be said.
    std::size_t bytes = 1024;
    /// How long to wait; default: the bucket's operation_timeout.
    std::optional<Duration> timeout{};
};
static_assert(std::is_trivially_destructible_v<PlaceOptions>);

struct CloseOptions {
    /// How long the operations that are under way may still take; default: the bucket's drain_timeout.
    std::optional<Duration> drain{};
};
static_assert(std::is_trivially_destructible_v<CloseOptions>);

enum class PressureLevel : std::uint8_t {
    low,   ///< less than half of every bound is used
    high,  ///< half of one
    full,  ///< a bound is reached: operations end with `errc::queue_full`, all or those for one node
};
/// "low", "high", "full"
[[nodiscard]] std::string_view name(PressureLevel level) noexcept;

/// What `bucket.pressure()` tells: a moment's view.
struct Pressure {
    /// A line of requests: of a node, or of those that have none at present.
    struct Queue {
        std::size_t operations = 0;  ///< waiting to be sent, or for an answer
        std::size_t max_operations = 0;
        std::size_t bytes = 0;  ///< of memory for their requests, in blocks
        std::size_t max_bytes = 0;
        /// The used part of the bound that is nearest, 0 to 1.
        [[nodiscard]] double load() const noexcept;
    };
    struct Node : Queue {
        std::string node;  ///< "host:port"
    };
    Queue bucket;             ///< all of it; `operations` as `operations()` counts them
    std::vector<Node> nodes;  ///< also those that have left the cluster and owe answers
    Queue unrouted;           ///< no node can take them now (there is no map yet, a vbucket has no owner)
    Queue resting;            ///< their answer was "not now": they are tried again after a while
    std::size_t places = 0;   ///< who waits for a place

    /// The fullest of all of them, 0 to 1.
    [[nodiscard]] double load() const noexcept;
    [[nodiscard]] PressureLevel level() const noexcept;
};

}  // namespace chaise
