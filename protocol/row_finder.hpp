#pragma once

#include "protocol/json_index.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace chaise::protocol {

/// Finds the rows that lie whole in a piece of an answer, and checks them as JsonCheck would, all in one go. What is
/// wrong with a piece it does not say: RowSplitter and JsonCheck do, row by row.
class RowFinder {
public:
    /// Offsets in the text.
    struct Extent {
        std::uint32_t begin;
        std::uint32_t end;
        [[nodiscard]] std::size_t size() const noexcept { return end - begin; }
    };

    /// Of a text that begins where a row does, with JsonIndex::padding behind it: appends those that are whole. Numbers
    /// and words only if something follows. False: there is something that is no JSON, or deeper than `max_depth`, and
    /// `rows` are of no use; what the text has behind its rows counts, too.
    [[nodiscard]] bool operator()(std::string_view text, std::size_t max_depth, std::vector<Extent>& rows);

private:
    JsonIndex index_;
};

}  // namespace chaise::protocol
