#include "topology/router.hpp"

#include "bucket/core.hpp"
#include "operation/probe.hpp"
#include "protocol/requests.hpp"
#include "protocol/responses.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace chaise::detail {

namespace {

using namespace std::chrono_literals;

/// The next seed is asked, too, when the one before has been silent for so long (protocol.md 3.2).
constexpr auto seed_patience = std::chrono::microseconds(500ms);

/// Waits before a second try when the map has nothing newer to say (SDK-RFC 49).
constexpr std::array<std::chrono::microseconds, 6> retry_delays = {1ms, 10ms, 50ms, 100ms, 500ms, 1000ms};

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

}  // namespace

Router::Router(Core& core)
    : core_(core),
      tracker_(core.settings().bucket, core.settings().network),
      client_id_(core.iops().random()),
      waiting_({}, core.settings().max_queue_operations, core.settings().max_queue_bytes, &core.byte_budget()),
      default_collection_("_default", "_default"),
      seed_timer_(core.iops().timer_event_factory()),
      retry_timer_(core.iops().timer_event_factory()) {
    seed_timer_->set_handler([](void* router, int) { static_cast<Router*>(router)->on_seed_timer(); }, this);
    retry_timer_->set_handler([](void* router, int) { static_cast<Router*>(router)->on_retry_timer(); }, this);
    const ConnectionString& connection = core.settings().connection;
    const bool plain = connection.scheme == Scheme::memcached;
    for (const HostSpec& host : connection.hosts) {
        const protocol::Endpoint endpoint{host.host, host.port.value_or(connection.default_port())};
        (plain ? nodes_ : seeds_).push_back(std::make_unique<Session>(core, endpoint, !plain));
    }
    default_collection_.set_detour(plain ? static_cast<Line*>(nodes_.front().get()) : &waiting_);
    if (nodes_.size() > 1) make_ring();
}

Router::~Router() {
    if (loop_gone_) return;
    core_.iops().cleanup(*seed_timer_);
    core_.iops().cleanup(*retry_timer_);
}

void Router::start() {
    if (!seeds_.empty()) {
        // Many clients with one connection string shall not all ask the same node.
        for (std::size_t i = seeds_.size(); i > 1; --i) std::swap(seeds_[i - 1], seeds_[core_.iops().random() % i]);
        return start_round();
    }
    for (auto& session : nodes_) start_session(*session);
}

void Router::start_session(Session& session) {
    try {
        session.start();
    } catch (...) {
        core_.caught(std::current_exception());
        try {
            session.give_up(errc::not_connected, "the loop could not begin to connect");
        } catch (...) {  // it is the loop's trouble, and told already
        }
    }
}

void Router::close() noexcept {
    for (auto* sessions : {&nodes_, &seeds_, &retired_}) {
        for (auto& session : *sessions) {
            if (session) session->close();
        }
    }
    if (loop_gone_) return;
    if (seed_timer_->active()) core_.iops().cancel(*seed_timer_);
    if (retry_timer_->active()) core_.iops().cancel(*retry_timer_);
}

std::string Router::why_waiting(const Line* line) const {
    if (!line) line = default_collection_.detour() ? default_collection_.detour() : &waiting_;
    if (ring_.is_entrance(*line)) {  // connect(), to all of them
        std::string words = "not connected yet to";
        const char* separator = " ";
        for (const auto& session : nodes_) {
            if (!session || session->ready()) continue;
            words += std::exchange(separator, ", ") + session->name();
            if (!session->last_failure().empty()) words += " (" + session->last_failure() + ")";
        }
        return words;
    }
    if (line == &waiting_ && has_map()) return "no node of the cluster takes it";
    if (!line->last_failure().empty()) return "not connected, last attempt: " + line->last_failure();
    std::string hosts = line->name();
    for (const auto& seed : seeds_) hosts += (hosts.empty() ? "" : ", ") + seed->name();
    std::string words = "not connected yet to " + hosts;
    if (worst_.code != errc::success) words += "; " + worst_.node + ": " + worst_.message;
    return words;
}

void Router::fail_all(errc code, const std::string& message) {
    core_.fail_all(waiting_, code, message);
    for (auto* sessions : {&nodes_, &seeds_, &retired_}) {
        for (auto& session : *sessions) {
            if (session) core_.fail_all(*session, code, message);
        }
    }
}

Line& Router::any() noexcept {
    for (auto& session : nodes_) {
        if (session && session->ready()) return *session;
    }
    for (auto& session : nodes_) {
        if (session) return *session;
    }
    return waiting_;
}

Router::Route Router::route(std::uint16_t vbucket, unsigned copy) noexcept {
    if (copy == 0) return {vbucket < by_vbucket_.size() ? *by_vbucket_[vbucket] : waiting_, vbucket};
    Session* const session = holder(vbucket, copy);
    return {session ? static_cast<Line&>(*session) : waiting_, vbucket};
}

std::string_view Router::server_group(std::int16_t server) const noexcept {
    const protocol::ClusterMap* const current = map();
    if (!current || server < 0 || static_cast<std::size_t>(server) >= current->kv_nodes.size()) return {};
    const std::int16_t node = current->kv_nodes[static_cast<std::size_t>(server)];
    return node < 0 ? std::string_view() : current->nodes[static_cast<std::size_t>(node)].server_group;
}

std::vector<Session*> Router::sessions() const {
    std::vector<Session*> all;
    for (const auto* sessions : {&nodes_, &seeds_, &retired_}) {
        for (const auto& session : *sessions) {
            if (session) all.push_back(session.get());
        }
    }
    return all;
}

std::vector<Line*> Router::nodes(bool also_ejected) const {
    std::vector<Line*> lines;
    for (const auto& session : nodes_) {
        if (session && (also_ejected || !ring_.out(*session))) lines.push_back(session.get());
    }
    return lines.empty() && !also_ejected ? nodes(true) : lines;
}

void Router::close_quiet() {
    for (auto& session : nodes_) {
        if (session) session->close_quiet();
    }
}

bool Router::opened() const noexcept {
    if (!seeds_.empty()) return false;
    if (has_map()) return true;
    const auto settled = [this](const auto& session) { return session->ready() || ring_.out(*session); };
    return std::all_of(nodes_.begin(), nodes_.end(), settled) &&
           std::any_of(nodes_.begin(), nodes_.end(), [](const auto& session) { return session->ready(); });
}

bool Router::connected() const noexcept {
    return !nodes_.empty() &&
           std::all_of(nodes_.begin(), nodes_.end(), [](const auto& session) { return !session || session->ready(); });
}

// ---- seeds -------------------------------------------------------------------------------------------------------

void Router::start_round() {
    between_rounds_ = false;
    worst_ = {};
    next_seed_ = 0;
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
        start_round();
    } else if (next_seed_ < seeds_.size()) {
        start_seed();
    }
}

void Router::seed_failed(Session& session, errc code, const std::string& message) {
    Failure failure{code, message, session.name()};
    if (weight(code) > weight(worst_.code)) std::swap(failure, worst_);
    if (failure.code != errc::success) worst_.message += fmt::format("; {}: {}", failure.node, failure.message);
    --seeds_trying_;
    if (next_seed_ < seeds_.size()) return start_seed();
    if (seeds_trying_ == 0) round_failed();
}

void Router::round_failed() {
    waiting_.set_last_failure(worst_.node + ": " + worst_.message);
    between_rounds_ = true;
    const Duration delay = seed_backoff_.next(core_.iops().random());
    core_.iops().schedule(*seed_timer_, std::chrono::ceil<std::chrono::microseconds>(delay));
    core_.connecting_failed(worst_.code, worst_.message, worst_.node);
    // Nothing will come of waiting with credentials that are wrong.
    if (worst_.code == errc::authentication_failure) core_.fail_all(waiting_, worst_.code, waiting_.last_failure());
}

// ---- the map -----------------------------------------------------------------------------------------------------

void Router::session_ready(Session& session, std::string_view config) {
    if (!config.empty()) {
        std::string refused = offer(session, config);
        if (!has_map()) {
            return session.give_up(errc::protocol_error, "its cluster map is of no use: " + std::move(refused));
        }
    } else if (core_.settings().connection.scheme == Scheme::memcached) {
        if (ring_.answers(session)) ring_changed();
        if (opened()) core_.connecting_done();
    }
}

std::string Router::offer(Session& session, std::string_view config) {
    std::string refused = tracker_.offer(config, {session.host(), session.port()});
    if (refused.empty()) apply(session);
    return refused;
}

void Router::apply(Session& source) {
    const protocol::ClusterMap& map = *tracker_.current();
    retry_step_ = 0;

    std::vector<std::unique_ptr<Session>> before = std::exchange(nodes_, {});
    for (auto& seed : std::exchange(seeds_, {})) {
        // Of two seeds that name one node the connected one is kept.
        before.insert(seed.get() == &source ? before.begin() : before.end(), std::move(seed));
    }
    std::vector<Session*> fresh;
    for (const protocol::Endpoint& endpoint : tracker_.servers()) {
        std::unique_ptr<Session>& node = nodes_.emplace_back();
        if (!endpoint) continue;  // not to be reached through this network
        const auto known = std::find_if(before.begin(), before.end(), [&](const auto& session) {
            return session && session->host() == endpoint.host && session->port() == endpoint.port;
        });
        if (known != before.end()) {
            node = std::move(*known);
            node->become_node();
            if (node->idle()) fresh.push_back(node.get());
        } else {
            node = std::make_unique<Session>(core_, endpoint, false);
            fresh.push_back(node.get());
        }
    }
    if (map.locator == protocol::ClusterMap::Locator::ketama) {
        follow_ring(map);
    } else {
        follow_vbuckets(map);
    }
    for (auto& session : before) {
        if (session) retire(std::move(session));
    }
    for (auto& session : nodes_) {
        if (session) reroute_unsent(*session);
    }
    for (Session* session : fresh) start_session(*session);
    reroute_waiting();
    core_.connecting_done();
}

void Router::follow_vbuckets(const protocol::ClusterMap& map) {
    ring_.clear();
    default_collection_.set_detour(nullptr);
    by_vbucket_.assign(map.vbucket_count(), &waiting_);
    for (std::size_t vbucket = 0; vbucket < by_vbucket_.size(); ++vbucket) {
        const std::int16_t server = map.server(static_cast<std::uint16_t>(vbucket));
        if (server >= 0 && nodes_[static_cast<std::size_t>(server)]) {
            by_vbucket_[vbucket] = nodes_[static_cast<std::size_t>(server)].get();
        }
    }
}

/// A memcached bucket. Its ring is made of the nodes' own addresses, through whichever network they are reached.
void Router::follow_ring(const protocol::ClusterMap& map) {
    std::vector<RingRoutes::Member> members;
    for (std::size_t i = 0; i < map.kv.size(); ++i) {
        Line* const line = nodes_[i] ? static_cast<Line*>(nodes_[i].get()) : &waiting_;
        members.push_back({{map.kv[i].host, map.kv[i].port}, line});
    }
    ring_.assign(protocol::RingScheme::couchbase, std::move(members), 0);
    by_vbucket_.clear();
    default_collection_.set_detour(&ring_.entrance());
}

void Router::retire(std::unique_ptr<Session> session) {
    session->drain();
    for (Slot* slot = session->pipeline().first(); slot;) {
        Slot* next = slot->next;
        if (!session->pipeline().begun(*slot)) {
            CHAISE_PROBE(node_left_with_unsent);
            reroute(*slot);
        }
        slot = next;
    }
    retired_.push_back(std::move(session));
}

/// Vbuckets have moved away from a node that stays; it may be one that cannot be reached any more.
void Router::reroute_unsent(Session& session) {
    for (Slot* slot = session.pipeline().first(); slot;) {
        Slot* next = slot->next;
        if (!session.pipeline().begun(*slot) && slot->copy != this_node && slot->collection) {
            const Route to = route_of(*slot);
            if (&to.line != &session) {
                CHAISE_PROBE(unsent_rerouted);
                move(*slot, to);
            } else {
                Core::set_vbucket(*slot, to.vbucket);  // a bucket made anew may have another number of them
            }
        }
        slot = next;
    }
}

void Router::bury() noexcept {
    std::erase_if(retired_, [](const std::unique_ptr<Session>& session) {
        if (session->pipeline().first() && !session->closed()) return false;
        session->close();
        return !session->pipeline().first();
    });
}

void Router::session_failed(Session& session, errc code, const std::string& message) {
    if (session.draining()) return;
    if (session.seed()) return seed_failed(session, code, message);
    if (code == errc::authentication_failure) core_.fail_all(session, code, message);
    if (!has_map()) return host_failed(session, code, message);
    refresh(&session);
}

void Router::session_lost(Session& session) {
    if (has_map()) refresh(&session);
}

void Router::on_push(Session& session, const protocol::Frame& frame) {
    if (!has_map()) return;
    const auto push = protocol::decode_config_push(frame);
    if (!push || (!push->bucket.empty() && push->bucket != core_.settings().bucket)) return;
    if (!push->config.empty()) {
        offer(session, push->config);
    } else if (tracker_.is_news(push->revision)) {
        CHAISE_PROBE(push_told_news);
        if (refreshing_) {
            refresh_again_ = true;
        } else {
            ask(session);
        }
    }
}

// ---- several memcached hosts ---------------------------------------------------------------------------------------

void Router::make_ring() {
    const Settings& settings = core_.settings();
    std::vector<RingRoutes::Member> members;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        const std::uint32_t weight = settings.weights.empty() ? 1 : settings.weights[i];
        members.push_back({{nodes_[i]->host(), nodes_[i]->port(), weight}, nodes_[i].get()});
    }
    ring_.assign(settings.distribution, std::move(members), settings.auto_eject ? settings.server_failure_limit : 0);
    default_collection_.set_detour(&ring_.entrance());
}

/// What has not been sent goes to who has its key now.
void Router::ring_changed() {
    for (auto& session : nodes_) reroute_unsent(*session);
}

void Router::host_failed(Session& session, errc code, const std::string& message) {
    if (!ring_.ejects()) return core_.connecting_failed(code, message, session.name());
    if (ring_.failed(session)) ring_changed();
    if (ring_.out(session)) session.retry_after(core_.settings().dead_timeout);
    if (opened()) return core_.connecting_done();
    const bool none_left =
        std::all_of(nodes_.begin(), nodes_.end(), [this](const auto& node) { return ring_.out(*node); });
    if (none_left || code == errc::authentication_failure) core_.connecting_failed(code, message, session.name());
}

// ---- requests on their way -----------------------------------------------------------------------------------------

Router::Route Router::route_of(const Slot& slot) noexcept {
    if (!slot.collection) return {any(), 0};
    Line* const detour = slot.collection->detour();
    if (detour && !is_ring(*detour)) return {*detour, 0};
    const Route active = route(Core::key_of(slot));
    return slot.copy == 0 ? active : route(active.vbucket, slot.copy);
}

void Router::move(Slot& slot, Route to) {
    if (slot.copy != 0 && !holder(to.vbucket, slot.copy)) {
        // Who wants a replica's copy takes another one rather than wait for this.
        Error error = core_.make_error(slot, errc::document_unretrievable,
                                       fmt::format("no node has replica {} of it any more", slot.copy - 1), false);
        slot.line->pipeline().remove(slot);
        return core_.fail_later(slot, std::move(error));
    }
    if (!core_.adapt(slot, to.line)) return;
    if (!slot.line->pipeline().move(slot, to.line.pipeline())) {
        Error error = core_.make_error(slot, errc::queue_full, "there is no room at the node it was to go to", false);
        slot.line->pipeline().remove(slot);
        return core_.fail_later(slot, std::move(error));
    }
    slot.line = &to.line;
    Core::set_vbucket(slot, to.vbucket);
    if (to.line.ready()) core_.mark_dirty(static_cast<Session&>(to.line));
    if (&to.line == &waiting_) wait_for_news();
}

void Router::reroute(Slot& slot) {
    if (slot.copy != this_node) return move(slot, route_of(slot));
    Error error = core_.make_error(slot, errc::request_canceled, "the node left the cluster", false);
    slot.line->pipeline().remove(slot);
    core_.fail_later(slot, std::move(error));
}

void Router::learn(Slot& slot, const protocol::Frame& frame) {
    auto& session = static_cast<Session&>(*slot.line);
    if (frame.value.empty() || !offer(session, frame.value).empty()) refresh();
}

void Router::not_mine(Slot& slot, const protocol::Frame& frame) {
    const Line* const from = slot.line;
    const bool news = !frame.value.empty() && offer(static_cast<Session&>(*slot.line), frame.value).empty();
    if (news) CHAISE_PROBE(not_mine_with_news);
    if (!news) CHAISE_PROBE(not_mine_without_news);
    Core::count_retry(slot);
    const Route next = route_of(slot);
    Session* const heir = node(tracker_.current()->forward_server(next.vbucket, slot.copy));
    // The heir has been asked already, after the owner: not to and fro between them without a pause.
    if (&next.line != from && (news || from != heir)) return move(slot, next);
    if (heir && heir != from && heir->ready()) CHAISE_PROBE(asked_the_heir);
    // The map has nothing newer to say: to the node that will have the vbucket, or later.
    move(slot, {heir && heir != from && heir->ready() ? static_cast<Line&>(*heir) : waiting_, next.vbucket});
}

void Router::reroute_waiting() {
    for (Slot* slot = waiting_.pipeline().first(); slot;) {
        Slot* next = slot->next;
        const Route to = route_of(*slot);
        // A replica that no node has is not waited for.
        if (&to.line != &waiting_ || slot->copy != 0) move(*slot, to);
        slot = next;
    }
    if (waiting_.pipeline().first()) wait_for_news();
}

void Router::wait_for_news() {
    if (!has_map() || retry_timer_->active()) return;
    CHAISE_PROBE(waited_for_news);
    // After a while in which nothing had to wait it is another story.
    if (core_.now() - last_retry_ > retry_delays.back()) retry_step_ = 0;
    core_.iops().schedule(*retry_timer_, retry_delays[std::min(retry_step_++, retry_delays.size() - 1)]);
}

void Router::on_retry_timer() {
    Core::Dispatch dispatch(core_);
    last_retry_ = core_.now();
    if (waiting_.pipeline().size() == 0) return;
    if (!refreshing_) refresh();
    reroute_waiting();
}

void Router::refresh(const Session* not_this) {
    if (core_.closed()) return;
    if (refreshing_) {
        refresh_again_ = true;
        return;
    }
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        Session* session = nodes_[next_refresh_++ % nodes_.size()].get();
        if (!session || session == not_this || !session->ready()) continue;
        return ask(*session);
    }
}

void Router::ask(Session& session) {
    const bool may_tell = session.granted(protocol::Feature::get_cluster_config_with_known_version);
    refreshing_ = true;
    core_.ask_for_config(session, may_tell ? revision() : std::nullopt);
}

void Router::refreshed(bool answered) {
    refreshing_ = false;
    refreshes_failed_ = answered ? 0 : refreshes_failed_ + 1;
    // Whom it was asked may be dead: another may know. But not for ever.
    const bool another = !answered && refreshes_failed_ < nodes_.size();
    if (another) CHAISE_PROBE(refresh_went_elsewhere);
    if (std::exchange(refresh_again_, false) || another) refresh();
}

}  // namespace chaise::detail
