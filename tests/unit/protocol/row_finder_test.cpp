#include "protocol/row_finder.hpp"

#include "protocol/json_check.hpp"
#include "protocol/row_splitter.hpp"
#include "tests/unit/protocol/random_answers.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

using namespace chaise::protocol;
using Strings = std::vector<std::string>;

namespace {

constexpr std::size_t any_depth = 2000;

/// The rows; nothing: there is something wrong. Behind the text is what would make others of them.
std::optional<Strings> find(std::string_view text, std::size_t max_depth = any_depth) {
    Strings out;
    for (const char behind : {',', '9', '"'}) {
        const std::string padded = std::string(text) + std::string(JsonIndex::padding, behind);
        RowFinder finder;
        std::vector<RowFinder::Extent> rows;
        if (!finder(std::string_view(padded).substr(0, text.size()), max_depth, rows)) return std::nullopt;
        Strings found;
        for (const auto& row : rows) found.push_back(padded.substr(row.begin, row.size()));
        if (behind != ',') CHECK(found == out);
        out = std::move(found);
    }
    return out;
}

}  // namespace

TEST_CASE("rows that lie whole in a text are found", "[rows]") {
    CHECK(find("{\"a\":1},{\"b\":[2,{}]}") == Strings{"{\"a\":1}", "{\"b\":[2,{}]}"});
    CHECK(find("[] , \"x\"\r\n,\t{ } \n") == Strings{"[]", "\"x\"", "{ }"});
    CHECK(find("\"a,\\\"]\",\"\\\\\",[\"}\"]") == Strings{"\"a,\\\"]\"", "\"\\\\\"", "[\"}\"]"});
    // Behind the last one anything of JSON may come; what it is the splitter knows.
    CHECK(find("1,[2]],\"status\":\"success\"}") == Strings{"1", "[2]"});
    CHECK(find("\"x\" 7") == Strings{"\"x\""});
    CHECK(find("[1] [2]") == std::nullopt);
    CHECK(find("{} \"x\"") == std::nullopt);
    CHECK(find("true{") == std::nullopt);
    CHECK(find("[1],]") == std::nullopt);
    CHECK(find("[1],,[2]") == std::nullopt);
}

TEST_CASE("a row that goes on behind the text is none yet", "[rows]") {
    const std::string first = "{\"a\":-1.5e3,\"b\":true}";
    const std::string text = first + ",[\"x\\\"y\\\\\",null,\"\"]";
    for (std::size_t size = 0; size <= text.size(); ++size) {
        INFO(size);
        Strings rows;
        if (size >= first.size()) rows.push_back(first);
        if (size == text.size()) rows.push_back(text.substr(first.size() + 1));
        CHECK(find(text.substr(0, size)) == rows);
    }
    // A number or a word may go on; something that follows ends it.
    CHECK(find("12") == Strings{});
    CHECK(find("12,") == Strings{"12"});
    CHECK(find("12 ]") == Strings{"12"});
    CHECK(find("true,fals") == Strings{"true"});
    CHECK(find("true,false]") == Strings{"true", "false"});
    CHECK(find("1,-") == Strings{"1"});
    // Characters that are cut are in a string, which is cut, too.
    CHECK(find("\"\xc3\xa4\",\"\xc3") == Strings{"\"\xc3\xa4\""});
    CHECK(find("\"\\u00e4\",\"\\u00") == Strings{"\"\\u00e4\""});
    // A string may be longer than what is looked at in one go, and have quotes in it.
    for (std::size_t size = 0; size < 200; ++size) {
        const std::string slashes(size, '\\');
        CHECK(find("[1],\"" + slashes + "\"").value().size() == (size % 2 == 0 ? 2 : 1));
    }
}

TEST_CASE("rows that are no JSON are not found", "[rows]") {
    for (const std::string_view row : {"x",         "{\"a\":}",
                                       "{a:1}",     "[1}",
                                       "[1 2]",     "{\"a\":1,}",
                                       "[,]",       "01",
                                       "tru",       "truer",
                                       "\"\\x\"",   "\"\\ud83c\"",
                                       "\"\xff\"",  "\"\n\"",
                                       "[\"a\":1]", "{\"a\"}",
                                       "\"a\"b",    "1a",
                                       "[1\\,2]",   "\xef\xbb\xbf{}",
                                       "{\"a\" 1}", "[\"\\ud83c\",\"\\udf7a\"]"}) {
        INFO(row);
        const std::string text = "{\"good\":1}," + std::string(row) + ",{\"good\":2}";
        const auto rows = find(text);
        if (rows) CHECK(*rows == Strings{"{\"good\":1}"});  // it stopped there
    }
    CHECK(find("[[[]]]", 3) == Strings{"[[[]]]"});
    CHECK(find("[[[]]]", 2) == std::nullopt);
    const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    CHECK(find(nested(1024)));
    CHECK(find(nested(1025)) == std::nullopt);
}

TEST_CASE("of random rows, cut anywhere, those are found that the splitter gives and JsonCheck lets pass", "[rows]") {
    RandomAnswers random(GENERATE(1u, 2u, 3u));
    JsonCheck is_json;
    std::size_t good = 0;
    std::size_t bad = 0;
    std::size_t found = 0;
    for (unsigned run = 0; run < 4000; ++run) {
        std::string text = random.rows(12);
        if (run % 2 == 1) random.spoil(text);
        text.resize(random.below(text.size() + 1));
        text.erase(0, text.find_first_not_of(" \t\r\n"));
        if (text.empty()) continue;
        INFO("run " << run << ": " << text);
        Strings wanted;
        RowSplitter splitter("rows");
        std::string_view row;
        std::string_view input = "{\"rows\":[";
        REQUIRE(splitter.next(input, row) == RowSplitter::Step::more);
        input = text;
        bool valid = true;
        while (splitter.next(input, row) == RowSplitter::Step::row) {
            valid = valid && is_json(row);
            if (valid) wanted.emplace_back(row);
        }
        const auto rows = find(text);
        ++(rows ? good : bad);
        if (!rows) {
            // Something is wrong indeed: nothing that could follow makes a document of it.
            if (!valid || splitter.error() != RowSplitError::none) continue;
            std::string whole = "[" + text;
            for (const char* end : {"]", "\"]", "1]", "\":1}]", "}]", "]]"}) CHECK_FALSE(is_json(whole + end));
            continue;
        }
        found += rows->size();
        if (rows->size() > wanted.size()) FAIL("too many");
        if (!std::equal(rows->begin(), rows->end(), wanted.begin())) FAIL("others");
        // All of them, if nothing is wrong; but numbers and words at the end.
        if (valid && rows->size() + 1 < wanted.size()) FAIL("too few");
        if (valid && rows->size() < wanted.size() && splitter.error() == RowSplitError::none) FAIL("one too few");
    }
    CHECK(good > 2000);
    CHECK(bad > 200);
    CHECK(found > 5000);
}
