#pragma once

#include <chaise/iops.hpp>

#include <catch2/catch.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::testing {

/// A name server on a UDP port of loopback, on the loop under test.
class StubNameServer {
public:
    explicit StubNameServer(IOPS& iops) : iops_(iops), event_(iops.io_event_factory()) {
        fd_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        REQUIRE(::bind(fd_, generic, length) == 0);
        REQUIRE(::getsockname(fd_, generic, &length) == 0);
        port_ = ntohs(address.sin_port);
        event_->set_handler([](void* self, int) { static_cast<StubNameServer*>(self)->answer(); }, this);
        iops_.watch(*event_, fd_, read_event);
    }
    StubNameServer(const StubNameServer&) = delete;
    StubNameServer& operator=(const StubNameServer&) = delete;
    ~StubNameServer() {
        iops_.cleanup(*event_);
        ::close(fd_);
    }
    /// "127.0.0.1:5353"
    [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

    struct Service {
        std::string host;
        std::uint16_t port = 0;
    };
    std::map<std::string, std::vector<std::string>> names;  ///< name → IPv4 and IPv6 addresses
    std::map<std::string, std::vector<Service>> services;   ///< name → SRV records
    bool silent = false;
    int questions = 0;
    std::vector<std::string> asked;  ///< the names, in order

private:
    static void append_be16(std::string& out, std::size_t value) {
        out += static_cast<char>(value >> 8);
        out += static_cast<char>(value & 0xff);
    }
    /// "a.b" as labels.
    static std::string labels(std::string_view name) {
        std::string out;
        while (!name.empty()) {
            const std::string_view label = name.substr(0, name.find('.'));
            out += static_cast<char>(label.size());
            out += label;
            name.remove_prefix(std::min(name.size(), label.size() + 1));
        }
        return out + '\0';
    }
    /// One more record about the question's name.
    static void append_record(std::string& reply, int type, std::string_view data) {
        reply += {'\xc0', '\x0c', 0, static_cast<char>(type), 0, 1, 0, 0, 0, 60};
        append_be16(reply, data.size());
        reply += data;
        ++reply[7];
    }
    void answer() {
        std::string query(512, '\0');
        sockaddr_in peer{};
        socklen_t length = sizeof peer;
        auto* const generic = reinterpret_cast<sockaddr*>(&peer);
        const ssize_t got = ::recvfrom(fd_, query.data(), query.size(), 0, generic, &length);
        iops_.watch(*event_, fd_, read_event);
        if (got < 17) return;
        query.resize(static_cast<std::size_t>(got));
        ++questions;
        std::string name;
        std::size_t at = 12;
        while (at < query.size() && query[at] != 0) {
            const auto label = static_cast<std::size_t>(static_cast<unsigned char>(query[at]));
            if (!name.empty()) name += '.';
            name += query.substr(at + 1, label);
            at += label + 1;
        }
        asked.push_back(name);
        if (silent) return;
        const int type = query[at + 2];
        constexpr int ipv4 = 1, ipv6 = 28, srv = 33;
        std::string reply = query.substr(0, at + 5);  // header and question
        reply[2] = static_cast<char>(0x81);           // an answer
        reply[3] = static_cast<char>(0x80);
        for (std::size_t i = 6; i < 12; ++i) reply[i] = 0;
        const auto known = names.find(name);
        const auto service = services.find(name);
        if (known == names.end() && service == services.end()) reply[3] = static_cast<char>(0x83);  // no such name
        if (known != names.end()) {
            for (const std::string& address : known->second) {
                const bool v6 = address.find(':') != std::string::npos;
                if (type != (v6 ? ipv6 : ipv4)) continue;
                in6_addr bytes{};
                REQUIRE(::inet_pton(v6 ? AF_INET6 : AF_INET, address.c_str(), &bytes) == 1);
                append_record(reply, type, {reinterpret_cast<const char*>(&bytes), v6 ? 16u : 4u});
            }
        }
        if (service != services.end() && type == srv) {
            for (const Service& one : service->second) {
                std::string data(4, '\0');  // priority and weight
                append_be16(data, one.port);
                append_record(reply, srv, data + labels(one.host));
            }
        }
        ::sendto(fd_, reply.data(), reply.size(), 0, generic, length);
    }

    IOPS& iops_;
    std::unique_ptr<IOEvent> event_;
    int fd_ = -1;
    int port_ = 0;
};

}  // namespace chaise::testing
