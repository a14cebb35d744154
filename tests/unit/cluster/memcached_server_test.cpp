// The listening memcached in a simulated world: pipelines, bounded output, and each way to misbehave.

#include "tests/unit/iops/sim_peers.hpp"

#include <chaise/epoll.hpp>

#include "cluster/memcached/server.hpp"
#include "protocol/data_requests.hpp"
#include "protocol/response_encoder.hpp"
#include "protocol/session_requests.hpp"

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Opcode;
using protocol::Status;

namespace {

std::string get(const char* key, std::uint32_t opaque = 1) {
    return protocol::encoded(protocol::GetRequest{.context = {.opaque = opaque}, .key = key});
}
std::string set(const char* key, std::string_view value, std::uint32_t opaque = 2) {
    return protocol::encoded(protocol::StoreRequest{.context = {.opaque = opaque}, .key = key, .value = value});
}

struct World {
    explicit World(MemcachedServerOptions options = {}, const SimOptions& sim = {}, std::uint64_t seed = 1)
        : world(seed, sim), iops(world.make_iops()) {
        options.listen = {"mc1", 11211};
        server = std::make_unique<MemcachedServer>(world.make_iops("mc1"), engine, options);
        connect();
    }
    void connect() {
        client = std::make_unique<SimClient>(*iops, Endpoint{"mc1", 11211});
        REQUIRE(world.run_until([&] { return client->connected(); }, 10s));
    }
    // Frames that came so far; stops at what is none.
    std::vector<protocol::Frame> frames() {
        std::vector<protocol::Frame> all;
        std::string_view rest = client->peer->received;
        protocol::Frame frame;
        while (true) {
            const auto parsed = protocol::parse_frame(rest, frame);
            if (parsed.status != protocol::ParseStatus::complete) return all;
            all.push_back(frame);
            rest.remove_prefix(parsed.size);
        }
    }
    SimPeer& peer() { return *client->peer; }

    SimWorld world;
    std::shared_ptr<MemcachedEngine> engine = std::make_shared<MemcachedEngine>();
    std::unique_ptr<IOPS> iops;
    std::unique_ptr<MemcachedServer> server;
    std::unique_ptr<SimClient> client;
};

}  // namespace

TEST_CASE("a pipeline is answered in order", "[memcached][sim]") {
    World w;
    std::string pipeline;
    for (std::uint32_t i = 0; i < 500; ++i) pipeline += i % 2 == 0 ? set("k", std::to_string(i), i) : get("k", i);
    w.peer().send(pipeline);
    w.world.run();
    const auto frames = w.frames();
    REQUIRE(frames.size() == 500);
    for (std::uint32_t i = 0; i < 500; ++i) {
        CHECK(frames[i].opaque == i);
        CHECK(frames[i].status() == Status::success);
        if (i % 2 == 1) CHECK(frames[i].value == std::to_string(i - 1));
    }
    w.client.reset();
    w.world.run();
    CHECK(w.server->connections() == 0);
    w.server.reset();
    CHECK(w.world.leaks().none());
    CHECK(w.engine->connections() == 0);
}

TEST_CASE("partial reads and writes and small pipes change nothing", "[memcached][sim]") {
    SimOptions options;
    options.faults.partial_read = options.faults.partial_write = 0.5;
    options.faults.small_pipe = 1;
    World w{{.output_max = 500}, options};
    std::string pipeline;
    const std::string value(1000, 'v');
    for (std::uint32_t i = 0; i < 200; ++i) pipeline += i % 2 == 0 ? set("k", value, i) : get("k", i);
    w.peer().send(pipeline);
    w.world.run();
    REQUIRE(w.frames().size() == 200);
    CHECK(w.frames().back().value == value);
}

TEST_CASE("a client that does not read is not executed for, nor buffered without end", "[memcached][sim]") {
    World w{{.output_max = 10'000}};
    w.peer().send(set("big", std::string(100'000, 'b')));
    w.world.run();
    w.peer().keep_reading = false;
    std::string pipeline;
    for (std::uint32_t i = 0; i < 1000; ++i) pipeline += get("big", i);
    w.peer().send(pipeline);
    w.world.run();
    CHECK(w.engine->executed() < 20);
    CHECK(w.server->output_peak() <= 10'000 + 100'100);
    w.peer().keep_reading = true;
    w.peer().read();
    w.world.run();
    CHECK(w.frames().size() == 1001);
}

TEST_CASE("expiry follows the server's clock, not jumps of the calendar", "[memcached][sim]") {
    World w;
    w.peer().send(protocol::encoded(protocol::StoreRequest{.key = "e", .value = "v", .expiry = 10}) + get("e"));
    w.world.run_for(5s);
    w.world.jump_wall_clock(24h);
    w.peer().send(get("e"));
    w.world.run_for(10s);
    w.peer().send(get("e"));
    w.world.run();
    const auto frames = w.frames();
    REQUIRE(frames.size() == 4);
    CHECK(frames[1].status() == Status::success);
    CHECK(frames[2].status() == Status::success);
    CHECK(frames[3].status() == Status::key_enoent);
}

TEST_CASE("items outlive a killed server whose engine is kept, as behind a broken cable", "[memcached][sim]") {
    World w;
    w.server.reset();
    w.world.boot("mc1", [&](std::unique_ptr<IOPS> iops) {
        return std::make_shared<MemcachedServer>(std::move(iops), w.engine,
                                                 MemcachedServerOptions{.listen = {"mc1", 11211}});
    });
    w.connect();
    w.peer().send(set("k", "kept"));
    w.world.run();
    w.world.kill("mc1");
    w.world.run();
    CHECK(w.peer().read_error);
    w.world.respawn("mc1");
    w.world.run();
    w.connect();
    w.peer().send(get("k"));
    w.world.run();
    REQUIRE(w.frames().size() == 1);
    CHECK(w.frames()[0].value == "kept");
    w.world.kill("mc1");
    w.world.run();
}

TEST_CASE("misbehaviour, one by one", "[memcached][sim]") {
    World w;
    w.engine->store().store(MemcachedStore::StoreMode::set, "k", "v", 0, 0, 0, 1);
    const auto executed = w.engine->executed();

    SECTION("delay holds up what is behind it") {
        w.server->inject({.fault = MemcachedFault::delay, .opcode = Opcode::get, .delay = 100ms});
        const TimePoint start = w.world.now();
        w.peer().send(set("a", "1", 1) + get("k", 2) + set("b", "2", 3));
        w.world.run_for(50ms);
        CHECK(w.frames().size() == 1);
        w.world.run();
        CHECK(w.frames().size() == 3);
        CHECK(w.world.now() - start >= 100ms);
        CHECK(w.server->injected(MemcachedFault::delay) == 1);
    }
    SECTION("status, n times, not executed") {
        w.server->inject({.fault = MemcachedFault::status, .times = 2, .status = Status::etmpfail});
        w.peer().send(set("k", "2", 1) + get("k", 2) + get("k", 3));
        w.world.run();
        REQUIRE(w.frames().size() == 3);
        CHECK(w.frames()[0].status() == Status::etmpfail);
        CHECK(w.frames()[1].status() == Status::etmpfail);
        CHECK(w.frames()[2].value == "v");
        CHECK(w.engine->executed() == executed + 1);
    }
    SECTION("lost requests and lost answers") {
        w.server->inject({.fault = MemcachedFault::lose_request, .opcode = Opcode::set, .skip = 1});
        w.server->inject({.fault = MemcachedFault::lose_answer, .opcode = Opcode::set, .skip = 1});
        w.peer().send(set("k", "1", 1) + set("k", "2", 2) + get("k", 3) + set("k", "3", 4) + get("k", 5));
        w.world.run();
        REQUIRE(w.frames().size() == 3);
        CHECK(w.frames()[0].opaque == 1);
        CHECK(w.frames()[1].value == "1");
        CHECK(w.frames()[2].value == "3");
    }
    SECTION("silence, for good") {
        w.server->inject({.fault = MemcachedFault::silence, .skip = 1});
        w.peer().send(get("k", 1) + get("k", 2) + get("k", 3));
        w.world.run();
        w.peer().send(std::string(300'000, 'x'));
        w.world.run();
        CHECK(w.frames().size() == 1);
        CHECK(w.peer().unsent() == 0);
        CHECK_FALSE(w.peer().over());
    }
    SECTION("close before, and after, executing") {
        w.server->inject({.fault = MemcachedFault::close_before});
        w.peer().send(set("k", "1"));
        w.world.run();
        CHECK(w.peer().over());
        CHECK(w.engine->executed() == executed);
        w.connect();
        w.server->inject({.fault = MemcachedFault::close_after});
        w.peer().send(set("k", "2"));
        w.world.run();
        CHECK(w.peer().over());
        CHECK(w.peer().received.empty());
        CHECK(w.engine->executed() == executed + 1);
    }
    SECTION("truncated, then closed") {
        w.server->inject({.fault = MemcachedFault::truncate, .bytes = 10});
        w.peer().send(get("k"));
        w.world.run();
        CHECK(w.peer().received.size() == 10);
        CHECK(w.peer().over());
    }
    SECTION("garbage") {
        w.server->inject({.fault = MemcachedFault::garbage, .bytes = 30});
        w.peer().send(get("k"));
        w.world.run();
        protocol::Frame frame;
        CHECK(protocol::parse_frame(w.peer().received, frame).status == protocol::ParseStatus::error);
        CHECK(w.peer().received.size() == 30 + 24 + 4 + 1);
    }
    SECTION("an answer that nobody asked for, and one that comes twice") {
        w.server->inject({.fault = MemcachedFault::stray});
        w.server->inject({.fault = MemcachedFault::duplicate});
        w.peer().send(get("k", 7) + get("k", 8));
        w.world.run();
        REQUIRE(w.frames().size() == 4);
        CHECK(w.frames()[0].opaque != 7);
        CHECK(w.frames()[1].opaque == 7);
        CHECK(w.frames()[2].opaque == 8);
        CHECK(w.frames()[3].opaque == 8);
    }
    SECTION("an oversized body is announced") {
        w.server->inject({.fault = MemcachedFault::oversized});
        w.peer().send(get("k"));
        w.world.run();
        protocol::Frame frame;
        const auto parsed = protocol::parse_frame(w.peer().received, frame);
        CHECK(parsed.error == protocol::FrameError::body_too_large);
    }
    SECTION("by chance") {
        w.server->inject({.fault = MemcachedFault::status, .times = 0, .probability = 0.3, .status = Status::ebusy});
        std::string pipeline;
        for (int i = 0; i < 1000; ++i) pipeline += get("k");
        w.peer().send(pipeline);
        w.world.run();
        CHECK(w.server->injected(MemcachedFault::status) > 200);
        CHECK(w.server->injected(MemcachedFault::status) < 400);
        w.server->clear_rules();
        w.peer().send(get("k", 99));
        w.world.run();
        CHECK(w.frames().back().value == "v");
    }
}

TEST_CASE("the same server on real sockets", "[memcached]") {
    EpollLoop loop;
    auto engine = std::make_shared<MemcachedEngine>();
    MemcachedServer server{loop.make_iops(), engine, {.output_max = 100'000}};
    auto iops = loop.make_iops();
    SimClient client{*iops, server.endpoint()};
    const std::string value(50'000, 'v');
    client.greeting = set("k", value);
    for (std::uint32_t i = 0; i < 200; ++i) client.greeting += get("k", i + 10);
    const std::size_t expected = 24 + 200 * (24 + 4 + value.size());
    for (int turn = 0; turn < 100'000 && (!client.peer || client.peer->received.size() < expected); ++turn) {
        loop.run_one_turn(std::chrono::seconds{5});
    }
    REQUIRE(client.peer);
    CHECK(client.peer->received.size() == expected);
    CHECK(engine->executed() == 201);
    CHECK(server.output_peak() <= 100'000 + 24 + 4 + value.size());
    client.peer.reset();
    for (int turn = 0; turn < 1000 && server.connections() > 0; ++turn) loop.run_one_turn(std::chrono::seconds{5});
    CHECK(server.connections() == 0);
}
