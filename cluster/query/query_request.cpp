#include "cluster/query/query_request.hpp"

#include <array>
#include <charconv>
#include <utility>

namespace chaise::testing {

namespace {

using Kind = Json::Kind;
using Error = std::optional<QueryError>;

QueryError wrong(const std::string& name, std::string_view wanted) {
    return {.code = 1070, .message = "Invalid value for parameter " + name + ": " + std::string(wanted)};
}

class Reader {
public:
    explicit Reader(QueryRequest& request) : request_(request) {}

    Error member(const std::string& name, const Json& value) {
        if (name.starts_with('$') && name.size() > 1) {
            request_.parameters.named.set(name.substr(1), value);
            return std::nullopt;
        }
        struct Text {
            std::string_view name;
            std::string QueryRequest::* field;
        };
        static const std::array<Text, 5> texts{{{"statement", &QueryRequest::statement},
                                                {"prepared", &QueryRequest::prepared},
                                                {"encoded_plan", &QueryRequest::encoded_plan},
                                                {"client_context_id", &QueryRequest::client_context},
                                                {"query_context", &QueryRequest::context}}};
        for (const Text& text : texts) {
            if (name != text.name) continue;
            if (!value.is(Kind::string)) return wrong(name, "a string");
            request_.*text.field = value.text;
            return std::nullopt;
        }
        struct Flag {
            std::string_view name;
            bool QueryRequest::* field;
        };
        static const std::array<Flag, 4> flags{{{"auto_execute", &QueryRequest::auto_execute},
                                                {"readonly", &QueryRequest::readonly},
                                                {"metrics", &QueryRequest::metrics},
                                                {"signature", &QueryRequest::signature}}};
        for (const Flag& flag : flags) {
            if (name != flag.name) continue;
            if (!value.is(Kind::boolean)) return wrong(name, "true or false");
            request_.*flag.field = value.truth;
            return std::nullopt;
        }
        if (name == "args") {
            if (!value.is(Kind::array)) return wrong(name, "an array");
            request_.parameters.positional = value.items;
            return std::nullopt;
        }
        if (name == "profile") return profile(value);
        if (name == "scan_consistency") return consistency(value);
        if (name == "scan_vectors") {
            if (!value.is(Kind::object)) return wrong(name, "an object");
            request_.scan_vectors = value;
            return std::nullopt;
        }
        return hint(name, value);
    }

    Error finish() {
        if (request_.statement.empty() && request_.prepared.empty()) {
            return QueryError{.code = 1050, .message = "No statement or prepared value"};
        }
        if (request_.at_plus && !request_.scan_vectors.is(Kind::object)) {
            return QueryError{.code = 1050, .message = "scan_vectors not provided for at_plus scan_consistency"};
        }
        return std::nullopt;
    }

private:
    Error profile(const Json& value) {
        if (value.string() == "off") {
            request_.profile = QueryRequest::Profile::off;
        } else if (value.string() == "phases") {
            request_.profile = QueryRequest::Profile::phases;
        } else if (value.string() == "timings") {
            request_.profile = QueryRequest::Profile::timings;
        } else {
            return wrong("profile", "off, phases or timings");
        }
        return std::nullopt;
    }
    Error consistency(const Json& value) {
        const std::string_view text = value.string();
        request_.at_plus = text == "at_plus";
        if (request_.at_plus || text == "not_bounded" || text == "request_plus" || text == "statement_plus") {
            return std::nullopt;
        }
        return wrong("scan_consistency", "not_bounded, request_plus, statement_plus or at_plus");
    }
    // What cannot change an answer here is checked all the same.
    static Error hint(const std::string& name, const Json& value) {
        if (name == "timeout" || name == "scan_wait") {
            if (!value.is(Kind::string) || !parse_go_duration(value.text)) return wrong(name, "a duration");
            return std::nullopt;
        }
        if (name == "max_parallelism" || name == "pipeline_batch" || name == "pipeline_cap" || name == "scan_cap") {
            std::int64_t number = 0;
            const auto result = std::from_chars(value.text.data(), value.text.data() + value.text.size(), number);
            const bool good = value.is(Kind::string) && result.ec == std::errc{} &&
                              result.ptr == value.text.data() + value.text.size();
            if (!good) return wrong(name, "a number in a string");
            return std::nullopt;
        }
        if (name == "preserve_expiry" || name == "use_fts") {
            if (!value.is(Kind::boolean)) return wrong(name, "true or false");
            return std::nullopt;
        }
        if (name == "use_replica") {
            if (value.string() != "on" && value.string() != "off") return wrong(name, "on or off");
            return std::nullopt;
        }
        return QueryError{.code = 1065, .message = "Unrecognized parameter in request: " + name};
    }

    QueryRequest& request_;
};

}  // namespace

std::optional<QueryError> QueryRequest::parse(std::string_view body, QueryRequest& request) {
    const auto json = parse_json(body);
    if (!json || !json->is(Kind::object)) {
        return QueryError{.code = 1020, .message = "Error processing request - cause: the body is no JSON object"};
    }
    Reader reader(request);
    for (const auto& [name, value] : json->members)
        if (auto error = reader.member(name, value)) return error;
    return reader.finish();
}

std::optional<double> parse_go_duration(std::string_view text) noexcept {
    struct Unit {
        std::string_view name;
        double nanoseconds;
    };
    constexpr std::array<Unit, 8> units{{{"ns", 1},
                                         {"us", 1e3},
                                         {"\xc2\xb5s", 1e3},
                                         {"\xce\xbcs", 1e3},
                                         {"ms", 1e6},
                                         {"s", 1e9},
                                         {"m", 60e9},
                                         {"h", 3600e9}}};
    double total = 0;
    if (text.empty()) return std::nullopt;
    while (!text.empty()) {
        double number = 0;
        const auto result = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
        if (result.ec != std::errc{} || number < 0) return std::nullopt;
        text.remove_prefix(static_cast<std::size_t>(result.ptr - text.data()));
        const Unit* unit = nullptr;
        for (const Unit& each : units) {  // "m" is not the beginning of "ms"
            if (text.starts_with(each.name) && (unit == nullptr || each.name.size() > unit->name.size())) unit = &each;
        }
        if (unit == nullptr) return std::nullopt;
        text.remove_prefix(unit->name.size());
        total += number * unit->nanoseconds;
    }
    return total;
}

}  // namespace chaise::testing
