// Which goes first: bucket, IOPS or loop; and what a callback throws.
#include <catch2/catch.hpp>

#include "support.hpp"

#include <asio/thread_pool.hpp>

#include <array>
#include <stdexcept>

#include <fcntl.h>
#include <unistd.h>

namespace {

using namespace chaise;
using namespace chaise::testing;

struct Observer final : LoopObserver {
    int calls = 0;
    std::function<void()> then;
    void on_loop_destroyed() noexcept override {
        ++calls;
        if (then) then();
    }
};

}  // namespace

TEST_CASE("the loop is destroyed first") {
    auto context = std::make_unique<asio::io_context>();
    auto iops = make_asio_iops(*context, {.single_threaded = GENERATE(true, false)});
    Observer observer;
    iops->set_loop_observer(&observer);
    auto pair = std::make_unique<StreamPair>(*context, *iops);
    std::array<char, 64> buffer{};
    const auto never = [](auto&&...) { FAIL("called after the loop's end"); };
    pair->client_handler.read = never;
    pair->client_handler.writable = [&] { never(); };
    pair->server_handler.read = never;
    Accepted accepted;
    auto listener = iops->transport_factory().listen({"127.0.0.1", 0}, accepted);
    Connected connected;
    auto connecting = iops->transport_factory().connect(listener->local_endpoint(), connected);
    std::array<int, 2> pipe{};
    REQUIRE(::pipe(pipe.data()) == 0);
    auto event = iops->io_event_factory();
    event->set_handler([](void*, int) { FAIL("called after the loop's end"); }, nullptr);
    auto timer = std::make_unique<Timer>(*iops, [&] { never(); });
    auto deferred = std::make_unique<Timer>(*iops, [&] { never(); });

    pair->client->read({buffer.data(), buffer.size()});
    pair->client->wait_writable();
    write_text(*pair->client, "x");
    pair->server->read({buffer.data(), buffer.size()});
    iops->watch(*event, pipe[1], write_event);
    timer->schedule(0us);
    deferred->defer();
    iops->on_exception(std::make_exception_ptr(std::runtime_error("nobody runs the loop")));

    SECTION("everything outlives it, and does nothing any more") {
        context.reset();
        CHECK(observer.calls == 1);
        CHECK_FALSE(iops->loop_alive());
        CHECK_FALSE(iops->running_in_this_thread());
        CHECK_FALSE(iops->get_executor());
        pair->client->read({buffer.data(), buffer.size()});
        pair->client->wait_writable();
        CHECK(write_text(*pair->client, "x").error);
        CHECK(pair->client->local_endpoint().port != 0);
        timer->schedule(1ms);
        timer->cancel();
        deferred->defer();
        iops->watch(*event, pipe[1], write_event);
        iops->unwatch(*event);
        iops->cleanup(*event);
        iops->on_exception(std::make_exception_ptr(std::runtime_error("too late")));
        const auto more = iops->transport_factory().connect({"127.0.0.1", 1}, connected);
        CHECK_THROWS_AS(iops->transport_factory().listen({"127.0.0.1", 0}, accepted), std::system_error);
        const auto late_event = iops->io_event_factory();
        const auto late_timer = iops->timer_event_factory();
        iops->schedule(*late_timer, 1ms);
        iops->cleanup(*late_timer);
    }
    SECTION("the observer destroys everything, the IOPS too") {
        observer.then = [&] {
            pair.reset();
            connecting.reset();
            listener.reset();
            iops->cleanup(*event);
            event.reset();
            timer.reset();
            deferred.reset();
            iops.reset();
        };
        context.reset();
        CHECK(observer.calls == 1);
        CHECK_FALSE(iops);
    }
    SECTION("destroying the IOPS later tells nobody") {
        context.reset();
        connecting.reset();
        listener.reset();
        pair.reset();
        event.reset();
        timer.reset();
        deferred.reset();
        iops.reset();
        CHECK(observer.calls == 1);
    }
    CHECK(connected.calls == 0);
    CHECK(accepted.transports.empty());
    // The foreign descriptors were given back, not closed.
    CHECK(::fcntl(pipe[1], F_GETFD) >= 0);
    ::close(pipe[0]);
    ::close(pipe[1]);
}

TEST_CASE("several IOPS of one loop hear of its end, those that are left") {
    Observer first;
    Observer second;
    Observer third;
    std::unique_ptr<AsioIOPS> kept;
    std::unique_ptr<AsioIOPS> other;
    {
        asio::io_context context;
        kept = make_asio_iops(context);
        auto gone = make_asio_iops(context);
        other = make_asio_iops(context, {.single_threaded = true});
        kept->set_loop_observer(&first);
        gone->set_loop_observer(&second);
        other->set_loop_observer(&third);
        gone.reset();
    }
    CHECK(first.calls == 1);
    CHECK(second.calls == 0);
    CHECK(third.calls == 1);
}

TEST_CASE("the loop is another executor's context") {
    Observer observer;
    std::unique_ptr<AsioIOPS> iops;
    {
        asio::thread_pool pool(1);
        iops = make_asio_iops(pool);
        iops->set_loop_observer(&observer);
        CHECK_FALSE(iops->running_in_this_thread());
    }
    CHECK(observer.calls == 1);
}

TEST_CASE("the IOPS is destroyed first: nothing of it keeps the loop running") {
    asio::io_context context;
    auto iops = make_asio_iops(context, {.single_threaded = GENERATE(true, false)});
    Observer observer;
    iops->set_loop_observer(&observer);
    StreamPair pair(context, *iops);
    Accepted accepted;
    auto listener = iops->transport_factory().listen({"127.0.0.1", 0}, accepted);
    auto event = iops->io_event_factory();
    event->set_handler([](void*, int) { FAIL("called after the IOPS's end"); }, nullptr);
    std::array<char, 64> buffer{};
    int calls = 0;
    pair.client_handler.read = [&](std::size_t, std::error_code) { ++calls; };
    auto timer = iops->timer_event_factory();
    timer->set_handler([](void*, int) { FAIL("called after the IOPS's end"); }, nullptr);

    // While a bucket is open and idle, run() stays, as an Asio user expects.
    pair.client->read({buffer.data(), buffer.size()});
    context.restart();
    context.run_for(5ms);
    CHECK_FALSE(context.stopped());

    iops->watch(*event, 0, read_event);
    iops->schedule(*timer, 1h);
    iops.reset();
    context.run_for(10s);
    CHECK(context.stopped());
    CHECK(calls == 0);
    CHECK(observer.calls == 0);
    CHECK(write_text(*pair.client, "x").error);
    context.restart();
    context.run();
}

TEST_CASE("the IOPS may be destroyed inside a handler of its own") {
    asio::io_context context;
    auto iops = make_asio_iops(context);
    auto timer = iops->timer_event_factory();
    auto other = iops->timer_event_factory();
    other->set_handler([](void*, int) { FAIL("called after the IOPS's end"); }, nullptr);
    timer->set_handler(
        [](void* context_pointer, int) { static_cast<std::unique_ptr<AsioIOPS>*>(context_pointer)->reset(); }, &iops);
    iops->schedule(*timer, 0us);
    iops->schedule(*other, 0us);
    context.run();
    CHECK_FALSE(iops);
}

TEST_CASE("exceptions come out of run()") {
    asio::io_context context;
    const auto iops = make_asio_iops(context, {.single_threaded = GENERATE(true, false)});
    std::string seen;
    Timer first(*iops, [&] {
        seen += '1';
        iops->on_exception(std::make_exception_ptr(std::runtime_error("one")));
        iops->on_exception(std::make_exception_ptr(std::logic_error("two")));
    });
    Timer second(*iops, [&] { seen += '2'; });
    Timer third(*iops, [&] { seen += '3'; });
    first.schedule(0us);
    second.schedule(0us);
    third.schedule(5ms);
    CHECK_THROWS_AS(context.run(), std::runtime_error);
    CHECK_THROWS_AS(context.run(), std::logic_error);
    context.run();
    CHECK(seen == "123");

    SECTION("told outside a dispatch") {
        iops->on_exception(std::make_exception_ptr(std::out_of_range("three")));
        context.restart();
        CHECK_THROWS_AS(context.run(), std::out_of_range);
    }
    SECTION("thrown through the adapter by a handler: what was due with it is not lost") {
        Timer bad(*iops, [&] { throw std::domain_error("bad handler"); });
        bad.schedule(0us);
        second.schedule(0us);
        context.restart();
        CHECK_THROWS_AS(context.run(), std::domain_error);
        context.run();
        CHECK(seen == "1232");
    }
}

TEST_CASE("calls before the loop first runs") {
    asio::io_context context;
    std::unique_ptr<AsioIOPS> iops = make_asio_iops(context);
    CHECK_FALSE(iops->running_in_this_thread());
    bool inside = false;
    Timer timer(*iops, [&] { inside = iops->running_in_this_thread(); });
    timer.defer();
    context.run();
    CHECK(inside);
}
