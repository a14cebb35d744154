// chaise inside a user's io_context: chaise::asio.
#include <chaise/asio/iops.hpp>

#include <asio/io_context.hpp>

#include <cstdio>

int main() {
    asio::io_context context{1};
    chaise::AsioIOPS iops{context.get_executor()};
    bool fired = false;
    auto timer = iops.timer_event_factory();
    timer->set_handler([](void* seen, int) { *static_cast<bool*>(seen) = true; }, &fired);
    iops.schedule(*timer, std::chrono::microseconds{1});
    context.run();
    iops.cleanup(*timer);
    std::puts(fired ? "asio: the timer fired" : "asio: the timer did not fire");
    return fired ? 0 : 1;
}
