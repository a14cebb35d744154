// The reports of ping and diagnostics, and their JSON (SDK-RFC 34, version 2).

#include "protocol/json_text.hpp"

#include <chaise/diagnostics.hpp>

#include <algorithm>
#include <utility>

namespace chaise {

namespace {

/// Objects in objects, written as they come.
class Json {
public:
    Json& open(std::string_view name = {}, char bracket = '{') {
        next(name);
        text_ += bracket;
        fresh_ = true;
        return *this;
    }
    Json& close(char bracket = '}') {
        text_ += bracket;
        fresh_ = false;
        return *this;
    }
    Json& text(std::string_view name, std::string_view value) {
        next(name);
        protocol::append_json_string(text_, value);
        return *this;
    }
    Json& text_if(std::string_view name, std::string_view value) { return value.empty() ? *this : text(name, value); }
    Json& micros(std::string_view name, Duration value) {
        next(name);
        text_ += std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(value).count());
        return *this;
    }
    Json& number(std::string_view name, int value) {
        next(name);
        text_ += std::to_string(value);
        return *this;
    }
    [[nodiscard]] std::string take() { return std::move(text_); }

private:
    void next(std::string_view name) {
        if (!fresh_) text_ += ',';
        fresh_ = false;
        if (name.empty()) return;
        protocol::append_json_string(text_, name);
        text_ += ':';
    }
    std::string text_;
    bool fresh_ = true;
};

template <class Services, class Each>
std::string report(const std::string& id, const Services& services, std::string_view state, Each each) {
    Json json;
    json.open().number("version", 2).text("id", id).text("sdk", "chaise/" CHAISE_VERSION).text_if("state", state);
    json.open("services");
    for (const auto& [name, endpoints] : services) {
        json.open(name, '[');
        for (const auto& endpoint : endpoints) {
            json.open().text_if("id", endpoint.id).text("remote", endpoint.remote).text_if("local", endpoint.local);
            json.text_if("namespace", endpoint.bucket).text("state", chaise::name(endpoint.state));
            each(json, endpoint);
            json.close();
        }
        json.close(']');
    }
    return json.close().close().take();
}

}  // namespace

std::string_view name(PingState state) noexcept {
    switch (state) {
        case PingState::ok:
            return "ok";
        case PingState::timeout:
            return "timeout";
        case PingState::error:
            break;
    }
    return "error";
}

std::string_view name(EndpointState state) noexcept {
    switch (state) {
        case EndpointState::disconnected:
            return "disconnected";
        case EndpointState::connecting:
            return "connecting";
        case EndpointState::connected:
            return "connected";
        case EndpointState::disconnecting:
            break;
    }
    return "disconnecting";
}

std::string_view name(ClusterState state) noexcept {
    switch (state) {
        case ClusterState::online:
            return "online";
        case ClusterState::degraded:
            return "degraded";
        case ClusterState::offline:
            break;
    }
    return "offline";
}

bool PingResult::all_ok() const noexcept {
    return std::all_of(services_.begin(), services_.end(), [](const auto& service) {
        return std::all_of(service.second.begin(), service.second.end(),
                           [](const EndpointPing& endpoint) { return endpoint.state == PingState::ok; });
    });
}

std::string PingResult::to_json() const {
    return report(id_, services_, {}, [](Json& json, const EndpointPing& endpoint) {
        json.micros("latency_us", endpoint.latency).text_if("error", endpoint.error);
    });
}

DiagnosticsResult::DiagnosticsResult(std::string id, Services services) noexcept
    : id_(std::move(id)), services_(std::move(services)) {
    std::size_t wanted = 0, connected = 0;
    for (const auto& [name, endpoints] : services_) {
        for (const EndpointDiagnostics& endpoint : endpoints) {
            if (endpoint.state == EndpointState::disconnecting) continue;  // not of the cluster any more
            ++wanted;
            connected += endpoint.state == EndpointState::connected ? 1u : 0u;
        }
    }
    if (connected != 0) state_ = connected == wanted ? ClusterState::online : ClusterState::degraded;
}

std::string DiagnosticsResult::to_json() const {
    return report(id_, services_, name(state_), [](Json& json, const EndpointDiagnostics& endpoint) {
        if (endpoint.last_activity) json.micros("last_activity_us", *endpoint.last_activity);
        json.text_if("details", endpoint.details);
    });
}

}  // namespace chaise
