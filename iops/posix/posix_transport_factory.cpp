#include "iops/posix/posix_transport_factory.hpp"

#include "iops/posix/posix_connector.hpp"
#include "iops/posix/posix_listener.hpp"
#include "iops/resolver/resolver.hpp"

#include <utility>

namespace chaise {

PosixTransportFactory::PosixTransportFactory(IOPS& iops, PosixOptions options)
    : iops_(iops), options_(std::move(options)) {}

PosixTransportFactory::~PosixTransportFactory() = default;

std::unique_ptr<Pending> PosixTransportFactory::connect(const Endpoint& endpoint, ConnectHandler& handler) {
    return std::make_unique<PosixConnector>(iops_, options_, endpoint, handler);
}

std::unique_ptr<Listener> PosixTransportFactory::listen(const Endpoint& endpoint, AcceptHandler& handler) {
    return std::make_unique<PosixListener>(iops_, options_, endpoint, handler);
}

std::unique_ptr<Pending> PosixTransportFactory::resolve(std::string_view host, ResolveHandler& handler) {
    if (!resolver_) resolver_ = std::make_unique<Resolver>(iops_, options_.resolver);
    return resolver_->resolve(host, handler);
}

}  // namespace chaise
