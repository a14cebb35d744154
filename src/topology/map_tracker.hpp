#pragma once

#include "protocol/cluster_map.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::detail {

/// The current cluster map of one bucket: which offered maps replace it, and which network's addresses are used. Text
/// in, decisions out.
class MapTracker {
public:
    /// `bucket`: maps of others are refused. `network`: "auto", "default" or a name.
    explicit MapTracker(std::string bucket, std::string network = "auto", bool tls = false)
        : bucket_(std::move(bucket)), wanted_network_(std::move(network)), tls_(tls) {}

    /// Why the text is not the current map now, in words; empty: it is. `sender`: by which address the sender was
    /// reached. It stands for `$HOST`; the first map accepted also decides by it which network is used, for good.
    /// `service`: whose port that is. `anew`: nobody of the current map can be reached; then a map of a bucket that was
    /// made anew elsewhere (another uuid) is accepted whatever its revision. `no_news`: set to whether it is a map of
    /// the bucket that was refused for nothing but its revision, as every sender's may be.
    [[nodiscard]] std::string offer(std::string_view text, const protocol::Endpoint& sender,
                                    protocol::Service service = protocol::Service::kv, bool anew = false,
                                    bool* no_news = nullptr);

    /// Null before the first.
    [[nodiscard]] const std::shared_ptr<const protocol::ClusterMap>& current() const noexcept { return current_; }
    /// Where to reach each server of the current map, by server number; port 0: it has no address in this network.
    [[nodiscard]] const std::vector<protocol::Endpoint>& servers() const noexcept { return servers_; }
    /// "default" until there is a map.
    [[nodiscard]] const std::string& network() const noexcept { return network_; }
    /// Whether a push or an answer that speaks of this revision is news.
    [[nodiscard]] bool is_news(const protocol::ConfigRevision& revision) const noexcept;

private:
    std::string bucket_;
    std::string wanted_network_;
    bool tls_;
    std::string network_ = "default";
    std::shared_ptr<const protocol::ClusterMap> current_;
    std::vector<protocol::Endpoint> servers_;
};

}  // namespace chaise::detail
