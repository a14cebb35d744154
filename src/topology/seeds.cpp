// The router's way to a first map, and back when every node of the map is lost.

#include "topology/seeds.hpp"
#include "bucket/core.hpp"
#include "operation/probe.hpp"
#include "topology/router.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace chaise::detail {

namespace {

using namespace std::chrono_literals;

/// The next seed is asked, too, when the one before has been silent for so long (protocol.md 3.2).
constexpr auto seed_patience = std::chrono::microseconds(500ms);

constexpr std::uint16_t default_management_port = 8091;

/// Of several failures, the one that tells the user most.
int weight(errc code) noexcept {
    switch (code) {
        case errc::success:
            return 0;
        case errc::timeout_before_send:
            return 1;
        case errc::host_not_found:
            return 2;
        case errc::not_connected:
            return 3;
        case errc::authentication_failure:
            return 6;
        case errc::bucket_not_found:
            return 5;
        default:
            return 4;
    }
}

/// Of what the error of connect() says of many nodes.
constexpr std::size_t failure_text_max = 4096;

}  // namespace

std::vector<protocol::Endpoint> key_value_hosts(const Settings& settings) {
    std::vector<protocol::Endpoint> out;
    if (settings.bootstrap_on == BootstrapOn::http) return out;
    for (const HostSpec& host : settings.connection.hosts) {
        if (host.management_port && !host.port) continue;
        out.push_back({host.host, host.port.value_or(settings.connection.default_port())});
    }
    return out;
}

std::vector<protocol::Endpoint> management_hosts(const Settings& settings) {
    std::vector<protocol::Endpoint> out;
    if (settings.bootstrap_on == BootstrapOn::cccp) return out;
    for (const HostSpec& host : settings.connection.hosts) {
        if (host.port && !host.management_port) continue;
        out.push_back({host.host, host.management_port.value_or(default_management_port)});
    }
    return out;
}

std::string service_name(const Settings& settings) {
    const ConnectionString& connection = settings.connection;
    if (!settings.dns_srv || connection.scheme == Scheme::memcached || connection.hosts.size() != 1) return {};
    const HostSpec& host = connection.hosts.front();
    const bool numeric =
        host.host.find(':') != std::string::npos || host.host.find_first_not_of("0123456789.") == std::string::npos;
    if (host.port || host.management_port || numeric || settings.bootstrap_on == BootstrapOn::http) return {};
    return "_couchbase._tcp." + host.host;
}

/// Those that are nobody yet.
void Router::add_seeds(const std::vector<protocol::Endpoint>& endpoints) {
    for (const protocol::Endpoint& endpoint : endpoints) {
        const auto is_it = [&](const auto& session) {
            return session && session->host() == endpoint.host && session->port() == endpoint.port;
        };
        if (std::any_of(nodes_.begin(), nodes_.end(), is_it)) continue;
        if (std::any_of(seeds_.begin(), seeds_.end(), is_it)) continue;
        seeds_.push_back(std::make_unique<Session>(core_, endpoint, true));
    }
}

void Router::make_seeds(const std::vector<protocol::Endpoint>& endpoints) {
    seeds_.clear();
    add_seeds(endpoints);
    // Many clients with one connection string shall not all ask the same node.
    for (std::size_t i = seeds_.size(); i > 1; --i) std::swap(seeds_[i - 1], seeds_[core_.iops().random() % i]);
}

void Router::begin_seeds() {
    between_rounds_ = false;
    worst_ = {};
    if (looking_up_) return start_round();  // the name server was too slow for the last round already
    const std::string service = service_name(core_.settings());
    if (!service.empty()) {
        looking_up_ = core_.iops().transport_factory().resolve_service(service, *this);
        // A name server that is silent does not keep the host itself waiting.
        if (looking_up_) return core_.iops().schedule(*seed_timer_, seed_patience);
    }
    start_round();
}

void Router::on_service(std::vector<ServiceTarget> targets, std::error_code error) {
    Core::Dispatch dispatch(core_);
    looking_up_.reset();
    std::vector<protocol::Endpoint> endpoints;
    for (const ServiceTarget& target : targets) endpoints.push_back({target.host, target.port});
    if (!error) service_hosts_ = endpoints;
    if (in_round_) {
        // The host itself is being asked already: these, too. Where no key-value connection is left to fail, the
        // management service is at work, and ends the round.
        if (!error) add_seeds(endpoints);
        if (next_seed_ < seeds_.size() && !seed_timer_->active()) start_seed();
    } else if (between_rounds_ && error) {
        tell_failure();  // it waited for this
    } else {
        if (seed_timer_->active()) core_.iops().cancel(*seed_timer_);
        if (!error) make_seeds(endpoints);
        start_round();
    }
}

void Router::start_round() {
    in_round_ = true;
    between_rounds_ = false;
    next_seed_ = 0;
    if (seeds_.empty()) return sessions_failed();
    start_seed();
}

void Router::start_seed() {
    Session& seed = *seeds_[next_seed_++];
    ++seeds_trying_;
    start_session(seed);
    if (next_seed_ < seeds_.size()) core_.iops().schedule(*seed_timer_, seed_patience);
}

void Router::on_seed_timer() {
    Core::Dispatch dispatch(core_);
    if (between_rounds_) {
        begin_seeds();
    } else if (!in_round_) {
        start_round();
    } else if (next_seed_ < seeds_.size()) {
        start_seed();
    }
}

void Router::note_failure(errc code, const std::string& message, const std::string& node) {
    Failure failure{code, message, node};
    if (weight(code) > weight(worst_.code)) std::swap(failure, worst_);
    if (failure.code != errc::success && worst_.message.size() < failure_text_max)
        worst_.message += fmt::format("; {}: {}", failure.node, failure.message);
}

void Router::seed_failed(Session& session, errc code, const std::string& message) {
    note_failure(code, message, session.name());
    --seeds_trying_;
    if (next_seed_ < seeds_.size()) return start_seed();
    if (seeds_trying_ == 0) sessions_failed();
}

/// No key-value connection gives a map.
void Router::sessions_failed() {
    if (!http_may_help()) return round_failed();
    if (!http_) http_ = std::make_unique<HttpConfig>(core_);
    http_->start(management_nodes());
}

bool Router::http_may_help() {
    // It works at it by itself.
    if (maps_by_http() || worst_.code == errc::authentication_failure) return false;
    if (management_hosts(core_.settings()).empty()) return false;
    if (core_.http()) return true;
    if (core_.settings().bootstrap_on == BootstrapOn::http) {
        note_failure(errc::feature_not_available, "bootstrap_on=http: this loop has no HTTP", {});
    }
    return false;
}

void Router::round_failed() {
    in_round_ = false;
    between_rounds_ = true;
    const Duration delay = seed_backoff_.next(core_.iops().random());
    core_.iops().schedule(*seed_timer_, std::chrono::ceil<std::chrono::microseconds>(delay));
    if (has_map()) return;  // nodes fail for themselves
    waiting_.set_last_failure(worst_.node + ": " + worst_.message);
    // The records may still name who gives one.
    if (!looking_up_ || worst_.code == errc::authentication_failure) tell_failure();
}

void Router::http_failed() {
    // Late records have brought more to ask; who of them fails last ends the round.
    if (seeds_trying_ == 0 && next_seed_ >= seeds_.size()) round_failed();
}

/// What a round came to.
void Router::tell_failure() {
    if (has_map()) return;
    core_.connecting_failed(worst_.code, worst_.message, worst_.node);
    // Nothing will come of waiting with credentials that are wrong.
    if (worst_.code == errc::authentication_failure) core_.fail_all(waiting_, worst_.code, waiting_.last_failure());
}

void Router::seeds_done() {
    looking_up_.reset();
    in_round_ = between_rounds_ = returned_ = false;
    seeds_trying_ = next_seed_ = 0;
    if (seed_timer_->active()) core_.iops().cancel(*seed_timer_);
}

/// Nobody of the map can be reached: the connection string may lead to where the cluster is by now.
void Router::return_to_seeds() {
    if (returned_ || core_.closed()) return;
    CHAISE_PROBE(returned_to_seeds);
    returned_ = true;
    make_seeds(key_value_hosts(core_.settings()));
    begin_seeds();
}

/// A node of the map is there again.
void Router::drop_seeds() {
    if (!returned_) return;
    seeds_done();
    for (auto& seed : std::exchange(seeds_, {})) retire(std::move(seed));
}

std::vector<protocol::Endpoint> Router::management_nodes() const {
    std::vector<protocol::Endpoint> out;
    if (has_map()) {
        out = protocol::service_endpoints(*tracker_.current(), protocol::Service::management, tracker_.network());
    }
    std::vector<protocol::Endpoint> hosts = management_hosts(core_.settings());
    if (!hosts.empty()) {
        // SRV records tell the key-value port; the name that has them need not be a host.
        for (const protocol::Endpoint& host : service_hosts_) hosts.push_back({host.host, default_management_port});
    }
    for (const protocol::Endpoint& host : hosts) {
        if (std::find(out.begin(), out.end(), host) == out.end()) out.push_back(host);
    }
    return out;
}

std::vector<protocol::Endpoint> Router::service_nodes(protocol::Service service) const {
    if (!has_map()) return {};
    return protocol::service_endpoints(*tracker_.current(), service, tracker_.network());
}

}  // namespace chaise::detail
