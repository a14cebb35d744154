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
        return text_.size() - begin_ <= largest_ || end_of_next() != std::string::npos;
    }
    /// The next document; empty: there is none yet. Valid until the next call.
    [[nodiscard]] std::string_view next() {
        begin_ = std::min(text_.find_first_not_of('\n', begin_), text_.size());
        const std::size_t end = end_of_next();
        if (end == std::string::npos) {
            text_.erase(0, begin_);
            searched_ -= std::min(searched_, std::exchange(begin_, 0));
            return {};
        }
        const std::size_t from = std::exchange(begin_, end + separator.size());
        return std::string_view(text_).substr(from, end - from);
    }

private:
    static constexpr std::string_view separator = "\n\n\n\n";

    /// A large document comes in many pieces: none of it is searched twice, but for what may be a separator's
    /// beginning.
    [[nodiscard]] std::size_t end_of_next() {
        const std::size_t end = text_.find(separator, std::max(begin_, searched_));
        searched_ = std::min(end, text_.size() - std::min(text_.size(), separator.size() - 1));
        return end;
    }

    std::size_t largest_;
    std::size_t begin_ = 0;     ///< of what was not given away
    std::size_t searched_ = 0;  ///< before it no separator begins, behind begin_
    std::string text_;
};

}  // namespace chaise::detail
