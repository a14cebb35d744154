// co_await in a service that runs on Asio.
//
//   hello_await memcached://127.0.0.1:11211
//   hello_await couchbase://127.0.0.1 Administrator password

#include <chaise/asio.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <exception>
#include <iostream>
#include <string_view>

static asio::awaitable<void> hello(chaise::AsioBucket& bucket) {
    co_await bucket.upsert("user::42", R"({"name":"Ada"})");

    auto doc = co_await bucket.get("user::42");
    std::cout << "user::42 is " << doc.value() << ", CAS " << doc.cas() << '\n';

    auto visits = co_await bucket.counter("visits", {.delta = 1, .initial = 1});
    std::cout << "visits: " << visits.counter() << '\n';

    auto nobody = co_await bucket.get("user::43", {.quiet = true});
    std::cout << "user::43 exists: " << std::boolalpha << nobody.success() << '\n';

    co_await bucket.close();
}

int main(int argc, char** argv) {
    asio::io_context io{1};  // one thread: no strand is needed
    try {
        chaise::BucketOptions options;
        if (argc > 3) {
            options.username = argv[2];
            options.password = argv[3];
        }
        chaise::AsioBucket bucket(io, argc > 1 ? argv[1] : "memcached://127.0.0.1:11211", options);
        asio::co_spawn(io, hello(bucket), [](std::exception_ptr error) {
            if (error) std::rethrow_exception(error);
        });
        io.run();
    } catch (const std::exception& error) {
        std::cerr << "hello_await: " << error.what() << '\n';
        return 1;
    }
}
