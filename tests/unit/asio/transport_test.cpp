#include <catch2/catch.hpp>

#include "support.hpp"
#include "tests/unit/iops/socket_options.hpp"

#include <array>
#include <numeric>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using namespace chaise;
using namespace chaise::testing;

/// A peer with a plain blocking socket, for what a transport would never do.
struct PlainPeer {
    explicit PlainPeer(const Endpoint& endpoint) : fd(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(endpoint.port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    }
    ~PlainPeer() { close(); }
    void send(std::string_view text) const {
        REQUIRE(::send(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
    }
    void close() {
        if (fd >= 0) ::close(fd);
        fd = -1;
    }
    void half_close() const { REQUIRE(::shutdown(fd, SHUT_WR) == 0); }
    void reset() {
        const linger now{1, 0};
        REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
        close();
    }
    int fd;
};

/// A transport of ours whose peer is a plain socket.
struct PlainPair {
    PlainPair(asio::io_context& context, IOPS& iops) {
        Accepted accepted;
        const auto listener = iops.transport_factory().listen({"127.0.0.1", 0}, accepted);
        peer.emplace(listener->local_endpoint());
        while (accepted.transports.empty()) context.run_one();
        transport = std::move(accepted.transports.front());
        transport->set_handler(handler);
    }
    std::optional<PlainPeer> peer;
    std::unique_ptr<Transport> transport;
    StreamHandler handler;
};

}  // namespace

TEST_CASE("streams connect, talk and end") {
    asio::io_context context;
    const auto iops = make_asio_iops(context);
    StreamPair pair(context, *iops);
    CHECK(pair.client->remote_endpoint() == pair.server->local_endpoint());
    CHECK(pair.client->local_endpoint() == pair.server->remote_endpoint());

    std::array<char, 16> buffer{};
    std::string seen;
    bool ended = false;
    pair.server_handler.read = [&](std::size_t bytes, std::error_code error) {
        CHECK_FALSE(error);
        ended = bytes == 0;
        seen.append(buffer.data(), bytes);
        if (!ended) pair.server->read({buffer.data(), buffer.size()});
    };
    pair.server->read({buffer.data(), buffer.size()});
    const std::array<ConstBuffer, 3> parts{ConstBuffer{"one ", 4}, ConstBuffer{"two ", 4},
                                           ConstBuffer{"three, longer than the buffer", 29}};
    CHECK(pair.client->write(parts).bytes == 37);
    pair.client_handler.read = [](std::size_t, std::error_code) { FAIL("nobody has read"); };
    while (seen.size() < 37) context.run_one();
    CHECK(seen == "one two three, longer than the buffer");
    pair.client.reset();
    context.run();
    CHECK(ended);
}

TEST_CASE("an end of stream that comes with the last data is seen") {
    asio::io_context context;
    const auto iops = make_asio_iops(context);
    PlainPair pair(context, *iops);
    const bool write_between = GENERATE(false, true);
    // A read that was armed before, so that data and end meet it in one event of the reactor.
    const bool read_before = GENERATE(false, true);

    std::array<char, 64> buffer{};
    std::vector<std::size_t> sizes;
    std::error_code last;
    pair.handler.read = [&](std::size_t bytes, std::error_code error) {
        sizes.push_back(bytes);
        last = error;
        if (write_between) write_text(*pair.transport, "more");
        if (bytes > 0) pair.transport->read({buffer.data(), buffer.size()});
    };
    SECTION("orderly") {
        if (read_before) {
            pair.transport->read({buffer.data(), buffer.size()});
            context.poll();
        }
        pair.peer->send("last words");
        pair.peer->close();
        if (!read_before) pair.transport->read({buffer.data(), buffer.size()});
        context.run_for(10s);
        REQUIRE(sizes.size() == 2);
        CHECK(sizes[0] == 10);
        CHECK(sizes[1] == 0);
    }
    SECTION("orderly, by a peer that still takes what we send: no later event tells") {
        if (read_before) {
            pair.transport->read({buffer.data(), buffer.size()});
            context.poll();
        }
        pair.peer->send("last words");
        pair.peer->half_close();
        if (!read_before) pair.transport->read({buffer.data(), buffer.size()});
        context.run_for(10s);
        REQUIRE(sizes.size() == 2);
        CHECK(sizes[0] == 10);
        CHECK(sizes[1] == 0);
        CHECK_FALSE(last);
    }
    SECTION("by reset") {
        if (read_before) {
            pair.transport->read({buffer.data(), buffer.size()});
            context.poll();
        }
        pair.peer->send("last words");
        pair.peer->reset();
        if (!read_before) pair.transport->read({buffer.data(), buffer.size()});
        context.run_for(10s);
        REQUIRE(sizes.size() == 2);
        CHECK(sizes[0] == 10);
        CHECK(sizes[1] == 0);
        if (!write_between) CHECK(last == std::errc::connection_reset);
    }
    pair.transport.reset();
    CHECK(context.run() == 0);
}

TEST_CASE("what is left after a full buffer is read without a new event") {
    asio::io_context context;
    const auto iops = make_asio_iops(context);
    PlainPair pair(context, *iops);
    std::array<char, 4> buffer{};
    std::string seen;
    pair.handler.read = [&](std::size_t bytes, std::error_code) {
        seen.append(buffer.data(), bytes);
        write_text(*pair.transport, "x");  // a write in between must not hide what is left
        if (seen.size() < 26) pair.transport->read({buffer.data(), buffer.size()});
    };
    pair.peer->send("abcdefghijklmnopqrstuvwxyz");
    pair.transport->read({buffer.data(), buffer.size()});
    CHECK(seen.empty());  // never inline
    context.run_for(10s);
    CHECK(seen == "abcdefghijklmnopqrstuvwxyz");
}

TEST_CASE("a slow peer: short writes, then writable") {
    asio::io_context context;
    const auto iops = make_asio_iops(context);
    StreamPair pair(context, *iops);
    std::vector<unsigned char> sent(16 * 1024 * 1024);
    std::iota(sent.begin(), sent.end(), static_cast<unsigned char>(0));
    std::size_t written = 0;
    int waits = 0;
    const auto pump = [&] {
        while (written < sent.size()) {
            const ConstBuffer rest{sent.data() + written, sent.size() - written};
            const WriteResult result = pair.client->write({&rest, 1});
            REQUIRE_FALSE(result.error);
            written += result.bytes;
            if (result.bytes < rest.size) {
                ++waits;
                return pair.client->wait_writable();
            }
        }
        pair.client.reset();
    };
    pair.client_handler.writable = pump;
    std::vector<unsigned char> received;
    std::vector<unsigned char> buffer(64 * 1024);
    pair.server_handler.read = [&](std::size_t bytes, std::error_code error) {
        REQUIRE_FALSE(error);
        received.insert(received.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(bytes));
        if (bytes > 0) pair.server->read({buffer.data(), buffer.size()});
    };
    pump();
    CHECK(waits == 1);
    pair.server->read({buffer.data(), buffer.size()});
    context.run_for(30s);
    CHECK(waits > 1);
    CHECK(received == sent);
}

TEST_CASE("destroying a transport ends its calls") {
    asio::io_context context;
    const auto iops = make_asio_iops(context, {.single_threaded = GENERATE(true, false)});
    StreamPair pair(context, *iops);
    auto buffer = std::make_unique<std::array<char, 64>>();
    int calls = 0;

    SECTION("while a read and a wait are armed, data having arrived") {
        pair.server_handler.read = [&](std::size_t, std::error_code) { ++calls; };
        pair.server_handler.writable = [&] { ++calls; };
        pair.server->read({buffer->data(), buffer->size()});
        pair.server->wait_writable();
        write_text(*pair.client, "too late");
        pair.server.reset();
        buffer.reset();  // ASan would see a late write
        pair.client.reset();
        context.run();
        CHECK(calls == 0);
    }
    SECTION("in its own handler, with the handler") {
        auto handler = std::make_unique<StreamHandler>();
        handler->read = [&](std::size_t, std::error_code) {
            ++calls;
            pair.server.reset();
            handler.reset();
        };
        pair.server->set_handler(*handler);
        pair.server->wait_writable();
        pair.server->read({buffer->data(), buffer->size()});
        write_text(*pair.client, "x");
        pair.client.reset();
        context.run();
        CHECK(calls == 1);
    }
    SECTION("with a read completed at once but not delivered") {
        write_text(*pair.client, "x");
        pair.server_handler.read = [&](std::size_t, std::error_code) { ++calls; };
        pair.server->read({buffer->data(), buffer->size()});
        pair.server.reset();
        pair.client.reset();
        context.run();
        CHECK(calls == 0);
    }
}

TEST_CASE("connecting") {
    asio::io_context context;
    const auto iops = make_asio_iops(context);
    TransportFactory& factory = iops->transport_factory();
    Connected connected;
    Accepted accepted;

    SECTION("refused") {
        Endpoint endpoint;
        endpoint = factory.listen({"127.0.0.1", 0}, accepted)->local_endpoint();
        const auto connecting = factory.connect(endpoint, connected);
        CHECK(connected.calls == 0);
        context.run();
        CHECK(connected.calls == 1);
        CHECK_FALSE(connected.transport);
        CHECK(connected.error == std::errc::connection_refused);
    }
    SECTION("not a numeric address: an error, but not inline") {
        const auto connecting = factory.connect({"not.numeric", 1}, connected);
        CHECK(connected.calls == 0);
        context.run();
        CHECK(connected.calls == 1);
        CHECK(connected.error);
        CHECK_FALSE(connected.transport);
    }
    SECTION("given up") {
        const auto listener = factory.listen({"127.0.0.1", 0}, accepted);
        auto connecting = factory.connect(listener->local_endpoint(), connected);
        auto wrong = factory.connect({"wrong", 1}, connected);
        connecting.reset();
        wrong.reset();
        context.run_for(50ms);
        CHECK(connected.calls == 0);
    }
    SECTION("the handler destroys the connector; the transport stays") {
        const auto listener = factory.listen({"127.0.0.1", 0}, accepted);
        std::unique_ptr<Pending> connecting;
        connected.then = [&] { connecting.reset(); };
        connecting = factory.connect(listener->local_endpoint(), connected);
        while (connected.calls == 0 || accepted.transports.empty()) context.run_one();
        CHECK_FALSE(connecting);
        REQUIRE(connected.transport);
        CHECK(write_text(*connected.transport, "x").bytes == 1);
        CHECK(connected.transport->remote_endpoint() == listener->local_endpoint());
    }
    SECTION("IPv6") {
        std::unique_ptr<Listener> listener;
        try {
            listener = factory.listen({"::1", 0}, accepted);
        } catch (const std::system_error&) {
            WARN("no IPv6 here");
            return;
        }
        const auto connecting = factory.connect(listener->local_endpoint(), connected);
        while (connected.calls == 0 || accepted.transports.empty()) context.run_one();
        REQUIRE(connected.transport);
        CHECK(connected.transport->remote_endpoint() == listener->local_endpoint());
    }
}

TEST_CASE("listening") {
    asio::io_context context;
    const auto iops = make_asio_iops(context);
    TransportFactory& factory = iops->transport_factory();
    Accepted accepted;
    auto listener = factory.listen({"127.0.0.1", 0}, accepted);
    CHECK(listener->local_endpoint().port != 0);
    CHECK(listener->local_endpoint().address == "127.0.0.1");

    SECTION("a port that is taken") {
        Accepted other;
        CHECK_THROWS_AS(factory.listen(listener->local_endpoint(), other), std::system_error);
        CHECK_THROWS_AS(factory.listen({"nonsense", 0}, other), std::system_error);
        listener.reset();
        context.run();
    }
    SECTION("many peers, and the handler destroys the listener") {
        std::vector<std::unique_ptr<PlainPeer>> peers;
        for (int i = 0; i < 5; ++i) peers.push_back(std::make_unique<PlainPeer>(listener->local_endpoint()));
        accepted.then = [&] {
            if (accepted.transports.size() == 3) listener.reset();
        };
        context.run_for(10s);
        CHECK(context.stopped());  // nothing is left to do
        CHECK(accepted.transports.size() == 3);
    }
}

TEST_CASE("names are resolved by the common resolver") {
    struct Answer final : ResolveHandler {
        std::vector<std::string> addresses;
        std::error_code error;
        int calls = 0;
        void on_resolve(std::vector<std::string> found, std::error_code result) override {
            ++calls;
            addresses = std::move(found);
            error = result;
        }
    } numeric, local;
    asio::io_context context;
    const auto iops = make_asio_iops(context);
    {
        const auto first = iops->transport_factory().resolve("127.0.0.1", numeric);
        const auto second = iops->transport_factory().resolve("localhost", local);
        CHECK(numeric.calls + local.calls == 0);
        context.run_for(10s);
    }
    CHECK(numeric.addresses == std::vector<std::string>{"127.0.0.1"});
    CHECK(local.calls == 1);
    CHECK_FALSE(local.error);
    CHECK(std::find(local.addresses.begin(), local.addresses.end(), "127.0.0.1") != local.addresses.end());
}

TEST_CASE("the system watches over streams as it is told") {
    asio::io_context context;
    const auto iops = make_asio_iops(context);
    TransportFactory& factory = iops->transport_factory();
    Accepted accepted;
    const auto listener = factory.listen({"127.0.0.1", 0}, accepted);
    const auto times_with = [&](StreamOptions options) {
        factory.set_stream_options(options);
        Connected connected;
        const auto pending = factory.connect(listener->local_endpoint(), connected);
        while (!connected.transport) context.run_one();
        return SocketTimes(socket_to(listener->local_endpoint().port));
    };
    const SocketTimes told = times_with({.keepalive = 30s, .user_timeout = 1500ms});
    CHECK(told.keepalive == 1);
    CHECK(told.idle == 30);
    CHECK(told.interval == 5);
    CHECK(told.count == 5);
    CHECK(told.user_timeout == 1500);
    const SocketTimes untold = times_with({});
    CHECK(untold.keepalive == 1);
    CHECK(untold.idle != 30);
    CHECK(untold.user_timeout == 0);
}
