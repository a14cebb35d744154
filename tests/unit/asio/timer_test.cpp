#include <catch2/catch.hpp>

#include "support.hpp"

#include <memory>
#include <random>

namespace {

using namespace chaise;
using namespace chaise::testing;

}  // namespace

TEST_CASE("timers fire in the order of their times, equal ones in the order of arming") {
    asio::io_context context;
    const auto iops = make_asio_iops(context, {.single_threaded = GENERATE(true, false)});
    std::vector<std::string> fired;
    const TimePoint start = iops->now();
    Timer a(*iops, [&] { fired.push_back("a30"); });
    Timer b(*iops, [&] { fired.push_back("b10"); });
    Timer c(*iops, [&] {
        CHECK(iops->now() - start >= 19ms);
        fired.push_back("c20");
    });
    Timer d(*iops, [&] { fired.push_back("d0"); });
    Timer e(*iops, [&] { fired.push_back("e0"); });
    Timer f(*iops, [&] { fired.push_back("f moved"); });
    Timer g(*iops, [&] { fired.push_back("never"); });
    f.schedule(1ms);
    a.schedule(30ms);
    b.schedule(10ms);
    c.schedule(20ms);
    d.schedule(0us);
    e.schedule(-5us);
    f.schedule(40ms);
    g.schedule(5ms);
    g.cancel();
    CHECK(fired.empty());
    context.run();
    CHECK(fired == std::vector<std::string>{"d0", "e0", "b10", "c20", "a30", "f moved"});
    CHECK(iops->now() - start >= 39ms);
}

TEST_CASE("many timers at random, armed, moved and cancelled, fire as a model says") {
    asio::io_context context(1);
    const auto iops = make_asio_iops(context);
    std::mt19937 random(7);
    constexpr std::size_t count = 300;
    std::vector<std::unique_ptr<Timer>> timers;
    std::vector<std::size_t> fired;
    std::vector<std::chrono::microseconds> delays(count, -1us);
    for (std::size_t i = 0; i < count; ++i) {
        timers.push_back(std::make_unique<Timer>(*iops, [&fired, i] { fired.push_back(i); }));
    }
    for (int step = 0; step < 2000; ++step) {
        const std::size_t i = random() % count;
        if (random() % 4 == 0) {
            timers[i]->cancel();
            delays[i] = -1us;
        } else {
            delays[i] = 60s + std::chrono::seconds(random() % 600);
            timers[i]->schedule(delays[i]);
        }
    }
    // All that are armed are moved to where the order shows; how long that took is what the order may be wrong by.
    const TimePoint start = iops->now();
    std::size_t armed = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (delays[i] < 0us) continue;
        ++armed;
        delays[i] = std::chrono::microseconds(random() % 100'000);
        timers[i]->schedule(delays[i]);
    }
    const auto doubt = iops->now() - start;
    context.run();
    REQUIRE(fired.size() == armed);
    CHECK(armed > count / 2);
    std::vector<bool> seen(count);
    for (std::size_t i = 0; i < fired.size(); ++i) {
        CHECK_FALSE(seen[fired[i]]);
        seen[fired[i]] = true;
        if (i > 0) CHECK(delays[fired[i - 1]] < delays[fired[i]] + doubt);
    }
}

TEST_CASE("a timer armed in its own handler waits for the next turn and starves nobody") {
    asio::io_context context;
    const auto iops = make_asio_iops(context);
    int zeros = 0;
    bool done = false;
    Timer* self = nullptr;
    Timer zero(*iops, [&] {
        ++zeros;
        if (!done) self->schedule(0us);
    });
    self = &zero;
    Timer later(*iops, [&] { done = true; });
    later.schedule(10ms);
    zero.schedule(0us);
    context.run_for(10s);
    CHECK(done);
    CHECK(zeros > 1);

    int rearmed = 0;
    Timer* again = nullptr;
    Timer deferred(*iops, [&] {
        if (++rearmed < 5) again->defer();
    });
    again = &deferred;
    deferred.defer();
    context.restart();
    context.run();
    CHECK(rearmed == 5);
}

TEST_CASE("deferred calls come in order, before the loop blocks, and can be taken back") {
    asio::io_context context;
    const auto iops = make_asio_iops(context);
    std::string seen;
    Timer soon(*iops, [&] { seen += 't'; });
    Timer a(*iops, [&] { seen += 'a'; });
    Timer b(*iops, [&] { seen += 'b'; });
    Timer c(*iops, [&] { seen += 'c'; });
    Timer d(*iops, [&] { seen += 'd'; });
    soon.schedule(5ms);
    a.defer();
    b.defer();
    c.defer();
    d.defer();
    b.cancel();
    a.defer();  // armed anew: goes to the end
    d.schedule(10ms);
    CHECK(seen.empty());
    context.run();
    CHECK(seen == "catd");
}

TEST_CASE("events may be destroyed in handlers, their own and others'") {
    asio::io_context context;
    const auto iops = make_asio_iops(context);
    std::unique_ptr<Timer> a;
    std::unique_ptr<Timer> b;
    std::unique_ptr<Timer> c;
    int calls = 0;
    a = std::make_unique<Timer>(*iops, [&] {
        ++calls;
        b.reset();
        c.reset();
        a.reset();
    });
    b = std::make_unique<Timer>(*iops, [&] { FAIL("destroyed"); });
    c = std::make_unique<Timer>(*iops, [&] { FAIL("destroyed"); });
    a->schedule(0us);
    b->schedule(0us);
    c->defer();
    c->schedule(1ms);
    context.run();
    CHECK(calls == 1);
}

TEST_CASE("a cancelled timer does not keep run() from returning") {
    asio::io_context context;
    const auto iops = make_asio_iops(context);
    Timer timer(*iops, [] {});
    timer.schedule(1h);
    context.run_for(5ms);
    CHECK_FALSE(context.stopped());
    SECTION("cancelled") { timer.cancel(); }
    SECTION("deferred instead") { timer.defer(); }
    SECTION("made zero, which leaves the kernel's timer set") { timer.schedule(0us); }
    context.run_for(10s);
    CHECK(context.stopped());
}

TEST_CASE("delays without end do not overflow") {
    asio::io_context context;
    const auto iops = make_asio_iops(context);
    bool fired = false;
    Timer forever(*iops, [&] { FAIL("too early"); });
    Timer soon(*iops, [&] { fired = true; });
    forever.schedule(std::chrono::microseconds::max());
    soon.schedule(1ms);
    context.run_for(20ms);
    CHECK(fired);
}
