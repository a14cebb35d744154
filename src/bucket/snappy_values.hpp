#pragma once

#include "bucket/settings.hpp"
#include "session/receive_buffer.hpp"

#include <chaise/detail/buffer.hpp>

#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>

namespace chaise::detail {

/// Values on their way to the wire and from it as Snappy blocks, by libsnappy.
class SnappyValues {
public:
    SnappyValues(const Settings& settings, BufferPool& pool) noexcept;

    /// Values of so many bytes or more are compressed, if that makes them small enough.
    [[nodiscard]] std::size_t from() const noexcept { return from_; }
    /// The block, valid until the next call; nothing if it would not be small enough.
    [[nodiscard]] std::optional<std::string_view> deflate(std::string_view value);
    /// Memory that a large value took is given back.
    void trim() noexcept {
        if (room_size_ > kept_room) release_room();
    }

    struct Inflated {
        std::string_view value;
        Buffer* buffer;  ///< holds it, and may be lent; 64 bytes behind the value may be read
        KeptBuffer own;  ///< the buffer, if it is for this value alone
    };
    /// Valid until the next call, unless lent. Nothing when the block is broken or announces more than `limit`, which
    /// is looked at before memory is taken.
    [[nodiscard]] std::optional<Inflated> inflate(std::string_view block, std::size_t limit);

    /// What no value reaches.
    static constexpr std::size_t nothing = std::numeric_limits<std::size_t>::max();

private:
    static constexpr std::size_t kept_room = std::size_t{256} * 1024;

    void release_room() noexcept;

    BufferPool& pool_;
    std::size_t from_;
    double ratio_;
    std::unique_ptr<char[]> room_;  ///< to compress into
    std::size_t room_size_ = 0;
    KeptBuffer block_;  ///< to inflate into, value behind value
    std::size_t used_ = 0;
};

}  // namespace chaise::detail
