// libFuzzer: the rows that RowFinder finds at once are those that RowSplitter gives one by one, and JSON to JsonCheck.
//
//     fuzz_row_finder -max_len=4096 -timeout=10 corpus/

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/json_check.hpp"
#include "protocol/row_finder.hpp"
#include "protocol/row_splitter.hpp"

using namespace chaise::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    // What follows the text must make no difference.
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (text.find_first_of(" \t\r\n") == 0) return 0;  // it begins where a row does
    const std::string padded = std::string(text) + std::string(JsonIndex::padding, static_cast<char>(data[0]));
    RowFinder finder;
    std::vector<RowFinder::Extent> found;
    if (!finder(std::string_view(padded).substr(0, text.size()), 20, found)) return 0;

    RowSplitter splitter("rows", {.max_row = 4096, .max_meta = 4096, .max_depth = 20});
    JsonCheck is_json;
    std::string_view row;
    std::string_view input = R"({"rows":[)";
    if (splitter.next(input, row) != RowSplitter::Step::more) std::abort();
    input = text;
    for (const RowFinder::Extent& extent : found) {
        if (splitter.next(input, row) != RowSplitter::Step::row) std::abort();
        if (row != text.substr(extent.begin, extent.size())) std::abort();
        if (!is_json(row)) std::abort();
    }
    return 0;
}
