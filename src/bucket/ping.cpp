// ping: a NOOP to every node, and what is known of the connections without asking.

#include "bucket/core.hpp"
#include "bucket/parts.hpp"
#include "protocol/requests.hpp"

#include <chaise/detail/bucket_handle.hpp>

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace chaise::detail {

namespace {

constexpr std::string_view key_value = "kv";

std::string report_id(Core& core, std::string_view wanted) {
    if (!wanted.empty()) return std::string(wanted);
    IOPS& iops = core.iops();
    return fmt::format("{:016x}{:016x}", iops.random(), iops.random());
}

class Ping final : public Parts {
public:
    explicit Ping(std::string id) : id_(std::move(id)) {}

    void start(Core& core, Slot& whole, Duration left) override {
        core_ = &core;
        for (Line* node : core.router().nodes(true)) {
            Slot& part = core.add_part(whole, OperationKind::noop, protocol::Opcode::noop);
            part.idempotent = true;
            part.copy = this_node;
            started_.push_back(part.started);
            EndpointPing& endpoint = endpoints_.emplace_back();
            endpoint.remote = node->name();
            endpoint.bucket = core.settings().bucket;
            protocol::NoopRequest request{};
            core.submit_by({*node, 0}, part, left, {}, request);
        }
    }
    void done(std::size_t n, OperationKind, void*, Error* error) override {
        EndpointPing& endpoint = endpoints_[n];
        endpoint.latency = core_->now() - started_[n];
        for (const Session* session : core_->router().sessions()) {
            if (session->name() != endpoint.remote) continue;
            Session::Report report = session->report();
            endpoint.id = std::move(report.id);
            endpoint.local = std::move(report.local);
            break;
        }
        if (!error) return;
        const bool timeout = *error == errc::timeout_before_send || *error == errc::timeout_after_send;
        endpoint.state = timeout ? PingState::timeout : PingState::error;
        const std::string& why = error->context().message;
        endpoint.error = fmt::format("{}{}{}", error_category().message(static_cast<int>(error->code())),
                                     why.empty() ? "" : ": ", why);
        if (*error == errc::shutdown) closed_ = std::move(*error);
    }
    void finish(Core& core, Slot& whole) override {
        if (deliver_shutdown(core, whole, {}, {&closed_, 1})) return;
        PingResult::Services services;
        services.emplace(key_value, std::move(endpoints_));
        PingResult result(std::move(id_), std::move(services));
        core.deliver(whole, result);
    }

private:
    std::string id_;
    Core* core_ = nullptr;
    std::vector<EndpointPing> endpoints_;
    std::vector<TimePoint> started_;
    Error closed_;  ///< the bucket was closed meanwhile
};

}  // namespace

AsyncResult<PingResult> BucketHandle::ping(const PingOptions& options) {
    Slot& slot = core_->acquire(nullptr, OperationKind::ping, protocol::Opcode::noop);
    core_->submit_when_open(slot, std::make_unique<Ping>(report_id(*core_, options.report_id)), options.timeout);
    return AsyncResult<PingResult>(&slot);
}

DiagnosticsResult BucketHandle::diagnostics(const DiagnosticsOptions& options) const {
    const TimePoint now = core_->iops().now();
    std::vector<EndpointDiagnostics> endpoints;
    for (const Session* session : core_->router().sessions()) {
        Session::Report report = session->report();
        EndpointDiagnostics& endpoint = endpoints.emplace_back();
        endpoint.id = std::move(report.id);
        endpoint.remote = session->name();
        endpoint.local = std::move(report.local);
        endpoint.bucket = core_->settings().bucket;
        endpoint.state = report.state;
        if (report.last_received) endpoint.last_activity = now - *report.last_received;
        endpoint.details = session->last_failure();
    }
    DiagnosticsResult::Services services;
    services.emplace(key_value, std::move(endpoints));
    return DiagnosticsResult(report_id(*core_, options.report_id), std::move(services));
}

std::vector<std::string> BucketHandle::server_nodes() const {
    std::vector<std::string> names;
    for (const Line* node : core_->router().nodes(true)) names.push_back(node->name());
    return names;
}

}  // namespace chaise::detail
