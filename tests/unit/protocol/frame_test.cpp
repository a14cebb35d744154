#include <catch2/catch.hpp>

#include <random>

#include "protocol/frame_reader.hpp"
#include "protocol/response_encoder.hpp"
#include "tests/fuzz/decode_everything.hpp"

using namespace chaise::protocol;

namespace {

std::string header(std::initializer_list<int> bytes) {
    std::string text;
    for (const int byte : bytes) text += static_cast<char>(byte);
    text.resize(header_size, '\0');
    return text;
}

// Bytes that a read past the end hits at once under ASan.
std::unique_ptr<char[]> exactly(std::string_view bytes) {
    auto copy = std::make_unique<char[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), copy.get());
    return copy;
}

std::string some(std::mt19937& random, std::size_t most) {
    std::string text(std::uniform_int_distribution<std::size_t>(0, most)(random), '\0');
    for (char& c : text) c = static_cast<char>(random());
    return text;
}

// Frames of every magic and shape; mostly with bodies that mean something to some decoder.
std::string random_frame(std::mt19937& random) {
    static constexpr Opcode opcodes[] = {Opcode::get,       Opcode::set,           Opcode::increment,
                                         Opcode::stat,      Opcode::observe,       Opcode::observe_seqno,
                                         Opcode::hello,     Opcode::get_meta,      Opcode::subdoc_multi_lookup,
                                         Opcode::sasl_auth, Opcode::subdoc_get,    Opcode::range_scan_continue,
                                         Opcode::touch,     Opcode::get_error_map, Opcode::subdoc_multi_mutation};
    const Opcode opcode = opcodes[random() % std::size(opcodes)];
    const auto u32 = [&random] { return static_cast<std::uint32_t>(random()); };
    const std::string key = some(random, 40);
    const std::string value = random() % 8 == 0 ? some(random, 3000) : some(random, 60);
    switch (random() % 5) {
        case 0:
            return encoded(GetRequest{{.opaque = u32(), .vbucket = 5}, key + "k", Opcode::get});
        case 1: {
            const RequestFrameInfo infos[] = {RequestFrameInfo::durability(DurabilityLevel::majority, 100),
                                              RequestFrameInfo::impersonate(std::string_view(value).substr(0, 100))};
            return encoded(StoreRequest{{.opaque = u32(), .cas = random(), .collection = u32(), .frame_infos = infos},
                                        Opcode::set,
                                        key + "k",
                                        value,
                                        1,
                                        2});
        }
        case 2: {
            std::string infos(frame_info_size(0, 2), '\0');
            store_frame_info(infos.data(), 0, "ab");
            return encoded(Response{opcode, Status::success, u32(), random(), 1, true,
                                    random() % 2 == 0 ? std::string_view(infos) : "", some(random, 21), key, value});
        }
        case 3:
            return encoded(
                ServerRequest{ServerOpcode::clustermap_change_notification, u32(), 0, some(random, 16), key, value});
        default:
            return encoded(Response{opcode,
                                    static_cast<Status>(random() % 256),
                                    u32(),
                                    random(),
                                    0,
                                    false,
                                    {},
                                    some(random, 21),
                                    key,
                                    value});
    }
}

struct Copy {
    Magic magic;
    Opcode opcode;
    std::uint8_t datatype;
    std::uint16_t specific;
    std::uint32_t opaque;
    std::uint64_t cas;
    std::string framing, extras, key, value;
    bool operator==(const Copy&) const = default;
};

Copy copy(const Frame& f) {
    return {f.magic,
            f.opcode,
            f.datatype,
            f.specific,
            f.opaque,
            f.cas,
            std::string(f.framing_extras),
            std::string(f.extras),
            std::string(f.key),
            std::string(f.value)};
}

}  // namespace

TEST_CASE("one frame is parsed in place") {
    const std::string bytes = encoded(Response{.opcode = Opcode::getk,
                                               .status = Status::locked,
                                               .opaque = 0x01020304,
                                               .cas = 0x1122334455667788,
                                               .datatype = 1,
                                               .extras = "abcd",
                                               .key = "key",
                                               .value = "value"});
    Frame frame;
    const std::string stream = bytes + "more";
    const ParseResult result = parse_frame(stream, frame);
    REQUIRE(result.status == ParseStatus::complete);
    CHECK(result.size == bytes.size());
    CHECK(frame.magic == Magic::client_response);
    CHECK(frame.opcode == Opcode::getk);
    CHECK(frame.status() == Status::locked);
    CHECK(frame.opaque == 0x01020304);
    CHECK(frame.cas == 0x1122334455667788);
    CHECK(frame.datatype == 1);
    CHECK(frame.framing_extras.empty());
    CHECK(frame.extras == "abcd");
    CHECK(frame.key == "key");
    CHECK(frame.value == "value");
    CHECK(frame.key.data() == stream.data() + 28);  // a view, no copy
}

TEST_CASE("need more says how much; an error is none") {
    const std::string bytes = encoded(Response{.opcode = Opcode::get, .extras = "abcd", .value = "0123456789"});
    Frame frame;
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const auto exact = exactly(std::string_view(bytes).substr(0, size));
        const ParseResult result = parse_frame({exact.get(), size}, frame);
        CHECK(result.status == ParseStatus::need_more);
        CHECK(result.size == (size < header_size ? header_size : bytes.size()));
        CHECK(result.error == FrameError::none);
    }
    CHECK(frame.value.data() == nullptr);  // never written
}

TEST_CASE("corrupt streams are told from short ones") {
    Frame frame;
    const auto error_of = [&frame](std::string_view bytes) {
        const ParseResult result = parse_frame(bytes, frame);
        CHECK(result.status == ParseStatus::error);
        return result.error;
    };
    CHECK(error_of("\x79") == FrameError::bad_magic);  // known after one byte
    CHECK(error_of(header({0x00})) == FrameError::bad_magic);
    // Key 6 > body 5; extras 3 + key 3 > body 5; framing 200.
    CHECK(error_of(header({0x81, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 5})) == FrameError::lengths_exceed_body);
    CHECK(error_of(header({0x80, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 5})) == FrameError::lengths_exceed_body);
    CHECK(error_of(header({0x18, 0, 200, 0, 0, 0, 0, 0, 0, 0, 0, 5})) == FrameError::lengths_exceed_body);
    CHECK(error_of(header({0x81, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0, 0, 0})) == FrameError::body_too_large);
    CHECK(error_of(header({0x18, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1}) + "\x02") == FrameError::bad_frame_info);
    // The limit itself passes.
    CHECK(parse_frame(header({0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}), frame, 9).status == ParseStatus::need_more);
    CHECK(parse_frame(header({0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10}), frame, 9).status == ParseStatus::error);
    for (const FrameError error : {FrameError::bad_magic, FrameError::body_too_large, FrameError::lengths_exceed_body,
                                   FrameError::bad_frame_info})
        CHECK(name(error) != "UNKNOWN");
}

TEST_CASE("frame infos of three bytes: the server's duration, others, malformed ones") {
    Frame frame;
    std::string bytes;  // what the frame looks into
    const auto parsed = [&](std::string_view infos) {
        bytes = header({0x18, 0, 3, 1, 4, 0, 0, 0, 0, 0, 0, 13}) + std::string(infos) + "flagkvalue";
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            const auto exact = exactly(std::string_view(bytes).substr(0, size));
            CHECK(parse_frame({exact.get(), size}, frame).status == ParseStatus::need_more);
        }
        return parse_frame(bytes, frame);
    };
    for (const std::string_view infos : {"\x02"
                                         "ab",
                                         "\x12"
                                         "ab",
                                         "\x11"
                                         "a\x20",
                                         "\x10\x20\x30"}) {
        const ParseResult result = parsed(infos);
        REQUIRE(result.status == ParseStatus::complete);
        CHECK(result.size == 24 + 13);
        CHECK(frame.extras == "flag");
        CHECK(frame.key == "k");
        CHECK(frame.value == "value");
    }
    for (const std::string_view infos : {"\x03"
                                         "ab",
                                         "\x01"
                                         "a\x01",
                                         "\x0f"
                                         "ab"}) {
        CHECK(parsed(infos).error == FrameError::bad_frame_info);
    }
}

TEST_CASE("any split of any sequence of frames gives the same messages") {
    for (unsigned seed = 0; seed < 300; ++seed) {
        INFO("seed " << seed);
        std::mt19937 random(seed);
        std::string stream;
        std::vector<Copy> expected;
        for (std::size_t n = random() % 20; n != 0; --n) {
            const std::string bytes = random_frame(random);
            Frame frame;
            REQUIRE(parse_frame(bytes, frame).status == ParseStatus::complete);
            expected.push_back(copy(frame));
            stream += bytes;
        }
        const std::size_t largest = std::size_t{1} << random() % 14;
        FrameReader reader;
        std::vector<Copy> actual;
        for (std::string_view left = stream; !left.empty();) {
            const std::size_t piece =
                std::min(left.size(), std::uniform_int_distribution<std::size_t>(1, largest)(random));
            const auto exact = exactly(left.substr(0, piece));
            REQUIRE(reader.feed({exact.get(), piece}) == piece);
            left.remove_prefix(piece);
            Frame frame;
            while (reader.next(frame) == ParseStatus::complete) actual.push_back(copy(frame));
        }
        CHECK(actual == expected);
        CHECK(reader.buffered() == 0);
        CHECK(reader.error() == FrameError::none);
    }
}

TEST_CASE("no decoder reads past a frame, however its bytes are changed") {
    chaise::testing::DecodeEverything decode;
    std::size_t complete = 0;
    for (unsigned seed = 0; seed < 4000; ++seed) {
        std::mt19937 random(seed);
        std::string bytes = random_frame(random);
        for (std::size_t n = random() % 4; n != 0; --n) bytes[random() % bytes.size()] = static_cast<char>(random());
        if (random() % 4 == 0) bytes.resize(random() % bytes.size());
        const auto exact = exactly(bytes);
        Frame frame;
        if (parse_frame({exact.get(), bytes.size()}, frame, 1u << 16).status != ParseStatus::complete) continue;
        decode(frame);
        ++complete;
    }
    CHECK(complete > 1000);
}

TEST_CASE("the reader's buffer is bounded, and every frame within the bound gets through") {
    constexpr std::uint32_t max_body = 100;
    FrameReader reader(max_body);
    const std::string flood(10'000'000, '\x81');  // body length 0x81818181: refused by the first look
    const std::string large = encoded(Response{.opcode = Opcode::get, .value = std::string(max_body, 'x')});
    std::string stream;
    while (stream.size() < 1'000'000) stream += large;
    std::string_view left = stream;
    std::size_t frames = 0;
    std::size_t most = 0;
    Frame frame;
    while (!left.empty()) {
        const std::size_t taken = reader.feed(left);
        REQUIRE(taken > 0);
        left.remove_prefix(taken);
        most = std::max(most, reader.buffered());
        while (reader.next(frame) == ParseStatus::complete) ++frames;
    }
    CHECK(frames == stream.size() / large.size());
    CHECK(most < 200'000);
    reader.feed(flood);
    CHECK(reader.next(frame) == ParseStatus::error);
    CHECK(reader.error() == FrameError::body_too_large);
    CHECK(reader.feed(large) == large.size());  // nothing helps
    CHECK(reader.next(frame) == ParseStatus::error);
}
