// 100,000 warmed-up gets by each face allocate nothing.

#include "bench/client.hpp"
#include "bench/counters.hpp"
#include "support/memcached_process.hpp"

#include <chaise/testing/local_cluster.hpp>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <optional>

#ifdef CHAISE_BENCH_ASIO
#include <chaise/asio.hpp>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#endif

using namespace chaise::bench;

namespace {

using Make = std::unique_ptr<Client> (*)(const Target&, Workload&);

Measurement gets(Make make, const Target& target) {
    Workload workload(Op::get, 256, 100);
    preload(target, workload);
    const auto client = make(target, workload);
    Meter meter({.operations = 100'000, .time = {}, .warm_up = warm_up_operations(target, workload)});
    client->run(meter);
    return meter.measurement();
}

Measurement gets(Make make) {
    const chaise::testing::MemcachedProcess server({.arguments = {"-R", "1000", "-m", "256"}});
    return gets(make, {server.connection_string(), {}, {}});
}

/// By vbucket, from three nodes. Theirs is another thread, which is not counted.
Measurement cluster_gets(Make make) {
    const auto cluster = chaise::testing::LocalCluster::on_thread({.nodes = 3, .vbuckets = 1024});
    return gets(make, {cluster.connection_string(), "Administrator", "password"});
}

}  // namespace

TEST_CASE("what is counted is counted") {
    const Counters before = counters;
    void* volatile memory = ::operator new(100);
    ::operator delete(memory);
    memory = ::operator new(100, std::align_val_t{64});
    ::operator delete(memory, std::align_val_t{64});
    CHECK(counters.news == before.news + 2);
    CHECK(counters.allocations == before.allocations + 2);
    memory = std::malloc(100);
    memory = std::realloc(memory, 200);
    std::free(memory);
    memory = std::calloc(1, 100);
    std::free(memory);
    CHECK(counters.allocations == before.allocations + 5);
    CHECK(counters.news == before.news + 2);

    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    const Counters connected = counters;
    char byte = 'x';
    CHECK(::send(ends[0], &byte, 1, 0) == 1);
    CHECK(::recv(ends[1], &byte, 1, 0) == 1);
    CHECK(::write(ends[1], &byte, 1) == 1);
    CHECK(::read(ends[0], &byte, 1) == 1);
    CHECK(counters.system_calls == connected.system_calls + 4);
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_CASE("a get by callback allocates nothing") {
    const Measurement measured = gets(&make_callback_client);
    CHECK(measured.operations == 100'000);
    CHECK(measured.counted.news == 0);
    CHECK(measured.counted.allocations == 0);
}

TEST_CASE("a get by co_await in Task allocates nothing") {
    const Measurement measured = gets(&make_await_client);
    CHECK(measured.operations == 100'000);
    CHECK(measured.counted.news == 0);
    CHECK(measured.counted.allocations == 0);
}

TEST_CASE("nor does a get from a cluster of three nodes, by callback and by co_await in Task") {
    for (const Make make : {&make_callback_client, &make_await_client}) {
        const Measurement measured = cluster_gets(make);
        CHECK(measured.operations == 100'000);
        CHECK(measured.counted.news == 0);
        CHECK(measured.counted.allocations == 0);
    }
}

#ifdef CHAISE_BENCH_ASIO

namespace {

/// AsioBucket with plain handlers: nothing of Asio's own coroutines is between the bucket and this.
class AsioHandlerClient final : public Client {
public:
    AsioHandlerClient(const Target& target, Workload& workload)
        : workload_(workload),
          bucket_(context_, target.connection_string, bucket_options(target)),
          stamps_(workload.depth()) {}

    void run(Meter& meter) override {
        meter_ = &meter;
        active_ = stamps_.size();
        asio::post(bucket_.get_executor(), [this] {
            for (std::int64_t& stamp : stamps_) start(stamp);
        });
        context_.restart();
        context_.run();
    }

private:
    void start(std::int64_t& stamp) {
        if (!meter_->next(stamp)) {
            if (--active_ == 0) context_.stop();
            return;
        }
        bucket_.get(workload_.draw().key, [this, &stamp](std::exception_ptr error, const chaise::ValueResult& result) {
            if (error) std::rethrow_exception(error);
            check_value(result.value(), workload_);
            meter_->done(stamp);
            start(stamp);
        });
    }

    Workload& workload_;
    asio::io_context context_{1};
    chaise::AsioBucket bucket_;
    std::vector<std::int64_t> stamps_;
    Meter* meter_ = nullptr;
    std::size_t active_ = 0;
};

std::unique_ptr<Client> make_asio_handler_client(const Target& target, Workload& workload) {
    return std::make_unique<AsioHandlerClient>(target, workload);
}

}  // namespace

TEST_CASE("a get by AsioBucket allocates nothing; what Asio's coroutines allocate is counted apart") {
    const Measurement handlers = gets(&make_asio_handler_client);
    CHECK(handlers.operations == 100'000);
    CHECK(handlers.counted.news == 0);
    CHECK(handlers.counted.allocations == 0);

    const Measurement awaited = gets(&make_asio_client);
    CHECK(awaited.operations == 100'000);
    const std::string report = fmt::format(
        "100,000 gets by AsioBucket: {} allocations with handlers; with use_awaitable {} more, Asio's own\n",
        handlers.counted.allocations, awaited.counted.allocations - handlers.counted.allocations);
    fmt::print("{}", report);
    INFO(report);
    CHECK(awaited.counted.allocations == 0);  // Asio recycles its coroutine frames
}

TEST_CASE("nor does a get by AsioBucket from a cluster of three nodes") {
    const Measurement measured = cluster_gets(&make_asio_handler_client);
    CHECK(measured.operations == 100'000);
    CHECK(measured.counted.news == 0);
    CHECK(measured.counted.allocations == 0);
}

#endif
