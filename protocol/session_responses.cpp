#include "protocol/session_responses.hpp"

#include <simdjson.h>
#include <algorithm>

#include "protocol/json_text.hpp"

namespace chaise::protocol {

namespace {

using simdjson::dom::element;
using simdjson::dom::object;

// Absent and of another type are the same: unknown members are to be ignored.
std::string_view text_of(const object& parent, std::string_view member) {
    std::string_view text;
    return parent[member].get(text) == simdjson::SUCCESS ? text : std::string_view{};
}

}  // namespace

std::optional<FeatureSet> decode_hello(const Frame& frame) noexcept {
    if (frame.value.size() % 2 != 0) return std::nullopt;
    FeatureSet features;
    for (std::size_t at = 0; at < frame.value.size(); at += 2)
        features.insert(static_cast<Feature>(load_be16(frame.value.data() + at)));
    return features;
}

std::optional<std::string_view> Words::next() noexcept {
    const std::size_t start = left_.find_first_not_of(' ');
    if (start == std::string_view::npos) return std::nullopt;
    left_.remove_prefix(start);
    const std::string_view word = left_.substr(0, left_.find(' '));
    left_.remove_prefix(word.size());
    return word;
}

// Framing extras may accompany the terminator, so the body length tells nothing.
StatEntry decode_stat(const Frame& frame) noexcept {
    return {frame.key, frame.value, frame.key.empty() && frame.value.empty()};
}

std::optional<CollectionIdResponse> decode_collection_id(const Frame& frame) noexcept {
    if (frame.extras.size() != 12) return std::nullopt;
    return CollectionIdResponse{load_be64(frame.extras.data()), load_be32(frame.extras.data() + 8)};
}

std::optional<ConfigPush> decode_config_push(const Frame& frame) noexcept {
    ConfigPush push{{}, frame.key, frame.value};
    if (frame.extras.size() == 16)
        push.revision = {static_cast<std::int64_t>(load_be64(frame.extras.data())),
                         static_cast<std::int64_t>(load_be64(frame.extras.data() + 8))};
    else if (frame.extras.size() == 4)
        push.revision = {0, load_be32(frame.extras.data())};
    else
        return std::nullopt;
    return push;
}

ErrorContext decode_error_context(const Frame& frame) {
    ErrorContext result;
    // Only with HELLO JSON does the datatype say so: look at the text.
    if (frame.value.empty() || frame.value.front() != '{') return result;
    simdjson::dom::parser parser;
    object root;
    if (parser.parse(frame.value.data(), frame.value.size(), true).get(root) != simdjson::SUCCESS) return result;
    object error;
    if (root["error"].get(error) == simdjson::SUCCESS) {
        result.context = text_of(error, "context");
        result.reference = text_of(error, "ref");
    }
    std::uint64_t uid = 0;
    if (parse_hex(text_of(root, "manifest_uid"), uid)) result.manifest_uid = uid;
    return result;
}

const ErrorMap::Entry* ErrorMap::find(Status status) const noexcept {
    const auto found = errors.find(static_cast<std::uint16_t>(status));
    return found == errors.end() ? nullptr : &found->second;
}

namespace {

/// Nothing if its strategy is unknown.
std::optional<RetrySpec> retry_spec(const object& body) {
    const std::string_view strategy = text_of(body, "strategy");
    RetrySpec spec;
    if (strategy == "linear") {
        spec.strategy = RetrySpec::Strategy::linear;
    } else if (strategy == "exponential") {
        spec.strategy = RetrySpec::Strategy::exponential;
    } else if (strategy != "constant") {
        return std::nullopt;
    }
    const auto number = [&](const char* key) {
        std::uint64_t value = 0;
        if (body[key].get(value) != simdjson::SUCCESS) return std::uint32_t{0};
        return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, 0xffffffff));
    };
    spec.interval_ms = number("interval");
    spec.after_ms = number("after");
    spec.ceil_ms = number("ceil");
    spec.max_duration_ms = number("max-duration");
    return spec;
}

}  // namespace

std::optional<ErrorMap> decode_error_map(std::string_view json) {
    simdjson::dom::parser parser;
    object root;
    if (parser.parse(json.data(), json.size(), true).get(root) != simdjson::SUCCESS) return std::nullopt;
    std::int64_t version = 0;
    std::int64_t revision = 0;
    object errors;
    if (root["version"].get(version) != simdjson::SUCCESS || root["revision"].get(revision) != simdjson::SUCCESS ||
        root["errors"].get(errors) != simdjson::SUCCESS)
        return std::nullopt;
    ErrorMap map;
    map.version = static_cast<int>(version);
    map.revision = static_cast<int>(revision);
    for (const auto& [code_text, value] : errors) {
        std::uint64_t code = 0;
        object body;
        if (!parse_hex(code_text, code) || code > 0xffff || value.get(body) != simdjson::SUCCESS) return std::nullopt;
        ErrorMap::Entry entry{std::string(text_of(body, "name")), std::string(text_of(body, "desc")), {}, {}};
        object retry;
        if (body["retry"].get(retry) == simdjson::SUCCESS) entry.retry = retry_spec(retry);
        simdjson::dom::array attributes;
        if (body["attrs"].get(attributes) == simdjson::SUCCESS) {
            for (const element attribute : attributes) {
                std::string_view text;
                if (attribute.get(text) != simdjson::SUCCESS) continue;
                if (const auto known = error_attribute(text)) entry.attributes = entry.attributes | *known;
            }
        }
        map.errors.emplace(static_cast<std::uint16_t>(code), std::move(entry));
    }
    return map;
}

}  // namespace chaise::protocol
