#include "iops/posix/posix_transport.hpp"

#include <sys/uio.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <climits>
#include <cstddef>

namespace chaise {

// ConstBuffer and MutableBuffer are handed to the kernel as they are.
template <class Buffer>
inline constexpr bool is_iovec =
    sizeof(Buffer) == sizeof(iovec) && alignof(Buffer) == alignof(iovec) &&
    offsetof(Buffer, data) == offsetof(iovec, iov_base) && offsetof(Buffer, size) == offsetof(iovec, iov_len);
static_assert(is_iovec<ConstBuffer> && is_iovec<MutableBuffer>);

/// One readiness being delivered. Knows whether a handler destroyed the transport, and asks for the next readiness
/// at its end, also when a handler throws.
class PosixTransport::Dispatch {
public:
    // Not inlined: GCC 12 does not see that the pointer is reset unless the transport is gone (-Wdangling-pointer).
    [[gnu::noinline]] explicit Dispatch(PosixTransport& transport) noexcept : transport_(&transport) {
        transport.dispatch_ = this;
    }
    Dispatch(const Dispatch&) = delete;
    Dispatch& operator=(const Dispatch&) = delete;
    ~Dispatch() {
        if (transport_ == nullptr) return;
        transport_->dispatch_ = nullptr;
        transport_->update_interest();
    }
    void transport_destroyed() noexcept { transport_ = nullptr; }
    [[nodiscard]] bool alive() const noexcept { return transport_ != nullptr; }

private:
    PosixTransport* transport_;
};

PosixTransport::PosixTransport(IOPS& iops, posix::Socket socket)
    : iops_(iops), socket_(std::move(socket)), event_(iops.io_event_factory()) {
    event_->set_handler(&PosixTransport::on_ready, this);
}

PosixTransport::~PosixTransport() {
    if (dispatch_ != nullptr) dispatch_->transport_destroyed();
    if (event_->state() != Event::State::initialized) iops_.cleanup(*event_);
}

void PosixTransport::read(MutableBuffer buffer) {
    assert(!reading_ && "chaise::Transport: one read at a time");
    assert(buffer.size > 0 && "chaise::Transport: a read of nothing looks like the end of the stream");
    buffer_ = buffer;
    reading_ = true;
    update_interest();
}

void PosixTransport::wait_writable() {
    awaiting_write_ = true;
    update_interest();
}

void PosixTransport::update_interest() {
    if (dispatch_ != nullptr) return;
    const int wanted = (reading_ ? read_event : 0) | (awaiting_write_ ? write_event : 0);
    if (wanted != 0 && !(event_->active() && event_->flags() == wanted)) iops_.watch(*event_, socket_.fd(), wanted);
}

void PosixTransport::on_ready(void* self, int flags) { static_cast<PosixTransport*>(self)->ready(flags); }

void PosixTransport::ready(int flags) {
    const Dispatch dispatch{*this};
    const bool writable = awaiting_write_ && (flags & write_event) != 0;
    if (reading_ && (flags & read_event) != 0) {
        ssize_t got = 0;
        do {
            got = ::recv(socket_.fd(), buffer_.data, buffer_.size, 0);
        } while (got < 0 && errno == EINTR);
        if (got >= 0) {
            reading_ = false;
            handler_->on_read(static_cast<std::size_t>(got), {});
        } else if (errno != EAGAIN) {
            reading_ = false;
            handler_->on_read(0, posix::last_error());
        }
    }
    if (writable && dispatch.alive()) {
        awaiting_write_ = false;
        handler_->on_writable();
    }
}

WriteResult PosixTransport::write(std::span<const ConstBuffer> buffers) {
    if (buffers.empty()) return {};
    ssize_t sent = 0;
    do {
        if (buffers.size() == 1) {
            sent = ::send(socket_.fd(), buffers.front().data, buffers.front().size, MSG_NOSIGNAL);
        } else {
            msghdr message{};
            // sendmsg reads through this pointer only.
            message.msg_iov = reinterpret_cast<iovec*>(const_cast<ConstBuffer*>(buffers.data()));
            message.msg_iovlen = std::min<std::size_t>(buffers.size(), IOV_MAX);
            sent = ::sendmsg(socket_.fd(), &message, MSG_NOSIGNAL);
        }
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) return {static_cast<std::size_t>(sent), {}};
    if (errno == EAGAIN) return {};
    return {0, posix::last_error()};
}

Endpoint PosixTransport::local_endpoint() const {
    posix::Address address;
    if (::getsockname(socket_.fd(), address.get(), &address.length) != 0) return {};
    return address.to_endpoint();
}

Endpoint PosixTransport::remote_endpoint() const {
    posix::Address address;
    if (::getpeername(socket_.fd(), address.get(), &address.length) != 0) return {};
    return address.to_endpoint();
}

}  // namespace chaise
