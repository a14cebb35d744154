// Typed operations: formats and their flags, transcoders of one's own, and what cannot be coded.

#include "tests/unit/engine/cluster_fixture.hpp"

#include <chaise/chaise.hpp>
#include <chaise/json.hpp>

#include <catch2/catch.hpp>

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace chaise;
using namespace chaise::testing;

namespace app {

struct User {
    std::string name;
    int age = 0;
    std::vector<std::string> tags{};
    std::optional<double> height{};
    friend bool operator==(const User&, const User&) = default;
};
void append_json(std::string& out, const User& user) {
    chaise::JsonObject(out)
        .add("name", user.name)
        .add("age", user.age)
        .add("tags", user.tags)
        .add("height", user.height);
}
simdjson::error_code read_json(simdjson::ondemand::value from, User& user) {
    if (const auto error = chaise::read_json(from["name"], user.name)) return error;
    if (const auto error = chaise::read_json(from["age"], user.age)) return error;
    if (const auto error = chaise::read_json(from["tags"], user.tags)) return error;
    return chaise::read_json(from["height"], user.height);
}

/// A name in JSON: a document that is no object.
enum class Color { red, green };
void append_json(std::string& out, Color color) { out += color == Color::red ? "\"red\"" : "\"green\""; }
simdjson::error_code read_json(simdjson::ondemand::value from, Color& color) {
    std::string name;
    if (const auto error = chaise::read_json(from, name)) return error;
    if (name != "red" && name != "green") return simdjson::INCORRECT_TYPE;
    color = name == "red" ? Color::red : Color::green;
    return simdjson::SUCCESS;
}

/// A format of its own, with a state: numbers, one more than they are. 13 it cannot.
struct Shifted {
    int by = 1;
    Coded<EncodedValue> encode(int number, std::string& room) const {
        if (number == 13) return uncoded("unlucky");
        if (number == 14) throw std::runtime_error("unluckier");
        room = std::to_string(number + by);
        return EncodedValue{room, flags_of(Format::custom)};
    }
    template <class T>
    Coded<T> decode(const ValueResult& result) const {
        if (format_of(result.flags()) != Format::custom) return uncoded("not shifted");
        return std::stoi(result.owned()) - by;  // throws for what is no number
    }
};
static_assert(Transcoder<Shifted, int>);
static_assert(!Transcoder<Shifted, std::string>);
static_assert(Transcoder<DefaultTranscoder, std::string> && Transcoder<DefaultTranscoder, User>);
static_assert(!Transcoder<DefaultTranscoder, void*>);

}  // namespace app

namespace {

using app::Color;
using app::Shifted;
using app::User;

struct Typed : ClusterFixture {
    Typed() : ClusterFixture(ScriptMap::spread({"n1"})) { connected(); }
    ScriptCluster::Item& item(const std::string& key) { return cluster.node("n1").items[key]; }
    void run(Task<> task) {
        bool done = false;
        const auto whole = [](Task<> inner, bool& end) -> Task<> {
            co_await std::move(inner);
            end = true;
        };
        spawn(loop, whole(std::move(task), done));
        loop.run();
        CHECK(done);
    }
};

}  // namespace

TEST_CASE("flags say the format, common ones and those of old", "[transcoder]") {
    for (const Format format : {Format::json, Format::utf8, Format::bytes, Format::custom}) {
        CHECK(format_of(flags_of(format)) == format);
    }
    CHECK(flags_of(Format::json) == 0x02000000);
    CHECK(flags_of(Format::utf8) == 0x04000004);
    CHECK(flags_of(Format::bytes) == 0x03000002);
    CHECK(flags_of(Format::custom) == 0x01000001);
    const std::vector<std::pair<std::uint32_t, Format>> all = {
        {0x02000006, Format::json},
        {0x02ffffff, Format::json},
        {0x04000000, Format::utf8},
        {0x03000000, Format::bytes},
        {0x01000000, Format::custom},
        {0x05000000, Format::bytes},
        {0xff000000, Format::bytes},
        {0, Format::json},
        {1, Format::custom},
        {2, Format::bytes},
        {4, Format::utf8},
        {3, Format::bytes},
        {0x104, Format::bytes},
    };
    for (const auto& [flags, format] : all) {
        CAPTURE(flags);
        CHECK(format_of(flags) == format);
    }
}

TEST_CASE("what is UTF-8", "[transcoder]") {
    for (const char* right : {"", "ascii", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                              "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "a\xe2\x82\xac!"}) {
        CHECK(is_utf8(right));
    }
    for (const char* wrong :
         {"\x80", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2g", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xe2\x82g", "\xf0\x90\x80", "ok\xff"}) {
        CHECK_FALSE(is_utf8(wrong));
    }
}

TEST_CASE("text, bytes and JSON text come back as they went", "[transcoder]") {
    Typed f;
    f.run([](Typed& t) -> Task<> {
        auto texts = t.bucket->typed<std::string>();
        const auto stored = co_await texts.upsert("text", "h\xc3\xa4?");
        CHECK(t.item("text").flags == flags_of(Format::utf8));
        const auto text = co_await texts.get("text");
        CHECK(text.value() == "h\xc3\xa4?");
        CHECK(text.flags() == flags_of(Format::utf8));
        CHECK(text.cas() == stored.cas());
        CHECK(text.success());

        auto blobs = t.bucket->typed<Bytes>();
        const Bytes blob = {std::byte{0}, std::byte{255}, std::byte{7}};
        co_await blobs.upsert("blob", blob);
        CHECK(t.item("blob").flags == flags_of(Format::bytes));
        CHECK(t.item("blob").value == std::string("\0\xff\7", 3));
        const auto back = co_await blobs.get("blob");
        CHECK(back.value() == blob);
        const auto as_text = co_await texts.get("blob");
        CHECK(as_text.value() == std::string("\0\xff\7", 3));

        auto jsons = t.bucket->typed<JsonText>();
        co_await jsons.upsert("json", JsonText("{}"));
        CHECK(t.item("json").flags == flags_of(Format::json));
        const auto json = co_await jsons.get("json");
        CHECK(json.value().text() == "{}");

        t.item("plain") = {"of memcached", 0, 7, 0};
        const auto plain = co_await texts.get("plain");
        CHECK(plain.value() == "of memcached");
        t.item("old") = {"of old", 4, 7, 0};
        const auto old = co_await texts.get("old");
        CHECK(old.value() == "of old");
    }(f));
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("objects of one's own as JSON", "[transcoder]") {
    Typed f;
    f.run([](Typed& t) -> Task<> {
        auto users = t.bucket->typed<User>();
        const User ann{"Ann \"x\" \\ \n\x01", 41, {"a", "b"}, 1.75};
        co_await users.upsert("ann", ann);
        CHECK(t.item("ann").flags == flags_of(Format::json));
        CHECK(t.item("ann").value == R"({"name":"Ann \"x\" \\ \u000a\u0001","age":41,"tags":["a","b"],"height":1.75})");
        User found = (co_await users.get("ann")).value();
        CHECK(found == ann);
        // As others write it: other order, white space, more members, legacy flags.
        t.item("bob") = {R"( { "age": 7, "name": "Bob", "other": {"x": [1]}, "tags": [] } )", 0, 7, 0};
        found = (co_await users.get("bob")).value();
        CHECK(found == User{"Bob", 7});

        auto numbers = t.bucket->typed<int>();
        co_await numbers.upsert("n", -5);
        CHECK(t.item("n").value == "-5");
        const auto number = co_await numbers.get("n");
        CHECK(number.value() == -5);
        auto colors = t.bucket->typed<Color>();
        co_await colors.upsert("color", Color::green);
        CHECK(t.item("color").value == R"("green")");
        auto color = co_await colors.get("color");
        CHECK(color.value() == Color::green);
        t.item("color").value = " \"re\\u0064\" ";
        color = co_await colors.get("color");
        CHECK(color.value() == Color::red);
        using Maps = std::map<std::string, std::vector<std::optional<bool>>>;
        const Maps maps = {{"a", {true, std::nullopt, false}}, {"b", {}}};
        auto all = t.bucket->typed<Maps>();
        co_await all.upsert("maps", maps);
        CHECK(t.item("maps").value == R"({"a":[true,null,false],"b":[]})");
        const auto again = co_await all.get("maps");
        CHECK(again.value() == maps);
    }(f));
}

TEST_CASE("what cannot be decoded is an error of its operation alone", "[transcoder]") {
    Typed f;
    const auto refused = [&]<class T>(std::type_identity<T>, ScriptCluster::Item item, std::string_view why) {
        f.item("bad") = std::move(item);
        f.item("good") = {"fine", flags_of(Format::utf8), 7, 0};
        Outcome& bad = f.track(f.bucket->typed<T>().get("bad"));
        Outcome& good = f.get("good");
        f.loop.run();
        REQUIRE(bad.failed(errc::decoding_failure));
        CHECK(bad.error->context().key == "bad");
        CHECK(bad.error->context().operation == "get");
        CHECK_THAT(bad.error->message(), Catch::Contains(std::string(why)));
        CHECK(good.ok());
        std::string thrown;
        f.run([](Typed& t, std::string& out) -> Task<> {
            try {
                [[maybe_unused]] const auto never = co_await t.bucket->typed<T>().get("bad");
                FAIL("decoded");
            } catch (const ValueFormatError& error) {
                out = error.what();
            }
            const auto expected = co_await t.bucket->typed<T>().get("bad").as_expected();
            CHECK_FALSE(expected.has_value());
            CHECK(expected.error().code() == errc::decoding_failure);
        }(f, thrown));
        CHECK_THAT(thrown, Catch::Contains(std::string(why)));
    };
    const std::type_identity<std::string> text;
    const std::type_identity<User> user;
    const std::type_identity<int> number;
    const auto json = flags_of(Format::json);
    refused(text, {"\xff", flags_of(Format::utf8), 7, 0}, "is not");
    refused(text, {"{}", json, 7, 0}, "is JSON");
    refused(text, {"x", flags_of(Format::custom), 7, 0}, "transcoder");
    refused(user, {"{}", flags_of(Format::utf8), 7, 0}, "not JSON");
    refused(user, {"", json, 7, 0}, "");
    refused(user, {R"({"name":"a")", json, 7, 0}, "");
    refused(user, {R"({"name":1,"age":1,"tags":[]})", json, 7, 0}, "");
    refused(user, {R"([1])", json, 7, 0}, "");
    refused(number, {"4711471147", json, 7, 0}, "");  // more than an int
    refused(number, {"1 2", json, 7, 0}, "");
    const std::type_identity<Color> color;
    for (const char* bad : {"\"blue\"", "\"red\" 1", "\"red\",\"red\"", "\"red\"]", "\"red\"],[1", "\"red", "7", ""}) {
        INFO(bad);
        refused(color, {bad, json, 7, 0}, "");
    }
    refused(std::type_identity<JsonText>{}, {"", json, 7, 0}, "empty");
}

TEST_CASE("what cannot be encoded is an error before anything is sent", "[transcoder]") {
    Typed f;
    auto texts = f.bucket->typed<std::string>();
    Outcome& text = f.track(texts.upsert("k", "\xff"));
    const Shifted shifted;
    auto numbers = f.bucket->typed<int>(shifted);
    Outcome& unlucky = f.track(numbers.insert("k", 13));
    Outcome& thrown = f.track(numbers.replace("k", 14));
    Outcome& infinite = f.track(f.bucket->typed<double>().upsert("k", HUGE_VAL));
    f.loop.run();
    for (const auto& [outcome, why] :
         std::vector<std::pair<Outcome*, std::string>>{{&text, "upsert \"k\": encoding failure: the text is not UTF-8"},
                                                       {&unlucky, "insert \"k\": encoding failure: unlucky"},
                                                       {&thrown, "replace \"k\": encoding failure: unluckier"},
                                                       {&infinite, "infinity"}}) {
        REQUIRE(outcome->failed(errc::encoding_failure));
        CHECK_THAT(outcome->error->message(), Catch::Contains(why));
        CHECK_FALSE(outcome->error->may_have_happened());
    }
    CHECK(f.cluster.seen.empty());
}

TEST_CASE("a transcoder of one's own, with options, callbacks, quiet and cancel", "[transcoder]") {
    Typed f;
    const Shifted shifted{.by = 100};
    auto numbers = f.bucket->typed<int>(shifted);
    Outcome& stored = f.track(numbers.upsert("n", 7, {.preserve_expiry = true}));
    f.loop.run();
    CHECK(stored.ok());
    CHECK(f.item("n").value == "107");
    CHECK(f.item("n").flags == flags_of(Format::custom));
    CHECK(f.cluster.seen.back().framing == "\x50");
    int found = 0;
    numbers.get("n").set_callbacks([&](const TypedResult<int>& r) { found = r.value(); },
                                   [](const Error& error) { FAIL(error.message()); });
    f.loop.run();
    CHECK(found == 7);

    Outcome& nothing = f.track(numbers.get("none"));
    Outcome& quiet = f.track(numbers.get("none", {.quiet = true}));
    auto cancelled = numbers.get("n");
    cancelled.cancel();
    Outcome& gone = f.track(std::move(cancelled));
    f.loop.run();
    CHECK(nothing.failed(errc::document_not_found));
    CHECK(quiet.ok());
    CHECK(quiet.rc == errc::document_not_found);
    CHECK(gone.failed(errc::cancelled));
    f.item("word") = {"word", flags_of(Format::custom), 7, 0};
    Outcome& word = f.track(numbers.get("word"));  // stoi throws
    f.loop.run();
    CHECK(word.failed(errc::decoding_failure));
    CHECK(f.bucket->operations() == 0);
}

TEST_CASE("typed multi operations: each entry has its own decoding", "[transcoder]") {
    Typed f;
    f.run([](Typed& t) -> Task<> {
        auto users = t.bucket->typed<User>();
        const std::map<std::string, User> all = {{"a", {"A", 1}}, {"b", {"B", 2}}, {"c", {"C", 3}}};
        const auto stored = co_await users.upsert_multi(all);
        CHECK(stored.all_ok());
        const std::vector<std::string> names = {"c", "a", "b"};
        const auto found = co_await users.get_multi(names);
        CHECK(found.all_ok());
        CHECK(found[0].key == "c");
        CHECK(found.at("b")->value() == User{"B", 2});

        t.item("a").value = "broken";
        const std::vector<std::string> more = {"c", "none", "a", "b"};
        const auto partly = co_await users.get_multi(more, {.quiet = true}).as_expected();
        REQUIRE_FALSE(partly.has_value());
        CHECK(partly.error().code() == errc::decoding_failure);
        CHECK(partly.error().context().key == "a");
        CHECK(partly.error().context().operation == "get_multi");
        const auto rest = partly.error().all_results<TypedResult<User>>();
        REQUIRE(rest.size() == 4);
        CHECK(rest.at("b")->value() == User{"B", 2});
        CHECK(rest.at("none")->rc() == errc::document_not_found);
        CHECK(rest.at("none")->errstr() == "document not found");
        CHECK_FALSE(rest.at("a").has_value());
        CHECK_FALSE(rest.all_ok());

        // Another's error comes first, and what could be decoded is there.
        const auto loud = co_await users.get_multi(more).as_expected();
        REQUIRE_FALSE(loud.has_value());
        CHECK(loud.error().code() == errc::document_not_found);
        CHECK(loud.error().all_results<TypedResult<User>>().at("c")->value() == User{"C", 3});
    }(f));

    f.cluster.seen.clear();
    const Shifted shifted;
    std::optional<Error> refused;
    const std::map<std::string, int> numbers = {{"x", 1}, {"y", 13}};
    f.bucket->typed<int>(shifted).insert_multi(numbers).set_callbacks([](const auto&) { FAIL("stored"); },
                                                                      [&](const Error& error) { refused = error; });
    f.loop.run();
    REQUIRE(refused);
    CHECK(refused->code() == errc::encoding_failure);
    CHECK_THAT(refused->message(), Catch::Contains("insert_multi \"y\": encoding failure: unlucky"));
    CHECK(f.cluster.seen.empty());
    CHECK(f.bucket->operations() == 0);
}
