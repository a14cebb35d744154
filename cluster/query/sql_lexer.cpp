#include "cluster/query/sql_lexer.hpp"

#include <utility>

#include "cluster/json/json.hpp"

namespace chaise::testing::sql {

namespace {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool begins_word(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
constexpr bool in_word(char c) noexcept { return begins_word(c) || is_digit(c); }

class Lexer {
public:
    explicit Lexer(std::string_view text) : text_(text) {}

    std::vector<Token> run() {
        for (;;) {
            skip_blanks();
            Token token = next();
            const auto kind = token.kind;
            tokens_.push_back(std::move(token));
            if (kind == Token::Kind::end || kind == Token::Kind::bad) return std::move(tokens_);
        }
    }

private:
    [[nodiscard]] char peek(std::size_t ahead = 0) const noexcept {
        return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
    }
    void skip_blanks() {
        for (;;) {
            if (peek() == ' ' || (peek() >= '\t' && peek() <= '\r')) {
                ++at_;
            } else if (peek() == '-' && peek(1) == '-') {
                while (at_ < text_.size() && peek() != '\n') ++at_;
            } else if (peek() == '/' && peek(1) == '*' && !unended_) {
                const std::size_t end = text_.find("*/", at_ + 2);
                unended_ = end == std::string_view::npos;
                if (!unended_) at_ = end + 2;
            } else {
                return;
            }
        }
    }
    Token token(Token::Kind kind, std::size_t length) {
        Token token{kind, std::string(text_.substr(at_, length)), at_, length};
        at_ += length;
        return token;
    }

    Token next() {
        const char c = peek();
        std::size_t length = 0;
        if (at_ == text_.size()) return token(Token::Kind::end, 0);
        if (begins_word(c)) {
            while (in_word(peek(length))) ++length;
            return token(Token::Kind::word, length);
        }
        if (is_digit(c)) return number();
        if (c == '"' || c == '\'' || c == '`') return quoted(c);
        if (c == '$' || c == '@') {
            length = 1;
            while (in_word(peek(length))) ++length;
            if (length == 1) return token(Token::Kind::bad, 1);
            Token parameter = token(Token::Kind::parameter, length);
            parameter.text.erase(0, 1);
            return parameter;
        }
        for (const std::string_view two : {"==", "!=", "<>", "<=", ">=", "||"})
            if (text_.substr(at_, 2) == two) return token(Token::Kind::sign, 2);
        if (std::string_view("*.,()[]{}:=<>+-/?;").find(c) != std::string_view::npos)
            return token(Token::Kind::sign, 1);
        return token(Token::Kind::bad, 1);
    }

    Token number() {
        std::size_t length = 0;
        while (is_digit(peek(length))) ++length;
        if (peek(length) == '.' && is_digit(peek(length + 1))) {
            ++length;
            while (is_digit(peek(length))) ++length;
        }
        if (peek(length) == 'e' || peek(length) == 'E') {
            std::size_t exponent = length + 1;
            if (peek(exponent) == '+' || peek(exponent) == '-') ++exponent;
            if (is_digit(peek(exponent))) {
                while (is_digit(peek(exponent))) ++exponent;
                length = exponent;
            }
        }
        return token(Token::Kind::number, length);
    }

    // A quote is doubled inside, or escaped as JSON does it.
    Token quoted(char quote) {
        std::string text;
        for (std::size_t i = 1;; ++i) {
            const char c = peek(i);
            if (at_ + i >= text_.size()) return token(Token::Kind::bad, 1);
            if (c == quote && peek(i + 1) != quote) {
                Token result = token(quote == '`' ? Token::Kind::quoted_name : Token::Kind::string, i + 1);
                result.text = std::move(text);
                return result;
            }
            if (c == quote) {
                text += c;
                ++i;
            } else if (c == '\\' && quote != '`') {
                const std::size_t length =
                    peek(i + 1) == 'u' ? (peek(i + 6) == '\\' && peek(i + 7) == 'u' ? 12 : 6) : 2;
                const std::string_view escape = text_.substr(at_ + i, length);
                const auto meant = parse_json("\"" + std::string(escape) + "\"");
                if (meant) {
                    text += meant->text;
                } else if (escape == "\\'") {
                    text += '\'';
                } else {
                    return token(Token::Kind::bad, 1);
                }
                i += length - 1;
            } else {
                text += c;
            }
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
    bool unended_ = false;  // a comment had no end: none behind it has
    std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokens_of(std::string_view text) { return Lexer(text).run(); }

bool same_word(std::string_view a, std::string_view upper) noexcept {
    if (a.size() != upper.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const char c = a[i] >= 'a' && a[i] <= 'z' ? static_cast<char>(a[i] - 'a' + 'A') : a[i];
        if (c != upper[i]) return false;
    }
    return true;
}

}  // namespace chaise::testing::sql
