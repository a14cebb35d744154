#pragma once

#include <catch2/catch.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/views/views_http.hpp"
#include "kv_fixture.hpp"
#include "protocol/base64.hpp"

namespace chaise::testing {

/// Takes an answer that is a stream, as fast as it comes.
class BodySink final : public HttpSink {
public:
    void send(std::string_view part) override {
        body.append(part);
        largest = std::max(largest, part.size());
    }
    void end() override { ended = true; }
    void cut() override { was_cut = true; }

    std::string body;
    std::size_t largest = 0;
    bool ended = false;
    bool was_cut = false;
};

struct Answered {
    int status = 0;
    std::string body;
    std::vector<HttpHeader> headers;
};

inline Answered answered(HttpHandler& handler, const HttpRequest& request) {
    const HttpResponse response = handler.answer(request);
    Answered result{response.status, response.body, response.headers};
    if (!response.stream) return result;
    BodySink sink;
    const auto stream = response.stream(sink);
    while (stream->on_room()) {
    }
    CHECK(sink.ended);
    CHECK(sink.largest < 128 * 1024);
    result.body = sink.body;
    return result;
}

inline HttpRequest http_request(std::string method, std::string target, std::string body = {},
                                const std::string& credentials = "Administrator:password") {
    HttpRequest request{
        .method = std::move(method), .target = std::move(target), .body = std::move(body), .local_host = "192.0.2.1"};
    if (!credentials.empty()) {
        request.headers.push_back({"Authorization", "Basic " + protocol::base64_encode(credentials)});
    }
    return request;
}

/// A cluster with the view service, without a network.
struct ViewsFixture : KvCluster {
    explicit ViewsFixture(std::size_t count = 1, BucketSettings settings = {.vbuckets = 8, .replicas = 0})
        : KvCluster(count, settings) {
        for (std::size_t i = 0; i < count; ++i) serve(i);
    }
    void serve(std::size_t i) {
        if (views.size() <= i) views.resize(i + 1);
        views[i] = std::make_unique<NodeViews>(shared, node(i));
        if (handlers.size() <= i) handlers.resize(i + 1);
        handlers[i] = std::make_unique<ViewsHttp>(*views[i]);
    }
    void crash(std::size_t i) {
        handlers[i].reset();
        views[i].reset();
        kill(i);
    }
    [[nodiscard]] VBucket& home(std::string_view key) { return *node(active(key)).vbucket("default", vbucket_of(key)); }
    void put(const std::string& key, std::string value) {
        REQUIRE(home(key)
                    .store(StoreMode::set, std::string(1, '\0') + key, std::move(value), 0, 0, 0, {},
                           node(active(key)).time())
                    .status == Status::success);
    }
    void remove(const std::string& key) {
        REQUIRE(home(key).remove(std::string(1, '\0') + key, {}, node(active(key)).time()).status == Status::success);
    }
    Answered ask(const std::string& method, std::string target, std::string body = {},
                 const std::string& credentials = "Administrator:password", std::size_t at = 0) {
        return answered(*handlers.at(at), http_request(method, std::move(target), std::move(body), credentials));
    }
    void design(const std::string& name, const std::string& json) {
        const Answered answer = ask("PUT", "/default/_design/" + name, json);
        INFO(answer.body);
        REQUIRE(answer.status == 201);
    }
    /// `parameters` begins behind the '?'. stale=false unless it says something else.
    Answered view(const std::string& path, std::string parameters = {}, std::string body = {}) {
        if (parameters.find("stale=") == std::string::npos) parameters += "&stale=false";
        return ask(body.empty() ? "GET" : "POST", "/default/_design/" + path + "?" + parameters, std::move(body));
    }
    /// Ids of the rows, or of reduced ones "key=value", with blanks between.
    std::string rows(const std::string& path, const std::string& parameters = {}, const std::string& body = {}) {
        const Answered answer = view(path, parameters, body);
        INFO(answer.body);
        REQUIRE(answer.status == 200);
        const auto json = parse_json(answer.body);
        REQUIRE(json);
        CHECK_FALSE(json->find("errors"));
        std::string text;
        for (const Json& row : (*json)["rows"].items) {
            if (!text.empty()) text += ' ';
            text += row.find("id") ? std::string(row["id"].string()) : row["key"].dump() + "=" + row["value"].dump();
        }
        return text;
    }

    std::shared_ptr<ViewCluster> shared = std::make_shared<ViewCluster>();
    std::vector<std::unique_ptr<NodeViews>> views;
    std::vector<std::unique_ptr<ViewsHttp>> handlers;
};

}  // namespace chaise::testing
