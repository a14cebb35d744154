#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace chaise::protocol {

/// Where in a JSON text its brackets, colons, commas, strings and other values begin: what simdjson's first stage
/// finds. It looks at every byte, so that what has an index is UTF-8, and its strings end and have no control
/// characters. Keeps its memory from one text to the next.
class JsonIndex {
public:
    /// As many bytes may be read behind a text, whatever is in them.
    static constexpr std::size_t padding = 64;

    JsonIndex();
    JsonIndex(const JsonIndex&) = delete;
    JsonIndex& operator=(const JsonIndex&) = delete;
    ~JsonIndex();

    /// Of a text with padding behind it. False: it has none; so has a text without anything in it.
    [[nodiscard]] bool read(std::string_view text);
    /// Offsets, in order; behind the last one the size of the text.
    [[nodiscard]] const std::uint32_t* offsets() const noexcept;
    [[nodiscard]] std::size_t size() const noexcept;

private:
    struct Parser;
    std::unique_ptr<Parser> parser_;
};

}  // namespace chaise::protocol
