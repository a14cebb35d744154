#include "cluster/json/json.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdlib>

#include "cluster/kv/json_check.hpp"
#include "protocol/json_text.hpp"

namespace chaise::testing {

namespace {

void append_utf8(std::string& out, std::uint32_t point) {
    const auto byte = [&out](std::uint32_t value) { out += static_cast<char>(value); };
    if (point < 0x80) {
        byte(point);
    } else if (point < 0x800) {
        byte(0xc0 | point >> 6);
        byte(0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
        byte(0xe0 | point >> 12);
        byte(0x80 | (point >> 6 & 0x3f));
        byte(0x80 | (point & 0x3f));
    } else {
        byte(0xf0 | point >> 18);
        byte(0x80 | (point >> 12 & 0x3f));
        byte(0x80 | (point >> 6 & 0x3f));
        byte(0x80 | (point & 0x3f));
    }
}

/// Bytes of the UTF-8 character that the text begins with; 0: it begins with none.
std::size_t character_size(std::string_view text) noexcept {
    const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned first = byte(0);
    if (first < 0x80) return 1;
    const std::size_t size = first < 0xc2 ? 0u : first < 0xe0 ? 2u : first < 0xf0 ? 3u : first < 0xf5 ? 4u : 0u;
    if (size > text.size()) return 0;
    for (std::size_t i = 1; i < size; ++i)
        if ((byte(i) & 0xc0u) != 0x80) return 0;
    // Longer than need be, halves of pairs, beyond Unicode.
    const bool wrong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f) ||
                       (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f);
    return wrong ? 0 : size;
}

/// Of text that is_json() has found to be well-formed: only the tree is left to build.
class Reader {
public:
    explicit Reader(std::string_view text) noexcept : text_(text) {}

    Json value() {
        skip_space();
        switch (text_[at_]) {
            case '{':
                return object();
            case '[':
                return array();
            case '"':
                return Json::of(string());
            case 't':
                at_ += 4;
                return Json::of(true);
            case 'f':
                at_ += 5;
                return Json::of(false);
            case 'n':
                at_ += 4;
                return Json::null();
            default:
                return number();
        }
    }

private:
    void skip_space() noexcept {
        while (at_ < text_.size() && (text_[at_] == ' ' || (text_[at_] >= '\t' && text_[at_] <= '\r'))) ++at_;
    }
    /// Steps over the opening, a comma or the end; true: there is an element next.
    bool element(char end) noexcept {
        skip_space();
        if (text_[at_] == end) {
            ++at_;
            return false;
        }
        if (text_[at_] == ',') ++at_;
        return true;
    }
    Json array() {
        Json json = Json::array();
        ++at_;
        while (element(']')) json.items.push_back(value());
        return json;
    }
    Json object() {
        Json json = Json::object();
        ++at_;
        while (element('}')) {
            skip_space();
            std::string name = string();
            skip_space();
            ++at_;  // the colon
            json.members.emplace_back(std::move(name), value());
        }
        return json;
    }
    Json number() {
        const std::size_t begin = at_;
        while (at_ < text_.size() && std::string_view("+-.0123456789eE").find(text_[at_]) != std::string_view::npos) {
            ++at_;
        }
        Json json = Json::of(0.0);
        json.text = text_.substr(begin, at_ - begin);
        const auto result = std::from_chars(json.text.data(), json.text.data() + json.text.size(), json.number);
        if (result.ec == std::errc::result_out_of_range) {          // from_chars leaves it as it was
            json.number = std::strtod(json.text.c_str(), nullptr);  // 0 or infinite, whichever it is
        }
        return json;
    }
    std::uint32_t hex4() noexcept {
        std::uint32_t unit = 0;
        std::from_chars(text_.data() + at_, text_.data() + at_ + 4, unit, 16);
        at_ += 4;
        return unit;
    }
    std::string string() {
        std::string out;
        for (++at_; text_[at_] != '"';) {
            if (text_[at_] != '\\') {
                out += text_[at_++];
                continue;
            }
            const char escape = text_[at_ + 1];
            at_ += 2;
            constexpr std::string_view names = "bfnrt";
            constexpr std::string_view meant = "\b\f\n\r\t";
            if (escape == 'u') {
                std::uint32_t point = hex4();
                if (point >= 0xd800 && point < 0xdc00 && text_.substr(at_, 2) == "\\u") {
                    at_ += 2;
                    const std::uint32_t low = hex4();
                    if (low >= 0xdc00 && low < 0xe000) {
                        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
                    } else {
                        append_utf8(out, 0xfffd);
                        point = low;
                    }
                }
                append_utf8(out, point >= 0xd800 && point < 0xe000 ? 0xfffd : point);  // half of a pair is no text
            } else if (const std::size_t named = names.find(escape); named != std::string_view::npos) {
                out += meant[named];
            } else {
                out += escape;
            }
        }
        ++at_;
        return out;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

const Json missing_value;

}  // namespace

void append_json_text(std::string& json, std::string_view text) {
    std::string mended;
    std::size_t good = 0;  // of the text's beginning
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t size = character_size(text.substr(i));
        if (size == 0) {
            mended.append(text.substr(good, i - good)).append("\xef\xbf\xbd");
            good = i + 1;
        }
        i += std::max<std::size_t>(size, 1);
    }
    if (good == 0) return protocol::append_json_string(json, text);
    protocol::append_json_string(json, mended.append(text.substr(good)));
}

std::string number_text(double value) {
    if (!std::isfinite(value)) return "null";
    std::array<char, 40> digits;
    const bool whole = value == std::trunc(value) && std::fabs(value) < 1e21;
    const auto end = whole ? std::to_chars(digits.data(), digits.data() + digits.size(), value == 0 ? 0.0 : value,
                                           std::chars_format::fixed)
                           : std::to_chars(digits.data(), digits.data() + digits.size(), value);
    return {digits.data(), end.ptr};
}

Json Json::of(double value) {
    Json json(Kind::number);
    json.number = value;
    json.text = number_text(value);
    return json;
}

Json Json::of(std::int64_t value) {
    Json json(Kind::number);
    json.number = static_cast<double>(value);
    json.text = std::to_string(value);
    return json;
}

const Json* Json::find(std::string_view name) const noexcept {
    for (auto member = members.rbegin(); member != members.rend(); ++member)
        if (member->first == name) return &member->second;
    return nullptr;
}

const Json& Json::operator[](std::string_view name) const noexcept {
    const Json* found = find(name);
    return found != nullptr ? *found : missing_value;
}

void Json::set(std::string name, Json value) {
    for (Member& member : members) {
        if (member.first != name) continue;
        member.second = std::move(value);
        return;
    }
    members.emplace_back(std::move(name), std::move(value));
}

void JsonObject::set(std::string name, Json value) {
    constexpr std::size_t many = 32;
    if (json_.members.size() < many) return json_.set(std::move(name), std::move(value));
    if (places_.empty()) {
        for (const Json::Member& member : json_.members) places_.emplace(member.first, places_.size());
    }
    const auto [place, fresh] = places_.emplace(name, json_.members.size());
    if (fresh) {
        json_.members.emplace_back(std::move(name), std::move(value));
    } else {
        json_.members[place->second].second = std::move(value);
    }
}

void Json::append_to(std::string& out) const {
    switch (kind) {
        case Kind::missing:
        case Kind::null:
            out += "null";
            break;
        case Kind::boolean:
            out += truth ? "true" : "false";
            break;
        case Kind::number:
            out += text;
            break;
        case Kind::string:
            append_json_text(out, text);
            break;
        case Kind::array: {
            out += '[';
            bool first = true;
            for (const Json& item : items) {
                if (!std::exchange(first, false)) out += ',';
                item.append_to(out);
            }
            out += ']';
            break;
        }
        case Kind::object: {
            out += '{';
            bool first = true;
            for (const Member& member : members) {
                if (!std::exchange(first, false)) out += ',';
                append_json_text(out, member.first);
                out += ':';
                member.second.append_to(out);
            }
            out += '}';
            break;
        }
    }
}

std::string Json::dump() const {
    std::string out;
    append_to(out);
    return out;
}

std::optional<Json> parse_json(std::string_view text) {
    if (!is_json(text)) return std::nullopt;
    return Reader(text).value();
}

}  // namespace chaise::testing
