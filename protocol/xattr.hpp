#pragma once

#include <optional>
#include <string_view>

namespace chaise::protocol {

struct Xattr {
    std::string_view name{};
    std::string_view value{};  ///< JSON
};

/// The XATTR section that starts a value whose datatype says so (protocol.md 1.4), and the document behind it.
class XattrSection {
public:
    /// Nothing when the section runs past the value.
    [[nodiscard]] static std::optional<XattrSection> parse(std::string_view value) noexcept;

    [[nodiscard]] std::string_view body() const noexcept { return body_; }
    /// The next pair; then malformed() tells whether all were whole.
    [[nodiscard]] std::optional<Xattr> next() noexcept;
    [[nodiscard]] bool malformed() const noexcept { return malformed_; }

private:
    std::string_view left_;
    std::string_view body_;
    bool malformed_ = false;
};

}  // namespace chaise::protocol
