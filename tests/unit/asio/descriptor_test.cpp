// Foreign descriptors: what is not an Asio socket.
#include <catch2/catch.hpp>

#include "support.hpp"

#include <asio/posix/stream_descriptor.hpp>

#include <array>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using namespace chaise;
using namespace chaise::testing;

struct Sockets {
    Sockets() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()) == 0); }
    ~Sockets() {
        close_mine();
        close_other();
    }
    void send() const { REQUIRE(::write(fds[1], "x", 1) == 1); }
    void drain() const {
        std::array<char, 64> buffer;
        REQUIRE(::read(fds[0], buffer.data(), buffer.size()) > 0);
    }
    void close_mine() { close(fds[0]); }
    void close_other() { close(fds[1]); }
    static void close(int& fd) {
        if (fd >= 0) ::close(fd);
        fd = -1;
    }
    [[nodiscard]] int mine() const { return fds[0]; }
    std::array<int, 2> fds{-1, -1};
};

struct Watcher {
    explicit Watcher(IOPS& host) : iops(host), event(host.io_event_factory()) {
        event->set_handler(
            [](void* self, int flags) {
                auto& watcher = *static_cast<Watcher*>(self);
                watcher.seen.push_back(flags);
                if (watcher.then) watcher.then();
            },
            this);
    }
    ~Watcher() { iops.cleanup(*event); }
    void watch(int fd, int flags) { iops.watch(*event, fd, flags); }

    IOPS& iops;
    std::unique_ptr<IOEvent> event;
    std::vector<int> seen;
    std::function<void()> then;
};

}  // namespace

TEST_CASE("watching is one-shot and level-triggered") {
    asio::io_context context;
    const auto iops = make_asio_iops(context, {.single_threaded = GENERATE(true, false)});
    Sockets sockets;
    Watcher watcher(*iops);

    watcher.watch(sockets.mine(), read_event);
    context.poll();
    CHECK(watcher.seen.empty());
    sockets.send();
    context.run();  // returns: a delivered watcher is no work
    CHECK(watcher.seen == std::vector<int>{read_event});
    CHECK_FALSE(watcher.event->active());

    // Still readable, so asking again is answered again.
    watcher.watch(sockets.mine(), rw_event);
    CHECK(watcher.seen.size() == 1);
    context.restart();
    context.run();
    CHECK(watcher.seen == std::vector<int>{read_event, rw_event});
    CHECK(watcher.event->ignored() == 0);

    sockets.drain();
    watcher.watch(sockets.mine(), rw_event);
    context.restart();
    context.run();
    CHECK(watcher.seen.back() == write_event);
}

TEST_CASE("a watcher may be armed again in its handler, with another interest") {
    asio::io_context context;
    const auto iops = make_asio_iops(context);
    Sockets sockets;
    Watcher watcher(*iops);
    watcher.then = [&] {
        if (watcher.seen.size() == 1) watcher.watch(sockets.mine(), write_event);
        if (watcher.seen.size() == 2) {
            sockets.drain();
            watcher.watch(sockets.mine(), read_event);
            sockets.send();
        }
        if (watcher.seen.size() == 3) sockets.drain();
        if (watcher.seen.size() >= 3 && watcher.seen.size() < 1000) watcher.watch(sockets.mine(), rw_event);
    };
    watcher.watch(sockets.mine(), read_event);
    sockets.send();
    context.run_for(10s);
    REQUIRE(watcher.seen.size() == 1000);
    CHECK(watcher.seen[0] == read_event);
    CHECK(watcher.seen[1] == write_event);
    CHECK(watcher.seen[2] == read_event);
    CHECK(watcher.seen[999] == write_event);
    CHECK(watcher.event->ignored() == 0);
}

TEST_CASE("unwatching and cleaning up") {
    asio::io_context context;
    const auto iops = make_asio_iops(context);
    Sockets sockets;
    Watcher watcher(*iops);
    watcher.watch(sockets.mine(), rw_event);
    SECTION("before the loop has run") {
        iops->unwatch(*watcher.event);
        context.run();
        CHECK(watcher.seen.empty());
        watcher.watch(sockets.mine(), write_event);
        context.restart();
        context.run();
        CHECK(watcher.seen == std::vector<int>{write_event});
    }
    SECTION("the descriptor stays open and can be given to another event") {
        iops->cleanup(*watcher.event);
        CHECK(::fcntl(sockets.mine(), F_GETFD) >= 0);
        Watcher other(*iops);
        other.watch(sockets.mine(), write_event);
        context.run();
        CHECK(watcher.seen.empty());
        CHECK(other.seen == std::vector<int>{write_event});
    }
    SECTION("in another watcher's handler, both being ready") {
        Sockets more;
        Watcher other(*iops);
        watcher.then = [&] { iops->cleanup(*other.event); };
        other.then = [&] { iops->cleanup(*watcher.event); };
        other.watch(more.mine(), write_event);
        context.run();
        CHECK(watcher.seen.size() + other.seen.size() == 1);
        CHECK(watcher.event->ignored() + other.event->ignored() == 0);
    }
    SECTION("a new descriptor replaces the old one") {
        Sockets more;
        watcher.watch(more.mine(), read_event);
        context.poll();
        CHECK(watcher.seen.empty());
        more.send();
        context.run();
        CHECK(watcher.seen == std::vector<int>{read_event});
        iops->cleanup(*watcher.event);  // before its descriptor is closed
    }
}

TEST_CASE("errors are delivered as readable and writable, later") {
    asio::io_context context;
    const auto iops = make_asio_iops(context);
    Watcher watcher(*iops);
    SECTION("a descriptor that is not open") {
        int closed = ::dup(0);
        ::close(closed);
        watcher.watch(closed, read_event);
        CHECK(watcher.seen.empty());
        context.run();
        CHECK(watcher.seen == std::vector<int>{rw_event});
        watcher.watch(closed, read_event);
        iops->unwatch(*watcher.event);
        context.restart();
        context.run();
        CHECK(watcher.seen.size() == 1);
    }
    SECTION("a regular file, which epoll does not take") {
        const int file = ::open("/proc/self/exe", O_RDONLY);
        REQUIRE(file >= 0);
        watcher.watch(file, read_event);
        context.run();
        CHECK(watcher.seen == std::vector<int>{rw_event});
        iops->cleanup(*watcher.event);
        ::close(file);
    }
    SECTION("the other end is gone") {
        Sockets sockets;
        watcher.watch(sockets.mine(), read_event);
        sockets.close_other();
        context.run();
        CHECK(watcher.seen == std::vector<int>{rw_event});
        iops->cleanup(*watcher.event);
    }
    SECTION("closed while it is watched: no call, and nothing breaks") {
        Sockets sockets;
        watcher.watch(sockets.mine(), read_event);
        context.poll();
        sockets.close_mine();
        context.run_for(20ms);
        CHECK(watcher.seen.empty());
        iops->cleanup(*watcher.event);
        context.restart();
        context.run_for(10s);
        CHECK(context.stopped());
    }
}

TEST_CASE("one descriptor with two events, or with an Asio object of the user's") {
    asio::io_context context;
    const auto iops = make_asio_iops(context);
    Sockets sockets;
    Watcher reader(*iops);
    Watcher writer(*iops);
    reader.watch(sockets.mine(), read_event);
    writer.watch(sockets.mine(), write_event);
    context.run_for(20ms);
    CHECK(writer.seen == std::vector<int>{write_event});
    CHECK(reader.seen.empty());
    sockets.send();
    context.restart();
    context.run();
    CHECK(reader.seen == std::vector<int>{read_event});
    iops->cleanup(*reader.event);
    iops->cleanup(*writer.event);

    asio::posix::stream_descriptor users(context, sockets.mine());
    Watcher third(*iops);
    third.watch(sockets.mine(), write_event);
    context.restart();
    context.run();
    CHECK(third.seen == std::vector<int>{write_event});
    iops->cleanup(*third.event);
    users.release();
}
