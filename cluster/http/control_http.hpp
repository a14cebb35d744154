#pragma once

#include <chaise/testing/local_cluster.hpp>

#include "cluster/http/http_message.hpp"

namespace chaise::testing {

/// A LocalCluster's controls over HTTP, for tests in any language. Parameters come in the query; times are in
/// milliseconds, may have fractions, and "never" where LocalCluster takes it.
///
/// - `GET  /`                                       nodes, members, whether a rebalance goes on: JSON
/// - `POST /nodes[?group=]`                         add_node(); its number: JSON
/// - `POST /nodes/N/kill`, `restart`, `pause`, `resume`, `failover`, `graceful_failover`, `hand_over`, `rebalance_in`,
///   `rebalance_out`, `close_connections`
/// - `POST /nodes/N/link?delay=&jitter=&drop=&truncate=&corrupt=`   what is not named is none
/// - `POST /nodes/N/config?delay=` or `?conflicting=0|1`
/// - `POST /rebalance?nodes=0,1,2&pace=`
/// - `POST /errors?status=0x86&opcode=0x01&node=&times=&probability=`, `DELETE /errors`
/// - `POST /locks/expire`, `POST /time?travel=`
/// - `POST /replication?delay=[&from=&to=][&spread=]`, `POST /persistence?delay=[&node=][&spread=]`
///
/// 200 when it is done; 400 with the reason for what makes no sense, 404 for what there is not.
class ControlHttp final : public HttpHandler {
public:
    explicit ControlHttp(LocalCluster& cluster) noexcept : cluster_(cluster) {}
    [[nodiscard]] HttpResponse answer(const HttpRequest& request) override;

private:
    [[nodiscard]] std::string state() const;
    [[nodiscard]] bool post(const std::vector<std::string>& path, const class Query& query, std::string& body);
    [[nodiscard]] bool post_to_node(std::size_t node, const std::string& what, const Query& query);

    LocalCluster& cluster_;
};

}  // namespace chaise::testing
