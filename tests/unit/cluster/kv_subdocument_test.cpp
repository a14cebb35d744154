// Sub-document commands as Couchbase does them (protocol.md 2.3).

#include "kv_fixture.hpp"

#include "cluster/kv/json_edit.hpp"
#include "protocol/snappy.hpp"
#include "protocol/subdocument_requests.hpp"
#include "protocol/subdocument_responses.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
namespace doc_flag = protocol::doc_flag;
namespace path_flag = protocol::path_flag;
using protocol::LookupSpec;
using protocol::MutationSpec;

namespace {

struct SubdocUser : KvUser {
    using KvUser::KvUser;
    KvAnswer look(Opcode opcode, std::string_view path, std::optional<std::uint8_t> flags = std::nullopt) {
        return ask(protocol::SubdocLookupRequest{to("k"), opcode, "k", path, 0, flags});
    }
    KvAnswer change(Opcode opcode, std::string_view path, std::string_view value, std::uint8_t path_flags = 0,
                    std::optional<std::uint8_t> flags = std::nullopt) {
        return ask(protocol::SubdocMutationRequest{to("k"), opcode, "k", path, value, path_flags, flags});
    }
    KvAnswer look(std::vector<LookupSpec> specs, std::optional<std::uint8_t> flags = std::nullopt) {
        return ask(protocol::MultiLookupRequest{to("k"), "k", specs, flags});
    }
    KvAnswer change(std::vector<MutationSpec> specs, std::optional<std::uint8_t> flags = std::nullopt,
                    std::uint64_t cas = 0) {
        return ask(protocol::MultiMutationRequest{to("k", cas), "k", specs, flags});
    }
};

std::vector<std::pair<Status, std::string>> results(const KvAnswer& answer) {
    std::vector<std::pair<Status, std::string>> all;
    protocol::MultiLookupReader reader(answer.frame);
    while (const auto one = reader.next()) all.emplace_back(one->status, one->value);
    CHECK_FALSE(reader.malformed());
    return all;
}

}  // namespace

TEST_CASE("lookups by path", "[kv][subdoc]") {
    const std::string text =
        R"( {"a" : {"b":[1, 2.50 ,{"c":"x,]}\""}], "":"empty"},"d.e":true,"t`k":null,"\u00e4":7} )";
    struct Row {
        Opcode command;
        const char* path;
        Status status;
        const char* value;
    };
    using enum Opcode;
    const Status ok = Status::success;
    const Row rows[] = {
        {subdoc_get, "a.b[0]", ok, "1"},
        {subdoc_get, "a.b[1]", ok, "2.50"},
        {subdoc_get, "a.b[-1]", ok, R"({"c":"x,]}\""})"},
        {subdoc_get, "a.b[-1].c", ok, R"("x,]}\"")"},
        {subdoc_get, "a.b", ok, R"([1, 2.50 ,{"c":"x,]}\""}])"},
        {subdoc_get, "`d.e`", ok, "true"},
        {subdoc_get, "`t``k`", ok, "null"},
        {subdoc_get, "\xc3\xa4", ok, "7"},
        {subdoc_get, "\\u00E4", ok, "7"},
        {subdoc_exists, "a", ok, ""},
        {subdoc_exists, "z", Status::subdoc_path_enoent, ""},
        {subdoc_exists, "a.b[3]", Status::subdoc_path_enoent, ""},
        {subdoc_get, "a.b.c", Status::subdoc_path_mismatch, ""},
        {subdoc_get, "a[0]", Status::subdoc_path_mismatch, ""},
        {subdoc_get, "a.b[0].x", Status::subdoc_path_mismatch, ""},
        {subdoc_get_count, "", ok, "4"},
        {subdoc_get_count, "a.b", ok, "3"},
        {subdoc_get_count, "a.b[0]", Status::subdoc_path_mismatch, ""},
    };
    for (const Row& row : rows) {
        INFO(row.path);
        std::string value;
        CHECK(json_lookup(row.command, text, row.path, value) == row.status);
        CHECK(value == row.value);
    }
    for (const char* bad : {".a", "a.", "a..b", "a.[0]", "a[", "a]", "a[x]", "a[-2]", "a[1]b", "`a", "a`b", "a\"b",
                            "a[]", "a[99999999999999999999999]", "`a`b", "a\n"}) {
        INFO(bad);
        std::string value;
        CHECK(json_lookup(subdoc_get, text, bad, value) == Status::subdoc_path_einval);
    }
    std::string value;
    CHECK(json_lookup(subdoc_get, "5", "a", value) == Status::subdoc_doc_notjson);
}

TEST_CASE("mutations change a place and nothing else", "[kv][subdoc]") {
    struct Row {
        Opcode command;
        const char* text;
        const char* path;
        const char* payload;
        bool parents;
        Status status;
        const char* after;  // or null: as before
        const char* value = "";
    };
    using enum Opcode;
    const Status ok = Status::success;
    const Status none = Status::subdoc_path_enoent;
    const Status mismatch = Status::subdoc_path_mismatch;
    const Status refused = Status::subdoc_value_cantinsert;
    const Row rows[] = {
        {subdoc_dict_add, "{}", "a", "1", false, ok, R"({"a":1})"},
        {subdoc_dict_add, R"({ "x" : 1 })", "a", " [1] ", false, ok, R"({ "x" : 1,"a":[1] })"},
        {subdoc_dict_add, R"({"a":1})", "a", "2", false, Status::subdoc_path_eexists, nullptr},
        {subdoc_dict_add, "{}", "a.b", "2", false, none, nullptr},
        {subdoc_dict_add, "{}", "a.b.c", "2", true, ok, R"({"a":{"b":{"c":2}}})"},
        {subdoc_dict_add, "{}", "a[0]", "2", true, Status::subdoc_path_einval, nullptr},
        {subdoc_dict_add, "{}", "a[0].b", "2", true, none, nullptr},
        {subdoc_dict_add, "[]", "a", "2", true, mismatch, nullptr},
        {subdoc_dict_add, R"({"a":5})", "a.b", "2", true, mismatch, nullptr},
        {subdoc_dict_add, "{}", "a", "nope", false, refused, nullptr},
        {subdoc_dict_add, "{}", "a", "1,2", false, refused, nullptr},
        {subdoc_dict_upsert, R"({"a" : 1 ,"b":2})", "a", "\"z\"", false, ok, R"({"a" : "z" ,"b":2})"},
        {subdoc_dict_upsert, R"({"a":{}})", "a.b", "1", false, ok, R"({"a":{"b":1}})"},
        {subdoc_replace, "{}", "a", "1", false, none, nullptr},
        {subdoc_replace, "[1, 2]", "[1]", "{}", false, ok, "[1, {}]"},
        {subdoc_replace, "[1, 2]", "[-1]", "7", false, ok, "[1, 7]"},
        {subdoc_remove, R"({"a":1, "b":2})", "a", "", false, ok, R"({"b":2})"},
        {subdoc_remove, R"({"a":1 , "b":2 })", "b", "", false, ok, R"({"a":1  })"},
        {subdoc_remove, R"({ "a":1 })", "a", "", false, ok, "{  }"},
        {subdoc_remove, "[1,2,3]", "[1]", "", false, ok, "[1,3]"},
        {subdoc_remove, "[1,2,3]", "[-1]", "", false, ok, "[1,2]"},
        {subdoc_remove, "[1]", "[1]", "", false, none, nullptr},
        {subdoc_array_push_last, "[]", "", "1,2", false, ok, "[1,2]"},
        {subdoc_array_push_last, "[0 ]", "", "1", false, ok, "[0,1 ]"},
        {subdoc_array_push_first, "[ 0]", "", "1", false, ok, "[ 1,0]"},
        {subdoc_array_push_last, "[]", "", "1],[2", false, refused, nullptr},
        {subdoc_array_push_last, "{}", "", "1", false, mismatch, nullptr},
        {subdoc_array_push_last, "{}", "a", "1", false, none, nullptr},
        {subdoc_array_push_last, "{}", "a.b", "1,2", true, ok, R"({"a":{"b":[1,2]}})"},
        {subdoc_array_insert, "[1,3]", "[1]", "2", false, ok, "[1,2,3]"},
        {subdoc_array_insert, "[1,2]", "[2]", "3", false, ok, "[1,2,3]"},
        {subdoc_array_insert, "[1,2]", "[3]", "4", false, none, nullptr},
        {subdoc_array_insert, "[1,2]", "[-1]", "4", false, Status::subdoc_path_einval, nullptr},
        {subdoc_array_insert, R"({"a":1})", "a", "4", false, Status::subdoc_path_einval, nullptr},
        {subdoc_array_insert, R"({"a":{}})", "a[0]", "4", false, mismatch, nullptr},
        {subdoc_array_add_unique, "[1,\"a\"]", "", "2", false, ok, "[1,\"a\",2]"},
        {subdoc_array_add_unique, "[1,\"a\"]", "", "\"a\"", false, Status::subdoc_path_eexists, nullptr},
        {subdoc_array_add_unique, "[1]", "", "[]", false, refused, nullptr},
        {subdoc_array_add_unique, "[[]]", "", "1", false, mismatch, nullptr},
        {subdoc_array_add_unique, "{}", "u", "1", true, ok, R"({"u":[1]})"},
        {subdoc_counter, R"({"n":5})", "n", "-7", false, ok, R"({"n":-2})", "-2"},
        {subdoc_counter, "{}", "n", "3", false, ok, R"({"n":3})", "3"},
        {subdoc_counter, "{}", "a.n", "3", false, none, nullptr},
        {subdoc_counter, "{}", "a.n", "3", true, ok, R"({"a":{"n":3}})", "3"},
        {subdoc_counter, "[7]", "[0]", "3", false, ok, "[10]", "10"},
        {subdoc_counter, R"({"n":1.5})", "n", "1", false, mismatch, nullptr},
        {subdoc_counter, R"({"n":"1"})", "n", "1", false, mismatch, nullptr},
        {subdoc_counter, R"({"n":99999999999999999999})", "n", "1", false, Status::subdoc_num_erange, nullptr},
        {subdoc_counter, R"({"n":9223372036854775807})", "n", "1", false, refused, nullptr},
        {subdoc_counter, R"({"n":1})", "n", "0", false, Status::subdoc_delta_einval, nullptr},
        {subdoc_counter, R"({"n":1})", "n", "1x", false, Status::subdoc_delta_einval, nullptr},
        {subdoc_counter, R"({"n":1})", "n", "9223372036854775808", false, Status::subdoc_delta_einval, nullptr},
    };
    for (const Row& row : rows) {
        INFO(name(row.command) << " " << row.text << " " << row.path << " " << row.payload);
        std::string text = row.text;
        std::string value;
        CHECK(json_mutate(row.command, text, row.path, row.payload, row.parents, value) == row.status);
        CHECK(text == (row.after == nullptr ? row.text : row.after));
        CHECK(value == row.value);
    }
}

TEST_CASE("levels", "[kv][subdoc]") {
    const auto nested = [](std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
    std::string value;
    CHECK(json_lookup(Opcode::subdoc_get, nested(32), "[0]", value) == Status::success);
    CHECK(json_lookup(Opcode::subdoc_get, nested(33), "[0]", value) == Status::subdoc_doc_e2deep);
    std::string path = "a";
    for (int i = 1; i < 32; ++i) path += ".a";
    std::string text = "{}";
    CHECK(json_mutate(Opcode::subdoc_dict_upsert, text, path, "1", true, value) == Status::success);
    CHECK(json_lookup(Opcode::subdoc_get, text, path, value) == Status::success);
    CHECK(json_lookup(Opcode::subdoc_get, text, path + ".a", value) == Status::subdoc_path_e2big);
    text = "{}";
    CHECK(json_mutate(Opcode::subdoc_dict_upsert, text, "a", nested(31), true, value) == Status::success);
    CHECK(json_mutate(Opcode::subdoc_dict_upsert, text, "a", nested(32), true, value) == Status::subdoc_value_etoodeep);
}

TEST_CASE("single paths over the wire", "[kv][subdoc]") {
    KvCluster cluster;
    SubdocUser user(cluster, 0);
    CHECK(user.look(Opcode::subdoc_get, "a").status() == Status::key_enoent);
    CHECK(user.change(Opcode::subdoc_dict_upsert, "a", "1").status() == Status::key_enoent);
    const KvAnswer made = user.change(Opcode::subdoc_dict_upsert, "a", "[1]", 0, doc_flag::mkdoc);
    REQUIRE(made.status() == Status::success);
    CHECK(made.token().seqno == 1);
    const KvAnswer got = user.look(Opcode::subdoc_get, "a");
    CHECK(got.value() == "[1]");
    CHECK(got.frame.cas == made.frame.cas);
    CHECK(got.frame.datatype == protocol::datatype::json);
    CHECK(user.change(Opcode::subdoc_counter, "n", "5").value() == "5");
    CHECK(user.get("k").value() == R"({"a":[1],"n":5})");
    CHECK(user.get("k").frame.datatype == protocol::datatype::json);
    CHECK(user.look(Opcode::subdoc_exists, "x").status() == Status::subdoc_path_enoent);
    CHECK(user.change(Opcode::subdoc_dict_upsert, "a", "1", 0, doc_flag::add).status() == Status::key_eexists);
    // Arrays are made as arrays.
    user.remove("k");
    CHECK(user.change(Opcode::subdoc_array_push_last, "", "1", 0, doc_flag::add).status() == Status::success);
    CHECK(user.get("k").value() == "[1]");
    CHECK(user.set("k", "no json").status() == Status::success);
    CHECK(user.look(Opcode::subdoc_get, "a").status() == Status::subdoc_doc_notjson);
    CHECK(user.change(Opcode::subdoc_dict_upsert, "a", "1").status() == Status::subdoc_doc_notjson);
}

TEST_CASE("several paths over the wire", "[kv][subdoc]") {
    KvCluster cluster;
    SubdocUser user(cluster, 0);
    user.set("k", R"({"a":1,"b":[true]})");

    const KvAnswer found = user.look({{Opcode::subdoc_get, 0, "a"},
                                      {Opcode::subdoc_exists, 0, "b"},
                                      {Opcode::subdoc_get_count, 0, "b"},
                                      {Opcode::get, 0, ""}});
    CHECK(found.status() == Status::success);
    using Results = std::vector<std::pair<Status, std::string>>;
    const Status ok = Status::success;
    CHECK(results(found) == Results{{ok, "1"}, {ok, ""}, {ok, "1"}, {ok, R"({"a":1,"b":[true]})"}});
    const KvAnswer partly = user.look({{Opcode::subdoc_get, 0, "x"}, {Opcode::subdoc_get, 0, "b[0]"}});
    CHECK(partly.status() == Status::subdoc_multi_path_failure);
    CHECK(results(partly) == Results{{Status::subdoc_path_enoent, ""}, {ok, "true"}});

    const KvAnswer changed = user.change({{Opcode::subdoc_dict_upsert, 0, "a", "2"},
                                          {Opcode::subdoc_counter, 0, "n", "4"},
                                          {Opcode::subdoc_remove, 0, "b", ""},
                                          {Opcode::subdoc_counter, 0, "n", "4"}});
    CHECK(changed.status() == ok);
    CHECK(changed.token().seqno == 2);
    protocol::MultiMutationReader reader(changed.frame);
    const auto first = reader.next();
    const auto second = reader.next();
    REQUIRE((first && second));
    CHECK((first->index == 1 && first->value == "4"));
    CHECK((second->index == 3 && second->value == "8"));
    CHECK_FALSE(reader.next());
    CHECK(user.get("k").value() == R"({"a":2,"n":8})");

    // The first that fails is told, and nothing is done.
    const KvAnswer failed = user.change({{Opcode::subdoc_dict_upsert, 0, "a", "3"},
                                         {Opcode::subdoc_replace, 0, "gone", "1"},
                                         {Opcode::subdoc_replace, 0, "too", "1"}});
    CHECK(failed.status() == Status::subdoc_multi_path_failure);
    protocol::MultiMutationReader failure(failed.frame);
    const auto one = failure.next();
    REQUIRE(one);
    CHECK((one->index == 1 && one->status == Status::subdoc_path_enoent));
    CHECK_FALSE(failure.next());
    CHECK(user.get("k").value() == R"({"a":2,"n":8})");

    SECTION("the CAS is honoured") {
        CHECK(user.change({{Opcode::subdoc_dict_upsert, 0, "a", "3"}}, std::nullopt, 99).status() ==
              Status::key_eexists);
        const std::uint64_t cas = user.get("k").frame.cas;
        CHECK(user.change({{Opcode::subdoc_dict_upsert, 0, "a", "3"}}, std::nullopt, cas).status() == ok);
        REQUIRE(user.lock("k").status() == ok);
        CHECK(user.change({{Opcode::subdoc_dict_upsert, 0, "a", "3"}}).status() == Status::locked);
        CHECK(user.look({{Opcode::subdoc_get, 0, "a"}}).frame.cas == protocol::locked_cas);
    }
    SECTION("whole documents") {
        CHECK(user.change({{Opcode::set, 0, "", R"({"new":1})"}}).status() == ok);
        CHECK(user.get("k").value() == R"({"new":1})");
        CHECK(user.change({{Opcode::remove, 0, "", ""}}).status() == ok);
        CHECK(user.get("k").status() == Status::key_enoent);
        CHECK(user.change({{Opcode::set, 0, "", "[5]"}}, doc_flag::mkdoc).status() == ok);
        CHECK(user.get("k").value() == "[5]");
    }
    SECTION("what does not go together") {
        std::vector<LookupSpec> many(17, {Opcode::subdoc_get, 0, "a"});
        CHECK(user.look(many).status() == Status::subdoc_invalid_combo);
        many.pop_back();
        CHECK(user.look(many).status() == ok);
        CHECK(user.look(std::vector<LookupSpec>{}).status() == Status::subdoc_invalid_combo);
        CHECK(user.look({{Opcode::subdoc_dict_add, 0, "a"}}).status() == Status::subdoc_invalid_combo);
        CHECK(user.change({{Opcode::subdoc_get, 0, "a", ""}}).status() == Status::subdoc_invalid_combo);
        CHECK(user.change({{Opcode::subdoc_remove, 0, "a", ""}}, doc_flag::mkdoc).status() == Status::einval);
        CHECK(user.change({{Opcode::subdoc_dict_add, 0, "z", "1"}}, doc_flag::mkdoc | doc_flag::add).status() ==
              Status::einval);
        CHECK(user.look({{Opcode::subdoc_get, 0, std::string_view()}}).status() == Status::einval);
        CHECK(user.look({{Opcode::subdoc_get, 0x40, "a"}}).status() == Status::einval);
        const std::string path(1025, 'a');
        CHECK(user.look({{Opcode::subdoc_get, 0, path}}).status() == Status::einval);
        CHECK(user.look({{Opcode::subdoc_get, path_flag::binary_value, "a"}}).status() ==
              Status::subdoc_xattr_invalid_flag_combo);
    }
}

TEST_CASE("expiry and flags of sub-document mutations", "[kv][subdoc]") {
    KvCluster cluster;
    SubdocUser user(cluster, 0);
    const MutationSpec specs[] = {{Opcode::subdoc_dict_upsert, 0, "a", "1"}};
    const auto expiry = [&] {
        const KvAnswer meta = user.meta("k");
        return protocol::load_be32(meta.frame.extras.data() + 8);
    };
    CHECK(user.ask(protocol::MultiMutationRequest{user.to("k"), "k", specs, doc_flag::mkdoc, 100}).status() ==
          Status::success);
    CHECK(expiry() != 0);
    const protocol::RequestFrameInfo keep[] = {protocol::RequestFrameInfo::preserve_ttl()};
    protocol::RequestContext context = user.to("k");
    context.frame_infos = keep;
    CHECK(user.ask(protocol::MultiMutationRequest{context, "k", specs}).status() == Status::success);
    CHECK(expiry() != 0);
    CHECK(user.ask(protocol::MultiMutationRequest{user.to("k"), "k", specs}).status() == Status::success);
    CHECK(expiry() == 0);
    CHECK(user.ask(protocol::MultiMutationRequest{user.to("k"), "k", specs, std::nullopt, 1, 0xbeef}).status() ==
          Status::success);
    CHECK(protocol::decode_value(user.get("k").frame)->flags == 0xbeef);
    cluster.world.run_for(1s);
    CHECK(user.look(Opcode::subdoc_get, "a").status() == Status::key_enoent);
}

TEST_CASE("compressed documents are changed inflated", "[kv][subdoc]") {
    KvCluster cluster;
    SubdocUser user(cluster, 0);
    const std::string text = R"({"a":")" + std::string(1000, 'x') + R"("})";
    protocol::RequestContext context = user.to("k");
    context.datatype = protocol::datatype::snappy;
    const std::string packed = protocol::snappy_deflate(text);
    REQUIRE(user.ask(protocol::StoreRequest{context, Opcode::set, "k", packed}).status() == Status::success);
    CHECK(user.look(Opcode::subdoc_get, "a").value().size() == 1002);
    CHECK(user.change(Opcode::subdoc_dict_upsert, "b", "2").status() == Status::success);
    CHECK(user.get("k").value() == text.substr(0, text.size() - 1) + R"(,"b":2})");
}

TEST_CASE("durable sub-document mutations answer when they are decided", "[kv][subdoc]") {
    ClusterOptions options;
    options.replication_delay = 5ms;
    KvCluster cluster(2, {.replicas = 1}, options);
    SubdocUser user(cluster, cluster.active("k"));
    REQUIRE(user.set("k", "{}").status() == Status::success);
    const protocol::RequestFrameInfo durable[] = {
        protocol::RequestFrameInfo::durability(protocol::DurabilityLevel::majority)};
    protocol::RequestContext context = user.to("k");
    context.frame_infos = durable;
    const MutationSpec specs[] = {{Opcode::subdoc_counter, 0, "n", "3"}};
    CHECK(user.send(protocol::encoded(protocol::MultiMutationRequest{context, "k", specs})).empty());
    CHECK(user.take().empty());
    cluster.world.run_for(20ms);
    const auto answers = user.take();
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].status() == Status::success);
    protocol::MultiMutationReader reader(answers[0].frame);
    const auto counted = reader.next();
    REQUIRE(counted);
    CHECK(counted->value == "3");
    CHECK(user.get("k").value() == R"({"n":3})");
}

TEST_CASE("sub-document lookups of replicas", "[kv][subdoc]") {
    KvCluster cluster(2, {.replicas = 1});
    SubdocUser active(cluster, cluster.active("k"));
    SubdocUser replica(cluster, cluster.replica("k"));
    REQUIRE(active.set("k", R"({"a":1})").status() == Status::success);
    cluster.world.run_for(1s);
    CHECK(replica.look(Opcode::subdoc_get, "a").status() == Status::not_my_vbucket);
    CHECK(replica.look(Opcode::subdoc_get, "a", doc_flag::replica_read).value() == "1");
    CHECK(active.look(Opcode::subdoc_get, "a", doc_flag::replica_read).status() == Status::not_my_vbucket);
    CHECK(replica.change(Opcode::subdoc_dict_upsert, "a", "1", 0, doc_flag::replica_read).status() == Status::einval);
}
