// JsonCheck beside a parser that makes values: they agree about every text, but for numbers that no type can hold.
#include "protocol/json_check.hpp"

#include <catch2/catch.hpp>

#include <simdjson.h>

#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>
#include <string_view>

namespace {

using chaise::protocol::JsonCheck;

/// What simdjson's document model says; numbers beyond all types are good.
enum class Word { good, bad, number };

Word word_of(simdjson::dom::parser& parser, const std::string& text) {
    const simdjson::padded_string padded(text);
    const auto error = parser.parse(padded).error();
    if (error == simdjson::SUCCESS) return Word::good;
    return error == simdjson::NUMBER_ERROR ? Word::number : Word::bad;
}

bool has_half_characters(std::string text) {
    static constexpr std::string_view whole = "\\uD83C\\uDF7A";
    for (auto at = text.find(whole); at != std::string::npos; at = text.find(whole, at))
        text.replace(at, whole.size(), "x");
    return text.find("\\uD") != std::string::npos || text.find("\\ud") != std::string::npos;
}

class Writer {
public:
    explicit Writer(std::uint64_t seed) : random_(seed) {}

    std::string document() {
        out_.clear();
        value(0);
        return out_;
    }
    /// A byte or a few become others, go, or come.
    std::string spoilt(std::string text) {
        static constexpr std::string_view bytes = "{}[]:,\"\\ \n\t019-+.eEtfnu/abd\x01\x7f\x80\xc3\xa9\xed\xff";
        for (std::size_t i = 0, n = 1 + below(3); i < n; ++i) {
            const std::size_t at = text.empty() ? 0 : below(text.size());
            switch (below(4)) {
                case 0:
                    text.insert(at, 1, bytes[below(bytes.size())]);
                    break;
                case 1:
                    if (!text.empty()) text.erase(at, 1 + below(3));
                    break;
                case 2:
                    if (!text.empty()) text[at] = bytes[below(bytes.size())];
                    break;
                default:
                    text += text.substr(at, below(5));
            }
        }
        return text;
    }
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }

private:
    void space() {
        if (below(4) == 0) out_ += std::string_view(" \n\t\r").substr(below(4), 1);
    }
    void text() {
        out_ += '"';
        for (std::size_t i = 0, n = below(12); i < n; ++i) {
            static constexpr std::string_view pieces[] = {
                "a",    "xyz",     "\xc3\xa9",       "\xf0\x9f\x8d\xba", "\\n",           "\\\"",
                "\\\\", "\\u0041", "\\uD83C\\uDF7A", "\\uFFFF",          "{\"a\":[1,2]}", "/"};
            std::string piece(pieces[below(std::size(pieces))]);
            if (piece.front() == '{') piece = "{[,:]}";
            out_ += piece;
        }
        out_ += '"';
    }
    void value(unsigned depth) {
        space();
        switch (below(depth > 5 ? 5 : 8)) {
            case 0:
                text();
                break;
            case 1:
                out_ += std::to_string(static_cast<std::int32_t>(random_()));
                break;
            case 2: {
                static constexpr std::string_view numbers[] = {"0",
                                                               "-0",
                                                               "0.5",
                                                               "1e5",
                                                               "-1.25E-3",
                                                               "10.0e+2",
                                                               "1e400",
                                                               "01",
                                                               "1.",
                                                               ".5",
                                                               "-",
                                                               "1e",
                                                               "123456789012345678901234567890",
                                                               "2e+"};
                out_ += numbers[below(8) != 0 ? below(6) : below(std::size(numbers))];
                break;
            }
            case 3:
                out_ += std::initializer_list<std::string_view>{"true", "false", "null"}.begin()[below(3)];
                break;
            case 4:
                out_ += below(2) == 0 ? "{}" : "[ ]";
                break;
            case 5:
            case 6:
                out_ += '{';
                for (std::size_t i = 0, n = below(5); i < n; ++i) {
                    if (i != 0) out_ += ',';
                    space();
                    text();
                    space();
                    out_ += ':';
                    value(depth + 1);
                }
                out_ += '}';
                break;
            default:
                out_ += '[';
                for (std::size_t i = 0, n = below(6); i < n; ++i) {
                    if (i != 0) out_ += ',';
                    value(depth + 1);
                }
                out_ += ']';
        }
        space();
    }

    std::mt19937_64 random_;
    std::string out_;
};

}  // namespace

TEST_CASE("json check: it agrees with a parser", "[json]") {
    JsonCheck check;
    simdjson::dom::parser parser;
    Writer writer(Catch::rngSeed() != 0 ? Catch::rngSeed() : 1);
    std::size_t good = 0;
    std::size_t bad = 0;
    for (int i = 0; i < 40'000; ++i) {
        std::string text = writer.document();
        if (i % 4 != 0) text = writer.spoilt(text);
        const Word word = word_of(parser, text);
        if (word == Word::number) continue;       // whether the rest is good is not said
        if (has_half_characters(text)) continue;  // the model lets some of them pass
        CAPTURE(i, text);
        if (check(text) != (word == Word::good)) FAIL("they disagree");
        (word == Word::good ? good : bad) += 1;
    }
    CHECK(good > 5'000);
    CHECK(bad > 5'000);
}

TEST_CASE("json check: what a text may be", "[json]") {
    JsonCheck check;
    for (const char* text : {"{}", " [ ] ", "0", "-1.5e-7", "\"\"", "true", "[1,{\"a\":[]},null]", R"("\ud83c\udf7a")",
                             "123456789012345678901234567890", "[1e999]", "{\"a\":1,\"a\":2}"}) {
        CAPTURE(text);
        CHECK(check(text));
    }
    for (const char* text : {"",
                             " ",
                             "{",
                             "}",
                             "[1,]",
                             "[,1]",
                             "{\"a\"}",
                             "{\"a\":}",
                             "{\"a\":1,}",
                             "{1:2}",
                             "{a:1}",
                             "[1}",
                             "{\"a\":1]",
                             "1 2",
                             "[] []",
                             "[1 2]",
                             "01",
                             "+1",
                             "1.",
                             ".5",
                             "1e",
                             "--1",
                             "0x1",
                             "tru",
                             "truer",
                             "nul",
                             "True",
                             "'a'",
                             "\"a",
                             "\"\\x\"",
                             "\"\\u12\"",
                             "\"\\u12g4\"",
                             "\"\\ud83c\"",
                             "\"\\udf7a\"",
                             "\"\\ud83c\\u0041\"",
                             "\"\\ud83cx\"",
                             "\"\\ud83c\\n\"",
                             "[\"\\ud83c\",\"\\udf7a\"]",
                             "\"a\"b",
                             "\"\t\"",
                             "[\"a\":1]",
                             "[1:2]",
                             "//",
                             "\xef\xbb\xbf{}",
                             "\"\xff\"",
                             "1a",
                             "-"}) {
        CAPTURE(text);
        CHECK_FALSE(check(text));
    }
    JsonCheck first_of_nothing;
    CHECK_FALSE(first_of_nothing(""));
    using namespace std::string_view_literals;
    CHECK_FALSE(check("1\0"sv));
    CHECK_FALSE(check("true\0"sv));
    CHECK_FALSE(check("\0"sv));
    // Depth.
    const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    CHECK(check(nested(1024)));
    CHECK_FALSE(check(nested(1025)));
    CHECK_FALSE(check(nested(100'000)));
}
