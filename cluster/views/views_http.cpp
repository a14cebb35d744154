#include "cluster/views/views_http.hpp"

#include <algorithm>
#include <utility>

#include "cluster/json/json.hpp"
#include "cluster/views/view_answer.hpp"

namespace chaise::testing {

namespace {

/// A development view looks at one vbucket when there are this many documents for each vbucket, as the server does.
constexpr std::size_t development_multiple = 20;

std::string quoted(std::string_view text) {
    std::string out;
    append_json_text(out, text);
    return out;
}

HttpResponse json(int status, std::string body) {
    return {.status = status, .headers = {}, .body = std::move(body), .stream = {}};
}
HttpResponse problem(int status, std::string_view error, std::string_view reason) {
    return json(status, R"({"error":)" + quoted(error) + R"(,"reason":)" + quoted(reason) + "}\n");
}

std::string meta_of(const DesignDocument& document) {
    return R"({"id":)" + quoted("_design/" + document.name) + R"(,"rev":)" + quoted(document.revision) +
           R"(,"type":"json"})";
}

// "_design/x" may come as one segment.
std::vector<std::string> split_path(const HttpRequest& request) {
    std::vector<std::string> path = request.path();
    if (path.size() >= 2 && path[1].starts_with("_design/")) {
        std::string name = path[1].substr(8);
        path[1] = "_design";
        path.insert(path.begin() + 2, std::move(name));
    }
    // "BUCKET+UUID", as couchApiBase has it.
    if (!path.empty()) path[0].resize(std::min(path[0].find('+'), path[0].size()));
    return path;
}

std::string address(const KvNode& node, std::string_view local_host, std::uint16_t port) {
    std::string host = node.cluster().node(node.id()).hostname;
    if (host.empty()) host = local_host;
    if (host.find(':') != std::string::npos) host = "[" + host + "]";
    return host + ":" + std::to_string(port);
}

bool has_active(KvNode& node, const BucketConfig& bucket) {
    for (std::size_t i = 0; i < bucket.map.size(); ++i) {
        const VBucket* copy = node.vbucket(bucket.settings.name, static_cast<std::uint16_t>(i));
        if (copy != nullptr && copy->state() == VBucketState::active) return true;
    }
    return false;
}

}  // namespace

HttpResponse ViewsHttp::answer(const HttpRequest& request) {
    const std::vector<std::string> path = split_path(request);
    if (path.empty())
        return json(200, "{\"couchdb\":\"Welcome\",\"version\":\"v4.5.1-chaise\",\"couchbase\":\"7.6.0-chaise\"}\n");
    const auto [name, password] = request.basic_credentials();
    const ClusterState& cluster = views_.node().cluster();
    if (!cluster.authenticates(name, password)) {
        HttpResponse refusal = problem(401, "unauthorized", "Name or password is incorrect.");
        refusal.headers.push_back({"WWW-Authenticate", R"(Basic realm="Couchbase")"});
        return refusal;
    }
    const auto bucket = views_.node().bucket_config(path[0]);
    if (!bucket || bucket->settings.type != BucketType::couchbase) return problem(404, "not_found", "no_db_file");
    const ClusterUser* user = cluster.user(name);
    const bool may = user != nullptr && (user->buckets.empty() || std::find(user->buckets.begin(), user->buckets.end(),
                                                                            path[0]) != user->buckets.end());
    if (!may) return problem(403, "forbidden", "The user may not use this bucket.");
    if (path.size() < 3 || path[1] != "_design") return problem(404, "not_found", "missing");
    if (path.size() == 3) return design(request, *bucket, path[2]);
    if (path.size() == 5 && path[3] == "_view") return query(request, *bucket, path[2], path[4]);
    if (path.size() == 5 && path[3] == "_spatial") {
        return problem(404, "not_found", "Spatial views are not served, as by servers since 7.0.");
    }
    return problem(404, "not_found", "missing");
}

HttpResponse ViewsHttp::design(const HttpRequest& request, const BucketConfig& bucket, const std::string& name) {
    DesignDocuments& designs = views_.cluster().designs();
    const std::string id = "_design/" + name;
    if (request.method == "PUT") {
        if (const auto error = designs.put(bucket.uuid, name, request.body)) {
            return problem(400, error->error, error->reason);
        }
        HttpResponse response = json(201, R"({"ok":true,"id":)" + quoted(id) + "}\n");
        response.headers.push_back({"X-Couchbase-Meta", meta_of(*designs.find(bucket.uuid, name))});
        return response;
    }
    const auto document = designs.find(bucket.uuid, name);
    if (request.method == "DELETE") {
        if (!document) return problem(404, "not_found", "missing");
        designs.remove(bucket.uuid, name);
        for (const NodeId node : bucket.servers)
            if (NodeViews* views = views_.cluster().node(node)) views->drop_index(bucket.uuid, name);
        return json(200, R"({"ok":true,"id":)" + quoted(id) + "}\n");
    }
    if (request.method != "GET" && request.method != "HEAD") {
        return problem(405, "method_not_allowed", "Only DELETE,GET,HEAD,PUT allowed");
    }
    if (!document) return problem(404, "not_found", designs.was_removed(bucket.uuid, name) ? "deleted" : "missing");
    HttpResponse response = json(200, document->json);
    response.headers.push_back({"X-Couchbase-Meta", meta_of(*document)});
    return response;
}

HttpResponse ViewsHttp::query(const HttpRequest& request, const BucketConfig& bucket, const std::string& name,
                              const std::string& view) {
    if (request.method != "GET" && request.method != "POST") {
        return problem(405, "method_not_allowed", "Only GET,POST allowed");
    }
    KvNode& here = views_.node();
    ViewAnswerParts parts;
    parts.document = views_.cluster().designs().find(bucket.uuid, name);
    if (!parts.document) {
        const bool removed = views_.cluster().designs().was_removed(bucket.uuid, name);
        return problem(404, "not_found", removed ? "deleted" : "Design document _design/" + name + " not found");
    }
    parts.salt = here.iops().random();
    parts.view = parts.document->view(view);
    if (parts.view == nullptr) return problem(404, "not_found", "missing_named_view");
    const std::size_t mark = request.target.find('?');
    const std::string_view parameters =
        mark == std::string::npos ? std::string_view{} : std::string_view(request.target).substr(mark + 1);
    if (const auto error = parse_view_query(parameters, request.body, *parts.view, parts.query)) {
        return problem(400, error->error, error->reason);
    }
    const ClusterState& state = here.cluster();
    if (!has_active(here, bucket)) {
        HttpResponse elsewhere =
            problem(302, "no_active_vbuckets", "Cannot execute view query since the node has no active vbuckets");
        for (const NodeId id : bucket.servers) {
            NodeViews* other = views_.cluster().node(id);
            if (other == nullptr || !has_active(other->node(), bucket)) continue;
            const std::string base = "http://" + address(other->node(), request.local_host, state.node(id).ports.capi);
            elsewhere.headers.push_back({"Location", base + request.target});
            break;
        }
        return elsewhere;
    }

    std::vector<NodeViews*> nodes;
    std::size_t documents = 0;
    for (const NodeId id : bucket.servers) {
        NodeViews* node = views_.cluster().node(id);
        if (node != nullptr) {
            nodes.push_back(node);
            for (std::size_t i = 0; i < bucket.map.size(); ++i) {
                const VBucket* copy = node->node().vbucket(bucket.settings.name, static_cast<std::uint16_t>(i));
                if (copy != nullptr && copy->state() == VBucketState::active) documents += copy->documents();
            }
            continue;
        }
        std::string host = state.node(id).hostname.empty() ? request.local_host : state.node(id).hostname;
        const std::string from = "http://" + host + ":" + std::to_string(state.node(id).ports.capi) + "/_view_merge/?" +
                                 std::string(parameters);
        parts.errors.push_back(R"({"from":)" + quoted(from) + R"(,"reason":"econnrefused"})");
    }
    if (parts.document->development() && !parts.query.full_set &&
        documents >= bucket.map.size() * development_multiple) {
        nodes = {&views_};
        parts.errors.clear();
        for (std::uint16_t i = 0; !parts.only_vbucket; ++i) {
            const VBucket* copy = here.vbucket(bucket.settings.name, i);
            if (copy != nullptr && copy->state() == VBucketState::active) parts.only_vbucket = i;
        }
    }
    std::string debug;
    for (NodeViews* node : nodes) {
        ViewIndex& index = node->index(bucket, parts.document);
        if (parts.query.stale == ViewQuery::Stale::updated) {
            index.update(node->node());
        } else {
            index.drop_inactive(node->node());
            if (parts.query.stale == ViewQuery::Stale::update_after) node->update_later(bucket, parts.document);
        }
        ViewPart part{index.rows(*parts.view),
                      address(node->node(), request.local_host, state.node(node->node().id()).ports.capi)};
        debug +=
            (debug.empty() ? "{" : ",") + quoted(node == &views_ ? "local" : "http://" + part.node + "/_view_merge/");
        debug += R"(:{"signature":)" + quoted(parts.document->revision) + R"(,"rows":)" +
                 std::to_string(part.rows->size()) + R"(,"failed_documents":)" + std::to_string(index.failures()) +
                 R"(,"last_failure":)" + quoted(index.last_failure()) + "}";
        parts.parts.push_back(std::move(part));
    }
    if (parts.query.debug) parts.debug_info = debug + "}";
    auto shared = std::make_shared<ViewAnswerParts>(std::move(parts));
    return {.headers = {}, .body = {}, .stream = [shared](HttpSink& sink) -> std::unique_ptr<HttpStream> {
                return std::make_unique<ViewAnswer>(std::move(*shared), sink);
            }};
}

std::string design_list(const DesignDocuments& designs, const BucketConfig& bucket) {
    std::string text = R"({"rows":[)";
    for (const auto& document : designs.all(bucket.uuid)) {
        if (text.back() != '[') text += ',';
        const std::string path = "/pools/default/buckets/" + percent_encode(bucket.settings.name) +
                                 "/ddocs/_design%2F" + percent_encode(document->name);
        text += R"({"doc":{"meta":{"id":)" + quoted("_design/" + document->name) + R"(,"rev":)" +
                quoted(document->revision) + R"(},"json":)" + document->json + R"(},"controllers":{"compact":)" +
                quoted(path + "/controller/compactView") + "}}";
    }
    return text + "]}";
}

}  // namespace chaise::testing
