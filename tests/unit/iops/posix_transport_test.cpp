#include "event_probe.hpp"

#include "iops/posix/posix_transport_factory.hpp"
#include "iops/posix/socket.hpp"

#include <chaise/epoll.hpp>

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <unistd.h>

using namespace chaise;
using namespace std::chrono_literals;

namespace {

struct Accepted final : AcceptHandler {
    std::vector<std::unique_ptr<Transport>> transports;
    void on_accept(std::unique_ptr<Transport> transport) override { transports.push_back(std::move(transport)); }
};

struct Connected final : ConnectHandler {
    std::unique_ptr<Pending> pending;
    std::unique_ptr<Transport> transport;
    std::error_code error;
    int calls = 0;
    void on_connect(std::unique_ptr<Transport> fresh, std::error_code failed) override {
        ++calls;
        transport = std::move(fresh);
        error = failed;
    }
};

struct Idle final : TransportHandler {
    int reads = 0;
    std::error_code error;
    void on_read(std::size_t, std::error_code failed) override {
        ++reads;
        error = failed;
    }
    void on_writable() override {}
};

bool run_until(EpollLoop& loop, const std::function<bool()>& done, std::chrono::milliseconds limit = 5s) {
    const TimePoint end = loop.now() + limit;
    while (!done() && loop.now() < end) loop.run_one_turn(20ms);
    return done();
}

/// The socket that is connected to `peer`, found among this process's descriptors.
int find_socket(const Endpoint& local) {
    for (int fd = 0; fd < 1024; ++fd) {
        posix::Address address;
        int type = 0;
        socklen_t length = sizeof type;
        if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_STREAM) continue;
        if (::getsockname(fd, address.get(), &address.length) == 0 && address.to_endpoint() == local) return fd;
    }
    return -1;
}

int option(int fd, int level, int name) {
    int value = -1;
    socklen_t length = sizeof value;
    return ::getsockopt(fd, level, name, &value, &length) == 0 ? value : -1;
}

}  // namespace

TEST_CASE("Connected sockets have their options") {
    EpollLoop loop;
    const std::unique_ptr<IOPS> iops = loop.make_iops();
    PosixTransportFactory factory{*iops, {.user_timeout = 1234ms, .resolver = {}}};
    Accepted accepted;
    const std::unique_ptr<Listener> listener = factory.listen({"127.0.0.1", 0}, accepted);
    Connected connected;
    connected.pending = factory.connect(listener->local_endpoint(), connected);
    REQUIRE(run_until(loop, [&] { return connected.transport && accepted.transports.size() == 1; }));
    const int fd = find_socket(connected.transport->local_endpoint());
    REQUIRE(fd >= 0);
    CHECK(option(fd, IPPROTO_TCP, TCP_NODELAY) == 1);
    CHECK(option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
    CHECK(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 1234);
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("IPv6 streams") {
    EpollLoop loop;
    const std::unique_ptr<IOPS> iops = loop.make_iops();
    TransportFactory& factory = iops->transport_factory();
    Accepted accepted;
    std::unique_ptr<Listener> listener;
    try {
        listener = factory.listen({"::1", 0}, accepted);
    } catch (const std::system_error& e) {
        WARN("no IPv6 here: " << e.what());
        return;
    }
    Connected connected;
    connected.pending = factory.connect(listener->local_endpoint(), connected);
    REQUIRE(run_until(loop, [&] { return connected.transport && accepted.transports.size() == 1; }));
    CHECK(connected.transport->remote_endpoint() == listener->local_endpoint());
    CHECK(connected.transport->remote_endpoint().address == "::1");
}

TEST_CASE("Addresses that are not numeric are refused, on the channel of each call") {
    EpollLoop loop;
    const std::unique_ptr<IOPS> iops = loop.make_iops();
    Accepted accepted;
    CHECK_THROWS_AS(iops->transport_factory().listen({"localhost", 0}, accepted), std::system_error);
    Connected connected;
    connected.pending = iops->transport_factory().connect({"localhost", 1}, connected);
    CHECK(connected.calls == 0);
    loop.run();
    CHECK(connected.error == std::errc::invalid_argument);
    CHECK(posix::is_numeric("127.0.0.1"));
    CHECK(posix::is_numeric("fe80::1%1"));
    CHECK_FALSE(posix::is_numeric("fe80::1%no such interface"));
    CHECK_FALSE(posix::is_numeric("127.0.0.1%1"));
    CHECK_FALSE(posix::is_numeric(""));
}

TEST_CASE("A port that is taken cannot be listened on") {
    EpollLoop loop;
    const std::unique_ptr<IOPS> iops = loop.make_iops();
    Accepted accepted;
    const std::unique_ptr<Listener> listener = iops->transport_factory().listen({"127.0.0.1", 0}, accepted);
    try {
        const auto second = iops->transport_factory().listen(listener->local_endpoint(), accepted);
        FAIL("listened twice");
    } catch (const std::system_error& e) {
        CHECK(e.code() == std::errc::address_in_use);
        CHECK(std::string{e.what()}.find(listener->local_endpoint().to_string()) != std::string::npos);
    }
}

TEST_CASE("A reset connection is an error of the read") {
    EpollLoop loop;
    const std::unique_ptr<IOPS> iops = loop.make_iops();
    TransportFactory& factory = iops->transport_factory();
    Accepted accepted;
    const std::unique_ptr<Listener> listener = factory.listen({"127.0.0.1", 0}, accepted);
    Connected connected;
    connected.pending = factory.connect(listener->local_endpoint(), connected);
    REQUIRE(run_until(loop, [&] { return connected.transport && accepted.transports.size() == 1; }));
    Idle handler;
    char buffer[16];
    connected.transport->set_handler(handler);
    connected.transport->read({buffer, sizeof buffer});
    const linger abort{1, 0};
    const int peer = find_socket(accepted.transports[0]->local_endpoint());
    // The listener has the same local endpoint; the accepted one is the other.
    int fd = -1;
    for (int i = peer; i < 1024; ++i) {
        posix::Address address;
        if (::getpeername(i, address.get(), &address.length) == 0 &&
            address.to_endpoint() == connected.transport->local_endpoint()) {
            fd = i;
        }
    }
    REQUIRE(fd >= 0);
    REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof abort) == 0);
    accepted.transports.clear();
    REQUIRE(run_until(loop, [&] { return handler.reads == 1; }));
    CHECK(handler.error == std::errc::connection_reset);
    for (int i = 0; i < 5; ++i) loop.run_one_turn(1ms);
    CHECK(handler.reads == 1);
}

TEST_CASE("A listener without descriptors rests, and goes on when there are some") {
    EpollLoop loop;
    const std::unique_ptr<IOPS> iops = loop.make_iops();
    TransportFactory& factory = iops->transport_factory();
    Accepted accepted;
    const std::unique_ptr<Listener> listener = factory.listen({"127.0.0.1", 0}, accepted);
    const Endpoint endpoint = listener->local_endpoint();
    const std::optional<posix::Address> address = posix::parse_address(endpoint.address, endpoint.port);
    REQUIRE(address);
    const posix::Socket peer{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    loop.poll();

    rlimit old{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &old) == 0);
    const int next = ::dup(0);
    REQUIRE(next >= 0);
    ::close(next);
    rlimit none = old;
    none.rlim_cur = static_cast<rlim_t>(next);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    const int connected = ::connect(peer.fd(), address->get(), address->length);
    int turns = 0;
    const TimePoint end = loop.now() + 120ms;
    while (loop.now() < end) {
        loop.run_one_turn(std::chrono::duration_cast<std::chrono::microseconds>(end - loop.now()));
        ++turns;
    }
    const std::size_t meanwhile = accepted.transports.size();
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &old) == 0);
    REQUIRE(connected == 0);
    CHECK(meanwhile == 0);
    CHECK(turns < 20);
    CHECK(run_until(loop, [&] { return accepted.transports.size() == 1; }));
}
