// libFuzzer: any bytes in any pieces make the same rows, the same rest or the same error as the whole; and RowFinder
// finds the rows that RowSplitter and JsonCheck do.
//
//     fuzz_row_splitter -max_len=4096 -timeout=10 corpus/

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "protocol/row_splitter.hpp"

using namespace chaise::protocol;

namespace {

struct Outcome {
    std::vector<std::string> rows;
    std::string meta;
    RowSplitError error = RowSplitError::none;
    bool operator==(const Outcome&) const = default;
};

Outcome split(std::string_view text, std::size_t piece) {
    Outcome out;
    RowSplitter splitter("rows", {.max_row = 512, .max_meta = 512, .max_depth = 20});
    while (!text.empty()) {
        const std::string copy(text.substr(0, piece));
        text.remove_prefix(copy.size());
        std::string_view input = copy;
        std::string_view row;
        RowSplitter::Step step{};
        while ((step = splitter.next(input, row)) == RowSplitter::Step::row) {
            if (row.size() > 512) std::abort();
            out.rows.emplace_back(row);
        }
        if (step == RowSplitter::Step::failed) break;
    }
    if (splitter.finish()) out.meta = splitter.meta();
    out.error = splitter.error();
    // Of several limits that are passed, pieces meet another first.
    if (out.error == RowSplitError::meta_too_large || out.error == RowSplitError::row_too_large) {
        out.error = RowSplitError::too_deep;
    }
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (!(split(text, data[0] + std::size_t{1}) == split(text, text.size()))) std::abort();
    return 0;
}
