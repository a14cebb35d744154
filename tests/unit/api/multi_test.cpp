// Multi operations on one scripted server: what they take, what they give, when. Cases of the seed's tests keep their
// names (seed-semantics.md H).

#include "protocol/response_encoder.hpp"
#include "tests/unit/api/consumers.hpp"
#include "tests/unit/api/multi_fixture.hpp"

#include <chaise/chaise.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <exception>
#include <list>
#include <map>
#include <optional>
#include <ranges>
#include <set>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
using protocol::Opcode;

TEST_CASE("Get.multi_get, Upsert.multi_set: subset and full set of keys", "[multi]") {
    Multi f;
    const std::map<std::string, std::string> all = {{"a", "1"}, {"b", "2"}, {"c", std::string(300, '3')}};
    const auto stored = f.run(f.bucket->upsert_multi(all, {.flags = 9}));
    CHECK_FALSE(stored.error);
    CHECK(stored.results.all_ok());
    CHECK(stored.results.size() == 3);
    for (const auto& [key, result] : stored.results) {
        CHECK(all.contains(std::string(key)));
        REQUIRE(result);
        CHECK(result->cas() > 0);
    }
    CHECK(f.server.items.at("b").flags == 9);

    const auto subset = f.run(f.bucket->get_multi(std::vector<std::string>{"c", "a"}));
    CHECK(joined(subset.results) == "c=" + std::string(300, '3') + " a=1");
    const auto full = f.run(f.bucket->get_multi(std::views::keys(all)));
    CHECK(full.results.all_ok());
    CHECK(full.results.at("b")->value() == "2");
    CHECK(full.results.at("b")->flags() == 9);
    CHECK(full.results.contains("c"));
    CHECK_FALSE(full.results.find("d"));
    CHECK_THROWS_AS(full.results.at("d"), std::out_of_range);
    CHECK(full.results[0].key == "a");
    CHECK(full.results.errors().empty());
}

TEST_CASE("Get.trivial_get: a multi of one", "[multi]") {
    Multi f;
    f.put("a", "1");
    const auto one = f.run(f.bucket->get_multi(std::array{"a"}));
    CHECK(one.results.size() == 1);
    CHECK(joined(one.results) == "a=1");
}

TEST_CASE("Get.multi_mixed: quiet and not", "[multi]") {
    Multi f;
    f.put("a", "1");
    f.put("c", "3");
    const auto quiet = f.run(f.bucket->get_multi(keys("a", "b", "c", "d"), {.quiet = true}));
    CHECK_FALSE(quiet.error);
    CHECK_FALSE(quiet.results.all_ok());
    CHECK(joined(quiet.results) == "a=1 b=- c=3 d=-");
    CHECK(quiet.results.at("b")->rc() == errc::document_not_found);
    CHECK_FALSE(quiet.results[1].success());

    const auto loud = f.run(f.bucket->get_multi(keys("a", "b", "c", "d"), {.quiet = false}));
    CHECK(loud.error.code() == errc::document_not_found);
    CHECK(loud.error.context().key == "b");
    CHECK(loud.error.context().operation == "get_multi");
    CHECK(loud.error.context().message.find("2 of 4 entries failed") != std::string::npos);
    CHECK(joined(loud.results) == "a=1 b=document_not_found c=3 d=document_not_found");
    CHECK_FALSE(loud.results.all_ok());
    const auto errors = loud.results.errors();
    REQUIRE(errors.size() == 2);
    CHECK(errors[0].first == "b");
    CHECK(errors[1].first == "d");
    CHECK(errors[1].second.context().operation == "get");
    CHECK(loud.error.all_results<OperationResult>().empty());  // not of that type
}

TEST_CASE("quiet of the bucket holds for multi operations", "[multi]") {
    Multi f({.quiet = true});
    CHECK_FALSE(f.run(f.bucket->get_multi(keys("x"))).error);
    CHECK_FALSE(f.run(f.bucket->remove_multi(keys("x"))).error);
    CHECK(f.run(f.bucket->get_multi(keys("x"), {.quiet = false})).error == errc::document_not_found);
    CHECK(f.run(f.bucket->touch_multi(keys("x"))).error == errc::document_not_found);  // as in the seed
}

TEST_CASE("the first error is the first in the caller's order, not of arrival", "[multi]") {
    Multi f;
    f.put("a", "1");
    f.put("c", "1");
    f.server.hold = true;
    const auto done = f.book(f.bucket->counter_multi(keys("a", "b", "c")));
    f.loop.run();
    REQUIRE(f.server.seen.size() == 3);
    f.server.seen[2].answer = protocol::encoded(protocol::Response{
        .opcode = Opcode::increment, .status = protocol::Status::delta_badval, .opaque = f.server.seen[2].opaque});
    f.server.answer(2);
    f.loop.run();
    CHECK(done->calls == 0);
    f.server.answer(1);
    f.loop.run();
    CHECK(done->calls == 0);  // not before the last
    f.server.answer(0);
    f.loop.run();
    CHECK(done->calls == 1);
    CHECK(done->error == errc::document_not_found);
    CHECK(done->results.at("c").error() == errc::delta_invalid);
    CHECK(done->results.at("a")->counter() == 2);
}

TEST_CASE("DupKey.duplicate_keys: each is answered", "[multi]") {
    Multi f;
    f.put("n", "1");
    f.put("m", "1");
    const auto counted = f.run(f.bucket->counter_multi(keys("n", "m", "n")));
    CHECK(joined(counted.results) == "n=2 m=2 n=3");
    CHECK(counted.results.at("n")->counter() == 2);  // the first of equal ones
    const auto removed = f.run(f.bucket->remove_multi(keys("n", "n")));
    CHECK(removed.error == errc::document_not_found);
    CHECK(removed.results[0].success());
    CHECK_FALSE(removed.results[1].success());
}

TEST_CASE("Append.multi, Arithmetic.incr_multi, Delete.multi, Touch.multi, insert, replace, exists", "[multi]") {
    Multi f;
    const Pairs pairs = {{"a", "x"}, {"b", "y"}};
    CHECK_FALSE(f.run(f.bucket->insert_multi(pairs, {.expiry = 10s})).error);
    CHECK(f.server.seen.back().expiry == 10);
    CHECK(f.run(f.bucket->insert_multi(pairs)).error == errc::document_exists);
    f.run(f.bucket->append_multi(pairs));
    f.run(f.bucket->prepend_multi(pairs));
    CHECK(f.server.items.at("a").value == "xxx");
    CHECK(f.server.items.at("b").value == "yyy");
    CHECK_FALSE(f.run(f.bucket->replace_multi(pairs)).error);
    CHECK(f.run(f.bucket->replace_multi(Pairs{{"a", "z"}, {"q", "z"}})).error == errc::document_not_found);
    CHECK(f.server.items.at("a").value == "z");

    const auto there = f.run(f.bucket->exists_multi(keys("a", "q")));
    CHECK_FALSE(there.error);
    CHECK(there.results.at("a")->exists());
    CHECK_FALSE(there.results.at("q")->exists());

    CHECK_FALSE(f.run(f.bucket->touch_multi(keys("a", "b"), 1h)).error);
    CHECK(f.server.seen.back().expiry == 3600);
    CHECK_FALSE(f.run(f.bucket->touch_multi(keys("a", "b"))).error);
    CHECK(f.server.seen.back().expiry == 0);
    const auto touched = f.run(f.bucket->get_and_touch_multi(
        entries(TouchEntry{.key = "a"}, TouchEntry{.key = "b", .expiry = Expiry(5s)}), 60s));
    CHECK(joined(touched.results) == "a=z b=y");
    // Quiet ones, and what closes them.
    CHECK(f.server.seen[f.server.seen.size() - 3].expiry == 60);
    CHECK(f.server.seen[f.server.seen.size() - 2].expiry == 5);
    CHECK(f.server.seen[f.server.seen.size() - 2].opcode == Opcode::gatq);
    CHECK(f.server.seen.back().opcode == Opcode::noop);

    const auto counted =
        f.run(f.bucket->counter_multi(entries(CounterEntry{.key = "i"}, CounterEntry{.key = "j", .initial = 7},
                                              CounterEntry{.key = "k", .delta = 3, .initial = 0, .expiry = Expiry(9s)}),
                                      {.delta = 5, .initial = 40}));
    CHECK(joined(counted.results) == "i=40 j=7 k=0");
    CHECK(f.server.seen.back().expiry == 9);
    const auto stepped =
        f.run(f.bucket->counter_multi(std::map<std::string, int>{{"i", 2}, {"j", -3}, {"k", 0}}, {.timeout = 1s}));
    CHECK(joined(stepped.results) == "i=42 j=4 k=0");

    CHECK_FALSE(f.run(f.bucket->remove_multi(std::set<std::string>{"a", "b"})).error);
    CHECK(f.run(f.bucket->remove_multi(keys("a", "i"))).error == errc::document_not_found);
    CHECK_FALSE(f.server.items.contains("i"));
}

TEST_CASE("per-entry options: cas, expiry, flags; what is left open is the call's", "[multi]") {
    Multi f;
    f.put("a", "1", 11);
    f.put("b", "2", 22);
    const auto done = f.run(f.bucket->replace_multi(
        std::vector<StoreEntry>{{.key = "a", .value = "new", .cas = 11, .expiry = Expiry(7s), .flags = 3},
                                {.key = "b", .value = "new", .cas = 99}},
        {.expiry = 60s, .flags = 4}));
    CHECK(done.error == errc::cas_mismatch);
    CHECK(done.error.context().key == "b");
    CHECK(done.results.at("a")->cas() > 0);
    CHECK(f.server.items.at("a").flags == 3);
    CHECK(f.server.items.at("b").value == "2");
    CHECK(f.server.seen[0].expiry == 7);
    CHECK(f.server.seen[1].expiry == 60);
    f.run(f.bucket->upsert_multi(entries(StoreEntry{.key = "c", .value = "3"}), {.flags = 4}));
    CHECK(f.server.items.at("c").flags == 4);
    f.run(f.bucket->insert_multi(entries(InsertEntry{.key = "d", .value = "4", .flags = 0}), {.flags = 4}));
    CHECK(f.server.items.at("d").flags == 0);
}

TEST_CASE("Delete.dict: a MultiResult as input brings its CAS, and must have one", "[multi]") {
    Multi f;
    f.put("a", "1", 11);
    const auto found = f.run(f.bucket->get_multi(keys("a", "b"), {.quiet = true}));
    f.server.seen.clear();
    const auto refused = f.run(f.bucket->remove_multi(found.results));
    CHECK(refused.error == errc::invalid_argument);
    CHECK(refused.error.context().key == "b");
    CHECK(f.server.seen.empty());
    const auto one = f.run(f.bucket->get_multi(keys("a")));
    const auto requests = f.link().received.size();
    CHECK_FALSE(f.run(f.bucket->remove_multi(one.results)).error);
    CHECK(protocol::load_be64(f.link().received.data() + requests + 16) == 11);
    CHECK(f.run(f.bucket->get_multi(one.results, {.quiet = true})).results[0].key == "a");
}

TEST_CASE("EmptyKey, BadArgs.bad_multi: one bad entry, nothing is sent", "[multi]") {
    Multi f;
    const std::string too_long(251, 'k');
    const auto check = [&](auto done, errc code, std::string_view words) {
        INFO(done.error.message());
        CHECK(done.error == code);
        CHECK(done.error.message().find(words) != std::string::npos);
        CHECK_FALSE(done.error.may_have_happened());
        CHECK(done.results.empty());
        CHECK(f.server.seen.empty());
        CHECK(f.bucket->operations() == 0);
    };
    const std::vector<std::string> empty_last = {"a", "b", ""};
    const Pairs bad_pairs = {{"a", "1"}, {"", "2"}};
    const auto arg = errc::invalid_argument;
    check(f.run(f.bucket->get_multi(empty_last)), arg, "get_multi: invalid argument: the key is empty");
    check(f.run(f.bucket->get_multi(std::vector<std::string>{"a", too_long})), arg, "251 bytes");
    check(f.run(f.bucket->get_and_touch_multi(empty_last, 1s)), arg, "get_and_touch_multi: ");
    check(f.run(f.bucket->upsert_multi(bad_pairs)), arg, "upsert_multi: ");
    check(f.run(f.bucket->insert_multi(bad_pairs)), arg, "insert_multi: ");
    check(f.run(f.bucket->replace_multi(bad_pairs)), arg, "replace_multi: ");
    check(f.run(f.bucket->append_multi(bad_pairs)), arg, "append_multi: ");
    check(f.run(f.bucket->prepend_multi(bad_pairs)), arg, "prepend_multi: ");
    check(f.run(f.bucket->remove_multi(empty_last)), arg, "remove_multi: ");
    check(f.run(f.bucket->counter_multi(empty_last)), arg, "counter_multi: ");
    check(f.run(f.bucket->touch_multi(empty_last)), arg, "touch_multi: ");
    check(f.run(f.bucket->exists_multi(empty_last)), arg, "exists_multi: ");
    check(f.run(f.bucket->lock_multi(keys("a"), 5s)), errc::unsupported_operation, "lock_multi \"a\"");
    check(f.run(f.bucket->unlock_multi(entries(CasEntry{"a", 1}))), errc::unsupported_operation, "unlock_multi \"a\"");
    check(f.run(f.bucket->upsert_multi(Pairs{{"a", "1"}, {"b", std::string((20u << 20) + 1, 'x')}})),
          errc::value_too_large, "20 MiB");
    check(f.run(f.bucket->touch_multi(entries(TouchEntry{.key = "a"}, TouchEntry{.key = "b", .expiry = Expiry(-1s)}))),
          arg, "expiry");
    check(f.run(f.bucket->upsert_multi(Pairs{{"a", "1"}}, {.expiry = Expiry(-1s)})), arg, "expiry");
    check(f.run(f.bucket->counter_multi(keys("a"), {.expiry = 1s})), arg, "initial");
    check(f.run(f.bucket->get_multi(std::vector<std::string>{})), arg, "there are no entries");
    check(f.run(f.bucket->upsert_multi(std::map<std::string, std::string>{})), arg, "there are no entries");
}

TEST_CASE("any input range: one that makes its strings as it goes, lists, spans, C strings", "[multi]") {
    Multi f;
    for (int i = 0; i < 30; ++i) f.put("key number " + std::to_string(i) + " of thirty", std::to_string(i));
    const auto made = std::views::iota(0, 30) |
                      std::views::transform([](int i) { return "key number " + std::to_string(i) + " of thirty"; });
    const auto all = f.run(f.bucket->get_multi(made));
    CHECK(all.results.all_ok());
    for (int i = 0; i < 30; ++i)
        CHECK(all.results.at("key number " + std::to_string(i) + " of thirty")->value() == std::to_string(i));
    CHECK_FALSE(all.results.contains("key number 30 of thirty"));
    std::istringstream words("a b\nc");
    const auto once = f.run(f.bucket->get_multi(std::views::istream<std::string>(words), {.quiet = true}));
    CHECK(joined(once.results) == "a=- b=- c=-");
    const std::list<std::string_view> list = {"d", "e"};
    CHECK(f.run(f.bucket->get_multi(list, {.quiet = true})).results.size() == 2);
    const char* names[] = {"f", "g"};
    CHECK(f.run(f.bucket->get_multi(names, {.quiet = true})).results.size() == 2);
    CHECK(f.run(f.bucket->get_multi(std::span<const char*>(names), {.quiet = true})).results[1].key == "g");
}

TEST_CASE("a range that throws: nothing is sent, the exception is the caller's", "[multi]") {
    Multi f;
    const auto throwing = std::views::iota(0, 10) | std::views::transform([](int i) {
                              if (i == 7) throw std::runtime_error("the caller's");
                              return std::to_string(i);
                          });
    CHECK_THROWS_WITH(f.bucket->get_multi(throwing), "the caller's");
    CHECK(f.bucket->operations() == 0);
    f.loop.run();
    CHECK(f.server.seen.empty());
    CHECK(f.get("x", {.quiet = true}).pending());
    f.loop.run();
    CHECK(f.outcomes.back()->ok());
}

TEST_CASE("a range that closes the bucket as it goes", "[multi]") {
    Multi f;
    const auto closing = std::views::iota(0, 10) | std::views::transform([&](int i) {
                             if (i == 7) f.bucket->close().detach();
                             return std::to_string(i);
                         });
    const auto done = f.run(f.bucket->get_multi(closing));
    CHECK(done.error == errc::shutdown);
    CHECK(f.server.seen.empty());
}

TEST_CASE("admitted whole or not at all", "[multi]") {
    for (const bool connected_first : {true, false}) {
        Fixture f({.max_queue_operations = 5});
        if (connected_first) f.connected();
        f.server.hold = true;
        auto& first = f.get("first", {.quiet = true});
        std::optional<Error> error;
        f.bucket->get_multi(keys("a", "b", "c", "d", "e"))
            .set_callbacks([](const auto&) { FAIL("too many"); }, [&](const Error& e) { error = e; });
        CHECK_FALSE(error);
        auto& last = f.get("last", {.quiet = true});
        f.loop.run();
        REQUIRE(error);
        CHECK(*error == errc::queue_full);
        CHECK(error->context().key == "e");
        CHECK_FALSE(error->may_have_happened());
        CHECK(error->all_results<ValueResult>().empty());
        REQUIRE(f.server.seen.size() == 2);
        CHECK(f.server.seen[0].key == "first");
        CHECK(f.server.seen[1].key == "last");
        f.server.hold = false;
        f.server.answer_all();
        f.loop.run();
        CHECK((first.ok() && last.ok()));
        CHECK(f.bucket->operations() == 0);
        // There is room for five.
        MultiResult<ValueResult> five;
        f.bucket->get_multi(keys("a", "b", "c", "d", "e"), {.quiet = true})
            .set_callbacks([&](MultiResult<ValueResult> all) { five = std::move(all); }, [](const Error&) {});
        f.loop.run();
        CHECK(five.size() == 5);
    }
}

TEST_CASE("ten thousand keys in one call cost one flush", "[multi]") {
    Multi f;
    std::vector<std::string> all;
    for (int i = 0; i < 10'000; ++i) all.push_back("key:" + std::to_string(i));
    const std::size_t writes = f.link().writes.size();
    const auto done = f.run(f.bucket->get_multi(all, {.quiet = true}));
    CHECK(done.results.size() == 10'000);
    CHECK(f.link().writes.size() == writes + 1);
    for (int i = 0; i < 10'000; i += 7)
        REQUIRE(done.results.find(all[static_cast<std::size_t>(i)]) == &done.results[static_cast<std::size_t>(i)]);
    CHECK_FALSE(done.results.contains("key:10000"));
}

TEST_CASE("Exceptions.multi_exc: co_await throws the class of the first error, with all results", "[multi]") {
    Multi f;
    f.put("a", "1");
    bool done = false;
    spawn(f.loop, [](AsyncBucket& bucket, bool& finished) -> Task<> {
        try {
            co_await bucket.get_multi(keys("a", "b"));
            FAIL("b is not there");
        } catch (const NotFoundError& e) {
            CHECK(e.context().key == "b");
            CHECK(joined(e.all_results<ValueResult>()) == "a=1 b=document_not_found");
        }
        auto expected = co_await bucket.get_multi(keys("b")).as_expected();
        CHECK(expected.error().all_results<ValueResult>().size() == 1);
        finished = true;
    }(*f.bucket, done));
    f.loop.run();
    CHECK(done);
}

TEST_CASE("forms: multi operations in co_await expressions", "[multi][forms]") {
    Multi f;
    Counted::alive = 0;
    struct UserKey : Counted {
        explicit UserKey(int n) : text("a key that is too long for the small string " + std::to_string(n)) {}
        operator std::string_view() const { return text; }  // NOLINT: implicit on purpose
        std::string text;
    };
    static const auto user_keys = [] {
        std::vector<UserKey> all;
        for (int i = 0; i < 3; ++i) all.emplace_back(i);
        return all;
    };
    bool done = false;
    spawn(f.loop, [](AsyncBucket& bucket, bool& finished) -> Task<> {
        const std::map<std::string, std::string> documents = {{"a", "1"}, {"b", "2"}};
        co_await bucket.upsert_multi(documents, {.expiry = 10min});
        const std::vector<std::string> ids = {"a", "b"};
        auto all = co_await bucket.get_multi(ids);
        CHECK(joined(all) == "a=1 b=2");
        auto two = co_await bucket.get_multi(keys("a", "b"));
        CHECK(two.all_ok());
        auto strings = co_await bucket.get_multi(keys(std::string("a"), std::string(200, 'b')), {.quiet = true});
        CHECK(strings.size() == 2);
        auto quiet = co_await bucket.get_multi(user_keys(), {.quiet = true});
        CHECK(quiet.size() == 3);
        CHECK_FALSE(quiet.all_ok());
        co_await bucket.upsert_multi(entries(StoreEntry{.key = "a", .value = "3", .cas = all[0].result->cas()},
                                             StoreEntry{.key = "b", .value = "4", .expiry = Expiry(5s)}),
                                     {.flags = 1});
        co_await bucket.touch_multi(ids, 5min, {.timeout = 1s});
        co_await bucket.touch_multi(ids);
        co_await bucket.get_and_touch_multi(ids, 5min, {.quiet = true});
        auto counted = co_await bucket.counter_multi(keys("a", "b"), {.delta = 2});
        CHECK(joined(counted) == "a=5 b=6");
        auto one = bucket.get_multi(ids);
        auto other = bucket.exists_multi(ids, MultiOptions{.timeout = 1s});
        co_await one;
        auto there = co_await other;
        CHECK(there.all_ok());
        auto gone = co_await bucket.remove_multi(user_keys(), {.quiet = true}).as_expected();
        CHECK(gone.has_value());
        CHECK(gone->size() == 3);
        auto refused = co_await bucket.get_multi(std::vector<std::string>(3)).as_expected();
        CHECK(refused.error() == errc::invalid_argument);
        CHECK((co_await bucket.get_multi(ids)).size() == 2);
        finished = true;
    }(*f.bucket, done));
    f.loop.run();
    CHECK(done);
    CHECK(Counted::alive == 0);
}

TEST_CASE("MultiResult: a default one is empty; copies share", "[multi]") {
    const MultiResult<ValueResult> none;
    CHECK((none.empty() && none.all_ok() && none.begin() == none.end() && !none.find("a") && none.errors().empty()));
    CHECK(Error(errc::document_not_found).all_results<ValueResult>().empty());
    Multi f;
    f.put("a", "1");
    auto all = f.run(f.bucket->get_multi(keys("a"))).results;
    const MultiResult<ValueResult> copy = all;
    CHECK(&copy[0] == &all[0]);
    all = {};
    CHECK(copy[0].key == "a");
}
