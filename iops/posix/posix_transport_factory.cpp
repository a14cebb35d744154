#include "iops/posix/posix_transport_factory.hpp"

#include "iops/posix/posix_connector.hpp"
#include "iops/posix/posix_listener.hpp"
#include "iops/resolver/resolver.hpp"

#include <utility>

namespace chaise {

PosixTransportFactory::PosixTransportFactory(IOPS& iops, PosixOptions options)
    : iops_(iops), options_(std::move(options)) {}

PosixTransportFactory::~PosixTransportFactory() = default;

void PosixTransportFactory::set_stream_options(const StreamOptions& options) {
    options_.user_timeout = options.user_timeout;
    options_.keepalive = options.keepalive;
}

std::unique_ptr<Pending> PosixTransportFactory::connect(const Endpoint& endpoint, ConnectHandler& handler) {
    return std::make_unique<PosixConnector>(iops_, options_, endpoint, handler);
}

std::unique_ptr<Listener> PosixTransportFactory::listen(const Endpoint& endpoint, AcceptHandler& handler) {
    return std::make_unique<PosixListener>(iops_, options_, endpoint, handler);
}

Resolver& PosixTransportFactory::resolver() {
    if (!resolver_) resolver_ = std::make_unique<Resolver>(iops_, options_.resolver);
    return *resolver_;
}

std::unique_ptr<Pending> PosixTransportFactory::resolve(std::string_view host, ResolveHandler& handler) {
    return resolver().resolve(host, handler);
}

std::unique_ptr<Pending> PosixTransportFactory::resolve_service(std::string_view name, ServiceHandler& handler) {
    return resolver().resolve_service(name, handler);
}

bool PosixTransportFactory::use_name_servers(std::string_view servers) { return resolver().use_name_servers(servers); }

}  // namespace chaise
