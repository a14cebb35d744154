#pragma once

#include <string>
#include <string_view>
#include <vector>

// Extended attributes as they are kept with a document.
namespace chaise::testing {

struct StoredXattr {
    std::string name;
    std::string value;  ///< JSON
    [[nodiscard]] bool system() const noexcept { return name.starts_with('_'); }
};
using Xattrs = std::vector<StoredXattr>;

inline constexpr std::size_t max_xattr_name = 15;
inline constexpr std::size_t max_system_xattrs = std::size_t{1024} * 1024;

/// As the section at the start of a value counts them: of all, or of system ones.
[[nodiscard]] std::size_t xattrs_size(const Xattrs& xattrs, bool system_only = false) noexcept;
/// Those that outlive the document.
[[nodiscard]] Xattrs system_xattrs(const Xattrs& xattrs);
/// The section that starts a value with datatype xattr (protocol.md 1.4).
[[nodiscard]] std::string xattr_section(const Xattrs& xattrs);

}  // namespace chaise::testing
