#include "cluster/services/scripted_http.hpp"

#include <string>
#include <utility>

#include "cluster/json/json.hpp"

namespace chaise::testing {

HttpResponse ScriptedHttp::answer(const HttpRequest& request) {
    const auto respond = [](int status, std::string body) {
        return HttpResponse{.status = status, .headers = {}, .body = std::move(body), .stream = {}};
    };
    const std::string path = percent_decode(request.target.substr(0, request.target.find('?')));
    if (path == (service_ == HttpService::search ? "/api/ping" : "/admin/ping")) return respond(200, "{}\n");
    const auto [name, password] = request.basic_credentials();
    const bool known = node_.cluster().authenticates(name, password);
    if (service_ == HttpService::search) {
        if (!known) return respond(401, R"({"error":"rest_auth: unauthorized","request":null,"status":"fail"})");
        if (const ScriptedAnswer* answer = scripts_->find(service_, path)) return respond(answer->status, answer->body);
        return respond(404,
                       R"({"error":"rest_auth: preparePerms, err: index not found","request":null,"status":"fail"})");
    }
    if (!known) return respond(401, R"({"errors":[{"code":20000,"msg":"Unauthorized user."}],"status":"fatal"})");
    const auto body = parse_json(request.body);
    const std::string_view statement = body ? (*body)["statement"].string() : std::string_view{};
    const std::string_view context = body ? (*body)["client_context_id"].string() : std::string_view{};
    const std::string id = "analytics-" + std::to_string(node_.iops().random());
    if (const ScriptedAnswer* answer = scripts_->find(service_, statement)) {
        return respond(answer->status, ScriptedAnswers::filled(answer->body, id, context));
    }
    std::string text = R"({"requestID":")" + id + R"(","clientContextID":)";
    append_json_text(text, context);
    return respond(400,
                   text + R"(,"errors":[{"code":24000,"msg":"Syntax error: nothing was scripted for this statement"}],)"
                          R"("status":"fatal"})");
}

}  // namespace chaise::testing
