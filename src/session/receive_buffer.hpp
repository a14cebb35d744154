#pragma once

#include <chaise/detail/buffer.hpp>
#include <chaise/transport.hpp>

#include <cstddef>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

namespace chaise::detail {

/// Receive blocks that results may still share. The pool keeps its own reference to each block that it lent, and takes
/// back those that nobody else owns any more: so a result may die on any thread, and only this side ever reuses.
class BufferPool {
public:
    static constexpr std::size_t standard_capacity = 64 * 1024;
    static constexpr std::size_t max_lent = 64;

    [[nodiscard]] KeptBuffer get() {
        // Oldest first: those have had the most time to be given up.
        for (std::size_t tries = 0; tries < 4 && tries < lent_.size(); ++tries) {
            if (cursor_ >= lent_.size()) cursor_ = 0;
            KeptBuffer& candidate = lent_[cursor_];
            if (candidate->unique()) {
                KeptBuffer found = std::move(candidate);
                if (cursor_ + 1 != lent_.size()) candidate = std::move(lent_.back());
                lent_.pop_back();
                return found;
            }
            ++cursor_;
        }
        return KeptBuffer(Buffer::make(standard_capacity));
    }
    /// A block that is no longer read into.
    void put(KeptBuffer buffer) {
        if (buffer->capacity() != standard_capacity) return;
        if (lent_.size() < max_lent) {
            lent_.push_back(std::move(buffer));
        } else {
            if (cursor_ >= lent_.size()) cursor_ = 0;
            lent_[cursor_++] = std::move(buffer);
        }
    }

private:
    std::vector<KeptBuffer> lent_;
    std::size_t cursor_ = 0;
};

/// The bytes of one connection that have arrived and are not parsed yet; frames are parsed in place.
class ReceiveBuffer {
public:
    explicit ReceiveBuffer(BufferPool& pool) noexcept : pool_(pool) {}

    [[nodiscard]] std::string_view unparsed() const noexcept {
        return buffer_ ? std::string_view(buffer_->data() + begin_, end_ - begin_) : std::string_view();
    }
    [[nodiscard]] Buffer* buffer() const noexcept { return buffer_.get(); }
    void consume(std::size_t bytes) noexcept { begin_ += bytes; }
    void received(std::size_t bytes) noexcept { end_ += bytes; }
    void reset() noexcept {
        if (buffer_) pool_.put(std::move(buffer_));
        begin_ = end_ = 0;
    }

    /// Room to read into, such that a frame of `frame_size` bytes, of which the beginning may be here already, will lie
    /// in one piece.
    [[nodiscard]] MutableBuffer prepare(std::size_t frame_size) {
        const std::size_t have = end_ - begin_;
        if (!buffer_) {
            replace(frame_size);
        } else if (have == 0 && buffer_->unique() && buffer_->capacity() == BufferPool::standard_capacity) {
            begin_ = end_ = 0;
        } else if (begin_ + frame_size > buffer_->capacity() ||
                   (begin_ != 0 && buffer_->capacity() - end_ < min_room)) {
            replace(frame_size);
        }
        return {buffer_->data() + end_, buffer_->capacity() - end_};
    }

private:
    static constexpr std::size_t min_room = 4096;

    void replace(std::size_t frame_size) {
        const std::size_t have = end_ - begin_;
        if (buffer_ && buffer_->unique() && frame_size <= buffer_->capacity() &&
            buffer_->capacity() == BufferPool::standard_capacity) {
            std::memmove(buffer_->data(), buffer_->data() + begin_, have);
        } else {
            KeptBuffer next =
                frame_size <= BufferPool::standard_capacity ? pool_.get() : KeptBuffer(Buffer::make(frame_size));
            if (have != 0) std::memcpy(next->data(), buffer_->data() + begin_, have);
            std::swap(buffer_, next);
            if (next) pool_.put(std::move(next));
        }
        begin_ = 0;
        end_ = have;
    }

    BufferPool& pool_;
    KeptBuffer buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace chaise::detail
