// libFuzzer: whatever the text, a cluster map is read or refused with a reason, and what it is asked stays in bounds.
//
//     fuzz_cluster_map -max_len=16384 -timeout=10 corpus/ tests/data/ (which has a map)

#include <cstdint>
#include <cstdlib>

#include "protocol/cluster_map.hpp"

using namespace chaise::protocol;

namespace {

void check(bool truth) {
    if (!truth) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const ParsedMap parsed = parse_cluster_map(text, "fd00::1");
    check(parsed.error.empty() == (parsed.map != nullptr));
    if (!parsed.map) return 0;
    const ClusterMap& map = *parsed.map;
    check(!map.nodes.empty() && map.kv.size() == map.kv_nodes.size());
    const auto servers = static_cast<int>(map.kv.size());
    for (unsigned vbucket = 0; vbucket <= map.vbucket_count(); ++vbucket) {
        for (unsigned copy = 0; copy < 5; ++copy) {
            const int now = map.server(static_cast<std::uint16_t>(vbucket), copy);
            const int then = map.forward_server(static_cast<std::uint16_t>(vbucket), copy);
            check(now >= -1 && now < servers && then >= -1 && then < servers);
        }
    }
    for (const bool tls : {false, true}) {
        const std::string network = choose_network(map, "auto", {"node1.example.com", 32110}, tls);
        check(kv_endpoints(map, network, tls).size() == map.kv.size());
        for (const Endpoint& endpoint : service_endpoints(map, Service::query, network, tls)) {
            check(endpoint && !endpoint.host.empty() && !authority(endpoint).empty());
        }
    }
    check(!why_not_acceptable(map, map).empty() && !newer(map, map));
    return 0;
}
