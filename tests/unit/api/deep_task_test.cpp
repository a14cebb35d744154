// A million awaits of a child that finishes at once, compiled without optimisation: no stack is used up.

#include <chaise/epoll.hpp>
#include <chaise/spawn.hpp>
#include <chaise/task.hpp>

#include <catch2/catch.hpp>

#ifdef __OPTIMIZE__
#error "this test is about -O0"
#endif

namespace {

constexpr int million = 1'000'000;

chaise::Task<int> one() { co_return 1; }
chaise::Task<int> one_more(int n) { co_return n + co_await one(); }
chaise::Task<> fails() {
    throw 1;
    co_return;
}

chaise::Task<> count(long& sum) {
    for (int i = 0; i < million; ++i) sum += co_await one();
}
chaise::Task<> count_two_deep(long& sum) {
    for (int i = 0; i < million; ++i) sum += co_await one_more(1);
}
chaise::Task<> count_failures(long& sum) {
    for (int i = 0; i < 10'000; ++i) {
        try {
            co_await fails();
        } catch (int n) {
            sum += n;
        }
    }
}

/// After its coroutine was resumed from a loop.
chaise::Task<> after_a_turn(chaise::EpollLoop& loop, long& sum) {
    struct NextTurn {
        chaise::EpollLoop& loop;
        bool await_ready() const { return false; }
        void await_suspend(std::coroutine_handle<> handle) const {
            loop.post([handle] { handle.resume(); });
        }
        void await_resume() const {}
    };
    for (int i = 0; i < 3; ++i) {
        NextTurn turn{loop};
        co_await turn;
        co_await count(sum);
    }
}

}  // namespace

TEST_CASE("a million tasks that finish at once", "[task]") {
    chaise::EpollLoop loop;
    long sum = 0;
    chaise::spawn(loop, count(sum));
    loop.run();
    CHECK(sum == million);
    chaise::spawn(loop, count_two_deep(sum));
    loop.run();
    CHECK(sum == 3 * million);
    chaise::spawn(loop, after_a_turn(loop, sum));
    loop.run();
    CHECK(sum == 6 * million);
    chaise::spawn(loop, count_failures(sum));
    loop.run();
    CHECK(sum == 6 * million + 10'000);
}
