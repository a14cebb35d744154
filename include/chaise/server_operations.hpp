#pragma once

/// \file
/// The operations that look at the nodes, declared once for all faces.

#include <chaise/diagnostics.hpp>
#include <chaise/meta.hpp>
#include <chaise/multi.hpp>
#include <chaise/replica_operations.hpp>

#include <ranges>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chaise {

/// ping, diagnostics, the list of nodes, statistics of keys and of several groups, a random document.
template <class Face>
class ServerOperations : public ReplicaOperations<Face> {
protected:
    using ReplicaOperations<Face>::face_;
    using ReplicaOperations<Face>::handle_;

public:
    using ReplicaOperations<Face>::ReplicaOperations;

    /// Asks the key-value service of every node whether it is there. A node that does not answer is told of in the
    /// result; the operation itself fails only when it is not known within the timeout which nodes there are.
    template <class... Extra>
    auto ping(PingOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.ping(options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<PingOptions> Extra>
    auto ping(Extra&& extra) {
        return ping(PingOptions{}, std::forward<Extra>(extra));
    }

    /// How the connections are, as far as it is known; nothing is sent.
    [[nodiscard]] DiagnosticsResult diagnostics(DiagnosticsOptions options = {}) const {
        return handle_.diagnostics(options);
    }

    /// "host:port" of the key-value service of every node that holds the bucket's data, in the order of the cluster
    /// map, as the bucket connects to them; empty before there is a map. memcached: the server. (The seed's
    /// server_nodes names the management service instead.)
    [[nodiscard]] std::vector<std::string> server_nodes() const { return handle_.server_nodes(); }

    /// A document that exists, any one: of one node after another until one has a document. Errors: document_not_found
    /// (the bucket is empty), unsupported_operation on plain memcached.
    template <class... Extra>
    auto get_random_key(ServerOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.get_random_key(options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<ServerOptions> Extra>
    auto get_random_key(Extra&& extra) {
        return get_random_key(ServerOptions{}, std::forward<Extra>(extra));
    }

    /// What the nodes that have a copy of the document count about it (seed: `stats(key, keystats=True)`):
    /// key_vb_state, key_cas, key_flags, …; of those that have it, as far as they answer within the timeout. Errors:
    /// document_not_found (no copy has it), invalid_argument (a key with white space: the command is text),
    /// unsupported_operation on plain memcached.
    template <class... Extra>
    auto key_stats(std::string_view key, StatsOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.key_stats(key, options), std::forward<Extra>(extra)...);
    }
    template <detail::FaceArgument<StatsOptions> Extra>
    auto key_stats(std::string_view key, Extra&& extra) {
        return key_stats(key, StatsOptions{}, std::forward<Extra>(extra));
    }

    /// Elements: keys, or entries of another MultiResult. Each as key_stats.
    template <detail::MultiRange<detail::ReadKey> Range, class... Extra>
    auto key_stats_multi(Range&& range, StatsOptions options = {}, Extra&&... extra) {
        return face_.wrap(handle_.template multi<StatsResult, detail::ReadKey>(
                              {.kind = detail::OperationKind::key_stats, .timeout = options.timeout}, range),
                          std::forward<Extra>(extra)...);
    }
    template <detail::MultiRange<detail::ReadKey> Range, detail::FaceArgument<StatsOptions> Extra>
    auto key_stats_multi(Range&& range, Extra&& extra) {
        return key_stats_multi(range, StatsOptions{}, std::forward<Extra>(extra));
    }

    /// Statistics of several groups at once, in one result (seed: `stats([…])`). Elements: names of groups; errors: as
    /// stats, and invalid_argument for no group at all.
    template <std::ranges::input_range Range, class... Extra>
        requires std::convertible_to<std::ranges::range_reference_t<Range>, std::string_view>
    auto stats_multi(Range&& groups, StatsOptions options = {}, Extra&&... extra) {
        std::vector<std::string> all;
        for (const auto& group : groups) all.emplace_back(std::string_view(group));
        return face_.wrap(handle_.stats(std::move(all), options), std::forward<Extra>(extra)...);
    }
    template <std::ranges::input_range Range, detail::FaceArgument<StatsOptions> Extra>
        requires std::convertible_to<std::ranges::range_reference_t<Range>, std::string_view>
    auto stats_multi(Range&& groups, Extra&& extra) {
        return stats_multi(groups, StatsOptions{}, std::forward<Extra>(extra));
    }
};

}  // namespace chaise
