#include "rows/row_queue.hpp"

#include <algorithm>
#include <utility>

namespace chaise::detail {

namespace {
constexpr std::size_t most_spare = 4;
constexpr std::size_t largest_spare = std::size_t{256} << 10;
}  // namespace

void RowQueue::begin_piece(std::size_t size) {
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

void RowQueue::add(std::string_view row) {
    Block& block = *blocks_.back();
    block.text += block.text.empty() ? '[' : ',';
    block.text += row;
    block.ends.push_back(block.text.size());
}

bool RowQueue::end_piece() {
    Block& block = *blocks_.back();
    const std::size_t all = block.ends.size();
    if (all != 0) {
        block.text += ']';
        block.text.reserve(block.text.size() + protocol::JsonCheck::padding);
        // Rows that are no JSON cannot make a whole that is: of each the strings end and the brackets close in it.
        if (!is_json_.padded(block.text)) {
            std::size_t good = 0;
            while (good < all && is_json_(block.row(good))) ++good;
            block.ends.resize(good);
        }
        rows_ += block.ends.size();
        for (std::size_t i = 0; i < block.ends.size(); ++i) bytes_ += block.row(i).size();
    }
    const bool valid = block.ends.size() == all;
    if (block.ends.empty()) {
        std::shared_ptr<Block> unused = std::move(blocks_.back());
        blocks_.pop_back();
        recycle(std::move(unused));
    }
    return valid;
}

bool RowQueue::take(Row& row) {
    if (rows_ == 0) return false;
    const std::shared_ptr<Block>& block = blocks_.front();
    const std::string_view text = block->row(block->taken);
    row = Row(block, text);
    --rows_;
    bytes_ -= text.size();
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

std::size_t RowQueue::memory() const noexcept {
    std::size_t sum = 0;
    const auto add = [&](const std::shared_ptr<Block>& block) {
        sum += sizeof(Block) + block->text.capacity() + block->ends.capacity() * sizeof(block->ends[0]);
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
