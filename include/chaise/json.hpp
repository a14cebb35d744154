#pragma once

/// \file
/// Values as JSON, by simdjson's on-demand parser, without a copy: values have the 64 readable bytes behind them that
/// simdjson wants. Needs simdjson (1.0 or newer) on the include path; the core of chaise does not.
///
/// And objects of one's own types as JSON, for typed operations (typed.hpp): two functions, found by their argument,
/// make a type a JSON type. The parser reads on demand: members that nobody asks for are passed over, and what is wrong
/// inside of them, or behind the last brace of an object of one's own, may go unseen; UTF-8 is always checked.
///
/// ```
/// struct User { std::string name; int age = 0; };
/// void append_json(std::string& out, const User& user) {
///     chaise::JsonObject(out).add("name", user.name).add("age", user.age);
/// }
/// simdjson::error_code read_json(simdjson::ondemand::value from, User& user) {
///     auto error = chaise::read_json(from["name"], user.name);
///     return error ? error : chaise::read_json(from["age"], user.age);
/// }
/// ```

#include <chaise/result.hpp>
#include <chaise/transcoder.hpp>

#include <simdjson.h>

#include <charconv>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace chaise {

static_assert(detail::buffer_padding >= simdjson::SIMDJSON_PADDING);

/// The value of `result` as a JSON document. The document refers to the bytes in `result` and to `parser`: both must
/// stay where they are while it is used, and one parser holds one document at a time. Errors: simdjson's.
[[nodiscard]] inline simdjson::simdjson_result<simdjson::ondemand::document> json(const ValueResult& result,
                                                                                  simdjson::ondemand::parser& parser) {
    const std::string_view value = result.value();
    return parser.iterate(
        simdjson::padded_string_view(value.data(), value.size(), value.size() + detail::buffer_padding));
}

/// The document would refer to bytes that are gone: keep the result in a variable.
simdjson::simdjson_result<simdjson::ondemand::document> json(const ValueResult&&, simdjson::ondemand::parser&) = delete;

// ---- writing -------------------------------------------------------------------------------------------------------

/// \throws std::invalid_argument when it is not UTF-8.
inline void append_json(std::string& out, std::string_view text) {
    if (!is_utf8(text)) throw std::invalid_argument("a string in JSON must be UTF-8");
    constexpr char digits[] = "0123456789abcdef";
    out += '"';
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20) {
            out += "\\u00";
            out += digits[byte >> 4];
            out += digits[byte & 15];
        } else {
            out += c;
        }
    }
    out += '"';
}
inline void append_json(std::string& out, const std::string& text) { append_json(out, std::string_view(text)); }
inline void append_json(std::string& out, std::same_as<bool> auto value) { out += value ? "true" : "false"; }
/// \throws std::invalid_argument for what is no number.
template <class N>
    requires(std::integral<N> || std::floating_point<N>) && (!std::same_as<N, bool>) && (!std::same_as<N, char>)
void append_json(std::string& out, N number) {
    if constexpr (std::floating_point<N>) {
        if (!std::isfinite(number)) throw std::invalid_argument("JSON has no infinity and no NaN");
    }
    char text[32];
    out.append(text, std::to_chars(text, text + sizeof(text), number).ptr);
}
template <class T>
void append_json(std::string& out, const std::optional<T>& value);
template <class T>
void append_json(std::string& out, const std::vector<T>& values);
template <class T, class C>
void append_json(std::string& out, const std::map<std::string, T, C>& members);

template <class T>
void append_json(std::string& out, const std::optional<T>& value) {
    if (value) {
        append_json(out, *value);
    } else {
        out += "null";
    }
}
template <class T>
void append_json(std::string& out, const std::vector<T>& values) {
    out += '[';
    bool first = true;
    for (const T& value : values) {
        if (!std::exchange(first, false)) out += ',';
        append_json(out, value);
    }
    out += ']';
}

/// `{"name":value,…}`, closed when this goes.
class JsonObject {
public:
    explicit JsonObject(std::string& out) : out_(out) { out_ += '{'; }
    JsonObject(const JsonObject&) = delete;
    JsonObject& operator=(const JsonObject&) = delete;
    ~JsonObject() { out_ += '}'; }
    template <class T>
    JsonObject& add(std::string_view name, const T& value) {
        if (!std::exchange(first_, false)) out_ += ',';
        append_json(out_, name);
        out_ += ':';
        append_json(out_, value);
        return *this;
    }

private:
    std::string& out_;
    bool first_ = true;
};
template <class T, class C>
void append_json(std::string& out, const std::map<std::string, T, C>& members) {
    JsonObject object(out);
    for (const auto& [name, value] : members) object.add(name, value);
}

// ---- reading -------------------------------------------------------------------------------------------------------

// `from`: a value, a document, or the result of looking for one.
template <class From>
simdjson::error_code read_json(From&& from, std::same_as<bool> auto& value) {
    return from.get_bool().get(value);
}
template <class From>
simdjson::error_code read_json(From&& from, std::string& text) {
    std::string_view view;
    const simdjson::error_code error = from.get_string().get(view);
    if (!error) text = view;
    return error;
}
/// NUMBER_OUT_OF_RANGE for what the type cannot hold.
template <class From, class N>
    requires(std::integral<N> || std::floating_point<N>) && (!std::same_as<N, bool>) && (!std::same_as<N, char>)
simdjson::error_code read_json(From&& from, N& number) {
    const auto narrow = [&number](auto wide) {
        if constexpr (std::integral<N>) {
            if (!std::in_range<N>(wide)) return simdjson::NUMBER_OUT_OF_RANGE;
        }
        number = static_cast<N>(wide);
        return simdjson::SUCCESS;
    };
    if constexpr (std::floating_point<N>) {
        double wide = 0;
        const simdjson::error_code error = from.get_double().get(wide);
        return error ? error : narrow(wide);
    } else if constexpr (std::is_signed_v<N>) {
        std::int64_t wide = 0;
        const simdjson::error_code error = from.get_int64().get(wide);
        return error ? error : narrow(wide);
    } else {
        std::uint64_t wide = 0;
        const simdjson::error_code error = from.get_uint64().get(wide);
        return error ? error : narrow(wide);
    }
}
template <class From, class T>
simdjson::error_code read_json(From&& from, std::optional<T>& value);
template <class From, class T>
simdjson::error_code read_json(From&& from, std::vector<T>& values);
template <class From, class T, class C>
simdjson::error_code read_json(From&& from, std::map<std::string, T, C>& members);

template <class From, class T>
simdjson::error_code read_json(From&& from, std::vector<T>& values) {
    simdjson::ondemand::array array;
    if (const auto error = from.get_array().get(array)) return error;
    for (auto element : array) {
        simdjson::ondemand::value value;
        if (const auto error = element.get(value)) return error;
        if (const auto error = read_json(value, values.emplace_back())) return error;
    }
    return simdjson::SUCCESS;
}
template <class From, class T, class C>
simdjson::error_code read_json(From&& from, std::map<std::string, T, C>& members) {
    simdjson::ondemand::object object;
    if (const auto error = from.get_object().get(object)) return error;
    for (auto member : object) {
        std::string_view name;
        simdjson::ondemand::value value;
        if (const auto error = member.unescaped_key().get(name)) return error;
        T& place = members[std::string(name)];
        if (const auto error = member.value().get(value)) return error;
        if (const auto error = read_json(value, place)) return error;
    }
    return simdjson::SUCCESS;
}
/// null, or a value; of an object's member also what is not there.
template <class From, class T>
simdjson::error_code read_json(From&& from, std::optional<T>& value) {
    value.reset();
    simdjson::ondemand::value found;
    if constexpr (std::same_as<std::remove_cvref_t<From>, simdjson::ondemand::value>) {
        found = from;
    } else {
        const simdjson::error_code error = from.get(found);
        if (error == simdjson::NO_SUCH_FIELD) return simdjson::SUCCESS;
        if (error) return error;
    }
    simdjson::ondemand::json_type type{};
    if (const auto error = found.type().get(type)) return error;
    if (type == simdjson::ondemand::json_type::null) return simdjson::SUCCESS;
    return read_json(found, value.emplace());
}

/// A type that JSON is written from and read into, other than text and bytes.
template <class T>
concept JsonType =
    !std::same_as<T, std::string> && !std::same_as<T, Bytes> && !std::same_as<T, JsonText> &&
    std::default_initializable<T> && requires(std::string& out, const T& from, T& to, simdjson::ondemand::value value) {
        append_json(out, from);
        { read_json(value, to) } -> std::same_as<simdjson::error_code>;
    };

namespace detail {

template <class T>
inline constexpr bool reads_all = std::is_arithmetic_v<T> || std::same_as<T, std::string>;
template <class T>
inline constexpr bool reads_all<std::vector<T>> = true;
template <class T, class C>
inline constexpr bool reads_all<std::map<std::string, T, C>> = true;
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

/// All of a document. One that is a number, a text, true, false or null is no value to simdjson.
template <class T>
simdjson::error_code read_document(simdjson::ondemand::document& document, T& value) {
    simdjson::error_code error = simdjson::SUCCESS;
    if constexpr (is_optional<T>) {
        simdjson::ondemand::json_type type{};
        if (error = document.type().get(type); error) return error;
        if (type != simdjson::ondemand::json_type::null) return read_document(document, value.emplace());
        bool null = false;
        if (error = document.is_null().get(null); error) return error;
        if (!null) return simdjson::N_ATOM_ERROR;
    } else if constexpr (std::is_arithmetic_v<T> || std::same_as<T, std::string>) {
        error = read_json(document, value);
    } else {
        simdjson::ondemand::value root;
        error = document.get_value().get(root);
        if (!error) error = read_json(root, value);
    }
    if (error) return error;
    // Behind objects of one's own there may be members that nobody asked for.
    if constexpr (reads_all<T> || is_optional<T>) {
        if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) return simdjson::TRAILING_CONTENT;
    }
    return simdjson::SUCCESS;
}

/// The same, by `read_json` of a value, of a document that is none: it becomes one as the element of an array.
template <class T>
simdjson::error_code read_as_element(std::string_view document, simdjson::ondemand::parser& parser, T& value) {
    std::string text;
    text.reserve(document.size() + 2 + simdjson::SIMDJSON_PADDING);
    text.append("[").append(document).append("]");
    simdjson::ondemand::document around;
    if (const auto error = parser.iterate(text).get(around)) return error;
    simdjson::ondemand::array array;
    if (const auto error = around.get_array().get(array)) return error;
    std::size_t elements = 0;
    for (auto element : array) {
        if (++elements == 2) return simdjson::TRAILING_CONTENT;
        simdjson::ondemand::value found;
        if (const auto error = element.get(found)) return error;
        if (const auto error = read_json(found, value)) return error;
    }
    if (elements == 0) return simdjson::EMPTY;
    return around.current_location().error() == simdjson::OUT_OF_BOUNDS ? simdjson::SUCCESS
                                                                        : simdjson::TRAILING_CONTENT;
}

}  // namespace detail

template <JsonType T>
struct ValueCodec<T> {
    static Coded<EncodedValue> encode(const T& value, std::string& room) {
        append_json(room, value);
        return EncodedValue{room, flags_of(Format::json)};
    }
    static Coded<T> decode(const ValueResult& result) {
        if (format_of(result.flags()) != Format::json) return uncoded("the value is not JSON, its flags say");
        thread_local simdjson::ondemand::parser parser;
        simdjson::ondemand::document document;
        simdjson::error_code error = json(result, parser).get(document);
        T value{};
        if (!error) error = detail::read_document(document, value);
        if (error == simdjson::SCALAR_DOCUMENT_AS_VALUE) {
            error = detail::read_as_element(result.value(), parser, value);
        }
        if (error) return uncoded(simdjson::error_message(error));
        return value;
    }
};

}  // namespace chaise
