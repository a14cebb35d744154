#include "cluster/services/control_http.hpp"

#include <array>
#include <chrono>
#include <cmath>
#include <utility>

namespace chaise::testing {

namespace {

std::optional<HttpService> service_of(const Json& json) {
    constexpr std::array<std::string_view, 4> names{"views", "query", "search", "analytics"};
    for (std::size_t i = 0; i < names.size(); ++i)
        if (json["service"].string() == names[i]) return static_cast<HttpService>(i);
    return std::nullopt;
}

// False: it is there and no whole number from 0 to a billion.
template <class T>
bool read_number(const Json& json, std::string_view name, T& value) {
    const Json* found = json.find(name);
    if (found == nullptr) return true;
    const double number = found->number;
    if (!found->is(Json::Kind::number) || number < 0 || number > 1e9 || number != std::trunc(number)) return false;
    value = static_cast<T>(number);
    return true;
}

}  // namespace

HttpResponse ControlHttp::answer(const HttpRequest& request) {
    const std::vector<std::string> path = request.path();
    if (path.size() != 2 || path[0] != "_chaise") return inner_.answer(request);
    const auto respond = [](int status, std::string text) {
        return HttpResponse{
            .status = status, .content_type = "text/plain", .headers = {}, .body = std::move(text), .stream = {}};
    };
    const auto [name, password] = request.basic_credentials();
    if (!cluster_.authenticates(name, password)) return respond(401, "");
    const ClusterUser* user = cluster_.user(name);
    if (user == nullptr || !user->buckets.empty()) return respond(403, "");
    if (path[1] == "faults" && request.method == "DELETE") {
        faults_->clear();
        return respond(200, "");
    }
    if (path[1] != "faults" && path[1] != "scripts") return respond(404, "");
    if (request.method != "POST") return respond(405, "");
    const auto json = parse_json(request.body);
    if (!json || !json->is(Json::Kind::object)) return respond(400, "the body is no JSON object");
    const std::string problem = path[1] == "faults" ? add_fault(*json) : add_script(*json);
    return respond(problem.empty() ? 200 : 400, problem);
}

std::string ControlHttp::add_fault(const Json& json) {
    const auto service = service_of(json);
    if (!service) return "service: views, query, search or analytics";
    HttpFault fault{.service = *service, .body = std::string(json["body"].string())};
    std::int64_t delay = 0;
    std::int64_t piece_delay = 0;
    std::uint64_t cut = 0;
    NodeId node = 0;
    const bool good = read_number(json, "times", fault.times) && read_number(json, "status", fault.status) &&
                      read_number(json, "piece", fault.piece) && read_number(json, "delay_ms", delay) &&
                      read_number(json, "piece_delay_ms", piece_delay) && read_number(json, "cut", cut) &&
                      read_number(json, "node", node);
    if (!good || fault.times == 0)
        return "times, status, piece, delay_ms, piece_delay_ms, cut and node are whole numbers";
    fault.delay = std::chrono::milliseconds{delay};
    fault.piece_delay = std::chrono::milliseconds{piece_delay};
    if (json.find("cut") != nullptr) fault.cut = cut;
    if (json.find("node") != nullptr) fault.node = node;
    faults_->add(std::move(fault));
    return {};
}

std::string ControlHttp::add_script(const Json& json) {
    const auto service = service_of(json);
    if (!service || *service == HttpService::views) return "service: query, search or analytics";
    if (!json["request"].is(Json::Kind::string) || !json["body"].is(Json::Kind::string))
        return "request and body: texts";
    int status = 200;
    if (!read_number(json, "status", status)) return "status: a number";
    scripts_->set(*service, json["request"].string(), {status, std::string(json["body"].string())});
    return {};
}

}  // namespace chaise::testing
