#pragma once

// A server whose every byte is the test's, and a receiver that keeps what it hears: for tests of HTTP clients, over
// the transports of any IOPS.

#include <chaise/http.hpp>
#include <chaise/iops.hpp>
#include <chaise/transport.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace chaise::testing {

/// One connection, as the server sees it.
class Peer final : TransportHandler {
public:
    explicit Peer(std::unique_ptr<Transport> transport) : transport_(std::move(transport)) {
        transport_->set_handler(*this);
        transport_->read({buffer_.data(), buffer_.size()});
    }
    void send(std::string_view bytes) {
        unsent_ += bytes;
        flush();
    }
    void close() {
        transport_.reset();
        closed = true;
    }
    std::function<void(Peer&)> on_data;
    std::string received;
    std::size_t sent = 0;
    bool closed = false;

private:
    void flush() {
        if (!transport_ || waiting_ || unsent_.empty()) return;
        const ConstBuffer all{unsent_.data(), unsent_.size()};
        const WriteResult result = transport_->write({&all, 1});
        unsent_.erase(0, result.bytes);
        sent += result.bytes;
        if (result.error || unsent_.empty()) return;
        waiting_ = true;
        transport_->wait_writable();
    }
    void on_read(std::size_t bytes, std::error_code error) override {
        if (error || bytes == 0) return close();
        received.append(buffer_.data(), bytes);
        transport_->read({buffer_.data(), buffer_.size()});
        if (on_data) on_data(*this);
    }
    void on_writable() override {
        waiting_ = false;
        flush();
    }
    std::unique_ptr<Transport> transport_;
    std::array<char, 16384> buffer_;
    std::string unsent_;
    bool waiting_ = false;
};

/// Answers what `answer` says to each request that is complete (a head, and the body that it announces).
class Server final : AcceptHandler {
public:
    explicit Server(IOPS& iops, const std::string& address = "127.0.0.1")
        : listener_(iops.transport_factory().listen({address, 0}, *this)) {}
    [[nodiscard]] std::uint16_t port() const { return listener_->local_endpoint().port; }

    std::vector<std::unique_ptr<Peer>> peers;
    std::vector<std::string> requests;
    std::function<void(Peer&)> answer = [](Peer& peer) { peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"); };

private:
    void on_accept(std::unique_ptr<Transport> transport) override {
        peers.push_back(std::make_unique<Peer>(std::move(transport)));
        peers.back()->on_data = [this](Peer& peer) { look(peer); };
    }
    void look(Peer& peer) {
        const std::size_t head = peer.received.find("\r\n\r\n");
        if (head == std::string::npos) return;
        std::size_t size = head + 4;
        if (const std::size_t at = peer.received.find("Content-Length: "); at < head) {
            size += std::stoul(peer.received.substr(at + 16));
        }
        if (peer.received.size() < size) return;
        requests.push_back(peer.received.substr(0, size));
        peer.received.erase(0, size);
        answer(peer);
    }
    std::unique_ptr<Listener> listener_;
};

struct Answer final : HttpReceiver {
    void on_head(int got, const HttpHeaders& those) override {
        CHECK(heads++ == 0);
        status = got;
        headers = those;
        if (at_head) at_head();
    }
    void on_body(std::string_view bytes) override {
        CHECK(heads == 1);
        CHECK(!end);
        CHECK_FALSE(bytes.empty());
        body += bytes;
        ++chunks;
        if (at_body) at_body();
    }
    void on_end(const HttpEnd& how) override {
        CHECK(!end);
        end = how;
        if (at_end) at_end();
    }
    int status = 0, heads = 0, chunks = 0;
    HttpHeaders headers;
    std::string body;
    std::optional<HttpEnd> end;
    std::function<void()> at_head, at_body, at_end;
};

}  // namespace chaise::testing
