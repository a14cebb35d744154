#include "cluster/query/evaluation.hpp"

#include <algorithm>
#include <cmath>

namespace chaise::testing::sql {

namespace {

using Op = Expression::Op;
using Kind = Json::Kind;

bool unknown(const Json& value) noexcept { return value.is(Kind::missing) || value.is(Kind::null); }
Json missing() { return {}; }

// Of what is compared or computed, missing wins over null.
Json unknown_of(const Json& a, const Json& b) {
    return a.is(Kind::missing) || b.is(Kind::missing) ? missing() : Json::null();
}

bool truth(const Json& value) noexcept {
    switch (value.kind) {
        case Kind::boolean:
            return value.truth;
        case Kind::number:
            return value.number != 0 && !std::isnan(value.number);
        case Kind::string:
            return !value.text.empty();
        case Kind::array:
            return !value.items.empty();
        case Kind::object:
            return !value.members.empty();
        default:
            return false;
    }
}

// Sorted by name, and each name once.
std::vector<const Json::Member*> sorted(const Json& object) {
    std::vector<const Json::Member*> members;
    for (const Json::Member& member : object.members) members.push_back(&member);
    std::stable_sort(members.begin(), members.end(), [](const auto* a, const auto* b) { return a->first < b->first; });
    return members;
}

template <class T>
int order(const T& a, const T& b) noexcept {
    return a < b ? -1 : b < a ? 1 : 0;
}

Json comparison(Op op, const Json& a, const Json& b) {
    if (unknown(a) || unknown(b)) return unknown_of(a, b);
    const bool comparable = a.kind == b.kind;
    if (op == Op::equal) return Json::of(comparable && compare(a, b) == 0);
    if (op == Op::not_equal) return Json::of(!comparable || compare(a, b) != 0);
    if (!comparable) return Json::null();
    const int result = compare(a, b);
    switch (op) {
        case Op::less:
            return Json::of(result < 0);
        case Op::less_equal:
            return Json::of(result <= 0);
        case Op::greater:
            return Json::of(result > 0);
        default:
            return Json::of(result >= 0);
    }
}

Json arithmetic(Op op, const Json& a, const Json& b) {
    if (unknown(a) || unknown(b)) return unknown_of(a, b);
    if (!a.is(Kind::number) || !b.is(Kind::number)) return Json::null();
    double result = 0;
    switch (op) {
        case Op::add:
            result = a.number + b.number;
            break;
        case Op::subtract:
            result = a.number - b.number;
            break;
        case Op::multiply:
            result = a.number * b.number;
            break;
        default:
            result = b.number != 0 ? a.number / b.number : HUGE_VAL;
    }
    return std::isfinite(result) ? Json::of(result) : Json::null();
}

// % is any text, _ any character (a byte of UTF-8's first kind), \ takes the next as it is.
bool like(std::string_view text, std::string_view pattern) {
    std::size_t t = 0;
    std::size_t p = 0;
    std::size_t star = std::string_view::npos;
    std::size_t star_text = 0;
    const auto character = [&](std::size_t at) {
        std::size_t length = 1;
        while (at + length < text.size() && (static_cast<unsigned char>(text[at + length]) & 0xc0) == 0x80) ++length;
        return length;
    };
    while (t < text.size()) {
        const bool escaped = p + 1 < pattern.size() && pattern[p] == '\\';
        if (p < pattern.size() && !escaped && pattern[p] == '%') {
            star = p++;
            star_text = t;
        } else if (p < pattern.size() && !escaped && pattern[p] == '_') {
            ++p;
            t += character(t);
        } else if (p < pattern.size() && pattern[p + (escaped ? 1 : 0)] == text[t]) {
            p += escaped ? 2 : 1;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            star_text += character(star_text);
            t = star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '%') ++p;
    return p == pattern.size();
}

Json in(const Json& value, const Json& list) {
    if (value.is(Kind::missing) || list.is(Kind::missing)) return missing();
    if (!list.is(Kind::array)) return Json::null();
    bool doubtful = unknown(value) && !list.items.empty();
    for (const Json& item : list.items) {
        const Json equal = comparison(Op::equal, value, item);
        if (equal.is_true()) return equal;
        doubtful = doubtful || unknown(equal);
    }
    return doubtful ? Json::null() : Json::of(false);
}

Json element(const Json& list, const Json& index) {
    if (list.is(Kind::object) && index.is(Kind::string)) return list[index.text];
    if (!list.is(Kind::array)) return unknown(list) ? list : Json::null();
    if (!index.is(Kind::number)) return unknown_of(list, index);
    const double at = index.number < 0 ? index.number + static_cast<double>(list.items.size()) : index.number;
    if (at != std::trunc(at) || at < 0 || at >= static_cast<double>(list.items.size())) return missing();
    return list.items[static_cast<std::size_t>(at)];
}

// Of its text, roughly.
std::size_t size_of(const Json& value) noexcept {
    std::size_t size = 16 + value.text.size();
    for (const Json& item : value.items) size += size_of(item);
    for (const Json::Member& member : value.members) size += member.first.size() + size_of(member.second);
    return size;
}

void charge(std::size_t bytes, const RowContext& row) {
    if (bytes > row_max - row.copied) throw EvaluationError{"a row has become too large", 5000};
    row.copied += bytes;
}

// What a name, a parameter or a path into them means, where it lies. Null: the expression is none of these.
const Json* place(const Expression& e, const RowContext& row) {
    static const Json nothing;
    switch (e.op) {
        case Op::name:
            if (row.document == nullptr) return &nothing;
            return e.text == row.alias ? row.document : &(*row.document)[e.text];
        case Op::field: {
            const Json* const object = place(*e.operands[0], row);
            if (object == nullptr) return nullptr;
            if (object->is(Kind::object)) return &(*object)[e.text];
            return unknown(*object) ? object : &nothing;
        }
        case Op::positional:
            if (e.number > row.parameters.positional.size()) {
                throw EvaluationError{"No value for positional parameter $" + std::to_string(e.number)};
            }
            return &row.parameters.positional[e.number - 1];
        case Op::named:
            if (const Json* value = row.parameters.named.find(e.text)) return value;
            throw EvaluationError{"No value for named parameter $" + e.text};
        case Op::meta:
            return e.text.empty() || e.text == row.alias ? &row.meta : &nothing;
        default:
            return nullptr;
    }
}

Json not_(const Json& value) { return unknown(value) ? value : Json::of(!truth(value)); }

// AND: false, then missing, then null, then true; OR the other way round.
Json logical(bool is_and, const Expression& expression, const RowContext& row) {
    const Json a = evaluate(*expression.operands[0], row);
    if (!unknown(a) && truth(a) != is_and) return Json::of(!is_and);
    const Json b = evaluate(*expression.operands[1], row);
    if (!unknown(b) && truth(b) != is_and) return Json::of(!is_and);
    if (!unknown(a) && !unknown(b)) return Json::of(is_and);
    if (is_and) return unknown_of(a, b);
    return a.is(Kind::null) || b.is(Kind::null) ? Json::null() : missing();
}

}  // namespace

int compare(const Json& a, const Json& b) noexcept {
    if (a.kind != b.kind) return order(a.kind, b.kind);
    switch (a.kind) {
        case Kind::missing:
        case Kind::null:
            return 0;
        case Kind::boolean:
            return order(a.truth, b.truth);
        case Kind::number:
            return order(a.number, b.number);
        case Kind::string:
            return order(a.text, b.text);
        case Kind::array:
            for (std::size_t i = 0; i < a.items.size() && i < b.items.size(); ++i)
                if (const int result = compare(a.items[i], b.items[i])) return result;
            return order(a.items.size(), b.items.size());
        case Kind::object:
            break;
    }
    if (a.members.size() != b.members.size()) return order(a.members.size(), b.members.size());
    const auto left = sorted(a);
    const auto right = sorted(b);
    for (std::size_t i = 0; i < left.size(); ++i) {
        if (const int result = order(left[i]->first, right[i]->first)) return result;
        if (const int result = compare(left[i]->second, right[i]->second)) return result;
    }
    return 0;
}

Json evaluate(const Expression& e, const RowContext& row) {
    const auto operand = [&](std::size_t i) { return evaluate(*e.operands[i], row); };
    if (const Json* const value = place(e, row)) {
        charge(size_of(*value), row);
        return *value;
    }
    switch (e.op) {
        case Op::literal:
            charge(size_of(e.value), row);
            return e.value;
        case Op::field: {
            const Json object = operand(0);
            if (object.is(Kind::object)) return object[e.text];
            return unknown(object) ? object : missing();
        }
        case Op::element:
            return element(operand(0), operand(1));
        case Op::count: {
            if (row.counts == nullptr) return missing();
            const auto found = row.counts->find(&e);
            return Json::of(static_cast<std::int64_t>(found != row.counts->end() ? found->second : 0));
        }
        case Op::array: {
            Json json = Json::array();
            for (std::size_t i = 0; i < e.operands.size(); ++i) {
                Json item = operand(i);
                json.items.push_back(item.is(Kind::missing) ? Json::null() : std::move(item));
            }
            return json;
        }
        case Op::object: {
            JsonObject json;
            for (std::size_t i = 0; i < e.operands.size(); ++i) {
                Json value = operand(i);
                if (!value.is(Kind::missing)) json.set(e.texts[i], std::move(value));
            }
            return json.take();
        }
        case Op::negate: {
            const Json value = operand(0);
            if (unknown(value)) return value;
            return value.is(Kind::number) ? Json::of(-value.number) : Json::null();
        }
        case Op::not_:
            return not_(operand(0));
        case Op::and_:
            return logical(true, e, row);
        case Op::or_:
            return logical(false, e, row);
        case Op::like: {
            const Json text = operand(0);
            const Json pattern = operand(1);
            if (unknown(text) || unknown(pattern)) return unknown_of(text, pattern);
            if (!text.is(Kind::string) || !pattern.is(Kind::string)) return Json::null();
            return Json::of(like(text.text, pattern.text));
        }
        case Op::in:
            return in(operand(0), operand(1));
        case Op::between: {
            const Json value = operand(0);
            const Json low = comparison(Op::greater_equal, value, operand(1));
            const Json high = comparison(Op::less_equal, value, operand(2));
            if ((!unknown(low) && !low.truth) || (!unknown(high) && !high.truth)) return Json::of(false);
            return unknown(low) || unknown(high) ? unknown_of(low, high) : Json::of(true);
        }
        case Op::is_null: {
            const Json value = operand(0);
            return value.is(Kind::missing) ? value : Json::of(value.is(Kind::null));
        }
        case Op::is_missing:
            return Json::of(operand(0).is(Kind::missing));
        case Op::is_valued:
            return Json::of(!unknown(operand(0)));
        case Op::concat: {
            const Json a = operand(0);
            const Json b = operand(1);
            if (unknown(a) || unknown(b)) return unknown_of(a, b);
            if (!a.is(Kind::string) || !b.is(Kind::string)) return Json::null();
            charge(a.text.size() + b.text.size(), row);
            return Json::of(a.text + b.text);
        }
        case Op::add:
        case Op::subtract:
        case Op::multiply:
        case Op::divide:
            return arithmetic(e.op, operand(0), operand(1));
        default:
            return comparison(e.op, operand(0), operand(1));
    }
}

}  // namespace chaise::testing::sql
