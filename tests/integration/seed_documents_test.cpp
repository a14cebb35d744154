// Cases of the seed's tests of documents: Get, Delete, Results, Itertypes, Item, Exceptions (docs/seed-tests.md).

#include "cluster_run.hpp"

#include <algorithm>
#include <concepts>
#include <deque>
#include <list>
#include <map>
#include <ranges>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

/// What expires in this time has, afterwards.
Task<> pass(ClusterRun& run, std::chrono::seconds time) {
    if (run.local()) {
        run.cluster().time_travel(time);
    } else {
        co_await run.sleep(time + 1s);
    }
}

/// Three keys of one's own.
std::vector<std::string> three(ClusterRun& run, std::string_view name) {
    std::vector<std::string> all;
    for (const char* number : {"1", "2", "3"}) all.push_back(run.key(std::string(name) + number));
    return all;
}

/// A sized iterable of one's own, with nothing but begin, end and size.
struct Keyring {
    std::vector<std::string> all;
    [[nodiscard]] auto begin() const { return all.begin(); }
    [[nodiscard]] auto end() const { return all.end(); }
    [[nodiscard]] std::size_t size() const { return all.size(); }
};

template <class R>
concept Keys = requires(AsyncBucket& bucket, const R& range) { bucket.get_multi(range); };
template <class R>
concept Stored = requires(AsyncBucket& bucket, const R& range) { bucket.upsert_multi(range); };
template <class T>
concept Appended = requires(AsyncBucket& bucket, const T& value) { bucket.append("k", value); };
struct ReplicaEntry {
    std::string_view key;
    bool replica = true;
};

}  // namespace

TEST_CASE("Get.extended_get, get_ttl, get_multi_ttl") {
    ClusterRun run({.nodes = 2});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        const auto all = three(r, "ttl");
        const auto stored = co_await bucket.upsert(all[0], "v", {.flags = 0x02000000});
        const auto found = co_await bucket.get(all[0]);
        CHECK(found.value() == "v");
        CHECK(found.flags() == 0x02000000);
        CHECK(found.cas() == stored.cas());
        const auto missing = co_await bucket.get(r.key("missing"), {.quiet = true});
        CHECK_FALSE(missing.success());
        CHECK(missing.value().empty());
        CHECK(missing.flags() == 0);
        CHECK(missing.cas() == 0);

        for (const std::string& key : all) co_await bucket.upsert(key, "v");
        const auto first = co_await bucket.get_and_touch(all[0], 1s);
        CHECK(first.value() == "v");
        const auto others = co_await bucket.get_and_touch_multi(
            entries(TouchEntry{.key = all[1], .expiry = 1s}, TouchEntry{.key = all[2]}), Expiry(1h));
        CHECK(others.all_ok());
        CHECK(others.at(all[1])->value() == "v");
        co_await pass(r, 2s);
        const auto left = co_await bucket.get_multi(all, {.quiet = true});
        CHECK_FALSE(left[0].success());
        CHECK_FALSE(left[1].success());
        CHECK(left[2].success());
    });
}

TEST_CASE("Delete.mixed, notfound") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const auto all = three(run, "mixed");
        co_await bucket.upsert(all[0], "v");
        co_await bucket.upsert(all[2], "v");
        const auto quiet = co_await bucket.remove_multi(all, {.quiet = true});
        CHECK_FALSE(quiet.all_ok());
        CHECK(quiet.at(all[0])->success());
        CHECK(quiet.at(all[1])->rc() == errc::document_not_found);
        CHECK(quiet.at(all[2])->success());

        const auto one = co_await bucket.upsert(all[0], "v");
        const auto two = co_await bucket.upsert(all[1], "v");
        const auto bad = co_await bucket
                             .remove_multi(entries(CasEntry{.key = all[0], .cas = one.cas()},
                                                   CasEntry{.key = all[1], .cas = two.cas() + 1}))
                             .as_expected();
        CHECK(code_of(bad) == errc::cas_mismatch);
        CHECK(bad.error().context().key == all[1]);
        CHECK(bad.error().all_results<OperationResult>().at(all[0])->success());
        const auto there = co_await bucket.exists_multi(all);
        CHECK_FALSE(there[0].result->exists());
        CHECK(there[1].result->exists());
    });
}

TEST_CASE("Append.append_prepend, binary, enoent") {
    // Bytes, as text or otherwise; an object is neither.
    static_assert(Appended<std::string> && Appended<std::string_view> && Appended<const char*>);
    static_assert(!Appended<std::vector<std::string>> && !Appended<std::map<std::string, std::string>>);
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const std::string key = run.key("fragments");
        const auto missing = co_await bucket.append(key, "v").as_expected();
        CHECK(code_of(missing) == errc::document_not_found);
        co_await bucket.upsert(key, "middle", {.flags = 0x03000002});
        const std::string head("\xff\0", 2), tail("\0\xfe\0", 3);
        const auto appended = co_await bucket.append(key, tail);
        const auto prepended = co_await bucket.prepend(key, head, {.cas = appended.cas()});
        const auto found = co_await bucket.get(key);
        CHECK(found.value() == head + "middle" + tail);
        CHECK(found.flags() == 0x03000002);
        CHECK(found.cas() == prepended.cas());
    });
}

TEST_CASE("Touch.trivial, multi, dict") {
    ClusterRun run({.nodes = 2});
    run([](ClusterRun& r) -> Task<> {
        AsyncBucket& bucket = r.bucket();
        const auto all = three(r, "touched");
        for (const std::string& key : all) co_await bucket.upsert(key, "v", {.expiry = 1s});
        co_await bucket.touch(all[0]);  // never
        co_await bucket.touch_multi(keys(all[1], all[2]));
        co_await pass(r, 2s);
        auto left = co_await bucket.get_multi(all);
        CHECK(left.all_ok());
        co_await bucket.touch(all[0], 1s);
        const std::map<std::string, std::chrono::seconds> each = {{all[1], 1s}, {all[2], 1h}};
        co_await bucket.touch_multi(each);
        co_await pass(r, 2s);
        left = co_await bucket.get_multi(all, {.quiet = true});
        CHECK_FALSE(left[0].success());
        CHECK_FALSE(left[1].success());
        CHECK(left[2].success());
        const auto gone = co_await bucket.touch(all[0], 1s).as_expected();
        CHECK(code_of(gone) == errc::document_not_found);
    });
}

TEST_CASE("Results.results, multi_results") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const std::string key = run.key("result"), number = run.key("result, a number");
        Cas last = 0;
        const auto changed = [&](const Result& result) {
            CHECK(result.rc() == errc::success);
            CHECK(result.success());
            CHECK(result.errstr() == "success");
            CHECK(result.cas() != 0);
            CHECK(result.cas() != last);
            last = result.cas();
        };
        changed(co_await bucket.upsert(key, "v", {.flags = 9}));
        changed(co_await bucket.replace(key, "v", {.flags = 9}));
        changed(co_await bucket.append(key, "w"));
        changed(co_await bucket.prepend(key, "u"));
        changed(co_await bucket.touch(key, 1h));
        const auto found = co_await bucket.get(key);
        CHECK(found.rc() == errc::success);
        CHECK(found.cas() == last);
        CHECK(found.flags() == 9);
        CHECK(found.value() == "uvw");
        const auto locked = co_await bucket.lock(key, 15s);
        CHECK(locked.value() == "uvw");
        changed(locked);
        const auto unlocked = co_await bucket.unlock(key, locked.cas());
        CHECK(unlocked.success());
        changed(co_await bucket.remove(key));
        const auto gone = co_await bucket.remove(key, {.quiet = true});
        CHECK(gone.rc() == errc::document_not_found);
        CHECK_FALSE(gone.success());
        CHECK(gone.errstr() == "document not found");
        changed(co_await bucket.insert(key, "v"));
        const auto counted = co_await bucket.counter(number, {.initial = 10});
        CHECK(counted.success());
        CHECK(counted.cas() != 0);
        CHECK(counted.counter() == 10);
        CHECK(counted.value() == "10");

        const auto all = three(run, "results");
        std::map<std::string, std::string> values;
        for (const std::string& one : all) values.emplace(one, "v");
        const auto stored = co_await bucket.upsert_multi(values, {.flags = 9});
        const auto read = co_await bucket.get_multi(all);
        CHECK(read.size() == 3);
        for (const auto& [one, result] : read) {
            CHECK(result->rc() == errc::success);
            CHECK(result->flags() == 9);
            CHECK(result->cas() == stored.at(one)->cas());
        }
        CHECK_THROWS_AS(read.at("another key"), std::out_of_range);
    });
}

TEST_CASE("Itertypes.itertypes, bad_elements, iterclass") {
    // What is no collection of keys, or of keys and values, does not compile: None, a number, a text of one key.
    static_assert(Keys<std::vector<std::string>> && Keys<std::set<std::string_view>> && Keys<Keyring>);
    static_assert(!Keys<int> && !Keys<std::string> && !Keys<std::vector<int>> && !Keys<std::nullptr_t>);
    static_assert(Stored<std::map<std::string, std::string>> && !Stored<std::vector<std::string>>);
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const auto all = three(run, "iter");
        const std::map<std::string, std::string> values = {{all[0], "a"}, {all[1], "b"}, {all[2], "c"}};
        const auto stored = co_await bucket.upsert_multi(values);
        CHECK(stored.all_ok());
        const auto good = [](const MultiResult<ValueResult>& found) {
            CHECK(found.size() == 3);
            return found.all_ok();
        };
        const std::set<std::string> set(all.begin(), all.end());
        CHECK_AWAIT(good(co_await bucket.get_multi(set)));
        const std::list<std::string_view> list(all.begin(), all.end());
        CHECK_AWAIT(good(co_await bucket.get_multi(list)));
        const std::deque<const char*> deque = {all[0].c_str(), all[1].c_str(), all[2].c_str()};
        CHECK_AWAIT(good(co_await bucket.get_multi(deque)));
        CHECK_AWAIT(good(co_await bucket.get_multi(std::span(all))));
        const auto of_map = std::views::keys(values);  // the seed's dict views
        CHECK_AWAIT(good(co_await bucket.get_multi(of_map)));
        const auto backwards = std::views::reverse(all);
        const auto turned = co_await bucket.get_multi(backwards);
        CHECK(turned[0].key == all[2]);
        const Keyring own{all};
        CHECK_AWAIT(good(co_await bucket.get_multi(own)));

        const std::vector<std::string> empty_one = {all[0], "", all[2]}, none;
        const auto bad = co_await bucket.get_multi(empty_one).as_expected();
        CHECK(code_of(bad) == errc::invalid_argument);
        const auto nothing = co_await bucket.get_multi(none).as_expected();
        CHECK(code_of(nothing) == errc::invalid_argument);
    });
}

// The seed's Items are documents that carry their own options; here they are entries of a multi operation, and what
// came of them is a MultiResult, which is in its turn what the next operation takes.

TEST_CASE("Item.construction, create_and_add, apiwrap, invalid_item, pycbc366") {
    static_assert(std::is_aggregate_v<StoreEntry>);
    StoreEntry item{.key = "k", .value = "v", .cas = 1, .flags = 7};
    item.value = "w";  // writable, as all of it
    item.expiry = 1min;
    CHECK(item.key == "k");
    CHECK(item.value == "w");
    CHECK(item.cas == 1);
    CHECK(item.flags == 7u);
    CHECK(item.expiry->seconds() == 60);
    CHECK_FALSE(item.preserve_expiry);
    // No item, and options that the operation does not have: neither compiles.
    static_assert(!Stored<std::vector<std::nullptr_t>> && !Keys<std::vector<StoreEntry>>);
    static_assert(!Keys<std::vector<ReplicaEntry>> && Keys<std::vector<std::string_view>>);
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const std::string key = run.key("one item");
        const auto stored = co_await bucket.upsert_multi(entries(StoreEntry{.key = key, .value = "v", .flags = 7}));
        CHECK(stored.size() == 1);
        CHECK(stored[0].key == key);
        const auto found = co_await bucket.get(key);
        CHECK(found.flags() == 7);
        CHECK(found.cas() == stored[0].result->cas());
    });
}

TEST_CASE("Item.simple_get, items_ignorecas") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const auto all = three(run, "item");
        std::vector<StoreEntry> items;
        for (const std::string& key : all) items.push_back({.key = key, .value = "v"});
        const auto stored = co_await bucket.upsert_multi(items);
        for (std::size_t i = 0; i < 3; ++i) items[i].cas = stored[i].result->cas();
        const auto found = co_await bucket.get_multi(stored);  // what was given is what is asked for
        for (std::size_t i = 0; i < 3; ++i) {
            CHECK(found[i].key == items[i].key);
            CHECK(found[i].result->cas() == items[i].cas);
        }
        for (StoreEntry& item : items) item.value = "w";
        const auto replaced = co_await bucket.replace_multi(items);
        CHECK(replaced.all_ok());

        const auto stale = co_await bucket.replace_multi(items).as_expected();  // the items' CAS is of before
        CHECK(code_of(stale) == errc::cas_mismatch);
        CHECK(stale.error().all_results<OperationResult>().errors().size() == 3);
        for (StoreEntry& item : items) item.cas = 0;  // the seed's ignore_cas
        const auto ignored = co_await bucket.upsert_multi(items);
        CHECK(ignored.all_ok());
        for (std::size_t i = 0; i < 3; ++i) CHECK(ignored[i].result->cas() != replaced[i].result->cas());

        const auto conflict = co_await bucket.remove_multi(found).as_expected();
        CHECK(code_of(conflict) == errc::cas_mismatch);
        const auto removed = co_await bucket.remove_multi(ignored);
        CHECK(removed.all_ok());
        const auto gone = co_await bucket.get_multi(ignored).as_expected();
        CHECK(code_of(gone) == errc::document_not_found);
    });
}

TEST_CASE("Item.item_format, items_append") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const auto all = three(run, "format");
        const auto stored = co_await bucket.upsert_multi(
            entries(StoreEntry{.key = all[0], .value = "b", .flags = 0x03000002},
                    StoreEntry{.key = all[1], .value = "b", .flags = 0}, StoreEntry{.key = all[2], .value = "b"}),
            {.flags = 0x04000004});
        auto found = co_await bucket.get_multi(all);
        CHECK(found[0].result->flags() == 0x03000002);
        CHECK(found[1].result->flags() == 0);
        CHECK(found[2].result->flags() == 0x04000004);

        const auto appended = co_await bucket.append_multi(
            entries(ConcatEntry{.key = all[0], .value = "c", .cas = stored[0].result->cas()},
                    ConcatEntry{.key = all[1], .value = "c"}));
        const auto prepended = co_await bucket.prepend_multi(
            entries(ConcatEntry{.key = all[0], .value = "a", .cas = appended[0].result->cas()},
                    ConcatEntry{.key = all[1], .value = "a"}));
        CHECK(prepended.all_ok());
        found = co_await bucket.get_multi(all);
        CHECK(found[0].result->value() == "abc");
        CHECK(found[0].result->flags() == 0x03000002);
        CHECK(found[1].result->value() == "abc");
        const auto stale =
            co_await bucket
                .append_multi(entries(ConcatEntry{.key = all[0], .value = "d", .cas = stored[0].result->cas()}))
                .as_expected();
        CHECK(code_of(stale) == errc::cas_mismatch);
    });
}

TEST_CASE("Exceptions.simple_excextra") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const auto all = three(run, "excextra");
        Error error;
        try {
            co_await bucket.get(all[0]);
        } catch (const NotFoundError& thrown) {
            error = thrown.error();
        }
        CHECK(error == errc::document_not_found);
        CHECK(error.context().key == all[0]);
        CHECK(error.message().find("document not found") != std::string::npos);
        CHECK(error.is(ErrorKind::data));
        CHECK_FALSE(error.is(ErrorKind::network));

        // split_results: those that went well, and those that did not, are all of them.
        co_await bucket.upsert(all[1], "v");
        MultiResult<ValueResult> results;
        try {
            co_await bucket.get_multi(all);
        } catch (const NotFoundError& thrown) {
            CHECK(thrown.context().key == all[0]);
            results = thrown.all_results<ValueResult>();
        }
        CHECK(results.size() == 3);
        CHECK(code_of(results.at(all[0])) == errc::document_not_found);
        std::set<std::string_view> split;
        for (const auto& [key, failed] : results.errors()) {
            CHECK(failed == errc::document_not_found);
            split.insert(key);
        }
        CHECK(split == std::set<std::string_view>{all[0], all[2]});
        for (const auto& entry : results) {
            if (entry.success()) split.insert(entry.key);
        }
        CHECK(split.size() == 3);
    });
}
