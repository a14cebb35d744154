#pragma once

#include <catch2/catch.hpp>

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace chaise::testing {

/// tests/data/sample_config.json (protocol.md 7.8) without white space, so that a test can replace parts of it.
inline std::string sample_map() {
    std::ifstream file(CHAISE_TEST_DATA "/sample_config.json");
    REQUIRE(file);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    std::string out;
    bool in_string = false;
    for (const char c : text) {
        if (c == '"') in_string = !in_string;  // the sample escapes nothing
        if (in_string || (c != ' ' && c != '\n')) out += c;
    }
    return out;
}

/// `text` with the first `what` replaced, which must be there.
inline std::string with(std::string text, std::string_view what, std::string_view instead) {
    const std::size_t at = text.find(what);
    INFO("replacing " << what);
    REQUIRE(at != std::string::npos);
    return text.replace(at, what.size(), instead);
}

/// From `from` up to and including the bracket that closes the one it ends with.
inline std::string_view part(std::string_view text, std::string_view from) {
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string_view::npos);
    int depth = 0;
    for (std::size_t i = at; i < text.size(); ++i) {
        if (text[i] == '[' || text[i] == '{') ++depth;
        if ((text[i] == ']' || text[i] == '}') && --depth == 0) return text.substr(at, i + 1 - at);
    }
    FAIL("not closed");
    return {};
}

}  // namespace chaise::testing
