#pragma once

#include <chaise/iops.hpp>

#include "iops/posix/posix_options.hpp"

namespace chaise {

class Resolver;

/// POSIX stream sockets and a c-ares resolver over the events of any IOPS: its default transport factory.
/// Everything that it made must be gone before its IOPS is: its own destructor does not call the IOPS any more.
class PosixTransportFactory final : public TransportFactory {
public:
    explicit PosixTransportFactory(IOPS& iops, PosixOptions options = {});
    ~PosixTransportFactory() override;

    void set_stream_options(const StreamOptions& options) override;
    [[nodiscard]] std::unique_ptr<Pending> connect(const Endpoint& endpoint, ConnectHandler& handler) override;
    [[nodiscard]] std::unique_ptr<Listener> listen(const Endpoint& endpoint, AcceptHandler& handler) override;
    [[nodiscard]] std::unique_ptr<Pending> resolve(std::string_view host, ResolveHandler& handler) override;
    [[nodiscard]] std::unique_ptr<Pending> resolve_service(std::string_view name, ServiceHandler& handler) override;
    [[nodiscard]] bool use_name_servers(std::string_view servers) override;

private:
    [[nodiscard]] Resolver& resolver();

    IOPS& iops_;
    PosixOptions options_;
    std::unique_ptr<Resolver> resolver_;
};

}  // namespace chaise
