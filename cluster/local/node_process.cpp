#include "cluster/local/node_process.hpp"

#include <system_error>
#include <utility>

#include "cluster/http/http_conversation.hpp"
#include "cluster/kv/kv_conversation.hpp"

namespace chaise::testing {

namespace {

// Where the node was before, so that what clients know still leads to it; elsewhere, if another program listens there.
std::unique_ptr<ConversationServer> serve(IOPS& iops, Endpoint& where, const ConversationFactory& factory) {
    std::unique_ptr<ConversationServer> server;
    try {
        server = std::make_unique<ConversationServer>(iops, where, factory);
    } catch (const std::system_error& error) {
        if (where.port == 0 || error.code() != std::errc::address_in_use) throw;
        server = std::make_unique<ConversationServer>(iops, Endpoint{where.address, 0}, factory);
    }
    where.port = server->endpoint().port;
    return server;
}

}  // namespace

NodeProcess::NodeProcess(std::shared_ptr<NodePlaces> places, NodeId id, std::unique_ptr<IOPS> iops)
    : places_(std::move(places)), id_(id), iops_(std::move(iops)) {
    NodePlace& place = places_->places.at(id_);
    node_ = std::make_unique<KvNode>(places_->state, id_, *iops_);
    views_.emplace(places_->views, *node_);
    http_handler_.emplace(*node_, places_->views->designs());
    control_handler_.emplace(*http_handler_, *places_->state, places_->faults, places_->scripts);
    views_handler_.emplace(*views_);
    query_handler_.emplace(*node_, places_->query, places_->scripts);
    search_handler_.emplace(*node_, HttpService::search, places_->scripts);
    analytics_handler_.emplace(*node_, HttpService::analytics, places_->scripts);
    kv_ = serve(*iops_, place.kv, kv_conversations(*node_));
    http_.push_back(serve(*iops_, place.http, http_conversations(*control_handler_)));
    const std::array<HttpHandler*, 4> handlers{&*views_handler_, &*query_handler_, &*search_handler_,
                                               &*analytics_handler_};
    for (std::size_t i = 0; i < handlers.size(); ++i) {
        services_.push_back(
            std::make_unique<FaultyHttp>(*handlers[i], static_cast<HttpService>(i), id_, *iops_, places_->faults));
        http_.push_back(serve(*iops_, place.services[i], http_conversations(*services_.back())));
    }
    place.process = this;
    places_->state->set_ports(id_, {.kv = place.kv.port,
                                    .mgmt = place.http.port,
                                    .capi = place.services[0].port,
                                    .n1ql = place.services[1].port,
                                    .fts = place.services[2].port,
                                    .cbas = place.services[3].port});
}

void NodeProcess::stop() noexcept {
    if (!node_) return;
    NodePlace& place = places_->places[id_];
    place.process = nullptr;
    place.not_my_vbucket += node_->counters().not_my_vbucket;
    kv_.reset();
    http_.clear();
    control_handler_.reset();
    http_handler_.reset();
    services_.clear();
    analytics_handler_.reset();
    search_handler_.reset();
    query_handler_.reset();
    views_handler_.reset();
    views_.reset();
    node_.reset();
}

void NodeProcess::set_paused(bool on) {
    kv_->set_paused(on);
    for (const auto& server : http_) server->set_paused(on);
}

}  // namespace chaise::testing
