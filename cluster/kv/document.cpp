#include "cluster/kv/document.hpp"

#include "protocol/snappy.hpp"

namespace chaise::testing {

void Document::mark_xattrs() noexcept {
    if (xattrs.empty())
        datatype &= static_cast<std::uint8_t>(~protocol::datatype::xattr);
    else
        datatype |= protocol::datatype::xattr;
}

std::string inflated(const Document& document) {
    if ((document.datatype & protocol::datatype::snappy) == 0) return document.value;
    return protocol::snappy_inflate(document.value).value_or(std::string{});  // checked when it was stored
}

}  // namespace chaise::testing
