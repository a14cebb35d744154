#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace chaise::testing {

/// One connection, as the conversation on it sees it. Everything may be called from inside Conversation::on_bytes, and
/// later from a timer; it lives as long as its Conversation.
class Outlet {
public:
    /// To the client, in order, at the end of the turn at the latest.
    virtual void send(std::string_view bytes) = 0;
    /// Ends the connection when what was sent before has gone; nothing more is read. The conversation is destroyed on a
    /// later turn.
    virtual void close() = 0;
    /// Bytes that wait for a client that does not read.
    [[nodiscard]] virtual std::size_t waiting() const noexcept = 0;
    /// Bytes that were refused because too many waited are offered again now.
    virtual void resume() = 0;
    /// The address at which the client reached this server, without the port; IPv6 without brackets.
    [[nodiscard]] virtual const std::string& local_host() const noexcept = 0;

protected:
    ~Outlet() = default;
};

/// One client's conversation with a server: bytes in, bytes out, no socket.
class Conversation {
public:
    virtual ~Conversation() = default;
    /// What has arrived and was not used yet, from its beginning; gives how much of it was used. The rest is offered
    /// again when more has arrived, when the outlet has room again, or after Outlet::resume(). Not called while more
    /// waits at the outlet than the server's bound: a client that does not read is not executed for.
    virtual std::size_t on_bytes(std::string_view bytes) = 0;
    /// The outlet is empty, or nearly so: time to send more of a long answer. Asked again as long as it returns true
    /// and there is room; then whenever there is room again, or something happens on the connection.
    virtual bool on_room() { return false; }
};

/// Makes the conversation of a new connection.
using ConversationFactory = std::function<std::unique_ptr<Conversation>(Outlet&)>;

}  // namespace chaise::testing
