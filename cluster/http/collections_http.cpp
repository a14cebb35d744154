#include "cluster/http/collections_http.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <stdexcept>

#include "cluster/json/json.hpp"
#include "protocol/json_text.hpp"

namespace chaise::testing {

namespace {

// Of an application/x-www-form-urlencoded body.
std::optional<std::string> field(std::string_view form, std::string_view name) {
    while (!form.empty()) {
        std::string_view pair = form.substr(0, form.find('&'));
        form.remove_prefix(std::min(form.size(), pair.size() + 1));
        const std::size_t equals = pair.find('=');
        if (pair.substr(0, equals) != name) continue;
        std::string value(equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1));
        std::replace(value.begin(), value.end(), '+', ' ');
        return percent_decode(value);
    }
    return std::nullopt;
}

std::string required_name(const HttpRequest& request) {
    auto name = field(request.body, "name");
    if (!name) throw std::invalid_argument("name: The value must be supplied");
    return *std::move(name);
}

std::int64_t max_ttl(const HttpRequest& request) {
    const auto text = field(request.body, "maxTTL");
    if (!text) return 0;
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
    if (error != std::errc{} || end != text->data() + text->size())
        throw std::invalid_argument("maxTTL: The value must be an integer");
    return seconds;
}

HttpResponse refusal(int status, std::string_view why) {
    std::string body = R"({"errors":{"_":)";
    append_json_text(body, why);
    return {.status = status, .headers = {}, .body = body + "}}", .stream = {}};
}

}  // namespace

HttpResponse answer_scopes(KvNode& node, const ClusterUser& user, const HttpRequest& request,
                           const std::vector<std::string>& path) {
    const std::string& bucket = path[3];
    const bool lists = path.size() == 5 || (path.size() == 7 && path[6] == "collections");
    const bool drops = path.size() == 6 || (path.size() == 8 && path[6] == "collections");
    if (!lists && !drops) return {.status = 404, .content_type = "text/plain", .headers = {}, .body = {}, .stream = {}};
    if (path.size() == 5 && (request.method == "GET" || request.method == "HEAD")) {
        const auto config = node.bucket_config(bucket);
        if (config->settings.type == BucketType::memcached) return refusal(400, "Not allowed on this type of bucket");
        return {.headers = {}, .body = to_json(config->manifest), .stream = {}};
    }
    if (request.method != (lists ? "POST" : "DELETE")) {
        HttpResponse other = refusal(405, "");
        other.headers.push_back({"Allow", path.size() == 5 ? "GET, HEAD, POST" : lists ? "POST" : "DELETE"});
        return other;
    }
    if (!user.buckets.empty()) return refusal(403, "Forbidden. User needs to administrate the bucket's collections");
    ClusterState& cluster = node.cluster();
    try {
        std::uint64_t uid = 0;
        if (path.size() == 5) uid = cluster.create_scope(bucket, required_name(request));
        if (path.size() == 6) uid = cluster.drop_scope(bucket, path[5]);
        if (path.size() == 7)
            uid = cluster.create_collection(bucket, path[5], required_name(request), max_ttl(request));
        if (path.size() == 8) uid = cluster.drop_collection(bucket, path[5], path[7]);
        return {.headers = {}, .body = R"({"uid":")" + protocol::json_hex(uid) + "\"}", .stream = {}};
    } catch (const std::out_of_range& absent) {
        return refusal(404, absent.what());
    } catch (const std::invalid_argument& wrong) {
        return refusal(400, wrong.what());
    }
}

}  // namespace chaise::testing
