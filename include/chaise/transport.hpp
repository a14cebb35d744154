#pragma once

/// \file
/// The transport seam: connected byte streams, connectors, listeners and a resolver, as the engine and the
/// local cluster use them. POSIX sockets implement it over any IOPS; Asio brings its own sockets; the
/// simulator replaces the world.
///
/// Rules common to all of it:
/// - Everything happens on the loop's thread.
/// - A handler is never called inside the call that started the work; always from a later dispatch of the loop.
/// - Destroying an object cancels what it has under way; its handler is not called afterwards.
/// - A handler may destroy the very object that calls it.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace chaise {

/// Layout-compatible with `struct iovec`, so that a gather write needs no conversion.
struct ConstBuffer {
    const void* data = nullptr;
    std::size_t size = 0;
};

struct MutableBuffer {
    void* data = nullptr;
    std::size_t size = 0;
};

/// A numeric address (IPv4 or IPv6 without brackets; in the simulator any host name) and a TCP port.
struct Endpoint {
    std::string address;
    std::uint16_t port = 0;

    friend bool operator==(const Endpoint&, const Endpoint&) = default;
    /// "127.0.0.1:11211", "[::1]:11211"
    [[nodiscard]] std::string to_string() const;
};

/// What a write attempt did. Fewer bytes than offered and no error: the peer is slow, wait with
/// `Transport::wait_writable()`.
struct WriteResult {
    std::size_t bytes = 0;
    std::error_code error;
};

class TransportHandler {
public:
    /// Ends one `Transport::read`. `bytes == 0` without an error is the peer's orderly end of stream.
    virtual void on_read(std::size_t bytes, std::error_code error) = 0;
    /// Ends one `Transport::wait_writable`; an error shows at the next write.
    virtual void on_writable() = 0;

protected:
    ~TransportHandler() = default;
};

/// One connected, ordered, reliable byte stream. Its destructor closes it.
class Transport {
public:
    Transport() = default;
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;
    virtual ~Transport() = default;

    /// Who hears of this stream. To be set before the first `read`; may be changed while nothing is armed.
    virtual void set_handler(TransportHandler& handler) = 0;
    /// One-shot: the next bytes that arrive are put into `buffer` (which must stay valid until `on_read`) and
    /// `on_read` is called once. At most one read is under way.
    virtual void read(MutableBuffer buffer) = 0;
    /// Writes what the peer takes now; never blocks, never calls the handler.
    virtual WriteResult write(std::span<const ConstBuffer> buffers) = 0;
    /// One-shot: `on_writable` is called once when a write may make progress.
    virtual void wait_writable() = 0;
    [[nodiscard]] virtual Endpoint local_endpoint() const = 0;
    [[nodiscard]] virtual Endpoint remote_endpoint() const = 0;
};

/// Work under way; destroying it cancels the work and its handler is not called.
class Pending {
public:
    Pending() = default;
    Pending(const Pending&) = delete;
    Pending& operator=(const Pending&) = delete;
    virtual ~Pending() = default;
};

class ConnectHandler {
public:
    /// Called once: a transport, or an error and no transport.
    virtual void on_connect(std::unique_ptr<Transport> transport, std::error_code error) = 0;

protected:
    ~ConnectHandler() = default;
};

class AcceptHandler {
public:
    /// Called for every peer that connects, until the listener is destroyed.
    virtual void on_accept(std::unique_ptr<Transport> transport) = 0;

protected:
    ~AcceptHandler() = default;
};

class ResolveHandler {
public:
    /// Called once. Without an error there is at least one address; they are numeric, in the order of
    /// preference, without ports.
    virtual void on_resolve(std::vector<std::string> addresses, std::error_code error) = 0;

protected:
    ~ResolveHandler() = default;
};

/// What a DNS SRV record points to.
struct ServiceTarget {
    std::string host;  ///< a name, without the dot at its end
    std::uint16_t port = 0;

    friend bool operator==(const ServiceTarget&, const ServiceTarget&) = default;
};

class ServiceHandler {
public:
    /// Called once. Without an error there is at least one target, in the order of the answer.
    virtual void on_service(std::vector<ServiceTarget> targets, std::error_code error) = 0;

protected:
    ~ServiceHandler() = default;
};

class Listener {
public:
    Listener() = default;
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    virtual ~Listener() = default;
    /// With the port that the kernel chose, if 0 was asked for.
    [[nodiscard]] virtual Endpoint local_endpoint() const = 0;
};

/// How the system watches over streams that the engine opens. What a transport has no such thing for, it leaves.
struct StreamOptions {
    /// How long a stream is idle before its peer is asked whether it is there (TCP_KEEPIDLE, in seconds); then again
    /// every sixth part of it (TCP_KEEPINTVL), five times (TCP_KEEPCNT). 0: SO_KEEPALIVE with the system's own times.
    std::chrono::seconds keepalive{0};
    static constexpr std::int64_t longest_keepalive = 32'767;  ///< Linux's bound
    /// How long sent data may stay unacknowledged before the stream is given up (TCP_USER_TIMEOUT). 0: the system's.
    std::chrono::milliseconds user_timeout{0};
};

/// Makes transports for one IOPS. Lives as long as its IOPS.
class TransportFactory {
public:
    TransportFactory() = default;
    TransportFactory(const TransportFactory&) = delete;
    TransportFactory& operator=(const TransportFactory&) = delete;
    virtual ~TransportFactory() = default;

    /// Of streams that are opened from now on. Default: there is nothing of the kind (the simulator).
    virtual void set_stream_options(const StreamOptions& options) { static_cast<void>(options); }
    /// Opens a stream to a numeric endpoint (TCP_NODELAY and keepalive are set).
    [[nodiscard]] virtual std::unique_ptr<Pending> connect(const Endpoint& endpoint, ConnectHandler& handler) = 0;
    /// Port 0 lets the kernel choose. \throws std::system_error if the address cannot be listened on.
    [[nodiscard]] virtual std::unique_ptr<Listener> listen(const Endpoint& endpoint, AcceptHandler& handler) = 0;
    /// Names to numeric addresses without blocking; a numeric name answers itself (still not inline).
    [[nodiscard]] virtual std::unique_ptr<Pending> resolve(std::string_view host, ResolveHandler& handler) = 0;
    /// The targets of a name's SRV records ("_couchbase._tcp.example.com"), without blocking. Null: this factory knows
    /// no such records (the default).
    [[nodiscard]] virtual std::unique_ptr<Pending> resolve_service(std::string_view /*name*/,
                                                                   ServiceHandler& /*handler*/) {
        return nullptr;
    }
    /// Name servers to ask instead of the system's: "address[:port],…". To be called before anything is resolved.
    /// False: this factory cannot (the default).
    [[nodiscard]] virtual bool use_name_servers(std::string_view /*servers*/) { return false; }
};

}  // namespace chaise
