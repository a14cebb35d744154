#include "rows/view_request.hpp"

#include "protocol/json_check.hpp"
#include "protocol/json_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

namespace chaise {

std::string json_string(std::string_view text) {
    std::string out;
    protocol::append_json_string(out, text);
    return out;
}

namespace detail {

std::string percent_encoded(std::string_view text, std::string_view also) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           std::string_view("-_.~").find(c) != std::string_view::npos ||
                           also.find(c) != std::string_view::npos;
        if (plain) {
            out += c;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

namespace {

class Writer {
public:
    Writer(const ViewOptions& options, RowRequest& request) : o_(options), request_(request) {
        start_ = !o_.mapkey_range.start.empty() ? o_.mapkey_range.start : o_.startkey;
        end_ = !o_.mapkey_range.end.empty() ? o_.mapkey_range.end : o_.endkey;
        start_id_ = !o_.dockey_range.start.empty() ? o_.dockey_range.start : o_.startkey_docid;
        end_id_ = !o_.dockey_range.end.empty() ? o_.dockey_range.end : o_.endkey_docid;
    }

    [[nodiscard]] bool spatial() const { return !o_.start_range.empty() || !o_.end_range.empty(); }

    void check() {
        const bool range = !start_.empty() || !end_.empty();
        const bool grouped = o_.group.value_or(false) || o_.group_level.has_value();
        contradiction(!o_.raw.empty() && any(), "raw is the whole query: no other option of the view can be set");
        contradiction(set(o_.mapkey_range) && (!o_.startkey.empty() || !o_.endkey.empty()),
                      "mapkey_range is startkey and endkey: set it or them");
        contradiction(set(o_.dockey_range) && (!o_.startkey_docid.empty() || !o_.endkey_docid.empty()),
                      "dockey_range is startkey_docid and endkey_docid: set it or them");
        contradiction(!o_.key.empty() && range, "key and a range of keys exclude each other");
        contradiction(!o_.keys.empty() && range, "keys and a range of keys exclude each other");
        contradiction(!o_.key.empty() && !o_.keys.empty(), "key and keys exclude each other");
        contradiction(!start_id_.empty() && start_.empty() && o_.key.empty(), "startkey_docid needs startkey");
        contradiction(!end_id_.empty() && end_.empty() && o_.key.empty(), "endkey_docid needs endkey");
        contradiction(o_.inclusive_end.has_value() && end_.empty() && !spatial(), "inclusive_end needs endkey");
        contradiction(o_.group.value_or(false) && o_.group_level.has_value(),
                      "group is the deepest group_level: set one of them");
        contradiction(grouped && o_.reduce.has_value() && !*o_.reduce, "group and group_level need a reduced view");
        contradiction(o_.include_docs && (o_.reduce.value_or(false) || grouped),
                      "include_docs: reduced rows belong to no document");
        contradiction(
            spatial() && (range || !o_.key.empty() || !o_.keys.empty() || !start_id_.empty() || !end_id_.empty() ||
                          o_.reduce || o_.group || o_.group_level || o_.inclusive_end || o_.descending),
            "start_range and end_range are of spatial views, which have neither keys nor reduce");
        contradiction(o_.connection_timeout && *o_.connection_timeout < std::chrono::milliseconds(1),
                      "connection_timeout must be 1 ms or more");
        contradiction(o_.timeout <= Duration::zero(), "timeout must be more than 0");
        extra();
        json("key", o_.key, false);
        json("keys", o_.keys, true);
        json("startkey", start_, false);
        json("endkey", end_, false);
        json("start_range", o_.start_range, true);
        json("end_range", o_.end_range, true);
        encoded("startkey_docid", start_id_);
        encoded("endkey_docid", end_id_);
        if (!is_encoded(o_.raw)) request_.refuse(errc::invalid_argument, "raw must be percent-encoded");
    }

    void write() {
        std::string parameters = o_.raw.empty() ? written(true) : std::string(o_.raw);
        if (parameters.size() > longest_view_parameters && o_.raw.empty() && !o_.passthrough) {
            request_.method = "POST";
            request_.body = o_.keys.empty() ? "{}" : fmt::format("{{\"keys\":{}}}", o_.keys);
            parameters = written(false);
        }
        if (parameters.size() > longest_view_parameters) {
            return request_.refuse(errc::value_too_large,
                                   fmt::format("the view's options are longer than {} bytes", longest_view_parameters));
        }
        if (!parameters.empty()) request_.target += '?' + parameters;
    }

private:
    static bool set(const ViewRange& range) { return !range.start.empty() || !range.end.empty(); }
    [[nodiscard]] bool any() const {
        return !written(true).empty() || !start_.empty() || !end_.empty() || !o_.keys.empty() || o_.passthrough ||
               o_.unrecognized_ok;
    }
    void contradiction(bool is, const char* why) {
        if (is) request_.refuse(errc::invalid_argument, why);
    }
    void json(std::string_view name, std::string_view text, bool array) {
        if (o_.passthrough) return encoded(name, text);
        if (text.empty()) return;
        const std::size_t first = text.find_first_not_of(" \t\r\n");
        if (!is_json_(text) || (array && text[first] != '[')) {
            request_.refuse(errc::invalid_argument,
                            fmt::format("{} must be JSON{}: {}", name, array ? ", an array" : "", text.substr(0, 80)));
        }
    }

    /// Nothing in it ends the query string, or the line.
    static bool is_encoded(std::string_view text) {
        return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f' && c != '#'; });
    }
    void encoded(std::string_view name, std::string_view text) {
        if (!o_.passthrough || (is_encoded(text) && text.find('&') == std::string_view::npos)) return;
        request_.refuse(errc::invalid_argument, fmt::format("{} must be percent-encoded with passthrough", name));
    }

    void extra() {
        if (!is_encoded(o_.extra)) request_.refuse(errc::invalid_argument, "extra must be percent-encoded");
        for (std::string_view left = o_.extra; !left.empty();) {
            const std::string_view one = left.substr(0, left.find('&'));
            left.remove_prefix(std::min(left.size(), one.size() + 1));
            const std::string_view name = one.substr(0, one.find('='));
            if (name.empty() || name.size() == one.size()) {
                return request_.refuse(errc::invalid_argument, fmt::format("extra: \"{}\" is not name=value", one));
            }
            if (std::find(members.begin(), members.end(), name) != members.end()) {
                return request_.refuse(errc::invalid_argument,
                                       fmt::format("extra: {} is set by its own member of the options", name));
            }
            if (!o_.unrecognized_ok) {
                return request_.refuse(errc::invalid_argument,
                                       fmt::format("extra: unknown option {} (unrecognized_ok sends it)", name));
            }
        }
    }

    [[nodiscard]] std::string written(bool with_keys) const {
        std::string out;
        const auto text = [&](std::string_view name, std::string_view value) {
            if (!out.empty()) out += '&';
            out.append(name).append("=").append(o_.passthrough ? std::string(value) : percent_encoded(value, "/"));
        };
        const auto optional_text = [&](std::string_view name, std::string_view value) {
            if (!value.empty()) text(name, value);
        };
        const auto boolean = [&](std::string_view name, const std::optional<bool>& value) {
            if (value) text(name, *value ? "true" : "false");
        };
        const auto number = [&](std::string_view name, const auto& value) {
            if (value) text(name, std::to_string(*value));
        };
        if (o_.stale) {
            constexpr std::array<std::string_view, 3> names{"ok", "update_after", "false"};
            text("stale", names.at(static_cast<std::size_t>(*o_.stale)));
        }
        boolean("descending", o_.descending);
        number("limit", o_.limit);
        number("skip", o_.skip);
        optional_text("key", o_.key);
        if (with_keys) optional_text("keys", o_.keys);
        optional_text("startkey", start_);
        optional_text("startkey_docid", start_id_);
        optional_text("endkey", end_);
        optional_text("endkey_docid", end_id_);
        boolean("inclusive_end", o_.inclusive_end);
        if (o_.include_docs && !o_.reduce && !spatial() && o_.raw.empty()) {
            text("reduce", "false");
        } else {
            boolean("reduce", o_.reduce);
        }
        boolean("group", o_.group);
        number("group_level", o_.group_level);
        if (o_.on_error) text("on_error", *o_.on_error == OnViewError::stop ? "stop" : "continue");
        if (o_.connection_timeout) {
            const auto ms = std::chrono::ceil<std::chrono::milliseconds>(*o_.connection_timeout);
            text("connection_timeout", std::to_string(ms.count()));
        }
        boolean("full_set", o_.full_set);
        boolean("debug", o_.debug);
        optional_text("start_range", o_.start_range);
        optional_text("end_range", o_.end_range);
        if (!o_.extra.empty()) out.append(out.empty() ? "" : "&").append(o_.extra);
        return out;
    }

    /// What the options of the server's are called that have members.
    static constexpr std::array<std::string_view, 20> members{
        "stale",    "descending",  "limit",       "skip",           "key",
        "keys",     "startkey",    "endkey",      "startkey_docid", "endkey_docid",
        "reduce",   "group",       "group_level", "inclusive_end",  "debug",
        "on_error", "start_range", "full_set",    "end_range",      "connection_timeout"};

    const ViewOptions& o_;
    RowRequest& request_;
    protocol::JsonCheck is_json_;
    std::string_view start_, end_, start_id_, end_id_;
};

}  // namespace

RowRequest view_request(std::string_view bucket, std::string_view design, std::string_view view,
                        const ViewOptions& options) {
    RowRequest request;
    request.service = RowService::views;
    request.operation = "view_query";
    request.timeout = options.timeout;
    request.include_docs = options.include_docs;
    request.errors_are_told = options.on_error == OnViewError::continue_;
    Writer writer(options, request);
    if (design.empty() || view.empty()) {
        request.refuse(errc::invalid_argument, "a design document and a view must be named");
    }
    const bool prefix = options.development && !design.starts_with("dev_");
    request.target =
        fmt::format("/{}/_design/{}{}/{}/{}", percent_encoded(bucket), prefix ? "dev_" : "", percent_encoded(design),
                    writer.spatial() ? "_spatial" : "_view", percent_encoded(view));
    writer.check();
    if (request.refused == errc::success) writer.write();
    return request;
}

}  // namespace detail
}  // namespace chaise
