#include "bucket/snappy_values.hpp"

#include <chaise/result.hpp>

#include <snappy.h>

#include <algorithm>
#include <utility>

namespace chaise::detail {

namespace {

std::size_t compressed_from(const Settings& settings) noexcept {
    const bool asked = settings.compression == Compression::on || settings.compression == Compression::force;
    return asked && settings.connection.scheme != Scheme::memcached ? settings.compression_min_size
                                                                    : SnappyValues::nothing;
}

}  // namespace

SnappyValues::SnappyValues(const Settings& settings, BufferPool& pool) noexcept
    : pool_(pool), from_(compressed_from(settings)), ratio_(settings.compression_min_ratio) {}

std::optional<std::string_view> SnappyValues::deflate(std::string_view value) {
    const std::size_t most = snappy::MaxCompressedLength(value.size());
    if (room_size_ < most) {
        room_ = std::make_unique_for_overwrite<char[]>(most);
        room_size_ = most;
    }
    std::size_t size = 0;
    snappy::RawCompress(value.data(), value.size(), room_.get(), &size);
    if (static_cast<double>(size) > ratio_ * static_cast<double>(value.size())) return std::nullopt;
    return std::string_view(room_.get(), size);
}

void SnappyValues::release_room() noexcept {
    room_.reset();
    room_size_ = 0;
}

std::optional<SnappyValues::Inflated> SnappyValues::inflate(std::string_view block, std::size_t limit) {
    std::size_t size = 0;
    if (!snappy::GetUncompressedLength(block.data(), block.size(), &size) || size > limit) return std::nullopt;
    if (size > BufferPool::standard_capacity) {
        KeptBuffer own(Buffer::make(size));
        if (!snappy::RawUncompress(block.data(), block.size(), own->data())) return std::nullopt;
        Buffer* const buffer = own.get();
        return Inflated{{buffer->data(), size}, buffer, std::move(own)};
    }
    if (block_ && used_ != 0 && block_->unique()) used_ = 0;  // nobody looks at what was inflated before
    if (!block_ || block_->capacity() - used_ < size) {
        if (block_) pool_.put(std::move(block_));
        block_ = pool_.get();
        used_ = 0;
    }
    char* const value = block_->data() + used_;
    if (!snappy::RawUncompress(block.data(), block.size(), value)) return std::nullopt;
    // Results copy short values. What may be read behind a longer one is not written to later, on another thread's
    // back.
    if (size > ValueResult::inline_capacity) {
        constexpr std::size_t line = 64;
        used_ = std::min((used_ + size + buffer_padding + line - 1) / line * line, block_->capacity());
    }
    return Inflated{{value, size}, block_.get(), {}};
}

}  // namespace chaise::detail
