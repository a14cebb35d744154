#include "iops/posix/posix_connector.hpp"

#include "iops/posix/posix_transport.hpp"

#include <cerrno>

namespace chaise {

PosixConnector::PosixConnector(IOPS& iops, const PosixOptions& options, const Endpoint& endpoint,
                               ConnectHandler& handler)
    : iops_(iops), handler_(handler) {
    start(options, endpoint);
}

void PosixConnector::start(const PosixOptions& options, const Endpoint& endpoint) {
    const std::optional<posix::Address> address = posix::parse_address(endpoint.address, endpoint.port);
    if (!address) return finish_later(std::make_error_code(std::errc::invalid_argument));
    socket_ = posix::Socket{::socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!socket_) return finish_later(posix::last_error());
    posix::set_stream_options(socket_.fd(), options.user_timeout, options.keepalive);
    if (::connect(socket_.fd(), address->get(), address->length) == 0) return finish_later({});
    // An interrupted connect goes on by itself, too.
    if (errno != EINPROGRESS && errno != EINTR) return finish_later(posix::last_error());
    event_ = iops_.io_event_factory();
    event_->set_handler(&PosixConnector::on_ready, this);
    iops_.watch(*event_, socket_.fd(), write_event);
}

PosixConnector::~PosixConnector() {
    if (event_) iops_.cleanup(*event_);
    if (deferred_) iops_.cleanup(*deferred_);
}

void PosixConnector::finish_later(std::error_code error) {
    error_ = error;
    deferred_ = iops_.timer_event_factory();
    deferred_->set_handler(&PosixConnector::on_deferred, this);
    iops_.defer(*deferred_);
}

void PosixConnector::on_deferred(void* self, int) {
    auto& connector = *static_cast<PosixConnector*>(self);
    connector.finish(connector.error_);
}

void PosixConnector::on_ready(void* self, int) {
    auto& connector = *static_cast<PosixConnector*>(self);
    const int fd = connector.socket_.fd();
    int error = 0;
    socklen_t length = sizeof error;
    if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
    if (error == 0) {
        posix::Address peer;
        if (::getpeername(fd, peer.get(), &peer.length) != 0) {
            if (errno == ENOTCONN) return connector.iops_.watch(*connector.event_, fd, write_event);  // spurious
            error = errno;
        }
    }
    connector.finish(error == 0 ? std::error_code{} : std::error_code{error, std::system_category()});
}

void PosixConnector::finish(std::error_code error) {
    if (event_) {
        iops_.cleanup(*event_);
        event_.reset();
    }
    std::unique_ptr<Transport> transport;
    if (!error) transport = std::make_unique<PosixTransport>(iops_, std::move(socket_));
    handler_.on_connect(std::move(transport), error);  // may destroy this
}

}  // namespace chaise
