#pragma once

/// \file
/// Inner part of the Asio adapter: streams, connectors, listeners on Asio sockets as the transport seam wants them.
/// Not an API.

#include <chaise/asio/core.hpp>
#include <chaise/asio/stream.hpp>
#include <chaise/transport.hpp>

#include <asio/ip/address.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

namespace chaise::detail {

/// After its destruction no handler is called and nothing is written into the read's buffer: Asio performs the read
/// itself, under a lock that closing the socket takes too, so nothing is left to the kernel. Once the loop or the
/// IOPS is gone it is a closed stream: reads never end, writes fail.
class AsioTransport final : public Transport {
public:
    explicit AsioTransport(AsioRef<AsioStream> stream) noexcept : stream_(std::move(stream)) {}
    ~AsioTransport() override { stream_->leave(); }

    void set_handler(TransportHandler& handler) override { stream_->set_handler(handler); }
    void read(MutableBuffer buffer) override { stream_->read(buffer); }
    WriteResult write(std::span<const ConstBuffer> buffers) override { return stream_->write(buffers); }
    void wait_writable() override { stream_->wait_writable(); }
    Endpoint local_endpoint() const override { return stream_->local(); }
    Endpoint remote_endpoint() const override { return stream_->remote(); }

private:
    AsioRef<AsioStream> stream_;
};

inline void AsioStream::on_connect(const std::error_code& error) {
    ConnectHandler* const handler = std::exchange(connect_handler_, nullptr);
    if (handler == nullptr) return;  // given up, or handed over
    if (error) {
        core().remove(*this);
        detach();
        return handler->on_connect(nullptr, error);
    }
    opened();
    handler->on_connect(std::make_unique<AsioTransport>(AsioRef<AsioStream>(this)), {});
}

class AsioConnecting final : public Pending {
public:
    explicit AsioConnecting(AsioRef<AsioStream> stream) noexcept : stream_(std::move(stream)) {}
    ~AsioConnecting() override {
        if (stream_->connecting()) stream_->leave();
    }

private:
    AsioRef<AsioStream> stream_;
};

/// Ends an accept. The operation itself owns the new socket: a thread of the loop puts the connection into it before
/// the strand is reached, when the listener may be gone.
class AsioAcceptance {
public:
    using Function = void (*)(AsioShared& target, const std::error_code& error, asio::ip::tcp::socket&& peer);
    using allocator_type = AsioHandlerAllocator<void>;

    AsioAcceptance(AsioShared& target, Function function) noexcept : target_(&target), function_(function) {}

    [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type{*target_}; }
    void operator()(const std::error_code& error, asio::ip::tcp::socket peer) {
        function_(*target_, error, std::move(peer));
    }

private:
    AsioRef<AsioShared> target_;
    Function function_;
};

/// Accepts one peer after the other.
class AsioAcceptor final : public AsioAttachment {
public:
    AsioAcceptor(AsioCore& core, AcceptHandler& handler) : AsioAttachment(core), handler_(&handler) {}

    void listen(const Endpoint& endpoint) {
        try {
            const asio::ip::tcp::endpoint address(asio::ip::make_address(endpoint.address), endpoint.port);
            acceptor_.emplace(core().binding().executor(), address, /*reuse_addr=*/true);
            local_ = to_endpoint(acceptor_->local_endpoint());
        } catch (const std::system_error& error) {
            throw std::system_error(to_std_error(error.code()), "listen on " + endpoint.to_string());
        }
        accept();
    }
    [[nodiscard]] const Endpoint& local() const noexcept { return local_; }

private:
    void detach() noexcept override {
        handler_ = nullptr;
        retry_.reset();
        acceptor_.reset();
    }

    void accept() {
        acceptor_->async_accept(
            AsioAcceptance(*this, [](AsioShared& self, const std::error_code& error, asio::ip::tcp::socket&& peer) {
                static_cast<AsioAcceptor&>(self).on_accept(to_std_error(error), std::move(peer));
            }));
    }
    void on_accept(const std::error_code& error, asio::ip::tcp::socket&& peer) {
        if (handler_ == nullptr) return;
        if (error == std::errc::connection_aborted) return accept();  // the peer went away
        if (error) return retry_later();
        auto transport = std::make_unique<AsioTransport>(AsioRef<AsioStream>(new AsioStream(core(), std::move(peer))));
        accept();  // before the handler, which may destroy the listener
        handler_->on_accept(std::move(transport));
    }
    /// Descriptors or memory are used up: to try at once would only spin.
    void retry_later() {
        retry_.emplace(core().binding().executor(), std::chrono::milliseconds(100));
        retry_->async_wait(AsioCompletion(*this, [](AsioShared& self, const std::error_code&, std::uint64_t) {
            auto& acceptor = static_cast<AsioAcceptor&>(self);
            if (acceptor.handler_ != nullptr) acceptor.accept();
        }));
    }

    AcceptHandler* handler_;
    std::optional<asio::ip::tcp::acceptor> acceptor_;
    std::optional<asio::steady_timer> retry_;
    Endpoint local_;
};

class AsioListener final : public Listener {
public:
    explicit AsioListener(AsioRef<AsioAcceptor> acceptor) noexcept : acceptor_(std::move(acceptor)) {}
    ~AsioListener() override { acceptor_->leave(); }
    Endpoint local_endpoint() const override { return acceptor_->local(); }

private:
    AsioRef<AsioAcceptor> acceptor_;
};

/// Sockets and listeners are Asio's. Names are resolved by the common resolver over this IOPS's events: Asio's own
/// runs a blocking getaddrinfo in a hidden thread.
class AsioTransportFactory final : public TransportFactory {
public:
    AsioTransportFactory(AsioCore& core, IOPS& iops) noexcept : core_(&core), iops_(iops) {}

    void set_stream_options(const StreamOptions& options) override { options_ = options; }
    std::unique_ptr<Pending> connect(const Endpoint& endpoint, ConnectHandler& handler) override {
        AsioRef<AsioStream> stream(new AsioStream(*core_));
        stream->connect(endpoint, options_, handler);
        return std::make_unique<AsioConnecting>(std::move(stream));
    }
    std::unique_ptr<Listener> listen(const Endpoint& endpoint, AcceptHandler& handler) override {
        if (!core_->open()) throw std::system_error(std::make_error_code(std::errc::operation_canceled), "listen");
        const AsioRef<AsioAcceptor> acceptor(new AsioAcceptor(*core_, handler));
        auto listener = std::make_unique<AsioListener>(acceptor);
        acceptor->listen(endpoint);
        return listener;
    }
    std::unique_ptr<Pending> resolve(std::string_view host, ResolveHandler& handler) override {
        return iops_.IOPS::transport_factory().resolve(host, handler);
    }
    std::unique_ptr<Pending> resolve_service(std::string_view name, ServiceHandler& handler) override {
        return iops_.IOPS::transport_factory().resolve_service(name, handler);
    }
    bool use_name_servers(std::string_view servers) override {
        return iops_.IOPS::transport_factory().use_name_servers(servers);
    }

private:
    AsioRef<AsioCore> core_;
    IOPS& iops_;
    StreamOptions options_;
};

}  // namespace chaise::detail
