#pragma once

#include <memory>

#include "cluster/http/http_message.hpp"
#include "cluster/kv/node.hpp"
#include "cluster/services/scripted_answers.hpp"

namespace chaise::testing {

/// A service of which the cluster knows nothing but what a test says: search (by the path of the request) and
/// analytics (by the statement in it).
class ScriptedHttp final : public HttpHandler {
public:
    ScriptedHttp(KvNode& node, HttpService service, std::shared_ptr<const ScriptedAnswers> scripts)
        : node_(node), service_(service), scripts_(std::move(scripts)) {}

    [[nodiscard]] HttpResponse answer(const HttpRequest& request) override;

private:
    KvNode& node_;
    HttpService service_;
    std::shared_ptr<const ScriptedAnswers> scripts_;
};

}  // namespace chaise::testing
