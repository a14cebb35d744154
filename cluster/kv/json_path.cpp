#include "cluster/kv/json_path.hpp"

#include <charconv>
#include <utility>

#include "cluster/kv/json_check.hpp"

namespace chaise::testing {

using protocol::Status;

namespace {

class PathParser {
public:
    explicit PathParser(std::string_view text) noexcept : left_(text) {}

    bool next(JsonStep& step) {
        if (left_.front() == '[') {
            if (!element(step)) return false;
        } else if (!member(step)) {
            return false;
        }
        // A dot leads to a name; a bracket may follow at once.
        if (left_.empty() || left_.front() == '[') return true;
        if (left_.front() != '.') return false;
        left_.remove_prefix(1);
        return !left_.empty() && left_.front() != '[';
    }
    [[nodiscard]] bool done() const noexcept { return left_.empty(); }

private:
    bool element(JsonStep& step) {
        const std::size_t end = left_.find(']');
        if (end == std::string_view::npos) return false;
        const std::string_view number = left_.substr(1, end - 1);
        left_.remove_prefix(end + 1);
        step.element = true;
        step.last = number == "-1";
        if (step.last) return true;
        const auto parsed = std::from_chars(number.data(), number.data() + number.size(), step.index);
        return !number.empty() && parsed.ec == std::errc{} && parsed.ptr == number.data() + number.size();
    }
    bool member(JsonStep& step) {
        if (left_.front() == '`') {
            if (!quoted(step.name)) return false;
        } else {
            const std::size_t end = std::min(left_.find_first_of(".["), left_.size());
            step.name = left_.substr(0, end);
            left_.remove_prefix(end);
            if (step.name.empty() || step.name.find_first_of("]`") != std::string::npos) return false;
        }
        return is_json('"' + step.name + '"');
    }
    bool quoted(std::string& name) {
        for (std::size_t i = 1; i < left_.size(); ++i) {
            if (left_[i] != '`') {
                name += left_[i];
            } else if (i + 1 < left_.size() && left_[i + 1] == '`') {
                name += left_[i++];
            } else {
                left_.remove_prefix(i + 1);
                return true;
            }
        }
        return false;
    }

    std::string_view left_;
};

}  // namespace

Status parse_json_path(std::string_view text, JsonPath& path) {
    path.clear();
    PathParser parser(text);
    while (!parser.done()) {
        JsonStep step;
        if (!parser.next(step)) return Status::subdoc_path_einval;
        if (path.size() == max_json_levels) return Status::subdoc_path_e2big;
        path.push_back(std::move(step));
    }
    return Status::success;
}

}  // namespace chaise::testing
