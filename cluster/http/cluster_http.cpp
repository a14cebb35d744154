#include "cluster/http/cluster_http.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "cluster/http/collections_http.hpp"
#include "cluster/json/json.hpp"
#include "cluster/views/views_http.hpp"

namespace chaise::testing {

namespace {

constexpr std::string_view separator = "\n\n\n\n";

HttpResponse problem(int status, std::string text) {
    return {.status = status, .content_type = "text/plain", .headers = {}, .body = std::move(text), .stream = {}};
}
HttpResponse json(std::string body) { return {.headers = {}, .body = std::move(body), .stream = {}}; }
HttpResponse not_found() { return problem(404, "Requested resource not found.\r\n"); }

std::string quoted(std::string_view text) {
    std::string out;
    append_json_text(out, text);
    return out;
}

// "[::1]", as an address stands before a port.
std::string in_brackets(std::string_view host) {
    return host.find(':') == std::string_view::npos ? std::string(host) : "[" + std::string(host) + "]";
}

bool may_use(const ClusterUser& user, std::string_view bucket) {
    return user.buckets.empty() || std::find(user.buckets.begin(), user.buckets.end(), bucket) != user.buckets.end();
}

enum class Shape { terse, verbose };

// What clients of old look for beside the terse document's members.
std::string document(const BucketConfig& config, NodeId sender, std::string_view host, Shape shape) {
    std::string text = to_json(config, sender, host, shape == Shape::terse ? Detail::terse : Detail::verbose);
    if (shape == Shape::terse) return text;
    const std::string name = percent_encode(config.settings.name);
    text.pop_back();
    text += R"(,"authType":"sasl","evictionPolicy":"valueOnly","replicaNumber":)";
    text += std::to_string(config.settings.replicas);
    text += R"(,"controllers":{"flush":)" + quoted("/pools/default/buckets/" + name + "/controller/doFlush") + "}}";
    return text;
}

// The document of a bucket, or without a name the nodes, whenever it changes.
class ConfigStream final : public HttpStream, private ConfigWatcher {
public:
    ConfigStream(KvNode& node, HttpSink& sink, std::string bucket, std::string host, Shape shape)
        : node_(node), sink_(sink), bucket_(std::move(bucket)), host_(std::move(host)), shape_(shape) {
        node_.add_watcher(*this);
        send();
    }
    ConfigStream(const ConfigStream&) = delete;
    ConfigStream& operator=(const ConfigStream&) = delete;
    ~ConfigStream() override { node_.remove_watcher(*this); }

private:
    void on_config(const std::string& bucket) override {
        if (bucket == bucket_) send();
    }
    void send() {
        std::string text;
        if (bucket_.empty()) {
            if (const auto config = node_.cluster_config()) text = to_json(*config, node_.id(), host_);
        } else if (const auto config = node_.bucket_config(bucket_)) {
            text = document(*config, node_.id(), host_, shape_);
        }
        if (text.empty()) return sink_.end();
        sink_.send(text.append(separator));
    }

    KvNode& node_;
    HttpSink& sink_;
    std::string bucket_;
    std::string host_;
    Shape shape_;
};

HttpResponse stream(KvNode& node, const HttpRequest& request, std::string bucket, Shape shape) {
    return {.headers = {},
            .body = {},
            .stream = [&node, bucket = std::move(bucket), host = request.local_host,
                       shape](HttpSink& sink) -> std::unique_ptr<HttpStream> {
                return std::make_unique<ConfigStream>(node, sink, bucket, host, shape);
            }};
}

}  // namespace

HttpResponse ClusterHttp::answer(const HttpRequest& request) {
    const std::vector<std::string> path = request.path();
    const auto [name, password] = request.basic_credentials();
    const ClusterState& cluster = node_.cluster();
    const bool known = cluster.authenticates(name, password);
    const bool anonymous = request.header("authorization").empty();
    const ClusterUser* user = known ? cluster.user(name) : nullptr;
    if (path.empty() || path[0] != "pools") return not_found();
    const bool reads = request.method == "GET" || request.method == "HEAD";
    if (path.size() == 1 && reads && (known || anonymous)) return pools(user);
    if (user == nullptr) {
        HttpResponse refusal = problem(401, "");
        refusal.headers.push_back({"WWW-Authenticate", R"(Basic realm="Couchbase Server Admin / REST")"});
        return refusal;
    }
    if (path.size() == 6 && path[2] == "buckets" && path[4] == "controller") return bucket(request, *user, path);
    if (path.size() >= 5 && path[1] == "default" && path[2] == "buckets" && path[4] == "scopes") {
        if (!node_.bucket_config(path[3])) return not_found();
        if (!may_use(*user, path[3])) return problem(403, "Forbidden");
        return answer_scopes(node_, *user, request, path);
    }
    if (!reads) {
        HttpResponse refusal = problem(405, "");
        refusal.headers.push_back({"Allow", "GET, HEAD"});
        return refusal;
    }
    if (path.size() == 2 && path[1] == "default") return pool(request, false);
    if (path.size() == 2 && path[1] == "nodes") return pool(request, true);
    if (path.size() < 3 || path[1] != "default") return not_found();
    if (path.size() == 3 && path[2] == "nodeServices") {
        const auto config = node_.cluster_config();
        return config ? json(to_json(*config, node_.id(), request.local_host)) : not_found();
    }
    if (path.size() == 3 && path[2] == "nodeServicesStreaming") return stream(node_, request, {}, Shape::terse);
    if (path.size() == 3 && path[2] == "serverGroups") return server_groups(request);
    if (path.size() == 3 && path[2] == "buckets") return bucket_list(request, *user);
    if (path.size() == 4) return bucket(request, *user, path);
    if (path.size() == 5 && path[2] == "buckets" && path[4] == "ddocs") return bucket(request, *user, path);
    return not_found();
}

HttpResponse ClusterHttp::pools(const ClusterUser* user) const {
    const auto config = node_.cluster_config();
    std::string text = R"({"isAdminCreds":)";
    text += user != nullptr && user->buckets.empty() ? "true" : "false";
    text += R"(,"implementationVersion":"7.6.0-chaise","pools":[{"name":"default","uri":"/pools/default",)"
            R"("streamingUri":"/poolsStreaming/default"}])";
    if (config) text += R"(,"uuid":)" + quoted(config->uuid);
    return json(text + "}");
}

HttpResponse ClusterHttp::pool(const HttpRequest& request, bool nodes_only) const {
    const auto config = node_.cluster_config();
    if (!config) return not_found();
    std::string text = R"({"name":)" + quoted(nodes_only ? "nodes" : "default") + R"(,"clusterName":)" +
                       quoted(config->name) + R"(,"nodes":[)";
    for (const ConfigNode& node : config->nodes) {
        if (text.back() != '[') text += ',';
        text += node_json(request, node);
    }
    text += "]";
    if (!nodes_only) {
        text += R"(,"serverGroupsUri":"/pools/default/serverGroups")";
        text += R"(,"buckets":{"uri":"/pools/default/buckets","terseBucketsBase":"/pools/default/b/",)"
                R"("terseStreamingBucketsBase":"/pools/default/bs/"},"nodeServicesUri":"/pools/default/nodeServices")";
    }
    return json(text + "}");
}

std::string ClusterHttp::node_json(const HttpRequest& request, const ConfigNode& node) const {
    const std::string host = in_brackets(node.hostname.empty() ? request.local_host : node.hostname);
    std::string text = R"({"hostname":)" + quoted(host + ":" + std::to_string(node.ports.mgmt));
    text += R"(,"nodeUUID":)" + quoted(node.uuid);
    text += R"(,"clusterMembership":"active","status":")";
    text += node_.cluster().alive(node.id) ? "healthy" : "unhealthy";
    text += R"(","version":"7.6.0-chaise","services":["kv","n1ql","fts","cbas"],"ports":{"direct":)" +
            std::to_string(node.ports.kv) + "}";
    append_group_and_addresses(text, node);
    if (node.id == node_.id()) text += R"(,"thisNode":true)";
    return text += "}";
}

// In the order in which their first nodes joined; a group without a node is not told.
HttpResponse ClusterHttp::server_groups(const HttpRequest& request) const {
    const auto config = node_.cluster_config();
    if (!config) return not_found();
    std::vector<std::pair<std::string, std::string>> groups;  // name, nodes
    for (const ConfigNode& node : config->nodes) {
        auto group =
            std::find_if(groups.begin(), groups.end(), [&](const auto& one) { return one.first == node.group; });
        if (group == groups.end()) group = groups.insert(group, {node.group, {}});
        if (!group->second.empty()) group->second += ',';
        group->second += node_json(request, node);
    }
    std::string text = R"({"groups":[)";
    for (std::size_t i = 0; i < groups.size(); ++i) {
        const std::string uri = "/pools/default/serverGroups/" + std::to_string(i);
        if (i != 0) text += ',';
        text += R"({"name":)" + quoted(groups[i].first) + R"(,"uri":)" + quoted(uri);
        text += R"(,"nodes":[)" + groups[i].second + "]}";
    }
    return json(text + R"(],"uri":"/pools/default/serverGroups"})");
}

HttpResponse ClusterHttp::bucket(const HttpRequest& request, const ClusterUser& user,
                                 const std::vector<std::string>& path) const {
    const std::string& name = path[3];
    const auto config = node_.bucket_config(name);
    if (!config) return not_found();
    if (!may_use(user, name)) return problem(403, "Forbidden");
    if (path.size() == 6) {
        if (path[5] != "doFlush") return not_found();
        if (request.method != "POST") return problem(405, "");
        node_.cluster().flush_bucket(name);
        return json("");
    }
    if (path.size() == 5) return json(design_list(designs_, *config));
    if (path[2] == "b") return json(document(*config, node_.id(), request.local_host, Shape::terse));
    if (path[2] == "buckets") return json(document(*config, node_.id(), request.local_host, Shape::verbose));
    if (path[2] == "bs" && !node_.cluster().options().terse_streams) return not_found();
    if (path[2] == "bs") return stream(node_, request, name, Shape::terse);
    if (path[2] == "bucketsStreaming") return stream(node_, request, name, Shape::verbose);
    return not_found();
}

HttpResponse ClusterHttp::bucket_list(const HttpRequest& request, const ClusterUser& user) const {
    std::string text = "[";
    for (const std::string& name : node_.buckets()) {
        const auto config = node_.bucket_config(name);
        if (!config || !may_use(user, name)) continue;
        if (text.size() > 1) text += ',';
        text += document(*config, node_.id(), request.local_host, Shape::verbose);
    }
    return json(text + "]");
}

}  // namespace chaise::testing
