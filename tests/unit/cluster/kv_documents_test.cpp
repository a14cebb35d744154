// What each command does to a document, as Couchbase does it (protocol.md 2.1).

#include "kv_fixture.hpp"

#include "protocol/snappy.hpp"

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;
namespace datatype = protocol::datatype;

namespace {

enum class Given { missing, deleted, expired, live, locked };

void arrange(KvCluster& cluster, KvUser& user, Given given, std::string_view value = "5") {
    switch (given) {
        case Given::missing:
            return;
        case Given::deleted:
            REQUIRE(user.set("k", value).status() == Status::success);
            REQUIRE(user.remove("k").status() == Status::success);
            return;
        case Given::expired:
            REQUIRE(user.set("k", value, 1).status() == Status::success);
            cluster.world.run_for(1s);
            return;
        case Given::live:
            REQUIRE(user.set("k", value).status() == Status::success);
            return;
        case Given::locked:
            REQUIRE(user.set("k", value).status() == Status::success);
            REQUIRE(user.lock("k").status() == Status::success);
            return;
    }
}

}  // namespace

TEST_CASE("the status of each command, whatever the document is", "[kv]") {
    struct Row {
        const char* name;
        std::function<KvAnswer(KvUser&)> command;
        Status missing, live, locked;
        Status without_xerror;  // on a locked document
    };
    const Status ok = Status::success, none = Status::key_enoent, exists = Status::key_eexists;
    const Row rows[] = {
        {"get", [](KvUser& u) { return u.get("k"); }, none, ok, ok, ok},
        {"getk", [](KvUser& u) { return u.get("k", Opcode::getk); }, none, ok, ok, ok},
        {"set", [](KvUser& u) { return u.set("k", "v"); }, ok, ok, Status::locked, exists},
        {"set with a wrong CAS", [](KvUser& u) { return u.set("k", "v", 0, 99); }, none, exists, Status::locked,
         exists},
        {"add", [](KvUser& u) { return u.set("k", "v", 0, 0, Opcode::add); }, ok, exists, exists, exists},
        {"replace", [](KvUser& u) { return u.set("k", "v", 0, 0, Opcode::replace); }, none, ok, Status::locked, exists},
        {"replace with a wrong CAS", [](KvUser& u) { return u.set("k", "v", 0, 99, Opcode::replace); }, none, exists,
         Status::locked, exists},
        {"append", [](KvUser& u) { return u.append("k", "v"); }, Status::not_stored, ok, Status::locked, exists},
        {"prepend", [](KvUser& u) { return u.append("k", "v", 0, Opcode::prepend); }, Status::not_stored, ok,
         Status::locked, exists},
        {"append with a wrong CAS", [](KvUser& u) { return u.append("k", "v", 99); }, Status::not_stored, exists,
         Status::locked, exists},
        {"delete", [](KvUser& u) { return u.remove("k"); }, none, ok, Status::locked, exists},
        {"delete with a wrong CAS", [](KvUser& u) { return u.remove("k", 99); }, none, exists, Status::locked, exists},
        {"increment", [](KvUser& u) { return u.counter("k", 1); }, ok, ok, Status::locked, exists},
        {"increment without creating",
         [](KvUser& u) { return u.counter("k", 1, Opcode::increment, 0, protocol::counter_no_create); }, none, ok,
         Status::locked, exists},
        {"decrement", [](KvUser& u) { return u.counter("k", 1, Opcode::decrement); }, ok, ok, Status::locked, exists},
        {"touch", [](KvUser& u) { return u.touch("k", 100); }, none, ok, Status::locked, exists},
        {"gat", [](KvUser& u) { return u.gat("k", 100); }, none, ok, Status::locked, exists},
        {"get_locked", [](KvUser& u) { return u.lock("k"); }, none, ok, Status::locked, Status::etmpfail},
        {"unlock", [](KvUser& u) { return u.unlock("k", 99); }, none, Status::not_locked, Status::locked, exists},
        {"evict", [](KvUser& u) { return u.get("k", Opcode::evict_key); }, none, ok, exists, exists},
    };
    for (const Row& row : rows) {
        INFO(row.name);
        for (const Given given : {Given::missing, Given::deleted, Given::expired, Given::live, Given::locked}) {
            INFO("given " << static_cast<int>(given));
            KvCluster cluster;
            KvUser user(cluster, 0);
            arrange(cluster, user, given);
            const Status expected = given == Given::live ? row.live : given == Given::locked ? row.locked : row.missing;
            const KvAnswer answer = row.command(user);
            CHECK(answer.status() == expected);
            CHECK(answer.frame.opaque == 7);
        }
        KvCluster cluster;
        KvUser user(cluster, 0, {});
        arrange(cluster, user, Given::locked);
        CHECK(row.command(user).status() == row.without_xerror);
    }
}

TEST_CASE("a document comes back as it was stored", "[kv]") {
    KvCluster cluster;
    KvUser user(cluster, 0);
    const KvAnswer stored = user.set("k", R"({"a":1})");
    CHECK(stored.frame.cas != 0);
    CHECK(stored.frame.value.empty());
    CHECK(stored.token().seqno == 1);
    CHECK(stored.token().vbucket_uuid == cluster.node(0).vbucket("default", cluster.vbucket_of("k"))->uuid());
    const KvAnswer got = user.get("k");
    CHECK(got.value() == R"({"a":1})");
    CHECK(protocol::decode_value(got.frame)->flags == 0xcafe);
    CHECK(got.frame.cas == stored.frame.cas);
    CHECK(got.frame.datatype == datatype::json);
    CHECK(got.frame.key.empty());
    CHECK(user.get("k", Opcode::getk).frame.key == std::string_view("\0k", 2));

    SECTION("CAS only rises") {
        std::uint64_t last = stored.frame.cas;
        for (int i = 0; i < 100; ++i) {
            const std::uint64_t next = user.set("k", "v", 0, last).frame.cas;
            CHECK(next > last);
            last = next;
        }
        cluster.world.jump_wall_clock(-1h);
        CHECK(user.set("k", "v").frame.cas > last);
    }
    SECTION("append and prepend keep flags and expiry") {
        user.set("k", "b", 1000);
        CHECK(user.append("k", "c").token().seqno == 3);
        const KvAnswer after = user.append("k", "a", user.get("k").frame.cas, Opcode::prepend);
        CHECK(after.status() == Status::success);
        const KvAnswer whole = user.get("k");
        CHECK(whole.value() == "abc");
        CHECK(protocol::decode_value(whole.frame)->flags == 0xcafe);
        CHECK(protocol::decode_get_meta(user.meta("k").frame)->expiry == 1'700'000'000 + 1000);
    }
    SECTION("a tombstone has a CAS, a token and metadata") {
        const KvAnswer removed = user.remove("k", stored.frame.cas);
        CHECK(removed.status() == Status::success);
        CHECK(removed.frame.cas > stored.frame.cas);
        CHECK(removed.token().seqno == 2);
        const auto meta = protocol::decode_get_meta(user.meta("k").frame);
        REQUIRE(meta);
        CHECK(meta->deleted);
        CHECK(meta->cas == removed.frame.cas);
        CHECK(meta->seqno == 2);
        CHECK(user.set("k", "again", 0, 0, Opcode::add).status() == Status::success);
        CHECK(protocol::decode_get_meta(user.meta("k").frame)->seqno == 3);
    }
    SECTION("metadata") {
        const auto meta = protocol::decode_get_meta(user.meta("k").frame);
        REQUIRE(meta);
        CHECK_FALSE(meta->deleted);
        CHECK(meta->flags == 0xcafe);
        CHECK(meta->cas == stored.frame.cas);
        CHECK(meta->datatype == datatype::json);
        CHECK(user.meta("other").status() == Status::key_enoent);
    }
}

TEST_CASE("counters", "[kv]") {
    KvCluster cluster;
    KvUser user(cluster, 0);
    const auto number = [](const KvAnswer& answer) { return protocol::decode_counter(answer.frame)->value; };
    CHECK(number(user.counter("n", 5, Opcode::increment, 10)) == 10);
    CHECK(number(user.counter("n", 5)) == 15);
    CHECK(user.get("n").value() == "15");
    CHECK(number(user.counter("n", 6, Opcode::decrement)) == 9);
    CHECK(user.get("n").value() == "9");
    CHECK(number(user.counter("n", 100, Opcode::decrement)) == 0);
    user.set("n", "18446744073709551615");
    CHECK(number(user.counter("n", 2)) == 1);
    CHECK(user.counter("n", 1).token().seqno != 0);
    for (const char* text : {"", "abc", "1.5", "-1", " 1", "18446744073709551616"}) {
        user.set("n", text);
        CHECK(user.counter("n", 1).status() == Status::delta_badval);
    }
    // The expiry is for creation only.
    user.counter("e", 1, Opcode::increment, 1, 10);
    user.counter("e", 1, Opcode::increment, 1, 100);
    cluster.world.run_for(10s);
    CHECK(user.get("e").status() == Status::key_enoent);
}

TEST_CASE("expiry", "[kv]") {
    KvCluster cluster;
    KvUser user(cluster, 0);
    const std::uint32_t now = 1'700'000'000;
    SECTION("relative, to the second") {
        user.set("k", "v", 5);
        cluster.world.run_for(4999ms);
        CHECK(user.get("k").status() == Status::success);
        cluster.world.run_for(1ms);
        CHECK(user.get("k").status() == Status::key_enoent);
        CHECK(protocol::decode_get_meta(user.meta("k").frame)->deleted);
    }
    SECTION("thirty days are relative, more are a date") {
        const std::uint32_t days30 = 30 * 24 * 3600;
        user.set("k", "v", days30);
        CHECK(protocol::decode_get_meta(user.meta("k").frame)->expiry == now + days30);
        user.set("k", "v", days30 + 1);  // in 1970
        CHECK(user.get("k").status() == Status::key_enoent);
        user.set("k", "v", now + 7);
        cluster.world.run_for(6s);
        CHECK(user.get("k").status() == Status::success);
        cluster.world.run_for(1s);
        CHECK(user.get("k").status() == Status::key_enoent);
    }
    SECTION("touch and get-and-touch set and remove it") {
        const std::uint64_t cas = user.set("k", "v", 5).frame.cas;
        const KvAnswer touched = user.touch("k", 100);
        CHECK(touched.frame.cas > cas);
        CHECK(touched.frame.extras.empty());
        const KvAnswer got = user.gat("k", 0);
        CHECK(got.value() == "v");
        CHECK(got.frame.cas > touched.frame.cas);
        cluster.world.run_for(1000s);
        CHECK(user.get("k").frame.cas == got.frame.cas);
    }
    SECTION("a set drops it, unless it is to be preserved") {
        const protocol::RequestFrameInfo preserve[] = {protocol::RequestFrameInfo::preserve_ttl()};
        user.set("k", "v", 5);
        protocol::RequestContext context = user.to("k");
        context.frame_infos = preserve;
        CHECK(user.ask(protocol::StoreRequest{context, Opcode::set, "k", "w", 0, 900}).status() == Status::success);
        CHECK(protocol::decode_get_meta(user.meta("k").frame)->expiry == now + 5);
        CHECK(user.ask(protocol::StoreRequest{context, Opcode::add, "k", "w", 0, 900}).status() ==
              Status::not_supported);
        user.set("k", "x");
        CHECK(protocol::decode_get_meta(user.meta("k").frame)->expiry == 0);
    }
}

TEST_CASE("locks", "[kv]") {
    KvCluster cluster;
    KvUser user(cluster, 0);
    KvUser other(cluster, 0);
    const std::uint64_t before = user.set("k", "v").frame.cas;
    const KvAnswer locked = user.lock("k", 10);
    CHECK(locked.value() == "v");
    const std::uint64_t lock = locked.frame.cas;
    CHECK(lock > before);
    CHECK(other.get("k").frame.cas == protocol::locked_cas);
    CHECK(other.meta("k").frame.cas == protocol::locked_cas);
    CHECK(other.set("k", "w", 0, before).status() == Status::locked);
    CHECK(other.unlock("k", before).status() == Status::locked);
    CHECK(other.ask(protocol::UnlockRequest{other.to("k"), "k"}).status() == Status::einval);

    SECTION("the lock's CAS unlocks") {
        CHECK(user.unlock("k", lock).status() == Status::success);
        CHECK(user.unlock("k", lock).status() == Status::not_locked);
        CHECK(other.set("k", "w").status() == Status::success);
    }
    SECTION("a write with the lock's CAS unlocks") {
        CHECK(user.set("k", "w", 0, lock).status() == Status::success);
        CHECK(other.set("k", "x").status() == Status::success);
    }
    SECTION("a deletion with it, too") {
        CHECK(user.remove("k", lock).status() == Status::success);
        CHECK(other.set("k", "x").status() == Status::success);
    }
    SECTION("it ends by itself") {
        cluster.world.run_for(9999ms);
        CHECK(other.set("k", "w").status() == Status::locked);
        cluster.world.run_for(1ms);
        CHECK(other.set("k", "w").status() == Status::success);
        CHECK(user.set("k", "x", 0, lock).status() == Status::key_eexists);
    }
    SECTION("no time and too much time are fifteen seconds") {
        user.unlock("k", lock);
        for (const auto seconds :
             {std::optional<std::uint32_t>{}, std::optional<std::uint32_t>{0}, std::optional<std::uint32_t>{31}}) {
            REQUIRE(user.lock("k", seconds).status() == Status::success);
            cluster.world.run_for(14999ms);
            CHECK(other.lock("k").status() == Status::locked);
            cluster.world.run_for(1ms);
        }
    }
}

TEST_CASE("quiet commands answer only what is worth it", "[kv]") {
    KvCluster cluster;
    KvUser user(cluster, 0);
    CHECK(user.silent(protocol::GetRequest{user.to("k"), "k", Opcode::getq}) == 0);
    CHECK(user.silent(protocol::StoreRequest{user.to("k"), Opcode::setq, "k", "1"}) == 0);
    CHECK(user.get("k", Opcode::getq).value() == "1");
    CHECK(user.get("k", Opcode::getkq).frame.key == std::string_view("\0k", 2));
    CHECK(user.set("k", "v", 0, 0, Opcode::addq).status() == Status::key_eexists);
    CHECK(user.silent(protocol::CounterRequest{user.to("k"), Opcode::incrementq, "k", 1, 0, 0}) == 0);
    CHECK(user.silent(protocol::ConcatRequest{user.to("k"), Opcode::appendq, "k", "0"}) == 0);
    CHECK(user.get("k").value() == "20");
    CHECK(user.silent(protocol::GetAndTouchRequest{user.to("x"), "x", 1, Opcode::gatq}) == 0);
    CHECK(user.ask(protocol::GetAndTouchRequest{user.to("k"), "k", 9, Opcode::gatq}).value() == "20");
    CHECK(user.silent(protocol::RemoveRequest{user.to("k"), "k", Opcode::removeq}) == 0);
    CHECK(user.ask(protocol::RemoveRequest{user.to("k"), "k", Opcode::removeq}).status() == Status::key_enoent);
}

TEST_CASE("datatypes", "[kv]") {
    KvCluster cluster;
    KvUser modern(cluster, 0);
    KvUser old(cluster, 0, {Feature::xerror, Feature::collections});
    const std::string json = R"({"name":")" + std::string(500, 'x') + R"("})";
    const std::string block = protocol::snappy_deflate(json);
    const auto store = [&](KvUser& user, std::string_view value, std::uint8_t type) {
        protocol::RequestContext context = user.to("k");
        context.datatype = type;
        return user.ask(protocol::StoreRequest{context, Opcode::set, "k", value}).status();
    };
    SECTION("the value tells whether it is JSON, not the client") {
        CHECK(store(modern, "no json", datatype::json) == Status::success);
        CHECK(modern.get("k").frame.datatype == datatype::raw);
        CHECK(store(old, "[1,2]", datatype::raw) == Status::success);
        CHECK(modern.get("k").frame.datatype == datatype::json);
        CHECK(old.get("k").frame.datatype == datatype::raw);
    }
    SECTION("a compressed value goes as it is to who understands it, and inflated to others") {
        CHECK(store(modern, block, datatype::snappy) == Status::success);
        const KvAnswer compressed = modern.get("k");
        CHECK(compressed.frame.datatype == (datatype::snappy | datatype::json));
        CHECK(compressed.value() == block);
        const KvAnswer plain = old.get("k");
        CHECK(plain.frame.datatype == datatype::raw);
        CHECK(plain.value() == json);
        modern.append("k", "!");
        CHECK(modern.get("k").value() == json + "!");
        CHECK(modern.get("k").frame.datatype == datatype::raw);
    }
    SECTION("what was not negotiated, or is broken, is refused") {
        CHECK(store(old, block, datatype::snappy) == Status::einval);
        CHECK(store(old, "{}", datatype::json) == Status::einval);
        CHECK(store(modern, "x", datatype::xattr) == Status::einval);
        CHECK(store(modern, "\xff\xff\xff\xff\xff", datatype::snappy) == Status::einval);
        protocol::RequestContext context = modern.to("k");
        context.datatype = datatype::json;
        CHECK(modern.ask(protocol::GetRequest{context, "k"}).status() == Status::einval);
    }
}

TEST_CASE("limits and forms", "[kv]") {
    KvCluster cluster;
    KvUser user(cluster, 0);
    KvUser bare(cluster, 0, {Feature::xerror});
    CHECK(user.set(std::string(250, 'k'), "v").status() == Status::success);
    CHECK(bare.get(std::string(250, 'k')).value() == "v");  // the default collection, without its prefix
    CHECK(user.set(std::string(251, 'k'), "v").status() == Status::einval);
    CHECK(bare.set(std::string(251, 'k'), "v").status() == Status::einval);
    const std::string big(max_document_size, 'v');
    CHECK(user.set("k", big + "v").status() == Status::e2big);
    CHECK(user.set("k", big).status() == Status::success);
    CHECK(user.append("k", "v").status() == Status::e2big);
    CHECK(user.get("k").frame.value.size() == big.size());

    SECTION("a CAS where none belongs") {
        CHECK(user.set("x", "v", 0, 1, Opcode::add).status() == Status::einval);
        CHECK(user.ask(protocol::GetRequest{user.to("x", 1), "x"}).status() == Status::einval);
        CHECK(user.ask(protocol::TouchRequest{user.to("x", 1), "x", 0}).status() == Status::einval);
    }
    SECTION("error context for who asked for it") {
        const KvAnswer refused = user.set("x", "v", 0, 1, Opcode::add);
        const auto context = protocol::decode_error_context(refused.frame);
        CHECK_FALSE(context.context.empty());
        CHECK(context.reference.size() == 32);
        CHECK(refused.frame.datatype == datatype::json);
        CHECK(bare.set("x", "v", 0, 1, Opcode::add).frame.datatype == datatype::raw);
        KvUser old(cluster, 0, {});
        CHECK(old.set("x", "v", 0, 1, Opcode::add).value().empty());
    }
    SECTION("a collection that nobody made") {
        protocol::RequestContext context = user.to("x");
        context.collection = 0x55;
        const KvAnswer answer = user.ask(protocol::GetRequest{context, "x"});
        CHECK(answer.status() == Status::unknown_collection);
        CHECK(protocol::decode_error_context(answer.frame).manifest_uid == 0);
    }
    SECTION("unknown commands are answered") {
        for (const Opcode opcode : {Opcode::get_keys, Opcode::dcp_open, static_cast<Opcode>(0x6f)})
            CHECK(user.ask(protocol::HeaderRequest{{}, opcode}).status() == Status::unknown_command);
        CHECK(user.ask(protocol::FlushRequest{}).status() == Status::not_supported);
    }
    SECTION("frame infos") {
        const auto with = [&](protocol::RequestFrameInfo info, auto request) {
            request.context.frame_infos = {&info, 1};
            return user.ask(request).status();
        };
        using Info = protocol::RequestFrameInfo;
        const protocol::GetRequest get{user.to("x"), "x"};
        const protocol::StoreRequest set{user.to("x"), Opcode::set, "x", "v"};
        CHECK(with(Info::barrier(), set) == Status::success);
        CHECK(with(Info::barrier(), get) == Status::success);
        CHECK(with(Info::durability(protocol::DurabilityLevel::majority), get) == Status::einval);
        CHECK(with(Info::preserve_ttl(), get) == Status::not_supported);
        CHECK(with(Info::dcp_stream_id(1), set) == Status::einval);
        CHECK(with(Info::impersonate("joe"), set) == Status::eaccess);
        CHECK(with(Info::durability(protocol::DurabilityLevel::majority, 0), set) == Status::durability_invalid_level);
    }
}

TEST_CASE("a random key", "[kv]") {
    KvCluster cluster;
    KvUser user(cluster, 0);
    protocol::GetRandomKeyRequest request;
    request.context.collection = 0;
    CHECK(user.ask(request).status() == Status::key_enoent);
    user.set("a", "1");
    user.set("b", "2");
    user.set("gone", "3");
    user.remove("gone");
    std::map<std::string, int> seen;
    for (int i = 0; i < 50; ++i) {
        const auto answer = user.ask(request);
        const auto value = protocol::decode_random_key(answer.frame);
        REQUIRE(value);
        ++seen[std::string(protocol::split_collection_key(value->key)->key) + "=" + std::string(value->value)];
    }
    CHECK(seen.size() == 2);
    CHECK(seen.contains("a=1"));
    CHECK(seen.contains("b=2"));
    CHECK(user.ask(protocol::GetRandomKeyRequest{}).status() == Status::einval);  // without the collection
}
