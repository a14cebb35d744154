#include "json_tree.hpp"

#include <simdjson.h>

#include <algorithm>
#include <charconv>

namespace chaise::testing {

namespace {

Json convert(simdjson::dom::element from) {
    Json to;
    using simdjson::dom::element_type;
    switch (from.type()) {
        case element_type::ARRAY: {
            to.kind = Json::Kind::array;
            const simdjson::dom::array list = from.get_array().value();
            for (const auto element : list) to.members.emplace_back("", convert(element));
            break;
        }
        case element_type::OBJECT: {
            to.kind = Json::Kind::object;
            const simdjson::dom::object object = from.get_object().value();
            for (const auto& [key, value] : object) to.members.emplace_back(std::string(key), convert(value));
            break;
        }
        case element_type::INT64: {
            const std::int64_t value = from.get_int64().value();
            to.kind = Json::Kind::integer;
            to.integer = static_cast<std::uint64_t>(value);
            to.negative = value < 0;
            break;
        }
        case element_type::UINT64:
            to.kind = Json::Kind::integer;
            to.integer = from.get_uint64().value();
            break;
        case element_type::DOUBLE:
            to.kind = Json::Kind::real;
            to.real = from.get_double().value();
            break;
        case element_type::STRING:
            to.kind = Json::Kind::string;
            to.string = std::string(from.get_string().value());
            break;
        case element_type::BOOL:
            to.kind = Json::Kind::boolean;
            to.boolean = from.get_bool().value();
            break;
        case element_type::NULL_VALUE:
            break;
    }
    return to;
}

}  // namespace

Json Json::parse(std::string_view text) {
    simdjson::dom::parser parser;
    simdjson::dom::element root;
    if (const auto error = parser.parse(text.data(), text.size(), true).get(root))
        throw FieldError(std::string("not JSON: ") + simdjson::error_message(error));
    return convert(root);
}

const Json* Json::find(std::string_view name) const {
    for (const auto& [key, value] : members)
        if (key == name) return &value;
    return nullptr;
}

const Json& Json::operator[](std::string_view name) const {
    const Json* found = find(name);
    if (found == nullptr) throw FieldError("no field " + std::string(name));
    return *found;
}

std::uint64_t Json::number(std::uint64_t limit) const {
    read = true;
    std::uint64_t value = integer;
    if (kind == Kind::string && string.starts_with("0x")) {
        const auto end = std::from_chars(string.data() + 2, string.data() + string.size(), value, 16);
        if (end.ec != std::errc{} || end.ptr != string.data() + string.size() || string.size() == 2)
            throw FieldError("no number: " + string);
    } else if (kind != Kind::integer || negative) {
        throw FieldError("a number is expected");
    }
    if (value > limit) throw FieldError("number out of range");
    return value;
}

const std::string& Json::text() const {
    read = true;
    if (kind != Kind::string) throw FieldError("a text is expected");
    return string;
}

std::string Json::bytes() const {
    const std::string& hex = text();
    if (hex.size() % 2 != 0) throw FieldError("odd number of hex digits");
    std::string out;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        unsigned byte = 0;
        const auto end = std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16);
        if (end.ec != std::errc{} || end.ptr != hex.data() + i + 2) throw FieldError("no hex digits: " + hex);
        out += static_cast<char>(byte);
    }
    return out;
}

bool Json::flag() const {
    read = true;
    if (kind != Kind::boolean) throw FieldError("true or false is expected");
    return boolean;
}

double Json::decimal() const {
    read = true;
    if (kind == Kind::integer) return static_cast<double>(integer);
    if (kind != Kind::real) throw FieldError("a number is expected");
    return real;
}

void Json::mark_all_read() const {
    read = true;
    for (const auto& member : members) member.second.mark_all_read();
}

bool Json::same_as(const Json& other) const {
    if (kind != other.kind || members.size() != other.members.size()) return false;
    switch (kind) {
        case Kind::null:
            return true;
        case Kind::boolean:
            return boolean == other.boolean;
        case Kind::integer:
            return integer == other.integer && negative == other.negative;
        case Kind::real:
            return std::equal_to<>{}(real, other.real);
        case Kind::string:
            return string == other.string;
        case Kind::array:
            for (std::size_t i = 0; i < members.size(); ++i)
                if (!members[i].second.same_as(other.members[i].second)) return false;
            return true;
        case Kind::object:
            return std::all_of(members.begin(), members.end(), [&other](const auto& member) {
                const Json* match = other.find(member.first);
                return match != nullptr && member.second.same_as(*match);
            });
    }
    return false;
}

void Json::leaves(const std::string& path, std::vector<std::pair<std::string, Json*>>& out) {
    if (members.empty()) {
        out.emplace_back(path, this);
        return;
    }
    for (auto& [name, value] : members) value.leaves(kind == Kind::array ? path + "[]" : path + "." + name, out);
}

void Json::arrays(const std::string& path, std::vector<std::pair<std::string, Json*>>& out) {
    if (kind == Kind::array && !members.empty()) out.emplace_back(path, this);
    for (auto& [name, value] : members) value.arrays(kind == Kind::array ? path + "[]" : path + "." + name, out);
}

std::string to_hex(std::string_view bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string hex;
    for (const char c : bytes) {
        hex += digits[static_cast<unsigned char>(c) >> 4];
        hex += digits[static_cast<unsigned char>(c) & 15u];
    }
    return hex;
}

}  // namespace chaise::testing
