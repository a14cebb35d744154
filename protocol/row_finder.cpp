#include "protocol/row_finder.hpp"

#include "protocol/json_strings.hpp"
#include "protocol/json_walk.hpp"

#include <algorithm>

namespace chaise::protocol {

bool RowFinder::operator()(std::string_view text, std::size_t max_depth, std::vector<Extent>& rows) {
    const JsonStrings strings(text);
    text = text.substr(0, strings.closed);
    if (text.empty()) return true;
    if (!index_.read(text)) return false;
    JsonWalk walk(text, index_);
    walk.distrust_end();
    const std::size_t deepest = std::min(max_depth, JsonWalk::max_depth);
    std::size_t end = 0;
    for (;;) {
        const std::size_t begin = walk.offset();
        const JsonWalk::Found found = walk.value(deepest);
        if (found == JsonWalk::Found::invalid) return false;
        if (found == JsonWalk::Found::incomplete) break;
        end = walk.end_of_value();
        rows.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)});
        if (walk.mark(',')) continue;
        if (!walk.at_end() && !walk.mark(']')) return false;
        break;
    }
    return end <= strings.well_escaped;
}

}  // namespace chaise::protocol
