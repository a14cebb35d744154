#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace chaise::testing {

/// A cluster map, to be written as the server writes it.
struct ScriptMap {
    int epoch = 1;
    int rev = 1;
    std::vector<std::string> hosts;  ///< server number → host; all at port 11210
    std::vector<int> active;         ///< vbucket → server number, or -1
    std::vector<int> forward{};
    std::vector<std::vector<int>> replicas{};  ///< vbucket → server numbers, or -1; empty: the bucket has none
    std::vector<std::string> groups{};         ///< server number → server group
    std::string bucket = "default";
    std::optional<int> manifest_uid{};
    std::string uuid = "u";
    std::string capabilities{};  ///< of the bucket: "\"durableWrite\"", with commas between them
    std::string services{};      ///< of every node, beside kv and mgmt: "\"capi\":8092"
    bool dollar_host = false;    ///< the serverList says $HOST, and nodesExt no hostname

    /// vbucket v is held by server v mod n.
    static ScriptMap spread(std::vector<std::string> hosts, int rev = 1, std::size_t vbuckets = 64) {
        ScriptMap map{.rev = rev, .hosts = std::move(hosts), .active = {}};
        for (std::size_t v = 0; v < vbuckets; ++v) map.active.push_back(static_cast<int>(v % map.hosts.size()));
        return map;
    }
    /// And with replicas on the servers after it.
    static ScriptMap replicated(std::vector<std::string> hosts, unsigned replicas, int rev = 1) {
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
    /// The host of a replica; empty: none.
    [[nodiscard]] std::string replica(std::uint16_t vbucket, std::size_t index) const {
        if (vbucket >= replicas.size() || index >= replicas[vbucket].size() || replicas[vbucket][index] < 0) return {};
        return hosts.at(static_cast<std::size_t>(replicas[vbucket][index]));
    }
    [[nodiscard]] std::size_t replica_count() const { return replicas.empty() ? 0 : replicas.front().size(); }
    [[nodiscard]] const std::string& owner(std::uint16_t vbucket) const {
        static const std::string nobody;
        return active.at(vbucket) < 0 ? nobody : hosts.at(static_cast<std::size_t>(active[vbucket]));
    }
    [[nodiscard]] std::string text() const {
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

private:
    static std::string rows(const std::vector<int>& servers, const std::vector<std::vector<int>>& behind = {}) {
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
};

}  // namespace chaise::testing
