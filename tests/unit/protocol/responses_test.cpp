#include <catch2/catch.hpp>

#include "protocol/responses.hpp"
#include "protocol/snappy.hpp"

using namespace chaise::protocol;

namespace {

Frame response(std::string_view extras, std::string_view key, std::string_view value) {
    Frame frame;
    frame.magic = Magic::client_response;
    frame.cas = 99;
    frame.extras = extras;
    frame.key = key;
    frame.value = value;
    return frame;
}

template <std::size_t N>
constexpr std::string_view bytes(const char (&text)[N]) {
    return {text, N - 1};
}

}  // namespace

TEST_CASE("values, mutations, counters") {
    const auto value = decode_value(response(bytes("\x02\0\0\x06"), "", "doc"));
    REQUIRE(value.has_value());
    CHECK((value->flags == 0x02000006 && value->cas == 99 && value->value == "doc"));
    CHECK_FALSE(decode_value(response("", "", "doc")).has_value());
    CHECK(decode_random_key(response("", "key", "doc"))->key == "key");

    CHECK_FALSE(decode_mutation(response("", "", ""))->token.has_value());
    CHECK(decode_mutation(response(bytes("\0\0\0\x05"), "", ""))->flags == 5);
    const auto token = decode_mutation(response(bytes("\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02"), "", ""))->token;
    CHECK(token == MutationToken{1, 2});
    for (const std::size_t length : {1u, 3u, 5u, 8u, 15u, 17u})
        CHECK_FALSE(decode_mutation(response(std::string(length, 'x'), "", "")).has_value());

    CHECK(decode_counter(response("", "", bytes("\0\0\0\0\0\0\x01\0")))->value == 256);
    CHECK_FALSE(decode_counter(response("", "", "1234567")).has_value());
    CHECK(decode_empty(response("", "", "")));
    CHECK_FALSE(decode_empty(response("", "", "x")));
}

TEST_CASE("get_meta has 20 or 21 bytes") {
    const std::string_view all = bytes("\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\0\0\0\0\x04\x05");
    const auto v2 = decode_get_meta(response(all, "", ""));
    REQUIRE(v2.has_value());
    CHECK((v2->deleted && v2->flags == 2 && v2->expiry == 3 && v2->seqno == 4 && v2->datatype == 5));
    CHECK_FALSE(decode_get_meta(response(all.substr(0, 20), "", ""))->datatype.has_value());
    CHECK_FALSE(decode_get_meta(response(all.substr(0, 19), "", "")).has_value());
}

TEST_CASE("lists stop where they are cut, and say so") {
    const std::string_view lookup = bytes(
        "\0\0\0\0\0\x03"
        "abc\0\xc0\0\0\0\0");
    for (std::size_t cut = 0; cut <= lookup.size(); ++cut) {
        MultiLookupReader reader(response("", "", lookup.substr(0, cut)));
        int count = 0;
        while (reader.next()) ++count;
        CHECK(count == (cut < 9 ? 0 : cut < 15 ? 1 : 2));
        CHECK(reader.malformed() == (cut != 0 && cut != 9 && cut != 15));
        CHECK_FALSE(reader.next().has_value());
    }
    const std::string_view mutation = bytes(
        "\x02\0\0\0\0\0\x02"
        "42\x03\0\xc0");
    MultiMutationReader mutations(response("", "", mutation));
    const auto first = mutations.next();
    CHECK((first->index == 2 && first->value == "42"));
    const auto second = mutations.next();
    CHECK((second->index == 3 && second->status == Status::subdoc_path_enoent));
    CHECK((!mutations.next() && !mutations.malformed()));

    const std::string_view observe = bytes(
        "\0\x07\0\x02"
        "ab\x81\0\0\0\0\0\0\0\x09");
    ObserveReader entries(response("", "", observe));
    const auto entry = entries.next();
    REQUIRE(entry.has_value());
    CHECK((entry->vbucket == 7 && entry->key == "ab" && entry->state == ObserveState::logically_deleted));
    CHECK(entry->cas == 9);
    CHECK_FALSE(entries.next().has_value());
    for (std::size_t cut = 1; cut < observe.size(); ++cut) {
        ObserveReader short_entries(response("", "", observe.substr(0, cut)));
        CHECK_FALSE(short_entries.next().has_value());
        CHECK(short_entries.malformed());
    }
    const ObserveHints hints = observe_hints([] {
        Frame frame;
        frame.cas = 0x000005dc000000fa;
        return frame;
    }());
    CHECK((hints.persist_ms == 1500 && hints.replicate_ms == 250));

    FailoverLogReader log(response("", "", std::string_view("\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02x", 17)));
    CHECK(log.malformed());
    CHECK(log.next()->seqno == 2);
    CHECK_FALSE(log.next().has_value());
    VbSeqnosReader seqnos(response("", "", bytes("\0\x03\0\0\0\0\0\0\0\x04")));
    CHECK_FALSE(seqnos.malformed());
    const auto seqno = seqnos.next();
    CHECK((seqno->vbucket == 3 && seqno->seqno == 4));
}

TEST_CASE("range scan items are whole") {
    std::string document(25, '\0');
    document[24] = 1;
    document += "\x03key\x05value";
    RangeScanReader reader(response(bytes("\0\0\0\x01"), "", document));
    CHECK(reader.documents());
    const auto item = reader.next();
    REQUIRE(item.has_value());
    CHECK((item->key == "key" && item->value == "value" && item->datatype == 1));
    for (std::size_t cut = 1; cut < document.size(); ++cut) {
        RangeScanReader cut_reader(response(bytes("\0\0\0\x01"), "", std::string_view(document).substr(0, cut)));
        CHECK_FALSE(cut_reader.next().has_value());
        CHECK(cut_reader.malformed());
    }
    CHECK(RangeScanReader(response("", "", "")).malformed());
    CHECK(RangeScanReader(response(bytes("\0\0\0\x02"), "", "")).malformed());
}

TEST_CASE("pushes, collection ids, statistics, words") {
    Frame push = response(bytes("\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02"), "bucket", "{}");
    CHECK(decode_config_push(push)->revision == ConfigRevision{1, 2});
    push.extras = bytes("\0\0\0\x07");
    CHECK(decode_config_push(push)->revision == ConfigRevision{0, 7});
    push.extras = "12345";
    CHECK_FALSE(decode_config_push(push).has_value());
    CHECK(decode_collection_id(response(bytes("\0\0\0\0\0\0\0\x1f\0\0\0\x0a"), "", ""))->id == 10);
    CHECK_FALSE(decode_collection_id(response("12345678901", "", "")).has_value());
    CHECK(decode_stat(response("", "", "")).last);
    CHECK_FALSE(decode_stat(response("", "", "v")).last);
    Words words("  a bc  d ");
    CHECK(words.next() == "a");
    CHECK(words.next() == "bc");
    CHECK(words.next() == "d");
    CHECK_FALSE(words.next().has_value());
    CHECK(decode_hello(response("", "", bytes("\0\x07\0\x0b\x77\x77")))->size() == 2);
    CHECK_FALSE(decode_hello(response("", "", "123")).has_value());
    CHECK(split_collection_key("\x80\x01key")->collection == 128);
}

TEST_CASE("error context is JSON, free text, or nothing") {
    const auto context =
        decode_error_context(response("", "", R"({"error":{"context":"no \"luck\"","ref":"r"},"manifest_uid":"1f"})"));
    CHECK(context.context == "no \"luck\"");
    CHECK(context.reference == "r");
    CHECK(context.manifest_uid == 0x1f);
    for (const char* text : {"", "Not found", "{", "{}", R"({"error":1})", R"({"error":{"context":2}})", "[]",
                             R"({"manifest_uid":"xyz"})"})
        CHECK(decode_error_context(response("", "", text)).empty());
}

TEST_CASE("error maps") {
    const auto map = decode_error_map(
        R"({"version":2,"revision":9,"more":1,"errors":{"ff":{"name":"N","desc":"D","attrs":["temp","made-up","retry-later"]},
            "c0":{"name":"M","desc":"E","attrs":[],"retry":{"strategy":"constant"}}}})");
    REQUIRE(map.has_value());
    CHECK((map->version == 2 && map->revision == 9));
    const auto* entry = map->find(static_cast<Status>(0xff));
    REQUIRE(entry != nullptr);
    CHECK((entry->name == "N" && entry->description == "D"));
    CHECK(entry->attributes == (ErrorAttribute::temp | ErrorAttribute::retry_later));
    CHECK(map->find(Status::success) == nullptr);
    for (const char* bad :
         {"", "[]", "{}", R"({"version":2,"revision":9,"errors":{"xyz":{}}})",
          R"({"version":2,"revision":9,"errors":{"10000":{}}})", R"({"version":"2","revision":9,"errors":{}})"})
        CHECK_FALSE(decode_error_map(bad).has_value());
}

TEST_CASE("collection manifests") {
    const auto manifest = decode_manifest(
        R"({"uid":"a2","scopes":[{"name":"_default","uid":"0","collections":[{"name":"c","uid":"1c","maxTTL":-1,"history":true}]},
            {"name":"s","uid":"8","collections":[]}]})");
    REQUIRE(manifest.has_value());
    CHECK(manifest->uid == 0xa2);
    REQUIRE(manifest->scopes.size() == 2);
    const auto& collection = manifest->scopes[0].collections.at(0);
    CHECK((collection.name == "c" && collection.uid == 0x1c && collection.max_ttl == -1 && collection.history == true));
    for (const char* bad : {"", "{}", R"({"uid":"0x1","scopes":[]})", R"({"uid":"1","scopes":[{"uid":"1"}]})",
                            R"({"uid":"1","scopes":[{"name":"s","uid":"1"}]})",
                            R"({"uid":"1","scopes":[{"name":"s","uid":"100000000","collections":[]}]})"})
        CHECK_FALSE(decode_manifest(bad).has_value());
}

TEST_CASE("server duration, both ways") {
    const std::pair<std::uint16_t, double> table[] = {
        {0, 0},          {1, 0.5},        {2, 1.670},         {10, 27.477},        {77, 958.217},
        {119, 2043.722}, {300, 10213.18}, {1234, 119635.035}, {5000, 1365141.948}, {65535, 120125042.101}};
    for (const auto& [encoded, us] : table)
        CHECK(decode_server_duration_us(encoded) == Approx(us).epsilon(1e-6).margin(0.001));
    const std::pair<double, int> back[] = {{0, 0},
                                           {1, 1},
                                           {2, 2},
                                           {5, 4},
                                           {10, 6},
                                           {100, 21},
                                           {1000, 79},
                                           {2500, 134},
                                           {100000, 1113},
                                           {1000000, 4181},
                                           {120125042, 65535},
                                           {500000000, 65535}};
    for (const auto& [us, encoded] : back) CHECK(encode_server_duration_us(us) == encoded);
    CHECK(encode_server_duration_us(-1) == 0);
    for (int code = 0; code < 65536; code += 17)
        CHECK(encode_server_duration_us(decode_server_duration_us(static_cast<std::uint16_t>(code))) == code);
    const auto infos = decode_response_frame_infos(bytes("\x02\0\x0a\x12\0\x05\xe1x"));
    REQUIRE(infos.has_value());
    CHECK((infos->server_duration == 10 && infos->read_units == 5 && !infos->write_units));
    CHECK_FALSE(decode_response_frame_infos("\x01x").has_value());
}

TEST_CASE("xattr sections") {
    const std::string_view value = bytes(
        "\0\0\0\x11\0\0\0\x06"
        "a\0{1}\0\0\0\0\x03"
        "b\0\0body");
    auto section = XattrSection::parse(value);
    REQUIRE(section.has_value());
    CHECK(section->body() == "body");
    const auto first = section->next();
    CHECK((first->name == "a" && first->value == "{1}"));
    const auto second = section->next();
    CHECK((second->name == "b" && second->value.empty()));
    CHECK((!section->next() && !section->malformed()));
    CHECK_FALSE(XattrSection::parse(value.substr(0, 20)).has_value());
    for (const std::string_view bad :
         {bytes("\0\0\0\x02xy"), bytes("\0\0\0\x05\0\0\0\x01\0"), bytes("\0\0\0\x06\0\0\0\x02\0\0"),
          bytes("\0\0\0\x08\0\0\0\x04"
                "a\0bc"),
          bytes("\0\0\0\x04\0\0\0\0"), bytes("\0\0\0\x05\0\0\0\x09\0")}) {
        auto broken = XattrSection::parse(bad);
        REQUIRE(broken.has_value());
        CHECK_FALSE(broken->next().has_value());
        CHECK(broken->malformed());
    }
}

TEST_CASE("Snappy blocks") {
    std::string text;
    for (int i = 0; i < 20000; ++i) text += "key-" + std::to_string(i * 7919 % 1000) + (i % 3 == 0 ? ",," : "\n");
    const std::string run(200'000, 'r');
    std::string noise;
    for (std::uint32_t i = 0, x = 1; i < 100'000; ++i) noise += static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
    for (const std::string& original :
         {std::string(), std::string("a"), std::string("abcabcabcabc"), text, run, noise}) {
        const std::string block = snappy_deflate(original);
        CHECK(snappy_inflated_size(block) == original.size());
        CHECK(snappy_inflate(block) == original);
        if (!original.empty()) {
            CHECK_FALSE(snappy_inflate(block, original.size() - 1).has_value());
            CHECK_FALSE(snappy_inflate(block.substr(0, block.size() - 1)).has_value());
            CHECK_FALSE(snappy_inflate(block + '\0').has_value());
        }
    }
    CHECK(snappy_deflate(run).size() < 12'000);
    CHECK(snappy_deflate(text).size() < text.size() / 2);
    // A copy from before the start; from nowhere; a length that nobody announced.
    CHECK_FALSE(snappy_inflate(bytes("\x05\x00"
                                     "a\x01\x02"))
                    .has_value());
    CHECK_FALSE(snappy_inflate(bytes("\x05\x00"
                                     "a\x01\x00"))
                    .has_value());
    CHECK_FALSE(snappy_inflate(bytes("\x02\x00"
                                     "a\x0d\x01"))
                    .has_value());
    CHECK_FALSE(snappy_inflate(bytes("\xff\xff\xff\xff\x0f")).has_value());
}
