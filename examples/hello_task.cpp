// chaise::Task on chaise's own epoll loop: two operations started, then awaited.
//
//   hello_task memcached://127.0.0.1:11211
//   hello_task couchbase://127.0.0.1 Administrator password

#include <chaise/chaise.hpp>
#include <chaise/epoll.hpp>

#include <iostream>
#include <string_view>

using namespace std::chrono_literals;

static chaise::Task<> hello(chaise::AsyncBucket& bucket) {
    // Both are under way at once; the second does not wait for the first.
    auto first = bucket.upsert("hello_task::1", "one", {.expiry = 10min});
    auto second = bucket.upsert("hello_task::2", "two", {.expiry = 10min});
    co_await first;
    co_await second;

    const chaise::ValueResult one = co_await bucket.get("hello_task::1");
    std::cout << "hello_task::1 is \"" << one.value() << "\"\n";

    // An error as a value ...
    auto missing = co_await bucket.get("hello_task::3").as_expected();
    if (!missing) std::cout << "as_expected: " << missing.error().message() << '\n';

    // ... and as an exception of its class.
    co_await bucket.upsert("hello_task::1", "changed meanwhile");
    try {
        co_await bucket.replace("hello_task::1", "two", {.cas = one.cas()});
    } catch (const chaise::KeyExistsError& error) {
        std::cout << "KeyExistsError: " << error.what() << '\n';
    }
}

int main(int argc, char** argv) {
    const std::string_view where = argc > 1 ? argv[1] : "memcached://127.0.0.1:11211";
    try {
        chaise::BucketOptions options;
        if (argc > 3) {
            options.username = argv[2];
            options.password = argv[3];
        }
        chaise::EpollLoop loop;
        chaise::AsyncBucket bucket(loop, where, options);
        chaise::spawn(loop, hello(bucket));
        loop.run();
    } catch (const std::exception& error) {
        std::cerr << "hello_task: " << error.what() << '\n';
        return 1;
    }
}
