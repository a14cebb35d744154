// chaise inside a user's io_context: chaise::asio.
#include <chaise/asio.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>

#include <chrono>
#include <cstdio>

namespace {

asio::awaitable<void> ask(chaise::AsioBucket& bucket, chaise::errc& outcome) {
    try {
        co_await bucket.get("k", {.timeout = std::chrono::milliseconds(50)});
        outcome = chaise::errc::success;
    } catch (const chaise::TimeoutError& error) {
        outcome = error.code();
    }
    co_await bucket.close();
}

}  // namespace

int main() {
    asio::io_context context{1};
    chaise::AsioBucket bucket(context, "memcached://127.0.0.1:1");  // where nobody listens
    auto outcome = chaise::errc::success;
    asio::co_spawn(context, ask(bucket, outcome), asio::detached);
    context.run();
    std::printf("asio: %s\n", chaise::make_error_code(outcome).message().c_str());
    return outcome == chaise::errc::timeout_before_send ? 0 : 1;
}
