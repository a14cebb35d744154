#include "iops/posix/posix_listener.hpp"

#include "iops/posix/posix_transport.hpp"

#include <cerrno>

namespace chaise {

namespace {

/// Connections taken per readiness, so that a storm of peers does not starve the loop.
constexpr int accept_limit = 64;
/// How long a listener rests when the system has no descriptor or memory for another peer.
constexpr std::chrono::milliseconds exhausted_pause{50};

[[noreturn]] void fail(std::error_code error, const Endpoint& endpoint) {
    throw std::system_error(error, "chaise: cannot listen on " + endpoint.to_string());
}

}  // namespace

/// One readiness being delivered: asks for the next one at its end, unless a handler destroyed the listener.
class PosixListener::Dispatch {
public:
    // Not inlined: GCC 12 does not see that the pointer is reset unless the listener is gone (-Wdangling-pointer).
    [[gnu::noinline]] explicit Dispatch(PosixListener& listener) noexcept : listener_(&listener) {
        listener.dispatch_ = this;
    }
    Dispatch(const Dispatch&) = delete;
    Dispatch& operator=(const Dispatch&) = delete;
    ~Dispatch() {
        if (listener_ == nullptr) return;
        listener_->dispatch_ = nullptr;
        if (exhausted) {
            listener_->iops_.schedule(*listener_->pause_, exhausted_pause);
        } else {
            listener_->iops_.watch(*listener_->event_, listener_->socket_.fd(), read_event);
        }
    }
    void listener_destroyed() noexcept { listener_ = nullptr; }
    [[nodiscard]] bool alive() const noexcept { return listener_ != nullptr; }

    bool exhausted = false;

private:
    PosixListener* listener_;
};

PosixListener::PosixListener(IOPS& iops, const PosixOptions& options, const Endpoint& endpoint, AcceptHandler& handler)
    : iops_(iops),
      handler_(handler),
      user_timeout_(options.user_timeout),
      event_(iops.io_event_factory()),
      pause_(iops.timer_event_factory()) {
    const std::optional<posix::Address> address = posix::parse_address(endpoint.address, endpoint.port);
    if (!address) fail(std::make_error_code(std::errc::invalid_argument), endpoint);
    socket_ = posix::Socket{::socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!socket_) fail(posix::last_error(), endpoint);
    const int on = 1;
    ::setsockopt(socket_.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(socket_.fd(), address->get(), address->length) != 0 || ::listen(socket_.fd(), SOMAXCONN) != 0) {
        fail(posix::last_error(), endpoint);
    }
    event_->set_handler(&PosixListener::on_ready, this);
    pause_->set_handler(&PosixListener::on_pause_over, this);
    iops_.watch(*event_, socket_.fd(), read_event);
}

PosixListener::~PosixListener() {
    if (dispatch_ != nullptr) dispatch_->listener_destroyed();
    if (event_->state() != Event::State::initialized) iops_.cleanup(*event_);
    if (pause_->state() != Event::State::initialized) iops_.cleanup(*pause_);
}

Endpoint PosixListener::local_endpoint() const {
    posix::Address address;
    if (::getsockname(socket_.fd(), address.get(), &address.length) != 0) return {};
    return address.to_endpoint();
}

void PosixListener::on_ready(void* self, int) { static_cast<PosixListener*>(self)->accept_some(); }

void PosixListener::on_pause_over(void* self, int) {
    auto& listener = *static_cast<PosixListener*>(self);
    listener.iops_.watch(*listener.event_, listener.socket_.fd(), read_event);
}

void PosixListener::accept_some() {
    Dispatch dispatch{*this};
    for (int i = 0; i < accept_limit && dispatch.alive(); ++i) {
        posix::Socket peer{::accept4(socket_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
        if (!peer) {
            switch (errno) {
                case EAGAIN:
                    return;
                case EMFILE:
                case ENFILE:
                case ENOBUFS:
                case ENOMEM:
                    dispatch.exhausted = true;
                    return;
                default:
                    continue;  // that peer went away before it was accepted
            }
        }
        posix::set_stream_options(peer.fd(), user_timeout_);
        handler_.on_accept(std::make_unique<PosixTransport>(iops_, std::move(peer)));
    }
}

}  // namespace chaise
