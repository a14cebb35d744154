#include "cluster/views/script_steps.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>
#include <vector>

namespace chaise::testing {

namespace {

constexpr bool is_word(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
           static_cast<unsigned char>(c) >= 0x80;
}
constexpr bool is_space(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }

template <std::size_t N>
bool among(std::string_view word, const std::array<std::string_view, N>& words) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

// What stands before the parenthesis of a statement; behind any other a brace opens a function.
constexpr std::array<std::string_view, 6> control{"if", "for", "while", "switch", "with", "catch"};
// Behind these an expression begins, so that a slash is a regular expression.
constexpr std::array<std::string_view, 12> operators{"return", "typeof",     "case", "in", "delete", "void",
                                                     "of",     "instanceof", "new",  "do", "else",   "throw"};

class Instrument {
public:
    explicit Instrument(std::string_view source) : source_(source) {}

    std::string run() {
        while (at_ < source_.size()) token();
        return std::move(out_);
    }

private:
    enum class Before { operand, operator_, dot, control_parenthesis, parenthesis };
    struct Open {
        char bracket;
        std::string_view keyword;
        bool waits_for_condition;  // of `for`, until its first semicolon
    };

    [[nodiscard]] char peek(std::size_t ahead = 0) const noexcept {
        return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
    }
    void copy(std::size_t count) {
        out_.append(source_.substr(at_, count));
        at_ += count;
    }
    /// The length of the space or comment that begins at `at`; 0: there is none.
    [[nodiscard]] std::size_t blank(std::size_t at) const noexcept {
        if (at >= source_.size()) return 0;
        if (is_space(source_[at])) return 1;
        const std::string_view rest = source_.substr(at);
        if (rest.substr(0, 2) == "//") return std::min(rest.find('\n'), rest.size());
        if (rest.substr(0, 2) == "/*") {
            const std::size_t end = rest.find("*/", 2);
            return end == std::string_view::npos ? rest.size() : end + 2;
        }
        return 0;
    }
    [[nodiscard]] std::size_t behind_blanks(std::size_t at) const noexcept {
        while (const std::size_t length = blank(at)) at += length;
        return at;
    }
    /// The length of what begins with the quote at `at`.
    [[nodiscard]] std::size_t quoted(std::size_t at) const noexcept {
        const char quote = source_[at];
        bool in_class = false;  // a slash in [] does not end a regular expression
        for (std::size_t i = at + 1; i < source_.size(); ++i) {
            if (source_[i] == '\\') {
                ++i;
            } else if (quote == '/' && source_[i] == '[') {
                in_class = true;
            } else if (quote == '/' && source_[i] == ']') {
                in_class = false;
            } else if (source_[i] == quote && !in_class) {
                return i + 1 - at;
            }
        }
        return source_.size() - at;
    }
    void step() { out_.append(step_function).append("()"); }

    void token() {
        if (const std::size_t length = blank(at_)) return copy(length);
        const char c = peek();
        const bool expects_expression = before_ == Before::operator_ || before_ == Before::control_parenthesis;
        if (c == '"' || c == '\'' || c == '`' || (c == '/' && expects_expression)) {
            copy(quoted(at_));
            before_ = Before::operand;
            return;
        }
        if (is_word(c)) return word();
        punctuation(c);
    }

    void word() {
        std::size_t length = 0;
        while (is_word(peek(length))) ++length;
        const std::string_view text = source_.substr(at_, length);
        const bool property = before_ == Before::dot;
        copy(length);
        before_ = Before::operand;
        if (property) {
            keyword_ = {};
        } else if (text == "function" || among(text, control)) {
            keyword_ = text;
            before_ = Before::operator_;
        } else if (among(text, operators)) {
            keyword_ = {};
            before_ = Before::operator_;
        } else if (keyword_ != "function") {  // whose name this is
            keyword_ = {};
        }
    }

    void punctuation(char c) {
        const std::string_view keyword = std::exchange(keyword_, {});
        copy(1);
        switch (c) {
            case '(':
                open_.push_back({c, keyword, keyword == "for"});
                if (keyword == "while") {
                    step();
                    out_ += ',';
                }
                before_ = Before::operator_;
                break;
            case '[':
                open_.push_back({c, {}, false});
                before_ = Before::operator_;
                break;
            case '{':
                open_.push_back({c, {}, false});
                if (before_ == Before::parenthesis) function_body();
                before_ = Before::operator_;
                break;
            case ')': {
                const bool of_control = !open_.empty() && among(open_.back().keyword, control);
                close();
                before_ = of_control ? Before::control_parenthesis : Before::parenthesis;
                break;
            }
            case ']':
                close();
                before_ = Before::operand;
                break;
            case '}':
                close();
                before_ = Before::operator_;
                break;
            case ';':
                if (!open_.empty() && std::exchange(open_.back().waits_for_condition, false)) {
                    step();
                    const std::size_t next = behind_blanks(at_);
                    if (next < source_.size() && source_[next] != ';') out_ += ',';
                }
                before_ = Before::operator_;
                break;
            case '+':
            case '-':
                if (peek() == c) {  // ++ and -- leave it as it is: a++ / b, but ++/x/.lastIndex
                    copy(1);
                } else {
                    before_ = Before::operator_;
                }
                break;
            case '.':
                before_ = Before::dot;
                break;
            default:
                before_ = Before::operator_;
        }
    }

    void close() {
        if (!open_.empty()) open_.pop_back();
    }

    void function_body() {
        const std::size_t next = behind_blanks(at_);
        const std::string_view rest = source_.substr(next);
        if (rest.substr(1, 10) == "use strict" && (rest[0] == '"' || rest[0] == '\'') && rest.size() > 11 &&
            rest[11] == rest[0]) {
            copy(next - at_ + 12);
            out_ += ';';
        }
        step();
        out_ += ';';
    }

    std::string_view source_;
    std::size_t at_ = 0;
    std::string out_;
    std::vector<Open> open_;
    std::string_view keyword_;  // that a parenthesis now would belong to
    Before before_ = Before::operator_;
};

}  // namespace

std::string with_steps(std::string_view source) { return Instrument(source).run(); }

}  // namespace chaise::testing
