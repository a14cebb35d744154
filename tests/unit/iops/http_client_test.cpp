// The HTTP client of an EpollLoop, against a server whose every byte is the test's, and against the local cluster's.

#include "http_peers.hpp"

#include <chaise/epoll.hpp>
#include <chaise/http.hpp>
#include <chaise/testing/local_cluster.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cstdlib>

using namespace chaise;
using chaise::testing::Answer;
using chaise::testing::Peer;
using chaise::testing::Server;
using namespace std::chrono_literals;

namespace {

struct World {
    EpollLoop loop;
    std::unique_ptr<IOPS> server_iops = loop.make_iops(), iops = loop.make_iops();
    Server server{*server_iops};
    std::unique_ptr<HttpClient> client = iops->make_http_client();

    bool run_until(const std::function<bool()>& done, std::chrono::milliseconds limit = 10s) {
        const TimePoint end = loop.now() + limit;
        while (!done() && loop.now() < end) loop.run_one_turn(20ms);
        return done();
    }
    HttpClient::Request to_server(std::string target = "/") const {
        HttpClient::Request request;
        request.host = "127.0.0.1";
        request.port = server.port();
        request.target = std::move(target);
        return request;
    }
    /// One whole exchange.
    void get(Answer& answer, HttpClient::Request request) {
        const auto exchange = client->start(std::move(request), answer);
        REQUIRE(run_until([&] { return answer.end.has_value(); }));
    }
};

}  // namespace

TEST_CASE("A request is answered, and its connection serves the next") {
    World w;
    for (int i = 0; i < 3; ++i) {
        Answer answer;
        w.get(answer, w.to_server("/pools/default/b/a%2Fb?x=1"));
        CHECK(answer.status == 200);
        CHECK(answer.body == "hi");
        CHECK_FALSE(answer.end->error);
        CHECK(answer.end->sent);
    }
    CHECK(w.server.peers.size() == 1);
    REQUIRE(w.server.requests.size() == 3);
    CHECK(w.server.requests[0].starts_with("GET /pools/default/b/a%2Fb?x=1 HTTP/1.1\r\n"));
    CHECK(w.server.requests[0].find("Authorization") == std::string::npos);
}

TEST_CASE("Methods, bodies, headers and credentials travel as they were given") {
    World w;
    auto request = w.to_server("/query/service");
    request.method = "POST";
    request.body = std::string("{\"a\":\"\0\"}", 9);
    request.headers = {{"Content-Type", "application/json"}, {"X-Odd", ""}};
    request.username = "Administrator";
    request.password = "password";
    Answer answer;
    w.get(answer, request);
    const std::string got = w.server.requests.at(0);
    CHECK(got.starts_with("POST /query/service HTTP/1.1\r\n"));
    CHECK(got.ends_with("\r\n\r\n" + request.body));
    CHECK(got.find("Content-Length: 9\r\n") != std::string::npos);
    CHECK(got.find("Content-Type: application/json\r\n") != std::string::npos);
    CHECK(got.find("X-Odd:") != std::string::npos);
    CHECK(got.find("Expect") == std::string::npos);
    CHECK(got.find("Authorization: Basic QWRtaW5pc3RyYXRvcjpwYXNzd29yZA==\r\n") != std::string::npos);

    Answer empty;
    request.body.clear();
    request.method = "PUT";
    request.headers.clear();
    w.get(empty, request);
    CHECK(w.server.requests.at(1).starts_with("PUT /query/service"));
    CHECK(w.server.requests.at(1).find("Content-Length: 0\r\n") != std::string::npos);
    CHECK(w.server.requests.at(1).find("urlencoded") == std::string::npos);

    w.server.answer = [](Peer& peer) { peer.send("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n"); };
    Answer head;
    request.method = "HEAD";
    w.get(head, request);
    CHECK(head.status == 404);
    CHECK(head.body.empty());
    CHECK_FALSE(head.end->error);
}

TEST_CASE("A large body is sent whole") {
    World w;
    auto request = w.to_server();
    request.method = "POST";
    for (int i = 0; i < 300'000; ++i) request.body += std::to_string(i);
    Answer answer;
    w.get(answer, request);
    CHECK(answer.status == 200);
    CHECK(w.server.requests.at(0).ends_with(request.body));
}

TEST_CASE("A stream is told as it comes") {
    World w;
    w.server.answer = [](Peer& peer) {
        peer.send(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type:  application/json\r\n"
            "Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    };
    Answer answer;
    const auto exchange = w.client->start(w.to_server(), answer);
    REQUIRE(w.run_until([&] { return answer.body == "first"; }));
    CHECK(answer.headers.get("content-type") == "application/json");
    CHECK(answer.status == 200);
    w.server.peers.at(0)->send("6\r\nsecond\r\n");
    REQUIRE(w.run_until([&] { return answer.body == "firstsecond"; }));
    CHECK_FALSE(answer.end);
    w.server.peers.at(0)->send("0\r\nContent-Type: trailer\r\n\r\n");
    REQUIRE(w.run_until([&] { return answer.end.has_value(); }));
    CHECK_FALSE(answer.end->error);
    CHECK(answer.headers.get("content-type") == "application/json");
}

TEST_CASE("The headers of the answer that counts are told, up to a bound") {
    World w;
    const std::size_t size = GENERATE(as<std::size_t>{}, 10, 60'000, 70'000);
    w.server.answer = [&](Peer& peer) {
        peer.send(
            "HTTP/1.1 100 Continue\r\nX-Meta: of no account\r\n\r\nHTTP/1.1 200 OK\r\nx-META:\t{\"rev\": 1} \r\n"
            "X-None:\r\nX-Meta: second\r\nX-Metal: no\r\nContent-Length: 0\r\n");
        for (std::size_t n = 0; n < size; n += 1000) peer.send("X-Much: " + std::string(1000, 'm') + "\r\n");
        peer.send("\r\n");
    };
    Answer answer;
    w.get(answer, w.to_server());
    REQUIRE(answer.end);
    if (size > 65'536) {
        CHECK(answer.heads == 0);
        CHECK(answer.end->error == std::errc::protocol_error);
        CHECK_THAT(answer.end->message, Catch::Contains("headers"));
        return;
    }
    CHECK_FALSE(answer.end->error);
    CHECK(answer.headers.get("X-Meta") == "{\"rev\": 1}");
    CHECK(answer.headers.get("X-None").empty());
    CHECK(answer.headers.get("X-Met").empty());
    CHECK(answer.headers.get("").empty());
    CHECK(answer.headers.get("content-length") == "0");
    CHECK(answer.headers.get("X-Much").size() == 1000);
    CHECK(answer.headers.text().find("of no account") == std::string::npos);
    CHECK(answer.headers.text().find("X-Meta: second\n") != std::string::npos);
}

TEST_CASE("Who pauses is told nothing, and the server has to wait") {
    World w;
    std::string large;
    for (int i = 0; large.size() < 32'000'000; ++i) large += std::to_string(i) + " ";
    w.server.answer = [&](Peer& peer) {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(large.size()) + "\r\n\r\n" + large);
    };
    Answer answer;
    auto request = w.to_server();
    request.idle_timeout = 300ms;  // paused time is not idle
    const auto exchange = w.client->start(request, answer);
    answer.at_body = [&] {
        exchange->pause();
        answer.at_body = nullptr;
    };
    REQUIRE(w.run_until([&] { return answer.chunks == 1; }));
    CHECK_FALSE(w.run_until([&] { return answer.chunks > 1 || answer.end; }, 800ms));
    const std::size_t sent = w.server.peers.at(0)->sent;
    CHECK(sent < large.size() - 10'000'000);  // what sockets hold is the system's affair
    exchange->resume();
    exchange->resume();
    CHECK(answer.chunks == 1);  // never inside the call
    // To and fro, at any chunk.
    int n = 0;
    answer.at_body = [&] {
        if (++n % 7 == 0) exchange->pause();
    };
    REQUIRE(w.run_until([&] {
        exchange->resume();
        return answer.end.has_value();
    }));
    CHECK_FALSE(answer.end->error);
    CHECK(answer.body == large);
}

TEST_CASE("The end waits for who has paused") {
    World w;
    Answer answer;
    const auto exchange = w.client->start(w.to_server(), answer);
    exchange->pause();
    CHECK_FALSE(w.run_until([&] { return answer.heads != 0 || answer.end; }, 200ms));
    exchange->resume();
    REQUIRE(w.run_until([&] { return answer.end.has_value(); }));
    CHECK(answer.body == "hi");
}

TEST_CASE("An exchange may be destroyed at any moment, by its receiver too") {
    World w;
    const int when = GENERATE(0, 1, 2, 3, 4);
    INFO("moment " << when);
    Answer answer;
    auto exchange = w.client->start(w.to_server(), answer);
    if (when == 0) exchange.reset();
    const auto destroy = [&] { exchange.reset(); };
    if (when == 1) answer.at_head = destroy;
    if (when == 2) answer.at_body = destroy;
    if (when == 3) answer.at_end = destroy;
    if (when == 4) {
        w.server.answer = [](Peer&) {};
        REQUIRE(w.run_until([&] { return w.server.requests.size() == 1; }));
        exchange.reset();
        CHECK(w.run_until([&] { return w.server.peers.at(0)->closed; }));  // its connection goes with it
        w.server.answer = [](Peer& peer) { peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); };
    }
    CHECK_FALSE(w.run_until([&] { return answer.end.has_value() && when != 3; }, 100ms));
    CHECK(answer.heads == (when == 0 || when == 4 ? 0 : 1));
    CHECK(answer.chunks == (when == 2 || when == 3 ? 1 : 0));
    CHECK(answer.end.has_value() == (when == 3));
    Answer next;  // nothing is broken by that
    w.get(next, w.to_server());
    CHECK(next.status == 200);
}

TEST_CASE("A receiver may start the next request, and what it throws comes out of the loop") {
    World w;
    Answer first, second;
    std::unique_ptr<HttpExchange> one, two;
    first.at_end = [&] { two = w.client->start(w.to_server("/two"), second); };
    one = w.client->start(w.to_server("/one"), first);
    REQUIRE(w.run_until([&] { return second.end.has_value(); }));
    CHECK(w.server.requests.size() == 2);

    Answer third;
    third.at_head = [] { throw std::runtime_error("from a receiver"); };
    one = w.client->start(w.to_server(), third);
    CHECK_THROWS_WITH(w.run_until([&] { return third.end.has_value(); }), "from a receiver");
    REQUIRE(w.run_until([&] { return third.end.has_value(); }));  // the rest is told all the same
    CHECK(third.body == "hi");
}

TEST_CASE("A receiver may throw, or go, at any piece of a body that curl was told to hold back") {
    World w;
    std::string large;
    for (int i = 0; large.size() < 8'000'000; ++i) large += std::to_string(i) + " ";
    w.server.answer = [&](Peer& peer) {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(large.size()) + "\r\n\r\n" + large);
    };
    Answer answer;
    auto exchange = w.client->start(w.to_server(), answer);
    int thrown = 0;
    answer.at_body = [&] {
        if (answer.chunks % 3 == 0) throw std::runtime_error("from a receiver");
    };
    for (bool done = false; !done;) {
        try {
            done = w.run_until([&] { return answer.end.has_value(); });
            REQUIRE(done);
        } catch (const std::runtime_error&) {
            ++thrown;
        }
    }
    CHECK(thrown >= 5);
    CHECK(thrown == answer.chunks / 3);
    CHECK(answer.body == large);

    for (int last = 1; last < 12; ++last) {
        Answer cut;
        exchange = w.client->start(w.to_server(), cut);
        cut.at_body = [&] {
            if (cut.chunks == last) exchange.reset();
        };
        REQUIRE(w.run_until([&] { return exchange == nullptr; }));
        CHECK_FALSE(w.run_until([&] { return cut.chunks > last || cut.end; }, 5ms));
        CHECK(large.starts_with(cut.body));
    }
}

TEST_CASE("Nobody listens, nobody knows the name, nobody answers, nonsense is answered") {
    World w;
    Answer answer;
    auto request = w.to_server();
    SECTION("refused") {
        auto gone = std::make_unique<Server>(*w.server_iops);
        request.port = gone->port();
        gone.reset();
        w.get(answer, request);
        CHECK(answer.end->error == std::errc::connection_refused);
        CHECK_FALSE(answer.end->sent);
        CHECK(answer.end->message.find(std::to_string(request.port)) != std::string::npos);
    }
    SECTION("malformed") {
        const int what = GENERATE(0, 1, 2, 3);
        if (what == 0) request.target = "/a b";
        if (what == 1) request.headers = {{"X", "a\r\nY: b"}};
        if (what == 2) request.method = "GET / HTTP/1.1\r\n";
        if (what == 3) request.host = "a/b";
        w.get(answer, request);
        CHECK(answer.end->error == std::errc::invalid_argument);
        CHECK(w.server.peers.empty());
    }
    SECTION("silent from the start") {
        w.server.answer = [](Peer&) {};
        request.timeout = 100ms;
        const TimePoint began = w.loop.now();
        w.get(answer, request);
        CHECK(answer.end->error == std::errc::timed_out);
        CHECK(answer.end->sent);
        CHECK(w.loop.now() - began >= 100ms);
        CHECK(w.run_until([&] { return w.server.peers.at(0)->closed; }));
    }
    SECTION("silent in the middle") {
        w.server.answer = [](Peer& peer) { peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"); };
        request.idle_timeout = 100ms;
        w.get(answer, request);
        CHECK(answer.body == "half");
        CHECK(answer.end->error == std::errc::timed_out);
    }
    SECTION("closed in the middle") {
        w.server.answer = [](Peer& peer) {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
            peer.close();
        };
        w.get(answer, request);
        CHECK(answer.body == "half");
        CHECK(answer.end->error == std::errc::connection_reset);
    }
    SECTION("no HTTP") {
        w.server.answer = [](Peer& peer) { peer.send("SSH-2.0-OpenSSH_9.2p1\r\n"); };
        w.get(answer, request);
        CHECK(answer.end->error);
        CHECK(answer.heads == 0);
    }
    SECTION("a name that takes too long") {
        REQUIRE(w.iops->transport_factory().use_name_servers("127.0.0.1:" + std::to_string(w.server.port())));
        request.host = "nobody.test";  // nothing answers UDP there
        request.connect_timeout = 50ms;
        w.get(answer, request);
        CHECK(answer.end->error);
        CHECK(answer.end->message.find("nobody.test") != std::string::npos);
        CHECK_FALSE(answer.end->sent);
    }
}

TEST_CASE("A request that may do harm is not sent twice by itself") {
    World w;
    Answer first;
    w.get(first, w.to_server());
    w.server.answer = [](Peer& peer) { peer.close(); };  // the connection kept alive dies as it is used
    auto request = w.to_server();
    Answer answer;
    SECTION("POST") {
        request.method = "POST";
        request.body = "x";
        w.get(answer, request);
        CHECK(answer.end->error == std::errc::connection_reset);
        CHECK(answer.end->sent);
        CHECK(w.server.requests.size() == 2);
    }
    SECTION("GET") {
        w.get(answer, request);
        CHECK(answer.end->error == std::errc::connection_reset);
        CHECK(w.server.requests.size() == 3);  // once more, on a connection of its own
    }
}

TEST_CASE("Names of the hosts file, IPv6, and no proxy") {
    World w;
    Answer answer;
    auto request = w.to_server();
    SECTION("localhost") {
        request.host = "localhost";
        w.get(answer, request);
        CHECK(answer.body == "hi");
        CHECK(w.server.requests.at(0).find("Host: localhost:") != std::string::npos);
    }
    SECTION("IPv6") {
        std::unique_ptr<Server> server;
        try {
            server = std::make_unique<Server>(*w.server_iops, "::1");
        } catch (const std::system_error&) {
            WARN("no IPv6 on this machine");
            return;
        }
        request.host = "::1";
        request.port = server->port();
        w.get(answer, request);
        CHECK(answer.body == "hi");
        CHECK(server->requests.at(0).find("Host: [::1]:") != std::string::npos);
    }
    SECTION("no proxy") {
        ::setenv("http_proxy", "http://127.0.0.1:1", 1);
        w.get(answer, request);
        ::unsetenv("http_proxy");
        CHECK(answer.body == "hi");
    }
}

TEST_CASE("Many requests at once") {
    World w;
    std::vector<std::unique_ptr<Answer>> answers;
    std::vector<std::unique_ptr<HttpExchange>> exchanges;
    std::ptrdiff_t most = 0;
    w.server.answer = [&](Peer& peer) {
        const auto& peers = w.server.peers;
        most = std::max(most, std::count_if(peers.begin(), peers.end(), [](const auto& p) { return !p->closed; }));
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    };
    for (int i = 0; i < 200; ++i) {
        answers.push_back(std::make_unique<Answer>());
        exchanges.push_back(w.client->start(w.to_server("/" + std::to_string(i)), *answers.back()));
    }
    REQUIRE(w.run_until(
        [&] { return std::all_of(answers.begin(), answers.end(), [](const auto& a) { return a->end.has_value(); }); }));
    for (const auto& answer : answers) CHECK(answer->body == "hi");
    CHECK(most <= 64);
}

TEST_CASE("A client that goes leaves nothing behind") {
    World w;
    w.server.answer = [](Peer&) {};
    Answer waiting, resolving;
    const auto one = w.client->start(w.to_server(), waiting);
    REQUIRE(w.run_until([&] { return w.server.requests.size() == 1; }));
    const auto two = w.client->start(w.to_server(), resolving);
    w.client.reset();
    one->pause();
    one->resume();
    CHECK_FALSE(w.run_until([&] { return waiting.end || resolving.end; }, 50ms));
    CHECK(w.run_until([&] { return w.server.peers.at(0)->closed; }));
}

TEST_CASE("While nothing is under way the loop has nothing to wait for") {
    EpollLoop loop;
    const auto iops = loop.make_iops();
    const auto client = iops->make_http_client();
    testing::LocalCluster cluster = testing::LocalCluster::on_thread({});
    HttpClient::Request request;
    request.host = "127.0.0.1";
    request.port = cluster.management_endpoint(0).port;
    request.target = "/pools";
    Answer answer;
    const auto exchange = client->start(request, answer);
    loop.run();  // returns when nothing is armed
    CHECK(answer.status == 200);
    CHECK(answer.end.has_value());
}

TEST_CASE("The local cluster's management service") {
    EpollLoop loop;
    testing::LocalCluster cluster{loop, {.nodes = 2}};
    const auto iops = loop.make_iops();
    const auto client = iops->make_http_client();
    const auto run_until = [&](const std::function<bool()>& done) {
        const TimePoint end = loop.now() + 10s;
        while (!done() && loop.now() < end) loop.run_one_turn(20ms);
        return done();
    };
    HttpClient::Request request;
    request.host = "127.0.0.1";
    request.port = cluster.management_endpoint(0).port;
    request.target = "/pools/default/bs/default";
    Answer refused;
    const auto without = client->start(request, refused);
    REQUIRE(run_until([&] { return refused.end.has_value(); }));
    CHECK(refused.status == 401);

    request.username = "Administrator";
    request.password = "password";
    Answer stream;
    const auto with = client->start(request, stream);
    REQUIRE(run_until([&] { return stream.body.ends_with("\n\n\n\n"); }));
    CHECK(stream.status == 200);
    const std::size_t first = stream.body.size();
    cluster.failover(1);
    REQUIRE(run_until([&] { return stream.body.size() > first && stream.body.ends_with("\n\n\n\n"); }));
    CHECK_FALSE(stream.end);
    cluster.kill_node(0);
    REQUIRE(run_until([&] { return stream.end.has_value(); }));
}
