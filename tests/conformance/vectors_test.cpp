#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "protocol/frame_reader.hpp"
#include "protocol/request_decoder.hpp"
#include "protocol/response_encoder.hpp"
#include "protocol/vbucket.hpp"
#include "vector.hpp"

namespace chaise::testing {

using namespace protocol;

std::vector<Vector> load_vectors() {
    const char* other = std::getenv("CHAISE_VECTORS");
    const std::string path = other != nullptr ? other : CHAISE_TEST_DATA "/vectors.json";
    std::ifstream file(path);
    if (!file) throw FieldError("cannot read " + path);
    std::stringstream text;
    text << file.rdbuf();
    std::vector<Vector> vectors;
    const Json list = Json::parse(text.str());
    for (const auto& member : list.members) {
        const Json& json = member.second;
        Vector& vector = vectors.emplace_back();
        vector.name = json["name"].text();
        vector.kind = json["kind"].text();
        vector.bytes = json["hex"].bytes();
        vector.fields = json["fields"];
        if (const Json* connection = json.find("connection"))
            vector.collections = connection->has("collections") && (*connection)["collections"].flag();
    }
    return vectors;
}

bool is_own_file() { return std::getenv("CHAISE_VECTORS") == nullptr; }

namespace {

Frame parse_whole(std::string_view bytes) {
    Frame frame;
    const ParseResult result = parse_frame(bytes, frame);
    if (result.status != ParseStatus::complete || result.size != bytes.size()) throw FieldError("not one whole frame");
    return frame;
}

bool has_fields(const Vector& vector) {
    return vector.kind == "request" || vector.kind == "response" || vector.kind == "server_request" ||
           vector.kind == "server_response";
}

// A frame of a client's or a server's, built by the encoders of what the server sends.
std::string rebuild(const Frame& frame) {
    if (frame.magic == Magic::server_request)
        return encoded(
            ServerRequest{frame.server_opcode(), frame.opaque, frame.datatype, frame.extras, frame.key, frame.value});
    if (frame.magic == Magic::server_response)
        return encoded(PushResponse{frame.opaque, frame.server_opcode(), frame.status()});
    return encoded(Response{frame.opcode, frame.status(), frame.opaque, frame.cas, frame.datatype,
                            is_flexible(frame.magic), frame.framing_extras, frame.extras, frame.key, frame.value});
}

struct Outcome {
    std::string built;                 // requests only
    std::vector<std::string> untyped;  // what only the framing was compared of
};

// The whole test of one vector; throws FieldError when anything differs.
Outcome verify(const Vector& vector, const Json& fields) {
    Outcome outcome;
    const Frame frame = parse_whole(vector.bytes);
    if (vector.kind == "request") {
        if (name(frame.opcode) == "UNKNOWN") outcome.untyped.push_back(vector.name + ": opcode");
        std::vector<std::string> unnamed;
        outcome.built = build_request(fields, unnamed);
        for (const std::string& what : unnamed) outcome.untyped.push_back(vector.name + ": " + what + ".hex");
        if (outcome.built != vector.bytes)
            throw FieldError("built " + to_hex(outcome.built) + " instead of " + to_hex(vector.bytes));
        check_request_details(fields, frame);
    } else {
        if (rebuild(frame) != vector.bytes) throw FieldError("the encoder makes other bytes");
        if (vector.kind == "response") check_response(fields, frame);
        if (vector.kind == "server_request") check_server_request(fields, frame);
    }
    check_frame(fields, frame);
    return outcome;
}

// An opcode without a typed encoder is compared at framing level.
Outcome verify_or_list(const Vector& vector) {
    const Frame frame = parse_whole(vector.bytes);
    std::vector<std::string> unnamed;
    if (vector.kind == "request") {
        try {
            (void)build_request(vector.fields, unnamed);
        } catch (const FieldError& error) {
            if (std::string_view(error.what()).find("no typed") == std::string_view::npos) throw;
            check_frame(vector.fields, frame);
            return {{}, {vector.name + ": " + error.what()}};
        }
    }
    return verify(vector, vector.fields);
}

std::vector<std::string> unread_fields(const Vector& vector) {
    std::vector<std::string> unread;
    std::vector<std::pair<std::string, Json*>> leaves;
    Json copy = vector.fields;
    copy.leaves("", leaves);
    for (const auto& [path, leaf] : leaves)
        if (!leaf->read) unread.push_back(vector.name + path);
    return unread;
}

void mutate(Json& leaf, const std::string& path) {
    const auto is_hex_digits = [&path] {
        for (const char* end : {".hex", ".data_hex", ".collection_id_leb128", ".scan_id"})
            if (path.ends_with(end)) return true;
        return false;
    };
    switch (leaf.kind) {
        case Json::Kind::null:
            leaf.kind = Json::Kind::boolean;
            break;
        case Json::Kind::boolean:
            leaf.boolean = !leaf.boolean;
            break;
        case Json::Kind::integer:
            leaf.integer += 1;
            break;
        case Json::Kind::real:
            leaf.real += 0.01;
            break;
        case Json::Kind::string:
            if (is_hex_digits() || leaf.string.starts_with("0x")) {
                if (leaf.string.empty()) leaf.string = "01";
                char& last = path.ends_with("[]") && leaf.string.size() > 6 ? leaf.string[5] : leaf.string.back();
                last = last == '0' ? '1' : '0';
            } else if (leaf.string.empty()) {
                leaf.string = "a";
            } else {
                leaf.string[0] = leaf.string[0] == 'a' ? 'b' : 'a';
            }
            break;
        case Json::Kind::array:
            leaf.members.emplace_back("", Json{});
            break;
        case Json::Kind::object:
            leaf.members.emplace_back("more", Json{});
            break;
    }
}

bool refused(const Vector& vector, const Json& fields) {
    try {
        (void)verify(vector, fields);
        return false;
    } catch (const std::exception&) {
        return true;
    }
}

// What a server that reads strictly says to a request that is well-formed as a frame.
bool server_refuses(const Frame& frame, bool collections) {
    if (decode_frame_infos(frame.framing_extras).error != FrameInfoError::none) return true;
    GetRequest get;
    StoreRequest store;
    const RequestDecodeOptions options{collections};
    const RequestError error = decode(frame, get, options);
    if (error == RequestError::bad_opcode) return decode(frame, store, options) != RequestError::none;
    return error != RequestError::none;
}

}  // namespace

TEST_CASE("every vector is built and read through its types") {
    const std::vector<Vector> vectors = load_vectors();
    REQUIRE_FALSE(vectors.empty());
    std::vector<std::string> untyped;
    std::map<std::string, int> kinds;
    for (const Vector& vector : vectors) {
        ++kinds[vector.kind];
        if (!has_fields(vector)) continue;
        INFO(vector.name);
        CHECK_NOTHROW([&] {
            const Outcome outcome = verify_or_list(vector);
            untyped.insert(untyped.end(), outcome.untyped.begin(), outcome.untyped.end());
        }());
        const std::vector<std::string> unread = unread_fields(vector);
        untyped.insert(untyped.end(), unread.begin(), unread.end());
    }
    std::cout << "vectors: " << vectors.size() << " (";
    for (const auto& [kind, count] : kinds) std::cout << ' ' << count << ' ' << kind;
    std::cout << " ); without a type, compared at framing level:" << (untyped.empty() ? " none" : "") << '\n';
    for (const std::string& field : untyped) std::cout << "  " << field << '\n';
    if (is_own_file()) CHECK(untyped.empty());
}

// What proves that the test above can fail: whichever field of the file says something else, it is noticed; and what a
// request is built from changes its bytes.
TEST_CASE("changing any named field is noticed") {
    std::size_t changed = 0;
    std::size_t inputs = 0;
    for (const Vector& vector : load_vectors()) {
        if (!has_fields(vector)) continue;
        try {
            if (!verify(vector, vector.fields).untyped.empty()) continue;
        } catch (const FieldError&) {
            continue;  // the first test case tells
        }
        if (!unread_fields(vector).empty()) continue;
        Json copy = vector.fields;
        std::vector<std::pair<std::string, Json*>> leaves;
        copy.leaves("", leaves);
        for (const auto& [path, leaf] : leaves) {
            INFO(vector.name << path);
            const Json before = *leaf;
            mutate(*leaf, path);
            CHECK(refused(vector, copy));
            if (vector.kind == "request") {
                leaf->read = false;
                try {
                    std::vector<std::string> unnamed;
                    const std::string built = build_request(copy, unnamed);
                    if (leaf->read) {
                        CHECK(built != vector.bytes);
                        ++inputs;
                    }
                } catch (const std::exception&) {
                    // No such request can be built.
                }
            }
            *leaf = before;
            ++changed;
        }
        std::vector<std::pair<std::string, Json*>> arrays;
        copy.arrays("", arrays);
        std::reverse(arrays.begin(), arrays.end());  // inner ones first: putting an array back moves what is in it
        for (const auto& [path, array] : arrays) {
            INFO(vector.name << path << " without its last element");
            const Json before = *array;
            array->members.pop_back();
            CHECK(refused(vector, copy));
            *array = before;
        }
    }
    std::cout << "vectors: " << changed << " fields changed one at a time, " << inputs
              << " of them inputs of encoders\n";
    CHECK(changed > 0);
}

TEST_CASE("malformed and incomplete vectors") {
    for (const Vector& vector : load_vectors()) {
        INFO(vector.name);
        Frame frame;
        const ParseResult result = parse_frame(vector.bytes, frame);
        if (vector.kind == "incomplete") {
            CHECK(result.status == ParseStatus::need_more);
            CHECK(result.size > vector.bytes.size());
        } else if (vector.kind == "malformed") {
            if (result.status == ParseStatus::complete)
                CHECK(server_refuses(frame, vector.collections));
            else
                CHECK(result.status == ParseStatus::error);
            // What has to fail in a client's parser, whatever a server would say.
            const std::set<std::string> framing = {"bad_magic", "bad_key_longer_than_body",
                                                   "bad_extras_longer_than_body", "bad_frame_info_overrun",
                                                   "bad_framing_extras_longer_than_body"};
            if (framing.contains(vector.name)) CHECK(result.status == ParseStatus::error);
        }
        if (vector.kind == "incomplete" || result.status == ParseStatus::error) {
            FrameReader reader;
            ParseStatus status = ParseStatus::need_more;
            for (const char& byte : vector.bytes) {
                CHECK(reader.feed({&byte, 1}) == 1);
                status = reader.next(frame);
                REQUIRE(status != ParseStatus::complete);
            }
            CHECK(status == result.status);
            CHECK(reader.error() == result.error);
        }
    }
}

TEST_CASE("sequences are the frames they name, in any pieces") {
    std::map<std::string, std::string> by_name;
    const std::vector<Vector> vectors = load_vectors();
    for (const Vector& vector : vectors) by_name[vector.name] = vector.bytes;
    for (const Vector& vector : vectors) {
        if (vector.kind != "sequence") continue;
        INFO(vector.name);
        FrameReader reader;
        Frame frame;
        std::string_view left = vector.bytes;
        for (const auto& member : vector.fields["frames"].members) {
            const std::string& expected = by_name.at(member.second.text());
            ParseStatus status = ParseStatus::need_more;
            for (; status == ParseStatus::need_more && !left.empty(); left.remove_prefix(1)) {
                reader.feed(left.substr(0, 1));
                status = reader.next(frame);
            }
            REQUIRE(status == ParseStatus::complete);
            CHECK(vector.bytes.substr(vector.bytes.size() - left.size() - expected.size(), expected.size()) ==
                  expected);
            CHECK(frame.opaque == parse_whole(expected).opaque);
        }
        CHECK(left.empty());
        CHECK(reader.buffered() == 0);
    }
}

TEST_CASE("all frames in one stream, in random pieces") {
    std::string stream;
    std::vector<std::string> expected;
    for (const Vector& vector : load_vectors()) {
        if (!has_fields(vector)) continue;
        stream += vector.bytes;
        expected.push_back(vector.bytes);
    }
    std::mt19937 random(20240605);
    for (const std::size_t largest : {1u, 7u, 25u, 300u, 5000u, 1000000u}) {
        FrameReader reader;
        Frame frame;
        std::string_view left = stream;
        std::size_t count = 0;
        while (!left.empty()) {
            const std::size_t piece = std::uniform_int_distribution<std::size_t>(1, largest)(random);
            left.remove_prefix(reader.feed(left.substr(0, piece)));
            while (reader.next(frame) == ParseStatus::complete) {
                REQUIRE(count < expected.size());
                const Frame whole = parse_whole(expected[count++]);
                CHECK(frame.opaque == whole.opaque);
                CHECK(frame.extras == whole.extras);
                CHECK(frame.key == whole.key);
                CHECK(frame.value == whole.value);
            }
        }
        CHECK(count == expected.size());
        CHECK(reader.error() == FrameError::none);
        CHECK(reader.buffered() == 0);
    }
}

// The file's own rule: vbucket of the logical key among 1024.
TEST_CASE("requests of our file are addressed by their key") {
    if (!is_own_file()) return;
    std::size_t checked = 0;
    for (const Vector& vector : load_vectors()) {
        if (vector.kind != "request") continue;
        const Frame frame = parse_whole(vector.bytes);
        if (!carries_collection(frame.opcode) || frame.key.empty()) continue;
        std::string_view key = frame.key;
        if (vector.fields["key"].has("collection_id")) key.remove_prefix(load_leb128(key)->size);
        INFO(vector.name);
        CHECK(vbucket_of(key, 1024) == frame.vbucket());
        ++checked;
    }
    CHECK(checked > 50);
}

}  // namespace chaise::testing
