// The simulated memcached against scripts with their expected answers, whole and in pieces; SASL with our client's
// half.

#include "memcached_script.hpp"

#include "cluster/memcached/engine.hpp"
#include "protocol/data_requests.hpp"
#include "protocol/response_encoder.hpp"

#include <catch2/catch.hpp>

#include <memory>

using namespace chaise;
using namespace chaise::testing;
using protocol::Opcode;
using protocol::Status;

namespace {

class EngineTarget : public ScriptTarget {
public:
    explicit EngineTarget(MemcachedOptions options = {}, std::size_t piece = ~std::size_t{0})
        : engine(std::move(options)), piece_(piece) {}
    void connect() override { connection_ = std::make_unique<MemcachedConnection>(engine); }
    std::string exchange(const std::string& bytes, const std::function<bool(std::string_view)>&,
                         bool& closed) override {
        std::string out;
        for (std::size_t at = 0; at < bytes.size(); at += std::min(piece_, bytes.size())) {
            connection_->feed(std::string_view(bytes).substr(at, piece_));
            while (connection_->step(now, out)) {
            }
        }
        closed = connection_->closing();
        return out;
    }
    void wait(int seconds) override { now += seconds; }

    MemcachedEngine engine;
    UnixSeconds now = 1'700'000'000;

private:
    std::size_t piece_;
    std::unique_ptr<MemcachedConnection> connection_;
};

void expect_clean(const std::vector<std::string>& complaints) {
    for (const std::string& complaint : complaints) FAIL_CHECK(complaint);
    CHECK(complaints.empty());
}

}  // namespace

TEST_CASE("the simulated memcached answers as the script says", "[memcached]") {
    EngineTarget target;
    expect_clean(run_script(target, memcached_script()));
}

TEST_CASE("the same in pieces", "[memcached]") {
    for (std::size_t piece : {7U, 24U, 1000U}) {
        EngineTarget target{{}, piece};
        expect_clean(run_script(target, memcached_script()));
    }
}

TEST_CASE("a script that expects something else is refused", "[memcached]") {
    for (auto spoil : {+[](ScriptAnswer& a) { a.value += "x"; }, +[](ScriptAnswer& a) { a.extras = u32(77); },
                       +[](ScriptAnswer& a) { a.status = Status::einval; }, +[](ScriptAnswer& a) { a.cas = false; },
                       +[](ScriptAnswer& a) { a.key = "b"; }}) {
        EngineTarget target;
        std::vector<ScriptStep> script{
            {"set",
             {{.opcode = Opcode::set, .key = "a", .extras = u32(1) + u32(0), .value = "v"}},
             {{.of = 0, .cas = true}}},
            {"get", {{.opcode = Opcode::get, .key = "a"}}, {{.of = 0, .value = "v", .extras = u32(1), .cas = true}}}};
        spoil(script[1].expect[0]);
        CHECK(run_script(target, script).size() == 1);
    }
    EngineTarget target;
    CHECK(run_script(target, {{"silence", {{.opcode = Opcode::noop}}, {}}}).size() == 1);
    CHECK(run_script(target, {{"noise", {}, {{.of = 0}}}}).size() >= 1);
    CHECK(run_script(target, {{"closed", {{.opcode = Opcode::noop}}, {{.of = 0}}, true}}).size() == 1);
}

TEST_CASE("nothing but SASL before authentication", "[memcached]") {
    EngineTarget target{{.users = {{"user", "pencil"}}}};
    expect_clean(run_script(target, unauthenticated_script()));
}

TEST_CASE("every mechanism lets the right password in, and no other", "[memcached]") {
    for (const char* mechanism : {"PLAIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"}) {
        for (const bool right : {true, false}) {
            INFO(mechanism << (right ? " right" : " wrong"));
            MemcachedEngine engine{{.users = {{"other", "x"}, {"user", "pencil"}}}};
            MemcachedConnection connection{engine};
            protocol::SaslClient client{mechanism, "user", right ? "pencil" : "pen", "0123456789abcdef0123"};
            auto result = client.start();
            Opcode opcode = Opcode::sasl_auth;
            int rounds = 0;
            Status last = Status::success;
            while (result.kind == protocol::SaslResult::Kind::send && rounds++ < 5) {
                std::string bytes;
                protocol::append_to(bytes, protocol::StoreRequest{.key = mechanism, .value = result.data});
                // A SASL request is a store request without extras.
                bytes = std::string(24, '\0') + mechanism + result.data;
                bytes[0] = static_cast<char>(0x80);
                bytes[1] = static_cast<char>(opcode);
                bytes[3] = static_cast<char>(std::string_view(mechanism).size());
                protocol::store_be32(bytes.data() + 8, static_cast<std::uint32_t>(bytes.size() - 24));
                connection.feed(bytes);
                std::string out;
                REQUIRE(connection.step(1000, out));
                protocol::Frame frame;
                REQUIRE(protocol::parse_frame(out, frame).status == protocol::ParseStatus::complete);
                last = frame.status();
                result = client.step(frame.status(), frame.value);
                opcode = Opcode::sasl_step;
            }
            CHECK((result.kind == protocol::SaslResult::Kind::done) == right);
            CHECK(connection.authenticated() == right);
            CHECK((last == Status::success) == right);
            CHECK_FALSE(connection.closing());
        }
    }
}

TEST_CASE("stat: real numbers, ended by an empty frame", "[memcached]") {
    EngineTarget target;
    expect_clean(run_script(target, {{"set",
                                      {{.opcode = Opcode::set, .key = "a", .extras = u64(0), .value = "v"},
                                       {.opcode = Opcode::get, .key = "a"},
                                       {.opcode = Opcode::get, .key = "b"}},
                                      {{.of = 0, .cas = true},
                                       {.of = 1, .value = "v", .extras = u32(0), .cas = true},
                                       {.of = 2, .status = Status::key_enoent, .value = "Not found"}}}}));
    MemcachedConnection connection{target.engine};
    for (const char* group : {"", "settings", "items", "slabs"}) {
        std::string bytes(24, '\0');
        bytes[0] = static_cast<char>(0x80);
        bytes[1] = static_cast<char>(Opcode::stat);
        bytes[3] = bytes[11] = static_cast<char>(std::string_view(group).size());
        connection.feed(bytes + group);
        std::string out;
        REQUIRE(connection.step(target.now, out));
        std::map<std::string, std::string> stats;
        std::string_view rest = out;
        protocol::Frame frame;
        bool ended = false;
        while (!rest.empty()) {
            CHECK_FALSE(ended);
            const auto parsed = protocol::parse_frame(rest, frame);
            REQUIRE(parsed.status == protocol::ParseStatus::complete);
            rest.remove_prefix(parsed.size);
            ended = frame.key.empty() && frame.value.empty();
            if (!ended) stats.emplace(frame.key, frame.value);
        }
        CHECK(ended);
        CHECK_FALSE(stats.empty());
        if (*group == '\0') {
            CHECK(stats["cmd_get"] == "2");
            CHECK(stats["get_hits"] == "1");
            CHECK(stats["get_misses"] == "1");
            CHECK(stats["curr_items"] == "1");
            CHECK(stats["curr_connections"] == "2");
        }
    }
}

TEST_CASE("an endless value is swallowed without being kept", "[memcached]") {
    EngineTarget target;
    MemcachedConnection connection{target.engine};
    std::string head(32, '\0');
    head[0] = static_cast<char>(0x80);
    head[1] = static_cast<char>(Opcode::set);
    head[3] = 1;
    head[4] = 8;
    protocol::store_be32(head.data() + 8, 1'000'000'009);
    connection.feed(head + "k");
    std::string out;
    const std::string piece(100'000, 'x');
    CHECK(connection.step(1, out));
    for (int i = 0; i < 1000; ++i) {
        connection.feed(piece);
        CHECK_FALSE(connection.step(1, out));
        CHECK(connection.buffered() <= piece.size());
    }
    CHECK(out.empty());
}
