#include "event_probe.hpp"

#include <chaise/epoll.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

using namespace chaise;
using namespace std::chrono_literals;

TEST_CASE("Any thread may post to a loop, and wakes it") {
    constexpr int threads = 4;
    constexpr int each = 20'000;
    EpollLoop loop;
    const std::unique_ptr<IOPS> iops = loop.make_iops();
    TestTimer forever{*iops, [] {}};
    iops->schedule(*forever, 1h);
    std::vector<int> last(threads, -1);
    int total = 0;
    bool ordered = true;
    std::vector<std::thread> posters;
    for (int t = 0; t < threads; ++t) {
        posters.emplace_back([&, t] {
            for (int i = 0; i < each; ++i) {
                loop.post([&, t, i, owned = std::make_unique<int>(i)] {
                    auto& previous = last[static_cast<std::size_t>(t)];
                    ordered = ordered && previous == i - 1 && *owned == i;
                    previous = i;
                    if (++total == threads * each) loop.stop();
                });
                if (i % 1000 == 0) std::this_thread::sleep_for(100us);  // the loop falls asleep now and then
            }
        });
    }
    loop.run();
    for (std::thread& poster : posters) poster.join();
    CHECK(total == threads * each);
    CHECK(ordered);
}

TEST_CASE("No wake-up is lost between two threads that take turns") {
    EpollLoop here;
    EpollLoop there;
    constexpr int rounds = 5'000;
    int count = 0;
    const std::unique_ptr<IOPS> here_iops = here.make_iops();
    const std::unique_ptr<IOPS> there_iops = there.make_iops();
    TestTimer here_forever{*here_iops, [] {}};
    TestTimer there_forever{*there_iops, [] {}};
    here_iops->schedule(*here_forever, 1h);
    there_iops->schedule(*there_forever, 1h);
    std::function<void()> ping;
    std::function<void()> pong = [&] { here.post([&] { ping(); }); };
    ping = [&] {
        if (++count == rounds) {
            here.stop();
            there.post([&] { there.stop(); });
        } else {
            there.post([&] { pong(); });
        }
    };
    std::thread other{[&] { there.run(); }};
    here.post([&] { ping(); });
    here.run();
    other.join();
    CHECK(count == rounds);
}
