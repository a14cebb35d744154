#include "cluster/query/query_http.hpp"

#include <algorithm>
#include <utility>

#include "cluster/query/query_answer.hpp"
#include "protocol/json_text.hpp"

namespace chaise::testing {

namespace {

std::string hex(std::uint64_t value) {
    std::string text = protocol::json_hex(value);
    return std::string(16 - text.size(), '0') + text;
}

std::string uuid(std::uint64_t a, std::uint64_t b) {
    const std::string digits = hex(a) + hex(b);
    return digits.substr(0, 8) + "-" + digits.substr(8, 4) + "-" + digits.substr(12, 4) + "-" + digits.substr(16, 4) +
           "-" + digits.substr(20);
}

// The same statement gets the same name.
std::string name_of(const std::string& text, const std::string& context) {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (const char c : context + "\n" + text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    return uuid(hash, hash * 0x9e3779b97f4a7c15u);
}

QueryError syntax_error(const sql::SyntaxError& error, bool readonly) {
    if (error.changes_data && readonly) return {.code = 1000, .message = "The statement is not a readonly request"};
    return {.code = 3000, .message = error.message, .line = error.line, .column = error.column};
}

}  // namespace

/// One request on its way to its answer.
struct QueryHttp::Execution {
    QueryRequest request;
    QueryAnswer::Head head;
    const ClusterUser* user = nullptr;
    std::shared_ptr<SelectRows> rows;
    std::vector<std::string> ready_rows;  // of PREPARE
};

HttpResponse QueryHttp::answer(const HttpRequest& http) {
    const std::vector<std::string> path = http.path();
    const auto respond = [](int status, std::string body) {
        return HttpResponse{.status = status, .headers = {}, .body = std::move(body), .stream = {}};
    };
    if (path == std::vector<std::string>{"admin", "ping"}) return respond(200, "{}\n");
    if (path != std::vector<std::string>{"query", "service"}) return respond(404, "");
    Execution execution;
    execution.head.request_id = uuid(node_.iops().random(), node_.iops().random());
    const auto [name, password] = http.basic_credentials();
    if (!node_.cluster().authenticates(name, password)) {
        return answer_with(execution,
                           QueryError{.code = 13014, .message = "User does not have credentials to run queries"});
    }
    execution.user = node_.cluster().user(name);
    if (http.method != "POST") {
        return answer_with(execution, QueryError{.code = 1010, .message = "Unsupported http method: " + http.method});
    }
    return run(http, execution);
}

HttpResponse QueryHttp::run(const HttpRequest& http, Execution& execution) {
    QueryRequest& request = execution.request;
    auto error = QueryRequest::parse(http.body, request);
    execution.head.client_context = request.client_context;
    execution.head.metrics = request.metrics;
    execution.head.profile = request.profile;
    if (error) return answer_with(execution, std::move(error));
    if (const ScriptedAnswer* scripted = scripts_->find(HttpService::query, request.statement)) {
        return {.status = scripted->status,
                .headers = {},
                .body = ScriptedAnswers::filled(scripted->body, execution.head.request_id, request.client_context),
                .stream = {}};
    }
    sql::Statement statement;
    if (request.statement.empty()) {
        error = statement_of(execution, request.prepared, request.encoded_plan, statement);
    } else {
        sql::SyntaxError syntax;
        auto parsed = sql::parse(request.statement, syntax);
        if (!parsed) return answer_with(execution, syntax_error(syntax, request.readonly));
        statement = *std::move(parsed);
        if (statement.kind == sql::Statement::Kind::execute) {
            if (statement.using_) {
                if (statement.using_->is(Json::Kind::array)) request.parameters.positional = statement.using_->items;
                if (statement.using_->is(Json::Kind::object)) request.parameters.named = *statement.using_;
            }
            error = statement_of(execution, statement.name, {}, statement);
        }
    }
    if (!error && statement.kind == sql::Statement::Kind::prepare) {
        error = prepare(execution, statement);
        if (error || !request.auto_execute) return answer_with(execution, std::move(error));
        statement.kind = sql::Statement::Kind::select;
    }
    if (error) return answer_with(execution, std::move(error));

    // Its trees are pointed at from here on.
    const auto shared = std::make_shared<const sql::Statement>(std::move(statement));
    const sql::Select& select = shared->select;
    if (request.signature) execution.head.signature = signature_of(select);
    std::vector<DocumentPtr> documents;
    if (select.from) {
        KeyspaceRef keyspace;
        error = resolve_keyspace(node_.cluster(), *select.from, request.context, keyspace);
        if (error) return answer_with(execution, std::move(error));
        const std::string& bucket = keyspace.bucket->settings.name;
        const auto& allowed = execution.user->buckets;
        if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), bucket) == allowed.end()) {
            return answer_with(execution,
                               QueryError{.code = 13014,
                                          .message = "User does not have credentials to run SELECT queries on "
                                                     "default:" +
                                                     bucket + ". Add role query_select on it."});
        }
        if (request.at_plus) {
            const Json* vectors = request.scan_vectors.find(bucket);
            if (vectors != nullptr) error = check_vectors(node_.cluster(), keyspace, *vectors);
        }
        if (!error && select.keys) {
            std::vector<std::string> keys;
            try {
                const Json value = sql::evaluate(*select.keys, sql::RowContext{request.parameters});
                if (value.is(Json::Kind::string)) keys.push_back(value.text);
                for (const Json& item : value.items)
                    if (item.is(Json::Kind::string)) keys.push_back(item.text);
            } catch (const sql::EvaluationError& e) {
                error = QueryError{.code = e.code, .message = "Error evaluating KEYS - cause: " + e.message};
            }
            if (!error) error = documents_of(node_.cluster(), keyspace, keys, documents);
        } else if (!error) {
            error = all_documents(node_.cluster(), keyspace, documents);
        }
        if (error) return answer_with(execution, std::move(error));
    }
    execution.rows = std::make_shared<SelectRows>(shared, request.parameters, std::move(documents));
    error = execution.rows->begin();
    return answer_with(execution, std::move(error));
}

std::optional<QueryError> QueryHttp::statement_of(Execution& execution, std::string name, const std::string& plan,
                                                  sql::Statement& statement) {
    auto found = cluster_->prepared.find(name);
    if (found == cluster_->prepared.end() && !plan.empty()) {
        auto decoded = PreparedStatement::from_plan(plan, name);
        if (!decoded) return QueryError{.code = 4050, .message = "Unrecognizable prepared statement - cause: " + name};
        found = cluster_->prepared.insert_or_assign(name, *std::move(decoded)).first;
    }
    if (found == cluster_->prepared.end()) {
        return QueryError{.code = 4040, .message = "No such prepared statement: " + name, .retry = true};
    }
    sql::SyntaxError syntax;
    auto parsed = sql::parse(found->second.text, syntax);
    if (!parsed || parsed->kind != sql::Statement::Kind::select) {
        return QueryError{.code = 4050, .message = "Unrecognizable prepared statement - cause: " + name};
    }
    statement = *std::move(parsed);
    execution.request.context = found->second.context;
    return std::nullopt;
}

std::optional<QueryError> QueryHttp::prepare(Execution& execution, const sql::Statement& statement) {
    const std::string& context = execution.request.context;
    if (statement.select.from) {
        KeyspaceRef keyspace;
        if (auto error = resolve_keyspace(node_.cluster(), *statement.select.from, context, keyspace)) return error;
    }
    const std::string name = statement.name.empty() ? name_of(statement.text, context) : statement.name;
    const PreparedStatement prepared{name, statement.text, context};
    cluster_->prepared[name] = prepared;
    if (execution.request.auto_execute) {
        execution.head.prepared = name;
        return std::nullopt;
    }
    Json row = Json::object();
    row.set("encoded_plan", Json::of(prepared.encoded_plan()));
    row.set("name", Json::of(name));
    row.set("signature", *parse_json(signature_of(statement.select)));
    row.set("text", Json::of(execution.request.statement));
    execution.ready_rows.push_back(row.dump());
    return std::nullopt;
}

HttpResponse QueryHttp::answer_with(Execution& execution, std::optional<QueryError> error) {
    if (error || !execution.rows) {
        std::uint64_t bytes = 0;
        std::string text = QueryAnswer::head_text(execution.head);
        for (const std::string& row : execution.ready_rows) {
            text += "\n" + row;  // never more than one
            bytes += row.size();
        }
        text +=
            QueryAnswer::tail_text(execution.head, error ? &*error : nullptr, execution.ready_rows.size(), bytes, 0);
        return {.status = error ? error->http_status() : 200, .headers = {}, .body = std::move(text), .stream = {}};
    }
    return {.headers = {},
            .body = {},
            .stream = [head = execution.head, rows = execution.rows](HttpSink& sink) -> std::unique_ptr<HttpStream> {
                return std::make_unique<QueryAnswer>(head, rows, sink);
            }};
}

}  // namespace chaise::testing
