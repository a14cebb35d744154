// lookup_in and mutate_in: what is sent, and what the answers mean.

#include "protocol/byte_order.hpp"
#include "tests/support/answers_at_once.hpp"
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

namespace {

/// A bucket on one Couchbase node that answers every operation so.
struct SubdocFixture : Fixture {
    explicit SubdocFixture(Answer always = {}, bool quiet = false)
        : Fixture({.username = "me", .password = "secret", .quiet = quiet, .retry_strategy = AnswersAtOnce::instance()},
                  "couchbase://node") {
        nodes.map = ScriptNodes::map_of({"node"}, 1);
        nodes.answer = [always](const ScriptNodes::Seen&) { return always; };
        connected();
    }
    SubdocResult result(AsyncResult<SubdocResult> operation) {
        std::optional<SubdocResult> got;
        operation.set_callbacks([&](SubdocResult r) { got = std::move(r); },
                                [](const Error& error) { FAIL(error.message()); });
        loop.run();
        REQUIRE(got);
        return *got;
    }
    Error error(AsyncResult<SubdocResult> operation) {
        std::optional<Error> got;
        operation.set_callbacks([](SubdocResult) { FAIL("it succeeded"); }, [&](const Error& e) { got = e; });
        loop.run();
        REQUIRE(got);
        return *got;
    }
    const ScriptNodes::Seen& said() {
        REQUIRE_FALSE(nodes.seen.empty());
        return nodes.seen.back();
    }

    ScriptNodes nodes{loop};
};

std::string be(std::uint64_t n, std::size_t bytes) {
    std::string out(bytes, '\0');
    for (std::size_t i = 0; i < bytes; ++i) out[bytes - 1 - i] = static_cast<char>(n >> (8 * i));
    return out;
}
std::string lookup_spec(Opcode opcode, unsigned flags, const std::string& path) {
    return be(static_cast<std::uint8_t>(opcode), 1) + be(flags, 1) + be(path.size(), 2) + path;
}
std::string mutate_spec(Opcode opcode, unsigned flags, const std::string& path, const std::string& value) {
    return be(static_cast<std::uint8_t>(opcode), 1) + be(flags, 1) + be(path.size(), 2) + be(value.size(), 4) + path +
           value;
}
std::string found(const std::string& value) { return be(0, 2) + be(value.size(), 4) + value; }
std::string lacking(Status status) { return be(static_cast<std::uint16_t>(status), 2) + be(0, 4); }
std::string counted(unsigned index, const std::string& value) {
    return be(index, 1) + be(0, 2) + be(value.size(), 4) + value;
}
std::string failed(unsigned index, Status status) { return be(index, 1) + be(static_cast<std::uint16_t>(status), 2); }

}  // namespace

TEST_CASE("lookup_in sends its specs in one request, and the result has them by index and path", "[subdoc]") {
    SubdocFixture f({.cas = 77, .value = found("\"mnunberg\"") + found("") + found("3")});
    const SubdocResult r = f.result(f.bucket->lookup_in("k", {sd::get("name"), sd::exists("a.b"), sd::count("list")}));
    CHECK(f.said().opcode == Opcode::subdoc_multi_lookup);
    CHECK(f.said().key == "k");
    CHECK(f.said().extras.empty());
    CHECK(f.said().value == lookup_spec(Opcode::subdoc_get, 0, "name") + lookup_spec(Opcode::subdoc_exists, 0, "a.b") +
                                lookup_spec(Opcode::subdoc_get_count, 0, "list"));
    CHECK((r.success() && r.all_ok() && r.access_ok()));
    CHECK(r.cas() == 77);
    CHECK_FALSE(r.is_deleted());
    REQUIRE(r.size() == 3);
    CHECK(r.value(0) == "\"mnunberg\"");
    CHECK(r.value("name") == "\"mnunberg\"");
    CHECK((r.exists(1) && r.exists("a.b")));
    CHECK(r.value("list") == "3");
    CHECK(r.get(2).value() == "3");
    CHECK(r[1].path == "a.b");
    CHECK_THROWS_AS(r.value(3), std::out_of_range);
    CHECK_THROWS_AS(r.value("nope"), std::out_of_range);
    CHECK(r.find("nope") == nullptr);
    CHECK(r.pinned_bytes() == 0);
    std::string paths;
    for (const auto& [path, value, code, status] : r) paths += std::string(path) + "=" + std::string(value) + ";";
    CHECK(paths == "name=\"mnunberg\";a.b=;list=3;");
}

TEST_CASE("lookup_in: what is wrong with a path is that path's alone", "[subdoc]") {
    SubdocFixture f({.status = Status::subdoc_multi_path_failure,
                     .cas = 5,
                     .value = found("1") + lacking(Status::subdoc_path_enoent) + lacking(Status::subdoc_path_mismatch) +
                              found("4")});
    const SubdocResult r =
        f.result(f.bucket->lookup_in("k", {sd::get("a"), sd::exists("b"), sd::get("c.d"), sd::get("e")}));
    CHECK_FALSE(r.all_ok());
    CHECK(r.access_ok());
    CHECK(r.rc() == errc::path_not_found);
    CHECK(r.value("a") == "1");
    CHECK(r.value(3) == "4");
    CHECK_FALSE(r.exists("b"));
    CHECK_THROWS_AS(r.value(1), SubdocPathNotFoundError);
    CHECK_THROWS_AS(r.value("c.d"), SubdocPathMismatchError);
    CHECK_THROWS_AS(r.exists(2), SubdocPathMismatchError);
    const auto got = r.get("c.d");
    REQUIRE_FALSE(got);
    CHECK(got.error().code() == errc::path_mismatch);
    CHECK(got.error().context().path == "c.d");
    CHECK(got.error().context().spec == 2u);
    CHECK_THAT(got.error().message(), Catch::Contains("c.d"));
    CHECK(r[2].status == 0xc1);
}

TEST_CASE("specs on extended attributes go first, results have the caller's order", "[subdoc]") {
    SubdocFixture f(
        {.status = Status::subdoc_multi_path_failure,
         .value = found("\"x1\"") + lacking(Status::subdoc_path_enoent) + found("\"b0\"") + found("\"b2\"")});
    const SubdocResult r = f.result(f.bucket->lookup_in(
        "k", {sd::get("b0"), sd::get("x1", {.xattr = true}), sd::get("b2"), sd::get("$document.x3", {.xattr = true})},
        {.access_deleted = true}));
    CHECK(f.said().extras == "\x04");
    CHECK(f.said().value == lookup_spec(Opcode::subdoc_get, 4, "x1") +
                                lookup_spec(Opcode::subdoc_get, 4, "$document.x3") +
                                lookup_spec(Opcode::subdoc_get, 0, "b0") + lookup_spec(Opcode::subdoc_get, 0, "b2"));
    CHECK(r[0].path == "b0");
    CHECK(r.value(0) == "\"b0\"");
    CHECK(r.value(1) == "\"x1\"");
    CHECK(r.value("b2") == "\"b2\"");
    CHECK_FALSE(r.exists(3));
    CHECK(r.rc() == errc::path_not_found);
}

TEST_CASE("lookup_in of a deleted document, and of an attribute without access", "[subdoc]") {
    {
        SubdocFixture f({.status = Status::subdoc_success_deleted, .value = found("1")});
        const auto r = f.result(f.bucket->lookup_in("k", sd::get("x", {.xattr = true}), {.access_deleted = true}));
        CHECK((r.is_deleted() && r.all_ok()));
    }
    SubdocFixture f({.status = Status::subdoc_multi_path_failure_deleted, .value = lacking(Status::eaccess)});
    const auto r = f.result(f.bucket->lookup_in("k", sd::get("_sync", {.xattr = true}), {.access_deleted = true}));
    CHECK(r.is_deleted());
    CHECK(r[0].code == errc::xattr_no_access);
}

TEST_CASE("whole documents: an empty path", "[subdoc]") {
    SubdocFixture f({.value = found("{}") + found("0")});
    CHECK(f.result(f.bucket->lookup_in("k", {sd::get(""), sd::count("")})).value(0) == "{}");
    CHECK(f.said().value == lookup_spec(Opcode::get, 0, "") + lookup_spec(Opcode::subdoc_get_count, 0, ""));
    f.nodes.answer = [](const auto&) { return Answer{}; };
    static_cast<void>(f.result(f.bucket->mutate_in("k", {sd::replace("", "[]")})));
    CHECK(f.said().value == mutate_spec(Opcode::set, 0, "", "[]"));
    static_cast<void>(f.result(f.bucket->mutate_in("k", {sd::remove("")})));
    CHECK(f.said().value == mutate_spec(Opcode::remove, 0, "", ""));
    static_cast<void>(f.result(f.bucket->mutate_in("k", {sd::array_append("", "1,2")})));
    CHECK(f.said().value == mutate_spec(Opcode::subdoc_array_push_last, 0, "", "1,2"));
}

TEST_CASE("short values are copied, long ones share the buffer that they came in", "[subdoc]") {
    SubdocResult kept;
    const std::string large(10'000, 'x');
    {
        SubdocFixture f({.value = found("\"" + large + "\"") + found("1")});
        SubdocResult r = f.result(f.bucket->lookup_in("k", {sd::get("large"), sd::get("small")}));
        CHECK(r.pinned_bytes() > 0);
        kept = r;
        const SubdocResult moved = std::move(r);
        CHECK(moved.value("small") == "1");
        CHECK((r.size() == 0 && r.begin() == r.end()));  // NOLINT: what is left of it may be asked
    }
    CHECK(kept.value("large") == "\"" + large + "\"");
    CHECK(kept.value("small") == "1");
}

TEST_CASE("mutate_in sends every command with its flags", "[subdoc]") {
    SubdocFixture f({.cas = 9, .extras = be(0xabc, 8) + be(7, 8), .value = counted(8, "-5")});
    const SubdocResult r = f.result(f.bucket->mutate_in(
        "k", {sd::upsert("a", "1", {.create_parents = true}), sd::insert("b", "2"), sd::replace("c", "3"),
              sd::remove("d"), sd::array_append("e", "5,6"), sd::array_prepend("f", "7", {.create_parents = true}),
              sd::array_insert("g[0]", "8"), sd::array_add_unique("h", "9"), sd::counter("i", -5)}));
    CHECK(f.said().opcode == Opcode::subdoc_multi_mutation);
    CHECK(f.said().extras.empty());
    CHECK(f.said().value ==
          mutate_spec(Opcode::subdoc_dict_upsert, 1, "a", "1") + mutate_spec(Opcode::subdoc_dict_add, 0, "b", "2") +
              mutate_spec(Opcode::subdoc_replace, 0, "c", "3") + mutate_spec(Opcode::subdoc_remove, 0, "d", "") +
              mutate_spec(Opcode::subdoc_array_push_last, 0, "e", "5,6") +
              mutate_spec(Opcode::subdoc_array_push_first, 1, "f", "7") +
              mutate_spec(Opcode::subdoc_array_insert, 0, "g[0]", "8") +
              mutate_spec(Opcode::subdoc_array_add_unique, 0, "h", "9") +
              mutate_spec(Opcode::subdoc_counter, 0, "i", "-5"));
    CHECK(r.cas() == 9);
    REQUIRE(r.mutation_token());
    CHECK(r.mutation_token()->vbucket_uuid == 0xabc);
    CHECK(r.mutation_token()->seqno == 7);
    CHECK(r.size() == 9);
    CHECK(r.value("i") == "-5");
    CHECK(r.value("a").empty());
}

TEST_CASE("mutate_in: options as they are sent", "[subdoc]") {
    SubdocFixture f;
    const auto extras = [&](MutateInOptions options) {
        static_cast<void>(f.result(f.bucket->mutate_in("k", sd::upsert("a", "1", {.xattr = true}), options)));
        return f.said().extras;
    };
    CHECK(extras({}).empty());
    CHECK(extras({.store = StoreSemantics::upsert}) == be(1, 1));
    CHECK(extras({.store = StoreSemantics::insert}) == be(2, 1));
    CHECK(extras({.access_deleted = true}) == be(4, 1));
    CHECK(extras({.store = StoreSemantics::upsert, .access_deleted = true, .create_as_deleted = true}) == be(0xd, 1));
    CHECK(extras({.access_deleted = true, .revive_document = true}) == be(0x14, 1));
    CHECK(extras({.expiry = 60s}) == be(60, 4));
    CHECK(extras({.expiry = 60s, .store = StoreSemantics::insert}) == be(60, 4) + be(2, 1));
    CHECK(extras({.flags = 0x2000006}) == be(0, 4) + be(0x2000006, 4));
    CHECK(extras({.expiry = 60s, .store = StoreSemantics::upsert, .flags = 6}) == be(60, 4) + be(6, 4) + be(1, 1));
    static_cast<void>(f.result(f.bucket->mutate_in("k", sd::upsert("a", "1"), {.cas = 99})));
    CHECK(f.said().cas == 99);
    static_cast<void>(f.result(f.bucket->mutate_in(
        "k", {sd::upsert("b", "1"), sd::upsert("x.cas", sd::mutation_cas, {.xattr = true, .expand_macros = true})})));
    CHECK(f.said().value == mutate_spec(Opcode::subdoc_dict_upsert, 0x14, "x.cas", R"("${Mutation.CAS}")") +
                                mutate_spec(Opcode::subdoc_dict_upsert, 0, "b", "1"));
}

TEST_CASE("mutate_in: preserve_expiry is a frame info", "[subdoc]") {
    SubdocFixture f;
    static_cast<void>(
        f.result(f.bucket->mutate_in("k", sd::upsert("a", "1"), {.expiry = 60s, .preserve_expiry = true})));
    CHECK(f.said().extras == be(60, 4));
    CHECK(f.said().key == "k");
    // Magic 0x08, framing extras of one byte; the key with its collection, two: id 5, no data.
    const std::string& sent = f.link().received;
    const auto at = sent.rfind(be(0x08, 1) + be(0xd1, 1) + be(1, 1) + be(2, 1) + be(4, 1));
    REQUIRE(at != std::string::npos);
    CHECK(static_cast<std::uint8_t>(sent.at(at + 24)) == 0x50);
}

TEST_CASE("mutate_in that fails says at which spec, in the caller's order", "[subdoc]") {
    // Sent: x1, b0, b2.
    SubdocFixture f({.status = Status::subdoc_multi_path_failure, .value = failed(2, Status::subdoc_path_eexists)});
    const Error error = f.error(f.bucket->mutate_in(
        "k", {sd::upsert("b0", "1"), sd::upsert("x1", "1", {.xattr = true}), sd::insert("b2", "1")}));
    CHECK(error.code() == errc::path_exists);
    CHECK(error.context().spec == 2u);
    CHECK(error.context().path == "b2");
    CHECK(error.context().operation == "mutate_in");
    CHECK(error.context().key == "k");
    CHECK(error.context().status == 0xc9);
    CHECK_FALSE(error.may_have_happened());
    CHECK_THAT(error.message(), Catch::Contains("spec 2, \"b2\""));
    f.nodes.answer = [](const auto&) {
        return Answer{.status = Status::subdoc_multi_path_failure, .value = failed(1, Status::subdoc_path_mismatch)};
    };
    const Error other = f.error(f.bucket->mutate_in(
        "k", {sd::upsert("b0", "1"), sd::upsert("x1", "1", {.xattr = true}), sd::insert("b2", "1")}));
    CHECK(other.code() == errc::path_mismatch);
    CHECK(other.context().spec == 0u);
    CHECK_THROWS_AS(throw_error(other), SubdocPathMismatchError);
}

TEST_CASE("what a sub-document operation may meet", "[subdoc]") {
    const auto lookup_fails = [](Status status, errc code) {
        SubdocFixture f({.status = status});
        const Error error = f.error(f.bucket->lookup_in("k", sd::get("a")));
        CHECK(error.code() == code);
        CHECK(error.context().operation == "lookup_in");
    };
    lookup_fails(Status::key_enoent, errc::document_not_found);
    lookup_fails(Status::subdoc_doc_notjson, errc::document_not_json);
    lookup_fails(Status::subdoc_invalid_combo, errc::invalid_argument);
    lookup_fails(Status::etmpfail, errc::temporary_failure);
    const auto mutate_fails = [](Status status, errc code, MutateInOptions options = {}) {
        SubdocFixture f({.status = status});
        CHECK(f.error(f.bucket->mutate_in("k", sd::upsert("a", "1"), options)).code() == code);
    };
    mutate_fails(Status::key_enoent, errc::document_not_found);
    mutate_fails(Status::key_eexists, errc::cas_mismatch, {.cas = 5});
    mutate_fails(Status::key_eexists, errc::document_exists, {.store = StoreSemantics::insert});
    mutate_fails(Status::key_eexists, errc::document_exists, {.expiry = 9s, .store = StoreSemantics::insert});
    mutate_fails(Status::key_eexists, errc::cas_mismatch, {.expiry = 9s, .preserve_expiry = true});
    mutate_fails(Status::locked, errc::document_locked);
    // Answers that are none.
    for (const std::string& value :
         {std::string(), found("1") + found("2"), found("1").substr(0, 6), std::string("\0\0\xff\xff\xff\xff", 6)}) {
        SubdocFixture f({.value = value});
        CHECK(f.error(f.bucket->lookup_in("k", sd::get("a"))).code() == errc::protocol_error);
    }
    for (const auto& answer :
         {Answer{.value = counted(1, "7")}, Answer{.value = "x"},
          Answer{.value = failed(0, Status::subdoc_path_enoent)}, Answer{.status = Status::subdoc_multi_path_failure},
          Answer{.status = Status::subdoc_multi_path_failure, .value = failed(1, Status::subdoc_path_enoent)},
          Answer{.status = Status::subdoc_multi_path_failure, .value = counted(0, "")}}) {
        SubdocFixture f(answer);
        CHECK(f.error(f.bucket->mutate_in("k", sd::counter("a", 1))).code() == errc::protocol_error);
    }
}

TEST_CASE("quiet lookup_in: a missing document is a result", "[subdoc]") {
    SubdocFixture f({.status = Status::key_enoent}, true);
    const SubdocResult r = f.result(f.bucket->lookup_in("k", {sd::get("a"), sd::exists("b")}));
    CHECK(r.rc() == errc::document_not_found);
    CHECK_FALSE(r.access_ok());
    CHECK_FALSE(r.all_ok());
    CHECK(r.empty());
    CHECK_THROWS_AS(r.value(0), std::out_of_range);
    CHECK(f.error(f.bucket->lookup_in("k", sd::get("a"), {.quiet = false})).code() == errc::document_not_found);
    CHECK(f.error(f.bucket->mutate_in("k", sd::upsert("a", "1"))).code() == errc::document_not_found);
}

TEST_CASE("what cannot be sent is refused, with the spec's index", "[subdoc]") {
    SubdocFixture f;
    const auto refused = [&](AsyncResult<SubdocResult> operation, const std::string& why) {
        const Error error = f.error(std::move(operation));
        CHECK(error.code() == errc::invalid_argument);
        CHECK(error.context().key == "k");
        CHECK_THAT(error.message(), Catch::Contains(why));
    };
    AsyncBucket& b = *f.bucket;
    const std::string long_path(1025, 'p');
    refused(b.lookup_in("k", {}), "no specs");
    refused(b.mutate_in("k", {}), "no specs");
    refused(b.lookup_in("k", std::vector<LookupSpec>(17, sd::get("a"))), "17 specs, the limit is 16");
    refused(b.mutate_in("k", std::vector<MutateSpec>(100, sd::remove("a"))), "100 specs, the limit is 16");
    refused(b.lookup_in("k", {sd::get("a"), sd::get(long_path)}), "spec 1: the path has 1025 bytes, the limit is 1024");
    refused(b.lookup_in("k", sd::exists("")), "spec 0: \"\": the path is empty");
    refused(b.lookup_in("k", sd::get("", {.xattr = true})), "the path is empty");
    refused(b.mutate_in("k", {sd::upsert("a", "1"), sd::upsert("", "1")}), "spec 1: \"\": the path is empty");
    refused(b.mutate_in("k", sd::insert("", "1")), "the path is empty");
    refused(b.mutate_in("k", sd::counter("", 1)), "the path is empty");
    refused(b.mutate_in("k", sd::array_insert("", "1")), "the path is empty");
    refused(b.mutate_in("k", sd::remove("", {.xattr = true})), "the path is empty");
    refused(b.mutate_in("k", sd::upsert("a", "")), "spec 0: \"a\": there is no value");
    refused(b.mutate_in("k", sd::array_append("a", "")), "there is no value");
    refused(b.mutate_in("k", sd::counter("a", 0)), "the delta is 0");
    refused(b.mutate_in("k", sd::upsert("a", sd::mutation_cas, {.expand_macros = true})), "extended attributes");
    refused(b.mutate_in("k", sd::upsert("a", "1"), {.cas = 1, .store = StoreSemantics::insert}), "CAS");
    refused(b.mutate_in("k", {sd::upsert("a", "1"), sd::remove("b")}, {.store = StoreSemantics::upsert}), "spec 1");
    refused(b.mutate_in("k", sd::replace("a", "1"), {.store = StoreSemantics::upsert}), "spec 0");
    refused(b.mutate_in("k", sd::upsert("a", "1"), {.store = StoreSemantics::upsert, .create_as_deleted = true}),
            "extended attributes only");
    refused(b.mutate_in("k", sd::upsert("a", "1", {.xattr = true}), {.create_as_deleted = true}), "create_as_deleted");
    refused(b.mutate_in("k", sd::upsert("a", "1"), {.revive_document = true}), "access_deleted");
    refused(b.mutate_in("k", sd::upsert("a", "1"), {.expiry = -1s}), "expiry");
    CHECK(f.error(b.mutate_in("k", sd::upsert("a", std::string((20u << 20) + 1, '1')))).code() ==
          errc::value_too_large);
    CHECK(f.error(b.lookup_in("", sd::get("a"))).code() == errc::invalid_argument);
    CHECK(f.nodes.seen.empty());
    // The most that may be sent.
    f.nodes.answer = [](const auto&) {
        std::string all;
        for (int i = 0; i < 16; ++i) all += found(std::to_string(i));
        return Answer{.value = all};
    };
    std::vector<LookupSpec> most(16, sd::get(std::string_view(long_path).substr(1)));
    const SubdocResult r = f.result(b.lookup_in("k", most));
    CHECK(r.size() == 16);
    CHECK(r.value(15) == "15");
    CHECK(r[7].path.size() == 1024);
}

TEST_CASE("mixing what reads with what writes does not compile", "[subdoc]") {
    STATIC_REQUIRE_FALSE(std::is_constructible_v<LookupSpecs, LookupSpec, MutateSpec>);
    STATIC_REQUIRE_FALSE(std::is_constructible_v<MutateSpecs, LookupSpec>);
    STATIC_REQUIRE_FALSE(std::is_constructible_v<MutateSpecs, std::vector<LookupSpec>>);
    STATIC_REQUIRE(std::is_constructible_v<MutateSpecs, MutateSpec, MutateSpec>);
}

TEST_CASE("retrieve_in is a lookup_in of values", "[subdoc]") {
    SubdocFixture f({.value = found("1") + found("2")});
    const SubdocResult r = f.result(f.bucket->retrieve_in("k", {"a", std::string("b.c")}));
    CHECK(r.value("b.c") == "2");
    CHECK(f.said().value == lookup_spec(Opcode::subdoc_get, 0, "a") + lookup_spec(Opcode::subdoc_get, 0, "b.c"));
}

TEST_CASE("a connection lost: lookup_in is asked once more, mutate_in is not", "[subdoc]") {
    SubdocFixture f({.silent = true});
    Outcome& lookup = f.track(f.bucket->lookup_in("a", {sd::get("x"), sd::get("y", {.xattr = true})}));
    Outcome& mutate = f.track(f.bucket->mutate_in("b", sd::upsert("x", "1")));
    f.loop.run();
    REQUIRE(f.nodes.seen.size() == 2);
    f.nodes.answer = [](const ScriptNodes::Seen&) { return Answer{.cas = 3, .value = found("1") + found("2")}; };
    f.link().close();
    f.loop.advance(1s);
    CHECK(lookup.ok());
    CHECK(lookup.cas == 3);
    CHECK(mutate.failed(errc::connection_lost_after_send));
    CHECK(mutate.error->may_have_happened());
    CHECK(f.nodes.seen.size() == 3);
}

TEST_CASE("sub-document results that nobody waits for, or waits for later", "[subdoc]") {
    SubdocFixture f({.cas = 4, .value = found("\"" + std::string(9000, 'v') + "\"")});
    {
        auto early = f.bucket->lookup_in("k", sd::get("a"));
        f.loop.run();
        std::size_t size = 0;
        early.set_callbacks([&](SubdocResult r) { size = r.value(0).size(); }, [](const Error&) {});
        f.loop.run();
        CHECK(size == 9002);
    }
    {
        auto unheard = f.bucket->lookup_in("k", sd::get("a"));
        f.loop.run();
    }
    static_cast<void>(f.bucket->lookup_in("dropped", sd::get("a")));
    {
        auto cancelled = f.bucket->lookup_in("k", sd::get("a"));
        Outcome& outcome = f.track(std::move(cancelled));
        f.loop.run();
        CHECK(outcome.ok());
    }
    f.nodes.answer = [](const auto&) { return Answer{.silent = true}; };
    auto slow = f.bucket->mutate_in("k", sd::upsert("a", "1"), {.timeout = 50ms});
    Outcome& outcome = f.track(std::move(slow));
    f.loop.advance(60ms);
    CHECK(outcome.failed(errc::timeout_after_send));
    f.nodes.answer = [](const auto&) { return Answer{}; };
    f.loop.run();
    CHECK(f.bucket->operations() == 1);  // its answer may still come
    f.link().close();
    f.loop.advance(1s);
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("plain memcached has no sub-documents, and nothing is sent", "[subdoc]") {
    Fixture f;
    f.connected();
    Outcome& lookup = f.track(f.bucket->lookup_in("k", sd::get("a")));
    Outcome& mutate = f.track(f.bucket->mutate_in("k", sd::upsert("a", "1")));
    Outcome& retrieve = f.track(f.bucket->retrieve_in("k", {"a"}));
    f.loop.run();
    CHECK(lookup.failed(errc::unsupported_operation));
    CHECK(mutate.failed(errc::unsupported_operation));
    CHECK(retrieve.failed(errc::unsupported_operation));
    CHECK(f.server.seen.empty());
}

TEST_CASE("quoted path components", "[subdoc]") {
    CHECK(sd::quoted("plain") == "`plain`");
    CHECK(sd::quoted("a.b[0]") == "`a.b[0]`");
    CHECK(sd::quoted("back`tick") == "`back``tick`");
    CHECK(sd::quoted("say \"hi\"\\") == "`say \\\"hi\\\"\\\\`");
    CHECK(sd::quoted(std::string_view("\n\x1f", 2)) == "`\\u000a\\u001f`");
    CHECK(sd::quoted("\xc3\xa9") == "`\xc3\xa9`");
}
