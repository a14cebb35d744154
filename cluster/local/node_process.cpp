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
    views_handler_.emplace(*views_);
    kv_ = serve(*iops_, place.kv, kv_conversations(*node_));
    http_.push_back(serve(*iops_, place.http, http_conversations(*http_handler_)));
    http_.push_back(serve(*iops_, place.views, http_conversations(*views_handler_)));
    kv_->set_faults(place.link_faults);
    place.process = this;
    places_->state->set_ports(id_, {.kv = place.kv.port, .mgmt = place.http.port, .capi = place.views.port});
}

void NodeProcess::stop() noexcept {
    if (!node_) return;
    NodePlace& place = places_->places[id_];
    place.process = nullptr;
    place.not_my_vbucket += node_->counters().not_my_vbucket;
    kv_.reset();
    http_.clear();
    http_handler_.reset();
    views_handler_.reset();
    views_.reset();
    node_.reset();
}

void NodeProcess::set_paused(bool on) {
    kv_->set_paused(on);
    for (const auto& server : http_) server->set_paused(on);
}

}  // namespace chaise::testing
