// Every operation x every limit: refused with the name of what is wrong, and nothing is sent.

#include "tests/support/answers_at_once.hpp"
#include "tests/unit/engine/script_node.hpp"
#include "tests/unit/engine/session_fixture.hpp"

#include <chaise/chaise.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <functional>
#include <map>
#include <string>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

using Bucket = AsyncBucket;
using Report = std::function<void(const Error*)>;
using Pair = std::pair<std::string, std::string>;

template <class T>
void tell(AsyncResult<T> operation, const Report& report) {
    operation.set_callbacks([report](const T&) { report(nullptr); }, [report](const Error& error) { report(&error); });
}

/// What an operation is given; the tables below put one wrong thing into it.
struct Input {
    std::string key = "key";
    std::string_view value = "1";
    Expiry expiry{};
    std::chrono::seconds lock_time{15};
};
struct Operation {
    const char* name;
    std::function<void(Bucket&, const Input&, const Report&)> start;
    bool plain = true;  ///< plain memcached has it
};

std::vector<Operation> with_keys() {
    return {
        {"get", [](Bucket& b, const Input& in, const Report& r) { tell(b.get(in.key), r); }},
        {"exists", [](Bucket& b, const Input& in, const Report& r) { tell(b.exists(in.key), r); }},
        {"remove", [](Bucket& b, const Input& in, const Report& r) { tell(b.remove(in.key), r); }},
        {"unlock", [](Bucket& b, const Input& in, const Report& r) { tell(b.unlock(in.key, 7), r); }, false},
        {"lookup_in",
         [](Bucket& b, const Input& in, const Report& r) { tell(b.lookup_in(in.key, {subdoc::get("a")}), r); }, false},
        {"lookup_in", [](Bucket& b, const Input& in, const Report& r) { tell(b.retrieve_in(in.key, {"a"}), r); },
         false},
        {"map_get", [](Bucket& b, const Input& in, const Report& r) { tell(b.map_get(in.key, "m"), r); }, false},
        {"map_remove", [](Bucket& b, const Input& in, const Report& r) { tell(b.map_remove(in.key, "m"), r); }, false},
        {"map_size", [](Bucket& b, const Input& in, const Report& r) { tell(b.map_size(in.key), r); }, false},
        {"list_get", [](Bucket& b, const Input& in, const Report& r) { tell(b.list_get(in.key, 0), r); }, false},
        {"list_remove", [](Bucket& b, const Input& in, const Report& r) { tell(b.list_remove(in.key, 0), r); }, false},
        {"list_size", [](Bucket& b, const Input& in, const Report& r) { tell(b.list_size(in.key), r); }, false},
        {"set_contains", [](Bucket& b, const Input& in, const Report& r) { tell(b.set_contains(in.key, "1"), r); },
         false},
        {"set_size", [](Bucket& b, const Input& in, const Report& r) { tell(b.set_size(in.key), r); }, false},
        {"queue_size", [](Bucket& b, const Input& in, const Report& r) { tell(b.queue_size(in.key), r); }, false},
        {"get_replica", [](Bucket& b, const Input& in, const Report& r) { tell(b.get_replica(in.key), r); }, false},
        {"get_all_replicas", [](Bucket& b, const Input& in, const Report& r) { tell(b.get_all_replicas(in.key), r); },
         false},
        {"lookup_in_replica",
         [](Bucket& b, const Input& in, const Report& r) { tell(b.lookup_in_replica(in.key, sd::get("a")), r); },
         false},
        {"lookup_in_all_replicas",
         [](Bucket& b, const Input& in, const Report& r) { tell(b.lookup_in_all_replicas(in.key, sd::get("a")), r); },
         false},
        {"observe", [](Bucket& b, const Input& in, const Report& r) { tell(b.observe(in.key), r); }, false},
        {"get_meta", [](Bucket& b, const Input& in, const Report& r) { tell(b.get_meta(in.key), r); }, false},
        {"key_stats", [](Bucket& b, const Input& in, const Report& r) { tell(b.key_stats(in.key), r); }, false},
        {"get_multi", [](Bucket& b, const Input& in, const Report& r) { tell(b.get_multi(keys("a", in.key)), r); }},
        {"exists_multi",
         [](Bucket& b, const Input& in, const Report& r) { tell(b.exists_multi(keys("a", in.key)), r); }},
        {"remove_multi",
         [](Bucket& b, const Input& in, const Report& r) { tell(b.remove_multi(keys("a", in.key)), r); }},
        {"counter_multi",
         [](Bucket& b, const Input& in, const Report& r) { tell(b.counter_multi(keys("a", in.key)), r); }},
        {"get_replica_multi",
         [](Bucket& b, const Input& in, const Report& r) { tell(b.get_replica_multi(keys("a", in.key)), r); }, false},
        {"observe_multi",
         [](Bucket& b, const Input& in, const Report& r) { tell(b.observe_multi(keys("a", in.key)), r); }, false},
        {"key_stats_multi",
         [](Bucket& b, const Input& in, const Report& r) { tell(b.key_stats_multi(keys("a", in.key)), r); }, false},
        {"unlock_multi",
         [](Bucket& b, const Input& in, const Report& r) {
             tell(b.unlock_multi(std::vector<std::pair<std::string, Cas>>{{"a", 1}, {in.key, 2}}), r);
         },
         false},
    };
}

std::vector<Operation> with_values() {
    return {
        {"append", [](Bucket& b, const Input& in, const Report& r) { tell(b.append(in.key, in.value), r); }},
        {"prepend", [](Bucket& b, const Input& in, const Report& r) { tell(b.prepend(in.key, in.value), r); }},
        {"append_multi",
         [](Bucket& b, const Input& in, const Report& r) {
             tell(b.append_multi(std::vector<Pair>{{"a", "1"}, {in.key, std::string(in.value)}}), r);
         }},
        {"prepend_multi",
         [](Bucket& b, const Input& in, const Report& r) {
             tell(b.prepend_multi(std::vector<Pair>{{"a", "1"}, {in.key, std::string(in.value)}}), r);
         }},
    };
}

std::vector<Operation> with_values_and_expiries() {
    return {
        {"upsert", [](Bucket& b, const Input& in,
                      const Report& r) { tell(b.upsert(in.key, in.value, {.expiry = in.expiry}), r); }},
        {"insert", [](Bucket& b, const Input& in,
                      const Report& r) { tell(b.insert(in.key, in.value, {.expiry = in.expiry}), r); }},
        {"replace", [](Bucket& b, const Input& in,
                       const Report& r) { tell(b.replace(in.key, in.value, {.expiry = in.expiry}), r); }},
        {"upsert_multi",
         [](Bucket& b, const Input& in, const Report& r) {
             const std::vector<Pair> all{{"a", "1"}, {in.key, std::string(in.value)}};
             tell(b.upsert_multi(all, {.expiry = in.expiry}), r);
         }},
        {"insert_multi",
         [](Bucket& b, const Input& in, const Report& r) {
             const std::vector<Pair> all{{"a", "1"}, {in.key, std::string(in.value)}};
             tell(b.insert_multi(all, {.expiry = in.expiry}), r);
         }},
        {"replace_multi",
         [](Bucket& b, const Input& in, const Report& r) {
             const std::vector<Pair> all{{"a", "1"}, {in.key, std::string(in.value)}};
             tell(b.replace_multi(all, {.expiry = in.expiry}), r);
         }},
        {"mutate_in",
         [](Bucket& b, const Input& in, const Report& r) {
             tell(b.mutate_in(in.key, {subdoc::upsert("a", in.value)}, {.expiry = in.expiry}), r);
         },
         false},
        {"map_add",
         [](Bucket& b, const Input& in, const Report& r) {
             tell(b.map_add(in.key, "m", in.value, {.expiry = in.expiry}), r);
         },
         false},
        {"list_append",
         [](Bucket& b, const Input& in, const Report& r) {
             tell(b.list_append(in.key, in.value, {.expiry = in.expiry}), r);
         },
         false},
        {"list_prepend",
         [](Bucket& b, const Input& in, const Report& r) {
             tell(b.list_prepend(in.key, in.value, {.expiry = in.expiry}), r);
         },
         false},
        {"list_set",
         [](Bucket& b, const Input& in, const Report& r) {
             tell(b.list_set(in.key, 0, in.value, {.expiry = in.expiry}), r);
         },
         false},
        {"set_add",
         [](Bucket& b, const Input& in, const Report& r) {
             tell(b.set_add(in.key, in.value, {.expiry = in.expiry}), r);
         },
         false},
        {"set_remove",
         [](Bucket& b, const Input& in, const Report& r) {
             tell(b.set_remove(in.key, in.value, {.expiry = in.expiry}), r);
         },
         false},
        {"queue_push",
         [](Bucket& b, const Input& in, const Report& r) {
             tell(b.queue_push(in.key, in.value, {.expiry = in.expiry}), r);
         },
         false},
    };
}

std::vector<Operation> with_expiries() {
    return {
        {"touch", [](Bucket& b, const Input& in, const Report& r) { tell(b.touch(in.key, in.expiry), r); }},
        {"get_and_touch",
         [](Bucket& b, const Input& in, const Report& r) { tell(b.get_and_touch(in.key, in.expiry), r); }},
        {"counter", [](Bucket& b, const Input& in,
                       const Report& r) { tell(b.counter(in.key, {.initial = 1, .expiry = in.expiry}), r); }},
        {"touch_multi",
         [](Bucket& b, const Input& in, const Report& r) { tell(b.touch_multi(keys("a", in.key), in.expiry), r); }},
        {"get_and_touch_multi", [](Bucket& b, const Input& in,
                                   const Report& r) { tell(b.get_and_touch_multi(keys("a", in.key), in.expiry), r); }},
        {"counter_multi",
         [](Bucket& b, const Input& in, const Report& r) {
             tell(b.counter_multi(keys("a", in.key), {.initial = 1, .expiry = in.expiry}), r);
         }},
        {"queue_pop",
         [](Bucket& b, const Input& in, const Report& r) { tell(b.queue_pop(in.key, {.expiry = in.expiry}), r); },
         false},
        {"list_remove",
         [](Bucket& b, const Input& in, const Report& r) { tell(b.list_remove(in.key, 0, {.expiry = in.expiry}), r); },
         false},
        {"map_remove",
         [](Bucket& b, const Input& in, const Report& r) { tell(b.map_remove(in.key, "m", {.expiry = in.expiry}), r); },
         false},
    };
}

std::vector<Operation> with_lock_times() {
    return {
        {"lock", [](Bucket& b, const Input& in, const Report& r) { tell(b.lock(in.key, in.lock_time), r); }, false},
        {"lock_multi",
         [](Bucket& b, const Input& in, const Report& r) { tell(b.lock_multi(keys("a", in.key), in.lock_time), r); },
         false},
    };
}

std::vector<Operation> all_of(const std::vector<std::vector<Operation>>& tables) {
    std::vector<Operation> all;
    for (const auto& table : tables) all.insert(all.end(), table.begin(), table.end());
    return all;
}

struct Limited : Fixture {
    explicit Limited(bool couchbase)
        : Fixture({.username = couchbase ? "me" : "",
                   .password = couchbase ? "secret" : "",
                   .retry_strategy = AnswersAtOnce::instance()},
                  couchbase ? "couchbase://node" : "memcached://node"),
          couchbase_(couchbase) {
        if (couchbase) {
            nodes.emplace(loop);
            nodes->map = ScriptNodes::map_of({"node"}, 1);
            nodes->answer = [](const ScriptNodes::Seen&) {
                return ScriptNodes::Answer{.status = protocol::Status::key_enoent};
            };
        }
        connected();
    }
    [[nodiscard]] std::size_t sent() const { return couchbase_ ? nodes->seen.size() : server.seen.size(); }

    /// Refused so; and with good input nothing stands in its way.
    void refuses(const Operation& operation, const Input& wrong, errc code, const std::string& what) {
        CAPTURE(operation.name, what);
        const std::size_t before = sent();
        unsigned calls = 0;
        std::optional<Error> error;
        operation.start(*bucket, wrong, [&](const Error* e) {
            ++calls;
            if (e) error = *e;
        });
        CHECK(calls == 0);  // never in the call
        loop.run();
        CHECK(calls == 1);
        CHECK(sent() == before);
        REQUIRE(error);
        CHECK(*error == code);
        CHECK_THAT(error->message(), Catch::Contains(what));
        CHECK(error->context().operation == operation.name);
        CHECK(error->context().key == std::string_view(wrong.key).substr(0, 250));
        CHECK_FALSE(error->may_have_happened());
        CHECK(bucket->operations() == 0);
    }
    void sends(const Operation& operation, const Input& right) {
        CAPTURE(operation.name);
        const std::size_t before = sent();
        operation.start(*bucket, right, [](const Error*) {});
        loop.run();
        CHECK(sent() > before);
        loop.advance(10s);
    }
    [[nodiscard]] bool has(const Operation& operation) const { return couchbase_ || operation.plain; }

    std::optional<ScriptNodes> nodes;

private:
    bool couchbase_;
};

}  // namespace

TEST_CASE("limits: a key of no or of more than 250 bytes", "[limits]") {
    for (const bool couchbase : {false, true}) {
        CAPTURE(couchbase);
        Limited f(couchbase);
        const auto all =
            all_of({with_keys(), with_values(), with_values_and_expiries(), with_expiries(), with_lock_times()});
        for (const Operation& operation : all) {
            if (!f.has(operation)) continue;
            f.refuses(operation, {.key = ""}, errc::invalid_argument, "the key is empty");
            f.refuses(operation, {.key = std::string(251, 'k')}, errc::invalid_argument,
                      "the key has 251 bytes, the limit is 250");
        }
        for (const Operation& operation : all) {
            if (f.has(operation)) f.sends(operation, {.key = std::string(250, 'k')});
        }
    }
}

TEST_CASE("limits: a value of more than 20 MiB", "[limits]") {
    const std::string large((std::size_t{20} << 20) + 1, '7');
    for (const bool couchbase : {false, true}) {
        CAPTURE(couchbase);
        Limited f(couchbase);
        for (const Operation& operation : all_of({with_values(), with_values_and_expiries()})) {
            if (!f.has(operation)) continue;
            f.refuses(operation, {.value = large}, errc::value_too_large, "20971521 bytes, the limit is 20 MiB");
        }
        f.sends(with_values().front(), {.value = std::string_view(large).substr(1)});
    }
}

TEST_CASE("limits: an expiry that is none", "[limits]") {
    using Seconds = std::chrono::duration<std::int64_t>;
    const auto date = [](std::int64_t seconds) { return Expiry(std::chrono::sys_seconds(Seconds(seconds))); };
    const std::vector<std::pair<Expiry, std::string>> wrong = {
        {0s, "expiry must be more than 0"},
        {-1s, "expiry must be more than 0"},
        {std::chrono::hours(24 * 366 * 50), "at most 50 years"},
        {std::chrono::duration<double>(1e300), "expiry must"},
        {date(0), "expiry must lie between"},
        {date(-5), "expiry must lie between"},
        {date(2'592'000), "expiry must lie between"},
        {date(0xffffffff), "expiry must lie between"},
    };
    for (const bool couchbase : {false, true}) {
        CAPTURE(couchbase);
        Limited f(couchbase);
        for (const Operation& operation : all_of({with_values_and_expiries(), with_expiries()})) {
            if (!f.has(operation)) continue;
            for (const auto& [expiry, what] : wrong) {
                f.refuses(operation, {.key = "a", .expiry = expiry}, errc::invalid_argument, what);
            }
            f.sends(operation, {.expiry = 1s});
        }
    }
}

TEST_CASE("limits: a lock time other than 1 to 30 seconds", "[limits]") {
    Limited f(true);
    for (const Operation& operation : with_lock_times()) {
        for (const auto seconds : {0s, -1s, 31s, 86400s}) {
            f.refuses(operation, {.key = "a", .lock_time = seconds}, errc::invalid_argument,
                      "it must be from 1 to 30 s");
        }
        f.sends(operation, {.lock_time = 1s});
        f.sends(operation, {.lock_time = 30s});
    }
}

TEST_CASE("limits: sub-documents: specs, paths, values", "[limits]") {
    Limited f(true);
    const std::string long_path(1025, 'p');
    std::array<LookupSpec, 17> lookups;
    lookups.fill(subdoc::get("a"));
    std::array<MutateSpec, 17> mutations;
    mutations.fill(subdoc::upsert("a", "1"));
    const auto refuse = [&](const char* name, const std::function<void(const Report&)>& start, const char* what) {
        f.refuses({name, [&](Bucket&, const Input&, const Report& report) { start(report); }}, {},
                  errc::invalid_argument, what);
    };
    Bucket& b = *f.bucket;
    refuse("lookup_in", [&](const Report& r) { tell(b.lookup_in("key", LookupSpecs()), r); }, "there are no specs");
    refuse("mutate_in", [&](const Report& r) { tell(b.mutate_in("key", MutateSpecs()), r); }, "there are no specs");
    refuse(
        "lookup_in", [&](const Report& r) { tell(b.lookup_in("key", lookups), r); },
        "there are 17 specs, the limit is 16");
    refuse(
        "mutate_in", [&](const Report& r) { tell(b.mutate_in("key", mutations), r); },
        "there are 17 specs, the limit is 16");
    refuse(
        "lookup_in", [&](const Report& r) { tell(b.lookup_in("key", {subdoc::get(long_path)}), r); },
        "spec 0: the path has 1025 bytes, the limit is 1024");
    refuse(
        "mutate_in",
        [&](const Report& r) {
            tell(b.mutate_in("key", {subdoc::upsert("a", "1"), subdoc::upsert(long_path, "1")}), r);
        },
        "spec 1: the path has 1025 bytes, the limit is 1024");
    refuse(
        "mutate_in", [&](const Report& r) { tell(b.mutate_in("key", {subdoc::counter("a", 0)}), r); },
        "spec 0: \"a\": the delta is 0");
    refuse("map_get", [&](const Report& r) { tell(b.map_get("key", long_path), r); }, "1024");
}

TEST_CASE("plain memcached refuses what it does not have, and nothing is sent", "[limits]") {
    Limited f(false);
    for (const Operation& operation :
         all_of({with_keys(), with_values(), with_values_and_expiries(), with_expiries(), with_lock_times()})) {
        if (!operation.plain) f.refuses(operation, {.key = "a"}, errc::unsupported_operation, "memcached");
    }
    const Operation random_key{"get_random_key",
                               [](Bucket& b, const Input&, const Report& report) { tell(b.get_random_key(), report); }};
    f.refuses(random_key, {.key = ""}, errc::unsupported_operation, "memcached");
}

TEST_CASE("plain memcached gives statistics of several groups", "[limits]") {
    Limited f(false);
    std::optional<StatsResult> got;
    const std::vector<std::string> groups = {"", "settings"};
    f.bucket->stats_multi(groups).set_callbacks([&](StatsResult stats) { got = std::move(stats); },
                                                [](const Error& error) { FAIL(error.message()); });
    f.loop.run();
    REQUIRE(got);
    CHECK(got->stats().contains("pid"));
    CHECK(f.server.count(protocol::Opcode::stat) == 2);
}

TEST_CASE("limits: a multi operation of nothing", "[limits]") {
    Limited f(true);
    const std::vector<std::string> none;
    const std::vector<Pair> no_pairs;
    Bucket& b = *f.bucket;
    const auto refuse = [&](const char* name, const std::function<void(const Report&)>& start, const char* what) {
        f.refuses({name, [&](Bucket&, const Input&, const Report& report) { start(report); }}, {.key = ""},
                  errc::invalid_argument, what);
    };
    refuse("get_multi", [&](const Report& r) { tell(b.get_multi(none), r); }, "there are no entries");
    refuse("upsert_multi", [&](const Report& r) { tell(b.upsert_multi(no_pairs), r); }, "there are no entries");
    refuse("observe_multi", [&](const Report& r) { tell(b.observe_multi(none), r); }, "there are no entries");
    refuse("stats", [&](const Report& r) { tell(b.stats_multi(none), r); }, "there are no groups");
    refuse("stats", [&](const Report& r) { tell(b.stats(std::string(251, 's')), r); }, "too long");
}

TEST_CASE("limits: options of a connection string that are unknown, or have no such value", "[limits]") {
    ScriptLoop loop;
    for (const auto& [where, what] : std::vector<std::pair<std::string, std::string>>{
             {"couchbase://node?operation_timeoot=1", "operation_timeoot"},
             {"couchbase://node?Operation_timeout=1", "Operation_timeout"},
             {"memcached://node?surprise=yes", "surprise"},
             {"couchbase://node?operation_timeout=soon", "operation_timeout"},
             {"couchbase://node?operation_timeout=-1", "operation_timeout"},
             {"couchbase://node?ordered=perhaps", "ordered"},
             {"couchbase://node:99999", "99999"},
             {"gopher://node", "gopher"},
         }) {
        CAPTURE(where);
        std::string caught;
        try {
            const AsyncBucket bucket(loop.make_iops(), where, {.username = "me", .password = "secret"});
        } catch (const Exception& exception) {
            caught = exception.what();
        }
        CHECK_THAT(caught, Catch::Contains(what));
    }
}
