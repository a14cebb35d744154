#include <catch2/catch.hpp>

#include "protocol/base64.hpp"
#include "protocol/request_decoder.hpp"
#include "protocol/response_encoder.hpp"

using namespace chaise::protocol;

namespace {

struct Parsed {
    std::string bytes;
    Frame frame;
};

template <class Request>
Parsed parsed(const Request& request) {
    Parsed result{encoded(request), {}};
    std::string guarded(result.bytes.size() + 8, '#');
    CHECK(encode(request, guarded.data()) == guarded.data() + result.bytes.size());  // exactly encoded_size
    CHECK(guarded.substr(result.bytes.size()) == "########");
    CHECK(parse_frame(result.bytes, result.frame).status == ParseStatus::complete);
    return result;
}

const RequestContext context{.opaque = 0xdecafbad, .vbucket = 0x123, .datatype = 1, .cas = 0x0102030405060708};

void check_context(const RequestContext& actual) {
    CHECK(actual.opaque == context.opaque);
    CHECK(actual.vbucket == context.vbucket);
    CHECK(actual.datatype == context.datatype);
    CHECK(actual.cas == context.cas);
}

constexpr RequestDecodeOptions with_collections{true};

}  // namespace

TEST_CASE("what a client encodes, a server decodes") {
    SECTION("get") {
        for (const Opcode opcode : {Opcode::get, Opcode::getq, Opcode::getk, Opcode::getkq, Opcode::get_replica}) {
            const Parsed p = parsed(GetRequest{context, "key", opcode});
            GetRequest out;
            REQUIRE(decode(p.frame, out) == RequestError::none);
            check_context(out.context);
            CHECK(out.key == "key");
            CHECK(out.opcode == opcode);
        }
    }
    SECTION("store") {
        const Parsed p = parsed(StoreRequest{context, Opcode::replaceq, "key", "value", 0xdeadbeef, 0x12345678});
        StoreRequest out;
        REQUIRE(decode(p.frame, out) == RequestError::none);
        check_context(out.context);
        CHECK(out.opcode == Opcode::replaceq);
        CHECK(out.key == "key");
        CHECK(out.value == "value");
        CHECK(out.flags == 0xdeadbeef);
        CHECK(out.expiry == 0x12345678);
    }
    SECTION("concat, remove, touch, gat") {
        ConcatRequest concat;
        const Parsed a = parsed(ConcatRequest{context, Opcode::prepend, "key", "value"});
        REQUIRE(decode(a.frame, concat) == RequestError::none);
        CHECK((concat.opcode == Opcode::prepend && concat.key == "key" && concat.value == "value"));
        RemoveRequest remove;
        const Parsed r = parsed(RemoveRequest{context, "key", Opcode::removeq});
        REQUIRE(decode(r.frame, remove) == RequestError::none);
        CHECK((remove.opcode == Opcode::removeq && remove.key == "key"));
        TouchRequest touch;
        const Parsed t = parsed(TouchRequest{context, "key", 77});
        REQUIRE(decode(t.frame, touch) == RequestError::none);
        CHECK((touch.expiry == 77 && touch.key == "key"));
        GetAndTouchRequest gat;
        const Parsed g = parsed(GetAndTouchRequest{context, "key", 78, Opcode::gatk});
        REQUIRE(decode(g.frame, gat) == RequestError::none);
        CHECK((gat.expiry == 78 && gat.opcode == Opcode::gatk));
    }
    SECTION("counter") {
        const Parsed p = parsed(CounterRequest{context, Opcode::decrement, "key", 1ull << 63, 5, counter_no_create});
        CounterRequest out;
        REQUIRE(decode(p.frame, out) == RequestError::none);
        CHECK((out.opcode == Opcode::decrement && out.delta == 1ull << 63 && out.initial == 5));
        CHECK(out.expiry == 0xffffffff);
    }
    SECTION("lock, unlock, meta") {
        GetLockedRequest lock;
        const Parsed l = parsed(GetLockedRequest{context, "key", 20});
        REQUIRE(decode(l.frame, lock) == RequestError::none);
        CHECK(lock.lock_time == 20);
        const Parsed l0 = parsed(GetLockedRequest{context, "key", {}});
        REQUIRE(decode(l0.frame, lock) == RequestError::none);
        CHECK_FALSE(lock.lock_time.has_value());
        UnlockRequest unlock;
        const Parsed u = parsed(UnlockRequest{context, "key"});
        REQUIRE(decode(u.frame, unlock) == RequestError::none);
        CHECK(unlock.context.cas == context.cas);
        GetMetaRequest meta;
        const Parsed m = parsed(GetMetaRequest{context, "key", 2});
        REQUIRE(decode(m.frame, meta) == RequestError::none);
        CHECK(meta.version == 2);
    }
    SECTION("session") {
        FlushRequest flush;
        const Parsed f = parsed(FlushRequest{context, 10, Opcode::flushq});
        REQUIRE(decode(f.frame, flush) == RequestError::none);
        CHECK((flush.expiry == 10 && flush.opcode == Opcode::flushq));
        SaslAuthRequest auth;
        const Parsed a = parsed(SaslAuthRequest{context, "PLAIN", std::string_view("\0u\0p", 4)});
        REQUIRE(decode(a.frame, auth) == RequestError::none);
        CHECK((auth.mechanism == "PLAIN" && auth.data.size() == 4));
        StatRequest stat;
        const Parsed s = parsed(StatRequest{context, "items", {}});
        REQUIRE(decode(s.frame, stat) == RequestError::none);
        CHECK(stat.group == "items");
        const Feature features[] = {Feature::xerror, Feature::json, static_cast<Feature>(0x7777)};
        DecodedHello hello;
        const Parsed h = parsed(HelloRequest{context, "agent", features});
        REQUIRE(decode(h.frame, hello) == RequestError::none);
        REQUIRE(hello.size() == 3);
        CHECK((hello.agent == "agent" && hello[1] == Feature::json && static_cast<int>(hello[2]) == 0x7777));
        GetClusterConfigRequest config;
        const Parsed c = parsed(GetClusterConfigRequest{context, ConfigRevision{1, -2}});
        REQUIRE(decode(c.frame, config) == RequestError::none);
        CHECK(config.known == ConfigRevision{1, -2});
        HeaderRequest header;
        const Parsed n = parsed(NoopRequest{context});
        REQUIRE(decode(n.frame, header) == RequestError::none);
        CHECK(header.opcode == Opcode::noop);
    }
}

TEST_CASE("the collection goes before the key") {
    RequestContext with = context;
    for (const std::uint32_t id :
         {0u, 1u, 0x7fu, 0x80u, 0x3fffu, 0x4000u, 0x1fffffu, 0x200000u, 0xfffffffu, 0x10000000u, 0xffffffffu}) {
        with.collection = id;
        const Parsed p = parsed(StoreRequest{with, Opcode::set, "key", "value"});
        CHECK(p.frame.key.size() == leb128_size(id) + 3);
        StoreRequest out;
        REQUIRE(decode(p.frame, out, with_collections) == RequestError::none);
        CHECK(out.context.collection == id);
        CHECK(out.key == "key");
        CHECK(out.value == "value");
    }
}

TEST_CASE("LEB128 as protocol.md 1.6 lists it") {
    const std::pair<std::uint32_t, std::string_view> table[] = {{0x0, {"\x00", 1}},
                                                                {0x1, "\x01"},
                                                                {0x7f, "\x7f"},
                                                                {0x80, "\x80\x01"},
                                                                {0x22b, "\xab\x04"},
                                                                {0x555, "\xd5\x0a"},
                                                                {0x5555, "\xd5\xaa\x01"},
                                                                {0x7fff, "\xff\xff\x01"},
                                                                {0x8000, "\x80\x80\x02"},
                                                                {0xbfff, "\xff\xff\x02"},
                                                                {0xffff, "\xff\xff\x03"},
                                                                {0xcafef00, "\x80\xde\xbf\x65"},
                                                                {0xcafef00d, "\x8d\xe0\xfb\xd7\x0c"},
                                                                {0xffffffff, "\xff\xff\xff\xff\x0f"}};
    for (const auto& [value, bytes] : table) {
        char buffer[max_leb128_size];
        CHECK(std::string_view(buffer, static_cast<std::size_t>(store_leb128(buffer, value) - buffer)) == bytes);
        CHECK(leb128_size(value) == bytes.size());
        const auto back = load_leb128(std::string(bytes) + "rest");
        REQUIRE(back.has_value());
        CHECK(back->value == value);
        CHECK(back->size == bytes.size());
        CHECK_FALSE(load_leb128(bytes.substr(0, bytes.size() - 1)).has_value());
    }
    CHECK_FALSE(load_leb128(std::string_view("\x81\x00", 2)).has_value());  // not canonical
    CHECK_FALSE(load_leb128("\x80\x80\x80\x80\x80\x01").has_value());       // six bytes
    CHECK_FALSE(load_leb128("\xff\xff\xff\xff\x1f").has_value());           // over 32 bits
}

TEST_CASE("frame infos, with both escapes") {
    const std::string fifteen(15, 'a');
    const std::string twenty_nine(29, 'b');
    const auto bytes_of = [](const RequestFrameInfo& info) {
        const RequestFrameInfo list[] = {info};
        std::string out(encoded_size(list), '\0');
        CHECK(encode(list, out.data()) == out.data() + out.size());
        return out;
    };
    CHECK(bytes_of(RequestFrameInfo::barrier()) == std::string("\0", 1));
    CHECK(bytes_of(RequestFrameInfo::preserve_ttl()) == "\x50");
    CHECK(bytes_of(RequestFrameInfo::durability(DurabilityLevel::majority)) == "\x11\x01");
    CHECK(bytes_of(RequestFrameInfo::durability(DurabilityLevel::persist_to_majority, 9000)) == "\x13\x03\x23\x28");
    CHECK(bytes_of(RequestFrameInfo::impersonate(fifteen)) == std::string("\x4f\x00", 2) + fifteen);
    CHECK(bytes_of(RequestFrameInfo::impersonate(twenty_nine)) == "\x4f\x0e" + twenty_nine);
    CHECK(bytes_of(RequestFrameInfo::impersonate_with_token(0x1234)) == "\x72\x12\x34");
    CHECK(bytes_of(RequestFrameInfo::dcp_stream_id(7)) == std::string("\x22\x00\x07", 3));

    char raw[64];
    const std::string sixteen(16, 'c');
    CHECK(frame_info_size(20, 16) == 19);
    CHECK(std::string_view(raw, static_cast<std::size_t>(store_frame_info(raw, 20, sixteen) - raw)) ==
          "\xff\x05\x01" + sixteen);
    FrameInfoReader reader({raw, 19});
    const auto info = reader.next();
    REQUIRE(info.has_value());
    CHECK((info->id == 20 && info->data == sixteen));
    CHECK_FALSE(reader.next().has_value());
    CHECK_FALSE(reader.malformed());
    for (std::size_t cut = 1; cut < 19; ++cut) {
        FrameInfoReader short_reader({raw, cut});
        CHECK_FALSE(short_reader.next().has_value());
        CHECK(short_reader.malformed());
    }
}

TEST_CASE("a server tells bad frame infos") {
    const auto error_of = [](std::string_view bytes) { return decode_frame_infos(bytes).error; };
    CHECK(error_of("\x11\x01") == FrameInfoError::none);
    CHECK(error_of(std::string_view("\x11\x00", 2)) == FrameInfoError::bad_durability);
    CHECK(error_of("\x11\x04") == FrameInfoError::bad_durability);
    CHECK(error_of(std::string_view("\x13\x01\x00\x00", 4)) == FrameInfoError::bad_durability);
    CHECK(error_of("\x13\x01\xff\xff") == FrameInfoError::bad_durability);
    CHECK(error_of("\x12\x01\x01") == FrameInfoError::bad_durability);
    CHECK(error_of("\x51\x01") == FrameInfoError::bad_length);
    CHECK(error_of("\x80") == FrameInfoError::unknown_id);
    CHECK(error_of("\x13\x01") == FrameInfoError::malformed);
    CHECK(error_of(std::string(17, '\x50')) == FrameInfoError::unknown_id);  // more than there is room for
    const DecodedFrameInfos infos = decode_frame_infos(std::string_view("\x00\x13\x02\x23\x28\x50", 6));
    REQUIRE(infos.count == 3);
    CHECK(infos.infos()[1].level == DurabilityLevel::majority_and_persist_to_active);
    CHECK(infos.infos()[1].number == 9000);
    CHECK(infos.infos()[2].id == RequestFrameInfoId::preserve_ttl);
}

TEST_CASE("a server refuses requests of the wrong shape") {
    const auto frame_of = [](Opcode opcode, std::string_view extras, std::string_view key, std::string_view value) {
        Frame frame;
        frame.magic = Magic::client_request;
        frame.opcode = opcode;
        frame.extras = extras;
        frame.key = key;
        frame.value = value;
        return frame;
    };
    const std::string long_key(251, 'k');
    GetRequest get;
    CHECK(decode(frame_of(Opcode::get, "x", "k", ""), get) == RequestError::bad_extras);
    CHECK(decode(frame_of(Opcode::get, "", "", ""), get) == RequestError::missing_key);
    CHECK(decode(frame_of(Opcode::get, "", "k", "v"), get) == RequestError::unexpected_value);
    CHECK(decode(frame_of(Opcode::get, "", long_key, ""), get) == RequestError::key_too_long);
    CHECK(decode(frame_of(Opcode::get, "", std::string_view(long_key).substr(1), ""), get) == RequestError::none);
    CHECK(decode(frame_of(Opcode::set, "", "k", ""), get) == RequestError::bad_opcode);
    CHECK(decode(frame_of(Opcode::get, "", "\x01", ""), get, with_collections) == RequestError::bad_collection_prefix);
    CHECK(decode(frame_of(Opcode::get, "", std::string_view("\x81\x00k", 3), ""), get, with_collections) ==
          RequestError::bad_collection_prefix);
    CHECK(decode(frame_of(Opcode::get, "", "\x01" + long_key, ""), get, with_collections) ==
          RequestError::key_too_long);
    StoreRequest store;
    CHECK(decode(frame_of(Opcode::set, "1234567", "k", ""), store) == RequestError::bad_extras);
    CHECK(decode(frame_of(Opcode::set, "12345678", "k", ""), store) == RequestError::none);
    CounterRequest counter;
    CHECK(decode(frame_of(Opcode::increment, "12345678", "k", ""), counter) == RequestError::bad_extras);
    HeaderRequest header;
    CHECK(decode(frame_of(Opcode::noop, "", "k", ""), header) == RequestError::unexpected_key);
    CHECK(decode(frame_of(Opcode::noop, "", "", "v"), header) == RequestError::unexpected_value);
    SelectBucketRequest select;
    CHECK(decode(frame_of(Opcode::select_bucket, "", "", ""), select) == RequestError::missing_key);
    GetErrorMapRequest map;
    CHECK(decode(frame_of(Opcode::get_error_map, "", "", "1"), map) == RequestError::bad_value);
    DecodedHello hello;
    CHECK(decode(frame_of(Opcode::hello, "", "a", "123"), hello) == RequestError::bad_value);
    FlushRequest flush;
    CHECK(decode(frame_of(Opcode::flush, "12", "", ""), flush) == RequestError::bad_extras);
    for (int e = 0; e <= static_cast<int>(RequestError::bad_value); ++e)
        CHECK(name(static_cast<RequestError>(e)) != "UNKNOWN");
}

TEST_CASE("sub-document extras have exactly the lengths of protocol.md 2.3") {
    SubdocMutationRequest r{context, Opcode::subdoc_dict_upsert, "key", "path", "1", path_flag::mkdir_p, {}, {}, {}};
    CHECK(parsed(r).frame.extras.size() == 3);
    r.doc_flags = doc_flag::mkdoc;
    CHECK(parsed(r).frame.extras.size() == 4);
    r.expiry = 0;
    CHECK(parsed(r).frame.extras.size() == 8);
    r.user_flags = 7;
    CHECK(parsed(r).frame.extras.size() == 12);
    r.doc_flags.reset();
    CHECK(parsed(r).frame.extras.size() == 11);
    r.expiry.reset();  // user flags alone cannot be told apart from an expiry
    CHECK(parsed(r).frame.extras.size() == 11);
    r.user_flags.reset();
    r.expiry = 5;
    CHECK(parsed(r).frame.extras.size() == 7);

    const MutationSpec specs[] = {{Opcode::subdoc_dict_upsert, 0, "a", "1"}, {Opcode::subdoc_remove, 0, "b", {}}};
    MultiMutationRequest m{context, "key", specs, {}, {}, {}};
    CHECK(parsed(m).frame.extras.empty());
    m.doc_flags = 1;
    CHECK(parsed(m).frame.extras.size() == 1);
    m.expiry = 1;
    CHECK(parsed(m).frame.extras.size() == 5);
    m.user_flags = 1;
    CHECK(parsed(m).frame.extras.size() == 9);
    m.doc_flags.reset();
    CHECK(parsed(m).frame.extras.size() == 8);
    CHECK(parsed(m).frame.value.size() == 8 + 2 + 8 + 1);
}

TEST_CASE("range scans are asked for in JSON") {
    RangeScanCreateRequest r;
    r.context.datatype = 1;
    r.sampling = RangeScanSampling{10, 42};
    r.key_only = false;
    r.snapshot = RangeScanSnapshot{18446744073709551615ull, 9, true, 100};
    r.name = "a\"b";
    CHECK(
        range_scan_json(r) ==
        R"({"sampling":{"samples":10,"seed":42},"key_only":false,)"
        R"("snapshot_requirements":{"vb_uuid":"18446744073709551615","seqno":9,"seqno_exists":true,"timeout_ms":100},)"
        R"("name":"a\"b"})");
    RangeScanCreateRequest range;
    range.collection = 0xa;
    range.range = {{"user", true}, {"user\xff", false}};
    range.include_xattrs = true;
    CHECK(range_scan_json(range) ==
          R"({"collection":"a","range":{"excl_start":"dXNlcg==","end":"dXNlcv8="},"include_xattrs":true})");
    CHECK(parsed(range).frame.value == range_scan_json(range));
}

TEST_CASE("base64") {
    for (const auto& [bytes, text] : {std::pair{"", ""},
                                      {"f", "Zg=="},
                                      {"fo", "Zm8="},
                                      {"foo", "Zm9v"},
                                      {"foob", "Zm9vYg=="},
                                      {"fooba", "Zm9vYmE="},
                                      {"foobar", "Zm9vYmFy"}}) {
        CHECK(base64_encode(bytes) == text);
        CHECK(base64_decode(text) == bytes);
    }
    std::string all;
    for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
    CHECK(base64_decode(base64_encode(all)) == all);
    for (const char* bad :
         {"Zg=", "Zg", "Zh==", "Zm9=", "Z===", "====", "Zm9v=", "Zm 9", "Zg==Zg==", "Z\xff==", "=m9v"})
        CHECK_FALSE(base64_decode(bad).has_value());
}

TEST_CASE("what is asked about vbuckets is decoded as it was encoded") {
    SECTION("observe") {
        const ObserveKey keys[] = {{0x3d1, "Hello", 0x80}, {7, std::string_view("\0k", 2), 0}};
        const ObserveKey bare[] = {{0x3d1, "Hello", {}}};
        DecodedObserve out;
        const Parsed with = parsed(ObserveRequest{{.opaque = 9}, keys});
        REQUIRE(decode(with.frame, out, with_collections) == RequestError::none);
        CHECK(out.context.opaque == 9);
        for (const ObserveKey& key : keys) {
            const auto next = out.next();
            REQUIRE(next);
            CHECK(next->vbucket == key.vbucket);
            CHECK(next->key == key.key);
            CHECK(next->collection == key.collection);
        }
        CHECK_FALSE(out.next());
        const Parsed without = parsed(ObserveRequest{{}, bare});
        REQUIRE(decode(without.frame, out) == RequestError::none);
        CHECK(out.next()->key == "Hello");

        CHECK(decode(parsed(ObserveRequest{{}, {}}).frame, out) == RequestError::missing_value);
        Frame frame = without.frame;
        frame.value.remove_suffix(1);
        CHECK(decode(frame, out) == RequestError::bad_value);
        frame.value = std::string_view("\0\1\0\0", 4);  // an empty key
        CHECK(decode(frame, out) == RequestError::bad_value);
        frame.value = std::string_view("\0\1\0\1\x05", 5);  // a prefix and no key
        CHECK(decode(frame, out, with_collections) == RequestError::bad_value);
        CHECK(decode(frame, out) == RequestError::none);
        const std::string long_key(251, 'k');
        const ObserveKey too_long[] = {{1, long_key, {}}};
        CHECK(decode(parsed(ObserveRequest{{}, too_long}).frame, out) == RequestError::bad_value);
        frame = without.frame;
        frame.key = "k";
        CHECK(decode(frame, out) == RequestError::unexpected_key);
    }
    SECTION("seqno persistence") {
        const Parsed p = parsed(SeqnoPersistenceRequest{context, 0x0102030405060708});
        SeqnoPersistenceRequest out;
        REQUIRE(decode(p.frame, out) == RequestError::none);
        check_context(out.context);
        CHECK(out.seqno == 0x0102030405060708);
        Frame frame = p.frame;
        frame.extras.remove_suffix(1);
        CHECK(decode(frame, out) == RequestError::bad_extras);
        frame = p.frame;
        frame.value = "v";
        CHECK(decode(frame, out) == RequestError::unexpected_value);
    }
    SECTION("failover log") {
        const Parsed p = parsed(GetFailoverLogRequest{context});
        GetFailoverLogRequest out;
        REQUIRE(decode(p.frame, out) == RequestError::none);
        check_context(out.context);
        Frame frame = p.frame;
        frame.extras = "e";
        CHECK(decode(frame, out) == RequestError::bad_extras);
        frame.opcode = Opcode::get;
        CHECK(decode(frame, out) == RequestError::bad_opcode);
    }
    SECTION("all sequence numbers") {
        GetAllVbSeqnosRequest out;
        REQUIRE(decode(parsed(GetAllVbSeqnosRequest{}).frame, out) == RequestError::none);
        CHECK_FALSE(out.state);
        const Parsed state = parsed(GetAllVbSeqnosRequest{{}, VbucketState::replica, {}});
        REQUIRE(decode(state.frame, out) == RequestError::none);
        CHECK(out.state == VbucketState::replica);
        CHECK_FALSE(out.collection);
        const Parsed both = parsed(GetAllVbSeqnosRequest{{}, VbucketState::active, 0x55});
        REQUIRE(decode(both.frame, out) == RequestError::none);
        CHECK(out.collection == 0x55);
        Frame frame = both.frame;
        frame.extras.remove_suffix(1);
        CHECK(decode(frame, out) == RequestError::bad_extras);
        frame.extras = std::string_view("\0\0\0\5", 4);
        CHECK(decode(frame, out) == RequestError::bad_extras);
    }
    SECTION("random key") {
        GetRandomKeyRequest request{context, {}};
        GetRandomKeyRequest out;
        const Parsed bare = parsed(request);
        REQUIRE(decode(bare.frame, out) == RequestError::none);
        check_context(out.context);
        CHECK(decode(bare.frame, out, with_collections) == RequestError::bad_extras);
        request.context.collection = 0x80;
        const Parsed with = parsed(request);
        REQUIRE(decode(with.frame, out, with_collections) == RequestError::none);
        CHECK(out.context.collection == 0x80);
        CHECK_FALSE(out.include_xattrs);
        CHECK(decode(with.frame, out) == RequestError::bad_extras);
        request.include_xattrs = true;
        REQUIRE(decode(parsed(request).frame, out, with_collections) == RequestError::none);
        CHECK(out.include_xattrs == true);
    }
    SECTION("quiet metadata") {
        Parsed p = parsed(GetMetaRequest{context, "key", 2});
        p.frame.opcode = Opcode::getq_meta;
        GetMetaRequest out;
        REQUIRE(decode(p.frame, out) == RequestError::none);
        CHECK(out.version == 2);
    }
}
