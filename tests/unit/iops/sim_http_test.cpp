// The HTTP client of a simulated world: over connections in memory, on virtual time, with the world's faults.

#include "http_peers.hpp"

#include <chaise/testing/local_cluster.hpp>
#include <chaise/testing/simulation.hpp>

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

struct Web {
    explicit Web(const SimOptions& options = {}, std::uint64_t seed = 1) : world(seed, options) {}

    [[nodiscard]] HttpClient::Request to_server(std::string target = "/") const {
        HttpClient::Request request;
        request.host = "web";
        request.port = server.port();
        request.target = std::move(target);
        return request;
    }
    void get(Answer& answer, HttpClient::Request request) {
        const auto exchange = client->start(std::move(request), answer);
        CHECK(answer.heads == 0);  // nothing inline
        CHECK(!answer.end);
        world.run_until([&] { return answer.end.has_value(); }, 10min);
        REQUIRE(answer.end);
    }

    SimWorld world;
    std::unique_ptr<IOPS> server_iops = world.make_iops("web"), iops = world.make_iops();
    Server server{*server_iops, "web"};
    std::unique_ptr<HttpClient> client = iops->make_http_client();
};

}  // namespace

TEST_CASE("the world's HTTP: requests of each kind, as they are sent and answered", "[sim][http]") {
    Web w;
    Answer answer;
    HttpClient::Request request = w.to_server("/a%20b?c=d");
    SECTION("GET") {
        w.server.answer = [](Peer& peer) {
            peer.send(
                "HTTP/1.1 201 Created\r\ncontent-TYPE: text/x\r\nContent-Length: 5\r\n\r\nhello, and what comes "
                "behind");
        };
        request.username = "me";
        request.password = "you:";
        request.headers = {{"X-A", "b c"}};
        w.get(answer, request);
        CHECK(answer.status == 201);
        CHECK(answer.headers.get("content-type") == "text/x");
        CHECK(answer.body == "hello");
        REQUIRE(w.server.requests.size() == 1);
        CHECK(w.server.requests[0].starts_with("GET /a%20b?c=d HTTP/1.1\r\nHost: web:"));
        CHECK(w.server.requests[0].find("\r\nAuthorization: Basic bWU6eW91Og==\r\n") != std::string::npos);
        CHECK(w.server.requests[0].find("\r\nX-A: b c\r\n") != std::string::npos);
        CHECK(w.server.requests[0].find("Content-Length") == std::string::npos);
    }
    SECTION("headers, of the answer that counts, up to a bound") {
        const std::size_t size = GENERATE(as<std::size_t>{}, 10, 70'000);
        w.server.answer = [&](Peer& peer) {
            peer.send(
                "HTTP/1.1 100 Continue\r\nX-Meta: of no account\r\n\r\nHTTP/1.1 200 OK\r\nX-META: 1 \r\nX-None:\r\n"
                "Content-Length: 0\r\nX-Much: " +
                std::string(size, 'm') + "\r\n\r\n");
        };
        w.get(answer, request);
        if (size > 65'536) {
            CHECK(answer.heads == 0);
            CHECK(answer.end->error == std::errc::protocol_error);
            return;
        }
        CHECK_FALSE(answer.end->error);
        CHECK(answer.headers.get("x-meta") == "1");
        CHECK(answer.headers.get("x-none").empty());
        CHECK(answer.headers.get("x-much").size() == size);
        CHECK(answer.headers.text().find("of no account") == std::string::npos);
    }
    SECTION("POST, PUT and DELETE") {
        for (const std::string method : {"POST", "PUT", "DELETE"}) {
            Answer one;
            request.method = method;
            request.body = method == "DELETE" ? "" : std::string(100'000, 'x');  // more than the pipe takes at once
            w.get(one, request);
            CHECK(one.body == "hi");
            CHECK(w.server.requests.back().starts_with(method + " /a%20b"));
            CHECK(w.server.requests.back().ends_with("\r\n\r\n" + request.body));
        }
        CHECK(w.server.requests.size() == 3);
    }
    SECTION("HEAD: no body, whatever the answer says") {
        request.method = "HEAD";
        w.server.answer = [](Peer& peer) { peer.send("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"); };
        w.get(answer, request);
        CHECK(answer.status == 200);
        CHECK(answer.body.empty());
    }
    SECTION("a body until the connection ends, behind a status that is none yet") {
        w.server.answer = [](Peer& peer) {
            peer.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\n\r\n" + std::string(10'000, 'y'));
            peer.close();
        };
        w.get(answer, request);
        CHECK(answer.status == 404);
        CHECK(answer.body == std::string(10'000, 'y'));
    }
    CHECK_FALSE((answer.end && answer.end->error));
}

TEST_CASE("the world's HTTP: a chunked stream comes piece by piece, and waits while it is paused", "[sim][http]") {
    Web w;
    Peer* peer = nullptr;
    w.server.answer = [&](Peer& one) {
        peer = &one;
        one.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    };
    Answer answer;
    const auto exchange = w.client->start(w.to_server(), answer);
    w.world.run_for(1s);
    CHECK(answer.body == "one");
    peer->send("3\r\nt");  // within a chunk
    w.world.run_for(1s);
    CHECK(answer.body == "onet");
    exchange->pause();
    peer->send("wo\r\n");
    const std::string much(1 << 20, 'm');
    peer->send("100000\r\n" + much + "\r\n");
    w.world.run_for(1s);
    CHECK(answer.body == "onet");
    CHECK(peer->sent < much.size() / 2);  // it is not read either
    exchange->resume();
    CHECK(answer.body == "onet");
    w.world.run_for(1s);
    CHECK(answer.body == "onetwo" + much);
    CHECK_FALSE(answer.end);
    peer->send("0\r\n\r\n");
    w.world.run_for(1s);
    REQUIRE(answer.end);
    CHECK_FALSE(answer.end->error);
}

TEST_CASE("the world's HTTP: what goes wrong", "[sim][http]") {
    Web w;
    Answer answer;
    HttpClient::Request request = w.to_server();
    const auto silent = [](Peer&) {};
    SECTION("nobody listens") {
        request.port = 4711;
        w.get(answer, request);
        CHECK(answer.end->error == std::errc::connection_refused);
        CHECK_FALSE(answer.end->sent);
        CHECK(answer.end->resolved);
    }
    SECTION("no such host") {
        request.host = "nowhere";
        w.get(answer, request);
        CHECK(answer.end->error == std::errc::host_unreachable);
        CHECK_FALSE(answer.end->resolved);
    }
    SECTION("the second address answers") {
        w.world.set_addresses("site", {"nowhere", "web"});
        request.host = "site";
        w.get(answer, request);
        CHECK(answer.body == "hi");
    }
    SECTION("cut off while it connects") {
        w.world.black_hole("web");
        request.connect_timeout = 300ms;
        const TimePoint start = w.world.now();
        w.get(answer, request);
        CHECK(answer.end->error == std::errc::timed_out);
        CHECK_FALSE(answer.end->sent);
        CHECK(w.world.now() - start >= 300ms);
        CHECK(w.world.now() - start < 301ms);
    }
    SECTION("silence behind the request, and a limit of the whole") {
        w.server.answer = silent;
        const bool whole = GENERATE(false, true);
        (whole ? request.timeout : request.idle_timeout) = 2s;
        w.get(answer, request);
        CHECK(answer.end->error == std::errc::timed_out);
        CHECK(answer.end->sent);
    }
    SECTION("the connection ends within the answer, or is reset") {
        const bool reset = GENERATE(false, true);
        w.server.answer = [&](Peer& peer) {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf");
            if (!reset) peer.close();
        };
        const auto exchange = w.client->start(request, answer);
        w.world.run_for(1s);
        CHECK(answer.body == "half");
        if (reset) w.world.reset_connections("web");
        w.world.run_for(1s);
        REQUIRE(answer.end);
        CHECK(answer.end->error == std::errc::connection_reset);
        CHECK(answer.end->sent);
    }
    SECTION("no HTTP") {
        w.server.answer = [](Peer& peer) { peer.send("220 mail.example ESMTP\r\n"); };
        w.get(answer, request);
        CHECK(answer.end->error == std::errc::protocol_error);
        CHECK(answer.heads == 0);
    }
    SECTION("a request that cannot be one") {
        const int which = GENERATE(0, 1, 2, 3, 4, 5);
        if (which == 0) request.target = "/a b";
        if (which == 1) request.method = "GET /\r\n";
        if (which == 2) request.headers = {{"A", "b\r\nC: d"}};
        if (which == 3) request.username = "a:b";
        if (which == 4) request.host.clear();
        if (which == 5) request.host = "a/b";
        w.get(answer, request);
        CHECK(answer.end->error == std::errc::invalid_argument);
        CHECK(w.server.peers.empty());
    }
}

TEST_CASE("the world's HTTP: exchanges end with their owner, from inside a receiver too", "[sim][http]") {
    Web w;
    Answer answer;
    std::unique_ptr<HttpExchange> exchange = w.client->start(w.to_server(), answer);
    SECTION("before it is sent") { exchange.reset(); }
    SECTION("at its head") {
        answer.at_head = [&] { exchange.reset(); };
    }
    SECTION("at its body") {
        answer.at_body = [&] { exchange.reset(); };
    }
    SECTION("with the client") { w.client.reset(); }
    w.world.run();
    CHECK_FALSE(answer.end);
    exchange.reset();
    w.client.reset();
    for (const auto& peer : w.server.peers) peer->close();
    w.world.run();
    const SimLeaks leaks = w.world.leaks();
    CAPTURE(leaks.to_string());
    CHECK(leaks.connections + leaks.timers + leaks.pendings == 0);  // the server listens
}

TEST_CASE("the world's HTTP: behind a receiver that throws the rest comes", "[sim][http]") {
    Web w;
    Answer answer;
    const auto exchange = w.client->start(w.to_server(), answer);
    answer.at_head = [] { throw std::runtime_error("at the head"); };
    CHECK_THROWS_WITH(w.world.run(), "at the head");
    w.world.run();
    CHECK(answer.body == "hi");
    CHECK(answer.end);
}

TEST_CASE("the world's HTTP: a local cluster's management service in the same world", "[sim][http]") {
    SimWorld world{1};
    LocalCluster cluster{world, {.nodes = 2}};
    auto iops = world.make_iops();
    auto client = iops->make_http_client();
    world.run_for(10ms);
    Answer answer;
    HttpClient::Request request;
    const Endpoint where = cluster.management_endpoint(1);
    request.host = where.address;
    request.port = where.port;
    request.target = "/pools/default/bs/default";
    request.username = "Administrator";
    request.password = "password";
    const auto exchange = client->start(request, answer);
    world.run_for(100ms);
    CHECK(answer.status == 200);
    CHECK(answer.body.find("\"vBucketServerMap\"") != std::string::npos);
    const std::size_t before = answer.body.size();
    cluster.failover(0);
    world.run_for(100ms);
    CHECK(answer.body.size() > before);
    CHECK_FALSE(answer.end);
}
