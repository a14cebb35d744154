#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/http/http_message.hpp"
#include "cluster/query/query_cluster.hpp"
#include "cluster/query/query_request.hpp"

namespace chaise::testing {

/// The rows of a SELECT, one after another.
class SelectRows {
public:
    /// `documents` are those of its FROM; without FROM there is one row, of nothing.
    SelectRows(std::shared_ptr<const sql::Statement> statement, sql::Parameters parameters,
               std::vector<DocumentPtr> documents);
    SelectRows(const SelectRows&) = delete;  // it points into itself
    SelectRows& operator=(const SelectRows&) = delete;
    ~SelectRows() = default;

    /// Evaluates what is wanted before the first row: LIMIT, OFFSET, and all of it when it is counted or ordered.
    [[nodiscard]] std::optional<QueryError> begin();
    /// The next row as JSON. Nothing: there is none, or error() says why.
    [[nodiscard]] std::optional<std::string> next();
    [[nodiscard]] const std::optional<QueryError>& error() const noexcept { return error_; }
    [[nodiscard]] std::uint64_t sorted() const noexcept { return ready_.size(); }

private:
    struct Ready {
        std::vector<Json> keys;
        std::string row;
    };
    [[nodiscard]] bool load(std::size_t document);
    [[nodiscard]] Json project() const;
    [[nodiscard]] std::optional<std::string> produce();
    void count_all();
    void order_all();

    std::shared_ptr<const sql::Statement> statement_;
    const sql::Select& select_;
    sql::Parameters parameters_;
    std::vector<DocumentPtr> documents_;
    std::size_t next_ = 0;
    Json document_;
    sql::RowContext context_;
    std::map<const sql::Expression*, std::uint64_t> counts_;
    bool prepared_all_ = false;
    std::vector<Ready> ready_;
    std::uint64_t skip_ = 0;
    std::uint64_t limit_ = UINT64_MAX;
    std::optional<QueryError> error_;
};

/// A whole answer of the query service.
class QueryAnswer final : public HttpStream {
public:
    struct Head {
        std::string request_id;
        std::string client_context;
        std::string prepared{};   ///< its name, of an automatic execution
        std::string signature{};  ///< JSON; empty: none
        bool metrics = true;
        QueryRequest::Profile profile = QueryRequest::Profile::off;
    };
    QueryAnswer(Head head, std::shared_ptr<SelectRows> rows, HttpSink& sink);

    bool on_room() override;

    [[nodiscard]] static std::string head_text(const Head& head);
    [[nodiscard]] static std::string tail_text(const Head& head, const QueryError* error, std::uint64_t rows,
                                               std::uint64_t bytes, std::uint64_t sorted);

private:
    Head head_;
    std::shared_ptr<SelectRows> rows_;
    HttpSink& sink_;
    std::uint64_t count_ = 0;
    std::uint64_t bytes_ = 0;
    bool begun_ = false;
    bool over_ = false;
};

/// Of the columns, as JSON.
[[nodiscard]] std::string signature_of(const sql::Select& select);

}  // namespace chaise::testing
