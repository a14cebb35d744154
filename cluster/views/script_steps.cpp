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

// U+2028 and U+2029.
constexpr std::array<std::string_view, 2> separators{"\xe2\x80\xa8", "\xe2\x80\xa9"};
// U+00A0, U+FEFF, U+1680, U+180E, U+202F, U+205F, U+3000; U+2000 to U+200A are found by their beginning.
constexpr std::array<std::string_view, 7> wide_spaces{"\xc2\xa0",     "\xef\xbb\xbf", "\xe1\x9a\x80", "\xe1\xa0\x8e",
                                                      "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"};

/// Bytes of the line's end that the text begins with.
std::size_t line_end(std::string_view text) noexcept {
    if (text.starts_with('\n') || text.starts_with('\r')) return 1;
    return std::any_of(separators.begin(), separators.end(), [&](auto each) { return text.starts_with(each); }) ? 3 : 0;
}
/// Bytes of the space that the text begins with: a compiler knows more than ASCII's.
std::size_t space(std::string_view text) noexcept {
    if (!text.empty() && is_space(text[0])) return 1;
    if (const std::size_t length = line_end(text)) return length;
    if (text.size() > 2 && text.starts_with("\xe2\x80") && static_cast<unsigned char>(text[2]) <= 0x8a) return 3;
    for (const std::string_view wide : wide_spaces)
        if (text.starts_with(wide)) return wide.size();
    return 0;
}

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
    Instrument(std::string_view source, std::string_view step) : source_(source), step_(step) {}

    std::optional<std::string> run() {
        while (at_ < source_.size()) {
            if (!token()) return std::nullopt;
        }
        return std::move(out_);
    }

private:
    enum class Before { operand, operator_, dot, control_parenthesis, accessor_parenthesis, parenthesis, brace };
    struct Open {
        char bracket;
        std::string_view keyword;
        bool waits_for_condition;  // of `for`, until its first semicolon
        bool accessor;             // `{ get if() {} }`: what follows may be a function
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
        const std::string_view rest = source_.substr(std::min(at, source_.size()));
        if (rest.starts_with("//")) {
            std::size_t length = 2;
            while (length < rest.size() && line_end(rest.substr(length)) == 0) ++length;
            return length;
        }
        if (rest.starts_with("/*")) {
            const std::size_t end = rest.find("*/", 2);
            return end == std::string_view::npos ? rest.size() : end + 2;
        }
        return space(rest);
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
    void step() { out_.append(step_).append("()"); }

    /// False: it is not known what it is.
    [[nodiscard]] bool token() {
        if (const std::size_t length = blank(at_)) {
            for (std::size_t i = 0; i < length; ++i) new_line_ |= line_end(source_.substr(at_ + i)) != 0;
            copy(length);
            return true;
        }
        const char c = peek();
        const std::string_view rest = source_.substr(at_);
        if (c == '/' && (before_ == Before::brace || before_ == Before::accessor_parenthesis)) return false;
        // Comments of HTML, as some compilers have them.
        if (rest.starts_with("<!--") || (rest.starts_with("-->") && new_line_)) return false;
        const bool expects_expression = before_ == Before::operator_ || before_ == Before::control_parenthesis;
        if (c == '"' || c == '\'' || c == '`' || (c == '/' && expects_expression)) {
            copy(quoted(at_));
            before_ = Before::operand;
            behind_get_ = false;
        } else if (is_word(c)) {
            word();
        } else {
            punctuation(c);
        }
        new_line_ = false;
        return true;
    }

    void word() {
        std::size_t length = 0;
        while (is_word(peek(length)) && space(source_.substr(at_ + length)) == 0) ++length;
        const std::string_view text = source_.substr(at_, length);
        const bool property = before_ == Before::dot;
        accessor_ = std::exchange(behind_get_, !property && (text == "get" || text == "set"));
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
        const bool accessor = std::exchange(accessor_, false);
        behind_get_ = false;
        copy(1);
        switch (c) {
            case '(':
                open_.push_back({c, keyword, keyword == "for", accessor});
                if (keyword == "while") {
                    step();
                    out_ += ',';
                }
                before_ = Before::operator_;
                break;
            case '[':
                open_.push_back({c, {}, false, false});
                before_ = Before::operator_;
                break;
            case '{':
                open_.push_back({c, {}, false, false});
                if (before_ == Before::parenthesis || before_ == Before::accessor_parenthesis) function_body();
                before_ = Before::operator_;
                break;
            case ')': {
                const bool of_control = !open_.empty() && among(open_.back().keyword, control);
                const bool of_accessor = of_control && open_.back().accessor;
                close();
                before_ = of_accessor  ? Before::accessor_parenthesis
                          : of_control ? Before::control_parenthesis
                                       : Before::parenthesis;
                break;
            }
            case ']':
                close();
                before_ = Before::operand;
                break;
            case '}':
                close();
                before_ = Before::brace;
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
    std::string_view step_;
    std::size_t at_ = 0;
    std::string out_;
    std::vector<Open> open_;
    std::string_view keyword_;  // that a parenthesis now would belong to
    Before before_ = Before::operator_;
    bool new_line_ = true;  // since the token before
    bool behind_get_ = false;
    bool accessor_ = false;  // the word before is behind `get` or `set`
};

}  // namespace

std::optional<std::string> with_steps(std::string_view source, std::string_view step) {
    return Instrument(source, step).run();
}

}  // namespace chaise::testing
