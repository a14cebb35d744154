#pragma once

/// \file
/// Inner part of the Asio adapter: one connected stream on an Asio socket. Not an API.
///
/// Asio 1.22 to 1.30 cost four system calls per round trip through their public interface: `async_wait` an
/// `epoll_ctl` each time, `async_read_some` a read that finds nothing, because Asio takes it for granted that more
/// is there after a read that succeeded. So on epoll the read is a reactor operation of our own, which knows whether
/// the socket is drained and says so: send, epoll_wait, recvmsg. It uses `asio::detail`, in one place
/// (AsioReactorRead). Define CHAISE_ASIO_PORTABLE_READS, the same in all translation units, to do without; it is so
/// by default where Asio does not use epoll.

#include <chaise/asio/core.hpp>
#include <chaise/transport.hpp>

#include <asio/ip/address.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/socket_base.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#if !defined(CHAISE_ASIO_PORTABLE_READS) && \
    (!defined(ASIO_HAS_EPOLL) || defined(ASIO_HAS_IO_URING_AS_DEFAULT) || !defined(TCP_INQ))
#define CHAISE_ASIO_PORTABLE_READS
#endif

#if !defined(CHAISE_ASIO_PORTABLE_READS)
#include <asio/detail/reactor.hpp>
#include <asio/detail/reactor_op.hpp>
#endif

namespace chaise::detail {

class AsioSocket final : public asio::ip::tcp::socket {
public:
    explicit AsioSocket(const asio::any_io_executor& executor) : asio::ip::tcp::socket(executor) {}
    explicit AsioSocket(asio::ip::tcp::socket&& socket) : asio::ip::tcp::socket(std::move(socket)) {}
#if !defined(CHAISE_ASIO_PORTABLE_READS)
    [[nodiscard]] auto& reactor_data() noexcept { return impl_.get_implementation().reactor_data_; }
#endif
};

class AsioStream;

#if !defined(CHAISE_ASIO_PORTABLE_READS)

/// One read after the other, performed by Asio's reactor when the socket becomes readable.
///
/// Asio watches edge-triggered: when the operation has said `done_and_exhausted`, the next one waits for the next
/// edge. An end of stream or a reset that came together with the last data makes no further edge. TCP_INQ tells of
/// the first (its count is then 1); a reset shows in that nothing can be sent any more. Only when the count was 0
/// and a write has succeeded since is the next read armed without trying first.
class AsioReactorRead final : public asio::detail::reactor_op {
public:
    explicit AsioReactorRead(AsioStream& stream) noexcept
        : asio::detail::reactor_op(std::error_code(), &AsioReactorRead::perform_read, &AsioReactorRead::complete_read),
          stream_(stream) {}

    void open(asio::execution_context& context, int fd) {
        reactor_ = &asio::use_service<asio::detail::reactor>(context);
        fd_ = fd;
        const int on = 1;
        // Where the kernel has no TCP_INQ, each read is tried first, for one system call more.
        ::setsockopt(fd, IPPROTO_TCP, TCP_INQ, &on, sizeof on);
    }
    void start(AsioSocket& socket, MutableBuffer buffer);
    void finished() noexcept { wrote_ = false; }
    void wrote() noexcept { wrote_ = true; }

    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_transferred_; }
    [[nodiscard]] const std::error_code& error() const noexcept { return ec_; }

private:
    static status perform_read(asio::detail::reactor_op* base) {
        return static_cast<AsioReactorRead*>(base)->attempt() ? done_and_exhausted : not_done;
    }
    static void complete_read(void* owner, asio::detail::operation* base, const std::error_code&, std::size_t);

    /// On whichever thread runs the reactor, under the lock that Asio's `close` takes too. Touches nothing but what
    /// belongs to the read under way.
    bool attempt() noexcept {
        iovec vector{buffer_.data, buffer_.size};
        alignas(cmsghdr) std::array<unsigned char, CMSG_SPACE(sizeof(int))> control;
        msghdr message{};
        message.msg_iov = &vector;
        message.msg_iovlen = 1;
        ssize_t received;
        do {
            message.msg_control = control.data();
            message.msg_controllen = control.size();
            received = ::recvmsg(fd_, &message, MSG_DONTWAIT);
        } while (received < 0 && errno == EINTR);
        drained_ = false;
        if (received < 0) {
            if (errno == EAGAIN) return false;
            ec_.assign(errno, std::system_category());
            bytes_transferred_ = 0;
            return true;
        }
        bytes_transferred_ = static_cast<std::size_t>(received);
        if (const cmsghdr* header = CMSG_FIRSTHDR(&message);
            header != nullptr && header->cmsg_level == IPPROTO_TCP && header->cmsg_type == TCP_CM_INQ) {
            int left = 1;
            std::memcpy(&left, CMSG_DATA(header), sizeof left);
            drained_ = left == 0;
        }
        return true;
    }

    AsioStream& stream_;
    asio::detail::reactor* reactor_ = nullptr;
    MutableBuffer buffer_;
    int fd_ = -1;
    bool drained_ = false;  // nothing was left in the socket after the last read
    bool wrote_ = false;    // a write has succeeded since that read was delivered
};

using AsioRead = AsioReactorRead;

#else

/// Waits until the socket is readable, then reads: the same on every Asio, for one system call more.
class AsioWaitRead {
public:
    explicit AsioWaitRead(AsioStream& stream) noexcept : stream_(stream) {}

    void open(asio::execution_context&, int fd) noexcept { fd_ = fd; }
    void start(AsioSocket& socket, MutableBuffer buffer) {
        buffer_ = buffer;
        wait(socket);
    }
    /// The socket was readable. False if there was nothing after all: waits again.
    [[nodiscard]] bool resume(AsioSocket& socket) {
        if (attempt()) return true;
        wait(socket);
        return false;
    }
    void finished() noexcept {}
    void wrote() noexcept {}

    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] const std::error_code& error() const noexcept { return error_; }

private:
    void wait(AsioSocket& socket);
    bool attempt() noexcept {
        ssize_t received;
        do {
            received = ::recv(fd_, buffer_.data, buffer_.size, MSG_DONTWAIT);
        } while (received < 0 && errno == EINTR);
        error_.clear();
        bytes_ = received > 0 ? static_cast<std::size_t>(received) : 0;
        if (received >= 0) return true;
        if (errno == EAGAIN) return false;
        error_.assign(errno, std::system_category());
        return true;
    }

    AsioStream& stream_;
    MutableBuffer buffer_;
    std::size_t bytes_ = 0;
    std::error_code error_;
    int fd_ = -1;
};

using AsioRead = AsioWaitRead;

#endif

inline Endpoint to_endpoint(const asio::ip::tcp::endpoint& endpoint) {
    return Endpoint{endpoint.address().to_string(), endpoint.port()};
}

/// What has no such options is left as it is.
inline void watch_over(AsioSocket& socket, const StreamOptions& options) noexcept {
    [[maybe_unused]] const auto set = [fd = socket.native_handle()](int name, int value) {
        ::setsockopt(fd, IPPROTO_TCP, name, &value, sizeof value);
    };
#if defined(TCP_USER_TIMEOUT)
    if (options.user_timeout.count() > 0) set(TCP_USER_TIMEOUT, static_cast<int>(options.user_timeout.count()));
#endif
#if defined(TCP_KEEPIDLE) && defined(TCP_KEEPINTVL) && defined(TCP_KEEPCNT)
    if (options.keepalive.count() <= 0) return;
    const int idle =
        static_cast<int>(std::min<std::int64_t>(options.keepalive.count(), StreamOptions::longest_keepalive));
    set(TCP_KEEPIDLE, idle);
    set(TCP_KEEPINTVL, std::max(1, idle / 6));
    set(TCP_KEEPCNT, 5);
#endif
}

/// The socket with its read, its connect and its wait for writability.
class AsioStream final : public AsioAttachment {
public:
    /// To be connected.
    explicit AsioStream(AsioCore& core) : AsioAttachment(core), read_(*this) {
        if (core.open()) socket_.emplace(core.binding().executor());
    }
    /// Accepted.
    AsioStream(AsioCore& core, asio::ip::tcp::socket&& socket) : AsioAttachment(core), read_(*this) {
        socket_.emplace(std::move(socket));
        opened();
    }

    /// Told once, later: a transport on this stream, or an error.
    void connect(const Endpoint& endpoint, const StreamOptions& options, ConnectHandler& handler) {
        connect_handler_ = &handler;
        if (!socket_) return;
        std::error_code error;
        const asio::ip::address address = asio::ip::make_address(endpoint.address, error);
        const asio::ip::tcp::endpoint peer(address, endpoint.port);
        if (!error) socket_->open(peer.protocol(), error);
        if (!error) watch_over(*socket_, options);
        if (error) {
            connect_error_ = to_std_error(error);
            core().binding().post(AsioTurn(*this, [](AsioShared& self) {
                auto& stream = static_cast<AsioStream&>(self);
                stream.on_connect(stream.connect_error_);
            }));
            return;
        }
        socket_->async_connect(
            peer, AsioCompletion(*this, [](AsioShared& self, const std::error_code& result, std::uint64_t) {
                static_cast<AsioStream&>(self).on_connect(to_std_error(result));
            }));
    }

    [[nodiscard]] bool connecting() const noexcept { return connect_handler_ != nullptr; }

    /// The socket is connected: non-blocking, no Nagle, keepalive.
    void opened() {
        std::error_code ignored;
        socket_->non_blocking(true, ignored);
        socket_->set_option(asio::ip::tcp::no_delay(true), ignored);
        socket_->set_option(asio::socket_base::keep_alive(true), ignored);
        fd_ = socket_->native_handle();
        read_.open(core().binding().context(), fd_);
        local_ = to_endpoint(socket_->local_endpoint(ignored));
        remote_ = to_endpoint(socket_->remote_endpoint(ignored));
    }

    void set_handler(TransportHandler& handler) noexcept { handler_ = &handler; }
    void read(MutableBuffer buffer) {
        if (socket_) read_.start(*socket_, buffer);
    }
    WriteResult write(std::span<const ConstBuffer> buffers) noexcept;
    void wait_writable() {
        if (!socket_ || waiting_writable_) return;
        waiting_writable_ = true;
        socket_->async_wait(asio::socket_base::wait_write,
                            AsioCompletion(*this, [](AsioShared& self, const std::error_code&, std::uint64_t) {
                                auto& stream = static_cast<AsioStream&>(self);
                                stream.waiting_writable_ = false;
                                if (stream.handler_ != nullptr) stream.handler_->on_writable();
                            }));
    }
    [[nodiscard]] const Endpoint& local() const noexcept { return local_; }
    [[nodiscard]] const Endpoint& remote() const noexcept { return remote_; }

    /// The read is done; on the strand.
    void deliver_read() {
        read_.finished();
        if (handler_ != nullptr) handler_->on_read(read_.bytes(), read_.error());
    }

#if defined(CHAISE_ASIO_PORTABLE_READS)
    void resume_read() {
        if (socket_ && read_.resume(*socket_)) deliver_read();
    }
#endif

private:
    void detach() noexcept override {
        handler_ = nullptr;
        connect_handler_ = nullptr;
        socket_.reset();  // after this, no thread writes into the read's buffer
        fd_ = -1;
    }
    void on_connect(const std::error_code& error);

    AsioRead read_;
    std::optional<AsioSocket> socket_;
    TransportHandler* handler_ = nullptr;
    ConnectHandler* connect_handler_ = nullptr;
    std::error_code connect_error_;
    Endpoint local_;
    Endpoint remote_;
    int fd_ = -1;
    bool waiting_writable_ = false;
};

#if !defined(CHAISE_ASIO_PORTABLE_READS)

inline void AsioReactorRead::start(AsioSocket& socket, MutableBuffer buffer) {
    const bool wait_for_edge = drained_ && wrote_;
    buffer_ = buffer;
    bytes_transferred_ = 0;
    ec_.clear();
    stream_.add_ref();
    // is_continuation: what completes at once stays on this thread, behind the handler that runs now.
    if (!wait_for_edge && attempt()) {
        reactor_->post_immediate_completion(this, true);
    } else {
        reactor_->start_op(asio::detail::reactor::read_op, fd_, socket.reactor_data(), this, true, true);
    }
}

inline void AsioReactorRead::complete_read(void* owner, asio::detail::operation* base, const std::error_code&,
                                           std::size_t) {
    // Taken over from start(): on every way, also uncalled when the loop is destroyed (no owner then).
    const auto stream = AsioRef<AsioStream>::adopt(&static_cast<AsioReactorRead*>(base)->stream_);
    if (owner == nullptr) return;
    stream->core().binding().dispatch(
        AsioTurn(*stream, [](AsioShared& self) { static_cast<AsioStream&>(self).deliver_read(); }));
}

#else

inline void AsioWaitRead::wait(AsioSocket& socket) {
    socket.async_wait(asio::socket_base::wait_read,
                      AsioCompletion(stream_, [](AsioShared& self, const std::error_code&, std::uint64_t) {
                          static_cast<AsioStream&>(self).resume_read();
                      }));
}

#endif

inline WriteResult AsioStream::write(std::span<const ConstBuffer> buffers) noexcept {
    if (!socket_) return {0, std::make_error_code(std::errc::not_connected)};
    ssize_t sent;
    do {
        if (buffers.size() == 1) {
            sent = ::send(fd_, buffers[0].data, buffers[0].size, MSG_NOSIGNAL | MSG_DONTWAIT);
        } else {
            static_assert(sizeof(ConstBuffer) == sizeof(iovec) &&
                          offsetof(ConstBuffer, size) == offsetof(iovec, iov_len));
            msghdr message{};
            message.msg_iov = reinterpret_cast<iovec*>(const_cast<ConstBuffer*>(buffers.data()));
            message.msg_iovlen = std::min<std::size_t>(buffers.size(), IOV_MAX);
            sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) {
        if (sent > 0) read_.wrote();
        return {static_cast<std::size_t>(sent), {}};
    }
    if (errno == EAGAIN) return {};
    return {0, std::error_code(errno, std::system_category())};
}

}  // namespace chaise::detail
