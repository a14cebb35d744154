#pragma once

#include "protocol/json_check.hpp"
#include "protocol/row_finder.hpp"
#include "protocol/row_splitter.hpp"

#include <chaise/row.hpp>

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::detail {

/// Rows that have come and were not taken. Those that came together lie in one block, which they own together when they
/// are taken.
class RowQueue {
public:
    /// The rows in the next piece of the answer, which the splitter has got so far, until it is used up or the splitter
    /// fails. False: one is no JSON; it and those behind it are dropped.
    [[nodiscard]] bool add(protocol::RowSplitter& splitter, std::string_view piece);
    [[nodiscard]] bool take(Row& row);
    [[nodiscard]] bool empty() const noexcept { return rows_ == 0; }
    [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    /// Of rows, and of blocks that are kept to be used again; without those that taken rows own.
    [[nodiscard]] std::size_t memory() const noexcept;
    void clear() noexcept;

private:
    /// A part of the answer, with what is between its rows.
    struct Block {
        std::string text;
        std::vector<protocol::RowFinder::Extent> rows;
        std::size_t taken = 0;
        [[nodiscard]] std::string_view row(std::size_t n) const noexcept {
            return std::string_view(text).substr(rows[n].begin, rows[n].size());
        }
    };
    [[nodiscard]] std::shared_ptr<Block> new_block(std::size_t size);
    void push(std::shared_ptr<Block> block);
    void recycle(std::shared_ptr<Block> block);
    [[nodiscard]] bool add_together(protocol::RowSplitter& splitter, std::string_view row, std::string_view& rest);
    [[nodiscard]] bool add_one(std::string_view row);

    std::deque<std::shared_ptr<Block>> blocks_;
    std::vector<std::shared_ptr<Block>> spare_;
    protocol::RowFinder find_rows_;
    protocol::JsonCheck is_json_;
    std::size_t rows_ = 0;
    std::size_t bytes_ = 0;
};

}  // namespace chaise::detail
