#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/frame.hpp"

namespace chaise::protocol {

/// Makes frames of a byte stream that arrives in any pieces. Holds at most one maximal frame and a little more:
///
///     while (!bytes.empty()) {
///         bytes.remove_prefix(reader.feed(bytes));
///         while (reader.next(frame) == ParseStatus::complete) use(frame);
///     }
///
/// After an error it stays in error: the stream has no way back in step.
class FrameReader {
public:
    explicit FrameReader(std::uint32_t max_body = default_max_body) noexcept : max_body_(max_body) {}

    /// Takes as much as fits and tells how much that was; at least one byte, once next() has said need_more. Frames
    /// that were handed out before are invalid now.
    std::size_t feed(std::string_view bytes);

    /// `out` is valid until the next feed(), and written only when the frame is complete.
    ParseStatus next(Frame& out) noexcept;

    [[nodiscard]] FrameError error() const noexcept { return error_; }
    /// Bytes held that are not part of a frame handed out: not zero at the end of the stream means that it was cut.
    [[nodiscard]] std::size_t buffered() const noexcept { return buffer_.size() - start_; }

private:
    std::string buffer_;
    std::size_t start_ = 0;  // of what is not parsed yet
    std::uint32_t max_body_;
    FrameError error_ = FrameError::none;
};

}  // namespace chaise::protocol
