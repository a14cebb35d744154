#pragma once

// Small peers for the tests of the simulated network: an echo server, and a client that records what it is told.

#include <chaise/testing/simulation.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace chaise::testing {

// One connected end that keeps reading and remembers.
class SimPeer : public TransportHandler {
public:
    explicit SimPeer(std::unique_ptr<Transport> its_transport, bool its_echo = false, std::size_t buffer_size = 512)
        : transport(std::move(its_transport)), echo(its_echo), buffer_(buffer_size) {
        transport->set_handler(*this);
        read();
    }
    virtual ~SimPeer() = default;
    void read() { transport->read({buffer_.data(), buffer_.size()}); }
    void send(std::string_view bytes) {
        out_ += bytes;
        flush();
    }
    void flush() {
        while (!out_.empty()) {
            const ConstBuffer parts[] = {{out_.data(), out_.size() / 2},
                                         {out_.data() + out_.size() / 2, out_.size() - out_.size() / 2}};
            const WriteResult result = transport->write(parts);
            if (result.error) {
                write_error = result.error;
                return;
            }
            out_.erase(0, result.bytes);
            if (!out_.empty()) {
                ++short_writes;
                if (!std::exchange(waiting_, true)) transport->wait_writable();
                return;
            }
        }
    }
    void on_read(std::size_t bytes, std::error_code error) override {
        ++reads;
        if (error) {
            read_error = error;
        } else if (bytes == 0) {
            ended = true;
            if (echo) transport.reset();
        } else {
            received.append(buffer_.data(), bytes);
            if (echo) send({buffer_.data(), bytes});
            if (!keep_reading) return;
            read();
        }
    }
    void on_writable() override {
        waiting_ = false;
        flush();
    }
    [[nodiscard]] bool over() const { return ended || read_error || write_error; }
    [[nodiscard]] std::size_t unsent() const { return out_.size(); }

    std::unique_ptr<Transport> transport;
    bool echo;
    bool keep_reading = true;
    std::string received;
    std::error_code read_error;
    std::error_code write_error;
    bool ended = false;
    int reads = 0;
    int short_writes = 0;

private:
    std::vector<char> buffer_;
    std::string out_;
    bool waiting_ = false;
};

class SimEchoServer : public AcceptHandler {
public:
    explicit SimEchoServer(std::unique_ptr<IOPS> its_iops, std::uint16_t port = 7, bool echo = true)
        : iops(std::move(its_iops)),
          echo_(echo),
          listener(iops->transport_factory().listen({"0.0.0.0", port}, *this)) {}
    virtual ~SimEchoServer() = default;
    void on_accept(std::unique_ptr<Transport> transport) override {
        peers.push_back(std::make_unique<SimPeer>(std::move(transport), echo_));
    }

    std::unique_ptr<IOPS> iops;
    bool echo_;
    std::vector<std::unique_ptr<SimPeer>> peers;
    std::unique_ptr<Listener> listener;
};

class SimClient : public ConnectHandler {
public:
    SimClient(IOPS& iops, const Endpoint& endpoint) { pending = iops.transport_factory().connect(endpoint, *this); }
    virtual ~SimClient() = default;
    void on_connect(std::unique_ptr<Transport> transport, std::error_code its_error) override {
        ++answers;
        pending.reset();
        error = its_error;
        if (!transport) return;
        peer = std::make_unique<SimPeer>(std::move(transport));
        if (!greeting.empty()) peer->send(greeting);
    }
    [[nodiscard]] bool connected() const { return peer != nullptr; }

    std::unique_ptr<Pending> pending;
    std::unique_ptr<SimPeer> peer;
    std::error_code error;
    std::string greeting;
    int answers = 0;
};

struct SimName : ResolveHandler {
    void on_resolve(std::vector<std::string> its_addresses, std::error_code its_error) override {
        ++answers;
        addresses = std::move(its_addresses);
        error = its_error;
    }
    virtual ~SimName() = default;
    std::vector<std::string> addresses;
    std::error_code error;
    int answers = 0;
};

}  // namespace chaise::testing
