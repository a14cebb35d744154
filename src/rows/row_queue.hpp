#pragma once

#include "protocol/json_check.hpp"

#include <chaise/row.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::detail {

/// Rows that have come and were not taken. Those of one piece of the answer lie together in a block, which they own
/// together when they are taken.
class RowQueue {
public:
    /// Rows of another piece come: those of the last one may be taken, and stay where they are.
    void begin_piece(std::size_t size);
    void add(std::string_view row);
    /// The piece is over: its rows are checked, all at once, and may be taken. False: one is no JSON; it and those
    /// behind it are dropped.
    [[nodiscard]] bool end_piece();
    [[nodiscard]] bool take(Row& row);
    [[nodiscard]] bool empty() const noexcept { return rows_ == 0; }
    [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    /// Of rows, and of blocks that are kept to be used again; without those that taken rows own.
    [[nodiscard]] std::size_t memory() const noexcept;
    void clear() noexcept;

private:
    /// `[ROW,ROW]`
    struct Block {
        std::string text;
        std::vector<std::size_t> ends;
        [[nodiscard]] std::string_view row(std::size_t n) const noexcept {
            const std::size_t begin = n == 0 ? 1 : ends[n - 1] + 1;
            return std::string_view(text).substr(begin, ends[n] - begin);
        }
        std::size_t taken = 0;
    };
    void recycle(std::shared_ptr<Block> block);

    std::deque<std::shared_ptr<Block>> blocks_;
    std::vector<std::shared_ptr<Block>> spare_;
    protocol::JsonCheck is_json_;
    std::size_t rows_ = 0;
    std::size_t bytes_ = 0;
};

}  // namespace chaise::detail
