#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/json/json.hpp"

// The subset of SQL++ that the cluster understands (docs/query-subset.md), as trees.
namespace chaise::testing::sql {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct Expression {
    enum class Op : std::uint8_t {
        literal,     // value
        name,        // text
        field,       // operands[0].text
        element,     // operands[0][operands[1]]
        positional,  // number, from 1
        named,       // text
        meta,        // of the alias `text`, or of the only one
        count,       // operands[0], or all rows
        array,
        object,  // texts are the names
        negate,
        not_,
        and_,
        or_,
        equal,
        not_equal,
        less,
        less_equal,
        greater,
        greater_equal,
        like,
        in,
        between,
        is_null,
        is_missing,
        is_valued,
        concat,
        add,
        subtract,
        multiply,
        divide,
    };
    Op op = Op::literal;
    Json value{};
    std::string text{};
    std::size_t number = 0;
    std::vector<std::string> texts{};
    std::vector<ExpressionPtr> operands{};
};

struct ResultItem {
    enum class Kind : std::uint8_t {
        everything,  // *
        fields,      // expression.*
        value,
    };
    Kind kind = Kind::value;
    ExpressionPtr expression{};
    std::string name{};  // of its member in the row
};

struct OrderItem {
    ExpressionPtr expression;
    bool descending = false;
};

struct Keyspace {
    std::vector<std::string> path;  // as written: bucket, or bucket.scope.collection, or collection
    std::string alias;
};

struct Select {
    bool raw = false;
    bool counts = false;  // one row, of all rows
    std::vector<ResultItem> items;
    std::optional<Keyspace> from;
    ExpressionPtr keys;
    ExpressionPtr where;
    std::vector<OrderItem> order;
    ExpressionPtr limit;
    ExpressionPtr offset;
    std::size_t placeholders = 0;  // positional parameters that it needs
};

struct Statement {
    enum class Kind : std::uint8_t { select, prepare, execute };
    Kind kind = Kind::select;
    std::string text;              // of the SELECT, also of the one that is prepared
    Select select;                 // of select and prepare
    std::string name;              // of prepare (may be empty) and execute
    std::optional<Json> using_{};  // of execute: an array, or an object
};

struct SyntaxError {
    std::string message;  // as the server words it
    std::size_t line = 1;
    std::size_t column = 1;
    bool changes_data = false;  // begins as a statement that does
};

/// Nothing: `error` says what is wrong.
[[nodiscard]] std::optional<Statement> parse(std::string_view text, SyntaxError& error);

}  // namespace chaise::testing::sql
