#pragma once

#include "support/memcached_process.hpp"
#include "tests/support/code_of.hpp"

#include <chaise/asio.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <catch2/catch.hpp>

#include <exception>
#include <string>
#include <utility>

namespace chaise::testing {

/// One memcached for all tests that don't stop it.
inline const std::string& shared_server() {
    static const MemcachedProcess process;
    return process.connection_string();
}

/// What a coroutine throws comes out of run().
inline void rethrow(std::exception_ptr error) {
    if (error) std::rethrow_exception(std::move(error));
}

/// Runs `body(bucket)` on the bucket's executor, closes the bucket, and expects run() to return.
template <class Context, class F>
void run_with(Context& io, AsioBucket& bucket, F body) {
    bool finished = false;
    asio::co_spawn(
        bucket.get_executor(),
        [&]() -> asio::awaitable<void> {
            co_await body(bucket);
            co_await bucket.close();
            finished = true;
        },
        rethrow);
    io.run();
    CHECK(finished);
    CHECK(bucket.operations() == 0);
}

template <class F>
void with_asio_bucket(const std::string& connection_string, const BucketOptions& options, F body) {
    asio::io_context io{1};
    AsioBucket bucket(io, connection_string, options);
    run_with(io, bucket, std::move(body));
}
template <class F>
void with_asio_bucket(const std::string& connection_string, F body) {
    with_asio_bucket(connection_string, {}, std::move(body));
}

/// The error of an operation that must fail.
inline errc code_of(const std::exception_ptr& error) {
    try {
        rethrow(error);
    } catch (const Exception& exception) {
        return exception.code();
    }
    return errc::success;
}

}  // namespace chaise::testing
