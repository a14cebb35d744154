#pragma once

/// \file
/// What can be made to go wrong in a LocalCluster, beside the death of nodes.

#include <chaise/time.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace chaise::testing {

/// What happens to what a node's key-value service sends, connection by connection. A piece is what one turn of the
/// node's loop has to say to one client: one or more whole responses. Nothing by default.
struct LinkFaults {
    Duration delay = Duration::zero();   ///< of every piece
    Duration jitter = Duration::zero();  ///< added to it: exponential, with this mean; the order of pieces stays
    double drop = 0;                     ///< probability that a piece is lost; what follows it arrives
    double truncate = 0;                 ///< that half of a piece arrives, and then the connection's end
    double corrupt = 0;                  ///< that a piece's first byte is another one, which no protocol begins with
};

/// Requests that are refused instead of being executed: nothing happens to the document.
struct ErrorBurst {
    /// As on the wire: 0x86 ETMPFAIL, 0x85 EBUSY, 0x82 ENOMEM, 0x09 LOCKED …; not 0.
    std::uint16_t status = 0x86;
    /// Requests with this opcode (0x00 GET, 0x01 SET …); none given: all that concern one document.
    std::optional<std::uint8_t> opcode{};
    std::optional<std::size_t> node{};  ///< none given: on all nodes
    std::uint64_t times = 0;            ///< then it is over; 0: until clear_error_bursts()
    double probability = 1;             ///< of a request to be met by it
};

}  // namespace chaise::testing
