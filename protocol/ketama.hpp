#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Consistent hashing (protocol.md 6.2): keys and servers lie on a ring of 32-bit numbers, and a key belongs to the
// server with the next point.
namespace chaise::protocol {

/// Whose ring: clients that share servers must agree about it.
enum class RingScheme : std::uint8_t {
    /// Couchbase's memcached buckets: 160 points a server, MD5 of "host:port-n".
    couchbase,
    /// libmemcached's MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, which is libketama's: as above, by weight, and the port 11211
    /// is left out.
    ketama_weighted,
    /// libmemcached's MEMCACHED_BEHAVIOR_KETAMA: 100 points a server, and keys and points by Jenkins' one-at-a-time.
    /// Once a weight is not 1, the points are those of ketama_weighted.
    ketama,
};

struct RingHost {
    std::string host;  ///< as the configuration has it, IPv6 without brackets
    std::uint16_t port = 0;
    std::uint32_t weight = 1;  ///< at least 1; the couchbase scheme has none
};

class Ring {
public:
    struct Point {
        std::uint32_t value;
        std::uint32_t host;  ///< index into what the ring was made of
        friend bool operator==(const Point&, const Point&) = default;
    };
    static constexpr std::size_t nobody = ~std::size_t{0};

    Ring() = default;
    Ring(RingScheme scheme, std::span<const RingHost> hosts);

    /// Index of the host that the key belongs to; `nobody` of an empty ring.
    [[nodiscard]] std::size_t owner(std::string_view key) const noexcept;
    /// Where on the ring the key lies.
    [[nodiscard]] std::uint32_t place(std::string_view key) const noexcept;
    /// Ascending.
    [[nodiscard]] std::span<const Point> points() const noexcept { return points_; }
    [[nodiscard]] bool empty() const noexcept { return points_.empty(); }

private:
    RingScheme scheme_ = RingScheme::couchbase;
    std::vector<Point> points_;
};

}  // namespace chaise::protocol
