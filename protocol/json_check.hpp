#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace chaise::protocol {

/// Whether a text is one JSON value and nothing else (RFC 8259), in UTF-8, its brackets no deeper than 1024; numbers
/// may be of any size, escapes must make characters. Keeps its memory from one text to the next.
class JsonCheck {
public:
    /// As many bytes may be read behind the text, whatever is in them.
    static constexpr std::size_t padding = 64;

    JsonCheck();
    JsonCheck(const JsonCheck&) = delete;
    JsonCheck& operator=(const JsonCheck&) = delete;
    ~JsonCheck();
    [[nodiscard]] bool operator()(std::string_view text);
    /// Of a text with padding behind it, which need not be copied.
    [[nodiscard]] bool padded(std::string_view text);

private:
    struct Parser;
    std::unique_ptr<Parser> parser_;
};

}  // namespace chaise::protocol
