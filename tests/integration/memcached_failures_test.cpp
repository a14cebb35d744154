// A memcached that is not there, that goes away, that is silent, that comes back, or that is something else.

#include "support/memcached_process.hpp"
#include "tests/support/run.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace chaise;
using namespace std::chrono_literals;
using chaise::testing::MemcachedProcess;
using chaise::testing::Sleep;
using chaise::testing::with_bucket;

namespace {

/// A port of loopback on which nobody listens: memcached had it a moment ago.
std::string nobody() {
    MemcachedProcess gone;
    return gone.connection_string();
}

/// Answers whoever connects with `text`.
class Impostor final : AcceptHandler, TransportHandler {
public:
    Impostor(EpollLoop& loop, std::string text) : iops_(loop.make_iops()), text_(std::move(text)) {
        listener_ = iops_->transport_factory().listen({"127.0.0.1", 0}, *this);
    }
    [[nodiscard]] std::string connection_string() const {
        return "memcached://" + listener_->local_endpoint().to_string();
    }

private:
    void on_accept(std::unique_ptr<Transport> transport) override {
        const ConstBuffer all{text_.data(), text_.size()};
        CHECK(transport->write({&all, 1}).bytes == text_.size());
        transport->set_handler(*this);
        connections_.push_back(std::move(transport));
    }
    void on_read(std::size_t, std::error_code) override {}
    void on_writable() override {}

    std::unique_ptr<IOPS> iops_;
    std::string text_;
    std::unique_ptr<Listener> listener_;
    std::vector<std::unique_ptr<Transport>> connections_;
};

}  // namespace

TEST_CASE("nobody listens: connect() says so at once, an operation when its time is over") {
    const std::string where = nobody();
    with_bucket(where, [&](AsyncBucket& bucket) -> Task<> {
        const auto connected = co_await bucket.connect().as_expected();
        REQUIRE_FALSE(connected);
        CHECK(connected.error().code() == errc::not_connected);
        CHECK(connected.error().context().node == where.substr(12));
        CHECK(connected.error().message().find("Connection refused") != std::string::npos);

        const auto found = co_await bucket.get("k", {.timeout = 100ms}).as_expected();
        REQUIRE_FALSE(found);
        CHECK(found.error().code() == errc::timeout_before_send);
        CHECK_FALSE(found.error().may_have_happened());
        CHECK(found.error().message().find("Connection refused") != std::string::npos);
    });
}

TEST_CASE("a name that nobody knows") {
    with_bucket("memcached://no-such-host.invalid", {.connect_timeout = 5s}, [](AsyncBucket& bucket) -> Task<> {
        const auto connected = co_await bucket.connect().as_expected();
        REQUIRE_FALSE(connected);
        CHECK(connected.error().message().find("no-such-host.invalid") != std::string::npos);
    });
}

TEST_CASE("not a memcached") {
    EpollLoop loop;
    Impostor impostor(loop, "HTTP/1.1 400 Bad Request\r\n\r\n");
    AsyncBucket bucket(loop, impostor.connection_string());
    const auto body = [&]() -> Task<> {
        const auto connected = co_await bucket.connect().as_expected();
        REQUIRE_FALSE(connected);
        CHECK(connected.error().message().find("protocol error") != std::string::npos);
    };
    spawn(loop, body());
    loop.run();
}

TEST_CASE("a silent server: timeout_after_send, and the late answers meet nobody") {
    const MemcachedProcess server;
    with_bucket(server.connection_string(), [&](AsyncBucket& bucket) -> Task<> {
        for (int i = 0; i < 10; ++i) co_await bucket.upsert("silent" + std::to_string(i), std::to_string(i));
        server.pause();
        std::vector<AsyncResult<ValueResult>> gets;
        for (int i = 0; i < 10; ++i) gets.push_back(bucket.get("silent" + std::to_string(i), {.timeout = 50ms}));
        for (auto& get : gets) {
            const auto outcome = co_await get.as_expected();
            REQUIRE_FALSE(outcome);
            CHECK(outcome.error().code() == errc::timeout_after_send);
            CHECK(outcome.error().may_have_happened());
        }
        server.resume();
        // The same slots again, while the answers to the first ten are still to come.
        for (int i = 9; i >= 0; --i) {
            CHECK_AWAIT((co_await bucket.get("silent" + std::to_string(i))).value() == std::to_string(i));
        }
    });
}

TEST_CASE("a server that stays silent is left, and found again") {
    const MemcachedProcess server;
    with_bucket(server.connection_string(), {.operation_timeout = 300ms}, [&](AsyncBucket& bucket) -> Task<> {
        co_await bucket.upsert("k", "v");
        server.pause();
        CHECK_THROWS_AS(co_await bucket.get("k"), TimeoutError);
        server.resume();
        CHECK_AWAIT((co_await bucket.get("k", {.timeout = 5s})).value() == "v");
    });
}

TEST_CASE("a server that dies: reads wait for it, writes that were sent say that they may have happened") {
    MemcachedProcess server;
    with_bucket(server.connection_string(), [&](AsyncBucket& bucket) -> Task<> {
        co_await bucket.upsert("k", "v");
        server.pause();
        auto write = bucket.upsert("k", "w", {.timeout = 5s});
        auto read = bucket.get("k", {.timeout = 300ms});
        co_await bucket.get("other", {.timeout = 50ms, .quiet = true}).as_expected();  // let them be sent
        server.kill();
        const auto written = co_await write.as_expected();
        REQUIRE_FALSE(written);
        CHECK(written.error().code() == errc::connection_lost_after_send);
        CHECK(written.error().may_have_happened());
        const auto seen = co_await read.as_expected();
        REQUIRE_FALSE(seen);
        CHECK(seen.error().code() == errc::timeout_before_send);  // it would have been sent again
        CHECK(seen.error().context().retries == 1);
        CHECK_FALSE(bucket.connected());
    });
}

TEST_CASE("operations issued before the bucket is connected wait") {
    const MemcachedProcess server;
    with_bucket(server.connection_string(), [](AsyncBucket& bucket) -> Task<> {
        CHECK_FALSE(bucket.connected());
        auto store = bucket.upsert("early", "bird");
        auto get = bucket.get("early");
        auto first = bucket.connect();
        auto second = bucket.connect();
        CHECK_AWAIT((co_await store).success());
        CHECK_AWAIT((co_await get).value() == "bird");
        CHECK_AWAIT((co_await first).success());
        CHECK_AWAIT((co_await second).success());
        CHECK_AWAIT((co_await bucket.connect()).success());
        CHECK(bucket.connected());
    });
}

TEST_CASE("more than the queue holds: queue_full, and nothing else suffers") {
    const MemcachedProcess server;
    with_bucket(server.connection_string(), {.max_queue_operations = 100}, [](AsyncBucket& bucket) -> Task<> {
        co_await bucket.connect();
        std::vector<AsyncResult<OperationResult>> stores;
        for (int i = 0; i < 150; ++i) stores.push_back(bucket.upsert("q" + std::to_string(i), "v"));
        int stored = 0;
        int refused = 0;
        for (auto& store : stores) {
            const auto outcome = co_await store.as_expected();
            stored += outcome.has_value();
            refused += !outcome && outcome.error().code() == errc::queue_full;
        }
        CHECK(stored == 100);
        CHECK(refused == 50);
        CHECK_AWAIT((co_await bucket.get("q99")).success());
    });
}
