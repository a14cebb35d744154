// Extended attributes, virtual ones, macros and tombstones (protocol.md 2.3).

#include "kv_fixture.hpp"

#include "cluster/kv/virtual_xattrs.hpp"
#include "protocol/subdocument_requests.hpp"
#include "protocol/subdocument_responses.hpp"
#include "protocol/xattr.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
namespace doc_flag = protocol::doc_flag;
namespace path_flag = protocol::path_flag;
using protocol::MutationSpec;

namespace {

const std::vector<Feature>& with_xattr() {
    static const std::vector<Feature> features = [] {
        std::vector<Feature> all = modern_features();
        all.push_back(Feature::xattr);
        return all;
    }();
    return features;
}

struct XattrUser : KvUser {
    XattrUser(KvCluster& its_cluster, NodeId id) : KvUser(its_cluster, id, with_xattr()) {}
    KvAnswer look(std::string_view path, std::uint8_t doc = 0, std::uint8_t path_flags = path_flag::xattr,
                  Opcode opcode = Opcode::subdoc_get) {
        const std::optional<std::uint8_t> flags = doc == 0 ? std::nullopt : std::optional(doc);
        return ask(protocol::SubdocLookupRequest{to("k"), opcode, "k", path, path_flags, flags});
    }
    KvAnswer put(std::string_view path, std::string_view value, std::uint8_t doc = 0, std::uint8_t more = 0,
                 Opcode opcode = Opcode::subdoc_dict_upsert) {
        const std::optional<std::uint8_t> flags = doc == 0 ? std::nullopt : std::optional(doc);
        const auto path_flags = static_cast<std::uint8_t>(path_flag::xattr | more);
        return ask(protocol::SubdocMutationRequest{to("k"), opcode, "k", path, value, path_flags, flags});
    }
    KvAnswer change(std::vector<MutationSpec> specs, std::optional<std::uint8_t> flags = std::nullopt) {
        return ask(protocol::MultiMutationRequest{to("k"), "k", specs, flags});
    }
};

}  // namespace

TEST_CASE("attributes live beside the document", "[kv][xattr]") {
    KvCluster cluster;
    XattrUser user(cluster, 0);
    REQUIRE(user.set("k", R"({"body":1})").status() == Status::success);
    CHECK(user.look("meta").status() == Status::subdoc_path_enoent);
    CHECK(user.put("meta", R"({"a":1})").status() == Status::success);
    CHECK(user.put("meta.b.c", "2").status() == Status::subdoc_path_enoent);
    CHECK(user.put("meta.b.c", "2", 0, path_flag::mkdir_p).status() == Status::success);
    CHECK(user.put("_sys", "[1]").status() == Status::success);
    CHECK(user.look("meta").value() == R"({"a":1,"b":{"c":2}})");
    CHECK(user.look("meta.b.c").value() == "2");
    CHECK(user.look("$XTOC").value() == R"(["meta","_sys"])");
    CHECK(user.get("k").value() == R"({"body":1})");
    CHECK(user.get("k").frame.datatype == protocol::datatype::json);
    CHECK(user.meta("k").frame.extras.back() == (protocol::datatype::json | protocol::datatype::xattr));

    // What writes the body keeps them.
    CHECK(user.set("k", "text").status() == Status::success);
    CHECK(user.append("k", " and more").status() == Status::success);
    CHECK(user.touch("k", 100).status() == Status::success);
    CHECK(user.get("k").value() == "text and more");
    CHECK(user.look("meta.a").value() == "1");
    CHECK(user.set("k", "10").status() == Status::success);
    CHECK(user.counter("k", 1).status() == Status::success);
    CHECK(user.look("meta.a").value() == "1");
    CHECK(user.put("meta", "", 0, 0, Opcode::subdoc_remove).status() == Status::success);
    CHECK(user.look("$XTOC").value() == R"(["_sys"])");

    SECTION("a deleted document keeps those of the system") {
        CHECK(user.put("mine", "1").status() == Status::success);
        CHECK(user.remove("k").status() == Status::success);
        CHECK(user.look("_sys").status() == Status::key_enoent);
        const KvAnswer kept = user.look("_sys", doc_flag::access_deleted);
        CHECK(kept.status() == Status::subdoc_success_deleted);
        CHECK(kept.value() == "[1]");
        CHECK(user.look("mine", doc_flag::access_deleted).status() == Status::subdoc_path_enoent);
        // And so does one that expires.
        CHECK(user.set("k", "x", 1).status() == Status::success);
        CHECK(user.put("_s", "2").status() == Status::success);
    }
    SECTION("expiry") {
        const MutationSpec specs[] = {{Opcode::subdoc_dict_upsert, path_flag::xattr, "_s", "2"}};
        CHECK(user.ask(protocol::MultiMutationRequest{user.to("k"), "k", specs, std::nullopt, 1}).status() ==
              Status::success);
        cluster.world.run_for(2s);
        CHECK(user.look("_s", doc_flag::access_deleted).value() == "2");
    }
    SECTION("names and order") {
        CHECK(user.put("sixteen_letters_", "1").status() == Status::xattr_einval);
        CHECK(user.put("fifteen_letters", "1").status() == Status::success);
        CHECK(user.put("[0]", "1").status() == Status::xattr_einval);
        CHECK(user.put("$document", "1").status() == Status::subdoc_xattr_cant_modify_vattr);
        CHECK(user.look("$nothing").status() == Status::subdoc_xattr_unknown_vattr);
        CHECK(user.change({{Opcode::subdoc_dict_upsert, 0, "a", "1"},
                           {Opcode::subdoc_dict_upsert, path_flag::xattr, "x", "1"}})
                  .status() == Status::subdoc_invalid_xattr_order);
        KvUser plain(cluster, 0);
        CHECK(plain.ask(protocol::SubdocLookupRequest{plain.to("k"), Opcode::subdoc_get, "k", "x", path_flag::xattr})
                  .status() == Status::not_supported);
    }
    SECTION("bytes as values") {
        const std::string bytes("\0\xff\"", 3);
        CHECK(user.put("bin", bytes, 0, path_flag::binary_value).status() == Status::success);
        CHECK(user.look("bin").value() == R"("cb-content-base64-encoded:AP8i")");
        CHECK(user.look("bin", 0, path_flag::xattr | path_flag::binary_value).value() == bytes);
        CHECK(user.look("_sys", 0, path_flag::xattr | path_flag::binary_value).status() ==
              Status::subdoc_field_not_binary_value);
    }
    SECTION("the body from an attribute") {
        CHECK(user.put("staged", R"({"from":"xattr"})").status() == Status::success);
        CHECK(user.put("staged", "", 0, 0, Opcode::subdoc_replace_body_with_xattr).status() == Status::success);
        CHECK(user.get("k").value() == R"({"from":"xattr"})");
    }
}

TEST_CASE("what a document tells of itself", "[kv][xattr]") {
    CHECK(crc32c("123456789") == 0xe3069283);
    KvCluster cluster;
    XattrUser user(cluster, 0);
    const KvAnswer stored = user.set("k", "123456789", 1000);
    char cas[24];
    std::snprintf(cas, sizeof cas, "\"0x%016llx\"", static_cast<unsigned long long>(stored.frame.cas));
    CHECK(user.look("$document.CAS").value() == cas);
    CHECK(user.look("$document.seqno").value() == "\"0x0000000000000001\"");
    CHECK(user.look("$document.value_bytes").value() == "9");
    CHECK(user.look("$document.value_crc32c").value() == "\"0xe3069283\"");
    CHECK(user.look("$document.datatype").value() == R"(["json"])");
    CHECK(user.look("$document.deleted").value() == "false");
    CHECK(user.look("$document.revid").value() == "\"1\"");
    CHECK(user.look("$document.flags").value() == std::to_string(0xcafe));
    CHECK(user.look("$document.exptime").value() != "0");
    CHECK(user.look("$document.nothing").status() == Status::subdoc_path_enoent);
    CHECK(user.look("$vbucket.HLC.now").status() == Status::success);
}

TEST_CASE("macros", "[kv][xattr]") {
    KvCluster cluster;
    XattrUser user(cluster, 0);
    REQUIRE(user.set("k", "{}").status() == Status::success);
    const auto flags = static_cast<std::uint8_t>(path_flag::xattr | path_flag::expand_macros);
    const KvAnswer changed = user.change({{Opcode::subdoc_dict_upsert, flags, "cas", "\"${Mutation.CAS}\""},
                                          {Opcode::subdoc_dict_upsert, flags, "seq", "\"${Mutation.seqno}\""},
                                          {Opcode::subdoc_dict_upsert, flags, "crc", "\"${Mutation.value_crc32c}\""},
                                          {Opcode::subdoc_dict_upsert, flags, "was", "\"${$document.value_bytes}\""},
                                          {Opcode::subdoc_dict_upsert, 0, "a", "1"}});
    REQUIRE(changed.status() == Status::success);
    char text[24];
    std::snprintf(text, sizeof text, "\"0x%016llx\"",
                  static_cast<unsigned long long>(__builtin_bswap64(changed.frame.cas)));
    CHECK(user.look("cas").value() == text);
    CHECK(user.get("k").frame.cas == changed.frame.cas);
    CHECK(changed.token().seqno == 2);
    CHECK(user.look("seq").value() == "\"0x0000000000000002\"");
    CHECK(user.look("was").value() == "2");
    std::snprintf(text, sizeof text, "\"0x%08x\"", crc32c(R"({"a":1})"));
    CHECK(user.look("crc").value() == text);
    CHECK(user.put("x", "\"${Mutation.nothing}\"", 0, path_flag::expand_macros).status() ==
          Status::subdoc_xattr_unknown_macro);
    CHECK(user.put("x", "\"${$document.nothing}\"", 0, path_flag::expand_macros).status() ==
          Status::subdoc_xattr_unknown_vattr_macro);
    // Without the flag it is text.
    CHECK(user.put("x", "\"${Mutation.CAS}\"").status() == Status::success);
    CHECK(user.look("x").value() == "\"${Mutation.CAS}\"");
}

TEST_CASE("documents that begin as tombstones", "[kv][xattr]") {
    KvCluster cluster;
    XattrUser user(cluster, 0);
    constexpr std::uint8_t made_deleted = doc_flag::add | doc_flag::access_deleted | doc_flag::create_as_deleted;
    const KvAnswer made = user.put("txn", R"({"id":1})", made_deleted);
    CHECK(made.status() == Status::subdoc_success_deleted);
    CHECK(user.put("txn", "{}", made_deleted).status() == Status::key_eexists);
    CHECK(user.get("k").status() == Status::key_enoent);
    const KvAnswer staged = user.look("txn", doc_flag::access_deleted);
    CHECK(staged.status() == Status::subdoc_success_deleted);
    CHECK(staged.value() == R"({"id":1})");
    CHECK(staged.frame.cas == made.frame.cas);
    CHECK(user.look("$document.deleted", doc_flag::access_deleted).value() == "true");
    CHECK(user.put("txn.more", "2", doc_flag::access_deleted).status() == Status::subdoc_success_deleted);
    CHECK(user.change({{Opcode::set, 0, "", "5"}}, doc_flag::access_deleted).status() ==
          Status::subdoc_deleted_document_cant_have_value);
    const KvAnswer failed =
        user.change({{Opcode::subdoc_replace, path_flag::xattr, "none", "5"}}, doc_flag::access_deleted);
    CHECK(failed.status() == Status::subdoc_multi_path_failure_deleted);

    SECTION("and are revived") {
        const KvAnswer revived = user.change(
            {{Opcode::subdoc_remove, path_flag::xattr, "txn", ""}, {Opcode::subdoc_dict_upsert, 0, "a", "1"}},
            doc_flag::access_deleted | doc_flag::revive_document);
        CHECK(revived.status() == Status::success);
        CHECK(user.get("k").value() == R"({"a":1})");
        CHECK(user.put("x", "1", doc_flag::access_deleted | doc_flag::revive_document).status() ==
              Status::subdoc_can_only_revive_deleted_documents);
    }
    SECTION("or made anew without what they had") {
        CHECK(user.set("k", "1", 0, 0, Opcode::add).status() == Status::success);
        CHECK(user.look("txn").status() == Status::subdoc_path_enoent);
    }
    SECTION("they take no bodies and no lone flags") {
        CHECK(user.change({{Opcode::subdoc_dict_upsert, 0, "a", "1"}}, made_deleted).status() == Status::einval);
        CHECK(user.put("x", "1", doc_flag::create_as_deleted).status() == Status::einval);
        CHECK(user.put("x", "1", doc_flag::revive_document).status() == Status::einval);
    }
}

TEST_CASE("attributes reach replicas", "[kv][xattr]") {
    KvCluster cluster(2, {.replicas = 1});
    XattrUser active(cluster, cluster.active("k"));
    REQUIRE(active.put("x", "1", doc_flag::mkdoc).status() == Status::success);
    CHECK(active.get("k").value() == "{}");
    cluster.world.run_for(1s);
    XattrUser replica(cluster, cluster.replica("k"));
    CHECK(replica.look("x", doc_flag::replica_read).value() == "1");
    cluster.state->failover(cluster.active("k"));
    cluster.world.run_for(1s);
    CHECK(replica.look("x").value() == "1");
}
