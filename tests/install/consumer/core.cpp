// What a user's program needs of chaise::chaise alone.
#include <chaise/epoll.hpp>

#include <cstdio>

int main() {
    chaise::EpollLoop loop;
    auto iops = loop.make_iops();
    bool ran = false;
    loop.post([&] { ran = true; });
    loop.run();
    std::puts(ran ? "core: ran" : "core: did not run");
    return ran ? 0 : 1;
}
