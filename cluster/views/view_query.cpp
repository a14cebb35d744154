#include "cluster/views/view_query.hpp"

#include <charconv>
#include <utility>

#include "cluster/http/http_message.hpp"
#include "cluster/json/collation.hpp"

namespace chaise::testing {

namespace {

using Error = std::optional<ViewQueryError>;

Error parse_error(std::string reason) { return ViewQueryError{"query_parse_error", std::move(reason)}; }

class Parser {
public:
    Parser(const ViewDefinition& view, ViewQuery& query) : view_(view), query_(query) {}

    Error parameters(std::string_view text) {
        while (!text.empty()) {
            const std::size_t end = text.find('&');
            std::string_view pair = text.substr(0, end);
            text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
            if (pair.empty()) continue;
            const std::size_t equals = pair.find('=');
            const std::string name = form_decode(pair.substr(0, equals));
            const std::string value =
                equals == std::string_view::npos ? std::string{} : form_decode(pair.substr(equals + 1));
            if (auto error = parameter(name, value)) return error;
        }
        return std::nullopt;
    }

    Error body(std::string_view text) {
        if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return std::nullopt;
        const auto json = parse_json(text);
        if (!json || !json->is(Json::Kind::object)) {
            return ViewQueryError{"bad_request", "Request body must be a JSON object"};
        }
        const Json& keys = (*json)["keys"];
        if (keys.is(Json::Kind::missing)) return std::nullopt;
        if (!keys.is(Json::Kind::array)) {
            return ViewQueryError{"bad_request", "`keys` body member must be an array."};
        }
        keys_ = keys;
        return std::nullopt;
    }

    Error finish() {
        const bool has_reduce = view_.reducer != Reducer::none;
        if (reduce_ && *reduce_ && !has_reduce) {
            return parse_error("Invalid URL parameter `reduce` for map view.");
        }
        query_.reduce = has_reduce && reduce_.value_or(true);
        if (!query_.reduce && (query_.group || level_)) {
            return parse_error(query_.group ? "Invalid URL parameter `group` for map view."
                                            : "Invalid URL parameter `group_level` for map view.");
        }
        query_.group_level = level_.value_or(0);
        if (keys_) {
            if (key_ || start_ || end_) {
                return parse_error("`keys` is incompatible with `key`, `start_key` and `end_key`");
            }
            if (query_.reduce && !query_.group) {
                return parse_error("Multi-key fetches for reduce view must include `group=true`");
            }
            query_.ranges.clear();
            for (const Json& key : keys_->items) {
                const std::string order = collation_key(key);
                query_.ranges.push_back({order, order, {}, {}, true});
            }
            return std::nullopt;
        }
        if (key_) start_ = end_ = key_;
        ViewQuery::Range& range = query_.ranges.front();
        if (start_) range.start = collation_key(*start_);
        if (end_) range.end = collation_key(*end_);
        // Without its key an id says nothing.
        if (start_) range.start_id = start_id_;
        if (end_) range.end_id = end_id_;
        range.inclusive = key_ || inclusive_;
        const int order = range.start.compare(range.end);
        if (start_ && end_ && (query_.descending ? order < 0 : order > 0)) {
            return parse_error(
                "No rows can match your key range, reverse your start_key and end_key or set descending=" +
                std::string(query_.descending ? "false" : "true"));
        }
        return std::nullopt;
    }

private:
    static std::string form_decode(std::string_view text) {
        std::string spaced(text);
        for (char& c : spaced)
            if (c == '+') c = ' ';
        return percent_decode(spaced);
    }
    static Error boolean(const std::string& text, bool& value) {
        if (text != "true" && text != "false") return parse_error("Invalid boolean parameter: \"" + text + "\"");
        value = text == "true";
        return std::nullopt;
    }
    static Error number(const std::string& text, std::uint64_t& value) {
        const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
        if (!text.empty() && result.ec == std::errc{} && result.ptr == text.data() + text.size()) return std::nullopt;
        return parse_error((text.starts_with('-') ? "Invalid value for positive integer parameter: \""
                                                  : "Invalid value for integer parameter: \"") +
                           text + "\"");
    }
    static Error json(const std::string& text, std::optional<Json>& value) {
        value = parse_json(text);
        if (value) return std::nullopt;
        return ViewQueryError{"bad_request", "invalid UTF-8 JSON: " + text};
    }

    Error parameter(const std::string& name, const std::string& value) {
        if (name == "stale") {
            if (value == "ok") {
                query_.stale = ViewQuery::Stale::ok;
            } else if (value == "update_after") {
                query_.stale = ViewQuery::Stale::update_after;
            } else if (value == "false") {
                query_.stale = ViewQuery::Stale::updated;
            } else {
                return parse_error("Invalid value for stale.");
            }
            return std::nullopt;
        }
        if (name == "on_error") {
            if (value != "stop" && value != "continue") {
                return parse_error("Invalid value (`" + value +
                                   "`) for the parameter `on_error`. It must be "
                                   "`continue` (default) or `stop`.");
            }
            query_.stop_on_error = value == "stop";
            return std::nullopt;
        }
        if (name == "descending") return boolean(value, query_.descending);
        if (name == "inclusive_end") return boolean(value, inclusive_);
        if (name == "group") return boolean(value, query_.group);
        if (name == "full_set") return boolean(value, query_.full_set);
        if (name == "debug") return boolean(value, query_.debug);
        if (name == "reduce") {
            bool wanted = false;
            auto error = boolean(value, wanted);
            reduce_ = wanted;
            return error;
        }
        if (name == "limit") return number(value, query_.limit);
        if (name == "skip") return number(value, query_.skip);
        if (name == "group_level") {
            std::uint64_t level = 0;
            auto error = number(value, level);
            level_ = level;
            return error;
        }
        if (name == "connection_timeout") {  // no node here takes time to answer another
            std::uint64_t milliseconds = 0;
            return number(value, milliseconds);
        }
        if (name == "key") return json(value, key_);
        if (name == "startkey" || name == "start_key") return json(value, start_);
        if (name == "endkey" || name == "end_key") return json(value, end_);
        if (name == "startkey_docid" || name == "start_key_doc_id") {
            start_id_ = value;
        } else if (name == "endkey_docid" || name == "end_key_doc_id") {
            end_id_ = value;
        } else if (name == "keys") {
            auto error = json(value, keys_);
            if (!error && !keys_->is(Json::Kind::array)) return parse_error("`keys` parameter must be an array.");
            return error;
        }
        return std::nullopt;
    }

    const ViewDefinition& view_;
    ViewQuery& query_;
    std::optional<bool> reduce_;
    std::optional<std::uint64_t> level_;
    std::optional<Json> key_;
    std::optional<Json> start_;
    std::optional<Json> end_;
    std::optional<Json> keys_;
    std::string start_id_;
    std::string end_id_;
    bool inclusive_ = true;
};

}  // namespace

std::optional<ViewQueryError> parse_view_query(std::string_view parameters, std::string_view body,
                                               const ViewDefinition& view, ViewQuery& query) {
    query = {};
    Parser parser(view, query);
    if (auto error = parser.parameters(parameters)) return error;
    if (auto error = parser.body(body)) return error;
    return parser.finish();
}

}  // namespace chaise::testing
