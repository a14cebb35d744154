#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cluster/http/http_message.hpp"
#include "cluster/json/json.hpp"
#include "cluster/kv/cluster_state.hpp"
#include "cluster/services/service_faults.hpp"

namespace chaise::testing {

/// What other processes may tell the cluster about its services, at the management port, for users who may do
/// everything; other requests go on to `inner`.
///
/// - `POST /_chaise/faults`    `{"service":"views|query|search|analytics","node":0,"times":1,"status":503,"body":"…",
///                             "delay_ms":0,"piece_delay_ms":0,"piece":0,"cut":100}`, all but the service optional
/// - `DELETE /_chaise/faults`
/// - `POST /_chaise/scripts`   `{"service":"query|search|analytics","request":"…","body":"…","status":200}`
class ServiceControl final : public HttpHandler {
public:
    ServiceControl(HttpHandler& inner, const ClusterState& cluster, std::shared_ptr<HttpFaults> faults,
                   std::shared_ptr<ScriptedAnswers> scripts)
        : inner_(inner), cluster_(cluster), faults_(std::move(faults)), scripts_(std::move(scripts)) {}

    [[nodiscard]] HttpResponse answer(const HttpRequest& request) override;

private:
    /// What is wrong with it; empty: done.
    [[nodiscard]] std::string add_fault(const Json& json);
    [[nodiscard]] std::string add_script(const Json& json);

    HttpHandler& inner_;
    const ClusterState& cluster_;
    std::shared_ptr<HttpFaults> faults_;
    std::shared_ptr<ScriptedAnswers> scripts_;
};

}  // namespace chaise::testing
