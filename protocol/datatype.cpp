#include "protocol/datatype.hpp"

#include "protocol/json_text.hpp"

namespace chaise::protocol {

std::string datatype_name(std::uint8_t bits) {
    if (bits == datatype::raw) return "raw";
    std::string text;
    const auto add = [&text](const std::string& part) { text += text.empty() ? part : "," + part; };
    if ((bits & datatype::xattr) != 0) add("xattr");
    if ((bits & datatype::snappy) != 0) add("snappy");
    if ((bits & datatype::json) != 0) add("json");
    const auto rest = static_cast<std::uint8_t>(bits & ~datatype::known);
    if (rest != 0) add("0x" + json_hex(rest));
    return text;
}

}  // namespace chaise::protocol
