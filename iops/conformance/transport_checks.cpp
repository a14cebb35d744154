#include "iops/conformance/check.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>

namespace chaise::testing::conformance {

namespace {

/// One end of a stream: counts, collects what arrives, and runs a function at each call.
struct End final : TransportHandler {
    std::unique_ptr<Transport> transport;
    std::array<char, 65536> buffer{};
    std::string received;
    std::error_code error;
    int reads = 0;
    int writables = 0;
    bool ended = false;
    bool keep_reading = true;
    std::function<void(std::size_t)> after_read;
    std::function<void()> after_writable;

    void take(std::unique_ptr<Transport> fresh) {
        transport = std::move(fresh);
        transport->set_handler(*this);
    }
    void read() { transport->read({buffer.data(), buffer.size()}); }
    /// Everything in one write; true if the peer took it.
    bool send(std::string_view text) {
        const ConstBuffer whole{text.data(), text.size()};
        return transport->write({&whole, 1}).bytes == text.size();
    }
    void on_read(std::size_t bytes, std::error_code failed) override {
        ++reads;
        error = failed;
        ended = bytes == 0;
        received.append(buffer.data(), bytes);
        if (keep_reading && bytes > 0) read();
        if (after_read) after_read(bytes);
    }
    void on_writable() override {
        ++writables;
        if (after_writable) after_writable();
    }
};

struct Acceptor final : AcceptHandler {
    std::vector<std::unique_ptr<Transport>> accepted;
    std::function<void()> after;
    void on_accept(std::unique_ptr<Transport> transport) override {
        accepted.push_back(std::move(transport));
        if (after) after();
    }
};

struct Connector final : ConnectHandler {
    std::unique_ptr<Pending> pending;
    std::unique_ptr<Transport> transport;
    std::error_code error;
    int calls = 0;
    std::function<void()> after;
    void on_connect(std::unique_ptr<Transport> fresh, std::error_code failed) override {
        ++calls;
        transport = std::move(fresh);
        error = failed;
        if (after) after();
    }
};

struct Resolution final : ResolveHandler {
    std::unique_ptr<Pending> pending;
    std::vector<std::string> addresses;
    std::error_code error;
    int calls = 0;
    std::function<void()> after;
    void on_resolve(std::vector<std::string> found, std::error_code failed) override {
        ++calls;
        addresses = std::move(found);
        error = failed;
        if (after) after();
    }
};

/// A listener and both ends of a stream to it.
struct Link {
    Acceptor acceptor;
    std::unique_ptr<Listener> listener;
    End client;
    End server;
    bool up = false;

    explicit Link(Check& check) {
        TransportFactory& factory = check.iops().transport_factory();
        listener = factory.listen({check.options().address, 0}, acceptor);
        Connector connector;
        connector.pending = factory.connect(listener->local_endpoint(), connector);
        check.run_until([&] { return connector.calls == 1 && acceptor.accepted.size() == 1; }, "a stream is connected");
        if (!connector.transport || acceptor.accepted.size() != 1) return;
        client.take(std::move(connector.transport));
        server.take(std::move(acceptor.accepted.front()));
        up = true;
    }
};

std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    std::uint32_t random = 1;
    for (char& c : text) {
        random = random * 1664525u + 1013904223u;
        c = static_cast<char>(random >> 24);
    }
    return text;
}

void transport_connect(Check& check) {
    TransportFactory& factory = check.iops().transport_factory();
    Acceptor acceptor;
    const std::unique_ptr<Listener> listener = factory.listen({check.options().address, 0}, acceptor);
    const Endpoint endpoint = listener->local_endpoint();
    check.expect(endpoint.port != 0, "a listener on port 0 knows the port that was chosen");
    std::array<Connector, 3> connectors;
    for (Connector& connector : connectors) {
        connector.pending = factory.connect(endpoint, connector);
        check.expect(connector.calls == 0, "on_connect is not called inside connect");
    }
    const auto done = [&] {
        return acceptor.accepted.size() == connectors.size() &&
               std::all_of(connectors.begin(), connectors.end(), [](const Connector& c) { return c.calls > 0; });
    };
    if (!check.run_until(done, "every connection is made and accepted")) return;
    check.run_turns(3);
    for (Connector& connector : connectors) {
        check.expect(connector.calls == 1, "on_connect is called once");
        check.expect(connector.transport && !connector.error,
                     "a connection that was made has a transport and no error");
        if (!connector.transport) return;
        check.expect(connector.transport->remote_endpoint() == endpoint, "its remote endpoint is the listener's");
        const bool known = std::any_of(acceptor.accepted.begin(), acceptor.accepted.end(), [&](const auto& accepted) {
            return accepted->remote_endpoint() == connector.transport->local_endpoint();
        });
        check.expect(known, "its local endpoint is what the listener's side calls the remote one");
    }
}

void transport_refused(Check& check) {
    TransportFactory& factory = check.iops().transport_factory();
    Acceptor acceptor;
    std::unique_ptr<Listener> listener = factory.listen({check.options().address, 0}, acceptor);
    const Endpoint endpoint = listener->local_endpoint();
    listener.reset();
    Connector connector;
    connector.pending = factory.connect(endpoint, connector);
    check.run_until([&] { return connector.calls == 1; }, "a refused connection is told");
    check.expect(connector.error && !connector.transport, "by an error, without a transport");
    check.run_turns(3);
    check.expect(connector.calls == 1, "once");
}

void transport_cancelled(Check& check) {
    TransportFactory& factory = check.iops().transport_factory();
    Acceptor acceptor;
    std::unique_ptr<Listener> listener = factory.listen({check.options().address, 0}, acceptor);
    Connector connector;
    connector.pending = factory.connect(listener->local_endpoint(), connector);
    connector.pending.reset();
    check.run_quietly();
    check.expect(connector.calls == 0, "a connection attempt that was destroyed calls nobody");
    listener.reset();

    Link link{check};
    if (!link.up) return;
    link.client.read();
    link.client.transport->wait_writable();
    link.server.send("x");
    link.client.transport.reset();
    check.run_quietly();
    check.expect(link.client.reads == 0 && link.client.writables == 0, "a transport that was destroyed calls nobody");
}

void transport_read(Check& check) {
    Link link{check};
    if (!link.up) return;
    link.client.keep_reading = false;
    link.server.send("one");
    check.run_quietly();
    check.expect(link.client.reads == 0, "a transport is silent until it is read");
    link.client.read();
    check.expect(link.client.reads == 0, "on_read is not called inside read");
    check.run_until([&] { return link.client.reads == 1; }, "what had arrived is read");
    link.server.send("two");
    check.run_quietly();
    check.expect(link.client.reads == 1 && link.client.received == "one", "one read gives one on_read");
    link.client.read();
    check.run_until([&] { return link.client.received == "onetwo"; }, "what came meanwhile is there for the next read");
    check.expect(!link.client.error, "without an error");
}

void transport_small_reads(Check& check) {
    Link link{check};
    if (!link.up) return;
    std::array<char, 3> small{};
    std::string received;
    link.client.keep_reading = false;
    link.client.after_read = [&](std::size_t bytes) {
        received.append(small.data(), bytes);
        if (received.size() < 1000) link.client.transport->read({small.data(), small.size()});
    };
    const std::string sent = pattern(1000);
    link.server.send(sent);
    link.client.transport->read({small.data(), small.size()});
    check.run_until([&] { return received.size() >= 1000; }, "a read inside on_read finds what is left");
    check.expect(received == sent, "in order");
}

void transport_gather(Check& check) {
    Link link{check};
    if (!link.up) return;
    link.client.read();
    const std::string text = pattern(5000);
    std::vector<ConstBuffer> buffers;
    for (std::size_t i = 0; i < text.size(); i += 2) buffers.push_back({text.data() + i, 2});
    std::size_t sent = 0;
    while (sent < text.size()) {
        // A part of the buffers may be taken, as the peer and the system like.
        const WriteResult result = link.server.transport->write(std::span{buffers}.subspan(sent / 2));
        check.expect(!result.error, "a gather write succeeds");
        sent += result.bytes;
        if (result.error || result.bytes == 0 || result.bytes % 2 != 0) break;
    }
    check.expect(sent == text.size(), "2,500 buffers of an idle stream are taken");
    check.run_until([&] { return link.client.received.size() >= sent; }, "a gather write arrives");
    check.expect(link.client.received == text, "in order");
}

void transport_round_trip(Check& check) {
    Link link{check};
    if (!link.up) return;
    const std::string text = pattern(check.options().transfer);
    std::size_t sent = 0;
    std::size_t echoed = 0;
    std::size_t partial = 0;
    const auto pump = [&partial](End& end, std::string_view source, std::size_t& done) {
        while (done < source.size()) {
            const ConstBuffer rest{source.data() + done, source.size() - done};
            const WriteResult result = end.transport->write({&rest, 1});
            done += result.bytes;
            if (result.error) return;
            if (result.bytes < rest.size) {
                ++partial;
                end.transport->wait_writable();
                return;
            }
        }
    };
    bool server_waits = false;
    link.client.after_writable = [&] { pump(link.client, text, sent); };
    link.server.after_writable = [&] {
        server_waits = false;
        pump(link.server, link.server.received, echoed);
        server_waits = echoed < link.server.received.size();
    };
    link.server.after_read = [&](std::size_t) {
        if (!server_waits) link.server.after_writable();
    };
    link.client.read();
    link.server.read();
    pump(link.client, text, sent);
    check.run_until([&] { return link.client.received.size() >= text.size(); }, "everything that was sent comes back");
    check.expect(link.client.received == text, "byte for byte");
    check.expect(partial > 0, "the check itself: writes were partial");
}

void transport_ping_pong(Check& check) {
    Link link{check};
    if (!link.up) return;
    constexpr int rounds = 2000;
    link.server.after_read = [&](std::size_t) { link.server.send("pong"); };
    link.client.after_read = [&](std::size_t) {
        if (link.client.reads < rounds) link.client.send("ping");
    };
    link.client.read();
    link.server.read();
    link.client.send("ping");
    check.run_until([&] { return link.client.reads == rounds; }, "2,000 questions are answered");
    check.expect(link.client.received.size() == 4 * rounds, "each by one answer");
}

void transport_end_of_stream(Check& check) {
    Link link{check};
    if (!link.up) return;
    link.server.send("last words");
    link.server.transport.reset();
    link.client.read();
    check.run_until([&] { return link.client.ended; }, "the end of the stream is told");
    check.expect(link.client.received == "last words", "after the bytes before it");
    check.expect(!link.client.error, "by a read of no bytes without an error");
    link.client.transport.reset();

    // Writing into a stream that is gone is an error of the write, and no signal.
    Link broken{check};
    if (!broken.up) return;
    broken.client.transport.reset();
    std::error_code error;
    const TimePoint start = check.iops().now();
    while (!error && check.iops().now() - start < check.options().patience) {
        const ConstBuffer byte{"x", 1};
        error = broken.server.transport->write({&byte, 1}).error;
        check.run_turns(1);
        if (!error) check.run_quietly();
    }
    check.expect(static_cast<bool>(error), "a write to a peer that is gone fails in the end");
}

void transport_writable(Check& check) {
    Link link{check};
    if (!link.up) return;
    link.client.read();
    link.client.transport->wait_writable();
    check.expect(link.client.writables == 0, "on_writable is not called inside wait_writable");
    check.run_until([&] { return link.client.writables == 1; }, "an idle stream is writable");
    check.run_quietly();
    check.expect(link.client.writables == 1, "one wait gives one on_writable");
    link.server.send("x");
    check.run_until([&] { return link.client.reads == 1; }, "a read goes on while and after a wait for room");

    const std::string block(65536, 'x');
    while (link.client.send(block)) {
    }
    link.client.transport->wait_writable();
    check.run_quietly();
    check.expect(link.client.writables == 1, "a stream whose peer does not read is not writable");
    link.server.read();
    check.run_until([&] { return link.client.writables == 2; }, "and is when the peer reads");
}

void transport_destroyed_in_handler(Check& check) {
    {
        Link link{check};
        if (!link.up) return;
        link.client.keep_reading = false;
        link.client.after_read = [&](std::size_t) { link.client.transport.reset(); };
        link.client.read();
        link.client.transport->wait_writable();
        link.client.after_writable = [] {};
        link.server.send("x");
        check.run_until([&] { return link.client.reads == 1; }, "on_read is called");
        check.run_turns(3);
        check.expect(!link.client.transport, "on_read may destroy its transport");
    }
    {
        Link link{check};
        if (!link.up) return;
        link.client.after_writable = [&] { link.client.transport.reset(); };
        link.client.read();
        link.client.transport->wait_writable();
        check.run_until([&] { return link.client.writables == 1; }, "on_writable is called");
        check.run_turns(3);
        check.expect(!link.client.transport && link.client.reads == 0, "on_writable may destroy its transport");
    }
    TransportFactory& factory = check.iops().transport_factory();
    Acceptor acceptor;
    std::unique_ptr<Listener> listener = factory.listen({check.options().address, 0}, acceptor);
    acceptor.after = [&] {
        listener.reset();
        acceptor.accepted.clear();
    };
    Connector connector;
    connector.after = [&] {
        connector.pending.reset();
        connector.transport.reset();
    };
    const Endpoint endpoint = listener->local_endpoint();
    connector.pending = factory.connect(endpoint, connector);
    check.run_until([&] { return connector.calls == 1 && !listener; }, "on_connect and on_accept are called");
    Connector refused;
    refused.after = [&] { refused.pending.reset(); };
    refused.pending = factory.connect(endpoint, refused);
    check.run_until([&] { return refused.calls == 1; }, "on_connect is called for a refused connection");
    check.run_turns(3);
    check.expect(connector.calls == 1 && refused.calls == 1 && !refused.pending,
                 "on_connect and on_accept may destroy whoever calls them");
}

void resolve_numeric(Check& check) {
    TransportFactory& factory = check.iops().transport_factory();
    std::array<Resolution, 2> resolutions;
    const std::array<std::string, 2> names{"127.0.0.1", "::1"};
    for (std::size_t i = 0; i < names.size(); ++i) {
        resolutions[i].after = [&resolutions, i] { resolutions[i].pending.reset(); };
        resolutions[i].pending = factory.resolve(names[i], resolutions[i]);
        check.expect(resolutions[i].calls == 0, "on_resolve is not called inside resolve");
    }
    Resolution cancelled;
    cancelled.pending = factory.resolve("127.0.0.1", cancelled);
    cancelled.pending.reset();
    check.run_until([&] { return resolutions[0].calls == 1 && resolutions[1].calls == 1; },
                    "numeric names are resolved");
    check.run_turns(3);
    for (std::size_t i = 0; i < names.size(); ++i) {
        check.expect(resolutions[i].addresses == std::vector{names[i]} && !resolutions[i].error,
                     "a numeric name answers itself");
    }
    check.expect(cancelled.calls == 0, "a resolution that was destroyed calls nobody");
}

bool if_transports(const ConformanceOptions& options) { return options.transports; }

}  // namespace

std::vector<NamedCheck> transport_checks() {
    return {
        {"transport_connect", transport_connect, if_transports},
        {"transport_refused", transport_refused, if_transports},
        {"transport_cancelled", transport_cancelled, if_transports},
        {"transport_read", transport_read, if_transports},
        {"transport_small_reads", transport_small_reads, if_transports},
        {"transport_gather", transport_gather, if_transports},
        {"transport_round_trip", transport_round_trip, if_transports},
        {"transport_ping_pong", transport_ping_pong, if_transports},
        {"transport_end_of_stream", transport_end_of_stream, if_transports},
        {"transport_writable", transport_writable, if_transports},
        {"transport_destroyed_in_handler", transport_destroyed_in_handler, if_transports},
        {"resolve_numeric", resolve_numeric, if_transports},
    };
}

}  // namespace chaise::testing::conformance
