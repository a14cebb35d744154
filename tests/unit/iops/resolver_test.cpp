#include "event_probe.hpp"

#include "iops/posix/posix_transport_factory.hpp"
#include "iops/resolver/resolver.hpp"

#include <chaise/epoll.hpp>

#include <catch2/catch.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ares.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

using namespace chaise;
using namespace std::chrono_literals;

namespace {

struct Answer final : ResolveHandler {
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

/// A name server on a loopback UDP port, on the loop under test.
class StubServer {
public:
    explicit StubServer(IOPS& iops) : iops_(iops) {
        fd_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        REQUIRE(::bind(fd_, generic, length) == 0);
        REQUIRE(::getsockname(fd_, generic, &length) == 0);
        port_ = ntohs(address.sin_port);
        iops_.watch(*event_, fd_, read_event);
    }
    ~StubServer() {
        iops_.cleanup(*event_);
        ::close(fd_);
    }
    [[nodiscard]] ResolverOptions options() const {
        ResolverOptions options;
        options.nameservers = "127.0.0.1:" + std::to_string(port_);
        options.timeout = 100ms;
        options.tries = 2;
        return options;
    }

    std::map<std::string, std::vector<std::string>> names;  // name -> IPv4 and IPv6 addresses
    bool silent = false;
    int questions = 0;

private:
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
        if (silent) return;
        std::string name;
        std::size_t at = 12;
        while (at < query.size() && query[at] != 0) {
            const auto label = static_cast<std::size_t>(static_cast<unsigned char>(query[at]));
            if (!name.empty()) name += '.';
            name += query.substr(at + 1, label);
            at += label + 1;
        }
        const char type = query[at + 2];
        std::string reply = query.substr(0, at + 5);  // header and question
        reply[2] = static_cast<char>(0x81);           // an answer
        reply[3] = static_cast<char>(0x80);
        for (std::size_t i = 6; i < 12; ++i) reply[i] = 0;
        const auto known = names.find(name);
        if (known == names.end()) {
            reply[3] = static_cast<char>(0x83);  // no such name
        } else {
            for (const std::string& address : known->second) {
                const bool v6 = address.find(':') != std::string::npos;
                if (type != (v6 ? 28 : 1)) continue;
                in6_addr bytes{};
                REQUIRE(::inet_pton(v6 ? AF_INET6 : AF_INET, address.c_str(), &bytes) == 1);
                const char size = v6 ? 16 : 4;
                reply += {'\xc0', '\x0c', 0, type, 0, 1, 0, 0, 0, 60, 0, size};
                reply.append(reinterpret_cast<const char*>(&bytes), static_cast<std::size_t>(size));
                ++reply[7];
            }
        }
        ::sendto(fd_, reply.data(), reply.size(), 0, generic, length);
    }

    IOPS& iops_;
    TestIoEvent event_{iops_, [this] { answer(); }};
    int fd_ = -1;
    int port_ = 0;
};

/// A loop with a stub name server, and a factory that asks it.
struct World {
    EpollLoop loop;
    std::unique_ptr<IOPS> iops = loop.make_iops();
    StubServer server{*iops};
    PosixTransportFactory factory{*iops, {.user_timeout = 0ms, .resolver = server.options()}};

    bool run_until(const std::function<bool()>& done, std::chrono::milliseconds limit = 5s) {
        const TimePoint end = loop.now() + limit;
        while (!done() && loop.now() < end) loop.run_one_turn(20ms);
        return done();
    }
};

/// The names of the hosts file with their addresses.
std::map<std::string, std::set<std::string>> hosts_file() {
    std::map<std::string, std::set<std::string>> names;
    std::ifstream file{"/etc/hosts"};
    for (std::string line; std::getline(file, line);) {
        std::istringstream words{line.substr(0, line.find('#'))};
        std::string address;
        words >> address;
        for (std::string name; words >> name;) names[name].insert(address);
    }
    return names;
}

}  // namespace

TEST_CASE("Names of the hosts file are resolved without a name server") {
    World world;
    world.server.silent = true;
    const auto hosts = hosts_file();
    for (const auto& [name, addresses] : hosts) {
        INFO(name);
        Answer answer;
        answer.pending = world.factory.resolve(name, answer);
        CHECK(answer.calls == 0);
        REQUIRE(world.run_until([&] { return answer.calls == 1; }));
        CHECK_FALSE(answer.error);
        CHECK_FALSE(answer.addresses.empty());
        for (const std::string& address : answer.addresses) {
            if (name != "localhost") CHECK(addresses.contains(address));
        }
    }
    CHECK(world.server.questions == 0);
}

TEST_CASE("localhost is the loopback") {
    World world;
    Answer answer;
    answer.pending = world.iops->transport_factory().resolve("localhost", answer);
    REQUIRE(world.run_until([&] { return answer.calls == 1; }));
    REQUIRE_FALSE(answer.error);
    for (const std::string& address : answer.addresses) CHECK((address == "::1" || address.starts_with("127.")));
}

TEST_CASE("Name servers are asked for IPv4 and IPv6 addresses") {
    World world;
    world.server.names["node1.chaise.test"] = {"127.0.0.7", "127.0.0.8", "::1"};
    world.server.names["node2.chaise.test"] = {"::1"};
    world.server.names["node3.chaise.test"] = {"127.0.0.9"};
    std::array<Answer, 3> answers;
    for (std::size_t i = 0; i < answers.size(); ++i) {
        // The handler lets go of its request, as an engine does.
        answers[i].after = [&answers, i] { answers[i].pending.reset(); };
        answers[i].pending = world.factory.resolve("node" + std::to_string(i + 1) + ".chaise.test", answers[i]);
        CHECK(answers[i].calls == 0);
    }
    REQUIRE(world.run_until([&] { return answers[0].calls + answers[1].calls + answers[2].calls == 3; }));
    for (Answer& answer : answers) {
        CHECK_FALSE(answer.error);
        std::sort(answer.addresses.begin(), answer.addresses.end());
    }
    CHECK(answers[0].addresses == std::vector<std::string>{"127.0.0.7", "127.0.0.8", "::1"});
    CHECK(answers[1].addresses == std::vector<std::string>{"::1"});
    CHECK(answers[2].addresses == std::vector<std::string>{"127.0.0.9"});

    // The channel is kept; a later name is resolved by it.
    Answer again;
    again.pending = world.factory.resolve("node3.chaise.test", again);
    REQUIRE(world.run_until([&] { return again.calls == 1; }));
    CHECK(again.addresses == std::vector<std::string>{"127.0.0.9"});
}

TEST_CASE("A name that does not exist is an error") {
    World world;
    Answer answer;
    answer.pending = world.factory.resolve("nowhere.chaise.test", answer);
    REQUIRE(world.run_until([&] { return answer.calls == 1; }));
    CHECK(answer.error == std::error_code{ARES_ENOTFOUND, resolver_category()});
    CHECK_FALSE(answer.error.message().empty());
    CHECK(answer.addresses.empty());
}

TEST_CASE("A name server that is silent is a timeout") {
    World world;
    world.server.silent = true;
    Answer answer;
    answer.pending = world.factory.resolve("node1.chaise.test", answer);
    REQUIRE(world.run_until([&] { return answer.calls == 1; }));
    CHECK(answer.error == std::error_code{ARES_ETIMEOUT, resolver_category()});
    CHECK(world.server.questions >= 2);
}

TEST_CASE("A name server that is not there is an error") {
    World world;
    ResolverOptions options = world.server.options();
    {
        StubServer gone{*world.iops};
        options = gone.options();
    }
    PosixTransportFactory factory{*world.iops, {.user_timeout = 0ms, .resolver = options}};
    Answer answer;
    answer.pending = factory.resolve("node1.chaise.test", answer);
    REQUIRE(world.run_until([&] { return answer.calls == 1; }));
    CHECK(answer.error);
}

TEST_CASE("Name servers that cannot be understood are an error") {
    World world;
    PosixTransportFactory factory{*world.iops, {.user_timeout = 0ms, .resolver = {.nameservers = "not an address"}}};
    Answer answer;
    answer.pending = factory.resolve("node1.chaise.test", answer);
    CHECK(answer.calls == 0);
    REQUIRE(world.run_until([&] { return answer.calls == 1; }));
    CHECK(answer.error);
}

TEST_CASE("A resolution that is destroyed calls nobody, and leaves nothing armed behind") {
    EpollLoop loop;
    const std::unique_ptr<IOPS> iops = loop.make_iops();
    const std::unique_ptr<IOPS> server_iops = loop.make_iops();
    auto server = std::make_unique<StubServer>(*server_iops);
    server->silent = true;
    PosixTransportFactory factory{*iops, {.user_timeout = 0ms, .resolver = server->options()}};
    std::array<Answer, 3> answers;
    for (Answer& answer : answers) answer.pending = factory.resolve("node1.chaise.test", answer);
    for (int i = 0; i < 20 && server->questions < 3; ++i) loop.run_one_turn(5ms);
    CHECK(server->questions >= 3);
    for (Answer& answer : answers) answer.pending.reset();
    server.reset();
    loop.run();  // returns: no socket and no timer of c-ares is left
    for (const Answer& answer : answers) CHECK(answer.calls == 0);
}

TEST_CASE("One of two resolutions is destroyed, the other is answered") {
    World world;
    world.server.names["node1.chaise.test"] = {"127.0.0.7"};
    Answer dropped;
    Answer kept;
    dropped.pending = world.factory.resolve("node1.chaise.test", dropped);
    kept.pending = world.factory.resolve("node1.chaise.test", kept);
    dropped.pending.reset();
    REQUIRE(world.run_until([&] { return kept.calls == 1; }));
    CHECK_FALSE(kept.error);
    CHECK(dropped.calls == 0);
}
