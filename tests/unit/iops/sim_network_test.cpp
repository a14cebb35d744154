// The network of a simulated world, calm and with each fault alone.

#include "sim_peers.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

const Endpoint mc1{"mc1", 7};

struct Pair {
    explicit Pair(const SimOptions& options = {}, std::uint64_t seed = 1, bool echo = true)
        : world(seed, options), server(world.make_iops("mc1"), 7, echo), iops(world.make_iops()), client(*iops, mc1) {
        if (!world.run_until([&] { return client.answers == 1 && server.peers.size() == 1; }, 10s)) {
            throw std::runtime_error("not connected");
        }
    }
    SimPeer& near() { return *client.peer; }
    SimPeer& far() { return *server.peers.front(); }
    SimWorld world;
    SimEchoServer server;
    std::unique_ptr<IOPS> iops;
    SimClient client;
};

std::string text(std::size_t size) {
    std::string bytes(size, '\0');
    SimRandom random{size};
    for (char& c : bytes) c = static_cast<char>('a' + random.below(26));
    return bytes;
}

SimOptions with(double SimFaults::* fault, double rate) {
    SimOptions options;
    options.faults.*fault = rate;
    return options;
}

}  // namespace

TEST_CASE("bytes go there and back, in order, after a latency", "[sim]") {
    Pair pair;
    CHECK(pair.near().transport->remote_endpoint() == mc1);
    CHECK(pair.far().transport->remote_endpoint() == pair.near().transport->local_endpoint());
    const TimePoint start = pair.world.now();
    const std::string message = text(300'000);  // more than both pipes hold
    pair.near().send(message);
    CHECK(pair.near().received.empty());  // nothing inline
    CHECK(pair.near().short_writes > 0);
    pair.world.run();
    CHECK(pair.near().received == message);
    CHECK(pair.world.now() - start > 40us);
    pair.near().transport.reset();
    pair.world.run();
    CHECK(pair.far().ended);
    CHECK_FALSE(pair.far().transport);
    pair.server.listener.reset();
    CHECK(pair.world.leaks().none());
}

TEST_CASE("a pipe is bounded: a peer that does not read stops the writer", "[sim]") {
    Pair pair{{.pipe_capacity = 1000}, 1, false};
    pair.far().keep_reading = false;
    pair.near().send(text(10'000));
    pair.world.run();
    CHECK(pair.far().received.size() <= 512);
    CHECK(pair.near().unsent() >= 10'000 - 1000 - 512);
    pair.far().keep_reading = true;
    pair.far().read();
    pair.world.run();
    CHECK(pair.far().received == text(10'000));
}

TEST_CASE("a calm world has no faults", "[sim]") {
    Pair pair;
    pair.near().send(text(100'000));
    pair.world.run();
    CHECK(pair.world.counts().faults.total() == 0);
}

TEST_CASE("partial reads and writes: everything arrives in more pieces", "[sim]") {
    int calm = 0;
    {
        Pair pair;
        for (int i = 0; i < 50; ++i) pair.near().send(text(200));
        pair.world.run();
        calm = pair.near().reads;
    }
    Pair reads{with(&SimFaults::partial_read, 1)};
    for (int i = 0; i < 50; ++i) reads.near().send(text(200));
    reads.world.run();
    CHECK(reads.near().reads > calm);
    CHECK(reads.near().received.size() == 10'000);
    CHECK(reads.world.counts().faults[SimFault::partial_read] > 10);

    Pair writes{with(&SimFaults::partial_write, 0.9)};
    writes.near().send(text(10'000));
    writes.world.run();
    CHECK(writes.near().received == text(10'000));
    CHECK(writes.near().short_writes > 0);
    CHECK(writes.world.counts().faults[SimFault::partial_write] > 0);
}

TEST_CASE("delays and small pipes keep the order", "[sim]") {
    Pair delayed{with(&SimFaults::delay, 0.5)};
    std::string expected;
    for (int i = 0; i < 100; ++i) {
        delayed.near().send(std::to_string(i) + ",");
        expected += std::to_string(i) + ",";
    }
    delayed.world.run();
    CHECK(delayed.near().received == expected);
    CHECK(delayed.world.counts().faults[SimFault::delay] > 10);

    Pair small{with(&SimFaults::small_pipe, 1)};
    small.near().send(text(20'000));
    CHECK(small.near().unsent() >= 20'000 - 2048);
    small.world.run();
    CHECK(small.near().received == text(20'000));
}

TEST_CASE("reset mid-stream: both ends hear of it, nothing is invented", "[sim]") {
    std::set<std::size_t> lengths;
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        Pair pair{{}, seed, false};
        const std::string message = text(5'000);
        pair.near().send(message);
        if (seed % 2 == 0) pair.world.run_for(100us);
        pair.world.reset_connections("mc1");
        pair.world.run();
        CHECK(pair.near().read_error == std::errc::connection_reset);
        CHECK(pair.far().read_error == std::errc::connection_reset);
        CHECK(message.starts_with(pair.far().received));
        lengths.insert(pair.far().received.size());
        pair.near().send("more");
        CHECK(pair.near().write_error == std::errc::connection_reset);
        CHECK(pair.world.counts().faults[SimFault::reset] == 1);
    }
    CHECK(lengths.contains(0));      // what was on its way is lost
    CHECK(lengths.contains(5'000));  // or had arrived before
}

TEST_CASE("random resets happen", "[sim]") {
    Pair pair{with(&SimFaults::reset, 0.2)};
    for (int i = 0; i < 100 && !pair.near().over(); ++i) {
        pair.near().send(text(10));
        pair.world.run_for(10ms);
    }
    CHECK(pair.near().over());
    CHECK(pair.world.counts().faults[SimFault::reset] >= 1);
}

TEST_CASE("a writer that waits hears of a reset", "[sim]") {
    Pair pair{{.pipe_capacity = 1000}, 1, false};
    pair.far().keep_reading = false;
    pair.near().send(text(10'000));
    pair.world.run();
    REQUIRE(pair.near().unsent() > 0);
    pair.world.reset_connections("mc1");
    pair.world.run();
    CHECK(pair.near().write_error == std::errc::connection_reset);
}

TEST_CASE("half-open: bytes are taken, nothing arrives, nobody is told", "[sim]") {
    Pair pair;
    SimFaults faults;
    faults.half_open = 1;
    pair.world.set_faults(faults);
    pair.near().send("first");
    pair.world.run_for(1h);
    CHECK(pair.near().received.empty());
    CHECK(pair.far().received.empty());
    pair.near().send("second");
    CHECK_FALSE(pair.near().over());
    CHECK(pair.world.counts().faults[SimFault::half_open] == 1);
    // The quiet tail ends it with a reset, as a router that has forgotten the connection would.
    pair.world.faults_off();
    pair.world.run();
    CHECK(pair.near().read_error == std::errc::connection_reset);
}

TEST_CASE("an orderly end arrives behind the data", "[sim]") {
    Pair pair{with(&SimFaults::slow_close, 1), 1, false};
    pair.far().send(text(3000));
    pair.far().transport.reset();
    pair.world.run();
    CHECK(pair.near().received == text(3000));
    CHECK(pair.near().ended);
    CHECK(pair.world.counts().faults[SimFault::slow_close] >= 1);
}

TEST_CASE("closing with unread bytes, and writing to a closed peer, is a reset", "[sim]") {
    Pair unread{{}, 1, false};
    unread.far().keep_reading = false;
    unread.near().send(text(5'000));
    unread.world.run();
    unread.far().transport.reset();
    unread.world.run();
    CHECK(unread.near().read_error == std::errc::connection_reset);

    Pair closed{{}, 1, false};
    closed.far().transport.reset();
    closed.near().send("too late");
    closed.world.run();
    CHECK(closed.near().over());
    closed.near().send("again");
    closed.world.run();
    closed.near().send("and again");
    CHECK(closed.near().write_error == std::errc::connection_reset);
}

TEST_CASE("nothing listens, nobody is there", "[sim]") {
    SimWorld world{1};
    auto iops = world.make_iops();
    auto host = world.make_iops("mc1");
    SimClient refused{*iops, {"mc1", 7}};
    SimClient unknown{*iops, {"nowhere", 7}};
    CHECK(refused.answers == 0);  // not inline
    world.run();
    CHECK(refused.error == std::errc::connection_refused);
    CHECK(unknown.error == std::errc::host_unreachable);
    CHECK(world.leaks().none());
}

TEST_CASE("connections refused and hung although something listens", "[sim]") {
    {
        SimWorld world{1, with(&SimFaults::connect_refused, 1)};
        SimEchoServer server{world.make_iops("mc1")};
        auto iops = world.make_iops();
        SimClient client{*iops, mc1};
        world.run();
        CHECK(client.error == std::errc::connection_refused);
        CHECK(world.counts().faults[SimFault::connect_refused] == 1);
    }
    SimWorld world{1, with(&SimFaults::connect_hung, 1)};
    SimEchoServer server{world.make_iops("mc1")};
    auto iops = world.make_iops();
    SimClient client{*iops, mc1};
    world.run_for(60s);
    CHECK(client.answers == 0);
    CHECK(world.leaks().pendings == 1);
    SimClient dropped{*iops, mc1};
    dropped.pending.reset();
    world.run();
    CHECK(client.error == std::errc::timed_out);  // the kernel gives up after two minutes
    CHECK(dropped.answers == 0);
    CHECK(world.leaks().pendings == 0);
}

TEST_CASE("a connect that is destroyed while it is answered leaves nothing", "[sim]") {
    for (auto delay : {0us, 50us, 100us, 150us, 200us, 300us, 500us}) {
        SimWorld world{1};
        auto server = std::make_unique<SimEchoServer>(world.make_iops("mc1"));
        auto iops = world.make_iops();
        SimClient client{*iops, mc1};
        world.run_for(delay);
        client.pending.reset();
        client.peer.reset();
        world.run();
        server.reset();
        CHECK(world.leaks().none());
    }
}

TEST_CASE("a listener that goes away resets who waits for it", "[sim]") {
    SimWorld world{1};
    auto server = std::make_unique<SimEchoServer>(world.make_iops("mc1"));
    auto iops = world.make_iops();
    world.pause("mc1");  // its kernel accepts, its process does not
    SimClient client{*iops, mc1};
    client.greeting = "hello?";
    world.run_for(1s);
    REQUIRE(client.connected());
    CHECK(server->peers.empty());
    server.reset();
    world.run_for(1s);
    CHECK(client.peer->read_error == std::errc::connection_reset);
}

TEST_CASE("listening: chosen ports, ports in use, other hosts' addresses, loopback", "[sim]") {
    SimWorld world{1};
    auto iops = world.make_iops("mc1");
    struct Ignore : AcceptHandler {
        void on_accept(std::unique_ptr<Transport>) override {}
        virtual ~Ignore() = default;
    } ignore;
    auto& factory = iops->transport_factory();
    auto first = factory.listen({"127.0.0.1", 0}, ignore);
    auto second = factory.listen({"mc1", 0}, ignore);
    CHECK(first->local_endpoint().port != 0);
    CHECK(first->local_endpoint().port != second->local_endpoint().port);
    CHECK_THROWS_AS(factory.listen(second->local_endpoint(), ignore), std::system_error);
    CHECK_THROWS_AS(factory.listen({"mc2", 7}, ignore), std::system_error);
    const Endpoint where = first->local_endpoint();
    SimClient client{*iops, where};
    world.run();
    CHECK(client.connected());
    CHECK(client.peer->transport->remote_endpoint() == where);
    first.reset();
    auto again = factory.listen(where, ignore);
    CHECK(again->local_endpoint() == where);
}

TEST_CASE("names", "[sim]") {
    SimWorld world{1};
    auto host = world.make_iops("mc1");
    auto iops = world.make_iops();
    world.set_addresses("cluster.example", {"mc1", "mc2"});
    world.set_addresses("gone.example", {});
    SimName own, alias, gone, unknown, numeric, cancelled;
    auto& factory = iops->transport_factory();
    auto a = factory.resolve("mc1", own);
    auto b = factory.resolve("cluster.example", alias);
    auto c = factory.resolve("gone.example", gone);
    auto d = factory.resolve("nowhere", unknown);
    auto e = factory.resolve("10.1.2.3", numeric);
    auto f = factory.resolve("mc1", cancelled);
    CHECK(numeric.answers == 0);
    f.reset();
    world.run();
    CHECK(own.addresses == std::vector<std::string>{"mc1"});
    CHECK(alias.addresses == std::vector<std::string>{"mc1", "mc2"});
    CHECK(gone.error);
    CHECK(unknown.error);
    CHECK(numeric.addresses == std::vector<std::string>{"10.1.2.3"});
    CHECK(cancelled.answers == 0);
    CHECK(world.leaks().none());

    SimFaults faults;
    faults.resolve_slow = 1;
    faults.resolve_failed = 1;
    world.set_faults(faults);
    SimName failing;
    const TimePoint start = world.now();
    auto g = factory.resolve("mc1", failing);
    world.run();
    CHECK(failing.error);
    CHECK(failing.addresses.empty());
    CHECK(world.now() - start > 1ms);
    CHECK(world.counts().faults[SimFault::resolve_failed] == 1);
    CHECK(world.counts().faults[SimFault::resolve_slow] == 1);
}

TEST_CASE("a paused host hears nothing until it goes on, then everything in order", "[sim]") {
    Pair pair;
    pair.world.pause("mc1");
    pair.near().send("a");
    pair.world.run_for(10ms);
    pair.near().send("b");
    SimClient second{*pair.iops, mc1};
    pair.world.run_for(10ms);
    CHECK(second.connected());  // by the kernel
    CHECK(pair.server.peers.size() == 1);
    CHECK(pair.far().received.empty());
    pair.world.resume("mc1");
    pair.world.run();
    CHECK(pair.near().received == "ab");
    CHECK(pair.server.peers.size() == 2);
    CHECK(pair.world.counts().faults[SimFault::host_paused] == 1);
}

TEST_CASE("a timer of a paused host waits, and can be cancelled meanwhile", "[sim]") {
    SimWorld world{1};
    auto iops = world.make_iops("mc1");
    int fired = 0;
    auto make = [&] {
        auto timer = iops->timer_event_factory();
        timer->set_handler([](void* n, int) { ++*static_cast<int*>(n); }, &fired);
        iops->schedule(*timer, 1ms);
        return timer;
    };
    auto kept = make();
    auto cancelled = make();
    world.pause("mc1");
    world.run_for(1s);
    CHECK(fired == 0);
    CHECK(world.leaks().timers == 2);
    iops->cancel(*cancelled);
    CHECK(world.leaks().timers == 1);
    world.resume("mc1");
    world.run();
    CHECK(fired == 1);
    iops->cleanup(*kept);
    iops->cleanup(*cancelled);
}

TEST_CASE("a killed host: connections reset, attempts refused, its process gone; and back", "[sim]") {
    SimWorld world{1};
    int boots = 0;
    std::weak_ptr<SimEchoServer> process;
    world.boot("mc1", [&](std::unique_ptr<IOPS> iops) {
        ++boots;
        auto server = std::make_shared<SimEchoServer>(std::move(iops));
        process = server;
        return server;
    });
    auto iops = world.make_iops();
    SimClient client{*iops, mc1};
    client.greeting = "one";
    world.run();
    CHECK(client.peer->received == "one");
    CHECK(boots == 1);

    world.kill("mc1");
    CHECK_FALSE(world.alive("mc1"));
    CHECK(process.lock() != nullptr);  // never under the feet of who killed it
    SimClient refused{*iops, mc1};
    world.run();
    CHECK(process.lock() == nullptr);
    CHECK(client.peer->read_error == std::errc::connection_reset);
    CHECK(refused.error == std::errc::connection_refused);

    world.respawn("mc1");
    world.run();
    CHECK(boots == 2);
    SimClient again{*iops, mc1};
    again.greeting = "two";
    world.run();
    CHECK(again.peer->received == "two");
    CHECK(world.counts().faults[SimFault::host_killed] == 1);
}

TEST_CASE("a host may be killed from inside one of its own handlers", "[sim]") {
    SimWorld world{1};
    struct Suicidal : SimEchoServer {
        Suicidal(SimWorld& its_world, std::unique_ptr<IOPS> its_iops)
            : SimEchoServer(std::move(its_iops)), world(its_world) {}
        void on_accept(std::unique_ptr<Transport> transport) override {
            world.kill("mc1");
            SimEchoServer::on_accept(std::move(transport));
            peers.back()->send("from the grave");
        }
        SimWorld& world;
    };
    world.boot("mc1", [&](std::unique_ptr<IOPS> iops) { return std::make_shared<Suicidal>(world, std::move(iops)); });
    auto iops = world.make_iops();
    SimClient client{*iops, mc1};
    world.run();
    CHECK(client.peer->read_error == std::errc::connection_reset);
    CHECK(client.peer->received.empty());
    client.peer.reset();
    CHECK(world.leaks().none());
}

TEST_CASE("a black hole: silence, and after it everything", "[sim]") {
    Pair pair;
    pair.world.black_hole("mc1");
    pair.near().send("hello");
    SimClient second{*pair.iops, mc1};
    pair.world.run_for(5s);
    CHECK(pair.near().received.empty());
    CHECK_FALSE(pair.near().over());
    CHECK(second.answers == 0);
    pair.world.heal("mc1");
    pair.world.run();
    CHECK(pair.near().received == "hello");
    CHECK(second.connected());
}

TEST_CASE("a partition lies between two hosts only", "[sim]") {
    SimWorld world{1};
    SimEchoServer server{world.make_iops("mc1")};
    auto a = world.make_iops("a");
    auto b = world.make_iops("b");
    SimClient first{*a, mc1};
    SimClient second{*b, mc1};
    world.run();
    world.partition("a", "mc1");
    first.peer->send("a");
    second.peer->send("b");
    world.run_for(1s);
    CHECK(first.peer->received.empty());
    CHECK(second.peer->received == "b");
    // An end of stream does not get through either, until it is healed.
    server.peers[0]->transport.reset();
    server.peers[1]->transport.reset();
    world.run_for(1s);
    CHECK((first.peer->over() ? 1 : 0) + (second.peer->over() ? 1 : 0) == 1);
    CHECK_FALSE(first.peer->over());
    world.heal("a", "mc1");
    world.run();
    CHECK(first.peer->over());
}

TEST_CASE("a full pipe goes on after a black hole", "[sim]") {
    Pair pair{{.pipe_capacity = 1000}, 1, false};
    pair.world.black_hole("mc1");
    pair.near().send(text(10'000));
    pair.world.run_for(1s);
    CHECK(pair.near().unsent() == 9'000);
    pair.world.heal("mc1");
    pair.world.run();
    CHECK(pair.far().received == text(10'000));
}

TEST_CASE("connections have delays of their own: they overtake each other", "[sim]") {
    int overtaken = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SimWorld world{seed};
        SimEchoServer server{world.make_iops("mc1")};
        auto iops = world.make_iops();
        SimClient first{*iops, mc1};
        SimClient second{*iops, mc1};
        world.run();
        first.peer->send("1");
        second.peer->send("2");
        world.run_until([&] { return !first.peer->received.empty() || !second.peer->received.empty(); });
        if (!second.peer->received.empty()) ++overtaken;
    }
    CHECK(overtaken > 2);
    CHECK(overtaken < 18);
}

TEST_CASE("handlers may destroy the object that calls them", "[sim]") {
    struct Fragile : TransportHandler, ConnectHandler {
        explicit Fragile(IOPS& iops) { pending = iops.transport_factory().connect(mc1, *this); }
        virtual ~Fragile() = default;
        void on_connect(std::unique_ptr<Transport> its_transport, std::error_code) override {
            pending.reset();
            transport = std::move(its_transport);
            transport->set_handler(*this);
            transport->read({buffer, sizeof buffer});
            const ConstBuffer hello{"hello", 5};
            transport->write({&hello, 1});
            transport->wait_writable();
        }
        void on_read(std::size_t, std::error_code) override {
            ++reads;
            transport.reset();
        }
        void on_writable() override { ++writables; }
        std::unique_ptr<Pending> pending;
        std::unique_ptr<Transport> transport;
        char buffer[16];
        int reads = 0;
        int writables = 0;
    };
    SimWorld world{1};
    SimEchoServer server{world.make_iops("mc1")};
    auto iops = world.make_iops();
    Fragile fragile{*iops};
    world.run();
    CHECK(fragile.reads == 1);
    CHECK(fragile.writables == 1);
    CHECK(server.peers.front()->ended);
}

TEST_CASE("host faults of a swarm happen and end, and the quiet tail is quiet", "[sim]") {
    SimOptions options;
    options.faults.host_paused = options.faults.host_killed = options.faults.black_hole = options.faults.partition =
        options.faults.clock_jump = 1;
    options.faults.host_fault_interval = 20ms;
    options.faults.host_fault_length = 10ms;
    SimWorld world{3, options};
    int boots = 0;
    world.boot("mc1", [&](std::unique_ptr<IOPS> iops) {
        ++boots;
        return std::make_shared<SimEchoServer>(std::move(iops));
    });
    auto iops = world.make_iops();
    world.run_for(5s);
    for (SimFault fault : {SimFault::host_paused, SimFault::host_killed, SimFault::black_hole, SimFault::partition,
                           SimFault::clock_jump}) {
        CHECK(world.counts().faults[fault] > 5);
    }
    CHECK(boots > 5);
    world.faults_off();
    const std::uint64_t faults = world.counts().faults.total();
    SimClient client{*iops, mc1};
    client.greeting = "quiet";
    world.run();
    CHECK(client.peer->received == "quiet");
    CHECK(world.counts().faults.total() == faults);
}

TEST_CASE("a swarm is a different half of the faults each time", "[sim]") {
    std::set<std::string> descriptions;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        SimRandom random{seed};
        const SimFaults faults = SimFaults::swarm(random);
        descriptions.insert(faults.to_string());
        int on = 0;
        for (std::size_t i = 0; i < sim_fault_kinds; ++i) on += faults.rate(static_cast<SimFault>(i)) > 0 ? 1 : 0;
        CHECK(on >= 1);
        CHECK(on <= 16);
    }
    CHECK(descriptions.size() == 50);
    CHECK(SimFaults{}.to_string() == "none");
}
