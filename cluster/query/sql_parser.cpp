#include <algorithm>
#include <array>
#include <charconv>

#include "cluster/query/sql.hpp"
#include "cluster/query/sql_lexer.hpp"

namespace chaise::testing::sql {

namespace {

using Op = Expression::Op;

constexpr std::size_t depth_max = 100;
/// Of one expression: `1 + 1 + 1 …` makes a tree as deep as it is long. Lists of values are only broad.
constexpr std::size_t operators_max = 1000;

// Words that cannot be names without backticks.
constexpr std::array<std::string_view, 38> reserved{
    "ALL",   "AND",     "AS",      "ASC",    "BETWEEN", "BY",      "CREATE", "DELETE", "DESC",   "DISTINCT",
    "DROP",  "ELEMENT", "EXECUTE", "FALSE",  "FROM",    "GROUP",   "HAVING", "IN",     "INSERT", "IS",
    "JOIN",  "KEYS",    "LIKE",    "LIMIT",  "MERGE",   "MISSING", "NOT",    "NULL",   "OFFSET", "OR",
    "ORDER", "PREPARE", "RAW",     "SELECT", "TRUE",    "UPDATE",  "USE",    "WHERE"};

struct Failure {};

class Parser {
public:
    Parser(std::string_view text, SyntaxError& error) : text_(text), error_(error), tokens_(tokens_of(text)) {}

    Statement statement() {
        Statement statement;
        if (accept("PREPARE")) {
            statement.kind = Statement::Kind::prepare;
            if (!is("SELECT")) {
                statement.name = name_or_string();
                if (!accept("FROM")) expect("AS");
            }
            select_of(statement);
        } else if (accept("EXECUTE")) {
            statement.kind = Statement::Kind::execute;
            statement.name = name_or_string();
            if (accept_word("USING")) statement.using_ = constant();
        } else {
            select_of(statement);
        }
        accept_sign(";");
        if (here().kind != Token::Kind::end) fail();
        return statement;
    }

private:
    // ---- tokens ----------------------------------------------------------------------------------------------

    [[nodiscard]] const Token& here() const noexcept { return tokens_[at_]; }
    void next() {
        if (at_ + 1 < tokens_.size()) ++at_;
    }
    [[nodiscard]] bool is(std::string_view keyword) const {
        return here().kind == Token::Kind::word && same_word(here().text, keyword);
    }
    bool accept(std::string_view keyword) {
        if (!is(keyword)) return false;
        next();
        return true;
    }
    bool accept_word(std::string_view word) { return accept(word); }
    [[nodiscard]] bool is_sign(std::string_view sign) const {
        return here().kind == Token::Kind::sign && here().text == sign;
    }
    bool accept_sign(std::string_view sign) {
        if (!is_sign(sign)) return false;
        next();
        return true;
    }
    void expect(std::string_view keyword) {
        if (!accept(keyword)) fail();
    }
    void expect_sign(std::string_view sign) {
        if (!accept_sign(sign)) fail();
    }
    [[nodiscard]] bool begins_character(std::size_t at) const noexcept {
        return (static_cast<unsigned char>(text_[at]) & 0xc0) != 0x80;
    }
    /// The beginning of the character that the place is in.
    [[nodiscard]] std::size_t character_at(std::size_t at) const noexcept {
        while (at > 0 && at < text_.size() && !begins_character(at)) --at;
        return at;
    }
    [[noreturn]] void fail() const {
        const Token& token = here();
        error_.line = 1;
        std::size_t line_begin = 0;
        for (std::size_t i = 0; i < token.at; ++i) {
            if (text_[i] != '\n') continue;
            ++error_.line;
            line_begin = i + 1;
        }
        error_.column = token.at - line_begin + 1;
        const std::size_t from = character_at(token.at > 20 ? token.at - 20 : 0);
        const std::string_view near = text_.substr(from, token.at - from);
        std::size_t end = token.at + token.length;  // of a byte that begins no token, its character's
        while (end < text_.size() && !begins_character(end)) ++end;
        const std::string where =
            "syntax error - line " + std::to_string(error_.line) + ", column " + std::to_string(error_.column);
        error_.message = token.kind == Token::Kind::end
                             ? where + ", at: end of input"
                             : where + ", near '" + std::string(near) +
                                   "', at: " + std::string(text_.substr(token.at, end - token.at));
        error_.changes_data = false;
        for (const std::string_view word : {"INSERT", "UPSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "DROP", "ALTER",
                                            "BUILD", "GRANT", "REVOKE", "TRUNCATE"}) {
            error_.changes_data = error_.changes_data || same_word(tokens_.front().text, word);
        }
        throw Failure{};
    }
    std::string name() {
        const Token& token = here();
        const bool word = token.kind == Token::Kind::word &&
                          std::none_of(reserved.begin(), reserved.end(),
                                       [&](std::string_view r) { return same_word(token.text, r); });
        if (!word && token.kind != Token::Kind::quoted_name) fail();
        std::string text = token.text;
        next();
        return text;
    }
    [[nodiscard]] bool at_name() const {
        if (here().kind == Token::Kind::quoted_name) return true;
        return here().kind == Token::Kind::word &&
               std::none_of(reserved.begin(), reserved.end(),
                            [&](std::string_view r) { return same_word(here().text, r); });
    }
    std::string name_or_string() {
        if (here().kind != Token::Kind::string) return name();
        std::string text = here().text;
        next();
        return text;
    }

    // ---- SELECT ----------------------------------------------------------------------------------------------

    void select_of(Statement& statement) {
        const std::size_t begin = here().at;
        statement.select = select();
        std::size_t end = is_sign(";") ? here().at : text_.size();
        while (end > begin && (text_[end - 1] == ' ' || text_[end - 1] == '\n')) --end;
        statement.text = text_.substr(begin, end - begin);
    }

    Select select() {
        Select select;
        placeholders_ = 0;
        expect("SELECT");
        accept("ALL");
        if (accept("RAW") || accept("ELEMENT") || accept_word("VALUE")) {
            select.raw = true;
            ResultItem item;
            item.expression = expression();
            if (accept("AS")) name();
            select.items.push_back(std::move(item));
        } else {
            do {
                select.items.push_back(result_item(select.items.size() + 1));
            } while (accept_sign(","));
        }
        if (accept("FROM")) from(select);
        if (accept("WHERE")) select.where = expression();
        if (accept("ORDER")) {
            expect("BY");
            do {
                OrderItem item{expression()};
                if (accept("DESC")) {
                    item.descending = true;
                } else {
                    accept("ASC");
                }
                select.order.push_back(std::move(item));
            } while (accept_sign(","));
        }
        if (accept("LIMIT")) select.limit = expression();
        if (accept("OFFSET")) select.offset = expression();
        for (const ResultItem& item : select.items) select.counts = select.counts || counts(item.expression.get());
        for (const ResultItem& item : select.items) {
            // One row of all: what is not counted has no one value.
            if (select.counts && (!item.expression || !counts(item.expression.get()))) fail();
        }
        if (counts(select.where.get())) fail();
        select.placeholders = placeholders_;
        return select;
    }

    static bool counts(const Expression* expression) {
        if (expression == nullptr) return false;
        if (expression->op == Op::count) return true;
        return std::any_of(expression->operands.begin(), expression->operands.end(),
                           [](const ExpressionPtr& operand) { return counts(operand.get()); });
    }

    ResultItem result_item(std::size_t position) {
        ResultItem item;
        if (accept_sign("*")) {
            item.kind = ResultItem::Kind::everything;
            return item;
        }
        fields_allowed_ = true;
        item.expression = expression();
        fields_allowed_ = false;
        if (std::exchange(all_fields_, false)) {
            item.kind = ResultItem::Kind::fields;
            return item;
        }
        const Expression& e = *item.expression;
        item.name = e.op == Op::name || e.op == Op::field ? e.text : "";
        if (accept("AS") || at_name()) item.name = name();
        if (item.name.empty()) item.name = "$" + std::to_string(position);
        return item;
    }

    void from(Select& select) {
        Keyspace keyspace;
        keyspace.path.push_back(name());
        if (accept_sign(":")) keyspace.path = {name()};  // the namespace: there is one
        while (accept_sign(".")) keyspace.path.push_back(name());
        if (keyspace.path.size() == 2 || keyspace.path.size() > 3) fail();
        keyspace.alias = keyspace.path.back();
        if (accept("AS")) {
            keyspace.alias = name();
        } else if (at_name()) {
            keyspace.alias = name();
        }
        if (accept("USE")) {
            accept_word("PRIMARY");
            expect("KEYS");
            select.keys = expression();
        }
        select.from = std::move(keyspace);
    }

    // ---- expressions, loosest first ----------------------------------------------------------------------------

    ExpressionPtr make(Op op, ExpressionPtr a = {}, ExpressionPtr b = {}, ExpressionPtr c = {}) {
        if (a && ++operators_ > operators_max) fail();
        auto e = std::make_unique<Expression>();
        e->op = op;
        for (ExpressionPtr* operand : {&a, &b, &c})
            if (*operand) e->operands.push_back(std::move(*operand));
        return e;
    }

    ExpressionPtr expression() {
        if (depth_ == 0) operators_ = 0;
        if (++depth_ > depth_max) fail();
        ExpressionPtr e = conjunction();
        while (accept("OR")) e = make(Op::or_, std::move(e), conjunction());
        --depth_;
        return e;
    }
    ExpressionPtr conjunction() {
        ExpressionPtr e = negation();
        while (accept("AND")) e = make(Op::and_, std::move(e), negation());
        return e;
    }
    ExpressionPtr negation() {
        if (++depth_ > depth_max) fail();
        ExpressionPtr e = accept("NOT") ? make(Op::not_, negation()) : comparison();
        --depth_;
        return e;
    }
    ExpressionPtr comparison() {
        ExpressionPtr e = sum();
        for (;;) {
            if (accept("IS")) {
                const bool no = accept("NOT");
                Op op = Op::is_null;
                if (accept("MISSING")) {
                    op = Op::is_missing;
                } else if (accept_word("VALUED") || accept_word("KNOWN")) {
                    op = Op::is_valued;
                } else {
                    expect("NULL");
                }
                e = make(op, std::move(e));
                if (no) e = make(Op::not_, std::move(e));
                continue;
            }
            const std::size_t before = at_;
            const bool no = accept("NOT");
            ExpressionPtr found;
            if (accept("LIKE")) {
                found = make(Op::like, std::move(e), sum());
            } else if (accept("IN")) {
                found = make(Op::in, std::move(e), sum());
            } else if (accept("BETWEEN")) {
                ExpressionPtr low = sum();
                expect("AND");
                found = make(Op::between, std::move(e), std::move(low), sum());
            }
            if (found) {
                e = no ? make(Op::not_, std::move(found)) : std::move(found);
                continue;
            }
            at_ = before;
            struct Named {
                std::string_view sign;
                Op op;
            };
            constexpr std::array<Named, 8> signs{{{"=", Op::equal},
                                                  {"==", Op::equal},
                                                  {"!=", Op::not_equal},
                                                  {"<>", Op::not_equal},
                                                  {"<", Op::less},
                                                  {"<=", Op::less_equal},
                                                  {">", Op::greater},
                                                  {">=", Op::greater_equal}}};
            const auto sign = std::find_if(signs.begin(), signs.end(), [&](const Named& n) { return is_sign(n.sign); });
            if (sign == signs.end()) return e;
            next();
            e = make(sign->op, std::move(e), sum());
        }
    }
    ExpressionPtr sum() {
        ExpressionPtr e = product();
        for (;;) {
            if (accept_sign("||")) {
                e = make(Op::concat, std::move(e), product());
            } else if (accept_sign("+")) {
                e = make(Op::add, std::move(e), product());
            } else if (accept_sign("-")) {
                e = make(Op::subtract, std::move(e), product());
            } else {
                return e;
            }
        }
    }
    ExpressionPtr product() {
        ExpressionPtr e = sign();
        for (;;) {
            if (accept_sign("*")) {
                e = make(Op::multiply, std::move(e), sign());
            } else if (accept_sign("/")) {
                e = make(Op::divide, std::move(e), sign());
            } else {
                return e;
            }
        }
    }
    ExpressionPtr sign() {
        if (!accept_sign("-")) return path();
        if (++depth_ > depth_max) fail();
        ExpressionPtr e = make(Op::negate, sign());
        --depth_;
        return e;
    }
    ExpressionPtr path() {
        ExpressionPtr e = primary();
        for (;;) {
            if (accept_sign(".")) {
                if (is_sign("*") && fields_allowed_ && depth_ == 2) {
                    next();
                    all_fields_ = true;
                    return e;
                }
                // Behind a dot any word is a name.
                if (here().kind != Token::Kind::word && here().kind != Token::Kind::quoted_name) fail();
                e = make(Op::field, std::move(e));
                e->text = here().text;
                next();
            } else if (accept_sign("[")) {
                e = make(Op::element, std::move(e), expression());
                expect_sign("]");
            } else {
                return e;
            }
        }
    }
    ExpressionPtr literal(Json value) {
        ExpressionPtr e = make(Op::literal);
        e->value = std::move(value);
        return e;
    }

    ExpressionPtr primary() {
        const Token token = here();
        switch (token.kind) {
            case Token::Kind::string:
                next();
                return literal(Json::of(token.text));
            case Token::Kind::number: {
                const auto number = parse_json(token.text);
                if (!number) fail();  // 007
                next();
                return literal(*number);
            }
            case Token::Kind::parameter:
                next();
                return parameter(token.text);
            case Token::Kind::sign:
                return bracket();
            case Token::Kind::word:
                if (accept("TRUE")) return literal(Json::of(true));
                if (accept("FALSE")) return literal(Json::of(false));
                if (accept("NULL")) return literal(Json::null());
                if (accept("MISSING")) return literal(Json{});
                break;
            default:
                break;
        }
        ExpressionPtr e = make(Op::name);
        e->text = name();
        if (token.kind != Token::Kind::word || !is_sign("(")) return e;
        if (same_word(token.text, "META")) {
            next();
            e->op = Op::meta;
            e->text = is_sign(")") ? "" : name();
        } else if (same_word(token.text, "COUNT")) {
            next();
            e->op = Op::count;
            e->text.clear();
            if (!accept_sign("*")) e->operands.push_back(expression());
        }
        expect_sign(")");  // of another function: its opening one is the mistake
        return e;
    }
    ExpressionPtr parameter(const std::string& text) {
        if (text[0] < '0' || text[0] > '9') {
            ExpressionPtr e = make(Op::named);
            e->text = text;
            return e;
        }
        std::size_t number = 0;
        const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
        if (result.ptr != text.data() + text.size() || number == 0) fail();
        return positional(number);
    }
    ExpressionPtr positional(std::size_t number) {
        ExpressionPtr e = make(Op::positional);
        e->number = number;
        placeholders_ = std::max(placeholders_, number);
        return e;
    }
    ExpressionPtr bracket() {
        if (accept_sign("?")) return positional(++marks_);
        if (accept_sign("(")) {
            ExpressionPtr e = expression();
            expect_sign(")");
            return e;
        }
        if (accept_sign("[")) {
            ExpressionPtr e = make(Op::array);
            if (!accept_sign("]")) {
                do {
                    e->operands.push_back(expression());
                } while (accept_sign(","));
                expect_sign("]");
            }
            return e;
        }
        expect_sign("{");
        ExpressionPtr e = make(Op::object);
        if (!accept_sign("}")) {
            do {
                e->texts.push_back(name_or_string());
                expect_sign(":");
                e->operands.push_back(expression());
            } while (accept_sign(","));
            expect_sign("}");
        }
        return e;
    }

    // Of USING: nothing but literals.
    Json constant() {
        const ExpressionPtr e = expression();
        return constant_of(*e);
    }
    Json constant_of(const Expression& e) {
        if (e.op == Op::literal) return e.value;
        if (e.op == Op::array) {
            Json json = Json::array();
            for (const auto& operand : e.operands) json.items.push_back(constant_of(*operand));
            return json;
        }
        if (e.op == Op::negate && e.operands[0]->op == Op::literal && e.operands[0]->value.is(Json::Kind::number)) {
            return Json::of(-e.operands[0]->value.number);
        }
        if (e.op != Op::object) fail();
        JsonObject json;
        for (std::size_t i = 0; i < e.operands.size(); ++i) json.set(e.texts[i], constant_of(*e.operands[i]));
        return json.take();
    }

    std::string_view text_;
    SyntaxError& error_;
    std::vector<Token> tokens_;
    std::size_t at_ = 0;
    std::size_t depth_ = 0;
    std::size_t operators_ = 0;
    std::size_t marks_ = 0;
    std::size_t placeholders_ = 0;
    bool fields_allowed_ = false;
    bool all_fields_ = false;
};

}  // namespace

std::optional<Statement> parse(std::string_view text, SyntaxError& error) {
    try {
        return Parser(text, error).statement();
    } catch (const Failure&) {
        return std::nullopt;
    }
}

}  // namespace chaise::testing::sql
