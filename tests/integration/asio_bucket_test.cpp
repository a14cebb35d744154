// AsioBucket and the completion tokens, against a real memcached.
#include "asio_bucket_support.hpp"

#include <asio/any_io_executor.hpp>
#include <asio/bind_executor.hpp>
#include <asio/detached.hpp>
#include <asio/post.hpp>
#include <asio/strand.hpp>
#include <asio/system_executor.hpp>
#include <asio/use_future.hpp>

#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

/// Counts what is allocated with it, all copies together.
template <class T>
struct CountingAllocator {
    using value_type = T;
    explicit CountingAllocator(int& counter) : count(&counter) {}
    template <class U>
    CountingAllocator(const CountingAllocator<U>& other) : count(other.count) {}
    T* allocate(std::size_t n) {
        ++*count;
        return std::allocator<T>().allocate(n);
    }
    void deallocate(T* p, std::size_t n) { std::allocator<T>().deallocate(p, n); }
    template <class U>
    bool operator==(const CountingAllocator<U>& other) const {
        return count == other.count;
    }
    int* count;
};

/// A handler with an allocator; move-only, as Asio allows.
struct AllocatingHandler {
    using allocator_type = CountingAllocator<void>;
    allocator_type get_allocator() const noexcept { return allocator; }
    void operator()(std::exception_ptr error, ValueResult found) {
        rethrow(error);
        *seen = found.value();
    }
    allocator_type allocator;
    std::unique_ptr<int> move_only;
    std::string* seen;
};

}  // namespace

TEST_CASE("AsioBucket: every operation, awaited with the default token") {
    with_asio_bucket(shared_server(), {.enable_flush = true}, [](AsioBucket& bucket) -> asio::awaitable<void> {
        co_await bucket.connect();
        CHECK(bucket.connected());
        const auto stored = co_await bucket.upsert("k", "value", {.expiry = 10min, .flags = 7});
        const auto found = co_await bucket.get("k");
        CHECK(found.value() == "value");
        CHECK(found.flags() == 7);
        CHECK(found.cas() == stored.cas());
        co_await bucket.append("k", "!");
        co_await bucket.prepend("k", "<", {.timeout = 1s});
        const auto touched = co_await bucket.get_and_touch("k", 1min);
        CHECK(touched.value() == "<value!");
        co_await bucket.touch("k", asio::use_awaitable);
        const auto replaced = co_await bucket.replace("k", "again", {.cas = touched.cas()});
        CHECK(replaced.cas() != touched.cas());
        co_await bucket.remove("k", {.cas = replaced.cas()});
        const auto absent = co_await bucket.get("k", {.quiet = true});
        CHECK_FALSE(absent.success());
        co_await bucket.insert("k", std::string(5000, 'x'));
        const auto large = co_await bucket.get("k");
        CHECK(large.value() == std::string(5000, 'x'));
        co_await bucket.remove("n", {.quiet = true});
        const auto number = co_await bucket.counter("n", {.delta = 2, .initial = 40});
        CHECK(number.counter() == 40);
        const auto pong = co_await bucket.noop();
        CHECK(pong.success());
        const auto version = co_await bucket.version();
        CHECK(version.versions().size() == 1);
        const auto stats = co_await bucket.stats();
        CHECK(stats.get("version") == version.versions().begin()->second);
        const auto settings = co_await bucket.stats("settings");
        CHECK_FALSE(settings.get("maxbytes").empty());
        co_await bucket.flush();
        const auto flushed = co_await bucket.get("n", {.quiet = true});
        CHECK_FALSE(flushed.success());
    });
}

TEST_CASE("AsioBucket: exceptions are of the error's class") {
    with_asio_bucket(shared_server(), [](AsioBucket& bucket) -> asio::awaitable<void> {
        co_await bucket.remove("absent", {.quiet = true});
        const auto stored = co_await bucket.upsert("k", "no number");
        // CHECK_THROWS_AS names its expression once.
        CHECK_THROWS_AS(co_await bucket.get("absent"), NotFoundError);
        CHECK_THROWS_AS(co_await bucket.get("absent"), DataError);
        CHECK_THROWS_AS(co_await bucket.insert("k", "v"), KeyExistsError);
        CHECK_THROWS_AS(co_await bucket.replace("k", "v", {.cas = stored.cas() + 1}), KeyExistsError);
        CHECK_THROWS_AS(co_await bucket.counter("k"), DeltaBadvalError);
        CHECK_THROWS_AS(co_await bucket.get(""), ArgumentError);
        CHECK_THROWS_AS(co_await bucket.get(std::string(251, 'k')), InputError);
        CHECK_THROWS_AS(co_await bucket.upsert("k", std::string(2'000'000, 'x')), TooBigError);
        CHECK_THROWS_AS(co_await bucket.flush(), NotSupportedError);
        try {
            co_await bucket.get("absent");
            FAIL("absent was found");
        } catch (const NotFoundError& error) {
            CHECK(error.code() == errc::document_not_found);
            CHECK(error.context().key == "absent");
            CHECK(std::string_view(error.what()).find("absent") != std::string_view::npos);
        }
        co_await bucket.close();
        CHECK_THROWS_AS(co_await bucket.get("k"), ShutdownError);
    });
    asio::io_context io{1};
    CHECK_THROWS_AS(AsioBucket(io, "memcached://host?nonsense=1"), ArgumentError);
}

TEST_CASE("AsioBucket: as_expected") {
    with_asio_bucket(shared_server(), [](AsioBucket& bucket) -> asio::awaitable<void> {
        co_await bucket.upsert("k", "v");
        co_await bucket.remove("absent", {.quiet = true});

        auto found = co_await bucket.get("k", as_expected());
        static_assert(std::is_same_v<decltype(found), Expected<ValueResult, Error>>);
        REQUIRE(found);
        CHECK(found->value() == "v");
        auto absent = co_await bucket.get("absent", as_expected());
        CHECK(code_of(absent) == errc::document_not_found);
        CHECK(absent.error().context().key == "absent");

        auto again = co_await bucket.get("k", {.timeout = 1s}, as_expected(asio::use_awaitable));
        CHECK(again.value().value() == "v");
        auto exists = co_await bucket.insert("k", "v", as_expected(asio::use_awaitable));
        CHECK(code_of(exists) == errc::document_exists);
        auto refused = co_await bucket.get("", as_expected());
        CHECK(code_of(refused) == errc::invalid_argument);

        const auto token = as_expected();  // an lvalue will do
        auto third = co_await bucket.get("k", token);
        CHECK(third);
    });
}

TEST_CASE("AsioBucket: as_expected around handlers and futures") {
    asio::io_context io{1};
    AsioBucket bucket(io, shared_server());
    std::vector<std::string> seen;
    bucket.upsert("k", "v", as_expected(asio::detached));
    bucket.get("k", as_expected([&](Expected<ValueResult, Error> found) { seen.emplace_back(found->value()); }));
    bucket.get("", {},
               as_expected([&](Expected<ValueResult, Error> found) { seen.emplace_back(name(found.error().code())); }));
    std::future<Expected<ValueResult, Error>> future = bucket.get("k", as_expected(asio::use_future));
    CHECK(seen.empty());
    bucket.noop([&](std::exception_ptr, OperationResult) { bucket.close(asio::detached); });
    io.run();
    CHECK(seen == std::vector<std::string>{"invalid_argument", "v"});
    CHECK(future.get().value().value() == "v");
}

TEST_CASE("AsioBucket: plain handlers, called later, with an exception or a result") {
    asio::io_context io{1};
    AsioBucket bucket(io, shared_server());
    std::vector<std::string> seen;
    bool was_refused = false;
    bucket.upsert("k", "v", {.flags = 3}, [&](std::exception_ptr error, OperationResult stored) {
        CHECK_FALSE(error);
        CHECK(stored.cas() != 0);
        seen.emplace_back("stored");
        bucket.get("", [&](std::exception_ptr refused, ValueResult nothing) {
            CHECK(code_of(refused) == errc::invalid_argument);
            CHECK(nothing.value().empty());
            was_refused = true;
        });
        CHECK_FALSE(was_refused);  // an error that is known at once comes later all the same
    });
    // A handler that is not copyable, and one that is no temporary.
    bucket.get("k", [&, unique = std::make_unique<int>(1)](std::exception_ptr error, ValueResult found) {
        rethrow(error);
        seen.emplace_back(found.value());
    });
    const auto handler = [&](std::exception_ptr error, ValueResult) {
        CHECK_THROWS_AS(rethrow(error), NotFoundError);
        seen.emplace_back("not found");
    };
    bucket.remove("absent", {.quiet = true}, asio::detached);
    bucket.get("absent", handler);
    // Larger than the room in the slot.
    bucket.get("k", [&, ballast = std::array<char, 300>{}](std::exception_ptr, ValueResult found) {
        seen.emplace_back(found.owned() + (ballast[299] == 0 ? "!" : "?"));
        bucket.close([&](std::exception_ptr, OperationResult) { seen.emplace_back("closed"); });
    });
    CHECK(seen.empty());
    io.run();
    CHECK(seen == std::vector<std::string>{"stored", "v", "not found", "v!", "closed"});
    CHECK(was_refused);
}

TEST_CASE("AsioBucket: detached operations happen, and nobody hears of their errors") {
    int unobserved = 0;
    with_asio_bucket(shared_server(), [&](AsioBucket& bucket) -> asio::awaitable<void> {
        bucket.on_unobserved([&](const Error&) { ++unobserved; });
        bucket.upsert("k", "detached", asio::detached);
        bucket.get("", asio::detached);
        const auto found = co_await bucket.get("k");
        CHECK(found.value() == "detached");
    });
    CHECK(unobserved == 0);
}

TEST_CASE("AsioBucket: use_future, from another thread than the loop's") {
    asio::io_context io{1};
    AsioBucket bucket(io, shared_server());
    const asio::any_io_executor executor = bucket.get_executor();
    std::thread loop([&] { io.run(); });
    // The call is made on the bucket's executor; its future goes to this thread.
    const auto call = [&](auto operation) { return asio::post(executor, asio::use_future(operation)).get(); };
    std::future<OperationResult> stored = call([&] { return bucket.upsert("k", "future", asio::use_future); });
    CHECK(stored.get().cas() != 0);
    std::future<ValueResult> found = call([&] { return bucket.get("k", {.timeout = 1s}, asio::use_future); });
    CHECK(found.get().value() == "future");
    std::future<ValueResult> absent = call([&] {
        bucket.remove("k", asio::detached);
        return bucket.get("k", asio::use_future);
    });
    CHECK_THROWS_AS(absent.get(), NotFoundError);
    call([&] { return bucket.close(asio::use_future); }).get();
    loop.join();
}

TEST_CASE("AsioBucket: a handler bound to another executor runs there, which has work until then") {
    asio::io_context io{1};
    asio::io_context other{1};
    AsioBucket bucket(io, shared_server());
    int allocations = 0;
    std::string seen;
    std::vector<bool> there;
    const auto check_place = [&] {
        there.push_back(other.get_executor().running_in_this_thread() && !io.get_executor().running_in_this_thread());
    };
    bucket.upsert("k", "bound", asio::detached);
    bucket.get("k", asio::bind_executor(other.get_executor(),
                                        AllocatingHandler{CountingAllocator<void>(allocations), {}, &seen}));
    bucket.get("k", asio::bind_executor(asio::any_io_executor(asio::make_strand(other)),
                                        [&](std::exception_ptr, ValueResult found) {
                                            check_place();
                                            CHECK(found.value() == "bound");
                                        }));
    bucket.get("", as_expected(asio::bind_executor(other.get_executor(), [&](Expected<ValueResult, Error> refused) {
                   check_place();
                   CHECK(code_of(refused) == errc::invalid_argument);
               })));
    // The other loop has nothing to do yet, and stays all the same.
    other.run_for(1ms);
    CHECK_FALSE(other.stopped());
    CHECK(allocations == 0);

    bucket.noop([&](std::exception_ptr, OperationResult) { bucket.close(asio::detached); });
    io.run();
    CHECK(there.empty());
    CHECK(seen.empty());
    CHECK(allocations == 1);  // what takes the handler to the other loop
    other.run();
    CHECK(there == std::vector<bool>{true, true});
    CHECK(seen == "bound");
    CHECK(allocations == 1);
}

namespace {

/// A user's executor around Asio's, which begins with the same bytes.
struct CountingExecutor {
    asio::io_context::executor_type inner;
    int* executed;
    template <class F>
    void execute(F function) const {
        ++*executed;
        asio::execution::execute(inner, std::move(function));
    }
    friend bool operator==(const CountingExecutor& a, const CountingExecutor& b) noexcept { return a.inner == b.inner; }
    friend bool operator!=(const CountingExecutor& a, const CountingExecutor& b) noexcept { return !(a == b); }
};

}  // namespace

TEST_CASE("AsioBucket: executors are compared by type, too") {
    asio::io_context io{1};
    AsioBucket bucket(io, shared_server());
    int executed = 0;
    int called = 0;
    const CountingExecutor counting{io.get_executor(), &executed};
    bucket.noop(asio::bind_executor(counting, [&](std::exception_ptr, OperationResult) {
        ++called;
        bucket.close(asio::bind_executor(io.get_executor(), [&](std::exception_ptr, OperationResult) { ++called; }));
    }));
    io.run();
    CHECK(called == 2);
    CHECK(executed == 1);
}

TEST_CASE("AsioBucket: a handler on the bucket's own executor is told from others of one context") {
    asio::io_context io;
    const auto strand = asio::make_strand(io);
    AsioBucket bucket(strand, shared_server());
    CHECK(bucket.get_executor() == asio::any_io_executor(strand));
    const auto foreign = asio::make_strand(io);
    std::string seen;
    bucket.upsert("k", "v", asio::detached);
    bucket.get("k", asio::bind_executor(strand, [&](std::exception_ptr, ValueResult) {
                   seen += strand.running_in_this_thread() ? "own " : "? ";
               }));
    bucket.get("k", asio::bind_executor(foreign, [&](std::exception_ptr, ValueResult) {
                   seen += foreign.running_in_this_thread() ? "foreign " : "? ";
               }));
    bucket.get("k", asio::bind_executor(asio::system_executor(), [&](std::exception_ptr, ValueResult) {
                   seen += "system ";
                   asio::post(strand, [&] { bucket.close(asio::detached); });
               }));
    // Not the strand, though it is the strand's inner executor.
    bucket.get("k", asio::bind_executor(io.get_executor(), [&](std::exception_ptr, ValueResult) { seen += "io "; }));
    io.run();
    CHECK(seen == "own foreign system io ");
}

TEST_CASE("AsioBucket: an operation starts at the call, not at the co_await") {
    with_asio_bucket(shared_server(), [](AsioBucket& bucket) -> asio::awaitable<void> {
        co_await bucket.upsert("x", "1");
        co_await bucket.upsert("y", "2");
        auto a = bucket.get("x");
        auto b = bucket.get("y");
        const auto second = co_await std::move(b);
        const auto first = co_await std::move(a);
        CHECK(first.value() == "1");
        CHECK(second.value() == "2");

        auto store = bucket.upsert("x", "3");
        const auto seen = co_await bucket.get("x");
        CHECK(seen.value() == "3");
        auto refused = bucket.get("");
        co_await bucket.noop();
        CHECK_THROWS_AS(co_await std::move(refused), ArgumentError);
        const auto stored = co_await std::move(store);
        CHECK(stored.cas() == seen.cas());
    });
}

TEST_CASE("AsioBucket: an awaitable that is never awaited") {
    std::vector<errc> unobserved;
    with_asio_bucket(shared_server(), [&](AsioBucket& bucket) -> asio::awaitable<void> {
        bucket.on_unobserved([&](const Error& error) { unobserved.push_back(error.code()); });
        {
            auto dropped = bucket.upsert("k", "all the same");
        }
        {
            auto dropped = bucket.get("k");
        }
        {
            auto refused = bucket.get("", as_expected());
        }
        {
            auto kept = bucket.get("k");
            const auto found = co_await bucket.get("k");
            CHECK(found.value() == "all the same");
        }  // its outcome had come
        co_await bucket.noop();
    });
    CHECK(unobserved == std::vector<errc>{errc::invalid_argument});
}

namespace {

/// A coroutine on the bucket's executor, in whatever the bucket was given.
template <class Context, class Where>
void round_trip(Context& io, Where&& where, const AsioOptions& options = {}) {
    AsioBucket bucket(where, shared_server(), {}, options);
    run_with(io, bucket, [](AsioBucket& open) -> asio::awaitable<void> {
        const asio::any_io_executor here = co_await asio::this_coro::executor;
        CHECK(here == open.get_executor());
        co_await open.upsert("where", "here");
        for (int i = 0; i < 20; ++i) {
            const auto found = co_await open.get("where");
            CHECK(found.value() == "here");
        }
    });
}

}  // namespace

TEST_CASE("AsioBucket: on contexts and executors of every kind") {
    {
        asio::io_context io{1};
        round_trip(io, io);
        io.restart();
        round_trip(io, io.get_executor());
    }
    asio::io_context io;
    round_trip(io, io);
    for (const asio::any_io_executor& executor :
         {asio::any_io_executor(io.get_executor()), asio::any_io_executor(asio::make_strand(io)),
          asio::any_io_executor(asio::make_strand(asio::any_io_executor(io.get_executor())))}) {
        io.restart();
        round_trip(io, executor);
    }
    io.restart();
    round_trip(io, asio::make_strand(io));
    io.restart();
    round_trip(io, io, {.single_threaded = true});
}

TEST_CASE("AsioBucket: run() stays while the bucket is open, and returns after close()") {
    asio::io_context io{1};
    AsioBucket bucket(io, shared_server());
    bool connected = false;
    bucket.connect([&](std::exception_ptr error, OperationResult) { connected = !error; });
    io.run_for(50ms);
    CHECK(connected);
    CHECK_FALSE(io.stopped());
    bool closed = false;
    asio::post(io, [&] { bucket.close([&](std::exception_ptr, OperationResult) { closed = true; }); });
    io.run();
    CHECK(closed);
    CHECK(io.stopped());
}
