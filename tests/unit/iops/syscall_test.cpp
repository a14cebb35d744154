#include "event_probe.hpp"

#include <chaise/epoll.hpp>

#include <catch2/catch.hpp>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <stdexcept>
#include <thread>

using namespace chaise;

namespace {

/// System calls of this thread, counted where libc makes them, while `counting`.
struct Counts {
    int waits = 0;
    int controls = 0;
    int receives = 0;
    int sends = 0;
    int others = 0;
    [[nodiscard]] int total() const { return waits + controls + receives + sends + others; }
};
thread_local Counts counts;
thread_local bool counting = false;

template <class F>
F* real(const char* name) {
    return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}
void count(int Counts::* which) {
    if (counting) ++(counts.*which);
}

}  // namespace

// These stand before libc's own: chaise is linked statically into this program and calls them.
extern "C" {
int epoll_wait(int fd, epoll_event* events, int size, int timeout) {
    static auto* next = real<decltype(epoll_wait)>("epoll_wait");
    count(&Counts::waits);
    return next(fd, events, size, timeout);
}
int epoll_pwait2(int fd, epoll_event* events, int size, const timespec* timeout, const sigset_t* mask) {
    static auto* next = real<decltype(epoll_pwait2)>("epoll_pwait2");
    count(&Counts::waits);
    return next(fd, events, size, timeout, mask);
}
int epoll_ctl(int fd, int operation, int target, epoll_event* event) noexcept {
    static auto* next = real<decltype(epoll_ctl)>("epoll_ctl");
    count(&Counts::controls);
    return next(fd, operation, target, event);
}
ssize_t recv(int fd, void* buffer, size_t size, int flags) {
    static auto* next = real<decltype(recv)>("recv");
    count(&Counts::receives);
    return next(fd, buffer, size, flags);
}
ssize_t send(int fd, const void* buffer, size_t size, int flags) {
    static auto* next = real<decltype(send)>("send");
    count(&Counts::sends);
    return next(fd, buffer, size, flags);
}
ssize_t sendmsg(int fd, const msghdr* message, int flags) {
    static auto* next = real<decltype(sendmsg)>("sendmsg");
    count(&Counts::sends);
    return next(fd, message, flags);
}
ssize_t read(int fd, void* buffer, size_t size) {
    static auto* next = real<decltype(read)>("read");
    count(&Counts::others);
    return next(fd, buffer, size);
}
ssize_t write(int fd, const void* buffer, size_t size) {
    static auto* next = real<decltype(write)>("write");
    count(&Counts::others);
    return next(fd, buffer, size);
}
}

namespace {

/// As an engine would use it: reads, handles, defers one flush for the turn, reads again; a deadline is armed.
struct PingPong final : TransportHandler, ConnectHandler {
    EpollLoop& loop;
    IOPS& iops;
    std::unique_ptr<Transport> transport;
    std::unique_ptr<Pending> pending;
    TestTimer flush{iops, [this] { send(); }};
    TestTimer deadline{iops, [] {}};
    std::array<char, 256> buffer{};
    bool gather = false;
    int warm_up = 100;
    int rounds = 0;
    int limit = 1100;

    PingPong(EpollLoop& l, IOPS& i) : loop(l), iops(i) {}
    void on_connect(std::unique_ptr<Transport> fresh, std::error_code error) override {
        if (error) throw std::system_error(error);
        transport = std::move(fresh);
        transport->set_handler(*this);
        transport->read({buffer.data(), buffer.size()});
        iops.schedule(*deadline, std::chrono::hours{1});
        iops.defer(*flush);
    }
    void send() {
        const std::array<ConstBuffer, 2> buffers{ConstBuffer{"pi", 2}, ConstBuffer{"ng", 2}};
        transport->write(std::span{buffers}.subspan(gather ? 0 : 1));
    }
    void on_read(std::size_t bytes, std::error_code error) override {
        if (error || bytes == 0) throw std::runtime_error("the echo ended");
        ++rounds;
        if (rounds == warm_up) {
            counting = true;
            counts = {};
        }
        if (rounds == limit) {
            counting = false;
            loop.stop();
            return;
        }
        iops.defer(*flush);
        transport->read({buffer.data(), buffer.size()});
    }
    void on_writable() override {}
};

struct Accept final : AcceptHandler {
    void on_accept(std::unique_ptr<Transport>) override {}
};

}  // namespace

TEST_CASE("At depth 1 a round trip costs one wait, one receive and one send") {
    const bool gather = GENERATE(false, true);
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(::bind(listener, generic, length) == 0);
    REQUIRE(::listen(listener, 1) == 0);
    REQUIRE(::getsockname(listener, generic, &length) == 0);
    std::thread echo{[listener] {
        const int peer = ::accept(listener, nullptr, nullptr);
        char buffer[256];
        ssize_t got = 0;
        while ((got = ::recv(peer, buffer, sizeof buffer, 0)) > 0)
            ::send(peer, buffer, static_cast<std::size_t>(got), 0);
        ::close(peer);
    }};
    {
        EpollLoop loop;
        const std::unique_ptr<IOPS> iops = loop.make_iops();
        PingPong client{loop, *iops};
        client.gather = gather;
        client.pending = iops->transport_factory().connect({"127.0.0.1", ntohs(address.sin_port)}, client);
        loop.run();
        const int rounds = client.limit - client.warm_up;
        CHECK(counts.waits == rounds);
        CHECK(counts.receives == rounds);
        CHECK(counts.sends == rounds);
        CHECK(counts.controls == 0);
        CHECK(counts.others == 0);
        CHECK(counts.total() == 3 * rounds);
    }
    echo.join();
    ::close(listener);
}
