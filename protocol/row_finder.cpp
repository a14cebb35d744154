#include "protocol/row_finder.hpp"

#include "protocol/json_bits.hpp"
#include "protocol/json_walk.hpp"

#include <algorithm>
#include <bit>

namespace chaise::protocol {

namespace {

/// Of a text that begins outside of strings: what comes before the string that does not end in it.
std::string_view without_open_string(std::string_view text) noexcept {
    bool open = false;
    bool escaped = false;  // the next byte is
    std::size_t at = 0;
#if defined(__SSE2__)
    std::uint64_t toggles = 0;
    for (; text.size() - at >= JsonBlock::size; at += JsonBlock::size) {
        const JsonBlock block(text.data() + at);
        std::uint64_t quotes = block.equal('"');
        const std::uint64_t backslashes = block.equal('\\');
        if ((backslashes | std::uint64_t{escaped}) != 0) quotes &= ~escaped_bytes(backslashes, escaped, escaped);
        toggles ^= quotes;
    }
    open = (std::popcount(toggles) & 1) != 0;
#endif
    for (; at < text.size(); ++at) {
        if (escaped) {
            escaped = false;
        } else if (text[at] == '\\') {
            escaped = true;
        } else if (text[at] == '"') {
            open = !open;
        }
    }
    while (open) {  // its quote is the last one that is not escaped
        text = text.substr(0, text.rfind('"'));
        const std::size_t slashes = text.size() - 1 - text.find_last_not_of('\\');
        open = slashes % 2 != 0;
    }
    return text;
}

}  // namespace

bool RowFinder::operator()(std::string_view text, std::size_t max_depth, std::vector<Extent>& rows) {
    text = without_open_string(text);
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
    return well_escaped(text.substr(0, end));
}

}  // namespace chaise::protocol
