#pragma once

#include "protocol/cluster_map.hpp"
#include "protocol/feature.hpp"
#include "protocol/frame.hpp"
#include "session/backoff.hpp"
#include "session/bootstrap.hpp"
#include "session/couchbase_bootstrap.hpp"
#include "session/line.hpp"
#include "session/receive_buffer.hpp"
#include "session/send_log.hpp"

#include <chaise/diagnostics.hpp>
#include <chaise/iops.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace chaise::detail {

class Core;

/// One node: its connection, from resolving to ready and again after a loss, and the pipeline of requests to it.
class Session final : public Line, TransportHandler, ConnectHandler, ResolveHandler {
public:
    /// A seed is asked for a cluster map; when an attempt fails, the router decides about the next.
    Session(Core& core, protocol::Endpoint endpoint, bool seed);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session();

    /// Begins to connect.
    void start();
    /// Closes the connection for good; the requests are the caller's to fail.
    void close() noexcept;

    /// As the caller, or the map, wrote it.
    [[nodiscard]] const std::string& host() const noexcept { return endpoint_.host; }
    [[nodiscard]] std::uint16_t port() const noexcept { return endpoint_.port; }
    [[nodiscard]] bool seed() const noexcept { return seed_; }
    [[nodiscard]] bool closed() const noexcept { return state_ == State::closed; }
    /// Not started, or a seed whose attempt failed.
    [[nodiscard]] bool idle() const noexcept { return state_ == State::idle; }
    /// The last attempt has failed, or the last connection was lost, and there is none yet.
    [[nodiscard]] bool failed() const noexcept { return !ready() && !last_failure_.empty(); }
    /// It answers questions for the cluster map.
    [[nodiscard]] bool gives_maps() const noexcept { return gives_maps_; }
    [[nodiscard]] bool draining() const noexcept { return draining_; }
    [[nodiscard]] bool granted(protocol::Feature feature) const noexcept { return features_.contains(feature); }
    /// What the node's error map says of a status; null if nothing.
    [[nodiscard]] const protocol::ErrorMap::Entry* describe(protocol::Status status) const noexcept {
        return error_map_ ? error_map_->find(status) : nullptr;
    }
    /// How it stands, for reports.
    struct Report {
        std::string id;     ///< of the connection; empty: there is none
        std::string local;  ///< this end of it
        EndpointState state = EndpointState::disconnected;
        std::optional<TimePoint> last_received;
    };
    [[nodiscard]] Report report() const;
    /// A seed that turned out to be a node of the map.
    void become_node() noexcept { seed_ = false; }
    /// It is in the map no more: what it was sent may still be answered, then it closes.
    void drain();
    /// What the bootstrap gave is of no use.
    void give_up(errc code, std::string reason) { attempt_failed(code, std::move(reason)); }

    /// Its node said that the connection is of no use any more.
    void distrust(std::string_view reason) { connection_lost(reason); }
    /// Of an attempt that has just failed: the next one no sooner.
    void retry_after(Duration delay);

    /// The get that was put into the line last is not answered when it misses. Only while ready, and followed by
    /// close_quiet() in the same call.
    void hush(Slot& slot) noexcept {
        direct_ = false;
        pipeline_.hush(slot);
    }
    /// If the line ends with a quiet get: something that is answered comes behind it.
    void close_quiet();

    /// Writes what waits; once per turn.
    void flush();
    /// Parses what the last dispatch left over.
    void resume();
    /// Asks for more bytes, unless asked already.
    void arm_read();
    /// An operation has timed out: is anybody there?
    void check_silence(TimePoint now);
    /// When a request of its line, which was sent, was.
    [[nodiscard]] TimePoint sent_at(const Slot& slot) const { return send_log_.sent_at(slot.sequence, last_sent_); }

    // The core's list of sessions that have something to do at the end of the turn.
    bool dirty = false;

private:
    enum class State : std::uint8_t {
        idle,           ///< not started, or a seed whose attempt failed
        resolving,      ///< waiting for the host's addresses
        connecting,     ///< waiting for a stream to one of them
        bootstrapping,  ///< talking to the server, for nobody yet
        ready,          ///< requests flow
        backoff,        ///< waiting to try again
        closed,
    };

    void on_resolve(std::vector<std::string> addresses, std::error_code error) override;
    void on_connect(std::unique_ptr<Transport> transport, std::error_code error) override;
    void on_read(std::size_t bytes, std::error_code error) override;
    void on_writable() override;
    void on_timer();
    void on_health_timer();
    /// A NOOP of its own is under way.
    [[nodiscard]] bool probing() const noexcept;
    [[nodiscard]] bool silent(TimePoint now) const noexcept;
    /// From now on an answer is due.
    void expect_answer();

    void connect_next();
    void parse();
    void on_frame(const protocol::Frame& frame);
    [[nodiscard]] bool settle_quiet(const protocol::Frame& frame);
    void on_server_request(const protocol::Frame& frame);
    void start_bootstrap();
    void on_bootstrap_frame(const protocol::Frame& frame);
    template <class Handshake>
    void bootstrap_progress(Handshake& handshake, typename Handshake::Progress progress);
    void become_ready();
    void set_prefixed(bool prefixed);
    /// This attempt is over; another follows after a while.
    void attempt_failed(errc code, std::string reason);
    /// `code`: why the attempt failed, if it was not ready yet.
    void connection_lost(std::string_view reason, errc code = errc::not_connected);
    void drop_connection() noexcept;
    void retry_later();
    void stop_timer() noexcept;
    void stop_health_timer() noexcept;

    Core& core_;
    protocol::Endpoint endpoint_;
    State state_ = State::idle;
    bool seed_;
    /// Ready, and nothing quiet is in flight: a frame is an answer to its request and says nothing of others.
    bool direct_ = false;
    bool draining_ = false;
    bool gives_maps_ = true;
    bool read_armed_ = false;
    bool write_blocked_ = false;
    bool leftover_ = false;   ///< parsing stopped before the end of what had arrived
    bool expecting_ = false;  ///< the health timer is armed for the answers that are due
    std::size_t wanted_frame_ = protocol::header_size;
    ReceiveBuffer receive_;
    std::unique_ptr<Transport> transport_;
    std::unique_ptr<Pending> pending_;
    std::unique_ptr<TimerEvent> timer_;
    std::unique_ptr<TimerEvent> health_timer_;
    std::variant<std::monostate, Bootstrap, CouchbaseBootstrap> bootstrap_;
    std::string bootstrap_out_;
    std::vector<std::string> addresses_;
    std::size_t next_address_ = 0;
    Backoff backoff_;
    std::uint32_t probe_ = 0;          ///< opaque of the last NOOP of its own
    std::uint64_t connection_id_ = 0;  ///< of this connection or attempt
    TimePoint last_received_{};
    TimePoint last_sent_{};
    SendLog send_log_;
    TimePoint blocked_since_{};
    TimePoint ready_since_{};
    protocol::FeatureSet features_;
    std::optional<protocol::ErrorMap> error_map_;
};

}  // namespace chaise::detail
