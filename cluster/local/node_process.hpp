#pragma once

#include <chaise/iops.hpp>
#include <chaise/transport.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "cluster/http/cluster_http.hpp"
#include "cluster/kv/node.hpp"
#include "cluster/net/conversation_server.hpp"
#include "cluster/query/query_http.hpp"
#include "cluster/services/scripted_http.hpp"
#include "cluster/services/service_control.hpp"
#include "cluster/services/service_faults.hpp"
#include "cluster/views/views_http.hpp"

namespace chaise::testing {

class NodeProcess;

/// Where a node is, or was when it was last alive.
struct NodePlace {
    Endpoint kv;
    Endpoint http;
    std::array<Endpoint, 4> services;  ///< in the order of HttpService
    NodeProcess* process = nullptr;    ///< while it runs
    LinkFaults link_faults{};
    std::uint64_t not_my_vbucket = 0;  ///< counted in former lives
};

/// What nodes have in common and what outlives their processes. Shared, because a simulated host may be started again
/// by its world when the LocalCluster is gone.
struct NodePlaces {
    std::shared_ptr<ClusterState> state;
    std::shared_ptr<ViewCluster> views = std::make_shared<ViewCluster>();
    std::shared_ptr<QueryCluster> query = std::make_shared<QueryCluster>();
    std::shared_ptr<ScriptedAnswers> scripts = std::make_shared<ScriptedAnswers>();
    std::shared_ptr<HttpFaults> faults = std::make_shared<HttpFaults>();
    std::vector<NodePlace> places;
    bool closed = false;  ///< nothing is started any more
};

/// One node's process: its copies, and the servers in front of them.
class NodeProcess {
public:
    /// Listens where `places` says; port 0: the kernel chooses, and `places` is told.
    NodeProcess(std::shared_ptr<NodePlaces> places, NodeId id, std::unique_ptr<IOPS> iops);
    NodeProcess(const NodeProcess&) = delete;
    NodeProcess& operator=(const NodeProcess&) = delete;
    ~NodeProcess() { stop(); }

    /// The end of it, ahead of the destructor.
    void stop() noexcept;
    void set_paused(bool on);
    void set_link_faults(const LinkFaults& faults) { kv_->set_faults(faults); }
    void close_connections() { kv_->close_connections(); }
    [[nodiscard]] std::size_t connections() const noexcept { return kv_->connections(); }
    [[nodiscard]] KvNode& node() noexcept { return *node_; }

private:
    std::shared_ptr<NodePlaces> places_;
    NodeId id_;
    std::unique_ptr<IOPS> iops_;
    std::unique_ptr<KvNode> node_;
    std::optional<NodeViews> views_;
    std::optional<ClusterHttp> http_handler_;
    std::optional<ServiceControl> control_handler_;
    std::optional<ViewsHttp> views_handler_;
    std::optional<QueryHttp> query_handler_;
    std::optional<ScriptedHttp> search_handler_;
    std::optional<ScriptedHttp> analytics_handler_;
    std::vector<std::unique_ptr<FaultyHttp>> services_;  // in the order of HttpService
    std::unique_ptr<ConversationServer> kv_;
    std::vector<std::unique_ptr<ConversationServer>> http_;  // one for each HTTP service
};

}  // namespace chaise::testing
