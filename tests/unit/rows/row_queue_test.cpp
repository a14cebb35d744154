// The queue of rows: what it takes in, and what it holds.

#include "rows/row_queue.hpp"
#include "protocol/json_check.hpp"
#include "tests/unit/protocol/random_answers.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

using namespace chaise;
using protocol::RowSplitter;

namespace {

struct Outcome {
    std::vector<std::string> rows;
    bool all_json = true;
    protocol::RowSplitError error = protocol::RowSplitError::none;
    std::uint64_t offset = 0;  ///< of the error
    std::string meta;
    bool operator==(const Outcome&) const = default;
    friend std::ostream& operator<<(std::ostream& out, const Outcome& one) {
        out << one.rows.size() << " rows, " << (one.all_json ? "" : "then one that is no JSON, ") << name(one.error);
        return out << ", behind " << one.offset << " bytes, " << one.meta;
    }
};

void finish(Outcome& out, RowSplitter& splitter) {
    if (out.all_json && splitter.finish()) out.meta = splitter.meta();
    if (!out.all_json) return;
    out.error = splitter.error();
    if (out.error != protocol::RowSplitError::none) out.offset = splitter.offset();
}

/// What the splitter gives, row by row.
Outcome one_by_one(const std::vector<std::string>& pieces, RowSplitter::Limits limits) {
    Outcome out;
    RowSplitter splitter("rows", limits);
    protocol::JsonCheck is_json;
    for (std::string_view piece : pieces) {
        std::string_view row;
        while (out.all_json && splitter.next(piece, row) == RowSplitter::Step::row) {
            out.all_json = is_json(row);
            if (out.all_json) out.rows.emplace_back(row);
        }
    }
    finish(out, splitter);
    return out;
}

Outcome by_queue(const std::vector<std::string>& pieces, RowSplitter::Limits limits) {
    Outcome out;
    RowSplitter splitter("rows", limits);
    detail::RowQueue queue;
    for (std::size_t i = 0; i < pieces.size() && out.all_json; ++i) {
        if (splitter.error() != protocol::RowSplitError::none) break;
        // In memory of its own size, that is gone before the rows are taken.
        const std::vector<char> piece(pieces[i].begin(), pieces[i].end());
        out.all_json = queue.add(splitter, {piece.data(), piece.size()});
    }
    for (Row row; queue.take(row);) out.rows.emplace_back(row.json());
    CHECK(queue.bytes() == 0);
    finish(out, splitter);
    return out;
}

template <class NextSize>
std::vector<std::string> cut(std::string_view text, NextSize next_size) {
    std::vector<std::string> pieces;
    for (; !text.empty(); text.remove_prefix(pieces.back().size())) pieces.emplace_back(text.substr(0, next_size()));
    return pieces;
}

}  // namespace

TEST_CASE("rows of pieces are those that the splitter gives and JsonCheck lets pass, one by one", "[rows]") {
    RandomAnswers random(GENERATE(1u, 2u, 3u));
    std::size_t whole = 0;
    std::size_t no_json = 0;
    std::size_t failed = 0;
    for (unsigned run = 0; run < 4000; ++run) {
        std::string text = random.document(40);
        if (run % 2 == 1) random.spoil(text);
        if (const auto at = text.find("\\u00e4"); at != std::string::npos && run % 8 == 3)
            text.replace(at, 6, "\\ud83c");
        const RowSplitter::Limits limits =
            run % 3 == 0 ? RowSplitter::Limits{.max_row = 60, .max_meta = 1000, .max_depth = 4} : RowSplitter::Limits{};
        INFO("run " << run << ": " << text);
        const Outcome wanted = one_by_one({text}, limits);
        if (!(by_queue({text}, limits) == wanted)) CHECK(by_queue({text}, limits) == wanted);
        const std::size_t most = 1 + random.below(400);
        const auto pieces = cut(text, [&] { return 1 + random.below(most); });
        const Outcome in_pieces = by_queue(pieces, limits);
        if (!(in_pieces == one_by_one(pieces, limits))) CHECK(in_pieces == one_by_one(pieces, limits));
        ++(!wanted.all_json ? no_json : wanted.error != protocol::RowSplitError::none ? failed : whole);
    }
    CHECK(whole > 1000);
    CHECK(no_json > 100);
    CHECK(failed > 500);
}

TEST_CASE("rows may be larger than what is looked at in one go, and than the pieces", "[rows]") {
    std::string text = "{\"rows\":[";
    std::vector<std::string> rows;
    for (const std::size_t size : {10u, 70'000u, 20u, 200'000u, 65'536u, 30u, 65'000u, 300'000u, 40u, 50u}) {
        rows.push_back("{\"v\":[\"" + std::string(size, '}') + "\"]}");
        text += (rows.size() > 1 ? "\n,\n" : "") + rows.back();
    }
    text += "]}";
    for (const std::size_t piece : {1000u, 65'536u, 131'072u, 10'000'000u}) {
        const Outcome out = by_queue(cut(text, [&] { return piece; }), {});
        CHECK(out.error == protocol::RowSplitError::none);
        CHECK(out.rows == rows);
    }
}

TEST_CASE("rows of one piece lie where it was copied to", "[rows]") {
    RowSplitter splitter("rows");
    detail::RowQueue queue;
    REQUIRE(queue.add(splitter, "{\"rows\":[{\"a\":1},[2"));
    REQUIRE(queue.add(splitter, "],\"three\" ,\n4, {\"b\":[5]}, 6"));  // 6 may go on
    CHECK(queue.rows() == 5);
    Row one;
    REQUIRE(queue.take(one));
    REQUIRE(queue.take(one));
    const char* const text = one.json().data();
    const std::string_view wanted = "[2],\"three\" ,\n4, {\"b\":[5]}";
    for (const std::string_view row : {"[2]", "\"three\"", "4", "{\"b\":[5]}"}) {
        CHECK(one.json() == row);
        CHECK(one.json().data() == text + wanted.find(row));
        static_cast<void>(queue.take(one));
    }
    CHECK(queue.empty());
}

TEST_CASE("a row that is taken stays what it is while others come", "[rows]") {
    RowSplitter splitter("rows");
    detail::RowQueue queue;
    REQUIRE(queue.add(splitter, "{\"rows\":["));
    std::vector<Row> kept;
    for (int i = 0; i < 1000; ++i) {
        const std::string text = std::to_string(i);
        REQUIRE(queue.add(splitter, "[" + text + "],[\"" + text + "\"],"));
        CHECK(queue.rows() == 2);
        CHECK(queue.bytes() == 2 * text.size() + 6);
        Row one;
        REQUIRE(queue.take(one));
        if (i % 3 == 0) kept.push_back(one);
        REQUIRE(queue.take(one));
        CHECK(one.json() == "[\"" + text + "\"]");
    }
    for (std::size_t i = 0; i < kept.size(); ++i) CHECK(kept[i].json() == "[" + std::to_string(3 * i) + "]");
}

TEST_CASE("memory of rows that wait: of blocks, also of those that are kept to be used again", "[rows]") {
    RowSplitter splitter("rows");
    detail::RowQueue queue;
    std::string piece;
    for (int i = 0; i < 160; ++i) {
        piece += R"({"id":"beer_00000001","key":")" + std::string(60, 'k') + R"(","value":null},)";
    }
    REQUIRE(queue.add(splitter, "{\"rows\":["));
    std::size_t most = 0;
    for (int round = 0; round < 1000; ++round) {
        for (int n = 0; n < 20; ++n) REQUIRE(queue.add(splitter, piece));  // 320 KiB wait
        most = std::max(most, queue.memory());
        Row row;
        while (queue.take(row)) {
        }
        CHECK(queue.empty());
    }
    CHECK(most > 320 * 1024);
    CHECK(most < 3 * 320 * 1024);
    CHECK(queue.memory() < 4 * 40 * 1024);  // four blocks, for those that come next
}

TEST_CASE("blocks grow no larger than what comes in them, however it varies", "[rows]") {
    RowSplitter splitter("rows");
    detail::RowQueue queue;
    REQUIRE(queue.add(splitter, "{\"rows\":["));
    for (std::size_t size = 63'000; size < 65'536; size += 20) {
        REQUIRE(queue.add(splitter, "\"" + std::string(size / 2, 'x') + "\",\"" + std::string(size / 2, 'y') + "\","));
        Row row;
        while (queue.take(row)) {
        }
        CHECK(queue.memory() < 4 * 75 * 1024);
    }
}
