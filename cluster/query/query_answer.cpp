#include "cluster/query/query_answer.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "cluster/json/json.hpp"

namespace chaise::testing {

namespace {

using Kind = Json::Kind;
using Op = sql::Expression::Op;

constexpr std::size_t piece = std::size_t{32} * 1024;

std::string quoted(std::string_view text) {
    std::string out;
    append_json_text(out, text);
    return out;
}

void collect_counts(const sql::Expression& e, std::map<const sql::Expression*, std::uint64_t>& counts) {
    if (e.op == Op::count) counts.emplace(&e, 0);
    for (const auto& operand : e.operands) collect_counts(*operand, counts);
}

QueryError evaluation_error(const sql::EvaluationError& error) {
    return {.code = error.code, .message = "Error evaluating expression - cause: " + error.message};
}

}  // namespace

SelectRows::SelectRows(std::shared_ptr<const sql::Statement> statement, sql::Parameters parameters,
                       std::vector<DocumentPtr> documents)
    : statement_(std::move(statement)),
      select_(statement_->select),
      parameters_(std::move(parameters)),
      documents_(std::move(documents)),
      context_{parameters_, select_.from ? select_.from->alias : std::string{}, nullptr, {}, nullptr} {}

std::optional<QueryError> SelectRows::begin() {
    try {
        const auto number = [&](const sql::ExpressionPtr& expression, std::string_view what, std::uint64_t& value) {
            if (!expression || error_) return;
            const Json json = sql::evaluate(*expression, context_);
            if (!json.is(Kind::number) || json.number != std::trunc(json.number) || std::fabs(json.number) > 9e15) {
                error_ = QueryError{.code = 5010, .message = "Invalid " + std::string(what) + " value " + json.dump()};
            } else {
                value = json.number < 0 ? 0 : static_cast<std::uint64_t>(json.number);
            }
        };
        number(select_.offset, "OFFSET", skip_);
        number(select_.limit, "LIMIT", limit_);
        if (error_) return error_;
        if (select_.counts) {
            count_all();
        } else if (!select_.order.empty()) {
            order_all();
        }
    } catch (const sql::EvaluationError& e) {
        error_ = evaluation_error(e);
    }
    return error_;
}

// False: WHERE does not want it.
bool SelectRows::load(std::size_t index) {
    context_.copied = 0;
    if (!select_.from) {
        context_.document = nullptr;
    } else {
        const Document& document = *documents_[index];
        const std::string value = inflated(document);
        auto json = parse_json(value);
        const std::string_view key = plain_key(document);
        context_.meta = Json::object();
        context_.meta.set("id", Json::of(std::string(key)));
        context_.meta.set("cas", Json::of(static_cast<std::int64_t>(document.cas)));
        context_.meta.set("expiration", Json::of(static_cast<std::int64_t>(document.expiry)));
        context_.meta.set("flags", Json::of(static_cast<std::int64_t>(document.flags)));
        context_.meta.set("type", Json::of(std::string(json ? "json" : "base64")));
        document_ = json ? *std::move(json) : Json{};  // bytes have no value, only META()
        context_.document = &document_;
    }
    return !select_.where || sql::evaluate(*select_.where, context_).is_true();
}

Json SelectRows::project() const {
    if (select_.raw) return sql::evaluate(*select_.items.front().expression, context_);
    JsonObject row;
    for (const sql::ResultItem& item : select_.items) {
        if (item.kind == sql::ResultItem::Kind::everything) {
            if (context_.document != nullptr && !context_.document->is(Kind::missing)) {
                row.set(context_.alias, *context_.document);
            }
            continue;
        }
        Json value = sql::evaluate(*item.expression, context_);
        if (item.kind == sql::ResultItem::Kind::fields) {
            for (Json::Member& member : value.members) row.set(std::move(member.first), std::move(member.second));
        } else if (!value.is(Kind::missing)) {
            row.set(item.name, std::move(value));
        }
    }
    return row.take();
}

void SelectRows::count_all() {
    for (const sql::ResultItem& item : select_.items) collect_counts(*item.expression, counts_);
    const std::size_t rows = select_.from ? documents_.size() : 1;
    for (std::size_t i = 0; i < rows; ++i) {
        if (!load(i)) continue;
        for (auto& [expression, count] : counts_) {
            if (!expression->operands.empty()) {
                const Json value = sql::evaluate(*expression->operands.front(), context_);
                if (value.is(Kind::missing) || value.is(Kind::null)) continue;
            }
            ++count;
        }
    }
    context_.document = nullptr;
    context_.counts = &counts_;
    ready_.push_back({{}, project().dump()});
    prepared_all_ = true;
}

void SelectRows::order_all() {
    const std::size_t rows = select_.from ? documents_.size() : 1;
    for (std::size_t i = 0; i < rows; ++i) {
        if (!load(i)) continue;
        Json row = project();
        Ready ready{{}, row.dump()};
        for (const sql::OrderItem& item : select_.order) {
            // A name that the row gives is the row's.
            const Json* named =
                item.expression->op == Op::name && !select_.raw ? row.find(item.expression->text) : nullptr;
            const bool given = std::any_of(select_.items.begin(), select_.items.end(), [&](const sql::ResultItem& r) {
                return r.kind == sql::ResultItem::Kind::value && item.expression->op == Op::name &&
                       r.name == item.expression->text;
            });
            ready.keys.push_back(given && named != nullptr ? *named : sql::evaluate(*item.expression, context_));
        }
        ready_.push_back(std::move(ready));
    }
    std::stable_sort(ready_.begin(), ready_.end(), [&](const Ready& a, const Ready& b) {
        for (std::size_t i = 0; i < select_.order.size(); ++i) {
            const int order = sql::compare(a.keys[i], b.keys[i]);
            if (order != 0) return select_.order[i].descending ? order > 0 : order < 0;
        }
        return false;
    });
    prepared_all_ = true;
}

std::optional<std::string> SelectRows::produce() {
    if (prepared_all_) {
        if (next_ == ready_.size()) return std::nullopt;
        return std::move(ready_[next_++].row);
    }
    const std::size_t rows = select_.from ? documents_.size() : 1;
    while (next_ < rows) {
        const std::size_t index = next_++;
        if (!load(index)) continue;
        if (skip_ > 0) return std::string{};  // not looked at
        return project().dump();
    }
    return std::nullopt;
}

std::optional<std::string> SelectRows::next() {
    if (error_) return std::nullopt;
    try {
        while (limit_ > 0) {
            std::optional<std::string> row = produce();
            if (!row) return row;
            if (skip_ > 0) {
                --skip_;
                continue;
            }
            --limit_;
            return row;
        }
    } catch (const sql::EvaluationError& e) {
        error_ = evaluation_error(e);
    }
    return std::nullopt;
}

QueryAnswer::QueryAnswer(Head head, std::shared_ptr<SelectRows> rows, HttpSink& sink)
    : head_(std::move(head)), rows_(std::move(rows)), sink_(sink) {}

std::string QueryAnswer::head_text(const Head& head) {
    std::string text = "{\n\"requestID\": " + quoted(head.request_id) + ",\n";
    if (!head.client_context.empty()) text += "\"clientContextID\": " + quoted(head.client_context) + ",\n";
    if (!head.prepared.empty()) text += "\"prepared\": " + quoted(head.prepared) + ",\n";
    if (!head.signature.empty()) text += "\"signature\": " + head.signature + ",\n";
    return text + "\"results\": [";
}

std::string QueryAnswer::tail_text(const Head& head, const QueryError* error, std::uint64_t rows, std::uint64_t bytes,
                                   std::uint64_t sorted) {
    std::string text = "\n],\n";
    if (error != nullptr) text += "\"errors\": [" + error->json() + "],\n";
    const std::string_view status = error == nullptr ? "success" : error->http_status() == 200 ? "errors" : "fatal";
    text += "\"status\": " + quoted(status);
    if (head.metrics) {
        // Nothing takes time here: what a client waits for is the network's, or a fault's.
        text += ",\n\"metrics\": {\"elapsedTime\": \"0s\",\"executionTime\": \"0s\",\"resultCount\": " +
                std::to_string(rows) + ",\"resultSize\": " + std::to_string(bytes) + ",\"serviceLoad\": 0";
        if (sorted != 0) text += ",\"sortCount\": " + std::to_string(sorted);
        if (error != nullptr) text += ",\"errorCount\": 1";
        text += '}';
    }
    if (head.profile != QueryRequest::Profile::off) {
        text +=
            ",\n\"profile\": {\"phaseTimes\": {\"run\": \"0s\"},\"phaseCounts\": {\"fetch\": " + std::to_string(rows) +
            "}";
        if (head.profile == QueryRequest::Profile::timings) text += R"(,"executionTimings": {"#operator": "Sequence"})";
        text += '}';
    }
    return text + "\n}\n";
}

bool QueryAnswer::on_room() {
    if (over_) return false;
    std::string out;
    if (!std::exchange(begun_, true)) out = head_text(head_);
    while (out.size() < piece) {
        const std::optional<std::string> row = rows_->next();
        if (!row) {
            const QueryError* error = rows_->error() ? &*rows_->error() : nullptr;
            out += tail_text(head_, error, count_, bytes_, rows_->sorted());
            over_ = true;
            break;
        }
        out.append(count_++ == 0 ? "\n" : ",\n").append(*row);
        bytes_ += row->size();
    }
    sink_.send(out);
    if (over_) sink_.end();
    return true;
}

std::string signature_of(const sql::Select& select) {
    if (select.raw) return R"("json")";
    Json signature = Json::object();
    for (const sql::ResultItem& item : select.items) {
        if (item.kind == sql::ResultItem::Kind::value) {
            signature.set(item.name, Json::of(std::string(item.expression->op == Op::count ? "number" : "json")));
        } else {
            signature.set("*", Json::of(std::string("*")));
        }
    }
    return signature.dump();
}

}  // namespace chaise::testing
