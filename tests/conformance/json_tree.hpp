#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chaise::testing {

/// A field that is missing, of another type, out of range, or not what the bytes say.
struct FieldError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A JSON document that can be changed, and that remembers which of its leaves were looked at.
class Json {
public:
    enum class Kind { null, boolean, integer, real, string, array, object };

    static Json parse(std::string_view text);

    Kind kind = Kind::null;
    bool boolean = false;
    std::uint64_t integer = 0;  ///< two's complement
    bool negative = false;
    double real = 0;
    std::string string;
    std::vector<std::pair<std::string, Json>> members;  ///< of arrays: without names
    mutable bool read = false;

    /// Null when absent.
    [[nodiscard]] const Json* find(std::string_view name) const;
    [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }
    /// Throws when absent.
    [[nodiscard]] const Json& operator[](std::string_view name) const;
    [[nodiscard]] std::size_t size() const { return members.size(); }

    /// Readers mark the leaf. `number` also reads "0x…" strings; it throws above `limit`.
    [[nodiscard]] std::uint64_t number(std::uint64_t limit = ~std::uint64_t{0}) const;
    [[nodiscard]] std::uint8_t u8() const { return static_cast<std::uint8_t>(number(0xff)); }
    [[nodiscard]] std::uint16_t u16() const { return static_cast<std::uint16_t>(number(0xffff)); }
    [[nodiscard]] std::uint32_t u32() const { return static_cast<std::uint32_t>(number(0xffffffff)); }
    [[nodiscard]] const std::string& text() const;
    [[nodiscard]] std::string bytes() const;  ///< of a string of hex digits
    [[nodiscard]] bool flag() const;
    [[nodiscard]] double decimal() const;
    void mark_all_read() const;

    [[nodiscard]] bool is_leaf() const { return kind != Kind::array && kind != Kind::object; }
    /// The same document? Order of members does not matter.
    [[nodiscard]] bool same_as(const Json& other) const;
    /// "a.b[].c" of every leaf and every empty container, with the leaf.
    void leaves(const std::string& path, std::vector<std::pair<std::string, Json*>>& out);
    void arrays(const std::string& path, std::vector<std::pair<std::string, Json*>>& out);
};

[[nodiscard]] std::string to_hex(std::string_view bytes);

}  // namespace chaise::testing
