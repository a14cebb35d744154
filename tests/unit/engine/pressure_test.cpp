// Back-pressure: refused, told, or waiting for a place. Nothing is unbounded.

#include "operation/slot_pool.hpp"
#include "session/send_log.hpp"
#include "tests/unit/engine/cluster_fixture.hpp"

#include <chaise/chaise.hpp>

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Status;

namespace {

/// Waits for a place, then stores; again and again.
Task<> polite(AsyncBucket& bucket, int times, int& stored, std::vector<Error>& errors, std::size_t& most) {
    const std::string value(100, 'v');
    for (int i = 0; i < times; ++i) {
        auto place = co_await bucket.place().as_expected();
        if (!place) {
            errors.push_back(place.error());
            co_return;
        }
        auto done = co_await bucket.upsert("k" + std::to_string(i), value).as_expected();
        most = std::max(most, bucket.operations());
        if (done) {
            ++stored;
        } else {
            errors.push_back(done.error());
        }
    }
}

}  // namespace

TEST_CASE("slots beyond the limit are told from those within, and taken back", "[pressure]") {
    detail::SlotPool pool(300);
    std::vector<detail::Slot*> slots;
    const auto acquire = [&] {
        const bool within = pool.has_free() || pool.refill();
        slots.push_back(&pool.take());
        slots.back()->owners = detail::owned_by_user;
        return within;
    };
    const auto release = [&](std::size_t n) {
        for (; n != 0; --n) {
            slots.back()->owners = 0;
            pool.release(*slots.back());
            if (pool.diverts()) pool.divert();
            slots.pop_back();
        }
    };
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 300; ++i) CHECK(acquire());
        for (int i = 0; i < 5; ++i) CHECK_FALSE(acquire());
        CHECK(pool.in_use() == 305);
        release(5);
        CHECK_FALSE(acquire());
        release(2);
        CHECK(acquire());
        CHECK_FALSE(acquire());
        release(slots.size());
        CHECK_FALSE(pool.diverts());
    }
    CHECK(pool.capacity() == 512);
    acquire();
    pool.shut();
    CHECK_FALSE(acquire());
    release(2);
    CHECK_FALSE(acquire());
    release(1);
    CHECK(pool.in_use() == 0);
}

TEST_CASE("no more than max_bucket_operations at once; room comes back", "[pressure]") {
    for (const char* where : {"memcached://node", "couchbase://n1"}) {
        INFO(where);
        std::optional<Fixture> plain;
        std::optional<ClusterFixture> cluster;
        const BucketOptions options{.max_bucket_operations = 10};
        const bool memcached = where[0] == 'm';
        if (memcached) {
            plain.emplace(options);
        } else {
            cluster.emplace(ScriptMap::spread({"n1", "n2", "n3"}), where, options);
        }
        Fixture& f = memcached ? *plain : *cluster;
        f.connected();
        for (int round = 0; round < 3; ++round) {
            f.outcomes.clear();
            for (int i = 0; i < 15; ++i) f.get("k" + std::to_string(i));
            Outcome& noop = f.track(f.bucket->noop());
            f.loop.run();
            for (std::size_t i = 0; i < 15; ++i) {
                CHECK(f.outcomes[i]->failed(i < 10 ? errc::document_not_found : errc::queue_full));
            }
            CHECK_FALSE(f.outcomes[14]->error->may_have_happened());
            CHECK(f.outcomes[14]->error->context().key == "k14");
            CHECK(f.outcomes[14]->error->message().find("max_bucket_operations") != std::string::npos);
            CHECK(noop.failed(errc::queue_full));
            CHECK(f.bucket->operations() == 0);
        }
    }
}

TEST_CASE("parts and steps count; an operation of many is admitted whole or not at all", "[pressure]") {
    ClusterFixture f(ScriptMap::spread({"n1", "n2", "n3"}), "couchbase://n1", {.max_bucket_operations = 20});
    f.connected();
    const auto keys = [](int n) {
        std::vector<std::string> all;
        for (int i = 0; i < n; ++i) all.push_back("k" + std::to_string(i));
        return all;
    };
    std::optional<std::size_t> found;
    std::optional<Error> error;
    const auto multi = [&](int n) {
        found.reset();
        error.reset();
        f.bucket->get_multi(keys(n), {.quiet = true})
            .set_callbacks([&](MultiResult<ValueResult> all) { found = all.size(); },
                           [&](const Error& e) { error = e; });
    };
    multi(19);  // and the whole
    f.loop.run();
    CHECK(found == std::size_t{19});
    const std::size_t asked = f.cluster.seen.size();
    multi(20);
    f.loop.run();
    REQUIRE(error);
    CHECK(error->code() == errc::queue_full);
    CHECK(f.cluster.seen.size() == asked);  // not one of them
    CHECK(f.bucket->operations() == 0);
    multi(19);
    f.loop.run();
    CHECK(found == std::size_t{19});
    for (auto& [host, node] : f.cluster.nodes()) node.hold = true;
    for (int i = 0; i < 19; ++i) f.get("held");
    Outcome& pop = f.track(f.bucket->queue_pop("k"));  // two: itself and its step
    Outcome& replicas_refused = f.get("k");
    f.loop.run();
    CHECK(pop.failed(errc::queue_full));
    CHECK(replicas_refused.failed(errc::queue_full));
    for (auto& [host, node] : f.cluster.nodes()) node.hold = false;
    f.cluster.answer_all();
    f.loop.run();
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("no more than max_bucket_bytes of requests, over all nodes", "[pressure]") {
    ClusterFixture f(ScriptMap::spread({"n1", "n2", "n3"}), "couchbase://n1",
                     {.compression = Compression::off, .max_bucket_bytes = 5 * 65'536});
    f.connected();
    const std::string value(40'000, 'v');  // one to a block
    for (int round = 0; round < 4; ++round) {
        f.outcomes.clear();
        // First all at one node, whose blocks the others need then.
        const std::string host = "n" + std::to_string(1 + round % 3);
        for (int i = 0; i < 8; ++i) f.upsert(round == 3 ? "k" + std::to_string(i) : f.cluster.key_at(host, i), value);
        CHECK(f.bucket->pressure().bucket.bytes <= 5 * 65'536);
        CHECK(f.bucket->pressure().bucket.bytes >= 4 * 65'536);
        f.loop.run();
        std::size_t ok = 0;
        for (const auto& outcome : f.outcomes) {
            CHECK((outcome->ok() || outcome->failed(errc::queue_full)));
            ok += outcome->ok() ? 1u : 0u;
        }
        CHECK((ok >= 4 && ok <= 6));
    }
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("who waits for a place is never refused", "[pressure]") {
    for (const bool cluster : {false, true}) {
        std::optional<Fixture> plain;
        std::optional<ClusterFixture> nodes;
        const BucketOptions options{.max_bucket_operations = 20, .max_queue_operations = 50};
        if (cluster) {
            nodes.emplace(ScriptMap::spread({"n1", "n2", "n3"}), "couchbase://n1", options);
        } else {
            plain.emplace(options);
        }
        Fixture& f = cluster ? *nodes : *plain;
        int stored = 0;
        std::vector<Error> errors;
        std::size_t most = 0;
        for (int i = 0; i < 300; ++i) spawn(f.loop, polite(*f.bucket, 5, stored, errors, most));
        f.loop.run();
        CHECK(stored == 1500);
        CHECK(errors.empty());
        CHECK(f.bucket->operations() == 0);
        CHECK(f.bucket->pressure().places == 0);
    }
}

TEST_CASE("a place is waited for by bytes, too", "[pressure]") {
    Fixture f({.max_queue_bytes = 3 * 65'536});
    f.connected();
    f.server.hold = true;
    const std::string value(60'000, 'v');
    for (int i = 0; i < 3; ++i) f.upsert("k", value);
    Outcome& small = f.track(f.bucket->place({.bytes = 100}));
    f.loop.run();
    CHECK(small.ok());  // the last block has room for that
    Outcome& large = f.track(f.bucket->place({.bytes = value.size() + 100}));
    Outcome& behind = f.track(f.bucket->place({.bytes = 100}));
    f.loop.run();
    CHECK(large.pending());
    CHECK(behind.pending());  // in the order of their coming
    CHECK(f.bucket->pressure().places == 2);
    CHECK(f.bucket->pressure().level() == PressureLevel::full);
    f.server.answer(0);
    f.loop.run();
    CHECK(large.ok());
    CHECK(behind.ok());
    CHECK(f.bucket->pressure().places == 0);
}

TEST_CASE("waiting for a place ends: by its time, cancelled, with the bucket", "[pressure]") {
    Fixture f({.max_queue_operations = 2});
    f.connected();
    f.server.hold = true;
    f.get("a");
    f.get("b");
    Outcome& in_vain = f.track(f.bucket->place({.timeout = 100ms}));
    auto operation = f.bucket->place();
    std::optional<Error> cancelled;
    operation.set_callbacks([](OperationResult) { FAIL(); }, [&](const Error& e) { cancelled = e; });
    Outcome& third = f.track(f.bucket->place());
    f.loop.run();
    operation.cancel();
    f.loop.run();
    REQUIRE(cancelled);
    CHECK(*cancelled == errc::cancelled);
    operation = {};
    f.loop.advance(100ms);
    CHECK(in_vain.failed(errc::timeout_before_send));
    CHECK(in_vain.error->context().operation == "place");
    CHECK(third.pending());
    CHECK(f.bucket->pressure().places == 1);
    f.bucket->close().detach();
    f.loop.run();
    CHECK(third.failed(errc::shutdown));
    Outcome& late = f.track(f.bucket->place());
    f.loop.run();
    CHECK(late.failed(errc::shutdown));
    CHECK(f.bucket->operations() == 0);
    CHECK(f.loop.armed_timers() == 0);
}

TEST_CASE("they who wait for a place are not without bound either", "[pressure]") {
    Fixture f({.max_queue_operations = 1});
    f.connected();
    f.server.hold = true;
    f.get("a");
    int refused = 0, ended = 0;
    for (int i = 0; i < 32'770; ++i) {
        f.bucket->place().set_callbacks([](OperationResult) { FAIL(); },
                                        [&](const Error& e) { ++(e == errc::queue_full ? refused : ended); });
    }
    f.loop.run();
    CHECK(refused == 2);
    f.bucket.reset();
    f.loop.run();
    CHECK(ended == 32'768);
}

TEST_CASE("who is served only waits again, and closes: nothing hangs", "[pressure]") {
    Fixture f;
    f.connected();
    int served = 0;
    std::function<void()> again = [&] {
        f.bucket->place().set_callbacks(
            [&](OperationResult) {
                if (++served < 1000) again();
            },
            [](const Error& e) { FAIL(e.message()); });
    };
    again();
    f.loop.run();
    CHECK(served == 1000);
    f.bucket->place().set_callbacks([&](OperationResult) { f.bucket.reset(); }, [](const Error&) { FAIL(); });
    int left = 0;
    f.bucket->place().set_callbacks([&](OperationResult) { FAIL(); },
                                    [&](const Error& e) { left += e == errc::shutdown ? 1 : 0; });
    f.loop.run();
    CHECK(left == 1);
    CHECK(f.loop.armed_timers() == 0);
}

TEST_CASE("pressure() tells what waits where, and how full that is", "[pressure]") {
    ClusterFixture f(ScriptMap::spread({"n1", "n2", "n3"}), "couchbase://n1",
                     {.max_bucket_operations = 100, .max_queue_operations = 10});
    f.get("early");
    CHECK(f.bucket->pressure().unrouted.operations == 1);
    f.connected();
    CHECK(f.bucket->pressure().unrouted.operations == 0);
    for (auto& [host, node] : f.cluster.nodes()) node.hold = true;
    for (int i = 0; i < 4; ++i) f.get(f.cluster.key_at("n2", i));
    Pressure now = f.bucket->pressure();
    CHECK(now.bucket.operations == 4);
    CHECK(now.bucket.max_operations == 100);
    CHECK(now.bucket.max_bytes == std::size_t{256} << 20);
    CHECK(now.level() == PressureLevel::low);
    REQUIRE(now.nodes.size() == 3);
    std::size_t busy = 0;
    for (const Pressure::Node& node : now.nodes) {
        if (node.node == "n2:11210") {
            busy += node.operations;
            CHECK(node.load() == Approx(0.4));
        } else {
            CHECK(node.operations == 0);
        }
        CHECK(node.max_operations == 10);
    }
    CHECK(busy == 4);
    f.get(f.cluster.key_at("n2", 5));
    CHECK(f.bucket->pressure().level() == PressureLevel::high);
    for (int i = 0; i < 5; ++i) f.get(f.cluster.key_at("n2", i));
    CHECK(f.bucket->pressure().level() == PressureLevel::full);
    CHECK(name(PressureLevel::full) == "full");
    f.cluster.refusals[f.cluster.key_at("n1")] = std::deque<Status>(1, Status::locked);
    f.cluster.node("n1").hold = false;
    Outcome& resting = f.get(f.cluster.key_at("n1"));
    f.loop.run();
    CHECK(f.bucket->pressure().resting.operations == 1);
    for (auto& [host, node] : f.cluster.nodes()) node.hold = false;
    f.cluster.answer_all();
    f.loop.advance(1s);
    CHECK(resting.failed(errc::document_not_found));
    now = f.bucket->pressure();
    CHECK(now.bucket.operations == 0);
    CHECK(now.resting.operations == 0);
    CHECK(now.level() == PressureLevel::low);
}

TEST_CASE("when a request was sent is known to a millisecond, or to a quarter of its age", "[pressure]") {
    detail::SendLog log;
    const TimePoint zero{};
    CHECK(log.sent_at(1, zero + 5s) == zero + 5s);
    std::uint64_t sequence = 0;
    for (int ms = 0; ms < 3000; ++ms) log.note(++sequence, zero + std::chrono::milliseconds(ms));
    const TimePoint now = zero + 3s;
    for (std::uint64_t n = 1; n <= sequence; ++n) {
        const auto really = std::chrono::milliseconds(n - 1);
        const Duration off = (zero + really) - log.sent_at(n, now);
        const Duration age = now - (zero + really);
        REQUIRE(off >= 0ms);
        REQUIRE(off <= std::max<Duration>(1ms, age / 4));
    }
    CHECK(log.sent_at(sequence, now) == zero + 2999ms);
    log.clear();
    CHECK(log.sent_at(1, now) == now);
}

TEST_CASE("a timeout says how much of its time was on the wire, and how much in the queue", "[pressure]") {
    Fixture f;
    f.loop.net.hang_connect = true;
    Outcome& get = f.get("k", {.timeout = 1s});
    Outcome& unsent = f.get("k", {.timeout = 100ms});
    f.server.hold = true;
    f.loop.advance(400ms);
    f.loop.net.hang_connect = false;
    f.loop.advance(600ms);
    REQUIRE(unsent.failed(errc::timeout_before_send));
    CHECK_FALSE(unsent.error->context().time_on_wire);
    REQUIRE(get.failed(errc::timeout_after_send));
    REQUIRE(get.error->context().time_on_wire);
    CHECK(*get.error->context().time_on_wire == 600ms);
    CHECK(get.error->context().time_spent == 1s);
    CHECK(get.error->context().node == "node:11211");
    CHECK_THAT(get.error->message(), Catch::Contains("600.0 ms of them on the wire"));
}
