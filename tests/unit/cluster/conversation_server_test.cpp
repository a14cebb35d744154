#include "cluster/net/conversation_server.hpp"

#include <chaise/epoll.hpp>
#include <chaise/testing/simulation.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chaise::testing {
namespace {

using namespace std::chrono_literals;

// Lines: each is answered, some do more.
class Lines final : public Conversation {
public:
    Lines(Outlet& outlet, int& alive) : outlet_(outlet), alive_(alive) { ++alive_; }
    Lines(const Lines&) = delete;
    Lines& operator=(const Lines&) = delete;
    ~Lines() override { --alive_; }

    std::size_t on_bytes(std::string_view bytes) override {
        const std::size_t end = bytes.find('\n');
        if (end == std::string_view::npos) return 0;
        const std::string_view line = bytes.substr(0, end);
        if (line == "wait" && !std::exchange(waited_, true)) {
            held = &outlet_;
            return 0;
        }
        ++executed;
        if (line == "throw") throw std::runtime_error("a conversation's mistake");
        if (line == "bye") {
            outlet_.send("bye\n");
            outlet_.close();
            outlet_.send("not sent any more\n");
        } else if (line == "host") {
            outlet_.send(outlet_.local_host() + "\n");
        } else if (line == "big") {
            outlet_.send(std::string(10'000, 'b') + "\n");
        } else {
            outlet_.send(std::string(line) + "!\n");
        }
        return end + 1;
    }

    static inline int executed = 0;
    static inline Outlet* held = nullptr;

private:
    Outlet& outlet_;
    int& alive_;
    bool waited_ = false;
};

class Client final : private TransportHandler, private ConnectHandler {
public:
    Client(IOPS& iops, const Endpoint& server) : pending_(iops.transport_factory().connect(server, *this)) {}

    void say(std::string_view bytes) {
        out_ += bytes;
        if (transport_) flush();
    }
    void hang_up() { transport_.reset(); }
    void start_reading() {
        if (transport_) transport_->read({buffer_.data(), buffer_.size()});
    }

    std::string received;
    bool reads = true;
    bool ended = false;

private:
    void on_connect(std::unique_ptr<Transport> transport, std::error_code error) override {
        REQUIRE_FALSE(error);
        transport_ = std::move(transport);
        transport_->set_handler(*this);
        if (reads) start_reading();
        flush();
    }
    void on_read(std::size_t bytes, std::error_code error) override {
        if (error || bytes == 0) {
            ended = true;
            return;
        }
        received.append(buffer_.data(), bytes);
        start_reading();
    }
    void on_writable() override {
        waiting_ = false;
        flush();
    }
    void flush() {
        while (!out_.empty() && !waiting_) {
            const ConstBuffer rest{out_.data(), out_.size()};
            const WriteResult result = transport_->write({&rest, 1});
            if (result.error) {
                ended = true;
                out_.clear();
                return;
            }
            out_.erase(0, result.bytes);
            if (!out_.empty()) {
                waiting_ = true;
                transport_->wait_writable();
            }
        }
    }

    std::vector<char> buffer_ = std::vector<char>(4096);
    std::string out_;
    bool waiting_ = false;
    std::unique_ptr<Transport> transport_;
    std::unique_ptr<Pending> pending_;
};

struct Fixture {
    explicit Fixture(const ConversationLimits& limits = {}) {
        Lines::executed = 0;
        Lines::held = nullptr;
        server = std::make_unique<ConversationServer>(
            *server_iops, Endpoint{"127.0.0.1", 0},
            [this](Outlet& outlet) -> std::unique_ptr<Conversation> {
                if (std::exchange(refuse_next, false)) throw std::runtime_error("a factory's mistake");
                return std::make_unique<Lines>(outlet, alive);
            },
            limits);
    }
    [[nodiscard]] std::unique_ptr<Client> client() { return std::make_unique<Client>(*iops, server->endpoint()); }
    template <class P>
    void until(P&& predicate) {
        const TimePoint deadline = loop.now() + 10s;
        while (!predicate() && loop.now() < deadline) loop.run_one_turn(10ms);
        REQUIRE(predicate());
    }
    void some_turns() {
        for (int i = 0; i < 20; ++i) loop.run_one_turn(1ms);
    }

    int alive = 0;
    bool refuse_next = false;
    EpollLoop loop;
    std::unique_ptr<IOPS> server_iops = loop.make_iops();
    std::unique_ptr<IOPS> iops = loop.make_iops();
    std::unique_ptr<ConversationServer> server;
};

TEST_CASE("ConversationServer: conversations are served, each for itself") {
    Fixture f;
    const auto a = f.client();
    const auto b = f.client();
    a->say("one\ntwo\nhal");
    b->say("host\n");
    f.until([&] { return a->received == "one!\ntwo!\n" && b->received == "127.0.0.1\n"; });
    CHECK(f.server->connections() == 2);
    CHECK(f.alive == 2);
    a->say("f\n");
    f.until([&] { return a->received == "one!\ntwo!\nhalf!\n"; });
    b->hang_up();
    f.until([&] { return f.server->connections() == 1 && f.alive == 1; });
    f.server.reset();
    CHECK(f.alive == 0);
    f.until([&] { return a->ended; });
}

TEST_CASE("ConversationServer: close() sends what came before it") {
    Fixture f;
    const auto a = f.client();
    a->say("big\nbig\nbye\nnot executed\n");
    f.until([&] { return a->ended; });
    CHECK(a->received.size() == 20'006);
    CHECK(a->received.substr(20'002) == "bye\n");
    CHECK(Lines::executed == 3);
    f.until([&] { return f.alive == 0; });
    CHECK(f.server->connections() == 0);
}

TEST_CASE("ConversationServer: an exception costs its client the connection, and nobody else's") {
    Fixture f;
    const auto good = f.client();
    good->say("before\n");
    f.until([&] { return good->received == "before!\n"; });
    const auto bad = f.client();
    bad->say("throw\nmore\n");
    f.until([&] { return bad->ended; });
    f.refuse_next = true;
    const auto refused = f.client();
    f.until([&] { return refused->ended; });
    CHECK(f.server->failed() == 2);
    good->say("after\n");
    f.until([&] { return good->received == "before!\nafter!\n"; });
    CHECK(f.server->connections() == 1);
    CHECK(f.server->accepted() == 3);
}

TEST_CASE("ConversationServer: nothing is executed for a client that does not read") {
    Fixture f({.output_max = 50'000});
    const auto a = f.client();
    a->reads = false;
    std::string requests;
    for (int i = 0; i < 5000; ++i) requests += "big\n";
    a->say(requests);
    f.until([&] { return Lines::executed > 0; });
    // The kernel's buffers, and then the server's own, are full.
    int executed = -1;
    for (int quiet = 0; quiet < 5;) {
        f.some_turns();
        quiet = std::exchange(executed, Lines::executed) == Lines::executed ? quiet + 1 : 0;
    }
    CHECK(executed < 5000);
    CHECK(f.server->output_peak() < 50'000 + 2 * 10'001);
    const auto b = f.client();
    b->say("x\n");
    f.until([&] { return b->received == "x!\n"; });
    // It reads at last: nothing is lost.
    a->start_reading();
    f.until([&] { return a->received.size() == std::size_t{5000} * 10'001; });
}

TEST_CASE("ConversationServer: an unfinished request may be so large and no larger") {
    Fixture f({.input_max = 100'000});
    const auto a = f.client();
    a->say(std::string(99'000, 'x') + "\n");
    f.until([&] { return a->received.size() == 99'002; });
    a->say(std::string(200'000, 'x') + "\n");
    f.until([&] { return a->ended; });
    CHECK(a->received.size() == 99'002);
}

TEST_CASE("ConversationServer: more clients than it takes are closed") {
    Fixture f({.connections_max = 2});
    const auto a = f.client();
    const auto b = f.client();
    a->say("a\n");
    b->say("b\n");
    f.until([&] { return !a->received.empty() && !b->received.empty(); });
    const auto c = f.client();
    f.until([&] { return c->ended; });
    a->hang_up();
    f.until([&] { return f.server->connections() == 1; });
    const auto d = f.client();
    d->say("d\n");
    f.until([&] { return d->received == "d!\n"; });
}

TEST_CASE("ConversationServer: input that was refused is offered again by resume(), and after more has come") {
    Fixture f;
    const auto a = f.client();
    a->say("wait\n");
    f.until([&] { return Lines::held != nullptr; });
    f.some_turns();
    CHECK(a->received.empty());
    Lines::held->send("from outside\n");
    f.until([&] { return !a->received.empty(); });
    // It waited once only: its outlet's turn offered the line again.
    f.until([&] { return a->received == "from outside\nwait!\n"; });
    Lines::held->resume();
    f.some_turns();
    CHECK(a->received == "from outside\nwait!\n");
}

TEST_CASE("ConversationServer: paused, it takes and does nothing") {
    Fixture f;
    const auto a = f.client();
    a->say("one\n");
    f.until([&] { return a->received == "one!\n"; });
    f.server->set_paused(true);
    a->say("two\n");
    const auto b = f.client();
    b->say("b\n");
    f.until([&] { return f.server->connections() == 2; });
    f.some_turns();
    CHECK(a->received == "one!\n");
    CHECK(Lines::executed == 1);
    f.server->set_paused(false);
    f.until([&] { return a->received == "one!\ntwo!\n" && b->received == "b!\n"; });
}

TEST_CASE("ConversationServer: what is delayed for ever never comes, and nothing else goes wrong") {
    Fixture f;
    const auto a = f.client();
    a->say("one\n");
    f.until([&] { return a->received == "one!\n"; });
    const bool jitter = GENERATE(false, true);
    f.server->set_faults({.delay = Duration::max(), .jitter = jitter ? Duration(1ms) : Duration::zero()});
    a->say("two\n");
    f.some_turns();
    CHECK(a->received == "one!\n");
    f.server->set_faults({});
    a->say("three\n");  // the order stays
    f.some_turns();
    CHECK(a->received == "one!\n");
    const auto b = f.client();
    b->say("four\n");
    f.until([&] { return b->received == "four!\n"; });
    a->hang_up();
    f.until([&] { return f.server->connections() == 1; });
}

TEST_CASE("ConversationServer: close_connections() from inside a conversation") {
    EpollLoop loop;
    const auto iops = loop.make_iops();
    struct Closes final : Conversation {
        explicit Closes(ConversationServer*& its_server) : server(its_server) {}
        std::size_t on_bytes(std::string_view bytes) override {
            server->close_connections();
            guard = 42;  // this is still there
            return bytes.size();
        }
        ConversationServer*& server;
        int guard = 0;
    };
    ConversationServer* self = nullptr;
    ConversationServer server(*iops, {"127.0.0.1", 0}, [&](Outlet&) { return std::make_unique<Closes>(self); });
    self = &server;
    Client a(*iops, server.endpoint());
    Client b(*iops, server.endpoint());
    a.say("x");
    while (!a.ended || !b.ended) loop.run_one_turn(10ms);
    CHECK(server.connections() == 0);
}

TEST_CASE("ConversationServer: on simulated networks that break reads and writes into pieces", "[sim]") {
    int alive = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SimWorld world{seed, {.swarm = true}};
        const auto iops = world.make_iops("server");
        ConversationServer server(*iops, {"server", 7}, [&](Outlet& outlet) -> std::unique_ptr<Conversation> {
            return std::make_unique<Lines>(outlet, alive);
        });
        const auto client_iops = world.make_iops();
        std::string expected;
        std::string requests;
        for (int i = 0; i < 300; ++i) {
            requests += std::to_string(i) + "\n";
            expected += std::to_string(i) + "!\n";
        }
        world.faults_off();
        Client client(*client_iops, {"server", 7});
        client.say(requests);
        world.run_until([&] { return client.received.size() >= expected.size() || client.ended; }, 1h);
        CHECK(client.received == expected);
    }
    CHECK(alive == 0);
}

}  // namespace
}  // namespace chaise::testing
