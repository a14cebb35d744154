// flush of a Couchbase bucket: its management service does it.

#include "rows/flush.hpp"
#include "bucket/core.hpp"
#include "bucket/task_parts.hpp"
#include "rows/row_stream.hpp"

#include <chaise/rows.hpp>

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <utility>

namespace chaise::detail {

namespace {

Task<OperationResult> flushed(Core& core, BucketHandle bucket, Duration left) {
    RowRequest request;
    request.service = RowService::management;
    request.operation = "flush";
    request.method = "POST";
    request.target =
        fmt::format("/pools/default/buckets/{}/controller/doFlush", percent_encoded(core.settings().bucket));
    request.timeout = left;
    request.read_only = false;
    request.bodiless = true;
    Rows rows(std::make_unique<RowStream>(core, bucket, std::move(request)));
    co_await rows.next();
    co_return OperationResult();
}

}  // namespace

void submit_flush(Core& core, const BucketHandle& bucket, Slot& slot, const std::optional<Duration>& timeout) {
    // Nodes take their time for it.
    constexpr Duration usual = std::chrono::seconds(75);
    auto run = [&core, bucket = bucket.default_collection()](Duration left) { return flushed(core, bucket, left); };
    core.submit_when_open(slot, std::make_unique<TaskParts<OperationResult>>(std::move(run), true),
                          timeout.value_or(usual));
}

}  // namespace chaise::detail
