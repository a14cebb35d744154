// What a user's program needs of chaise::chaise alone.
#include <chaise/chaise.hpp>
#include <chaise/epoll.hpp>

#include <chrono>
#include <cstdio>

namespace {

chaise::Task<> ask(chaise::AsyncBucket& bucket, chaise::errc& outcome) {
    const auto found = co_await bucket.get("k", {.timeout = std::chrono::milliseconds(50)}).as_expected();
    outcome = found ? chaise::errc::success : found.error().code();
    co_await bucket.close();
}

}  // namespace

int main() {
    chaise::EpollLoop loop;
    chaise::AsyncBucket bucket(loop, "memcached://127.0.0.1:1");  // where nobody listens
    auto outcome = chaise::errc::success;
    chaise::spawn(loop, ask(bucket, outcome));
    loop.run();
    std::printf("core: %s\n", chaise::make_error_code(outcome).message().c_str());
    return outcome == chaise::errc::timeout_before_send ? 0 : 1;
}
