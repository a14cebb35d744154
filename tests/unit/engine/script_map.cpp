#include "tests/unit/engine/script_map.hpp"

#include <utility>

namespace chaise::testing {

ScriptMap ScriptMap::spread(std::vector<std::string> hosts, int rev, std::size_t vbuckets) {
    ScriptMap map{.rev = rev, .hosts = std::move(hosts), .active = {}};
    for (std::size_t v = 0; v < vbuckets; ++v) map.active.push_back(static_cast<int>(v % map.hosts.size()));
    return map;
}

ScriptMap ScriptMap::replicated(std::vector<std::string> hosts, unsigned replicas, int rev) {
    ScriptMap map = spread(std::move(hosts), rev);
    for (const int active : map.active) {
        auto& row = map.replicas.emplace_back();
        for (unsigned i = 1; i <= replicas; ++i) {
            const auto n = static_cast<unsigned>(map.hosts.size());
            row.push_back(i < n ? static_cast<int>((static_cast<unsigned>(active) + i) % n) : -1);
        }
    }
    return map;
}

std::string ScriptMap::replica(std::uint16_t vbucket, std::size_t index) const {
    if (vbucket >= replicas.size() || index >= replicas[vbucket].size() || replicas[vbucket][index] < 0) return {};
    return hosts.at(static_cast<std::size_t>(replicas[vbucket][index]));
}

std::size_t ScriptMap::replica_count() const { return replicas.empty() ? 0 : replicas.front().size(); }

const std::string& ScriptMap::owner(std::uint16_t vbucket) const {
    static const std::string nobody;
    return active.at(vbucket) < 0 ? nobody : hosts.at(static_cast<std::size_t>(active[vbucket]));
}

std::string ScriptMap::text() const {
    std::string servers, nodes, ext;
    for (std::size_t i = 0; i < hosts.size(); ++i) {
        const std::string& host = hosts[i];
        const std::string comma = servers.empty() ? "" : ",";
        servers += comma + "\"" + (dollar_host ? "$HOST" : host) + ":11210\"";
        nodes += comma + "{}";
        ext += comma + "{" + (dollar_host ? "" : R"("hostname":")" + host + R"(",)") +
               (i < groups.size() ? R"("serverGroup":")" + groups[i] + R"(",)" : "") +
               R"("services":{"kv":11210,"mgmt":8091)" + (services.empty() ? "" : "," + services) + "}}";
    }
    return "{" + (manifest_uid ? R"("collectionsManifestUid":")" + std::to_string(*manifest_uid) + R"(",)" : "") +
           R"("rev":)" + std::to_string(rev) + R"(,"revEpoch":)" + std::to_string(epoch) + R"(,"name":")" + bucket +
           R"(","uuid":")" + uuid + R"(","bucketCapabilities":[)" + capabilities +
           R"(],"nodeLocator":"vbucket","nodes":[)" + nodes + R"(],"nodesExt":[)" + ext +
           R"(],"vBucketServerMap":{"hashAlgorithm":"CRC","numReplicas":)" + std::to_string(replica_count()) +
           R"(,"serverList":[)" + servers + R"(],"vBucketMap":[)" + rows(active, replicas) + "]" +
           (forward.empty() ? "" : R"(,"vBucketMapForward":[)" + rows(forward) + "]") + "}}";
}

std::string ScriptMap::rows(const std::vector<int>& servers, const std::vector<std::vector<int>>& behind) {
    std::string out;
    for (std::size_t v = 0; v < servers.size(); ++v) {
        out += (out.empty() ? "[" : ",[") + std::to_string(servers[v]);
        if (v < behind.size()) {
            for (const int replica : behind[v]) out += "," + std::to_string(replica);
        }
        out += "]";
    }
    return out;
}

}  // namespace chaise::testing
