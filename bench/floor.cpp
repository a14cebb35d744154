// The floor: the least a program can do for the same work. Frames are copied from a template, as many as there are
// to send go out with one send, responses are walked header by header; nothing of chaise is between this and the
// kernel. Like every case it answers each response with the next request, and writes once per turn.

#include "bench/client.hpp"

#include <fmt/format.h>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace chaise::bench {

namespace {

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

/// A descriptor that closes itself.
class Descriptor {
public:
    explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    [[nodiscard]] int get() const noexcept { return fd_; }

private:
    int fd_;
};

Descriptor connect_to(const std::string& connection_string) {
    const ConnectionString where = ConnectionString::parse(connection_string);
    const HostSpec& host = where.hosts.front();
    const std::string port = std::to_string(host.port.value_or(where.default_port()));
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int error = ::getaddrinfo(host.host.c_str(), port.c_str(), &hints, &found); error != 0) {
        throw std::runtime_error(fmt::format("{}: {}", host.host, ::gai_strerror(error)));
    }
    Descriptor socket;
    for (const addrinfo* address = found; address != nullptr && socket.get() < 0; address = address->ai_next) {
        Descriptor candidate(::socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, address->ai_protocol));
        if (::connect(candidate.get(), address->ai_addr, address->ai_addrlen) == 0) socket = std::move(candidate);
    }
    ::freeaddrinfo(found);
    if (socket.get() < 0) fail("connect");
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return socket;
}

std::uint32_t load_u32(const char* from) noexcept {
    std::uint32_t value;
    std::memcpy(&value, from, sizeof value);
    return ntohl(value);
}

/// A request without opaque, key and value.
std::string request_template(unsigned char opcode, std::size_t extras, std::size_t value) {
    std::string frame(24 + extras, '\0');
    frame[0] = static_cast<char>(0x80);
    frame[1] = static_cast<char>(opcode);
    frame[3] = static_cast<char>(Workload::key_size);
    frame[4] = static_cast<char>(extras);
    const std::uint32_t body = htonl(static_cast<std::uint32_t>(extras + Workload::key_size + value));
    std::memcpy(frame.data() + 8, &body, sizeof body);
    return frame;
}

class FloorClient final : public Client {
public:
    FloorClient(const Target& target, Workload& workload, bool blocking)
        : workload_(workload),
          socket_(connect_to(target.connection_string)),
          blocking_(blocking),
          get_(request_template(0x00, 0, 0)),
          set_(request_template(0x01, 8, workload.value().size())),
          stamps_(workload.depth()),
          out_(workload.depth() * (set_.size() + Workload::key_size + workload.value().size()), '\0'),
          in_(std::max(std::size_t{64} << 10, 2 * (28 + workload.value().size())), '\0') {
        if (blocking_) return;
        epoll_ = Descriptor(::epoll_create1(EPOLL_CLOEXEC));
        epoll_event event{};
        event.events = EPOLLIN;
        if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket_.get(), &event) != 0) fail("epoll_ctl");
    }

    void run(Meter& meter) override {
        in_flight_ = 0;
        for (std::uint32_t chain = 0; chain < stamps_.size(); ++chain) start(meter, chain);
        send();
        while (in_flight_ != 0) {
            receive(meter);
            send();
        }
    }

private:
    // Requests of one turn never exceed the depth, nor the buffer, because each has its chain's response behind it.
    void start(Meter& meter, std::uint32_t chain) {
        if (!meter.next(stamps_[chain])) return;
        ++in_flight_;
        const Workload::Draw draw = workload_.draw();
        char* frame = out_.data() + queued_;
        const std::string& header = draw.is_set ? set_ : get_;
        std::memcpy(frame, header.data(), header.size());
        std::memcpy(frame + 12, &chain, sizeof chain);
        std::memcpy(frame + header.size(), draw.key.data(), Workload::key_size);
        queued_ += header.size() + Workload::key_size;
        if (draw.is_set) {
            std::memcpy(out_.data() + queued_, workload_.value().data(), workload_.value().size());
            queued_ += workload_.value().size();
        }
    }

    void send() {
        std::size_t sent = 0;
        while (sent < queued_) {
            const ssize_t n = ::send(socket_.get(), out_.data() + sent, queued_ - sent, MSG_NOSIGNAL | dont_wait());
            if (n >= 0) {
                sent += static_cast<std::size_t>(n);
            } else if (errno == EAGAIN) {
                // The server stopped reading because its answers wait for us: they fit into the kernel's buffers, or
                // the depth is too great for a client as simple as this.
                pollfd writable{socket_.get(), POLLOUT, 0};
                if (::poll(&writable, 1, 5000) <= 0) throw std::runtime_error("floor: the server does not read");
            } else if (errno != EINTR) {
                fail("send");
            }
        }
        queued_ = 0;
    }

    void receive(Meter& meter) {
        if (!blocking_) {
            epoll_event event{};
            if (::epoll_wait(epoll_.get(), &event, 1, -1) < 0 && errno != EINTR) fail("epoll_wait");
        }
        const ssize_t n = ::recv(socket_.get(), in_.data() + received_, in_.size() - received_, dont_wait());
        if (n == 0) throw std::runtime_error("floor: the server closed the connection");
        if (n < 0) {
            if (errno == EAGAIN || errno == EINTR) return;
            fail("recv");
        }
        received_ += static_cast<std::size_t>(n);
        parse(meter);
    }

    void parse(Meter& meter) {
        const char* frame = in_.data();
        const char* const end = frame + received_;
        while (end - frame >= 24) {
            const std::size_t size = 24 + load_u32(frame + 8);
            if (static_cast<std::size_t>(end - frame) < size) break;
            if (static_cast<unsigned char>(frame[0]) != 0x81 || frame[6] != 0 || frame[7] != 0) {
                wrong_answer("a response with an error status");
            }
            if (frame[1] == 0 && size != 28 + workload_.value().size()) wrong_answer("a value of another length");
            std::uint32_t chain;
            std::memcpy(&chain, frame + 12, sizeof chain);
            frame += size;
            --in_flight_;
            meter.done(stamps_[chain]);
            start(meter, chain);
        }
        received_ = static_cast<std::size_t>(end - frame);
        if (received_ != 0) std::memmove(in_.data(), frame, received_);
    }

    [[nodiscard]] int dont_wait() const noexcept { return blocking_ ? 0 : MSG_DONTWAIT; }

    Workload& workload_;
    Descriptor socket_;
    Descriptor epoll_;
    bool blocking_;
    const std::string get_;
    const std::string set_;
    std::vector<std::int64_t> stamps_;  // by chain, which is the opaque
    std::string out_;
    std::size_t queued_ = 0;
    std::string in_;
    std::size_t received_ = 0;
    std::size_t in_flight_ = 0;
};

}  // namespace

std::unique_ptr<Client> make_floor(const Target& target, Workload& workload) {
    return std::make_unique<FloorClient>(target, workload, false);
}

std::unique_ptr<Client> make_blocking_floor(const Target& target, Workload& workload) {
    return std::make_unique<FloorClient>(target, workload, true);
}

}  // namespace chaise::bench
