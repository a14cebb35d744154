#pragma once

#include "protocol/json_index.hpp"

#include <string>
#include <string_view>

namespace chaise::protocol {

/// Whether a text is one JSON value and nothing else (RFC 8259), in UTF-8, its brackets no deeper than 1024; numbers
/// may be of any size, escapes must make characters. Keeps its memory from one text to the next.
class JsonCheck {
public:
    [[nodiscard]] bool operator()(std::string_view text);

private:
    JsonIndex index_;
    std::string padded_;
};

}  // namespace chaise::protocol
