// Views and queries, as the faces ask for them.

#include "bucket/core.hpp"
#include "rows/query_request.hpp"
#include "rows/row_stream.hpp"
#include "rows/view_request.hpp"

#include <chaise/detail/bucket_handle.hpp>

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>

namespace chaise::detail {

namespace {

std::string context_id(Core& core) {
    IOPS& iops = core.iops();
    return fmt::format("{:016x}{:016x}", iops.random(), iops.random());
}

}  // namespace

std::unique_ptr<RowSource> BucketHandle::view_query(std::string_view design, std::string_view view,
                                                    const ViewOptions& options) {
    return std::make_unique<RowStream>(*core_, *this, view_request(core_->settings().bucket, design, view, options));
}

std::unique_ptr<RowSource> BucketHandle::n1ql_query(std::string_view statement, const QueryOptions& options) {
    return std::make_unique<RowStream>(*core_, *this,
                                       n1ql_request(core_->settings().bucket, statement, options, context_id(*core_)));
}

std::unique_ptr<RowSource> BucketHandle::analytics_query(std::string_view statement, const AnalyticsOptions& options) {
    return std::make_unique<RowStream>(*core_, *this, analytics_request(statement, options, context_id(*core_)));
}

std::unique_ptr<RowSource> BucketHandle::search_query(std::string_view index, std::string_view body,
                                                      const SearchOptions& options) {
    return std::make_unique<RowStream>(*core_, *this, search_request(index, body, options));
}

}  // namespace chaise::detail
