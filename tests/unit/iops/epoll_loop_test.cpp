#include "event_probe.hpp"

#include <chaise/epoll.hpp>

#include <catch2/catch.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

using namespace chaise;
using namespace std::chrono_literals;

static_assert(Loop<EpollLoop>);

TEST_CASE("run returns when there is nothing to do") {
    EpollLoop loop;
    loop.run();
    const std::unique_ptr<IOPS> iops = loop.make_iops();
    int fired = 0;
    TestTimer timer{*iops, [&] { ++fired; }};
    iops->schedule(*timer, 1ms);
    loop.run();
    CHECK(fired == 1);
    iops->defer(*timer);
    loop.run();
    CHECK(fired == 2);
    loop.post([&] { ++fired; });
    loop.run();
    CHECK(fired == 3);
    CHECK_FALSE(loop.run_one_turn());
}

TEST_CASE("stop ends run after the turn, is idempotent, and holds for the next run") {
    EpollLoop loop;
    const std::unique_ptr<IOPS> iops = loop.make_iops();
    int fired = 0;
    TestTimer endless{*iops, [&] {
                          ++fired;
                          iops->schedule(*endless, 0us);
                          if (fired % 5 == 0) {
                              loop.stop();
                              loop.stop();
                          }
                      }};
    iops->schedule(*endless, 0us);
    loop.run();
    CHECK(fired == 5);
    loop.run();
    CHECK(fired == 10);
    loop.stop();
    loop.run();
    CHECK(fired == 10);
    loop.run();
    CHECK(fired == 15);
}

TEST_CASE("What a stopping handler defers still runs in that turn") {
    EpollLoop loop;
    const std::unique_ptr<IOPS> iops = loop.make_iops();
    bool flushed = false;
    TestTimer flush{*iops, [&] { flushed = true; }};
    TestTimer handler{*iops, [&] {
                          iops->defer(*flush);
                          loop.stop();
                      }};
    iops->schedule(*handler, 0us);
    loop.run();
    CHECK(flushed);
}

TEST_CASE("run returns when counted work has finished, whatever else is armed") {
    EpollLoop loop;
    const std::unique_ptr<IOPS> iops = loop.make_iops();
    TestTimer forever{*iops, [] {}};
    iops->schedule(*forever, 1h);
    int left = 2;
    TestTimer worker{*iops, [&] {
                         loop.work_finished();
                         if (--left > 0) iops->schedule(*worker, 0us);
                     }};
    loop.work_started();
    loop.work_started();
    iops->schedule(*worker, 1ms);
    loop.run();
    CHECK(left == 0);
    // And once more: the work that has finished does not count twice.
    left = 1;
    loop.work_started();
    iops->schedule(*worker, 1ms);
    loop.run();
    CHECK(left == 0);
}

TEST_CASE("Posted callables run in order on a later step, move-only ones too") {
    EpollLoop loop;
    std::vector<int> order;
    loop.post([&, one = std::make_unique<int>(1)] {
        order.push_back(*one);
        loop.post([&] { order.push_back(3); });
    });
    loop.post([&] { order.push_back(2); });
    CHECK(order.empty());
    CHECK(loop.poll());
    CHECK(order == std::vector<int>{1, 2, 3});
    CHECK_FALSE(loop.poll());
}

TEST_CASE("Exceptions leave run one by one, and the rest of the turn is delivered first") {
    EpollLoop loop;
    int ran = 0;
    loop.post([] { throw std::runtime_error("one"); });
    loop.post([&] { ++ran; });
    loop.post([&] { loop.on_exception(std::make_exception_ptr(std::runtime_error("two"))); });
    CHECK_THROWS_WITH(loop.run(), "one");
    CHECK(ran == 1);
    CHECK_THROWS_WITH(loop.run(), "two");
    loop.post([&] { ++ran; });
    loop.run();
    CHECK(ran == 2);
    loop.post([] { throw std::runtime_error("three"); });
    CHECK_THROWS_WITH(loop.poll(), "three");
}

TEST_CASE("A loop is not run from inside its handlers") {
    EpollLoop loop;
    const std::unique_ptr<IOPS> iops = loop.make_iops();
    int refused = 0;
    const auto try_it = [&](auto function) {
        try {
            function();
        } catch (const std::logic_error&) {
            ++refused;
        }
    };
    loop.post([&] {
        try_it([&] { loop.run(); });
        try_it([&] { loop.poll(); });
        try_it([&] { iops->start_watching(); });
    });
    loop.run();
    CHECK(refused == 3);
}

TEST_CASE("The blocking face runs until stop_watching, and gives up when nothing is armed") {
    EpollLoop loop;
    const std::unique_ptr<IOPS> iops = loop.make_iops();
    TestTimer timer{*iops, [&] { iops->stop_watching(); }};
    TestTimer forever{*iops, [] {}};
    iops->schedule(*forever, 1h);
    iops->schedule(*timer, 1ms);
    iops->start_watching();
    CHECK_FALSE(timer->active());
    iops->cancel(*forever);
    iops->start_watching();
    iops->schedule(*timer, 0us);
    TestTimer thrower{*iops, [] { throw std::runtime_error("thrown"); }};
    iops->schedule(*thrower, 0us);
    CHECK_THROWS_WITH(iops->start_watching(), "thrown");
}

namespace {

struct Observer final : LoopObserver {
    std::function<void()> function;
    void on_loop_destroyed() noexcept override { function(); }
};

}  // namespace

TEST_CASE("A loop that dies runs exit hooks, tells its IOPS, and drops what was posted") {
    auto loop = std::make_unique<EpollLoop>();
    EpollLoop& dying = *loop;
    std::unique_ptr<IOPS> iops = loop->make_iops();
    std::unique_ptr<IOPS> dies_in_hook = loop->make_iops();
    std::unique_ptr<IOPS> dies_told = loop->make_iops();
    std::vector<std::string> log;

    struct Hook : ExitHook {
        std::vector<std::string>& log;
        std::string name;
        std::function<void()> function;
        Hook(std::vector<std::string>& l, std::string n, std::function<void()> f = {})
            : ExitHook([](ExitHook& hook) noexcept {
                  auto& self = static_cast<Hook&>(hook);
                  self.log.push_back(self.name);
                  if (const auto own = std::move(self.function)) own();
              }),
              log(l),
              name(std::move(n)),
              function(std::move(f)) {}
    };
    Hook first{log, "hook 1"};
    Hook removed{log, "hook removed"};
    std::unique_ptr<Hook> last;
    last = std::make_unique<Hook>(log, "hook 2", [&] {
        dying.work_finished();  // the loop can still be called
        dies_in_hook.reset();
        last.reset();
    });
    loop->work_started();
    loop->at_exit(first);
    loop->at_exit(removed);
    loop->at_exit(*last);
    removed.remove();
    CHECK_FALSE(removed.linked());

    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    TestTimer timer{*iops, [] { FAIL("a timer of a dead loop fired"); }};
    TestTimer deferred{*iops, [] { FAIL("a deferred event of a dead loop was delivered"); }};
    TestIoEvent event{*iops, [] { FAIL("an event of a dead loop was delivered"); }};
    iops->schedule(*timer, 0us);
    iops->defer(*deferred);
    iops->watch(*event, fds[0], rw_event);

    Observer observer;
    observer.function = [&] {
        log.push_back("observer");
        iops->schedule(*timer, 0us);
        iops->watch(*event, fds[0], rw_event);
        iops->unwatch(*event);
        iops->start_watching();
    };
    Observer suicidal;
    suicidal.function = [&] {
        log.push_back("suicidal");
        dies_told.reset();
    };
    Observer gone;
    gone.function = [&] { FAIL("an IOPS that is gone was told"); };
    iops->set_loop_observer(&observer);
    dies_told->set_loop_observer(&suicidal);
    dies_in_hook->set_loop_observer(&gone);

    struct Owner {
        std::vector<std::string>* log;
        explicit Owner(std::vector<std::string>* l) : log(l) {}
        Owner(Owner&& other) noexcept : log(std::exchange(other.log, nullptr)) {}
        ~Owner() {
            if (log != nullptr) log->push_back("posted destroyed");
        }
        void operator()() { FAIL("a callable posted to a dead loop was run"); }
    };
    loop->post(Owner{&log});
    loop.reset();
    CHECK(log == std::vector<std::string>{"hook 2", "hook 1", "suicidal", "observer", "posted destroyed"});

    // The IOPS does nothing any more, and says so by doing nothing.
    iops->defer(*deferred);
    iops->cancel(*timer);
    iops->on_exception(std::make_exception_ptr(std::runtime_error("unheard")));
    CHECK(iops->now() > TimePoint{});
    ::close(fds[0]);
    ::close(fds[1]);
}

TEST_CASE("An IOPS that is destroyed takes its events along") {
    EpollLoop loop;
    std::unique_ptr<IOPS> mine = loop.make_iops();
    std::unique_ptr<IOPS> other = loop.make_iops();
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    int fired = 0;
    TestIoEvent kept{*mine, [&] { ++fired; }};
    mine->watch(*kept, fds[0], write_event);
    const auto fail = [](void*, int) { FAIL("an event of a destroyed IOPS was delivered"); };
    const std::unique_ptr<IOEvent> event = other->io_event_factory();
    const std::unique_ptr<TimerEvent> timer = other->timer_event_factory();
    const std::unique_ptr<TimerEvent> deferred = other->timer_event_factory();
    event->set_handler(fail, nullptr);
    timer->set_handler(fail, nullptr);
    deferred->set_handler(fail, nullptr);
    other->watch(*event, fds[0], write_event);
    other->schedule(*timer, 0us);
    other->defer(*deferred);
    other.reset();
    loop.run();
    CHECK(fired == 1);
    ::close(fds[0]);
    ::close(fds[1]);
}

TEST_CASE("A descriptor that the kernel cannot watch is reported as ready, and its read tells why") {
    EpollLoop loop;
    const std::unique_ptr<IOPS> iops = loop.make_iops();
    std::FILE* file = std::tmpfile();  // epoll refuses regular files
    REQUIRE(file != nullptr);
    int fired = 0;
    TestIoEvent event{*iops, [&] {
                          if (++fired < 3) iops->watch(*event, ::fileno(file), read_event);
                      }};
    iops->watch(*event, ::fileno(file), read_event);
    loop.run();
    CHECK(fired == 3);
    std::fclose(file);
    CHECK_THROWS_AS(iops->watch(*event, -1, read_event), std::invalid_argument);
}

TEST_CASE("Random bits come from the system and do not repeat") {
    EpollLoop loop;
    const std::unique_ptr<IOPS> iops = loop.make_iops();
    std::vector<std::uint64_t> words;
    for (int i = 0; i < 1000; ++i) words.push_back(iops->random());
    std::sort(words.begin(), words.end());
    CHECK(std::adjacent_find(words.begin(), words.end()) == words.end());
}

TEST_CASE("Endpoints as text") {
    CHECK(Endpoint{"127.0.0.1", 11211}.to_string() == "127.0.0.1:11211");
    CHECK(Endpoint{"::1", 1}.to_string() == "[::1]:1");
}
