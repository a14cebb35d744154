#include "rows/query_request.hpp"

#include "protocol/json_check.hpp"
#include "protocol/json_members.hpp"
#include "protocol/json_text.hpp"

#include <chaise/mutation_state.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string>

namespace chaise::detail {

namespace {

/// A JSON object that grows, each name once.
class Members {
public:
    explicit Members(RowRequest& request) : request_(request) {}

    void json(std::string_view name, std::string_view value) {
        if (!names_.emplace(name).second) {
            return request_.refuse(errc::invalid_argument, fmt::format("\"{}\" is given twice", name));
        }
        text_ += text_.empty() ? '{' : ',';
        protocol::append_json_string(text_, name);
        text_.append(":").append(value);
    }
    void text(std::string_view name, std::string_view value) {
        std::string quoted;
        protocol::append_json_string(quoted, value);
        json(name, quoted);
    }
    void optional_text(std::string_view name, std::string_view value) {
        if (!value.empty()) text(name, value);
    }
    void boolean(std::string_view name, const std::optional<bool>& value) {
        if (value) json(name, *value ? "true" : "false");
    }
    void number(std::string_view name, const std::optional<std::uint64_t>& value) {
        if (value) json(name, std::to_string(*value));
    }
    /// The query service has some numbers in strings.
    void number_as_text(std::string_view name, const std::optional<std::uint64_t>& value) {
        if (value) text(name, std::to_string(*value));
    }
    void duration(std::string_view name, Duration value) {
        text(name, fmt::format("{}us", std::chrono::ceil<std::chrono::microseconds>(value).count()));
    }
    /// The caller's JSON, which begins with that bracket. False: there is none, or it is none.
    bool check(std::string_view what, std::string_view value, char bracket) {
        if (value.empty()) return false;
        const std::size_t first = value.find_first_not_of(" \t\r\n");
        if (is_json_(value) && value[first] == bracket) return true;
        request_.refuse(errc::invalid_argument, fmt::format("{} must be a JSON {}: {}", what,
                                                            bracket == '[' ? "array" : "object", value.substr(0, 80)));
        return false;
    }
    void array(std::string_view name, std::string_view what, std::string_view value) {
        if (check(what, value, '[')) json(name, value);
    }
    void object(std::string_view name, std::string_view value) {
        if (check(name, value, '{')) json(name, value);
    }
    void named(std::string_view object) {
        each("named", object, [this](std::string name, std::string_view value) {
            json(name.starts_with('$') ? name : '$' + name, value);
        });
    }
    void all_of(std::string_view what, std::string_view object) {
        each(what, object, [this](const std::string& name, std::string_view value) { json(name, value); });
    }
    /// Without the last brace.
    [[nodiscard]] std::string open() && { return std::move(text_); }
    [[nodiscard]] std::string whole() && { return text_.empty() ? "{}" : std::move(text_) + '}'; }

private:
    template <class F>
    void each(std::string_view what, std::string_view object, F&& f) {
        if (!check(what, object, '{')) return;
        protocol::JsonMembers members(object);
        for (std::string_view name, value; members.next(name, value);) {
            f(protocol::json_unquoted(name).value_or(std::string()), value);
        }
    }

    RowRequest& request_;
    std::string text_;
    std::set<std::string, std::less<>> names_;
    protocol::JsonCheck is_json_;
};

void add_consistency(Members& members, const std::optional<ScanConsistency>& wanted) {
    if (wanted)
        members.text("scan_consistency", *wanted == ScanConsistency::not_bounded ? "not_bounded" : "request_plus");
}

void add_vectors(Members& members, std::string_view bucket, const MutationState& state) {
    members.text("scan_consistency", "at_plus");
    std::string vectors = "{";
    protocol::append_json_string(vectors, bucket);
    vectors += ":{";
    bool first = true;
    for (const auto& [vbucket, token] : state.tokens()) {
        vectors += fmt::format("{}\"{}\":[{},\"{}\"]", first ? "" : ",", vbucket, token.seqno, token.vbucket_uuid);
        first = false;
    }
    members.json("scan_vectors", vectors + "}}");
}

/// What the search service reads: timeout in milliseconds; of each vbucket and history of the index the sequence
/// number.
std::string search_control(std::string_view index, const SearchOptions& options) {
    std::string control =
        fmt::format("{{\"timeout\":{}", std::chrono::ceil<std::chrono::milliseconds>(options.timeout).count());
    if (options.consistent_with != nullptr && !options.consistent_with->empty()) {
        control += R"(,"consistency":{"level":"at_plus","vectors":{)";
        protocol::append_json_string(control, index);
        control += ":{";
        bool first = true;
        for (const auto& [vbucket, token] : options.consistent_with->tokens()) {
            control += fmt::format("{}\"{}/{}\":{}", first ? "" : ",", vbucket, token.vbucket_uuid, token.seqno);
            first = false;
        }
        control += "}}}";
    }
    return control + '}';
}

RowRequest query(RowService service, std::string_view operation, std::string_view target, Duration timeout) {
    RowRequest request;
    request.service = service;
    request.operation = operation;
    request.method = "POST";
    request.target = target;
    request.array = "results";
    request.timeout = std::min(timeout, std::chrono::hours(24 * 365) + Duration::zero()) + query_grace;
    if (timeout <= Duration::zero()) request.refuse(errc::invalid_argument, "timeout must be more than 0");
    return request;
}

}  // namespace

RowRequest n1ql_request(std::string_view bucket, std::string_view statement, const QueryOptions& options,
                        std::string_view id) {
    RowRequest request = query(RowService::query, "n1ql_query", "/query/service", options.timeout);
    Members members(request);
    if (statement.empty()) request.refuse(errc::invalid_argument, "there is no statement");
    request.read_only = options.readonly.value_or(false);
    request.context = options.client_context_id.empty() ? id : options.client_context_id;
    if (options.adhoc) {
        members.text("statement", statement);
    } else {
        request.prepared = statement;
        request.plan_key = fmt::format("{}\n{}", options.query_context, statement);
    }
    members.text("client_context_id", request.context);
    members.array("args", "positional", options.positional);
    members.named(options.named);
    if (options.consistent_with != nullptr && !options.consistent_with->empty()) {
        if (options.scan_consistency) {
            request.refuse(errc::invalid_argument, "consistent_with and scan_consistency exclude each other");
        }
        add_vectors(members, bucket, *options.consistent_with);
    } else {
        add_consistency(members, options.scan_consistency);
    }
    members.boolean("readonly", options.readonly);
    members.boolean("metrics", options.metrics);
    if (options.profile) {
        constexpr std::array<std::string_view, 3> names{"off", "phases", "timings"};
        members.text("profile", names.at(static_cast<std::size_t>(*options.profile)));
    }
    members.optional_text("query_context", options.query_context);
    if (options.scan_wait.value_or(Duration{}) < Duration{}) {
        request.refuse(errc::invalid_argument, "scan_wait must not be less than 0");
    }
    if (options.scan_wait) members.duration("scan_wait", *options.scan_wait);
    members.number_as_text("scan_cap", options.scan_cap);
    members.number_as_text("pipeline_batch", options.pipeline_batch);
    members.number_as_text("pipeline_cap", options.pipeline_cap);
    members.number_as_text("max_parallelism", options.max_parallelism);
    members.boolean("preserve_expiry", options.preserve_expiry);
    members.boolean("use_fts", options.use_fts);
    members.duration("timeout", options.timeout);
    members.all_of("more", options.more);
    request.body = options.adhoc ? std::move(members).whole() : std::move(members).open();
    return request;
}

RowRequest analytics_request(std::string_view statement, const AnalyticsOptions& options, std::string_view id) {
    RowRequest request = query(RowService::analytics, "analytics_query", "/analytics/service", options.timeout);
    Members members(request);
    if (statement.empty()) request.refuse(errc::invalid_argument, "there is no statement");
    request.read_only = options.readonly.value_or(false);
    request.context = options.client_context_id.empty() ? id : options.client_context_id;
    members.text("statement", statement);
    members.text("client_context_id", request.context);
    members.array("args", "positional", options.positional);
    members.named(options.named);
    add_consistency(members, options.scan_consistency);
    members.boolean("readonly", options.readonly);
    members.optional_text("query_context", options.query_context);
    if (options.priority) members.json("priority", "-1");
    members.duration("timeout", options.timeout);
    members.all_of("more", options.more);
    request.body = std::move(members).whole();
    return request;
}

RowRequest search_request(std::string_view index, std::string_view body, const SearchOptions& options) {
    RowRequest request =
        query(RowService::search, "search_query", "/api/index/" + percent_encoded(index) + "/query", options.timeout);
    request.array = "hits";
    Members members(request);
    if (index.empty()) request.refuse(errc::invalid_argument, "there is no index");
    if (body.empty()) request.refuse(errc::invalid_argument, "there is no query");
    members.all_of("the body of the search", body);
    members.number("size", options.limit);
    members.number("from", options.skip);
    members.boolean("explain", options.explain);
    members.array("fields", "fields", options.fields);
    members.array("sort", "sort", options.sort);
    members.object("facets", options.facets);
    if (protocol::json_member(body, "ctl").empty()) {
        members.json("ctl", search_control(index, options));
    } else if (options.consistent_with != nullptr) {
        request.refuse(errc::invalid_argument, "consistent_with and \"ctl\" in the body exclude each other");
    }
    request.body = std::move(members).whole();
    return request;
}

}  // namespace chaise::detail
