#pragma once

/// \file
/// Under which names a LocalCluster's nodes tell of themselves: as behind a NAT, or in a container, where clients
/// outside reach them by other addresses than those that the cluster itself uses (option `network` of clients).

#include <cstdint>
#include <string>

namespace chaise::testing {

/// The ports of a node's external address.
enum class ExternalPorts : std::uint8_t {
    same,  ///< not told: those of the node itself
    own,   ///< told; they are those of the node itself, too
    /// Told. Maps name the usual ports (11210, 8091 to 8095) as the node's own, where it does not listen, unless it
    /// is in a SimWorld.
    translated,
};

/// How cluster maps name a node. It listens where it does anyway.
struct NodeAddresses {
    std::string internal{};  ///< `hostname` of the node; empty: where it listens
    std::string external{};  ///< of `alternateAddresses.external`; empty: it has none
    ExternalPorts ports = ExternalPorts::same;
    friend bool operator==(const NodeAddresses&, const NodeAddresses&) = default;
};

}  // namespace chaise::testing
