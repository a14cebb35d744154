#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cluster/http/http_message.hpp"
#include "cluster/views/node_views.hpp"

namespace chaise::testing {

/// The view service of one node (`capi`, protocol.md 8.1): design documents and view queries, which it answers with
/// what all nodes have. No socket.
///
/// - `GET /`                                            also without a user
/// - `GET|PUT|DELETE /BUCKET/_design/NAME`
/// - `GET|POST /BUCKET/_design/NAME/_view/VIEW`
class ViewsHttp final : public HttpHandler {
public:
    /// `views` must outlive it and its streams.
    explicit ViewsHttp(NodeViews& views) noexcept : views_(views) {}

    [[nodiscard]] HttpResponse answer(const HttpRequest& request) override;

private:
    [[nodiscard]] HttpResponse design(const HttpRequest& request, const BucketConfig& bucket, const std::string& name);
    [[nodiscard]] HttpResponse query(const HttpRequest& request, const BucketConfig& bucket, const std::string& name,
                                     const std::string& view);

    NodeViews& views_;
};

/// `/pools/default/buckets/BUCKET/ddocs`.
[[nodiscard]] std::string design_list(const DesignDocuments& designs, const BucketConfig& bucket);

}  // namespace chaise::testing
