#include "tests/support/stub_name_server.hpp"

#include "iops/posix/posix_transport_factory.hpp"
#include "iops/resolver/resolver.hpp"

#include <chaise/epoll.hpp>

#include <catch2/catch.hpp>

#include <ares.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

using namespace chaise;
using chaise::testing::StubNameServer;
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

ResolverOptions asking(const StubNameServer& server) {
    ResolverOptions options;
    options.nameservers = server.address();
    options.timeout = 100ms;
    options.tries = 2;
    return options;
}

/// A loop with a stub name server, and a factory that asks it.
struct World {
    EpollLoop loop;
    std::unique_ptr<IOPS> iops = loop.make_iops();
    StubNameServer server{*iops};
    PosixTransportFactory factory{*iops, {.user_timeout = 0ms, .resolver = asking(server)}};

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
    ResolverOptions options = asking(world.server);
    {
        StubNameServer gone{*world.iops};
        options = asking(gone);
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
    auto server = std::make_unique<StubNameServer>(*server_iops);
    server->silent = true;
    PosixTransportFactory factory{*iops, {.user_timeout = 0ms, .resolver = asking(*server)}};
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

namespace {

struct Targets final : ServiceHandler {
    std::unique_ptr<Pending> pending;
    std::vector<ServiceTarget> targets;
    std::error_code error;
    int calls = 0;
    void on_service(std::vector<ServiceTarget> found, std::error_code failed) override {
        ++calls;
        targets = std::move(found);
        error = failed;
    }
};

}  // namespace

TEST_CASE("SRV records are looked up") {
    World w;
    w.server.services["_couchbase._tcp.example.com"] = {{"a.example.com", 11210}, {"b.example.com", 11999}};
    Targets found, missing, cancelled;
    found.pending = w.factory.resolve_service("_couchbase._tcp.example.com", found);
    missing.pending = w.factory.resolve_service("_couchbase._tcp.nobody.test", missing);
    cancelled.pending = w.factory.resolve_service("_couchbase._tcp.example.com", cancelled);
    CHECK(found.calls == 0);
    cancelled.pending.reset();
    REQUIRE(w.run_until([&] { return found.calls + missing.calls == 2; }));
    CHECK_FALSE(found.error);
    CHECK(found.targets == std::vector<ServiceTarget>{{"a.example.com", 11210}, {"b.example.com", 11999}});
    CHECK(missing.error.category() == resolver_category());
    CHECK(missing.targets.empty());
    CHECK(cancelled.calls == 0);
}

TEST_CASE("SRV records: a silent name server is given up, names and records side by side") {
    World w;
    w.server.silent = true;
    Targets records;
    Answer name;
    records.pending = w.factory.resolve_service("_couchbase._tcp.example.com", records);
    name.pending = w.factory.resolve("example.test", name);
    REQUIRE(w.run_until([&] { return records.calls + name.calls == 2; }));
    CHECK(records.error);
    CHECK(name.error);
}

TEST_CASE("Name servers are told to a factory before it has resolved anything, not later") {
    EpollLoop loop;
    const auto iops = loop.make_iops();
    StubNameServer server{*iops};
    server.names["node.example.com"] = {"192.0.2.7"};
    TransportFactory& factory = iops->transport_factory();
    REQUIRE(factory.use_name_servers(server.address()));
    Answer answer;
    answer.pending = factory.resolve("node.example.com", answer);
    while (answer.calls == 0) loop.run_one_turn(50ms);
    CHECK(answer.addresses == std::vector<std::string>{"192.0.2.7"});
    CHECK_FALSE(factory.use_name_servers("192.0.2.1"));
}
