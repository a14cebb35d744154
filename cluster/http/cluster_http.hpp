#pragma once

#include <string>

#include "cluster/http/http_message.hpp"
#include "cluster/kv/node.hpp"
#include "cluster/views/design_document.hpp"

namespace chaise::testing {

/// The management interface of one node: maps, buckets and nodes, as clients ask for them (protocol.md 7.1). No socket:
/// a request goes in, an answer or a stream comes out.
///
/// - `GET /pools`                                       also without a user
/// - `GET /pools/default`, `/pools/nodes`               the cluster and its nodes
/// - `GET /pools/default/serverGroups`                  groups and the nodes of each
/// - `GET /pools/default/nodeServices`                  nodes and services; `nodeServicesStreaming` goes on
/// - `GET /pools/default/b/BUCKET`                      the bucket's map; `bs/BUCKET` goes on
/// - `GET /pools/default/buckets[/BUCKET]`              with what older clients look for; `bucketsStreaming/BUCKET`
/// - `GET /pools/default/buckets/BUCKET/ddocs`          the design documents
/// - `POST /pools/default/buckets/BUCKET/controller/doFlush`
/// - `/pools/default/buckets/BUCKET/scopes` and below   collections_http.hpp
///
/// A stream sends the document at once and again when the node believes a new one, each followed by four newlines, and
/// ends with its bucket. Wrong or missing credentials: 401; a bucket that the user may not use: 403; none: 404.
class ClusterHttp final : public HttpHandler {
public:
    /// `node` and `designs` must outlive it and its streams.
    ClusterHttp(KvNode& node, const DesignDocuments& designs) noexcept : node_(node), designs_(designs) {}

    [[nodiscard]] HttpResponse answer(const HttpRequest& request) override;

private:
    [[nodiscard]] HttpResponse pools(const ClusterUser* user) const;
    [[nodiscard]] HttpResponse pool(const HttpRequest& request, bool nodes_only) const;
    [[nodiscard]] std::string node_json(const HttpRequest& request, const ConfigNode& node) const;
    [[nodiscard]] HttpResponse server_groups(const HttpRequest& request) const;
    [[nodiscard]] HttpResponse bucket(const HttpRequest& request, const ClusterUser& user,
                                      const std::vector<std::string>& path) const;
    [[nodiscard]] HttpResponse bucket_list(const HttpRequest& request, const ClusterUser& user) const;

    KvNode& node_;
    const DesignDocuments& designs_;
};

}  // namespace chaise::testing
