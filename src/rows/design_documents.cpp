#include <chaise/design_documents.hpp>

#include "bucket/core.hpp"
#include "protocol/json_check.hpp"
#include "protocol/json_members.hpp"
#include "rows/row_stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace chaise {

namespace detail {

std::unique_ptr<RowSource> BucketHandle::design_request(std::string_view method, std::string_view name,
                                                        std::string_view json, bool development, Duration timeout) {
    const std::string bucket = percent_encoded(core_->settings().bucket);
    RowRequest request;
    request.operation = "design_documents";
    request.method = method;
    request.timeout = timeout;
    if (timeout <= Duration::zero()) request.refuse(errc::invalid_argument, "timeout must be more than 0");
    if (method == "LIST") {
        request.service = RowService::management;
        request.method = "GET";
        request.target = fmt::format("/pools/default/buckets/{}/ddocs", bucket);
        return std::make_unique<RowStream>(*core_, *this, std::move(request));
    }
    request.service = RowService::design;
    request.array.clear();
    request.read_only = method != "DELETE";  // what is written twice is written
    if (name.empty()) request.refuse(errc::invalid_argument, "a design document must be named");
    const bool prefix = development && !name.starts_with("dev_");
    request.target = fmt::format("/{}/_design/{}{}", bucket, prefix ? "dev_" : "", percent_encoded(name));
    if (method == "PUT") {
        protocol::JsonCheck is_json;
        const std::size_t first = json.find_first_not_of(" \t\r\n");
        if (!is_json(json) || json[first] != '{') {
            request.refuse(errc::invalid_argument, "a design document must be a JSON object");
        }
        request.body = json;
    }
    return std::make_unique<RowStream>(*core_, *this, std::move(request));
}

}  // namespace detail

Task<> DesignDocuments::published(std::string name, DesignOptions options) {
    if (name.starts_with("dev_")) name.erase(0, 4);
    options.development = true;
    std::string json = co_await answer("GET", name, {}, options);
    DesignOptions real = options;
    real.development = false;
    co_await done("PUT", name, std::move(json), real);
    co_await done("DELETE", name, {}, options);
}

Task<std::vector<DesignDocument>> DesignDocuments::listed(DesignOptions options) {
    std::vector<DesignDocument> out;
    Rows rows(bucket_.design_request("LIST", {}, {}, false, options.timeout));
    for (;;) {
        const Row row = co_await rows.next();
        if (!row) break;
        const std::string_view document = row.member("doc");
        const std::string_view id = protocol::json_member(protocol::json_member(document, "meta"), "id");
        std::string name = protocol::json_unquoted(id).value_or(std::string());
        if (name.starts_with("_design/")) name.erase(0, 8);
        out.push_back({std::move(name), std::string(protocol::json_member(document, "json"))});
    }
    co_return out;
}

Task<> DesignDocuments::indexed(std::string name, DesignOptions options) {
    const std::string json = co_await answer("GET", name, {}, options);
    protocol::JsonMembers views(protocol::json_member(json, "views"));
    ViewOptions asked;
    asked.stale = Stale::updated;
    asked.limit = 1;
    asked.development = options.development;
    asked.timeout = options.timeout;
    if (options.development) asked.full_set = true;
    std::string_view quoted;
    std::string_view body;
    while (views.next(quoted, body)) {
        const std::string view = protocol::json_unquoted(quoted).value_or(std::string());
        Rows rows(bucket_.view_query(name, view, asked));
        co_await rows.all();
    }
}

}  // namespace chaise
