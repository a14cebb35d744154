#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace chaise::testing {

/// A JSON value as a tree, for what the cluster itself looks into: parameters, design documents, queried documents.
/// `missing` is what a path into it finds where there is nothing. Kinds are in the order of collation.
struct Json {
    enum class Kind : std::uint8_t { missing, null, boolean, number, string, array, object };
    using Member = std::pair<std::string, Json>;

    Json() = default;
    static Json null() { return Json(Kind::null); }
    static Json of(bool value) {
        Json json(Kind::boolean);
        json.truth = value;
        return json;
    }
    static Json of(double value);
    static Json of(std::int64_t value);
    static Json of(std::string text) {
        Json json(Kind::string);
        json.text = std::move(text);
        return json;
    }
    static Json array() { return Json(Kind::array); }
    static Json object() { return Json(Kind::object); }

    [[nodiscard]] bool is(Kind k) const noexcept { return kind == k; }
    /// The last member of that name; null pointer: there is none, or it is no object.
    [[nodiscard]] const Json* find(std::string_view name) const noexcept;
    /// A missing one where there is none.
    [[nodiscard]] const Json& operator[](std::string_view name) const noexcept;
    /// Its text when it is a string, else empty.
    [[nodiscard]] std::string_view string() const noexcept {
        return is(Kind::string) ? std::string_view(text) : std::string_view{};
    }
    [[nodiscard]] bool is_true() const noexcept { return is(Kind::boolean) && truth; }
    void set(std::string name, Json value);

    void append_to(std::string& out) const;
    [[nodiscard]] std::string dump() const;

    Kind kind = Kind::missing;
    bool truth = false;
    double number = 0;
    std::string text{};  ///< of strings: decoded; of numbers: as they were written
    std::vector<Json> items{};
    std::vector<Member> members{};

private:
    explicit Json(Kind k) noexcept : kind(k) {}
};

/// Makes an object as Json::set() does, and in time when it has many members.
class JsonObject {
public:
    /// A name that is there keeps its place.
    void set(std::string name, Json value);
    [[nodiscard]] Json take() { return std::move(json_); }

private:
    Json json_ = Json::object();
    std::unordered_map<std::string, std::size_t> places_{};  ///< of the members, once they are many
};

/// Nothing when it is not exactly one JSON value in valid UTF-8. Depth is bounded.
[[nodiscard]] std::optional<Json> parse_json(std::string_view text);

/// As protocol::append_json_string(). Bytes that are no UTF-8 become U+FFFD: it is JSON whatever a client has sent.
void append_json_text(std::string& json, std::string_view text);

/// Shortest decimal form; whole numbers without a fraction; "null" for what JSON cannot say.
[[nodiscard]] std::string number_text(double value);

}  // namespace chaise::testing
