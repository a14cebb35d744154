#pragma once

#include "protocol/frame.hpp"
#include "session/backoff.hpp"
#include "session/bootstrap.hpp"
#include "session/pipeline.hpp"
#include "session/receive_buffer.hpp"

#include <chaise/iops.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::detail {

class Core;

/// One node: its connection, from resolving to ready and again after a loss, and the pipeline of requests to it.
class Session final : TransportHandler, ConnectHandler, ResolveHandler {
public:
    Session(Core& core, HostSpec host, std::uint16_t port);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session();

    /// Begins to connect.
    void start();
    /// Closes the connection for good; the requests are the caller's to fail.
    void close() noexcept;

    [[nodiscard]] Pipeline& pipeline() noexcept { return pipeline_; }
    [[nodiscard]] bool ready() const noexcept { return state_ == State::ready; }
    /// "host:port", as the caller wrote the host.
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    /// Why the last attempt to connect failed, in words; empty if it did not.
    [[nodiscard]] const std::string& last_failure() const noexcept { return last_failure_; }

    /// Writes what waits; once per turn.
    void flush();
    /// Parses what the last dispatch left over.
    void resume();
    /// Asks for more bytes, unless asked already.
    void arm_read();
    /// An operation has timed out: is anybody there?
    void check_silence(TimePoint now);
    /// connect() waits for this session.
    void wait_ready(Slot& slot) { waiters_.push_back(&slot); }
    /// It waits no more. False if it did not.
    bool forget_waiter(Slot& slot) noexcept;
    [[nodiscard]] std::vector<Slot*>& waiters() noexcept { return waiters_; }

    // The core's list of sessions that have something to do at the end of the turn.
    bool dirty = false;

private:
    enum class State : std::uint8_t {
        idle,           ///< not started
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

    void connect_next();
    void parse();
    void on_frame(const protocol::Frame& frame);
    void on_bootstrap_frame(const protocol::Frame& frame);
    void bootstrap_progress(Bootstrap::Progress progress);
    void become_ready();
    /// This attempt is over; another follows after a while.
    void attempt_failed(errc code, std::string reason);
    void connection_lost(std::string_view reason);
    void drop_connection() noexcept;
    void retry_later();
    void stop_timer() noexcept;

    Core& core_;
    HostSpec host_;
    std::uint16_t port_;
    std::string name_;
    State state_ = State::idle;
    bool read_armed_ = false;
    bool write_blocked_ = false;
    bool leftover_ = false;  ///< parsing stopped before the end of what had arrived
    std::size_t wanted_frame_ = protocol::header_size;
    Pipeline pipeline_;
    ReceiveBuffer receive_;
    std::unique_ptr<Transport> transport_;
    std::unique_ptr<Pending> pending_;
    std::unique_ptr<TimerEvent> timer_;
    std::optional<Bootstrap> bootstrap_;
    std::string bootstrap_out_;
    std::vector<std::string> addresses_;
    std::size_t next_address_ = 0;
    Backoff backoff_;
    TimePoint last_received_{};
    TimePoint blocked_since_{};
    TimePoint ready_since_{};
    std::string last_failure_;
    std::vector<Slot*> waiters_;
};

}  // namespace chaise::detail
