#pragma once

#include "protocol/frame.hpp"
#include "protocol/scram.hpp"
#include "protocol/vbucket.hpp"
#include "session/attempt_limits.hpp"
#include "session/backoff.hpp"
#include "session/line.hpp"
#include "topology/collection.hpp"
#include "topology/http_config.hpp"
#include "topology/map_tracker.hpp"
#include "topology/ring_routes.hpp"

#include <chaise/error.hpp>
#include <chaise/iops.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::detail {

class Core;
class Session;

/// Which line a request goes into. Plain memcached: the one session, or with several hosts the one that the ring names
/// (RingRoutes). Couchbase: seeds are asked for a map until one has
/// given it; from then on there is a session for each node of the map, and vbuckets lead to them. What no node can take
/// now (no map yet, a vbucket without an owner, a node that says it is not its own) waits in a line of its own, with
/// its deadline, for a newer map or a second try.
class Router final : ServiceHandler {
public:
    struct Route {
        Line& line;
        std::uint16_t vbucket;
    };

    explicit Router(Core& core);
    Router(const Router&) = delete;
    Router& operator=(const Router&) = delete;
    ~Router();

    /// Begins to connect.
    void start();
    /// Closes every connection; the requests are the core's to fail.
    void close() noexcept;
    /// The loop is there no more.
    void lose_loop() noexcept { loop_gone_ = true; }

    /// Where a request for the key of a collection without a detour goes, and the vbucket to say in it.
    [[nodiscard]] Route by_map(std::string_view key) noexcept {
        const std::uint16_t vbucket = protocol::vbucket_of(key, static_cast<std::uint32_t>(by_vbucket_.size()));
        return {*by_vbucket_[vbucket], vbucket};
    }
    /// The same, by vbucket or by ring.
    [[nodiscard]] Route route(std::string_view key) noexcept {
        return ring_.active() ? Route{ring_.line(key), 0} : by_map(key);
    }
    /// Of the default collection; null: its requests go where the map has their keys.
    [[nodiscard]] Line* detour() const noexcept { return detour_; }
    /// The ring's entrance, which is never ready, is the detour of those who have a ring: so nobody else pays for it.
    [[nodiscard]] bool is_ring(const Line& line) const noexcept { return ring_.is_entrance(line); }
    [[nodiscard]] Line& by_ring(std::string_view key) const noexcept { return ring_.line(key); }
    /// Keys are on a ring, without replicas and durability: several memcached hosts, or a memcached bucket.
    [[nodiscard]] bool has_ring() const noexcept { return ring_.active(); }
    /// Where a request for a copy of the vbucket goes (0: active, from 1 on: replicas).
    [[nodiscard]] Route route(std::uint16_t vbucket, unsigned copy) noexcept;
    /// The node that has the copy by the map in force, and can be reached; null if there is none.
    [[nodiscard]] Session* holder(std::uint16_t vbucket, unsigned copy) const noexcept {
        return has_map() ? node(tracker_.current()->server(vbucket, copy)) : nullptr;
    }
    /// By number of the map; null for nobody, and for a node that this network cannot reach.
    [[nodiscard]] Session* node(std::int16_t server) const noexcept {
        return server >= 0 && static_cast<std::size_t>(server) < nodes_.size()
                   ? nodes_[static_cast<std::size_t>(server)].get()
                   : nullptr;
    }
    /// In force; null before the first.
    [[nodiscard]] const protocol::ClusterMap* map() const noexcept { return tracker_.current().get(); }
    /// The server group of a node, by number of the map; empty if the map has none.
    [[nodiscard]] std::string_view server_group(std::int16_t server) const noexcept;
    /// Those that no node can take now.
    [[nodiscard]] Line& waiting() noexcept { return waiting_; }
    [[nodiscard]] const Line& waiting() const noexcept { return waiting_; }
    /// Every session there is: of the nodes, of the seeds, and those that only await their last answers.
    [[nodiscard]] std::vector<Session*> sessions() const;
    /// Where a request that concerns no key goes: to a node that is connected, if there is one.
    [[nodiscard]] Line& any() noexcept;
    /// A request was put into the line, which is not ready.
    void joined(const Line& line) {
        if (&line == &waiting_) wait_for_news();
    }
    /// Why a request in the line was not sent, in words; null: why connect() has no outcome.
    [[nodiscard]] std::string why_waiting(const Line* line) const;
    /// How an attempt to open the cluster went wrong.
    struct Failure {
        errc code = errc::success;
        std::string message;
        std::string node;
    };
    /// What the seeds tried so far in this round came to.
    [[nodiscard]] const Failure& worst() const noexcept { return worst_; }
    /// Of the map in force.
    [[nodiscard]] std::optional<protocol::ConfigRevision> revision() const noexcept {
        return has_map() ? tracker_.current()->revision() : std::nullopt;
    }
    /// Of all connections to all nodes.
    [[nodiscard]] AttemptLimits& attempts() noexcept { return attempts_; }
    /// One for all connections of the bucket.
    [[nodiscard]] std::uint64_t client_id() const noexcept { return client_id_; }
    [[nodiscard]] protocol::ScramKeyCache& scram_keys() noexcept { return scram_keys_; }
    /// The lines of all nodes; hosts that were ejected only if asked for.
    [[nodiscard]] std::vector<Line*> nodes(bool also_ejected) const;
    /// Behind quiet gets comes something that is answered.
    void close_quiet();
    /// Every node is connected.
    [[nodiscard]] bool connected() const noexcept;
    /// It is known whom to ask: connections to all memcached hosts that were not ejected, or a cluster map.
    [[nodiscard]] bool opened() const noexcept;
    /// Everything that waits anywhere ends with this error.
    void fail_all(errc code, const std::string& message);

    // ---- told by the sessions ------------------------------------------------------------------------------------
    /// `config`: the map that the session's bootstrap got; empty from plain memcached.
    void session_ready(Session& session, std::string_view config);
    void session_failed(Session& session, errc code, const std::string& message);
    void session_lost(Session& session);
    /// A push: CLUSTERMAP_CHANGE_NOTIFICATION.
    void on_push(Session& session, const protocol::Frame& frame);

    /// Where another service is to be had, by the map in force.
    [[nodiscard]] std::vector<protocol::Endpoint> service_nodes(protocol::Service service) const;

    // ---- told by HttpConfig ---------------------------------------------------------------------------------------
    [[nodiscard]] bool maps_by_http() const noexcept { return http_ && http_->established(); }
    /// Those of the map, and those that the connection string and its SRV records name.
    [[nodiscard]] std::vector<protocol::Endpoint> management_nodes() const;
    /// Why it is not the map in force now; empty: it is. `no_news`: as MapTracker::offer() sets it.
    std::string http_map(std::string_view config, const protocol::Endpoint& sender, bool& no_news);
    /// A node gave no map, for this reason.
    void note_failure(errc code, const std::string& message, const std::string& node);
    /// None of them has.
    void http_failed();

    // ---- told by the core ----------------------------------------------------------------------------------------
    /// The session's node answered NOT_MY_VBUCKET: the request goes to where the map has it by now.
    void not_mine(Slot& slot, const protocol::Frame& frame);
    /// The same answer to a request that goes to no other node: what it tells of the map is taken.
    void learn(Slot& slot, const protocol::Frame& frame);
    /// The request's session goes: to where the map has it now.
    void reroute(Slot& slot);
    /// So do all of a line.
    void reroute_all(Line& line);
    /// The request goes where it was once more, after a while.
    void park(Slot& slot);
    /// The n-th, in turn, of the connected nodes that have collections; null: there is none.
    [[nodiscard]] Line* ready_node(std::size_t n) noexcept;
    /// Keys carry their collection, as far as is known.
    [[nodiscard]] bool prefixed() const noexcept;
    /// How many there are.
    [[nodiscard]] std::size_t ready_nodes() const noexcept;
    /// The answer to the router's own question.
    void on_config(Session& session, std::string_view config) { offer(session, config); }
    void refreshed(bool answered);
    /// A node said that there is a newer map.
    void look_for_news() {
        if (has_map() && !refreshing_) refresh();
    }
    /// At the end of a dispatch: sessions that nothing is left of.
    void bury() noexcept;

private:
    // Seeds, while there is no map, or nobody in it can be reached (seeds.cpp).
    void add_seeds(const std::vector<protocol::Endpoint>& endpoints);
    void make_seeds(const std::vector<protocol::Endpoint>& endpoints);
    void begin_seeds();
    void on_service(std::vector<ServiceTarget> targets, std::error_code error) override;
    void start_round();
    void start_seed();
    void seed_failed(Session& session, errc code, const std::string& message);
    void sessions_failed();
    [[nodiscard]] bool http_may_help();
    void round_failed();
    void tell_failure();
    void on_seed_timer();
    void seeds_done();
    void return_to_seeds();
    void drop_seeds();

    void watch_polling();
    void on_poll_timer();

    /// A map from a node: if it is news, sessions and routes follow it. Otherwise the reason why the tracker refused
    /// it.
    std::string offer(Session& session, std::string_view config);
    void apply(const Session* source);
    [[nodiscard]] std::uint16_t vbucket_of(const Slot& slot) const noexcept;
    void follow_vbuckets(const protocol::ClusterMap& map);
    void follow_ring(const protocol::ClusterMap& map);
    void make_ring();
    void ring_changed();
    void host_failed(Session& session, errc code, const std::string& message);
    void set_detour(Line* detour) noexcept;
    void retire(std::unique_ptr<Session> session);
    void reroute_unsent(Session& session);
    void start_session(Session& session);

    [[nodiscard]] Route route_of(const Slot& slot) noexcept;
    void move(Slot& slot, Route to);
    void reroute_waiting();
    void wait_for_news();
    void on_retry_timer();
    /// Asks a node for the map, unless one is being asked: then another is asked afterwards.
    void refresh(const Session* not_this = nullptr);
    void ask(Session& session);

    [[nodiscard]] bool has_map() const noexcept { return tracker_.current() != nullptr; }

    Core& core_;
    MapTracker tracker_;
    protocol::ScramKeyCache scram_keys_;
    std::uint64_t client_id_;
    std::vector<Line*> by_vbucket_;
    RingRoutes ring_;
    Line waiting_;
    Line* detour_ = nullptr;                         ///< of the default collection
    std::vector<std::unique_ptr<Session>> nodes_;    ///< by server number of the map, where it can be reached
    std::vector<std::unique_ptr<Session>> seeds_;    ///< until there is a map
    std::vector<std::unique_ptr<Session>> retired_;  ///< out of the map; the last answers are awaited
    std::unique_ptr<TimerEvent> seed_timer_;
    std::unique_ptr<TimerEvent> retry_timer_;
    std::unique_ptr<TimerEvent> poll_timer_;
    std::unique_ptr<Pending> looking_up_;            ///< the seeds' SRV records; may outlast a round
    std::vector<protocol::Endpoint> service_hosts_;  ///< the last that were found
    std::unique_ptr<HttpConfig> http_;               ///< once it was needed
    AttemptLimits attempts_;
    Backoff seed_backoff_;
    Failure worst_;  ///< of this round of seeds: the one that tells most
    std::size_t next_seed_ = 0;
    std::size_t seeds_trying_ = 0;
    std::size_t retry_step_ = 0;
    std::size_t next_refresh_ = 0;
    std::size_t refreshes_failed_ = 0;
    TimePoint last_retry_{};
    bool refreshing_ = false;
    bool refresh_again_ = false;  ///< what is being answered may be old by now
    bool between_rounds_ = false;
    bool in_round_ = false;
    bool returned_ = false;  ///< to the seeds, though there is a map
    bool loop_gone_ = false;
};

}  // namespace chaise::detail
