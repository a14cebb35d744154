#include "protocol/frame_reader.hpp"

#include <algorithm>

namespace chaise::protocol {

namespace {

constexpr std::size_t slack = 64 * 1024;  // lets small frames be read many at a time

}  // namespace

std::size_t FrameReader::feed(std::string_view bytes) {
    if (error_ != FrameError::none) return bytes.size();  // nobody will parse it
    buffer_.erase(0, start_);
    start_ = 0;
    const std::size_t limit = header_size + max_body_ + slack;
    const std::size_t taken = std::min(bytes.size(), limit - std::min(limit, buffer_.size()));
    buffer_.append(bytes.substr(0, taken));
    return taken;
}

ParseStatus FrameReader::next(Frame& out) noexcept {
    if (error_ != FrameError::none) return ParseStatus::error;
    const ParseResult result = parse_frame(std::string_view(buffer_).substr(start_), out, max_body_);
    if (result.status == ParseStatus::complete) start_ += result.size;
    error_ = result.error;
    return result.status;
}

}  // namespace chaise::protocol
