#pragma once

/// \file
/// How values of one's own types become bytes and flags, and back: formats, transcoders, and the one that is built in.
/// Typed operations (typed.hpp) use them; all others take and give bytes.

#include <chaise/expected.hpp>
#include <chaise/result.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chaise {

/// What a value is, as its flags say (seed: FMT_JSON, FMT_UTF8, FMT_BYTES; `custom` is any format of one's own, where
/// the seed has FMT_PICKLE, and today's clients say "private").
enum class Format : std::uint8_t { json, utf8, bytes, custom };

/// What is written: the common flags of all Couchbase clients (the top byte), and in the low bits what clients before
/// them read.
[[nodiscard]] constexpr std::uint32_t flags_of(Format format) noexcept {
    switch (format) {
        case Format::json:
            return 0x02000000;
        case Format::utf8:
            return 0x04000004;
        case Format::bytes:
            return 0x03000002;
        case Format::custom:
            break;
    }
    return 0x01000001;
}

/// Common flags where there are any; otherwise the whole word, as old clients wrote it (0 is JSON). What is unknown is
/// bytes.
[[nodiscard]] constexpr Format format_of(std::uint32_t flags) noexcept {
    const std::uint32_t common = flags >> 24;
    switch (common != 0 ? common : flags) {
        case 0:
            return Format::json;
        case 1:
            return Format::custom;
        case 2:
            return common != 0 ? Format::json : Format::bytes;
        case 3:
            return Format::bytes;
        case 4:
            return Format::utf8;
        default:
            return Format::bytes;
    }
}

/// Of a value that could be encoded. `value` may refer to the object that was encoded, or to the room that was given.
struct EncodedValue {
    std::string_view value{};
    std::uint32_t flags = 0;
};
/// What encoding and decoding give: what came of it, or in words why nothing did.
template <class T>
using Coded = Expected<T, std::string>;
[[nodiscard]] inline Unexpected<std::string> uncoded(std::string why) {
    return Unexpected<std::string>(std::move(why));
}

/// What turns objects of type T into bytes and flags, and results into objects of type T. What it throws
/// (`std::exception`) is taken for a failure, too. `room` is empty, and lives until the value is sent.
///
/// ```
/// struct Rot13 {
///     Coded<EncodedValue> encode(const std::string& text, std::string& room) const;
///     template <class T> Coded<T> decode(const ValueResult& result) const;
/// };
/// ```
template <class X, class T>
concept Transcoder = requires(const X& x, const T& value, std::string& room, const ValueResult& result) {
    { x.encode(value, room) } -> std::convertible_to<Coded<EncodedValue>>;
    { x.template decode<T>(result) } -> std::convertible_to<Coded<T>>;
};

/// How DefaultTranscoder treats a type; may be specialised for one's own. <chaise/json.hpp> does so for every type that
/// can be written and read as JSON.
template <class T>
struct ValueCodec;

/// - `std::string`: text. Written as UTF-8, which it must be; read from UTF-8, from bytes, and from what has no flags.
/// - `std::vector<std::byte>`: bytes. Read from every format.
/// - `JsonText`: JSON, as text that is not looked into.
/// - with <chaise/json.hpp>: bool, numbers, vectors, maps, optionals, and one's own types.
struct DefaultTranscoder {
    template <class T>
        requires requires { sizeof(ValueCodec<T>); }
    [[nodiscard]] Coded<EncodedValue> encode(const T& value, std::string& room) const {
        return ValueCodec<T>::encode(value, room);
    }
    template <class T>
        requires requires { sizeof(ValueCodec<T>); }
    [[nodiscard]] Coded<T> decode(const ValueResult& result) const {
        return ValueCodec<T>::decode(result);
    }
};

/// JSON as text.
class JsonText {
public:
    JsonText() = default;
    explicit JsonText(std::string text) : text_(std::move(text)) {}
    [[nodiscard]] const std::string& text() const noexcept { return text_; }
    friend bool operator==(const JsonText&, const JsonText&) = default;

private:
    std::string text_;
};

using Bytes = std::vector<std::byte>;

/// Well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
[[nodiscard]] constexpr bool is_utf8(std::string_view text) noexcept {
    for (std::size_t i = 0; i < text.size();) {
        const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
        const unsigned char first = byte(i++);
        if (first < 0x80) continue;
        if (first < 0xc2 || first > 0xf4) return false;
        const std::size_t more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
        if (text.size() - i < more) return false;
        const unsigned char second = byte(i);
        const unsigned least = first == 0xe0 ? 0xa0u : first == 0xf0 ? 0x90u : 0x80u;
        const unsigned most = first == 0xed ? 0x9fu : first == 0xf4 ? 0x8fu : 0xbfu;
        if (second < least || second > most) return false;
        for (std::size_t k = 1; k < more; ++k) {
            if ((byte(i + k) & 0xc0) != 0x80) return false;
        }
        i += more;
    }
    return true;
}

template <>
struct ValueCodec<std::string> {
    static Coded<EncodedValue> encode(const std::string& text, std::string&) {
        if (!is_utf8(text)) return uncoded("the text is not UTF-8 (bytes are std::vector<std::byte>)");
        return EncodedValue{text, flags_of(Format::utf8)};
    }
    static Coded<std::string> decode(const ValueResult& result) {
        switch (format_of(result.flags())) {
            case Format::utf8:
                if (!is_utf8(result.value())) return uncoded("the value says that it is UTF-8, and is not");
                break;
            case Format::json:
                if (result.flags() != 0) return uncoded("the value is JSON, not text");
                break;  // of who sets no flags, such as users of memcached
            case Format::bytes:
                break;
            case Format::custom:
                return uncoded("the value has a format of its own: it takes its transcoder");
        }
        return result.owned();
    }
};

template <>
struct ValueCodec<Bytes> {
    static Coded<EncodedValue> encode(const Bytes& bytes, std::string&) {
        return EncodedValue{{reinterpret_cast<const char*>(bytes.data()), bytes.size()}, flags_of(Format::bytes)};
    }
    static Coded<Bytes> decode(const ValueResult& result) {
        Bytes bytes(result.value().size());
        if (!bytes.empty()) std::memcpy(bytes.data(), result.value().data(), bytes.size());
        return bytes;
    }
};

template <>
struct ValueCodec<JsonText> {
    static Coded<EncodedValue> encode(const JsonText& json, std::string&) {
        if (json.text().empty()) return uncoded("an empty text is no JSON");
        return EncodedValue{json.text(), flags_of(Format::json)};
    }
    static Coded<JsonText> decode(const ValueResult& result) {
        if (format_of(result.flags()) != Format::json) return uncoded("the value is not JSON, its flags say");
        if (result.value().empty()) return uncoded("an empty value is no JSON");
        return JsonText(result.owned());
    }
};

}  // namespace chaise
