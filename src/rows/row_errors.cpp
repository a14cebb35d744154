#include "rows/row_errors.hpp"

#include "protocol/json_members.hpp"

#include <fmt/format.h>

#include <charconv>

namespace chaise::detail {

namespace {

using protocol::json_member;

std::string plain(std::string_view json) {
    auto text = protocol::json_unquoted(json);
    return text ? std::move(*text) : std::string(json);
}

std::int64_t number(std::string_view json) {
    std::int64_t value = 0;
    std::from_chars(json.data(), json.data() + json.size(), value);
    return value;
}

bool says(std::string_view text, std::string_view what) { return text.find(what) != std::string_view::npos; }

/// The first element of `errors`; empty: there is none.
std::string_view first_error(std::string_view meta) {
    protocol::JsonElements errors(json_member(meta, "errors"));
    std::string_view first;
    return errors.next(first) ? first : std::string_view{};
}

/// The message is left for who finds a better one than the status.
void by_status(RowVerdict& verdict, const RowRequest& request, int status) {
    if (status == 401 || status == 403) {
        verdict.code = errc::authentication_failure;
    } else if (status == 503) {
        verdict.code = errc::service_not_available;
        verdict.elsewhere = true;
    } else if (status / 100 == 3) {  // told where by a header; any other node is as good
        verdict.code = errc::http_failure;
        verdict.elsewhere = request.service == RowService::views;
    } else {
        verdict.code = errc::http_failure;
    }
}

errc view_error(int status, std::string_view error, std::string_view reason) {
    if (status == 401 || status == 403) return errc::authentication_failure;
    if (status == 404) {
        return says(reason, "missing_named_view") || says(reason, "view_undefined") || says(reason, "not_found, ")
                   ? errc::view_not_found
                   : errc::design_document_not_found;
    }
    if (says(error, "query_parse_error") || status == 400) return errc::invalid_argument;
    return errc::view_failure;
}

void judge_views(RowVerdict& verdict, const RowRequest& request, int status, std::string_view meta) {
    if (const std::string_view error = json_member(meta, "error"); !error.empty()) {
        const std::string what = plain(error);
        const std::string reason = plain(json_member(meta, "reason"));
        if (status / 100 == 3 || status == 503) {
            by_status(verdict, request, status);
        } else if (says(reason, "no_db_file")) {  // a node that has not heard of the bucket (yet)
            verdict.code = errc::bucket_not_found;
            verdict.elsewhere = true;
        } else {
            verdict.code = view_error(status, what, reason);
        }
        verdict.message = reason.empty() ? what : fmt::format("{}: {}", what, reason);
        return;
    }
    if (status != 200) return by_status(verdict, request, status);
    const std::string_view first = first_error(meta);
    if (first.empty() || request.errors_are_told) return;
    verdict.code = errc::view_failure;
    verdict.message =
        fmt::format("{} (from {})", plain(json_member(first, "reason")), plain(json_member(first, "from")));
}

errc query_error(std::int64_t code, std::string_view text) {
    switch (code) {
        case 1065:
        case 1070:
            return errc::invalid_argument;
        case 1080:
            return errc::timeout_after_send;
        case 1191:
        case 1192:
        case 1193:
        case 1194:
            return errc::rate_limited;
        case 3000:
            return errc::parsing_failure;
        case 4040:
        case 4050:
        case 4060:
        case 4070:
        case 4080:
        case 4090:
            return errc::prepared_statement_failure;
        case 4300:
            return says(text, "already exists") ? errc::index_exists : errc::planning_failure;
        case 12003:
            return errc::collection_not_found;
        case 12004:
        case 12016:
            return errc::index_not_found;
        case 12009:
            return says(text, "CAS mismatch") ? errc::cas_mismatch : errc::dml_failure;
        case 12021:
            return errc::scope_not_found;
        case 13014:
            return errc::authentication_failure;
        default:
            break;
    }
    if (code == 5000 && says(text, "already exists")) return errc::index_exists;
    if (code == 5000 && says(text, "not found")) return errc::index_not_found;
    switch (code / 1000) {
        case 4:
            return errc::planning_failure;
        case 5:
            return errc::internal_server_failure;
        case 10:
            return errc::authentication_failure;
        case 12:
        case 14:
            return errc::index_failure;
        default:
            return errc::query_failure;
    }
}

errc analytics_error(std::int64_t code) {
    if (code >= 20000 && code <= 20003) return errc::authentication_failure;
    if (code == 21002) return errc::timeout_after_send;
    if (code == 23000 || code == 23003) return errc::temporary_failure;
    if (code == 23007) return errc::job_queue_full;
    if (code == 24000) return errc::parsing_failure;
    if (code == 24025 || code == 24044 || code == 24045) return errc::dataset_not_found;
    if (code / 1000 == 24) return errc::compilation_failure;
    return errc::analytics_failure;
}

void judge_queries(RowVerdict& verdict, const RowRequest& request, int status, std::string_view meta) {
    if (const std::string_view first = first_error(meta); !first.empty()) {
        const std::string text = plain(json_member(first, "msg"));
        verdict.server_code = number(json_member(first, "code"));
        verdict.code = request.service == RowService::analytics ? analytics_error(verdict.server_code)
                                                                : query_error(verdict.server_code, text);
        verdict.message = fmt::format("{} (error {})", text, verdict.server_code);
        verdict.stale_plan = verdict.code == errc::prepared_statement_failure ||
                             (verdict.code == errc::index_not_found && !request.prepared.empty());
        return;
    }
    if (status != 200) return by_status(verdict, request, status);
    const std::string state = plain(json_member(meta, "status"));
    if (state.empty() || state == "success" || state == "completed") return;
    verdict.code = state == "timeout"                         ? errc::timeout_after_send
                   : request.service == RowService::analytics ? errc::analytics_failure
                                                              : errc::query_failure;
    verdict.message = fmt::format("the query ended with status \"{}\"", state);
}

void judge_search(RowVerdict& verdict, const RowRequest& request, int status, std::string_view meta) {
    const std::string_view error = json_member(meta, "error");
    if (error.empty() && status == 200) return;
    by_status(verdict, request, status);
    if (error.empty()) return;
    verdict.message = plain(error);
    if (verdict.code == errc::http_failure) {
        verdict.code = says(verdict.message, "index not found") ? errc::index_not_found : errc::search_failure;
    }
}

/// Others are found before anything of a statement is carried out.
bool is_of_execution(errc code) noexcept {
    return code == errc::timeout_after_send || code == errc::dml_failure || code == errc::cas_mismatch ||
           code == errc::internal_server_failure || code == errc::query_failure || code == errc::analytics_failure;
}

}  // namespace

std::string one_line(std::string_view text, std::size_t longest) {
    const bool cut = text.size() > longest;
    if (cut) {
        while (longest != 0 && (static_cast<unsigned char>(text[longest]) & 0xC0) == 0x80)
            --longest;  // not in a letter
        text = text.substr(0, longest);
    }
    std::string out(text);
    for (char& c : out) {
        if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';
    }
    out.erase(out.find_last_not_of(' ') + 1);
    return cut ? out + "..." : out;
}

RowVerdict judge(const RowRequest& request, int status, std::string_view meta, std::string_view body) {
    RowVerdict verdict;
    switch (request.service) {
        case RowService::design:
        case RowService::management:
            if (status / 100 == 2) break;
            [[fallthrough]];
        case RowService::views:
            judge_views(verdict, request, status, meta);
            break;
        case RowService::query:
        case RowService::analytics:
            judge_queries(verdict, request, status, meta);
            break;
        case RowService::search:
            judge_search(verdict, request, status, meta);
            break;
    }
    if (verdict.code != errc::success && verdict.message.empty()) {
        const std::string said = one_line(body, 200);
        verdict.message = fmt::format("HTTP status {}{}{}", status, said.empty() ? "" : ": ", said);
    } else {
        verdict.message = one_line(verdict.message);
    }
    verdict.begun = is_of_execution(verdict.code);
    return verdict;
}

}  // namespace chaise::detail
