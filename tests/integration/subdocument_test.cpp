// Sub-document operations against a cluster with 1, 2 and 4 nodes; the cases of the Couchbase Python SDK's subdoc and
// xattr tests (seed-semantics.md H), by Task.

#include <memory>
#include <string>
#include <utility>

#include "cluster_run.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

/// A document on each node, whatever the number of nodes.
template <class F>
void on_documents(const std::string& name, const std::string& value, const F& body) {
    on_clusters([&](ClusterRun& run) -> Task<> {
        for (int i = 0; i < 6; ++i) {
            const std::string key = run.key(name + std::to_string(i));
            co_await run.bucket().upsert(key, value);
            co_await body(run.bucket(), key);
            co_await run.bucket().remove(key, {.quiet = true});
        }
        CHECK(run.bucket().operations() == 0);
    });
}

template <class T>
errc path_code(const Expected<T, Error>& result) {
    return result ? errc::success : result.error().code();
}

}  // namespace

TEST_CASE("cluster: Subdoc.lookup_in") {
    on_documents("lookup_in", R"({"path1":"value1","array":[1,2,{"x":3}],"obj":{"a.b":7}})",
                 [](AsyncBucket& bucket, const std::string& key) -> Task<> {
                     const auto whole = co_await bucket.get(key);
                     const auto one = co_await bucket.lookup_in(key, {sd::get("path1")});
                     CHECK(one.success());
                     CHECK(one.value(0) == R"("value1")");
                     CHECK(one.value("path1") == R"("value1")");
                     CHECK(one.cas() == whole.cas());
                     const auto all = co_await bucket.lookup_in(
                         key, {sd::get("path1"), sd::exists("path1"), sd::get("array[2].x"), sd::get("array[-1]"),
                               sd::count("array"), sd::count(""), sd::get(""), sd::get("obj." + sd::quoted("a.b"))});
                     CHECK(all.all_ok());
                     CHECK(all.exists(1));
                     CHECK(all.value(2) == "3");
                     CHECK(all.value(3) == R"({"x":3})");
                     CHECK(all.value(4) == "3");
                     CHECK(all.value(5) == "3");
                     CHECK(all.value(6) == whole.value());
                     CHECK(all.value(7) == "7");
                     // missing → the path's own error
                     const auto some =
                         co_await bucket.lookup_in(key, {sd::get("nope"), sd::exists("nope"), sd::get("path1")});
                     CHECK_FALSE(some.success());
                     CHECK(some.access_ok());
                     CHECK(path_code(some.get(0)) == errc::path_not_found);
                     CHECK_FALSE(some.exists(1));
                     CHECK(some.value(2) == R"("value1")");
                     // mismatch raised
                     const auto mismatch = co_await bucket.lookup_in(key, {sd::exists("path1[0]"), sd::get("array.x")});
                     CHECK_THROWS_AS(mismatch.exists(0), SubdocPathMismatchError);
                     CHECK_THROWS_AS(mismatch.value("array.x"), SubdocPathMismatchError);
                     // bad syntax
                     const auto bad = co_await bucket.lookup_in(key, {sd::get("bad..path")});
                     CHECK(path_code(bad.get(0)) == errc::path_invalid);
                     // empty path
                     CHECK_AWAIT(code_of(co_await bucket.lookup_in(key, {sd::exists("")}).as_expected()) ==
                                 errc::invalid_argument);
                     // non-JSON doc
                     co_await bucket.upsert(key, "value");
                     const auto text = co_await bucket.lookup_in(key, {sd::exists("path")}).as_expected();
                     CHECK((text ? text->at(0).code : text.error().code()) == errc::document_not_json);
                     // missing doc
                     co_await bucket.remove(key);
                     CHECK_AWAIT(code_of(co_await bucket.lookup_in(key, {sd::get("a")}).as_expected()) ==
                                 errc::document_not_found);
                     const auto quiet = co_await bucket.lookup_in(key, {sd::get("a")}, {.quiet = true});
                     CHECK_FALSE(quiet.access_ok());
                 });
}

TEST_CASE("cluster: Subdoc.mutate_in") {
    on_documents("mutate_in", "{}", [](AsyncBucket& bucket, const std::string& key) -> Task<> {
        const auto at = [&](const char* path) -> Task<std::string> {
            const auto found = co_await bucket.retrieve_in(key, {path});
            co_return std::string(found.value(0));
        };
        const auto fails = [&](MutateSpec spec, MutateInOptions options = {}) -> Task<errc> {
            co_return code_of(co_await bucket.mutate_in(key, spec, options).as_expected());
        };
        const auto first = co_await bucket.mutate_in(key, {sd::upsert("newDict", R"(["hello"])")});
        CHECK(first.cas() != 0);
        CHECK(first.mutation_token());
        CHECK_AWAIT(co_await at("newDict") == R"(["hello"])");
        // create_parents
        CHECK_AWAIT(co_await fails(sd::upsert("deep.path", "1")) == errc::path_not_found);
        co_await bucket.mutate_in(key, {sd::upsert("deep.path", "1", {.create_parents = true})});
        CHECK_AWAIT(co_await at("deep.path") == "1");
        // CAS
        CHECK_AWAIT(co_await fails(sd::upsert("newDict", "0"), {.cas = first.cas()}) == errc::cas_mismatch);
        const auto now = co_await bucket.get(key);
        co_await bucket.mutate_in(key, {sd::upsert("newDict", "0")}, {.cas = now.cas()});
        // insert, replace, remove
        CHECK_AWAIT(co_await fails(sd::insert("newDict", "1")) == errc::path_exists);
        CHECK_AWAIT(co_await fails(sd::replace("noPath", "1")) == errc::path_not_found);
        CHECK_AWAIT(co_await fails(sd::remove("noPath")) == errc::path_not_found);
        co_await bucket.mutate_in(key, {sd::replace("newDict", R"("new")"), sd::insert("ins", "null"),
                                        sd::upsert("empty", R"("")"), sd::remove("deep.path")});
        CHECK_AWAIT(co_await at("newDict") == R"("new")");
        CHECK_AWAIT(co_await at("ins") == "null");
        CHECK_AWAIT(co_await at("empty") == R"("")");
        CHECK_AWAIT(co_await at("deep") == "{}");
        // mismatch, invalid
        CHECK_AWAIT(co_await fails(sd::upsert("newDict.x", "1")) == errc::path_mismatch);
        CHECK_AWAIT(co_await fails(sd::upsert("bad..path", "1")) == errc::path_invalid);
        CHECK_AWAIT(co_await fails(sd::upsert("v", "{not json")) == errc::value_invalid);
        // arrays
        co_await bucket.mutate_in(key, {sd::upsert("array", "[]")});
        co_await bucket.mutate_in(key, {sd::array_append("array", "1,2"), sd::array_prepend("array", "0"),
                                        sd::array_insert("array[1]", R"("i")"), sd::array_add_unique("array", "3")});
        CHECK_AWAIT(co_await at("array") == R"([0,"i",1,2,3])");
        CHECK_AWAIT(co_await fails(sd::array_add_unique("array", "3")) == errc::path_exists);
        CHECK_AWAIT(co_await fails(sd::array_insert("array[9]", "1")) == errc::path_not_found);
        // all or nothing, and which
        const auto before = co_await bucket.get(key);
        const auto failed =
            co_await bucket.mutate_in(key, {sd::upsert("one", "1"), sd::upsert("two", "2"), sd::replace("nope", "3")})
                .as_expected();
        REQUIRE_FALSE(failed);
        CHECK(failed.error() == errc::path_not_found);
        CHECK(failed.error().context().spec == 2u);
        CHECK(failed.error().context().path == "nope");
        CHECK_FALSE(failed.error().may_have_happened());
        CHECK_AWAIT((co_await bucket.get(key)).cas() == before.cas());
        // the whole document
        co_await bucket.mutate_in(key, {sd::replace("", "[1]")});
        CHECK_AWAIT((co_await bucket.get(key)).value() == "[1]");
        co_await bucket.mutate_in(key, {sd::remove("")});
        CHECK_AWAIT(code_of(co_await bucket.get(key).as_expected()) == errc::document_not_found);
        CHECK_AWAIT(co_await fails(sd::upsert("a", "1")) == errc::document_not_found);
    });
}

TEST_CASE("cluster: Subdoc.counter_in") {
    on_documents("counter_in", "{}", [](AsyncBucket& bucket, const std::string& key) -> Task<> {
        const auto created = co_await bucket.mutate_in(key, {sd::counter("counter", 100)});
        CHECK(created.success());
        CHECK(created.cas() != 0);
        CHECK(created.value(0) == "100");
        const auto changed = co_await bucket.mutate_in(key, {sd::upsert("other", "1"), sd::counter("counter", -25)});
        CHECK(changed.value("counter") == "75");
        CHECK(changed.value("other").empty());
        const auto fails = [&](MutateSpec spec) -> Task<errc> {
            co_return code_of(co_await bucket.mutate_in(key, spec).as_expected());
        };
        co_await bucket.mutate_in(key, {sd::upsert("text", R"("t")"), sd::upsert("big", "9223372036854775807")});
        CHECK_AWAIT(co_await fails(sd::counter("text", 1)) == errc::path_mismatch);
        CHECK_AWAIT(co_await fails(sd::counter("big", 1)) == errc::value_invalid);
        CHECK_AWAIT(co_await fails(sd::counter("counter", 0)) == errc::invalid_argument);
        CHECK_AWAIT(co_await fails(sd::counter("deep.counter", 1)) == errc::path_not_found);
        const auto deep = co_await bucket.mutate_in(key, {sd::counter("deep.counter", 5, {.create_parents = true})});
        CHECK(deep.value(0) == "5");
    });
}

TEST_CASE("cluster: Subdoc.multi_lookup, result_iter, access_ok, get_count") {
    on_documents("multi_lookup", R"({"field1":"value1","field2":2,"array":[1,2,3]})",
                 [](AsyncBucket& bucket, const std::string& key) -> Task<> {
                     const auto found = co_await bucket.lookup_in(
                         key, {sd::get("field1"), sd::exists("field2"), sd::exists("not-exist"), sd::get("field2")},
                         {.quiet = true});
                     CHECK(found.access_ok());
                     CHECK_FALSE(found.all_ok());
                     std::string seen;
                     for (const SubdocEntry& entry : found) {
                         seen +=
                             std::string(entry.path) + (entry.success() ? "=" : "!") + std::string(entry.value) + " ";
                     }
                     CHECK(seen == R"(field1="value1" field2= not-exist! field2=2 )");
                     CHECK(found.find("field2") == &found[1]);
                     const auto counts = co_await bucket.lookup_in(
                         key, {sd::count("array"), sd::count(""), sd::count("field1"), sd::count("none")});
                     CHECK(counts.value(0) == "3");
                     CHECK(counts.value(1) == "3");
                     CHECK(path_code(counts.get(2)) == errc::path_mismatch);
                     CHECK(path_code(counts.get(3)) == errc::path_not_found);
                     const auto retrieved = co_await bucket.retrieve_in(key, {"field1", "array[1]"});
                     CHECK(retrieved.value(1) == "2");
                 });
}

TEST_CASE("cluster: Subdoc.multi_value") {
    on_documents("multi_value", R"({"array":[]})", [](AsyncBucket& bucket, const std::string& key) -> Task<> {
        co_await bucket.mutate_in(key, {sd::array_append("array", "true")});
        co_await bucket.mutate_in(key, {sd::array_append("array", R"(1,2,"three")")});
        co_await bucket.mutate_in(key, {sd::array_prepend("array", "[42]")});
        const auto found = co_await bucket.retrieve_in(key, {"array"});
        CHECK(found.value(0) == R"([[42],true,1,2,"three"])");
    });
}

TEST_CASE("cluster: Subdoc.create_doc") {
    on_documents("create_doc", "{}", [](AsyncBucket& bucket, const std::string& key) -> Task<> {
        co_await bucket.remove(key);
        const auto spec = sd::upsert("new.path", R"("newval")", {.create_parents = true});
        CHECK_AWAIT(code_of(co_await bucket.mutate_in(key, spec).as_expected()) == errc::document_not_found);
        co_await bucket.mutate_in(key, spec, {.store = StoreSemantics::upsert});
        CHECK_AWAIT((co_await bucket.get(key)).value() == R"({"new":{"path":"newval"}})");
        co_await bucket.mutate_in(key, {sd::upsert("other", "1")}, {.store = StoreSemantics::upsert});
        CHECK_AWAIT((co_await bucket.retrieve_in(key, {"new.path"})).value(0) == R"("newval")");
        CHECK_AWAIT(code_of(co_await bucket.mutate_in(key, spec, {.store = StoreSemantics::insert}).as_expected()) ==
                    errc::document_exists);
        co_await bucket.remove(key);
        co_await bucket.mutate_in(key, {sd::array_append("", "1")}, {.store = StoreSemantics::insert});
        CHECK_AWAIT((co_await bucket.get(key)).value() == "[1]");
    });
}

TEST_CASE("cluster: Xattr.basic") {
    on_documents("xattr", R"({"a":1})", [](AsyncBucket& bucket, const std::string& key) -> Task<> {
        const auto changed = co_await bucket.mutate_in(
            key, {sd::upsert("b", "2"), sd::upsert("my.attr", R"("value")", {.create_parents = true, .xattr = true}),
                  sd::upsert("my.cas", sd::mutation_cas, {.xattr = true, .expand_macros = true})});
        CHECK_AWAIT((co_await bucket.get(key)).value() == R"({"a":1,"b":2})");
        const auto found = co_await bucket.lookup_in(
            key, {sd::exists("my.attr"), sd::get("a"), sd::get("my.attr", {.xattr = true}),
                  sd::get("my.cas", {.xattr = true}), sd::get("$document.CAS", {.xattr = true}), sd::get("b")});
        CHECK_FALSE(found.exists(0));
        CHECK(found.value(1) == "1");
        CHECK(found.value(2) == R"("value")");
        CHECK(found.value(5) == "2");
        // The macro's bytes are reversed (protocol.md 2.3), the virtual attribute's are not.
        char reversed[24];
        char plain[24];
        std::snprintf(reversed, sizeof(reversed), "\"0x%016llx\"",
                      static_cast<unsigned long long>(__builtin_bswap64(changed.cas())));
        std::snprintf(plain, sizeof(plain), "\"0x%016llx\"", static_cast<unsigned long long>(changed.cas()));
        CHECK(found.value(3) == reversed);
        CHECK(found.value(4) == plain);
        CHECK(found.cas() == changed.cas());
        CHECK_AWAIT(code_of(co_await bucket.mutate_in(key, {sd::upsert("$document.CAS", "1", {.xattr = true})})
                                .as_expected()) == errc::xattr_cannot_modify_virtual_attribute);
        CHECK_AWAIT(
            code_of(co_await bucket
                        .mutate_in(key, {sd::upsert("x", R"("${nothing}")", {.xattr = true, .expand_macros = true})})
                        .as_expected()) == errc::xattr_unknown_macro);
        co_await bucket.mutate_in(key, {sd::remove("my.attr", {.xattr = true})});
        const auto left = co_await bucket.lookup_in(
            key, {sd::exists("my.attr", {.xattr = true}), sd::exists("my.cas", {.xattr = true})});
        CHECK_FALSE(left.exists(0));
        CHECK(left.exists(1));
    });
}

TEST_CASE("cluster: attributes of deleted documents") {
    on_documents("tombstone", "{}", [](AsyncBucket& bucket, const std::string& key) -> Task<> {
        co_await bucket.remove(key);
        const auto spec = sd::upsert("txn.id", "7", {.create_parents = true, .xattr = true});
        const auto created = co_await bucket.mutate_in(
            key, spec, {.store = StoreSemantics::upsert, .access_deleted = true, .create_as_deleted = true});
        CHECK(created.is_deleted());
        CHECK_AWAIT(code_of(co_await bucket.get(key).as_expected()) == errc::document_not_found);
        CHECK_AWAIT(code_of(co_await bucket.lookup_in(key, {sd::get("txn.id", {.xattr = true})}).as_expected()) ==
                    errc::document_not_found);
        const auto found = co_await bucket.lookup_in(
            key, {sd::get("txn.id", {.xattr = true}), sd::exists("nope", {.xattr = true})}, {.access_deleted = true});
        CHECK(found.is_deleted());
        CHECK(found.value(0) == "7");
        CHECK_FALSE(found.exists(1));
        const auto revived =
            co_await bucket.mutate_in(key, {sd::upsert("txn.id", "8", {.xattr = true}), sd::replace("", R"({"r":1})")},
                                      {.access_deleted = true, .revive_document = true});
        CHECK_FALSE(revived.is_deleted());
        CHECK_AWAIT((co_await bucket.get(key)).value() == R"({"r":1})");
    });
}

TEST_CASE("cluster: mutate_in sets the expiry, or keeps it") {
    on_documents("expiry", "{}", [](AsyncBucket& bucket, const std::string& key) -> Task<> {
        const auto expires = [&]() -> Task<bool> {
            const auto found = co_await bucket.lookup_in(key, {sd::get("$document.exptime", {.xattr = true})});
            co_return found.value(0) != "0";
        };
        co_await bucket.mutate_in(key, {sd::upsert("a", "1")}, {.expiry = 1h});
        CHECK_AWAIT(co_await expires());
        co_await bucket.mutate_in(key, {sd::upsert("a", "2")}, {.preserve_expiry = true});
        CHECK_AWAIT(co_await expires());
        co_await bucket.mutate_in(key, {sd::upsert("a", "3")});
        CHECK_AWAIT(!co_await expires());
    });
}

TEST_CASE("cluster: sub-documents by callback") {
    if (skipped_elsewhere("the same, by callback")) return;
    for (const std::size_t nodes : {1u, 2u, 4u}) {
        ClusterRun run({.nodes = nodes, .replicas = 0});
        AsyncBucket& bucket = run.bucket();
        int done = 0;
        for (int i = 0; i < 20; ++i) {
            const std::string key = "callback" + std::to_string(i);
            const auto failed = [](const Error& error) { FAIL(error.message()); };
            bucket.upsert(key, R"({"n":1})").set_callbacks([](const OperationResult&) {}, failed);
            bucket.mutate_in(key, {sd::counter("n", i), sd::upsert("t", R"("x")")})
                .set_callbacks(
                    [&, key, i, failed](const SubdocResult& changed) {
                        CHECK(changed.value("n") == std::to_string(1 + i));
                        bucket.lookup_in(key, {sd::get("t"), sd::get("n"), sd::exists("none")})
                            .set_callbacks(
                                [&, i](SubdocResult found) {
                                    CHECK(found.value(0) == R"("x")");
                                    CHECK(found.value(1) == std::to_string(1 + i));
                                    CHECK_FALSE(found.exists(2));
                                    ++done;
                                },
                                failed);
                    },
                    i == 0 ? std::function<void(const Error&)>([&](const Error& error) {
                        CHECK(error == errc::invalid_argument);  // a delta of 0
                        ++done;
                    })
                           : std::function<void(const Error&)>(failed));
        }
        run([&](ClusterRun& same) -> Task<> {
            for (int waited = 0; done < 20 && waited < 5000; ++waited) co_await same.sleep(1ms);
        });
        CHECK(done == 20);
    }
}
