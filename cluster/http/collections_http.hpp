#pragma once

#include <string>
#include <vector>

#include "cluster/http/http_message.hpp"
#include "cluster/kv/node.hpp"

namespace chaise::testing {

/// What is below `/pools/default/buckets/BUCKET/scopes`, for a bucket that `user` may use:
///
/// - `GET scopes`                                      the manifest that this node believes
/// - `POST scopes`                                     `name=S`
/// - `DELETE scopes/S`
/// - `POST scopes/S/collections`                       `name=C` and perhaps `maxTTL=SECONDS`
/// - `DELETE scopes/S/collections/C`
///
/// A change is answered with the manifest's new id, `{"uid":"1f"}`; what is refused with `{"errors":{"_":"why"}}`, 404
/// when there is no such thing and 400 otherwise. Users that are limited to buckets may only read.
[[nodiscard]] HttpResponse answer_scopes(KvNode& node, const ClusterUser& user, const HttpRequest& request,
                                         const std::vector<std::string>& path);

}  // namespace chaise::testing
