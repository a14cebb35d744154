#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace chaise::detail {

/// Cuts the management service's stream into cluster maps (protocol.md 7.1): behind each stand four newlines, and
/// newlines alone keep the connection alive. Bytes in, documents out.
class ConfigDocuments {
public:
    explicit ConfigDocuments(std::size_t largest) : largest_(largest) {}

    /// False: a document that is larger than allowed; the stream is of no use any more.
    [[nodiscard]] bool feed(std::string_view bytes) {
        text_ += bytes;
        return text_.size() - begin_ <= largest_ || text_.find(separator, begin_) != std::string::npos;
    }
    /// The next document; empty: there is none yet. Valid until the next call.
    [[nodiscard]] std::string_view next() {
        begin_ = std::min(text_.find_first_not_of('\n', begin_), text_.size());
        const std::size_t end = text_.find(separator, begin_);
        if (end == std::string::npos) {
            text_.erase(0, std::exchange(begin_, 0));
            return {};
        }
        const std::size_t from = std::exchange(begin_, end + separator.size());
        return std::string_view(text_).substr(from, end - from);
    }

private:
    static constexpr std::string_view separator = "\n\n\n\n";
    std::size_t largest_;
    std::size_t begin_ = 0;  ///< of what was not given away
    std::string text_;
};

}  // namespace chaise::detail
