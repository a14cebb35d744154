#include <chaise/design_documents.hpp>

#include "bucket/core.hpp"
#include "bucket/task_parts.hpp"
#include "protocol/json_check.hpp"
#include "protocol/json_members.hpp"
#include "rows/row_stream.hpp"

#include <chaise/rows.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace chaise::detail {

namespace {

/// A design document, in requests that end by a deadline together.
class DesignRequests {
public:
    DesignRequests(Core& core, const BucketHandle& bucket, std::string name, bool development)
        : core_(&core), bucket_(bucket.default_collection()), name_(std::move(name)), development_(development) {}

    void ends_by(TimePoint deadline) noexcept { deadline_ = deadline; }
    void take_development(bool on) noexcept { development_ = on; }
    [[nodiscard]] bool development() const noexcept { return development_; }
    [[nodiscard]] Core& core() const noexcept { return *core_; }
    [[nodiscard]] BucketHandle& bucket() noexcept { return bucket_; }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] Duration left() const {
        return std::max<Duration>(deadline_ - core_->iops().now(), std::chrono::microseconds(1));
    }

    [[nodiscard]] Rows send(std::string_view method, std::string body = {}) {
        const bool prefix = development_ && !name_.starts_with("dev_");
        RowRequest request = common(RowService::design);
        request.method = method;
        request.target = fmt::format("/{}/_design/{}{}", percent_encoded(core_->settings().bucket),
                                     prefix ? "dev_" : "", percent_encoded(name_));
        request.body = std::move(body);
        request.array.clear();
        request.read_only = method != "DELETE";  // what is written twice is written
        request.writes = method == "PUT";
        return rows(std::move(request));
    }
    [[nodiscard]] Rows list() {
        RowRequest request = common(RowService::management);
        request.target = fmt::format("/pools/default/buckets/{}/ddocs", percent_encoded(core_->settings().bucket));
        return rows(std::move(request));
    }

private:
    [[nodiscard]] RowRequest common(RowService service) const {
        RowRequest request;
        request.service = service;
        request.operation = "design_documents";
        request.timeout = left();
        return request;
    }
    [[nodiscard]] Rows rows(RowRequest request) {
        return Rows(std::make_unique<RowStream>(*core_, bucket_, std::move(request)));
    }

    Core* core_;
    BucketHandle bucket_;
    std::string name_;
    bool development_;
    TimePoint deadline_{};
};

HttpResult answer_of(const Rows& rows) {
    return {rows.meta().http_status(), rows.meta().json(), rows.meta().headers()};
}

Task<HttpResult> one(DesignRequests& requests, std::string_view method, std::string body) {
    Rows rows = requests.send(method, std::move(body));
    co_await rows.next();
    co_return answer_of(rows);
}

Task<HttpResult> published(DesignRequests& requests) {
    requests.take_development(true);
    const HttpResult document = co_await one(requests, "GET", std::string());
    requests.take_development(false);
    co_await one(requests, "PUT", document.value());
    requests.take_development(true);
    HttpResult removed = co_await one(requests, "DELETE", std::string());
    co_return removed;
}

Task<DesignListResult> listed(DesignRequests& requests) {
    std::vector<DesignDocument> documents;
    Rows rows = requests.list();
    for (;;) {
        const Row row = co_await rows.next();
        if (!row) break;
        const std::string_view document = row.member("doc");
        const std::string_view id = protocol::json_member(protocol::json_member(document, "meta"), "id");
        std::string name = protocol::json_unquoted(id).value_or(std::string());
        if (name.starts_with("_design/")) name.erase(0, 8);
        documents.push_back({std::move(name), std::string(protocol::json_member(document, "json"))});
    }
    co_return DesignListResult(answer_of(rows), std::move(documents));
}

/// Its views share one index; each is asked for, since a sample's are not complete before.
Task<HttpResult> indexed(DesignRequests& requests) {
    HttpResult document = co_await one(requests, "GET", std::string());
    protocol::JsonMembers views(protocol::json_member(document.value(), "views"));
    std::string_view quoted;
    std::string_view body;
    while (views.next(quoted, body)) {
        const std::string view = protocol::json_unquoted(quoted).value_or(std::string());
        ViewOptions asked;
        asked.stale = Stale::updated;
        asked.limit = 1;
        asked.development = requests.development();
        if (asked.development) asked.full_set = true;
        asked.timeout = requests.left();
        Rows rows(requests.bucket().view_query(requests.name(), view, asked));
        co_await rows.all();
    }
    co_return document;
}

/// `fault`: why it cannot be done, if it cannot.
template <class T, class Run>
AsyncResult<T> begin(DesignRequests requests, OperationKind kind, const DesignOptions& options, const char* fault,
                     bool changes, Run run) {
    Core& core = requests.core();
    Slot& slot = core.acquire(nullptr, kind, protocol::Opcode::noop);
    if (!fault && options.timeout <= Duration::zero()) fault = "timeout must be more than 0";
    if (fault) {
        core.reject(slot, errc::invalid_argument, {}, fault);
        return AsyncResult<T>(&slot);
    }
    // Shared: std::function wants to be copied.
    auto all = std::make_shared<DesignRequests>(std::move(requests));
    auto task = [all, run](Duration left) -> Task<T> {
        all->ends_by(all->core().iops().now() + left);
        return run(*all);
    };
    core.submit_when_open(slot, std::make_unique<TaskParts<T>>(std::move(task), changes), options.timeout);
    return AsyncResult<T>(&slot);
}

const char* fault_of_name(std::string_view name) { return name.empty() ? "a design document must be named" : nullptr; }

const char* fault_of_document(std::string_view json) {
    protocol::JsonCheck is_json;
    if (is_json(json) && json[json.find_first_not_of(" \t\r\n")] == '{') return nullptr;
    return "a design document must be a JSON object";
}

}  // namespace

AsyncResult<HttpResult> BucketHandle::design_create(std::string_view name, std::string_view json,
                                                    const DesignOptions& options) {
    const char* fault = fault_of_name(name);
    return begin<HttpResult>({*core_, *this, std::string(name), options.development}, OperationKind::design, options,
                             fault ? fault : fault_of_document(json), true,
                             [text = std::string(json)](DesignRequests& all) { return one(all, "PUT", text); });
}

AsyncResult<HttpResult> BucketHandle::design_get(std::string_view name, const DesignOptions& options) {
    return begin<HttpResult>({*core_, *this, std::string(name), options.development}, OperationKind::design, options,
                             fault_of_name(name), false,
                             [](DesignRequests& all) { return one(all, "GET", std::string()); });
}

AsyncResult<HttpResult> BucketHandle::design_remove(std::string_view name, const DesignOptions& options) {
    return begin<HttpResult>({*core_, *this, std::string(name), options.development}, OperationKind::design, options,
                             fault_of_name(name), true,
                             [](DesignRequests& all) { return one(all, "DELETE", std::string()); });
}

AsyncResult<HttpResult> BucketHandle::design_publish(std::string_view name, const DesignOptions& options) {
    if (name.starts_with("dev_")) name.remove_prefix(4);
    return begin<HttpResult>({*core_, *this, std::string(name), true}, OperationKind::design, options,
                             fault_of_name(name), true, [](DesignRequests& all) { return published(all); });
}

AsyncResult<DesignListResult> BucketHandle::design_list(const DesignOptions& options) {
    return begin<DesignListResult>({*core_, *this, {}, false}, OperationKind::design_list, options, nullptr, false,
                                   [](DesignRequests& all) { return listed(all); });
}

AsyncResult<HttpResult> BucketHandle::design_wait(std::string_view name, const DesignOptions& options) {
    return begin<HttpResult>({*core_, *this, std::string(name), options.development}, OperationKind::design, options,
                             fault_of_name(name), false, [](DesignRequests& all) { return indexed(all); });
}

}  // namespace chaise::detail
