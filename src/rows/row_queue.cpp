#include "rows/row_queue.hpp"

#include <algorithm>
#include <utility>

namespace chaise::detail {

namespace {
/// Of the answer, rows are looked for in so much; what a row that is kept keeps with it is hardly more.
constexpr std::size_t most_at_once = std::size_t{64} << 10;
constexpr std::size_t most_spare = 4;
constexpr std::size_t largest_spare = std::size_t{256} << 10;
}  // namespace

bool RowQueue::add(protocol::RowSplitter& splitter, std::string_view piece) {
    bool together = true;
    std::string_view row;
    while (splitter.next(piece, row) == protocol::RowSplitter::Step::row) {
        if (together) together = add_together(splitter, row, piece);
        if (!together && !add_one(row)) return false;
    }
    return true;
}

/// A row, and those that lie whole in what follows it. False: something there is wrong, or so it seems.
bool RowQueue::add_together(protocol::RowSplitter& splitter, std::string_view row, std::string_view& rest) {
    const protocol::RowSplitter::Limits& limits = splitter.limits();
    std::string_view more = rest.substr(0, std::min(most_at_once, limits.max_row));
    if (more.size() < row.size()) more = {};  // hardly another one
    std::shared_ptr<Block> block = new_block(row.size() + more.size() + protocol::JsonIndex::padding);
    block->text += row;
    block->text += more;
    if (!find_rows_(block->text, limits.max_depth, block->rows) || block->rows.empty()) {
        recycle(std::move(block));
        return false;
    }
    splitter.skip_rows(rest, block->rows.back().end - row.size());
    push(std::move(block));
    return true;
}

/// False: it is no JSON.
bool RowQueue::add_one(std::string_view row) {
    if (!is_json_(row)) return false;
    std::shared_ptr<Block> block = new_block(row.size());
    block->text = row;
    block->rows.push_back({0, static_cast<std::uint32_t>(row.size())});
    push(std::move(block));
    return true;
}

/// With room for so much text.
std::shared_ptr<RowQueue::Block> RowQueue::new_block(std::size_t size) {
    const auto free = std::find_if(spare_.begin(), spare_.end(), [](const auto& one) { return one.use_count() == 1; });
    std::shared_ptr<Block> block;
    if (free == spare_.end()) {
        block = std::make_shared<Block>();
    } else {
        block = std::move(*free);
        spare_.erase(free);
    }
    block->rows.clear();
    block->taken = 0;
    block->text.clear();
    if (block->text.capacity() < size) {
        block->text = std::string();           // or it would grow to twice its size
        block->text.reserve(size + size / 8);  // the next part of the answer may be a little longer
    }
    return block;
}

void RowQueue::push(std::shared_ptr<Block> block) {
    rows_ += block->rows.size();
    for (const auto& row : block->rows) bytes_ += row.size();
    blocks_.push_back(std::move(block));
}

bool RowQueue::take(Row& row) {
    if (rows_ == 0) return false;
    const std::shared_ptr<Block>& block = blocks_.front();
    const std::string_view text = block->row(block->taken);
    row = Row(block, text);
    --rows_;
    bytes_ -= text.size();
    if (++block->taken == block->rows.size()) {
        std::shared_ptr<Block> used = std::move(blocks_.front());
        blocks_.pop_front();
        recycle(std::move(used));
    }
    return true;
}

/// It can be used again when the last row of it is gone.
void RowQueue::recycle(std::shared_ptr<Block> block) {
    if (block->text.capacity() > largest_spare) return;
    if (spare_.size() == most_spare) spare_.erase(spare_.begin());
    spare_.push_back(std::move(block));
}

std::size_t RowQueue::memory() const noexcept {
    std::size_t sum = 0;
    const auto add = [&](const std::shared_ptr<Block>& block) {
        sum += sizeof(Block) + block->text.capacity() + block->rows.capacity() * sizeof(block->rows[0]);
    };
    for (const auto& block : blocks_) add(block);
    for (const auto& block : spare_) add(block);
    return sum;
}

void RowQueue::clear() noexcept {
    blocks_.clear();
    rows_ = 0;
    bytes_ = 0;
}

}  // namespace chaise::detail
