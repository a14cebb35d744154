// ping: a NOOP to every node and a request to its HTTP services, and what is known of the connections without asking.

#include "bucket/core.hpp"
#include "bucket/parts.hpp"
#include "protocol/requests.hpp"

#include <chaise/detail/bucket_handle.hpp>
#include <chaise/http.hpp>

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
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

struct HttpService {
    protocol::Service service;
    std::string_view name;    ///< in reports
    std::string_view target;  ///< what it answers without doing anything
};
constexpr std::array<HttpService, 4> http_services = {{{protocol::Service::views, "views", "/"},
                                                       {protocol::Service::query, "n1ql", "/admin/ping"},
                                                       {protocol::Service::search, "fts", "/api/ping"},
                                                       {protocol::Service::analytics, "cbas", "/admin/ping"}}};

/// One HTTP service of one node. Its part is a pause, as long as it may take.
class HttpPing final : public HttpReceiver {
public:
    HttpPing(Core& core, Slot& pause) noexcept : core_(core), pause_(&pause) {}

    void start(HttpClient& http, const protocol::Endpoint& node, std::string_view target) {
        HttpClient::Request request;
        request.host = node.host;
        request.port = node.port;
        request.target = target;
        request.username = core_.settings().username;
        request.password = core_.settings().password;
        exchange_ = http.start(std::move(request), *this);
    }
    void on_head(int status, const HttpHeaders&) override { status_ = status; }
    void on_body(std::string_view) override {}
    void on_end(const HttpEnd& end) override {
        ended_ = core_.now();
        if (end.error) {
            error_ = end.message;
        } else if (status_ != 200) {
            error_ = fmt::format("HTTP status {}", status_);
        }
        core_.end_pause_soon(*pause_);
    }
    /// After the pause.
    void tell(EndpointPing& endpoint, TimePoint started) const {
        endpoint.latency = ended_.value_or(core_.now()) - started;
        endpoint.error = ended_ ? error_ : "no answer in time";
        endpoint.state = !ended_ ? PingState::timeout : error_.empty() ? PingState::ok : PingState::error;
    }

private:
    Core& core_;
    Slot* pause_;
    std::unique_ptr<HttpExchange> exchange_;
    int status_ = 0;
    std::optional<TimePoint> ended_;
    std::string error_;
};

class Ping final : public Parts {
public:
    Ping(std::string id, bool key_value_only) : id_(std::move(id)), key_value_only_(key_value_only) {}

    void start(Core& core, Slot& whole, Duration left) override {
        core_ = &core;
        ask_key_value(core, whole, left);
        if (!key_value_only_) ask_http(core, whole, left);
    }
    void done(std::size_t n, OperationKind, void*, Error* error) override {
        EndpointPing& endpoint = asked_[n].endpoint;
        if (const HttpPing* http = asked_[n].http.get()) {
            if (error) {
                tell(endpoint, *error);
            } else {
                http->tell(endpoint, asked_[n].started);
            }
            asked_[n].http.reset();  // its part is another's from now on
            return;
        }
        endpoint.latency = core_->now() - asked_[n].started;
        for (const Session* session : core_->router().sessions()) {
            if (session->name() != endpoint.remote) continue;
            Session::Report report = session->report();
            endpoint.id = std::move(report.id);
            endpoint.local = std::move(report.local);
            break;
        }
        if (error) tell(endpoint, *error);
    }
    void finish(Core& core, Slot& whole) override {
        if (deliver_shutdown(core, whole, {}, {&closed_, 1})) return;
        PingResult::Services services;
        services[std::string(key_value)];
        for (Asked& one : asked_) services[std::string(one.service)].push_back(std::move(one.endpoint));
        PingResult result(std::move(id_), std::move(services));
        core.deliver(whole, result);
    }

private:
    struct Asked {
        std::string_view service;
        TimePoint started;
        EndpointPing endpoint{};
        std::unique_ptr<HttpPing> http{};
    };

    void ask_key_value(Core& core, Slot& whole, Duration left) {
        for (Line* node : core.router().nodes(true)) {
            Slot& part = core.add_part(whole, OperationKind::noop, protocol::Opcode::noop);
            part.idempotent = true;
            part.copy = this_node;
            EndpointPing& endpoint = asked_.emplace_back(key_value, part.started).endpoint;
            endpoint.remote = node->name();
            endpoint.bucket = core.settings().bucket;
            protocol::NoopRequest request{};
            core.submit_by({*node, 0}, part, left, {}, request);
        }
    }
    void ask_http(Core& core, Slot& whole, Duration left) {
        const bool memcached = core.settings().connection.scheme == Scheme::memcached;
        HttpClient* const http = memcached ? nullptr : core.http();
        if (!http) return;
        for (const HttpService& one : http_services) {
            for (const protocol::Endpoint& node : core.router().service_nodes(one.service)) {
                Slot& part = core.add_part(whole, OperationKind::pause, protocol::Opcode::noop);
                Asked& asked = asked_.emplace_back(one.name, core.now());
                asked.endpoint.remote = protocol::authority(node);
                asked.http = std::make_unique<HttpPing>(core, part);
                core.pause(part, left);
                asked.http->start(*http, node, one.target);
            }
        }
    }
    void tell(EndpointPing& endpoint, Error& error) {
        const bool timeout = error == errc::timeout_before_send || error == errc::timeout_after_send;
        endpoint.state = timeout ? PingState::timeout : PingState::error;
        const std::string& why = error.context().message;
        endpoint.error = fmt::format("{}{}{}", error_category().message(static_cast<int>(error.code())),
                                     why.empty() ? "" : ": ", why);
        if (error == errc::shutdown) closed_ = std::move(error);
    }

    std::string id_;
    const bool key_value_only_;
    Core* core_ = nullptr;
    std::vector<Asked> asked_;  ///< by part
    Error closed_;              ///< the bucket was closed meanwhile
};

}  // namespace

AsyncResult<PingResult> BucketHandle::ping(const PingOptions& options) {
    Slot& slot = core_->acquire(nullptr, OperationKind::ping, protocol::Opcode::noop);
    core_->submit_when_open(slot, std::make_unique<Ping>(report_id(*core_, options.report_id), options.key_value_only),
                            options.timeout);
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
