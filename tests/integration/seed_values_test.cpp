// Cases of the seed's tests of values: Upsert, Format, Transcoder, Encoding, ConverterSet (docs/seed-tests.md).

#include "cluster_run.hpp"

#include <chaise/json.hpp>

#include <cstddef>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

using namespace chaise;
using namespace chaise::testing;

namespace {

using Numbers = std::map<std::string, int>;

Bytes bytes_of(std::string_view text) {
    Bytes bytes;
    for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
    return bytes;
}

/// Stores by one type, gives what the server then has.
template <class T>
Task<ValueResult> stored_as(AsyncBucket& bucket, std::string key, T value) {
    auto typed = bucket.typed<T>();
    co_await typed.upsert(key, value);
    const auto back = co_await typed.get(key);
    CHECK(back.value() == value);
    auto raw = co_await bucket.get(key);
    CHECK(back.flags() == raw.flags());
    CHECK(back.cas() == raw.cas());
    co_return raw;
}

template <class T>
Task<errc> read_error(AsyncBucket& bucket, std::string key) {
    const auto found = co_await bucket.typed<T>().get(key).as_expected();
    co_return code_of(found);
}

/// Points, written as "x;y" in a format of one's own.
struct Point {
    int x = 0;
    int y = 0;
    friend bool operator==(const Point&, const Point&) = default;
};
struct PointTranscoder {
    Coded<EncodedValue> encode(const Point& point, std::string& room) const {
        room = std::to_string(point.x) + ';' + std::to_string(point.y);
        return EncodedValue{room, flags_of(Format::custom)};
    }
    template <class T>
    Coded<T> decode(const ValueResult& result) const {
        const std::string text = result.owned();
        const auto middle = text.find(';');
        if (middle == std::string::npos) return uncoded("no point");
        return T{std::stoi(text), std::stoi(text.substr(middle + 1))};
    }
};
struct Broken {
    Coded<EncodedValue> encode(const Point&, std::string&) const { return uncoded("will not"); }
    template <class T>
    Coded<T> decode(const ValueResult&) const {
        throw std::runtime_error("cannot");
    }
};
struct NoMethods {};
struct NoFlags {
    std::string_view encode(const Point&, std::string&) const { return "1"; }
    template <class T>
    Coded<T> decode(const ValueResult&) const;
};
struct WrongType {
    Coded<EncodedValue> encode(const Point&, std::string&) const;
    template <class T>
    int decode(const ValueResult&) const;
};

constexpr std::string_view not_null[] = {"nul", "null null", "nulls", "tru", "true false", "1", "[]", "[null]"};
constexpr std::string_view values[] = {"{}", "[]", "-1", "null", "false", "true"};
const std::string nonascii = "gr\xc3\xbc\xc3\x9f dich \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x8d\xba";

}  // namespace

TEST_CASE("Upsert.utf8_set, utf8_set_nonascii, set_objects, from_json_string") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const std::string key = run.key("set");
        auto raw = co_await stored_as<std::string>(bucket, key, "plain");
        CHECK(raw.flags() == flags_of(Format::utf8));
        raw = co_await stored_as(bucket, key, nonascii);
        CHECK(raw.value() == nonascii);
        raw = co_await stored_as(bucket, key, true);
        CHECK(raw.value() == "true");
        CHECK(raw.flags() == flags_of(Format::json));
        raw = co_await stored_as(bucket, key, false);
        CHECK(raw.value() == "false");
        raw = co_await stored_as(bucket, key, std::optional<bool>());
        CHECK(raw.value() == "null");
        raw = co_await stored_as(bucket, key, std::optional<bool>(true));
        CHECK(raw.value() == "true");
        const std::optional<std::string> word = "\"w\"";
        raw = co_await stored_as(bucket, key, word);
        CHECK(raw.value() == R"("\"w\"")");
        raw = co_await stored_as(bucket, key, std::optional<std::vector<int>>());
        CHECK(raw.value() == "null");
        for (const std::string_view wrong : not_null) {
            CAPTURE(wrong);
            co_await bucket.upsert(key, wrong, {.flags = flags_of(Format::json)});
            CHECK_AWAIT(co_await read_error<std::optional<bool>>(bucket, key) == errc::decoding_failure);
        }

        // Text that is JSON is stored as the object that it means, and not as a string in quotes.
        raw = co_await stored_as(bucket, key, JsonText(R"({"a":[1,2]})"));
        CHECK(raw.value() == R"({"a":[1,2]})");
        const auto object = co_await bucket.typed<std::map<std::string, std::vector<int>>>().get(key);
        CHECK(object.value().at("a") == std::vector<int>{1, 2});
    });
}

TEST_CASE("Format.set_autoformat, set_format, get_noformat") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const std::string text = run.key("text"), bytes = run.key("bytes"), json = run.key("json");
        auto raw = co_await stored_as<std::string>(bucket, text, "[1");
        CHECK(raw.flags() == flags_of(Format::utf8));
        raw = co_await stored_as(bucket, bytes, bytes_of("\xff\x01"));
        CHECK(raw.flags() == flags_of(Format::bytes));
        const std::vector<int> list = {1, 2};
        raw = co_await stored_as(bucket, json, list);
        CHECK(raw.flags() == flags_of(Format::json));
        raw = co_await stored_as(bucket, json, 42);
        CHECK(raw.flags() == flags_of(Format::json));
        CHECK(raw.value() == "42");

        // What does not fit: on the way there, and on the way back.
        const auto bad = co_await bucket.typed<std::string>().upsert(text, "\xff\x01").as_expected();
        CHECK(code_of(bad) == errc::encoding_failure);
        CHECK_THROWS_AS(co_await bucket.typed<std::string>().upsert(text, "\xff\x01"), ValueFormatError);
        CHECK_AWAIT(co_await read_error<int>(bucket, text) == errc::decoding_failure);
        CHECK_AWAIT(co_await read_error<std::string>(bucket, json) == errc::decoding_failure);
        CHECK_AWAIT(co_await read_error<JsonText>(bucket, bytes) == errc::decoding_failure);

        // The bytes as they are, whatever the flags say: one, and several.
        raw = co_await bucket.get(text);
        CHECK(raw.value() == "[1");
        const auto several = co_await bucket.get_multi(keys(text, bytes, json));
        CHECK(several[1].result->value() == "\xff\x01");
        CHECK(several[2].result->value() == "42");
        const auto as_bytes = co_await bucket.typed<Bytes>().get(json);
        CHECK(as_bytes.value() == bytes_of("42"));
    });
}

TEST_CASE("Transcoder.simple, empty") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const std::string key = run.key("simple");
        const DefaultTranscoder transcoder;
        auto explicitly = bucket.typed<JsonText>(transcoder);
        auto built_in = bucket.typed<JsonText>();
        for (const std::string_view text : values) {
            CAPTURE(text);
            const JsonText json{std::string(text)};
            co_await explicitly.upsert(key, json);
            const auto found = co_await built_in.get(key);
            CHECK(found.value() == json);
            co_await built_in.upsert(key, json);
            const auto again = co_await explicitly.get(key);
            CHECK(again.value() == json);
        }
    });
}

TEST_CASE("Transcoder.bad, bad_encvals, kdec_err, anyobject") {
    // Without functions, without flags, with another type than the one that is asked for: does not compile.
    static_assert(Transcoder<PointTranscoder, Point> && Transcoder<Broken, Point>);
    static_assert(!Transcoder<NoMethods, Point> && !Transcoder<NoFlags, Point> && !Transcoder<WrongType, Point>);
    static_assert(!Transcoder<DefaultTranscoder, Point>);
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const std::string key = run.key("point");
        const PointTranscoder transcoder;
        auto points = bucket.typed<Point>(transcoder);
        const Point there{3, -4};
        co_await points.upsert(key, there);
        const auto raw = co_await bucket.get(key);
        CHECK(raw.value() == "3;-4");
        CHECK(raw.flags() == flags_of(Format::custom));
        const auto found = co_await points.get(key);
        CHECK(found.value() == there);

        const Broken broken;
        auto wrong = bucket.typed<Point>(broken);
        const auto not_encoded = co_await wrong.upsert(key, there).as_expected();
        CHECK(code_of(not_encoded) == errc::encoding_failure);
        const auto not_decoded = co_await wrong.get(key).as_expected();
        CHECK(code_of(not_decoded) == errc::decoding_failure);
        CHECK(not_decoded.error().context().key == key);
        CHECK(not_decoded.error().message().find("cannot") != std::string::npos);
        CHECK_THROWS_AS(co_await wrong.get(key), ValueFormatError);
        co_await bucket.upsert(key, "here");
        const auto no_point = co_await points.get(key).as_expected();
        CHECK(code_of(no_point) == errc::decoding_failure);
    });
}

TEST_CASE("Encoding.default_format, unicode, json_unicode, json_compact, blob, zerolength") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const std::string key = run.key(nonascii);
        co_await bucket.upsert(key, "1");  // who says nothing of flags stores what counts as JSON
        auto raw = co_await bucket.get(key);
        CHECK(format_of(raw.flags()) == Format::json);
        const auto number = co_await bucket.typed<int>().get(key);
        CHECK(number.value() == 1);

        const std::string utf16("g\0r\0\xfc\0\xdf\0", 8);
        raw = co_await stored_as(bucket, key, bytes_of(utf16));
        CHECK(raw.value() == utf16);
        const std::vector<std::string> texts = {nonascii, "\"\\"};
        raw = co_await stored_as(bucket, key, texts);
        CHECK(raw.value() == "[\"" + nonascii + R"(","\"\\"])");  // no escape but for what must have one, no blanks
        const auto several = co_await bucket.get_multi(keys(key));
        CHECK(several[0].key == key);

        const std::string blob("\0\1\xff\0", 4);
        raw = co_await stored_as(bucket, key, bytes_of(blob));
        CHECK(raw.value() == blob);
        co_await bucket.upsert(key, blob);
        raw = co_await bucket.get(key);
        CHECK(raw.value() == blob);

        raw = co_await stored_as<std::string>(bucket, key, "");
        CHECK(raw.value().empty());
        raw = co_await stored_as(bucket, key, Bytes());
        CHECK(raw.value().empty());
        const auto no_key = co_await bucket.typed<std::string>().upsert("", "v").as_expected();
        CHECK(code_of(no_key) == errc::invalid_argument);
    });
}

TEST_CASE("Encoding.passthrough, compat_interop") {
    on_clusters([](ClusterRun& run) -> Task<> {
        AsyncBucket& bucket = run.bucket();
        const std::string key = run.key("passthrough");
        const std::vector<int> list = {1, 2};
        co_await bucket.typed<std::vector<int>>().upsert(key, list);
        co_await bucket.append(key, "[3]");
        CHECK_AWAIT(co_await read_error<std::vector<int>>(bucket, key) == errc::decoding_failure);
        const auto raw = co_await bucket.get(key);
        CHECK(raw.value() == "[1,2][3]");
        co_await bucket.upsert(key, R"({"a":1} {"b":2})");
        CHECK_AWAIT(co_await read_error<Numbers>(bucket, key) == errc::decoding_failure);
        CHECK_AWAIT(co_await read_error<std::optional<Numbers>>(bucket, key) == errc::decoding_failure);
        co_await bucket.upsert(key, R"( {"a":1} )");
        const auto spaced = co_await bucket.typed<Numbers>().get(key);
        CHECK(spaced.value().at("a") == 1);
        CHECK(format_of(raw.flags()) == Format::json);

        // As clients before the common flags wrote it.
        co_await bucket.upsert(key, "[7]", {.flags = 0});
        const auto json = co_await bucket.typed<std::vector<int>>().get(key);
        CHECK(json.value() == std::vector<int>{7});
        co_await bucket.upsert(key, "pickled", {.flags = 1});
        CHECK_AWAIT(co_await read_error<std::string>(bucket, key) == errc::decoding_failure);
        co_await bucket.upsert(key, "blob", {.flags = 2});
        const auto bytes = co_await bucket.typed<Bytes>().get(key);
        CHECK(bytes.value() == bytes_of("blob"));
        co_await bucket.upsert(key, "text", {.flags = 4});
        const auto text = co_await bucket.typed<std::string>().get(key);
        CHECK(text.value() == "text");
        // And what they read: the low bits of what is written now.
        CHECK((flags_of(Format::json) & 7) == 0);
        CHECK((flags_of(Format::custom) & 7) == 1);
        CHECK((flags_of(Format::bytes) & 7) == 2);
        CHECK((flags_of(Format::utf8) & 7) == 4);
    });
}
