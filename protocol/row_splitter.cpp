#include "protocol/row_splitter.hpp"

#include "protocol/json_bits.hpp"
#include "protocol/json_check.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace chaise::protocol {

namespace {

constexpr std::size_t npos = std::string_view::npos;

constexpr bool is_space(char c) noexcept { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/// Where a number, true, false or null is over, well-formed or not.
std::size_t end_of_scalar(std::string_view text) noexcept {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == ',' || c == ']' || c == '}' || is_space(c)) return i;
    }
    return npos;
}

#if defined(__SSE2__)
/// What a scan must know of 64 bytes: a bit for each.
struct Marks {
    std::uint64_t quotes;
    std::uint64_t backslashes;
    std::uint64_t opening;
    std::uint64_t closing;

    explicit Marks(const char* text) noexcept {
        const JsonBlock block(text);
        quotes = block.equal('"');
        backslashes = block.equal('\\');
        opening = block.equal('{', 0x20);  // '[' is '{' then, and ']' is '}'
        closing = block.equal('}', 0x20);
    }
};
#endif

}  // namespace

std::string_view name(RowSplitError error) noexcept {
    switch (error) {
        case RowSplitError::none:
            return "no error";
        case RowSplitError::invalid_json:
            return "the answer is not valid JSON";
        case RowSplitError::truncated:
            return "the answer ends in its middle";
        case RowSplitError::trailing:
            return "something follows the end of the answer";
        case RowSplitError::row_too_large:
            return "a row is too large";
        case RowSplitError::meta_too_large:
            return "what the answer has beside its rows is too large";
        case RowSplitError::too_deep:
            return "the answer is nested too deeply";
    }
    return "unknown";
}

RowSplitter::Step RowSplitter::next(std::string_view& input, std::string_view& row) {
    if (partial_given_) {
        partial_given_ = false;
        partial_.clear();
        if (partial_.capacity() > (std::size_t{1} << 20)) partial_.shrink_to_fit();
    }
    while (!input.empty() && state_ != State::failed) {
        if (state_ == State::in_row) {
            const Step step = row_part(input, row);
            if (step != Step::more) return step;
        } else if (state_ == State::in_value || state_ == State::in_name) {
            if (!value_part(input)) return Step::failed;
        } else {
            if (!envelope(input)) return Step::failed;
        }
    }
    return state_ == State::failed ? Step::failed : Step::more;
}

/// White space, and one character of what is neither name nor value.
bool RowSplitter::envelope(std::string_view& input) {
    std::size_t at = 0;
    while (at < input.size() && is_space(input[at])) ++at;
    offset_ += at;
    input.remove_prefix(at);
    if (input.empty()) return true;
    const char c = input.front();
    const auto take = [&](State next) {
        state_ = next;
        ++offset_;
        input.remove_prefix(1);
        return true;
    };
    const auto note = [&](State next) { return add_meta({&c, 1}) && take(next); };
    const auto begin = [&](State in) {
        if (!begin_value(c)) return fail(RowSplitError::invalid_json);
        state_ = in;
        return true;
    };
    switch (state_) {
        case State::begin:
            return c == '{' ? note(State::first_name) : fail(RowSplitError::invalid_json);
        case State::first_name:
            if (c == '}') return note(State::end);
            [[fallthrough]];
        case State::next_name:
            if (c != '"') return fail(RowSplitError::invalid_json);
            name_begin_ = meta_.size();
            return begin(State::in_name);
        case State::colon:
            return c == ':' ? note(State::value) : fail(RowSplitError::invalid_json);
        case State::value:
            if (!is_array_ || c != '[') return begin(State::in_value);
            if (seen_array_) return fail(RowSplitError::invalid_json);
            seen_array_ = true;
            return note(State::first_row);
        case State::after_value:
            if (c == ',') return note(State::next_name);
            return c == '}' ? note(State::end) : fail(RowSplitError::invalid_json);
        case State::first_row:
            if (c == ']') return note(State::after_value);
            [[fallthrough]];
        case State::next_row:
            return begin(State::in_row);
        case State::after_row:
            if (c == ',') return take(State::next_row);
            return c == ']' ? note(State::after_value) : fail(RowSplitError::invalid_json);
        case State::end:
            return fail(RowSplitError::trailing);
        default:
            return fail(RowSplitError::invalid_json);
    }
}

RowSplitter::Step RowSplitter::row_part(std::string_view& input, std::string_view& row) {
    const std::size_t end = end_of_value(input);
    if (state_ == State::failed) return Step::failed;
    const std::string_view part = input.substr(0, end);
    if (part.size() > limits_.max_row - std::min(limits_.max_row, partial_.size())) {
        fail(RowSplitError::row_too_large);
        return Step::failed;
    }
    offset_ += part.size();
    input.remove_prefix(part.size());
    if (end == npos) {
        partial_ += part;
        return Step::more;
    }
    state_ = State::after_row;
    if (partial_.empty()) {
        row = part;
    } else {
        partial_ += part;
        partial_given_ = true;
        row = partial_;
    }
    return Step::row;
}

bool RowSplitter::value_part(std::string_view& input) {
    const std::size_t end = end_of_value(input);
    if (state_ == State::failed) return false;
    const std::string_view part = input.substr(0, end);
    if (!add_meta(part)) return false;
    offset_ += part.size();
    input.remove_prefix(part.size());
    if (end == npos) return true;
    if (state_ == State::in_name) {
        is_array_ = !array_.empty() &&
                    std::string_view(meta_).substr(name_begin_ + 1, meta_.size() - name_begin_ - 2) == array_;
        state_ = State::colon;
    } else {
        state_ = State::after_value;
    }
    return true;
}

bool RowSplitter::begin_value(char first) noexcept {
    depth_ = 0;
    in_string_ = false;
    escaped_ = false;
    if (first == '{' || first == '[') {
        kind_ = Kind::container;
    } else if (first == '"') {
        kind_ = Kind::string;
    } else if (first == '-' || (first >= '0' && first <= '9') || first == 't' || first == 'f' || first == 'n') {
        kind_ = Kind::scalar;
    } else {
        return false;
    }
    return true;
}

std::size_t RowSplitter::end_of_value(std::string_view text) {
    switch (kind_) {
        case Kind::container:
            return end_of_container(text);
        case Kind::string:
            return end_of_string(text);
        case Kind::scalar:
            break;
    }
    return end_of_scalar(text);
}

std::size_t RowSplitter::end_of_string(std::string_view text) noexcept {
    std::size_t at = 0;
    if (!in_string_) {
        in_string_ = true;
        at = 1;
    }
    for (; at < text.size(); ++at) {
        if (escaped_) {
            escaped_ = false;
        } else if (text[at] == '\\') {
            escaped_ = true;
        } else if (text[at] == '"') {
            in_string_ = false;
            return at + 1;
        }
    }
    return npos;
}

#if defined(__SSE2__)
std::size_t RowSplitter::end_of_container(std::string_view text) {
    for (std::size_t at = 0; at < text.size(); at += 64) {
        const std::size_t size = std::min<std::size_t>(64, text.size() - at);
        const char* block = text.data() + at;
        char last[64];
        if (size < 64) {
            std::memset(last, ' ', sizeof last);
            std::memcpy(last, block, size);
            block = last;
        }
        const Marks marks(block);
        bool escaped_after = false;
        const std::uint64_t escaped = (marks.backslashes | std::uint64_t{escaped_}) == 0
                                          ? 0
                                          : escaped_bytes(marks.backslashes, escaped_, escaped_after);
        const std::uint64_t strings =
            parities(marks.quotes & ~escaped) ^ (in_string_ ? ~std::uint64_t{0} : std::uint64_t{0});
        const std::uint64_t opening = marks.opening & ~strings;
        const std::uint64_t closing = marks.closing & ~strings;
        for (std::uint64_t both = opening | closing; both != 0; both &= both - 1) {
            const std::uint64_t one = both & (~both + 1);
            if ((opening & one) != 0) {
                if (++depth_ > limits_.max_depth) {
                    fail(RowSplitError::too_deep);
                    return npos;
                }
            } else if (--depth_ == 0) {
                return at + static_cast<std::size_t>(std::countr_zero(one)) + 1;
            }
        }
        in_string_ = (strings >> (size - 1) & 1) != 0;
        escaped_ = size == 64 ? escaped_after : (escaped >> size & 1) != 0;
    }
    return npos;
}
#else
std::size_t RowSplitter::end_of_container(std::string_view text) {
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (escaped_) {
            escaped_ = false;
        } else if (c == '\\') {
            escaped_ = true;
        } else if (c == '"') {
            in_string_ = !in_string_;
            continue;
        }
        if (in_string_) continue;
        if (c == '{' || c == '[') {
            if (++depth_ > limits_.max_depth) {
                fail(RowSplitError::too_deep);
                return npos;
            }
        } else if (c == '}' || c == ']') {
            if (--depth_ == 0) return at + 1;
        }
    }
    return npos;
}
#endif

bool RowSplitter::add_meta(std::string_view text) {
    if (text.size() > limits_.max_meta - std::min(limits_.max_meta, meta_.size())) {
        return fail(RowSplitError::meta_too_large);
    }
    meta_ += text;
    return true;
}

bool RowSplitter::finish() {
    if (state_ == State::failed) return false;
    if (state_ != State::end) return fail(RowSplitError::truncated);
    JsonCheck is_json;
    return is_json(meta_) || fail(RowSplitError::invalid_json);
}

}  // namespace chaise::protocol
