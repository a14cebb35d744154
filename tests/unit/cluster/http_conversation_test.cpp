#include "cluster/http/http_conversation.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "recording_outlet.hpp"

namespace chaise::testing {
namespace {

// Remembers requests; answers the target, or a stream under /stream.
struct Echo final : HttpHandler {
    struct Stream final : HttpStream {
        Stream(Echo& its_echo, HttpSink& its_sink) : echo(its_echo), sink(its_sink) { echo.streams.push_back(this); }
        ~Stream() override { std::erase(echo.streams, this); }
        bool on_room() override {
            if (pieces == 0) return false;
            sink.send("piece");
            if (--pieces == 0) sink.end();
            return true;
        }
        int pieces = 0;
        Echo& echo;
        HttpSink& sink;
    };

    HttpResponse answer(const HttpRequest& request) override {
        requests.push_back(request);
        if (request.target == "/throw") throw std::runtime_error("a handler's mistake");
        if (request.target == "/stream") {
            return {.headers = {}, .body = {}, .stream = [this](HttpSink& sink) -> std::unique_ptr<HttpStream> {
                        sink.send("first");
                        return std::make_unique<Stream>(*this, sink);
                    }};
        }
        return {.headers = {{"X-Count", std::to_string(requests.size())}},
                .body = request.method + " " + request.target + " " + request.body,
                .stream = {}};
    }

    std::vector<HttpRequest> requests;
    std::vector<Stream*> streams;
};

struct Fixture {
    Echo echo;
    RecordingOutlet outlet;
    std::unique_ptr<Conversation> conversation = make_http_conversation(echo, outlet, {4096, 1000, 2000});

    void say(std::string_view bytes) { REQUIRE(conversation->on_bytes(bytes) == bytes.size()); }
    [[nodiscard]] std::string status() const { return outlet.sent.substr(0, outlet.sent.find("\r\n")); }
    [[nodiscard]] std::string body() const { return outlet.sent.substr(outlet.sent.find("\r\n\r\n") + 4); }
    [[nodiscard]] bool has(std::string_view line) const {
        return outlet.sent.find("\r\n" + std::string(line) + "\r\n") != std::string::npos;
    }
};

constexpr std::string_view get = "GET /a/b%2Fc?d=e HTTP/1.1\r\nHost: x\r\nX-Thing:  some value \r\n\r\n";

TEST_CASE("HTTP: a request and its answer") {
    Fixture f;
    f.say(get);
    REQUIRE(f.echo.requests.size() == 1);
    const HttpRequest& request = f.echo.requests[0];
    CHECK(request.method == "GET");
    CHECK(request.target == "/a/b%2Fc?d=e");
    CHECK(request.path() == std::vector<std::string>{"a", "b/c"});
    CHECK(request.header("x-THING") == "some value ");
    CHECK(request.header("absent").empty());
    CHECK(request.local_host == "192.0.2.7");
    CHECK(f.status() == "HTTP/1.1 200 OK");
    CHECK(f.has("Content-Type: application/json"));
    CHECK(f.has("Content-Length: 17"));
    CHECK(f.has("X-Count: 1"));
    CHECK(f.body() == "GET /a/b%2Fc?d=e ");
    CHECK_FALSE(f.outlet.closed);
}

TEST_CASE("HTTP: requests arrive byte by byte, and many at once") {
    Fixture f;
    for (const char byte : get) f.say({&byte, 1});
    REQUIRE(f.echo.requests.size() == 1);
    CHECK(f.echo.requests[0].header("x-thing") == "some value ");
    CHECK(f.body() == "GET /a/b%2Fc?d=e ");

    std::string many;
    for (int i = 0; i < 10; ++i) many += get;
    f.say(many);
    CHECK(f.echo.requests.size() == 11);
    CHECK(f.has("X-Count: 11"));
}

TEST_CASE("HTTP: requests behind one another wait for a client that does not read") {
    Fixture f;
    std::string many;
    for (int i = 0; i < 1000; ++i) many += get;
    f.outlet.blocked = true;
    const std::size_t used = f.conversation->on_bytes(many);
    CHECK(used < many.size());
    CHECK(f.outlet.sent.size() < 80'000);
    const std::size_t executed = f.echo.requests.size();
    CHECK(used == executed * get.size());
    CHECK(f.conversation->on_bytes(std::string_view(many).substr(used)) == 0);
    f.outlet.take();
    const std::size_t more = f.conversation->on_bytes(std::string_view(many).substr(used));
    CHECK(more > 0);
    f.outlet.blocked = false;
    f.say(std::string_view(many).substr(used + more));
    CHECK(f.echo.requests.size() == 1000);
}

TEST_CASE("HTTP: bodies") {
    Fixture f;
    f.say("POST /p HTTP/1.1\r\nContent-Length: 5\r\n\r\nhel");
    CHECK(f.echo.requests.empty());
    f.say("lo");
    CHECK(f.body() == "POST /p hello");
    f.outlet.take();
    f.say("POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    f.say("2\r\nde\r\n0\r\n\r\n");
    CHECK(f.body() == "POST /p abcde");
    f.outlet.take();
    f.say("POST /p HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
    CHECK(f.outlet.take() == "HTTP/1.1 100 Continue\r\n\r\n");
    f.say("x");
    CHECK(f.body() == "POST /p x");
}

TEST_CASE("HTTP: HEAD has the head of GET") {
    Fixture f;
    f.say("HEAD /x HTTP/1.1\r\n\r\n");
    CHECK(f.has("Content-Length: 8"));
    CHECK(f.body().empty());
    f.outlet.take();
    f.say("HEAD /stream HTTP/1.1\r\n\r\n");
    CHECK(f.status() == "HTTP/1.1 200 OK");
    CHECK(f.body().empty());
    CHECK(f.echo.streams.empty());
    f.outlet.take();
    f.say(get);
    CHECK(f.body() == "GET /a/b%2Fc?d=e ");
}

TEST_CASE("HTTP: keep-alive as the versions have it") {
    const auto [text, stays] = GENERATE(table<const char*, bool>({
        {"GET / HTTP/1.1\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", false},
    }));
    CAPTURE(text);
    Fixture f;
    f.say(text);
    CHECK(f.status() == "HTTP/1.1 200 OK");
    CHECK(f.outlet.closed == !stays);
    CHECK(f.has("Connection: close") == !stays);
    f.outlet.take();
    f.say(get);
    CHECK(f.echo.requests.size() == (stays ? 2 : 1));
}

TEST_CASE("HTTP: an open-ended answer comes in chunks until it ends") {
    Fixture f;
    f.say("GET /stream HTTP/1.1\r\n\r\n");
    CHECK(f.has("Transfer-Encoding: chunked"));
    CHECK(f.body() == "5\r\nfirst\r\n");
    REQUIRE(f.echo.streams.size() == 1);
    f.outlet.take();
    f.echo.streams[0]->sink.send("then sixteen byte");
    f.echo.streams[0]->sink.send("");
    CHECK(f.outlet.take() == "11\r\nthen sixteen byte\r\n");
    // What comes behind is not answered in the middle of it.
    CHECK(f.conversation->on_bytes(get) == 0);
    CHECK(f.echo.requests.size() == 1);
    f.echo.streams[0]->sink.end();
    f.echo.streams[0]->sink.send("too late");
    CHECK(f.outlet.take() == "0\r\n\r\n");
    CHECK_FALSE(f.outlet.closed);
    CHECK(f.outlet.resumed > 0);
    CHECK_FALSE(f.conversation->on_room());
    CHECK(f.echo.streams.empty());
    f.say(get);
    CHECK(f.echo.requests.size() == 2);
    CHECK(f.status() == "HTTP/1.1 200 OK");
}

TEST_CASE("HTTP: a long answer is asked for piece by piece, and the connection stays") {
    Fixture f;
    f.say("GET /stream HTTP/1.1\r\n\r\n");
    f.echo.streams.at(0)->pieces = 2;
    f.outlet.take();
    CHECK(f.conversation->on_room());
    CHECK(f.outlet.take() == "5\r\npiece\r\n");
    CHECK(f.conversation->on_room());
    CHECK(f.outlet.take() == "5\r\npiece\r\n0\r\n\r\n");
    CHECK(f.echo.streams.empty());
    CHECK_FALSE(f.conversation->on_room());
    f.say(get);
    CHECK(f.status() == "HTTP/1.1 200 OK");
}

TEST_CASE("HTTP: an answer that is cut off ends with the connection") {
    Fixture f;
    f.say("GET /stream HTTP/1.1\r\n\r\n");
    f.echo.streams.at(0)->sink.cut();
    f.echo.streams.at(0)->sink.end();
    CHECK(f.outlet.closed);
    CHECK(f.body() == "5\r\nfirst\r\n");
}

TEST_CASE("HTTP: a stream for HTTP/1.0 is not chunked and ends with the connection") {
    Fixture f;
    f.say("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK(f.has("Connection: close"));
    CHECK(f.body() == "first");
    f.echo.streams.at(0)->sink.end();
    CHECK(f.outlet.closed);
}

TEST_CASE("HTTP: a stream that the client does not read is cut off") {
    Fixture f;
    f.say("GET /stream HTTP/1.1\r\n\r\n");
    f.outlet.blocked = true;
    for (int i = 0; i < 100 && !f.outlet.closed; ++i) f.echo.streams.at(0)->sink.send(std::string(100, 'x'));
    CHECK(f.outlet.closed);
    CHECK(f.outlet.sent.size() < 2500);
}

TEST_CASE("HTTP: what is no HTTP, or too much, is refused and closed") {
    const auto [text, status] = GENERATE(table<std::string, std::string>({
        {std::string("\x80\x00\x00\x03", 4), "400 Bad Request"},
        {"SOMETHING / HTTP/1.1\r\n\r\n", "400 Bad Request"},
        {"GET / HTTP/9.9.9\r\n\r\n", "400 Bad Request"},
        {"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400 Bad Request"},
        {"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400 Bad Request"},
        {"GET /" + std::string(5000, 'a') + " HTTP/1.1\r\n\r\n", "431 Request Header Fields Too Large"},
        {"GET / HTTP/1.1\r\nA: " + std::string(5000, 'a') + "\r\n\r\n", "431 Request Header Fields Too Large"},
        {"GET / HTTP/1.1\r\n" +
             [] {
                 std::string headers;
                 for (int i = 0; i < 100; ++i) headers += "A: b\r\n";
                 return headers;
             }() +
             "\r\n",
         "431 Request Header Fields Too Large"},
        {"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", "413 Payload Too Large"},
        {"POST / HTTP/1.1\r\nContent-Length: 99999999999999\r\n\r\n", "413 Payload Too Large"},
        {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + std::string(1001, 'b'),
         "413 Payload Too Large"},
    }));
    CAPTURE(text);
    Fixture f;
    f.say(text);
    CHECK(f.status() == "HTTP/1.1 " + status);
    CHECK(f.has("Connection: close"));
    CHECK(f.outlet.closed);
    CHECK(f.echo.requests.empty());
    f.outlet.take();
    f.say(get);
    CHECK(f.outlet.sent.empty());
}

TEST_CASE("HTTP: a handler's exception passes through, for the server to close") {
    Fixture f;
    CHECK_THROWS_WITH(f.conversation->on_bytes("GET /throw HTTP/1.1\r\n\r\n"), "a handler's mistake");
}

TEST_CASE("HTTP: credentials and percent signs") {
    HttpRequest request;
    CHECK(request.basic_credentials() == std::pair<std::string, std::string>());
    request.headers = {{"Authorization", "bAsIc QWxhZGRpbjpvcGVuOnNlc2FtZQ=="}};
    CHECK(request.basic_credentials() == std::pair<std::string, std::string>("Aladdin", "open:sesame"));
    request.headers = {{"Authorization", "Basic !!!"}};
    CHECK(request.basic_credentials().first.empty());
    request.headers = {{"Authorization", "Bearer QWxhZGRpbjpvcGVuOnNlc2FtZQ=="}};
    CHECK(request.basic_credentials().first.empty());
    CHECK(percent_decode("a%20b%2") == "a b%2");
    CHECK(percent_decode("%zz%41%") == "%zzA%");
    CHECK(percent_encode("a b/ü~") == "a%20b%2F%C3%BC~");
    request.target = "//x//y?/z";
    CHECK(request.path() == std::vector<std::string>{"x", "y"});
}

}  // namespace
}  // namespace chaise::testing
