// Who does not want to wait any more is released at once, wherever his operation is; what is left of it meets nobody.

#include "tests/unit/api/consumers.hpp"
#include "tests/unit/engine/cluster_fixture.hpp"

#include <chaise/chaise.hpp>

#include <catch2/catch.hpp>

#include <functional>
#include <stop_token>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Status;

namespace {

struct Heard {
    int results = 0;
    std::optional<Error> error;
};

enum class How { cancel, dropped_handle, stop_callbacks, stop_await, stop_expected, stopped_before, destroyed };
constexpr How all_ways[] = {How::cancel,        How::dropped_handle, How::stop_callbacks, How::stop_await,
                            How::stop_expected, How::stopped_before, How::destroyed};

template <class T>
Script wait_for(AsyncResult<T> operation, Heard& heard) {
    auto outcome = co_await operation.as_expected();
    if (outcome) {
        ++heard.results;
    } else {
        heard.error = outcome.error();
    }
}
template <class T>
Script wait_stoppably(AsyncResult<T> operation, std::stop_token token, Heard& heard) {
    try {
        co_await stoppable(std::move(operation), token);
        ++heard.results;
    } catch (const Exception& failed) {
        heard.error = failed.error();
    }
}
template <class T>
Script expect_stoppably(AsyncResult<T> operation, std::stop_token token, Heard& heard) {
    auto outcome = co_await stoppable(std::move(operation), token).as_expected();
    if (outcome) {
        ++heard.results;
    } else {
        heard.error = outcome.error();
    }
}

/// Somebody who waits for an operation in one of the ways, and can stop it in the way that belongs to that.
template <class T>
struct Waiting {
    Waiting(How way, AsyncResult<T> started) : how(way), operation(std::move(started)) {
        const auto result = [this](T) { ++heard.results; };
        const auto error = [this](const Error& e) { heard.error = e; };
        switch (how) {
            case How::cancel:
                operation.set_callbacks(result, error);
                return;
            case How::dropped_handle:  // only the token is left to it
            case How::stop_callbacks:
                stoppable(std::move(operation), source.get_token()).set_callbacks(result, error);
                return;
            case How::stop_await:
                script = go(wait_stoppably(std::move(operation), source.get_token(), heard));
                return;
            case How::stop_expected:
                script = go(expect_stoppably(std::move(operation), source.get_token(), heard));
                return;
            case How::stopped_before:
                return;
            case How::destroyed:
                script = go(wait_for(std::move(operation), heard));
                return;
        }
    }
    void stop() {
        if (how == How::cancel) return operation.cancel();
        if (how == How::destroyed) return script.destroy();
        source.request_stop();
        if (how == How::stopped_before) {
            script = go(wait_stoppably(std::move(operation), source.get_token(), heard));
        }
    }
    How how;
    AsyncResult<T> operation;
    std::stop_source source;
    Script script;
    Heard heard;
};

/// Released on the next turn, or without a word if he is gone himself.
template <class T>
void check_released(ClusterFixture& f, Waiting<T>& waiting, bool may_have_happened) {
    CHECK(waiting.heard.results == 0);
    CHECK_FALSE(waiting.heard.error);
    waiting.stop();
    CHECK_FALSE(waiting.heard.error);  // never inside the call
    f.loop.turn();
    CHECK(waiting.heard.results == 0);
    if (waiting.how == How::destroyed) {
        CHECK_FALSE(waiting.heard.error);
        return;
    }
    REQUIRE(waiting.heard.error);
    CHECK(waiting.heard.error->code() == errc::cancelled);
    CHECK(waiting.heard.error->may_have_happened() == may_have_happened);
    waiting.source.request_stop();  // again: nothing
    waiting.operation.cancel();
}

/// Nothing is left, no connection was given up, and the next ones get what is theirs.
void check_goes_on(ClusterFixture& f, std::size_t links) {
    for (auto& [host, node] : f.cluster.nodes()) node.hold = false;
    f.cluster.answer_all();
    f.loop.advance(3s);
    for (int i = 0; i < 20; ++i) {
        const std::string key = "next" + std::to_string(i);
        f.cluster.node(f.cluster.owner_of(key)).items[key] = {"value of " + key, 0, 7};
        Outcome& next = f.get(key);
        f.loop.run();
        CHECK(next.ok());
        CHECK(next.value == "value of " + key);
    }
    CHECK(f.bucket->operations() == 0);
    CHECK(f.loop.net.links.size() == links);
}

/// `begin`: starts it and brings it to where it shall be stopped.
template <class Start>
void in_every_way(const char* where, const Start& start, const std::function<void(ClusterFixture&)>& bring, bool sent,
                  const std::function<void(ClusterFixture&)>& afterwards = {}, BucketOptions options = {}) {
    for (const How how : all_ways) {
        INFO(where << ", way " << static_cast<int>(how));
        ClusterFixture f(ScriptMap::spread({"n1", "n2", "n3"}), "couchbase://n1", options);
        f.connected();
        const std::size_t links = f.loop.net.links.size();
        for (auto& [host, node] : f.cluster.nodes()) node.hold = true;
        {
            using T = typename decltype(start(f))::value_type;
            Waiting<T> waiting(how, start(f));
            bring(f);
            check_released(f, waiting, sent);
        }
        if (afterwards) afterwards(f);
        check_goes_on(f, links);
    }
}

const auto start_upsert = [](ClusterFixture& f) { return f.bucket->upsert("k", "mine"); };
const auto start_multi = [](ClusterFixture& f) {
    return f.bucket->get_multi(std::vector<std::string>{"a", "b", "c", "d", "e", "f"});
};
const auto start_sequence = [](ClusterFixture& f) { return f.bucket->queue_pop("k"); };
const auto nothing = [](ClusterFixture&) {};
const auto run = [](ClusterFixture& f) { f.loop.run(); };

}  // namespace

TEST_CASE("stopped while queued: it is never sent", "[cancel]") {
    const auto unsent = [](ClusterFixture& f) { CHECK(f.cluster.path("k").empty()); };
    in_every_way("queued", start_upsert, nothing, false, unsent);
    in_every_way("queued, of many", start_multi, nothing, false);
    in_every_way("queued, of several steps", start_sequence, nothing, false, unsent);
}

TEST_CASE("stopped when it has been sent: the late answer is skipped", "[cancel]") {
    in_every_way("sent", start_upsert, run, true, [](ClusterFixture& f) {
        CHECK(f.bucket->operations() == 1);  // its response will come
        f.cluster.answer_all();
        f.loop.run();
        CHECK(f.bucket->operations() == 0);
        CHECK(f.cluster.executed("k") == 1);
    });
    in_every_way("sent, of many", start_multi, run, true);
    // Its step only reads.
    in_every_way("sent, of several steps", start_sequence, run, false);
}

TEST_CASE("stopped while half of it is written: the rest follows, and the answer is skipped", "[cancel]") {
    const auto half = [](ClusterFixture& f) {
        f.cluster.open(f.cluster.owner_of("k")).front()->window = 10;
        f.loop.run();
    };
    in_every_way("half written", start_upsert, half, true, [](ClusterFixture& f) {
        f.cluster.open(f.cluster.owner_of("k")).front()->window = SIZE_MAX;
        f.loop.run();
        CHECK(f.cluster.path("k").size() == 1);
    });
}

TEST_CASE("stopped while it rests until it is tried again", "[cancel]") {
    const auto rest = [](ClusterFixture& f) {
        f.cluster.refusals["k"] = std::deque<Status>(100, Status::locked);
        f.loop.run();
        f.cluster.answer_all();
        f.loop.run();
        CHECK(f.cluster.path("k").size() == 1);
    };
    const auto quiet = [](ClusterFixture& f) {
        f.loop.advance(1s);
        CHECK(f.cluster.path("k").size() == 1);
        f.cluster.refusals.clear();
    };
    in_every_way("resting", start_upsert, rest, false, quiet);
    in_every_way("resting, of several steps", start_sequence, rest, false, quiet);
}

TEST_CASE("stopped while no node takes its vbucket", "[cancel]") {
    const auto lose_owner = [](ClusterFixture& f) {
        ScriptMap next = f.cluster.moved("k", -1);
        f.cluster.publish(next);
        for (auto& [host, node] : f.cluster.nodes()) node.hold = false;
        f.cluster.push("n1", false);
        f.loop.run();
        CHECK(f.bucket->pressure().unrouted.operations == 0);
    };
    for (const How how : all_ways) {
        INFO("way " << static_cast<int>(how));
        ClusterFixture f;
        f.connected();
        const std::size_t links = f.loop.net.links.size();
        lose_owner(f);
        {
            Waiting<OperationResult> waiting(how, f.bucket->upsert("k", "v"));
            f.loop.turn();
            CHECK(f.bucket->pressure().unrouted.operations == 1);
            check_released(f, waiting, false);
        }
        CHECK(f.bucket->pressure().unrouted.operations == 0);
        ScriptMap next = f.cluster.moved("k", 1);
        f.cluster.publish(next);
        f.cluster.push("n1", false);
        f.loop.advance(2s);
        CHECK(f.cluster.path("k").empty());
        check_goes_on(f, links);
    }
}

TEST_CASE("stopped before there is a map, and while connecting", "[cancel]") {
    const auto start_replicas = [](ClusterFixture& f) { return f.bucket->get_all_replicas("k"); };
    const auto start_connect = [](ClusterFixture& f) { return f.bucket->connect(); };
    const auto start_place = [](ClusterFixture& f) { return f.bucket->place({.bytes = 1 << 20}); };
    const auto unconnected = [&](const char* where, const auto& start, BucketOptions options = {}) {
        for (const How how : all_ways) {
            INFO(where << ", way " << static_cast<int>(how));
            ClusterFixture f(ScriptMap::spread({"n1", "n2", "n3"}), "couchbase://n1", options);
            f.loop.net.hang_connect = true;
            f.loop.run();
            {
                using T = typename decltype(start(f))::value_type;
                Waiting<T> waiting(how, start(f));
                f.loop.turn();
                check_released(f, waiting, false);
            }
            CHECK(f.bucket->operations() == 0);
            f.loop.net.hang_connect = false;
            f.loop.advance(3s);
            CHECK(f.cluster.path("k").empty());
            check_goes_on(f, 3);
        }
    };
    unconnected("detour", start_upsert);
    unconnected("detour, of many", start_multi);
    unconnected("detour, of several steps", start_sequence);
    unconnected("all replicas", start_replicas);
    unconnected("connect", start_connect);
    unconnected("place", start_place, {.max_bucket_bytes = 65'536, .max_queue_bytes = 1 << 20});
}

TEST_CASE("a stop that comes when the outcome is there changes nothing, and meets no stranger", "[cancel]") {
    ClusterFixture f;
    f.connected();
    std::stop_source source;
    Heard first, second;
    const auto count = [](Heard& heard) {
        return std::pair([&heard](OperationResult) { ++heard.results; }, [&heard](const Error& e) { heard.error = e; });
    };
    auto [ok, failed] = count(first);
    stoppable(f.bucket->upsert("k", "v"), source.get_token()).set_callbacks(ok, failed);
    f.loop.run();
    CHECK(first.results == 1);
    // The same slot, and a stop from the first one's source, also from inside a callback.
    auto [ok2, failed2] = count(second);
    f.bucket->upsert("k", "v").set_callbacks(ok2, failed2);
    source.request_stop();
    f.loop.run();
    CHECK(second.results == 1);

    std::stop_source inner;
    int inside = 0;
    stoppable(f.bucket->get("k"), inner.get_token())
        .set_callbacks(
            [&](ValueResult) {
                f.bucket->get("k").set_callbacks([&](ValueResult) { ++inside; }, [](const Error&) {});
                inner.request_stop();
            },
            [](const Error&) {});
    f.loop.run();
    CHECK(inside == 1);

    // Stopped from inside another's callback, of the same read.
    std::stop_source both;
    Heard other;
    f.bucket->get("k").set_callbacks([&](ValueResult) { both.request_stop(); }, [](const Error&) {});
    stoppable(f.bucket->get("k"), both.get_token())
        .set_callbacks([&](ValueResult) { ++other.results; }, [&](const Error& e) { other.error = e; });
    f.loop.run();
    CHECK(other.results + (other.error ? 1 : 0) == 1);
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("a stop after the loop, the bucket or both are gone", "[cancel]") {
    for (const bool loop_first : {true, false}) {
        std::stop_source source;
        Counted::alive = 0;
        {
            auto loop = std::make_unique<ScriptLoop>();
            auto server = std::make_unique<ScriptServer>(*loop);
            std::optional<AsyncBucket> bucket(std::in_place, loop->make_iops(), "memcached://node");
            loop->run();
            server->hold = true;
            stoppable(bucket->get("k"), source.get_token())
                .set_callbacks([c = Counted()](ValueResult) { FAIL(); }, [c = Counted()](const Error&) {});
            loop->run();
            CHECK(Counted::alive == 2);
            if (loop_first) {
                loop->net.server = nullptr;
                loop.reset();
                CHECK(Counted::alive == 0);
                // Attached to a loop that is gone.
                stoppable(bucket->get("k"), source.get_token())
                    .set_callbacks([c = Counted()](ValueResult) { FAIL(); }, [c = Counted()](const Error&) {});
                source.request_stop();
                bucket.reset();
            } else {
                bucket.reset();
                source.request_stop();
                loop->run();
                loop->net.server = nullptr;
            }
        }
        CHECK(Counted::alive == 0);
    }
}

TEST_CASE("a thousand operations that are cancelled while they rest leave no thousand times to wake for", "[cancel]") {
    ClusterFixture f;
    f.connected();
    f.cluster.refusals["k"] = std::deque<Status>(20'000, Status::locked);
    for (int round = 0; round < 200; ++round) {
        std::vector<AsyncResult<OperationResult>> all;
        for (int i = 0; i < 20; ++i) all.push_back(f.bucket->upsert("k", "v"));
        for (auto& one : all) one.set_callbacks([](OperationResult) {}, [](const Error&) {});
        f.loop.run();
        for (auto& one : all) one.cancel();
        f.loop.run();
    }
    CHECK(f.bucket->pressure().resting.operations == 0);
    CHECK(f.bucket->operations() == 0);
}
