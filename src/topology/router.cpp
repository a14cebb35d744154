#include "topology/router.hpp"

#include "bucket/core.hpp"
#include "operation/probe.hpp"
#include "protocol/requests.hpp"
#include "protocol/responses.hpp"
#include "topology/seeds.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace chaise::detail {

namespace {

using namespace std::chrono_literals;

/// Waits before a second try when the map has nothing newer to say (SDK-RFC 49).
constexpr std::array<std::chrono::microseconds, 6> retry_delays = {1ms, 10ms, 50ms, 100ms, 500ms, 1000ms};

}  // namespace

Router::Router(Core& core)
    : core_(core),
      tracker_(core.settings().bucket, core.settings().network),
      client_id_(core.iops().random()),
      waiting_({}, core.settings().max_queue_operations, core.settings().max_queue_bytes, &core.byte_budget()),
      seed_timer_(core.iops().timer_event_factory()),
      retry_timer_(core.iops().timer_event_factory()),
      poll_timer_(core.iops().timer_event_factory()) {
    seed_timer_->set_handler([](void* router, int) { static_cast<Router*>(router)->on_seed_timer(); }, this);
    retry_timer_->set_handler([](void* router, int) { static_cast<Router*>(router)->on_retry_timer(); }, this);
    poll_timer_->set_handler([](void* router, int) { static_cast<Router*>(router)->on_poll_timer(); }, this);
    const ConnectionString& connection = core.settings().connection;
    const bool plain = connection.scheme == Scheme::memcached;
    for (const HostSpec& host : connection.hosts) {
        if (!plain) break;
        const protocol::Endpoint endpoint{host.host, host.port.value_or(connection.default_port())};
        nodes_.push_back(std::make_unique<Session>(core, endpoint, false));
    }
    if (!plain) make_seeds(key_value_hosts(core.settings()));
    set_detour(plain ? static_cast<Line*>(nodes_.front().get()) : &waiting_);
    if (nodes_.size() > 1) make_ring();
}

Router::~Router() {
    if (loop_gone_) return;
    core_.iops().cleanup(*seed_timer_);
    core_.iops().cleanup(*retry_timer_);
    core_.iops().cleanup(*poll_timer_);
}

void Router::start() {
    if (core_.settings().connection.scheme != Scheme::memcached) return begin_seeds();
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
    looking_up_.reset();
    if (http_) http_->stop();
    for (auto* sessions : {&nodes_, &seeds_, &retired_}) {
        for (auto& session : *sessions) {
            if (session) session->close();
        }
    }
    if (loop_gone_) return;
    if (seed_timer_->active()) core_.iops().cancel(*seed_timer_);
    if (retry_timer_->active()) core_.iops().cancel(*retry_timer_);
    if (poll_timer_->active()) core_.iops().cancel(*poll_timer_);
}

std::string Router::why_waiting(const Line* line) const {
    if (!line) line = detour_ ? detour_ : &waiting_;
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
    if (hosts.empty()) {
        for (const auto& node : management_nodes()) hosts += (hosts.empty() ? "" : ", ") + protocol::authority(node);
    }
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
    Session* any = nullptr;
    for (auto& session : nodes_) {
        if (session && (!any || any->failed())) any = session.get();
    }
    return any ? static_cast<Line&>(*any) : waiting_;
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
    if (has_map()) return true;
    if (core_.settings().connection.scheme != Scheme::memcached) return false;
    const auto settled = [this](const auto& session) { return session->ready() || ring_.out(*session); };
    return std::all_of(nodes_.begin(), nodes_.end(), settled) &&
           std::any_of(nodes_.begin(), nodes_.end(), [](const auto& session) { return session->ready(); });
}

bool Router::connected() const noexcept {
    return !nodes_.empty() &&
           std::all_of(nodes_.begin(), nodes_.end(), [](const auto& session) { return !session || session->ready(); });
}

// ---- the map -----------------------------------------------------------------------------------------------------

void Router::session_ready(Session& session, std::string_view config) {
    std::string refused;
    if (!config.empty()) {
        refused = offer(session, config);
        if (http_ && core_.settings().bootstrap_on == BootstrapOn::both) http_->stop();
    } else if (core_.settings().connection.scheme == Scheme::memcached) {
        if (ring_.answers(session)) ring_changed();
        if (opened()) core_.connecting_done();
        return;
    }
    if (session.seed()) {
        if (session.draining()) return;  // it gave the map, and is not in it
        // In use already: its cluster is alive and knows nothing newer; it may soon.
        return has_map() ? session.give_up(errc::temporary_failure, "it has no newer cluster map")
                         : session.give_up(errc::protocol_error, "its cluster map is of no use: " + std::move(refused));
    }
    drop_seeds();
    watch_polling();
}

std::string Router::offer(Session& session, std::string_view config) {
    std::string refused = tracker_.offer(config, {session.host(), session.port()}, protocol::Service::kv, returned_);
    if (refused.empty()) apply(&session);
    return refused;
}

std::string Router::http_map(std::string_view config, const protocol::Endpoint& sender, bool& no_news) {
    std::string refused = tracker_.offer(config, sender, protocol::Service::management, returned_, &no_news);
    if (refused.empty()) apply(nullptr);
    return refused;
}

void Router::apply(const Session* source) {
    const protocol::ClusterMap& map = *tracker_.current();
    retry_step_ = 0;
    seeds_done();

    std::vector<std::unique_ptr<Session>> before = std::exchange(nodes_, {});
    for (auto& seed : std::exchange(seeds_, {})) {
        // Of two seeds that name one node the connected one is kept.
        before.insert(seed.get() == source ? before.begin() : before.end(), std::move(seed));
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
    core_.collections().map_comes(map);
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
    core_.collections().map_came(map);
    core_.connecting_done();
}

/// Where the default collection's requests go; not while its id is being looked for.
void Router::set_detour(Line* detour) noexcept {
    detour_ = detour;
    Collection& all = core_.collections().default_collection();
    if (all.detour_ != &all.line()) all.detour_ = detour;
}

void Router::follow_vbuckets(const protocol::ClusterMap& map) {
    ring_.clear();
    set_detour(nullptr);
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
    set_detour(&ring_.entrance());
    core_.collections().forget_ids();
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
    const auto lost = [](const auto& node) { return !node || node->failed(); };
    if (std::all_of(nodes_.begin(), nodes_.end(), lost)) return_to_seeds();
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
    set_detour(&ring_.entrance());
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
    if (detour && !is_ring(*detour)) return {*detour, vbucket_of(slot)};
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
    const Collection* const collection = Core::prefixable(slot) ? slot.collection : nullptr;
    if (collection && collection->named() && to.line.ready() && !to.line.prefixed()) {
        Error error = core_.make_error(slot, errc::unsupported_operation,
                                       "node " + to.line.name() + " has no collections", false);
        slot.line->pipeline().remove(slot);
        return core_.fail_later(slot, std::move(error));
    }
    if (!core_.adapt(slot, to.line)) return;
    const std::string_view prefix = collection && to.line.prefixed() ? collection->prefix() : std::string_view();
    if (!slot.line->pipeline().move(slot, to.line.pipeline(), Core::prefix_size(slot), prefix)) {
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

void Router::park(Slot& slot) { move(slot, {waiting_, vbucket_of(slot)}); }

std::uint16_t Router::vbucket_of(const Slot& slot) const noexcept {
    if (by_vbucket_.empty()) return 0;
    return protocol::vbucket_of(Core::key_of(slot), static_cast<std::uint32_t>(by_vbucket_.size()));
}

void Router::reroute_all(Line& line) {
    for (Slot* slot = line.pipeline().first(); slot;) {
        Slot* next = slot->next;
        reroute(*slot);
        slot = next;
    }
}

Line* Router::ready_node(std::size_t n) noexcept {
    const std::size_t count = ready_nodes();
    if (count == 0) return nullptr;
    n %= count;
    for (auto& session : nodes_) {
        if (session && session->ready_with_prefix() && n-- == 0) return session.get();
    }
    return nullptr;
}

bool Router::prefixed() const noexcept {
    const auto one = std::find_if(nodes_.begin(), nodes_.end(), [](const auto& session) { return session != nullptr; });
    return one != nodes_.end() && (*one)->prefixed();
}

std::size_t Router::ready_nodes() const noexcept {
    return static_cast<std::size_t>(std::count_if(
        nodes_.begin(), nodes_.end(), [](const auto& session) { return session && session->ready_with_prefix(); }));
}

void Router::not_mine(Slot& slot, const protocol::Frame& frame) {
    const Line* const from = slot.line;
    const bool news = !frame.value.empty() && offer(static_cast<Session&>(*slot.line), frame.value).empty();
    if (news) CHAISE_PROBE(not_mine_with_news);
    if (!news) CHAISE_PROBE(not_mine_without_news);
    Core::count_retry(slot);
    core_.free_accumulator(slot);  // frames of an answer that was not the last word
    const Route next = route_of(slot);
    if (slot.collection && slot.collection->detour()) {
        return move(slot, &next.line == from ? Route{waiting_, next.vbucket} : next);
    }
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
        if (!session || session == not_this || !session->ready() || !session->gives_maps()) continue;
        return ask(*session);
    }
}

/// Who does not push maps is asked for them.
void Router::watch_polling() {
    const auto mute = [](const auto& session) {
        return session && session->ready() && session->gives_maps() &&
               !session->granted(protocol::Feature::clustermap_change_notification);
    };
    if (poll_timer_->active() || std::none_of(nodes_.begin(), nodes_.end(), mute)) return;
    core_.iops().schedule(*poll_timer_,
                          std::chrono::ceil<std::chrono::microseconds>(core_.settings().config_poll_interval));
}

void Router::on_poll_timer() {
    Core::Dispatch dispatch(core_);
    if (!refreshing_) refresh();
    watch_polling();
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
