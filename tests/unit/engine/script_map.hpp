#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
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
    static ScriptMap spread(std::vector<std::string> hosts, int rev = 1, std::size_t vbuckets = 64);
    /// And with replicas on the servers after it.
    static ScriptMap replicated(std::vector<std::string> hosts, unsigned replicas, int rev = 1);
    /// The host of a replica; empty: none.
    [[nodiscard]] std::string replica(std::uint16_t vbucket, std::size_t index) const;
    [[nodiscard]] std::size_t replica_count() const;
    [[nodiscard]] const std::string& owner(std::uint16_t vbucket) const;
    [[nodiscard]] std::string text() const;

private:
    static std::string rows(const std::vector<int>& servers, const std::vector<std::vector<int>>& behind = {});
};

}  // namespace chaise::testing
