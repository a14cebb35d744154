#include "rows/row_queue.hpp"

#include <algorithm>
#include <utility>

namespace chaise::detail {

namespace {
constexpr std::size_t most_spare = 4;
constexpr std::size_t largest_spare = std::size_t{256} << 10;
}  // namespace

void RowQueue::begin_piece(std::size_t size) {
    if (!blocks_.empty() && blocks_.back()->ends.empty()) return;
    const auto free = std::find_if(spare_.begin(), spare_.end(), [](const auto& one) { return one.use_count() == 1; });
    if (free != spare_.end()) {
        blocks_.push_back(std::move(*free));
        spare_.erase(free);
        Block& block = *blocks_.back();
        block.text.clear();
        block.ends.clear();
        block.taken = 0;
    } else {
        blocks_.push_back(std::make_shared<Block>());
    }
    blocks_.back()->text.reserve(size + protocol::JsonCheck::padding);
}

bool RowQueue::add(std::string_view row) {
    Block& block = *blocks_.back();
    const std::size_t begin = block.text.size();
    if (block.text.capacity() < begin + row.size() + protocol::JsonCheck::padding) {
        block.text.reserve(std::max(begin + row.size() + protocol::JsonCheck::padding, 2 * block.text.capacity()));
    }
    block.text += row;
    if (!is_json_.padded(std::string_view(block.text).substr(begin))) {
        block.text.resize(begin);
        return false;
    }
    block.ends.push_back(block.text.size());
    ++rows_;
    bytes_ += row.size();
    return true;
}

bool RowQueue::take(Row& row) {
    if (rows_ == 0) return false;
    const std::shared_ptr<Block>& block = blocks_.front();
    const std::size_t begin = block->taken == 0 ? 0 : block->ends[block->taken - 1];
    const std::size_t end = block->ends[block->taken];
    row = Row(block, std::string_view(block->text).substr(begin, end - begin));
    --rows_;
    bytes_ -= end - begin;
    if (++block->taken == block->ends.size()) {
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

void RowQueue::clear() noexcept {
    blocks_.clear();
    rows_ = 0;
    bytes_ = 0;
}

}  // namespace chaise::detail
