#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cluster/kv/subdocument.hpp"

// What documents tell of themselves: $document, $XTOC and $vbucket, and the macros made of them (protocol.md 2.3).
namespace chaise::testing {

/// The JSON of a virtual attribute by its name; nothing when there is none of this name.
[[nodiscard]] std::optional<std::string> virtual_xattr(std::string_view name, const Document& document,
                                                       const SubdocSurroundings& surroundings);

/// What a mutation's macros stand for.
struct MacroSource {
    const Document* found = nullptr;  ///< as it was; null: it is made now
    std::uint64_t cas = 0;            ///< of the mutation
    std::uint64_t seqno = 0;
    std::uint32_t body_crc = 0;  ///< of the body that it leaves
};
/// `text` is the payload with its quotes; becomes what is stored. success, subdoc_xattr_unknown_macro,
/// subdoc_xattr_unknown_vattr_macro.
[[nodiscard]] protocol::Status expand_macro(std::string& text, const MacroSource& source,
                                            const SubdocSurroundings& surroundings);

[[nodiscard]] std::uint32_t crc32c(std::string_view bytes) noexcept;

}  // namespace chaise::testing
