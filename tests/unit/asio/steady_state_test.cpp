// What a warm loop costs: system calls and allocations per round trip, timer and deferred call.
#include <catch2/catch.hpp>

#include "counters.hpp"
#include "support.hpp"

#include <asio/steady_timer.hpp>

#include <array>
#include <thread>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using namespace chaise;
using namespace chaise::testing;

#if defined(CHAISE_ASIO_PORTABLE_READS)
// Four, and up to two more where the answer overtakes the epoll_ctl, as it does on a busy machine.
constexpr double most_calls_per_round_trip = 6.1;
#else
constexpr double most_calls_per_round_trip = 3.1;
#endif

/// Sends back what one peer sends, in a thread of its own with plain sockets.
class EchoServer {
public:
    EchoServer() : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
        REQUIRE(::listen(listener_, 1) == 0);
        REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
        port = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    ~EchoServer() {
        thread_.join();
        ::close(listener_);
    }
    std::uint16_t port = 0;

private:
    void serve() const {
        const int peer = ::accept(listener_, nullptr, nullptr);
        const int on = 1;
        ::setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        std::array<char, 4096> buffer;
        for (;;) {
            const ssize_t got = ::recv(peer, buffer.data(), buffer.size(), 0);
            if (got <= 0) break;
            ::send(peer, buffer.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL);
        }
        ::close(peer);
    }
    int listener_;
    std::thread thread_;
};

struct PingPong final : TransportHandler {
    static constexpr int warm_up = 100;
    static constexpr int measured = 10'000;

    explicit PingPong(std::unique_ptr<Transport> connected) : transport(std::move(connected)) {
        transport->set_handler(*this);
        transport->read({buffer.data(), buffer.size()});
        ping();
    }
    void ping() {
        const std::array<ConstBuffer, 2> parts{ConstBuffer{"0123456789", 10}, ConstBuffer{"abcdef", 6}};
        const WriteResult result = transport->write(parts);
        if (result.bytes != 16) failed = true;
    }
    void on_read(std::size_t bytes, std::error_code error) override {
        if (error || bytes != 16) failed = true;
        ++done;
        if (done == warm_up) start = counters();
        if (done == warm_up + measured) end = counters();
        if (failed || done == warm_up + measured) {
            transport.reset();
            return finished();
        }
        ping();
        transport->read({buffer.data(), buffer.size()});
    }
    void on_writable() override { failed = true; }

    std::function<void()> finished;
    std::unique_ptr<Transport> transport;
    std::array<char, 4096> buffer{};
    Counters start, end;
    int done = 0;
    bool failed = false;
};

void measure_round_trips(asio::io_context& context, IOPS& iops) {
    EchoServer server;
    Connected connected;
    const auto connecting = iops.transport_factory().connect({"127.0.0.1", server.port}, connected);
    context.run();
    context.restart();
    REQUIRE(connected.transport);
    {
        PingPong game(std::move(connected.transport));
        // A timer that is far away, as there is one in every bucket: it must cost nothing.
        Timer deadline(iops, [] {});
        deadline.schedule(1h);
        game.finished = [&] { deadline.cancel(); };
        context.run_for(60s);
        CHECK(context.stopped());
        CHECK(game.done == PingPong::warm_up + PingPong::measured);
        CHECK_FALSE(game.failed);
        CHECK(game.end.allocations - game.start.allocations == 0);
        const double calls = static_cast<double>(game.end.system_calls - game.start.system_calls);
        CHECK(calls / PingPong::measured < most_calls_per_round_trip);
        CHECK(calls / PingPong::measured >= 3);  // the counting works
    }
}

}  // namespace

TEST_CASE("a round trip at depth 1 costs three system calls and no allocation") {
    SECTION("io_context with concurrency hint 1") {
        asio::io_context context(1);
        const auto iops = make_asio_iops(context);
        measure_round_trips(context, *iops);
    }
    SECTION("said to be single-threaded") {
        asio::io_context context;
        const auto iops = make_asio_iops(context, {.single_threaded = true});
        measure_round_trips(context, *iops);
    }
    SECTION("behind a strand") {
        asio::io_context context;
        const auto iops = make_asio_iops(context);
        measure_round_trips(context, *iops);
    }
    SECTION("behind a type-erased strand") {
        asio::io_context context;
        const auto iops = make_asio_iops(asio::any_io_executor(asio::make_strand(context)));
        measure_round_trips(context, *iops);
    }
}

TEST_CASE("timers and deferred calls allocate nothing once they are warm") {
    asio::io_context context;
    const bool single = GENERATE(true, false);
    const auto iops = make_asio_iops(context, {.single_threaded = single});
    int fired = 0;
    int deferred = 0;
    Counters start;
    Counters end;
    Timer* first = nullptr;
    Timer* second = nullptr;
    Timer far(*iops, [] {});
    Timer defer(*iops, [&] { ++deferred; });
    Timer timer(*iops, [&] {
        ++fired;
        if (fired == 100) start = counters();
        if (fired == 10'100) {
            end = counters();
            first->cancel();
            return;
        }
        // Every kind of arming: zero, soon, moved earlier and later, cancelled, deferred.
        second->schedule(1h);
        first->schedule(fired % 3 == 0 ? 20us : 0us);
        first->schedule(fired % 2 == 0 ? 0us : 10us);
        second->cancel();
        defer.defer();
    });
    first = &timer;
    second = &far;
    timer.schedule(0us);
    context.run();
    CHECK(fired == 10'100);
    CHECK(deferred == 10'099);
    CHECK(end.allocations - start.allocations == 0);
}

TEST_CASE("waiting for writability allocates nothing once it is warm") {
    asio::io_context context(1);
    const auto iops = make_asio_iops(context);
    StreamPair pair(context, *iops);
    int calls = 0;
    Counters start;
    Counters end;
    pair.client_handler.writable = [&] {
        ++calls;
        if (calls == 100) start = counters();
        if (calls == 1100) {
            end = counters();
        } else {
            pair.client->wait_writable();
        }
    };
    pair.client->wait_writable();
    context.run();
    CHECK(calls == 1100);
    CHECK(end.allocations - start.allocations == 0);
}
