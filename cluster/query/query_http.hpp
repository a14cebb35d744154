#pragma once

#include <memory>
#include <string>

#include "cluster/http/http_message.hpp"
#include "cluster/kv/node.hpp"
#include "cluster/query/query_cluster.hpp"
#include "cluster/query/query_request.hpp"
#include "cluster/services/scripted_answers.hpp"

namespace chaise::testing {

/// The query service of one node (`n1ql`, protocol.md 8.2): the subset of SQL++ in docs/query-subset.md, and answers
/// that tests gave for the rest. No socket.
///
/// - `POST /query/service`   a JSON object
/// - `GET /admin/ping`
class QueryHttp final : public HttpHandler {
public:
    /// `node` must outlive it and its streams.
    QueryHttp(KvNode& node, std::shared_ptr<QueryCluster> cluster, std::shared_ptr<const ScriptedAnswers> scripts)
        : node_(node), cluster_(std::move(cluster)), scripts_(std::move(scripts)) {}

    [[nodiscard]] HttpResponse answer(const HttpRequest& request) override;

private:
    struct Execution;
    [[nodiscard]] HttpResponse run(const HttpRequest& http, Execution& execution);
    [[nodiscard]] std::optional<QueryError> prepare(Execution& execution, const sql::Statement& statement);
    [[nodiscard]] std::optional<QueryError> statement_of(Execution& execution, std::string name,
                                                         const std::string& plan, sql::Statement& statement);
    [[nodiscard]] HttpResponse answer_with(Execution& execution, std::optional<QueryError> error);

    KvNode& node_;
    std::shared_ptr<QueryCluster> cluster_;
    std::shared_ptr<const ScriptedAnswers> scripts_;
};

}  // namespace chaise::testing
