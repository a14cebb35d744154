#pragma once

#include "bucket/settings.hpp"
#include "protocol/cluster_map.hpp"

#include <string>
#include <vector>

namespace chaise::detail {

/// Where the settings say that a cluster map may be had by the key-value protocol; in the order of the string.
[[nodiscard]] std::vector<protocol::Endpoint> key_value_hosts(const Settings& settings);
/// The same by HTTP.
[[nodiscard]] std::vector<protocol::Endpoint> management_hosts(const Settings& settings);
/// The name of the SRV records that may name the seeds (protocol.md 7.6); empty: there are none to look for.
[[nodiscard]] std::string service_name(const Settings& settings);

}  // namespace chaise::detail
