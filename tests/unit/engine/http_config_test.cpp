// Cluster maps over HTTP: where the key-value protocol gives none, or is not to be asked.

#include "session/attempt_limits.hpp"
#include "tests/unit/engine/cluster_fixture.hpp"
#include "tests/unit/engine/script_http.hpp"
#include "topology/config_documents.hpp"

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

struct HttpFixture : ClusterFixture {
    explicit HttpFixture(std::string_view where, ScriptMap map = ScriptMap::spread({"n1", "n2"}))
        : ClusterFixture(std::move(map), where) {}
    ~HttpFixture() {
        bucket.reset();
        CHECK(http.open() == 0);
    }
    /// The stream that is asked for, with the map in force behind it.
    void stream(std::size_t n) {
        http.asked.at(n).head(200);
        http.asked.at(n).body(cluster.map.text() + "\n\n\n\n");
        loop.run();
    }
    ScriptHttp http{loop};
};

std::vector<std::string> cut(std::string_view text, std::size_t chunk) {
    detail::ConfigDocuments documents(1000);
    std::vector<std::string> out;
    for (std::size_t at = 0; at < text.size(); at += chunk) {
        CHECK(documents.feed(text.substr(at, chunk)));
        for (std::string one(documents.next()); !one.empty(); one = documents.next()) out.push_back(one);
    }
    return out;
}

}  // namespace

TEST_CASE("the stream is cut at four newlines, wherever its chunks end", "[http config]") {
    const std::string text = "\n\n\n\n{\n\n\n1}\n\n\n\n\n\n\n\n\n{2}\n\n\n\n{3}\n\n\n\n\n{4}\n\n\n";
    for (std::size_t chunk = 1; chunk < text.size() + 1; ++chunk) {
        CHECK(cut(text, chunk) == std::vector<std::string>{"{\n\n\n1}", "{2}", "{3}"});
    }
    detail::ConfigDocuments large(1 << 20);
    std::string document(300000, 'x');
    for (std::size_t at = 1000; at < document.size(); at += 1000) document.replace(at, 3, "\n\n\n");
    for (const char c : document + "\n\n\n") {
        REQUIRE(large.feed({&c, 1}));
        REQUIRE(large.next().empty());
    }
    CHECK(large.feed("\n{2}\n\n"));
    CHECK(large.next() == document);
    CHECK(large.next().empty());
    CHECK(large.feed("\n\n"));
    CHECK(large.next() == "{2}");
    detail::ConfigDocuments documents(10);
    CHECK(documents.feed("0123456789"));
    CHECK_FALSE(documents.feed("0"));
    detail::ConfigDocuments whole(4);
    CHECK(whole.feed("0123456789\n\n\n\n"));  // what has come whole has come
}

TEST_CASE("bootstrap_on=http: the map comes from the stream, and so do those after it", "[http config]") {
    HttpFixture f("couchbase://n1/default?bootstrap_on=http");
    Outcome& connect = f.track(f.bucket->connect());
    Outcome& get = f.get("k", {.quiet = true});
    f.loop.run();
    REQUIRE(f.http.asked.size() == 1);
    const HttpClient::Request& request = f.http.last().request;
    CHECK(request.host == "n1");
    CHECK(request.port == 8091);
    CHECK(request.target == "/pools/default/bs/default");
    CHECK(request.username == "me");
    CHECK(request.password == "secret");
    CHECK(f.cluster.open() == 0);
    f.stream(0);
    CHECK(connect.ok());
    CHECK(get.ok());
    CHECK(f.bucket->connected());
    CHECK(f.http.asked.at(0).receiver != nullptr);  // it goes on

    const std::string key = f.cluster.key_at("n1");
    f.cluster.publish(f.cluster.moved(key, 1));
    const std::string text = f.cluster.map.text() + "\n\n\n\n";
    f.http.last().body(text.substr(0, 100));
    f.http.last().body(text.substr(100));
    f.loop.run();
    Outcome& moved = f.get(key, {.quiet = true});
    f.loop.run();
    CHECK(moved.ok());
    CHECK(f.cluster.path(key) == std::vector<std::string>{"n2"});
}

TEST_CASE("nodes that give no map are of use with maps from HTTP", "[http config]") {
    HttpFixture f("couchbase://n1");
    f.cluster.node("n1").no_maps = f.cluster.node("n2").no_maps = true;
    Outcome& connect = f.track(f.bucket->connect());
    f.loop.run();
    CHECK(connect.pending());  // the key-value port said that it has none
    CHECK(f.cluster.node("n1").bootstraps == 1);
    REQUIRE(f.http.asked.size() == 1);
    f.stream(0);
    CHECK(connect.ok());
    CHECK(f.bucket->connected());
    // A node that is lost and comes back; one that refuses what it has no more.
    f.cluster.reset("n2");
    f.loop.advance(1s);
    CHECK(f.bucket->connected());
    const std::string key = f.cluster.key_at("n1");
    f.cluster.publish(f.cluster.moved(key, 1));
    f.cluster.node("n1").body = false;
    Outcome& get = f.get(key, {.quiet = true});
    f.loop.advance(100ms);
    CHECK(get.pending());
    f.http.last().body(f.cluster.map.text() + "\n\n\n\n");
    f.loop.advance(1s);
    CHECK(get.ok());
    CHECK(f.cluster.node("n1").config_asked + f.cluster.node("n2").config_asked == 0);
}

TEST_CASE("where the key-value protocol gives maps HTTP is not asked", "[http config]") {
    HttpFixture f("couchbase://n1,n9");
    f.cluster.refuse("n9");
    f.connected();
    f.loop.advance(10s);
    CHECK(f.http.asked.empty());
}

TEST_CASE("bootstrap_on=cccp: HTTP is not asked though nothing else is left", "[http config]") {
    HttpFixture f("couchbase://n1?bootstrap_on=cccp");
    f.cluster.node("n1").no_maps = true;
    Outcome& connect = f.track(f.bucket->connect());
    f.loop.advance(5s);
    CHECK(connect.failed(errc::unsupported_operation));
    CHECK(f.http.asked.empty());
}

TEST_CASE("older servers have the stream elsewhere", "[http config]") {
    HttpFixture f("couchbase://n1?bootstrap_on=http");
    Outcome& connect = f.track(f.bucket->connect());
    f.loop.run();
    f.http.last().head(404);
    REQUIRE(f.http.asked.size() == 2);
    CHECK(f.http.last().request.target == "/pools/default/bucketsStreaming/default");
    f.stream(1);
    CHECK(connect.ok());
}

TEST_CASE("what a person reads when HTTP gives no map", "[http config][golden]") {
    struct Case {
        const char* what;
        std::function<void(ScriptHttp&)> answer;
        errc code;
        const char* message;
    };
    const std::vector<Case> cases = {
        {"401", [](ScriptHttp& http) { http.last().head(401); }, errc::authentication_failure,
         "connect at n1:8091: authentication failure: the management service refused the username or the password of "
         "user \"me\""},
        {"404",
         [](ScriptHttp& http) {
             http.last().head(404);
             http.last().head(404);
         },
         errc::bucket_not_found,
         "connect at n1:8091: bucket not found: bucket \"default\" does not exist, or user \"me\" has no access to it, "
         "HTTP status 404"},
        {"503", [](ScriptHttp& http) { http.last().head(503); }, errc::temporary_failure,
         "connect at n1:8091: temporary failure: the management service answers with HTTP status 503"},
        {"no JSON",
         [](ScriptHttp& http) {
             http.last().head(200);
             http.last().body("[]\n\n\n\n");
         },
         errc::protocol_error, nullptr},
        {"refused",
         [](ScriptHttp& http) { http.last().end(std::make_error_code(std::errc::connection_refused), "no way"); },
         errc::not_connected, "connect at n1:8091: not connected: no way"},
        {"unknown",
         [](ScriptHttp& http) {
             http.last().end(std::make_error_code(std::errc::host_unreachable), "who is n1?", false);
         },
         errc::host_not_found, "connect at n1:8091: host not found: who is n1?"},
        {"ended",
         [](ScriptHttp& http) {
             http.last().head(200);
             http.last().end();
         },
         errc::not_connected, nullptr},
    };
    for (const Case& one : cases) {
        INFO(one.what);
        HttpFixture f("couchbase://n1?bootstrap_on=http");
        Outcome& connect = f.track(f.bucket->connect());
        f.loop.run();
        REQUIRE(f.http.asked.size() == 1);
        one.answer(f.http);
        f.loop.run();
        REQUIRE(connect.error);
        CHECK(name(connect.error->code()) == name(one.code));
        if (one.message) CHECK(connect.error->message() == one.message);
        CHECK(f.http.open() == 0);
        // And it is tried again.
        const std::size_t asked = f.http.asked.size();
        Outcome& again = f.track(f.bucket->connect());
        f.loop.advance(1s);
        REQUIRE(f.http.asked.size() == asked + 1);
        f.stream(asked);
        CHECK(again.ok());
    }
}

TEST_CASE("a management service that is silent is given up within connect_timeout", "[http config]") {
    HttpFixture f("couchbase://n1,n2?bootstrap_on=http&connect_timeout=2");
    Outcome& connect = f.track(f.bucket->connect({.timeout = 20s}));
    f.loop.advance(1999ms);
    CHECK(f.http.asked.size() == 1);
    f.loop.advance(1ms);
    REQUIRE(f.http.asked.size() == 2);
    CHECK(f.http.asked[0].receiver == nullptr);
    CHECK(f.http.asked[0].request.host != f.http.asked[1].request.host);
    f.http.last().head(200);  // a head alone is no map
    f.loop.advance(2s);
    CHECK(connect.failed(errc::timeout_before_send));
    CHECK_THAT(connect.error->message(), Catch::Contains("n1:8091") && Catch::Contains("n2:8091"));
}

TEST_CASE("both ways fail: the error tells of both", "[http config][golden]") {
    HttpFixture f("couchbase://n1");
    f.cluster.refuse("n1");
    Outcome& connect = f.track(f.bucket->connect());
    f.loop.run();
    f.http.last().end(std::make_error_code(std::errc::connection_refused), "no HTTP either");
    f.loop.run();
    REQUIRE(connect.error);
    CHECK(connect.error->message() ==
          "connect at n1:11210: not connected: cannot connect: Connection refused; n1:8091: no HTTP either");
    // The key-value protocol has its turn in every round.
    f.cluster.refuse("n1", false);
    f.loop.advance(1s);
    CHECK(f.bucket->connected());
}

TEST_CASE("SRV records name management services, too", "[http config]") {
    HttpFixture f("couchbase://example.com");
    f.loop.net.services = {{"_couchbase._tcp.example.com", {{"s1", 11999}}}};
    f.cluster.refuse("s1");
    Outcome& connect = f.track(f.bucket->connect());
    f.loop.run();
    std::set<std::string> asked;
    while (f.http.last().receiver) {
        CHECK(f.http.last().request.port == 8091);
        asked.insert(f.http.last().request.host);
        if (asked.size() == 2) break;
        f.http.last().end(std::make_error_code(std::errc::connection_refused), "no way");
        f.loop.run();
    }
    REQUIRE(asked == std::set<std::string>{"example.com", "s1"});
    f.stream(1);
    CHECK(connect.ok());
}

TEST_CASE("a name server that is silent about SRV records does not keep HTTP waiting", "[http config]") {
    HttpFixture f("couchbase://n1");
    f.loop.net.services.emplace();
    f.loop.net.hang_service = true;
    f.cluster.node("n1").no_maps = f.cluster.node("n2").no_maps = true;
    Outcome& connect = f.track(f.bucket->connect());
    f.loop.advance(499ms);
    CHECK(f.http.asked.empty());
    f.loop.advance(1ms);
    REQUIRE(f.http.asked.size() == 1);
    f.stream(0);
    CHECK(connect.ok());
    CHECK(f.loop.net.pending->empty());
}

TEST_CASE("SRV records that come while HTTP is asked: their hosts have their turn once", "[http config]") {
    HttpFixture f("couchbase://n1");
    f.loop.net.services = {{"_couchbase._tcp.n1", {{"s1", 11210}, {"s1", 11210}, {"n1", 11210}}}};
    f.cluster.node("s1");
    f.cluster.refuse("n1");
    f.cluster.refuse("s1");
    const auto attempts_at = [&](const std::string& host) {
        return std::count_if(f.loop.net.attempts.begin(), f.loop.net.attempts.end(),
                             [&](const Endpoint& at) { return at.address == host; });
    };
    Outcome& connect = f.track(f.bucket->connect());
    for (int round = 1; round <= 5; ++round) {
        f.loop.net.hang_service = true;
        for (int i = 0; i < 100 && f.http.open() == 0; ++i) f.loop.advance(100ms);
        REQUIRE(f.http.open() == 1);
        f.loop.net.hang_service = false;
        f.loop.run();  // the records come
        CHECK(attempts_at("s1") == round);
        CHECK(connect.pending() == (round == 1));
        while (f.http.open() != 0) {
            f.http.last().end(std::make_error_code(std::errc::connection_refused), "no way");
            f.loop.run();
        }
    }
}

TEST_CASE("a stream that ends is looked for at the next node, of the map too", "[http config]") {
    HttpFixture f("couchbase://n1?bootstrap_on=http");
    f.loop.run();
    f.stream(0);
    CHECK(f.bucket->connected());
    std::set<std::string> asked;
    for (int i = 0; i < 20; ++i) {
        const std::size_t n = f.http.asked.size();
        f.http.last().end(std::make_error_code(std::errc::connection_reset), "gone");
        f.loop.advance(2s);
        REQUIRE(f.http.asked.size() == n + 1);
        asked.insert(f.http.last().request.host);
        f.stream(n);
    }
    CHECK(asked == std::set<std::string>{"n1", "n2"});
    CHECK(f.bucket->connected());
    f.bucket.reset();
    f.loop.run();
    CHECK(f.loop.armed_timers() == 0);
}

TEST_CASE("a later stream that is not the bucket's is left for the next node", "[http config]") {
    HttpFixture f("couchbase://n1?bootstrap_on=http");
    f.loop.run();
    f.stream(0);
    ScriptMap other = f.cluster.map;
    other.bucket = "other";
    const std::string first = GENERATE_COPY(std::string("[]"), other.text());
    f.http.last().end(std::make_error_code(std::errc::connection_reset), "gone");
    f.loop.advance(2s);
    REQUIRE(f.http.asked.size() == 2);
    f.http.asked[1].head(200);
    f.http.asked[1].body(first + "\n\n\n\n");
    f.loop.run();
    CHECK(f.http.asked[1].receiver == nullptr);
    REQUIRE(f.http.asked.size() == 3);
    CHECK(f.http.asked[1].request.host != f.http.asked[2].request.host);
    f.stream(2);  // the map that is known already
    f.loop.advance(20s);
    CHECK(f.http.asked.size() == 3);
    CHECK(f.http.asked[2].receiver != nullptr);
}

TEST_CASE("the management service is not stormed either", "[http config]") {
    HttpFixture f("couchbase://n1?bootstrap_on=http");
    f.loop.run();
    for (int i = 0; i < 6000; ++i) {
        if (f.http.last().receiver) f.http.last().end(std::make_error_code(std::errc::connection_reset), "gone");
        f.loop.advance(10ms);
    }
    CHECK(f.http.asked.size() > 20);
    CHECK(f.http.asked.size() <= static_cast<std::size_t>(detail::AttemptLimits::per_minute));
}

TEST_CASE("every node is lost, and the seeds speak HTTP only", "[http config]") {
    HttpFixture f("couchbase://s1:9000=http");
    f.loop.run();
    REQUIRE(f.http.asked.size() == 1);
    CHECK(f.http.last().request.port == 9000);
    f.stream(0);
    CHECK(f.bucket->connected());
    for (const char* host : {"n1", "n2"}) {
        f.cluster.refuse(host);
        f.cluster.reset(host);
    }
    f.cluster.publish(ScriptMap::spread({"n3"}, 2));
    f.http.last().body(f.cluster.map.text() + "\n\n\n\n");
    Outcome& get = f.get("k", {.quiet = true});
    f.loop.advance(1s);
    CHECK(get.ok());
}

TEST_CASE("a loop without HTTP says so", "[http config]") {
    ClusterFixture f(ScriptMap::spread({"n1"}), "couchbase://n1?bootstrap_on=http");
    Outcome& connect = f.track(f.bucket->connect());
    f.loop.run();
    CHECK(connect.failed(errc::feature_not_available));
}
