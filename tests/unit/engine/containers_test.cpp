// Data structures on documents: what is sent, and the operations that read first and change then.

#include "protocol/json_array.hpp"
#include "protocol/response_encoder.hpp"
#include "tests/unit/engine/script_node.hpp"
#include "tests/unit/engine/session_fixture.hpp"

#include <chaise/chaise.hpp>

#include <catch2/catch.hpp>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Opcode;
using protocol::Status;
using Answer = ScriptNodes::Answer;
using Seen = ScriptNodes::Seen;

namespace {

std::string be(std::uint64_t n, std::size_t bytes) {
    std::string out(bytes, '\0');
    for (std::size_t i = 0; i < bytes; ++i) out[bytes - 1 - i] = static_cast<char>(n >> (8 * i));
    return out;
}

/// A bucket on one Couchbase node whose answers are the test's.
struct ContainerFixture : Fixture {
    explicit ContainerFixture(std::function<Answer(const Seen&)> answer = [](const Seen&) { return Answer{}; })
        : Fixture({.username = "me", .password = "secret"}, "couchbase://node") {
        nodes.map = ScriptNodes::map_of({"node"}, 1);
        nodes.answer = std::move(answer);
        connected();
    }
    template <class T>
    T result(AsyncResult<T> operation) {
        std::optional<T> got;
        operation.set_callbacks([&](T r) { got = std::move(r); }, [](const Error& error) { FAIL(error.message()); });
        loop.run();
        REQUIRE(got);
        return *got;
    }
    template <class T>
    Error error(AsyncResult<T> operation) {
        std::optional<Error> got;
        operation.set_callbacks([](T) { FAIL("it succeeded"); }, [&](const Error& e) { got = e; });
        loop.run();
        REQUIRE(got);
        return *got;
    }
    /// The last request.
    const Seen& said() {
        REQUIRE_FALSE(nodes.seen.empty());
        return nodes.seen.back();
    }
    void check_said(Opcode opcode, const std::string& path, const std::string& value, const std::string& tail = {}) {
        CHECK(said().opcode == opcode);
        CHECK(said().key == "k");
        CHECK(said().extras == be(path.size(), 2) + '\0' + tail);
        CHECK(said().value == path + value);
    }

    ScriptNodes nodes{loop};
};

/// A queue as a server has it, and others that take from it in between.
struct Queue {
    std::vector<std::string> values;
    Cas cas = 10;
    int taken_by_others = 0;
    Answer operator()(const Seen& seen) {
        if (seen.opcode == Opcode::subdoc_get) {
            if (values.empty()) return {.status = Status::subdoc_path_enoent};
            const Answer answer{.cas = cas, .value = values.back()};
            if (taken_by_others > 0) {
                --taken_by_others;
                values.pop_back();
                ++cas;
            }
            return answer;
        }
        if (seen.opcode != Opcode::subdoc_remove) return {.status = Status::unknown_command};
        if (seen.cas != cas) return {.status = Status::key_eexists};
        values.pop_back();
        return {.cas = ++cas};
    }
};

}  // namespace

TEST_CASE("data structures: one command each", "[containers]") {
    ContainerFixture f;
    AsyncBucket& b = *f.bucket;
    static_cast<void>(f.result(b.map_add("k", "na.me", "1")));
    f.check_said(Opcode::subdoc_dict_upsert, "`na.me`", "1");
    static_cast<void>(f.result(b.map_add("k", "n", "1", {.create = true, .cas = 5, .expiry = 60s})));
    f.check_said(Opcode::subdoc_dict_upsert, "`n`", "1", be(60, 4) + be(1, 1));
    CHECK(f.said().cas == 5);
    static_cast<void>(f.result(b.map_remove("k", "n", {.cas = 6})));
    f.check_said(Opcode::subdoc_remove, "`n`", "");
    CHECK(f.said().cas == 6);
    static_cast<void>(f.result(b.list_append("k", "1,2", {.create = true})));
    f.check_said(Opcode::subdoc_array_push_last, "", "1,2", be(1, 1));
    static_cast<void>(f.result(b.list_prepend("k", "1")));
    f.check_said(Opcode::subdoc_array_push_first, "", "1");
    static_cast<void>(f.result(b.list_set("k", 12, "\"x\"")));
    f.check_said(Opcode::subdoc_replace, "[12]", "\"x\"");
    static_cast<void>(f.result(b.list_remove("k", -1)));
    f.check_said(Opcode::subdoc_remove, "[-1]", "");
    static_cast<void>(f.result(b.set_add("k", "null", {.create = true})));
    f.check_said(Opcode::subdoc_array_add_unique, "", "null", be(1, 1));
    static_cast<void>(f.result(b.queue_push("k", "{}")));
    f.check_said(Opcode::subdoc_array_push_first, "", "{}");
    f.nodes.answer = [](const Seen&) { return Answer{.cas = 3, .value = "17"}; };
    CHECK(f.result(b.map_get("k", "a`b")).value() == "17");
    f.check_said(Opcode::subdoc_get, "`a``b`", "");
    CHECK(f.result(b.list_get("k", 0)).cas() == 3);
    f.check_said(Opcode::subdoc_get, "[0]", "");
    CHECK(f.result(b.map_size("k")).size() == 17);
    CHECK(f.result(b.list_size("k")).size() == 17);
    CHECK(f.result(b.set_size("k")).cas() == 3);
    CHECK(f.result(b.queue_size("k", {.timeout = 1s})).size() == 17);
    f.check_said(Opcode::subdoc_get_count, "", "");
}

TEST_CASE("data structures: what they may meet", "[containers]") {
    const auto answers = [](Status status) { return [status](const Seen&) { return Answer{.status = status}; }; };
    {
        ContainerFixture f(answers(Status::subdoc_path_enoent));
        const Error error = f.error(f.bucket->map_get("k", "m"));
        CHECK(error.code() == errc::path_not_found);
        CHECK(error.context().operation == "map_get");
        CHECK(error.context().key == "k");
        CHECK(f.error(f.bucket->list_set("k", 5, "1")).code() == errc::path_not_found);
        CHECK(f.error(f.bucket->list_remove("k", 5)).context().operation == "list_remove");
        const Error empty = f.error(f.bucket->queue_pop("k"));
        CHECK(empty.code() == errc::queue_empty);
        CHECK(empty.context().operation == "queue_pop");
        CHECK(empty.context().key == "k");
        CHECK_THROWS_AS(throw_error(empty), QueueEmpty);
    }
    {
        ContainerFixture f(answers(Status::key_enoent));
        CHECK(f.error(f.bucket->map_add("k", "m", "1")).code() == errc::document_not_found);
        CHECK(f.error(f.bucket->map_size("k")).code() == errc::document_not_found);
        CHECK(f.error(f.bucket->set_contains("k", "1")).code() == errc::document_not_found);
        CHECK(f.error(f.bucket->set_remove("k", "1")).code() == errc::document_not_found);
        const Error error = f.error(f.bucket->queue_pop("k"));
        CHECK(error.code() == errc::document_not_found);
        CHECK(error.context().operation == "queue_pop");
    }
    {
        ContainerFixture f(answers(Status::subdoc_path_eexists));
        const OperationResult there = f.result(f.bucket->set_add("k", "1"));
        CHECK_FALSE(there.success());
        CHECK(there.rc() == errc::path_exists);
    }
    {
        ContainerFixture f(answers(Status::key_eexists));
        CHECK(f.error(f.bucket->list_append("k", "1", {.cas = 4})).code() == errc::cas_mismatch);
    }
    for (const char* size : {"", "x", "1x", "-1", "99999999999999999999"}) {
        ContainerFixture f([size](const Seen&) { return Answer{.value = size}; });
        CHECK(f.error(f.bucket->list_size("k")).code() == errc::protocol_error);
    }
}

TEST_CASE("data structures: what is refused before anything is sent", "[containers]") {
    ContainerFixture f;
    AsyncBucket& b = *f.bucket;
    const auto refused = [&](auto operation, const std::string& why) {
        const Error error = f.error(std::move(operation));
        CHECK(error.code() == errc::invalid_argument);
        CHECK_THAT(error.message(), Catch::Contains(why));
    };
    refused(b.map_add("k", "", "1"), "member is empty");
    refused(b.map_get("k", std::string(1023, 'm')), "1025 bytes, the limit is 1024");
    refused(b.map_add("k", "m", ""), "no value");
    refused(b.list_get("k", -2), "index is -2");
    refused(b.list_append("k", ""), "no value");
    refused(b.queue_push("k", ""), "no value");
    for (const char* value : {"", "{}", "[1]", "x", "1 2", "\"", "'a'"}) {
        refused(b.set_add("k", value), "not a JSON string, number, boolean or null");
        refused(b.set_contains("k", value), "not a JSON string");
        refused(b.set_remove("k", value), "not a JSON string");
    }
    refused(b.map_add("k", "m", "1", {.expiry = -1s}), "expiry");
    refused(b.queue_pop("k", {.expiry = -1s}), "expiry");
    refused(b.set_remove("k", "1", {.expiry = -1s}), "expiry");
    refused(b.queue_pop(""), "the key is empty");
    refused(b.set_contains(std::string(251, 'k'), "1"), "251 bytes");
    CHECK(f.error(b.list_append("k", std::string((20u << 20) + 1, '1'))).code() == errc::value_too_large);
    CHECK(f.nodes.seen.empty());
    CHECK(f.bucket->operations() == 0);

    Fixture plain;
    plain.connected();
    const std::vector<Outcome*> all = {
        &plain.track(plain.bucket->map_add("k", "m", "1")), &plain.track(plain.bucket->list_size("k")),
        &plain.track(plain.bucket->queue_pop("k")), &plain.track(plain.bucket->set_contains("k", "1"))};
    plain.loop.run();
    for (const Outcome* outcome : all) CHECK(outcome->failed(errc::unsupported_operation));
    CHECK(plain.server.seen.empty());
}

TEST_CASE("an element is found in an array by what it means", "[containers]") {
    using protocol::ArraySearchStatus;
    using protocol::find_in_array;
    const std::string set = R"([1, "a", null, true, 2.5, "\u00e9", 18446744073709551615, -3, [1], {"x":7}, 1e2, "7"])";
    const auto index = [&](std::string_view value) {
        const auto found = find_in_array(set, value);
        return found.status == ArraySearchStatus::found ? static_cast<int>(found.index) : -1;
    };
    CHECK(index("1") == 0);
    CHECK(index("1.0") == 0);
    CHECK(index(" \"a\" ") == 1);
    CHECK(index("\"\\u0061\"") == 1);
    CHECK(index("null") == 2);
    CHECK(index("true") == 3);
    CHECK(index("false") == -1);
    CHECK(index("2.50") == 4);
    CHECK(index("\"\xc3\xa9\"") == 5);
    CHECK(index("18446744073709551615") == 6);
    CHECK(index("18446744073709551614") == -1);
    CHECK(index("-3") == 7);
    CHECK(index("100") == 10);
    CHECK(index("7") == -1);
    CHECK(index("\"7\"") == 11);
    CHECK(find_in_array("[]", "1").status == ArraySearchStatus::missing);
    CHECK(find_in_array("{}", "1").status == ArraySearchStatus::not_an_array);
    CHECK(find_in_array("1", "1").status == ArraySearchStatus::not_an_array);
    CHECK(find_in_array("[1", "1").status == ArraySearchStatus::not_json);
    CHECK(find_in_array("", "1").status == ArraySearchStatus::not_json);
}

TEST_CASE("set_contains and set_remove", "[containers]") {
    std::string document = R"(["a","b",3])";
    Cas cas = 7;
    int changed_by_others = 0;
    ContainerFixture f([&](const Seen& seen) {
        if (seen.opcode == Opcode::get) {
            const Answer answer{.cas = cas, .extras = be(0, 4), .value = document};
            if (changed_by_others > 0) {
                --changed_by_others;
                document = R"(["new",)" + document.substr(1);
                ++cas;
            }
            return answer;
        }
        if (seen.cas != cas) return Answer{.status = Status::key_eexists};
        return Answer{.cas = ++cas, .extras = be(0xabc, 8) + be(5, 8)};
    });
    const ExistsResult has = f.result(f.bucket->set_contains("k", "3"));
    CHECK(has.exists());
    CHECK(has.cas() == 7);
    CHECK_FALSE(f.result(f.bucket->set_contains("k", "\"3\"")).exists());
    CHECK(f.nodes.seen.size() == 2);

    const OperationResult absent = f.result(f.bucket->set_remove("k", "\"c\""));
    CHECK_FALSE(absent.success());
    CHECK(absent.rc() == errc::path_not_found);
    CHECK(f.nodes.seen.size() == 3);

    const OperationResult removed = f.result(f.bucket->set_remove("k", "3", {.expiry = 60s}));
    CHECK(removed.success());
    CHECK(removed.cas() == 8);
    CHECK(removed.mutation_token()->seqno == 5);
    f.check_said(Opcode::subdoc_remove, "[2]", "", be(60, 4));
    CHECK(f.said().cas == 7);

    changed_by_others = 3;
    CHECK(f.result(f.bucket->set_remove("k", "3")).success());
    CHECK(f.said().value == "[5]");
    CHECK(f.nodes.seen.size() == 5 + 8);

    document = R"({"a":1})";
    CHECK(f.error(f.bucket->set_contains("k", "1")).code() == errc::path_mismatch);
    document = "no JSON";
    CHECK(f.error(f.bucket->set_remove("k", "1")).code() == errc::document_not_json);
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("queue_pop takes what nobody else has taken", "[containers]") {
    Queue queue{.values = {"4", "3", "2", "1"}};
    ContainerFixture f(std::ref(queue));
    CHECK(f.result(f.bucket->queue_pop("k")).value() == "1");
    CHECK(f.nodes.seen.size() == 2);
    f.check_said(Opcode::subdoc_remove, "[-1]", "");
    queue.taken_by_others = 2;
    CHECK(f.result(f.bucket->queue_pop("k")).value() == "4");
    CHECK(f.nodes.seen.size() == 8);
    queue.values = {"9"};
    queue.taken_by_others = 1;
    const Error error = f.error(f.bucket->queue_pop("k"));
    CHECK(error.code() == errc::queue_empty);
    CHECK(error.context().retries == 1);
    CHECK_FALSE(error.may_have_happened());
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("many queue_pops at once: each value once", "[containers]") {
    Queue queue;
    for (int i = 0; i < 50; ++i) queue.values.push_back(std::to_string(i));
    ContainerFixture f(std::ref(queue));
    std::vector<std::string> got;
    int empty = 0;
    for (int i = 0; i < 60; ++i) {
        f.bucket->queue_pop("k", {.timeout = 10min})
            .set_callbacks([&](ValueResult r) { got.push_back(r.owned()); },
                           [&](const Error& e) { empty += e.code() == errc::queue_empty ? 1 : 0; });
    }
    f.loop.run();
    CHECK(empty == 10);
    REQUIRE(got.size() == 50);
    for (int i = 0; i < 50; ++i) CHECK(got[static_cast<std::size_t>(i)] == std::to_string(49 - i));
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("an operation of several steps has one deadline", "[containers]") {
    {
        // The read is not answered: nothing has happened.
        ContainerFixture f([](const Seen&) { return Answer{.silent = true}; });
        Outcome& outcome = f.track(f.bucket->queue_pop("k", {.timeout = 100ms}));
        f.loop.run();
        const TimePoint start = f.loop.now();
        f.loop.advance(200ms);
        CHECK(outcome.failed(errc::timeout_after_send));
        CHECK(outcome.at - start == 100ms);
        CHECK_FALSE(outcome.error->may_have_happened());
        CHECK(outcome.error->context().operation == "queue_pop");
        CHECK(outcome.error->context().time_spent == 100ms);
    }
    {
        // The read takes 60 ms, the removal is not answered: it may have happened.
        ContainerFixture f([](const Seen&) { return Answer{.silent = true}; });
        Outcome& outcome = f.track(f.bucket->queue_pop("k", {.timeout = 100ms}));
        f.loop.run();
        const TimePoint start = f.loop.now();
        f.loop.advance(60ms);
        REQUIRE(f.nodes.seen.size() == 1);
        f.link().send(protocol::encoded(protocol::Response{
            .opcode = Opcode::subdoc_get, .opaque = f.nodes.seen[0].opaque, .cas = 4, .value = "1"}));
        f.loop.run();
        REQUIRE(f.nodes.seen.size() == 2);
        CHECK(outcome.pending());
        f.loop.advance(60ms);
        CHECK(outcome.failed(errc::timeout_after_send));
        CHECK(outcome.at - start == 100ms);
        CHECK(outcome.error->may_have_happened());
        CHECK(outcome.error->context().time_spent == 100ms);
    }
    {
        // Others are always faster.
        Cas cas = 1;
        ContainerFixture f([&](const Seen& seen) {
            f.loop.jump(7ms);
            return seen.opcode == Opcode::subdoc_get ? Answer{.cas = ++cas, .value = "1"}
                                                     : Answer{.status = Status::key_eexists};
        });
        Outcome& outcome = f.track(f.bucket->queue_pop("k", {.timeout = 100ms}));
        f.loop.run();
        f.loop.advance(100ms);
        REQUIRE(outcome.calls == 1);
        REQUIRE(outcome.error);
        CHECK(outcome.error->kind() == kind(errc::timeout_before_send));
        CHECK(outcome.error->context().retries > 3);
        CHECK(f.nodes.seen.size() < 30);
    }
}

TEST_CASE("an operation of several steps: cancelled, dropped, closed, connection lost", "[containers]") {
    const auto silent = [](const Seen&) { return Answer{.silent = true}; };
    const auto to_removal = [](ContainerFixture& f) {
        f.loop.run();
        f.link().send(protocol::encoded(protocol::Response{
            .opcode = Opcode::subdoc_get, .opaque = f.nodes.seen.back().opaque, .cas = 4, .value = "1"}));
        f.loop.run();
        REQUIRE(f.said().opcode == Opcode::subdoc_remove);
    };
    const auto cancelled = [&](bool in_removal, bool may_have_happened) {
        ContainerFixture f(silent);
        auto operation = f.bucket->queue_pop("k");
        std::optional<Error> error;
        operation.set_callbacks([](ValueResult) { FAIL(); }, [&](const Error& e) { error = e; });
        f.loop.run();
        if (in_removal) to_removal(f);
        operation.cancel();
        CHECK_FALSE(error);
        f.loop.run();
        REQUIRE(error);
        CHECK(error->code() == errc::cancelled);
        CHECK(error->context().operation == "queue_pop");
        CHECK(error->may_have_happened() == may_have_happened);
        f.link().close();
        f.loop.advance(1s);
        CHECK(f.bucket->operations() == (operation.valid() ? 1 : 0));
    };
    cancelled(false, false);
    cancelled(true, true);
    {
        // Before anything was sent.
        ContainerFixture f(silent);
        auto operation = f.bucket->set_remove("k", "1");
        Outcome& outcome = f.track(std::move(operation));
        f.bucket.reset();
        f.loop.run();
        CHECK(outcome.failed(errc::shutdown));
        CHECK(f.nodes.seen.empty());
    }
    {
        ContainerFixture f(silent);
        Outcome& outcome = f.track(f.bucket->queue_pop("k"));
        to_removal(f);
        f.bucket.reset();
        f.loop.run();
        CHECK(outcome.failed(errc::shutdown));
        CHECK(outcome.error->context().operation == "queue_pop");
        CHECK(outcome.error->may_have_happened());
    }
    {
        // The read is asked once more, the removal is not.
        Queue queue{.values = {"2", "1"}};
        ContainerFixture f(silent);
        Outcome& reading = f.track(f.bucket->queue_pop("k"));
        f.loop.run();
        f.nodes.answer = std::ref(queue);
        f.link().close();
        f.loop.advance(1s);
        CHECK(reading.ok());
        CHECK(reading.value == "1");
        f.nodes.answer = silent;
        Outcome& removing = f.track(f.bucket->queue_pop("k"));
        to_removal(f);
        f.link().close();
        f.loop.advance(1s);
        CHECK(removing.failed(errc::connection_lost_after_send));
        CHECK(removing.error->may_have_happened());
    }
    {
        // Nobody waits.
        Queue queue{.values = {"1"}};
        ContainerFixture f(std::ref(queue));
        f.bucket->queue_pop("k").detach();
        f.loop.run();
        CHECK(queue.values.empty());
        f.bucket->queue_pop("k").detach();
        f.loop.run();
        CHECK(f.bucket->operations() == 0);
        CHECK(f.unobserved.empty());
        static_cast<void>(f.bucket->queue_pop("k"));
        f.loop.run();
        REQUIRE(f.unobserved.size() == 1);
        CHECK(f.unobserved[0] == errc::queue_empty);
        queue.values = {"5"};
        auto early = f.bucket->queue_pop("k");
        f.loop.run();
        std::string value;
        early.set_callbacks([&](ValueResult r) { value = r.owned(); }, [](const Error&) {});
        f.loop.run();
        CHECK(value == "5");
    }
    {
        // Before there is a connection, and from inside a callback that another one is in.
        Fixture f({.username = "me", .password = "secret"}, "couchbase://node");
        ScriptNodes nodes(f.loop);
        nodes.map = ScriptNodes::map_of({"node"}, 1);
        Queue queue{.values = {"3", "2", "1"}};
        nodes.answer = std::ref(queue);
        std::string got;
        f.bucket->queue_pop("k").set_callbacks(
            [&](ValueResult first) {
                got += first.value();
                f.bucket->queue_pop("k").set_callbacks([&](ValueResult second) { got += second.value(); },
                                                       [](const Error& e) { FAIL(e.message()); });
            },
            [](const Error& e) { FAIL(e.message()); });
        f.loop.run();
        CHECK(got == "12");
    }
}

TEST_CASE("an operation of several steps when the loop goes first", "[containers]") {
    auto called = std::make_shared<int>(0);
    auto loop = std::make_unique<ScriptLoop>();
    ScriptNodes nodes(*loop);
    nodes.map = ScriptNodes::map_of({"node"}, 1);
    nodes.answer = [](const Seen&) { return Answer{.silent = true}; };
    AsyncBucket bucket(loop->make_iops(), "couchbase://node", BucketOptions{.username = "me", .password = "secret"});
    bucket.queue_pop("k").set_callbacks([called](ValueResult) { ++*called; }, [called](const Error&) { ++*called; });
    loop->run();
    CHECK(nodes.seen.size() == 1);
    loop.reset();
    CHECK(bucket.operations() == 0);
    CHECK(*called == 0);
    CHECK(called.use_count() == 1);
}
