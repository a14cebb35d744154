#pragma once

// Runs conversations: a listener on any IOPS, and for each client that connects a conversation, its buffers, and the
// rule that nobody can hurt the server by what he sends or does not read.

#include <chaise/iops.hpp>
#include <chaise/testing/cluster_faults.hpp>
#include <chaise/transport.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "cluster/net/conversation.hpp"

namespace chaise::testing {

struct ConversationLimits {
    /// Output that may wait for a client that does not read; beyond it nothing more is executed or read for that
    /// client. One answer may exceed it.
    std::size_t output_max = std::size_t{256} * 1024;
    /// Input that a conversation may leave unused, as an unfinished request. A client that sends more is closed.
    std::size_t input_max = std::size_t{24} * 1024 * 1024;
    /// Connections at a time; one more is closed at once.
    std::size_t connections_max = 4096;
};

class ConversationServer final : private AcceptHandler {
public:
    /// Listens at once. The IOPS must outlive the server. Whatever the factory throws costs the one client.
    /// \throws std::system_error if the address cannot be listened on.
    ConversationServer(IOPS& iops, const Endpoint& listen, ConversationFactory factory,
                       const ConversationLimits& limits = {});
    ConversationServer(const ConversationServer&) = delete;
    ConversationServer& operator=(const ConversationServer&) = delete;
    /// Ends every connection and destroys every conversation. Not from inside a conversation.
    ~ConversationServer();

    [[nodiscard]] Endpoint endpoint() const { return listener_->local_endpoint(); }
    /// Open ones, those that are being closed included.
    [[nodiscard]] std::size_t connections() const noexcept { return connections_; }
    [[nodiscard]] std::uint64_t accepted() const noexcept { return accepted_; }
    /// Connections that an exception ended.
    [[nodiscard]] std::uint64_t failed() const noexcept { return failed_; }
    /// Most output that ever waited for one client.
    [[nodiscard]] std::size_t output_peak() const noexcept { return output_peak_; }

    /// The streams end at once; the conversations go on a later turn. May be called from inside one.
    void close_connections();
    /// While paused connections are accepted and nothing is read, executed or sent, as by a process that is stopped.
    void set_paused(bool on);
    /// Of what is sent from now on.
    void set_faults(const LinkFaults& faults) { faults_ = faults; }

private:
    class Connection;

    void on_accept(std::unique_ptr<Transport> transport) override;
    void bury(Connection& connection);
    void remove_dead();

    IOPS& iops_;
    ConversationFactory factory_;
    ConversationLimits limits_;
    std::vector<std::unique_ptr<Connection>> all_;
    std::unique_ptr<TimerEvent> funeral_;
    std::size_t connections_ = 0;
    std::uint64_t accepted_ = 0;
    std::uint64_t failed_ = 0;
    std::size_t output_peak_ = 0;
    bool paused_ = false;
    LinkFaults faults_{};
    std::unique_ptr<Listener> listener_;
};

}  // namespace chaise::testing
