#include "cluster/kv/json_edit.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>

#include "cluster/kv/json_check.hpp"

namespace chaise::testing {

using protocol::Opcode;
using protocol::Status;

namespace {

struct Range {
    std::size_t begin = 0;
    std::size_t end = 0;
};

std::size_t skip_space(std::string_view text, std::size_t at) noexcept {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t')) ++at;
    return at;
}

// Behind the string that begins at `at`.
std::size_t skip_string(std::string_view text, std::size_t at) noexcept {
    for (++at; text[at] != '"'; ++at)
        if (text[at] == '\\') ++at;
    return at + 1;
}

std::size_t skip_value(std::string_view text, std::size_t at) noexcept {
    std::size_t depth = 0;
    while (at < text.size()) {
        const char c = text[at];
        if (c == '"') {
            at = skip_string(text, at);
            if (depth == 0) return at;
            continue;
        }
        if (c == '{' || c == '[') {
            ++depth;
        } else if (c == '}' || c == ']') {
            if (depth == 0) return at;  // of a number or word: its container ends
            if (--depth == 0) return at + 1;
        } else if (depth == 0 && (c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t')) {
            return at;
        }
        ++at;
    }
    return at;
}

std::size_t depth_of(std::string_view text) noexcept {
    std::size_t depth = 0;
    std::size_t deepest = 0;
    for (std::size_t at = 0; at < text.size();) {
        if (text[at] == '"') {
            at = skip_string(text, at);
            continue;
        }
        if (text[at] == '{' || text[at] == '[') deepest = std::max(deepest, ++depth);
        if (text[at] == '}' || text[at] == ']') --depth;
        ++at;
    }
    return deepest;
}

bool is_container(std::string_view text, std::size_t at) noexcept { return text[at] == '{' || text[at] == '['; }

// The members of an object or the elements of an array, one after the other.
class Items {
public:
    Items(std::string_view text, std::size_t container) noexcept
        : text_(text), object_(text[container] == '{'), at_(skip_space(text, container + 1)) {}

    bool next() noexcept {
        if (text_[at_] == (object_ ? '}' : ']')) return false;
        if (text_[at_] == ',') {
            comma_ = at_;
            at_ = skip_space(text_, at_ + 1);
        }
        item_.begin = at_;
        if (object_) {
            const std::size_t end = skip_string(text_, at_);
            name_ = text_.substr(at_ + 1, end - at_ - 2);
            at_ = skip_space(text_, skip_space(text_, end) + 1);  // the colon
        }
        value_.begin = at_;
        item_.end = value_.end = skip_value(text_, at_);
        at_ = skip_space(text_, value_.end);
        return true;
    }
    [[nodiscard]] std::string_view name() const noexcept { return name_; }
    [[nodiscard]] Range item() const noexcept { return item_; }
    [[nodiscard]] Range value() const noexcept { return value_; }
    /// What has to go for the item to be gone.
    [[nodiscard]] Range removal() const noexcept {
        if (text_[at_] == ',') return {item_.begin, skip_space(text_, at_ + 1)};
        return {comma_ == 0 ? item_.begin : comma_, item_.end};
    }

private:
    std::string_view text_;
    bool object_;
    std::size_t at_;
    std::size_t comma_ = 0;  // before the item
    std::string_view name_;
    Range item_;
    Range value_;
};

std::string unescaped(std::string_view name) {
    std::string text;
    const auto hex = [&](std::size_t at) {
        std::uint32_t unit = 0;
        std::from_chars(name.data() + at, name.data() + at + 4, unit, 16);
        return unit;
    };
    for (std::size_t i = 0; i < name.size(); ++i) {
        if (name[i] != '\\') {
            text += name[i];
            continue;
        }
        constexpr std::string_view from = "bfnrt";
        constexpr std::string_view to = "\b\f\n\r\t";
        const char c = name[++i];
        if (const std::size_t found = from.find(c); found != std::string_view::npos) {
            text += to[found];
        } else if (c != 'u') {
            text += c;
        } else {
            std::uint32_t point = hex(i + 1);
            i += 4;
            if (point >= 0xd800 && point < 0xdc00 && i + 6 < name.size() && name[i + 1] == '\\' && name[i + 2] == 'u') {
                point = 0x10000 + ((point - 0xd800) << 10) + (hex(i + 3) & 0x3ff);
                i += 6;
            }
            const auto put = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
            if (point < 0x80) {
                put(point);
            } else if (point < 0x800) {
                put(0xc0 | point >> 6);
                put(0x80 | (point & 0x3f));
            } else if (point < 0x10000) {
                put(0xe0 | point >> 12);
                put(0x80 | (point >> 6 & 0x3f));
                put(0x80 | (point & 0x3f));
            } else {
                put(0xf0 | point >> 18);
                put(0x80 | (point >> 12 & 0x3f));
                put(0x80 | (point >> 6 & 0x3f));
                put(0x80 | (point & 0x3f));
            }
        }
    }
    return text;
}

bool same_name(std::string_view a, std::string_view b) {
    if (a == b) return true;
    const bool escapes = a.find('\\') != std::string_view::npos || b.find('\\') != std::string_view::npos;
    return escapes && unescaped(a) == unescaped(b);
}

// Where a path leads, or how far.
struct Place {
    Status status = Status::success;
    std::size_t steps = 0;      // that were found
    std::size_t container = 0;  // what the step after them was looked for in, or found in
    Range value{};              // of the last step
    Range removal{};
};

Place find(std::string_view text, const JsonPath& path) {
    Place place;
    place.value = {skip_space(text, 0), 0};
    place.value.end = skip_value(text, place.value.begin);
    for (const JsonStep& step : path) {
        place.container = place.value.begin;
        if (text[place.container] != (step.element ? '[' : '{')) {
            place.status = Status::subdoc_path_mismatch;
            return place;
        }
        Items items(text, place.container);
        bool found = false;
        for (std::size_t i = 0; items.next(); ++i) {
            if (step.element ? !step.last && i != step.index : !same_name(step.name, items.name())) continue;
            found = true;
            place.value = items.value();
            place.removal = items.removal();
            if (!step.last) break;
        }
        if (!found) {
            place.status = Status::subdoc_path_enoent;
            return place;
        }
        ++place.steps;
    }
    return place;
}

std::size_t count(std::string_view text, std::size_t container) noexcept {
    std::size_t count = 0;
    for (Items items(text, container); items.next();) ++count;
    return count;
}

// `item` in front of the place-th one, or behind the last.
void insert(std::string& text, std::size_t container, std::size_t place, std::string_view item) {
    std::optional<std::size_t> last;
    Items items(text, container);
    for (std::size_t i = 0; items.next(); ++i) {
        if (i == place) {
            text.insert(items.item().begin, std::string(item) + ',');
            return;
        }
        last = items.item().end;
    }
    if (last)
        text.insert(*last, ',' + std::string(item));
    else
        text.insert(container + 1, item);
}

void replace(std::string& text, Range range, std::string_view value) {
    text.replace(range.begin, range.end - range.begin, value);
}

// The steps of the path that are missing, the last of them with `value`.
Status create(std::string& text, const JsonPath& path, const Place& place, std::string_view value, bool make_parents) {
    if (place.steps + 1 < path.size() && !make_parents) return Status::subdoc_path_enoent;
    std::string item;
    std::string closing;
    for (std::size_t i = place.steps; i < path.size(); ++i) {
        if (path[i].element) return Status::subdoc_path_enoent;
        if (i != place.steps) {
            item += '{';
            closing += '}';
        }
        item.append(1, '"').append(path[i].name).append("\":");
    }
    insert(text, place.container, std::numeric_limits<std::size_t>::max(), item.append(value).append(closing));
    return Status::success;
}

std::string_view trimmed(std::string_view text) noexcept {
    const std::size_t begin = skip_space(text, 0);
    const std::size_t last = text.find_last_not_of(" \n\r\t");
    return begin == text.size() ? std::string_view{} : text.substr(begin, last + 1 - begin);
}

Status add_unique(std::string_view text, std::size_t container, std::string_view value) {
    bool exists = false;
    for (Items items(text, container); items.next();) {
        const Range range = items.value();
        if (is_container(text, range.begin)) return Status::subdoc_path_mismatch;
        if (text.substr(range.begin, range.end - range.begin) == value) exists = true;
    }
    return exists ? Status::subdoc_path_eexists : Status::success;
}

Status add_to_number(std::string_view text, std::int64_t delta, std::string& sum) {
    if (text.find_first_not_of("-0123456789") != std::string_view::npos) return Status::subdoc_path_mismatch;
    std::int64_t number = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), number).ec != std::errc{})
        return Status::subdoc_num_erange;
    if (__builtin_add_overflow(number, delta, &number)) return Status::subdoc_value_cantinsert;
    sum = std::to_string(number);
    return Status::success;
}

// What can be said of the payload alone.
Status check_payload(Opcode command, std::string_view payload, std::size_t levels) {
    switch (command) {
        case Opcode::subdoc_remove:
        case Opcode::subdoc_counter:
            return Status::success;
        case Opcode::subdoc_array_push_first:
        case Opcode::subdoc_array_push_last:
        case Opcode::subdoc_array_insert:
            // One value or several.
            if (payload.empty() || !is_json('[' + std::string(payload) + ']')) return Status::subdoc_value_cantinsert;
            break;
        default:
            if (!is_json(payload)) return Status::subdoc_value_cantinsert;
    }
    return levels + depth_of(payload) > max_json_levels ? Status::subdoc_value_etoodeep : Status::success;
}

Status check(std::string_view text, std::string_view path, JsonPath& parsed) {
    if (const Status status = parse_json_path(path, parsed); status != Status::success) return status;
    const std::size_t root = skip_space(text, 0);
    if (root == text.size() || !is_container(text, root)) return Status::subdoc_doc_notjson;
    return depth_of(text) > max_json_levels ? Status::subdoc_doc_e2deep : Status::success;
}

}  // namespace

Status json_lookup(Opcode command, std::string_view text, std::string_view path, std::string& value) {
    JsonPath parsed;
    if (const Status status = check(text, path, parsed); status != Status::success) return status;
    const Place place = find(text, parsed);
    if (place.status != Status::success || command == Opcode::subdoc_exists) return place.status;
    if (command == Opcode::subdoc_get_count) {
        if (!is_container(text, place.value.begin)) return Status::subdoc_path_mismatch;
        value = std::to_string(count(text, place.value.begin));
        return Status::success;
    }
    value = text.substr(place.value.begin, place.value.end - place.value.begin);
    return Status::success;
}

Status json_mutate(Opcode command, std::string& text, std::string_view path, std::string_view payload,
                   bool make_parents, std::string& value) {
    JsonPath parsed;
    if (const Status status = check(text, path, parsed); status != Status::success) return status;
    payload = trimmed(payload);
    if (const Status status = check_payload(command, payload, parsed.size()); status != Status::success) return status;
    const bool ends_in_element = !parsed.empty() && parsed.back().element;

    // Into an array, at a place: the array is what is looked for.
    if (command == Opcode::subdoc_array_insert) {
        if (!ends_in_element || parsed.back().last) return Status::subdoc_path_einval;
        const std::size_t index = parsed.back().index;
        parsed.pop_back();
        const Place place = find(text, parsed);
        if (place.status != Status::success) return place.status;
        if (text[place.value.begin] != '[') return Status::subdoc_path_mismatch;
        if (index > count(text, place.value.begin)) return Status::subdoc_path_enoent;
        insert(text, place.value.begin, index, payload);
        return Status::success;
    }

    const Place place = find(text, parsed);
    const bool missing = place.status == Status::subdoc_path_enoent;
    if (place.status != Status::success && !missing) return place.status;
    switch (command) {
        case Opcode::subdoc_dict_add:
        case Opcode::subdoc_dict_upsert:
            if (ends_in_element) return Status::subdoc_path_einval;
            if (missing) return create(text, parsed, place, payload, make_parents);
            if (command == Opcode::subdoc_dict_add) return Status::subdoc_path_eexists;
            replace(text, place.value, payload);
            return Status::success;
        case Opcode::subdoc_replace:
            if (missing) return place.status;
            replace(text, place.value, payload);
            return Status::success;
        case Opcode::subdoc_remove:
            if (missing) return place.status;
            replace(text, place.removal, {});
            return Status::success;
        case Opcode::subdoc_array_push_first:
        case Opcode::subdoc_array_push_last:
        case Opcode::subdoc_array_add_unique: {
            const bool unique = command == Opcode::subdoc_array_add_unique;
            if (unique && is_container(payload, 0)) return Status::subdoc_value_cantinsert;
            if (missing && !make_parents) return place.status;
            if (missing) return create(text, parsed, place, '[' + std::string(payload) + ']', true);
            if (text[place.value.begin] != '[') return Status::subdoc_path_mismatch;
            if (unique) {
                const Status status = add_unique(text, place.value.begin, payload);
                if (status != Status::success) return status;
            }
            const bool first = command == Opcode::subdoc_array_push_first;
            insert(text, place.value.begin, first ? 0 : std::numeric_limits<std::size_t>::max(), payload);
            return Status::success;
        }
        case Opcode::subdoc_counter: {
            std::int64_t delta = 0;
            const auto end = std::from_chars(payload.data(), payload.data() + payload.size(), delta);
            if (payload.empty() || end.ec != std::errc{} || end.ptr != payload.data() + payload.size() || delta == 0)
                return Status::subdoc_delta_einval;
            std::string sum = std::to_string(delta);
            if (missing) {
                const Status status = create(text, parsed, place, sum, make_parents);
                if (status == Status::success) value = sum;
                return status;
            }
            const Range range = place.value;
            const Status status =
                add_to_number(std::string_view(text).substr(range.begin, range.end - range.begin), delta, sum);
            if (status != Status::success) return status;
            replace(text, range, sum);
            value = sum;
            return Status::success;
        }
        default:
            return Status::subdoc_invalid_combo;
    }
}

}  // namespace chaise::testing
