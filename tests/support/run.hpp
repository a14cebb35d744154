#pragma once

#include "tests/support/sleep.hpp"

#include <chaise/chaise.hpp>
#include <chaise/epoll.hpp>

#include <string_view>
#include <utility>

// Catch's own macros name their expression twice, the second time behind `false &&` in a loop's condition, and GCC 12
// evaluates a co_await there all the same: the operation would run twice.
#define CHECK_AWAIT(...)                                   \
    do {                                                   \
        const bool holds = static_cast<bool>(__VA_ARGS__); \
        INFO(#__VA_ARGS__);                                \
        CHECK(holds);                                      \
    } while (false)

namespace chaise::testing {

/// Runs one coroutine, `body(bucket)`, with a bucket on a loop of its own until it ends.
template <class F>
void with_bucket(std::string_view connection_string, const BucketOptions& options, F body) {
    EpollLoop loop;
    AsyncBucket bucket(loop, connection_string, options);
    spawn(loop, body(bucket));
    loop.run();
}
template <class F>
void with_bucket(std::string_view connection_string, F body) {
    with_bucket(connection_string, BucketOptions{}, std::move(body));
}

}  // namespace chaise::testing
