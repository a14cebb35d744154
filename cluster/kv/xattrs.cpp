#include "cluster/kv/xattrs.hpp"

#include <algorithm>
#include <iterator>

#include "protocol/byte_order.hpp"

namespace chaise::testing {

namespace {

void append_be32(std::string& out, std::size_t value) {
    char bytes[4];
    protocol::store_be32(bytes, static_cast<std::uint32_t>(value));
    out.append(bytes, sizeof bytes);
}

}  // namespace

std::size_t xattrs_size(const Xattrs& xattrs, bool system_only) noexcept {
    std::size_t size = 0;
    for (const StoredXattr& xattr : xattrs)
        if (!system_only || xattr.system()) size += 4 + xattr.name.size() + 1 + xattr.value.size() + 1;
    return size;
}

Xattrs system_xattrs(const Xattrs& xattrs) {
    Xattrs system;
    std::copy_if(xattrs.begin(), xattrs.end(), std::back_inserter(system), [](const auto& x) { return x.system(); });
    return system;
}

std::string xattr_section(const Xattrs& xattrs) {
    std::string section;
    append_be32(section, xattrs_size(xattrs));
    for (const StoredXattr& xattr : xattrs) {
        append_be32(section, xattr.name.size() + xattr.value.size() + 2);
        section.append(xattr.name).append(1, '\0').append(xattr.value).append(1, '\0');
    }
    return section;
}

}  // namespace chaise::testing
