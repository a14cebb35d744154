#include "cluster/views/view_answer.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "cluster/json/collation.hpp"
#include "cluster/json/json.hpp"

namespace chaise::testing {

namespace {

/// What is made at a time.
constexpr std::size_t piece = std::size_t{32} * 1024;
/// Rows looked at between two pieces, when few of them are written.
constexpr int rows_at_a_time = 4096;

struct Place {
    std::string_view order;
    std::string_view id;
};

bool less(const ViewRow& row, const Place& place) noexcept {
    const int order = std::string_view(row.order).compare(place.order);
    return order != 0 ? order < 0 : std::string_view(row.id) < place.id;
}

std::size_t index_of(ViewRows::const_iterator at, const ViewRows& rows) noexcept {
    return static_cast<std::size_t>(at - rows.begin());
}
/// The first row at the place or behind it.
std::size_t lower(const ViewRows& rows, const Place& place) {
    return index_of(std::lower_bound(rows.begin(), rows.end(), place, less), rows);
}
/// The first row behind all of that key, or behind that key and id.
std::size_t upper(const ViewRows& rows, const Place& place, bool whole_key) {
    const auto behind = [whole_key](const Place& p, const ViewRow& row) {
        const int order = p.order.compare(row.order);
        return order != 0 ? order < 0 : !whole_key && p.id < std::string_view(row.id);
    };
    return index_of(std::upper_bound(rows.begin(), rows.end(), place, behind), rows);
}

}  // namespace

ViewAnswer::ViewAnswer(ViewAnswerParts parts, HttpSink& sink)
    : parts_(std::move(parts)), sink_(sink), cursors_(parts_.parts.size()) {
    if (parts_.query.reduce) reduction_.emplace(*parts_.view, parts_.salt);
}

bool ViewAnswer::on_room() {
    if (stage_ == Stage::over) return false;
    bool enough = false;
    while (!enough && stage_ != Stage::over && out_.size() < piece) {
        switch (stage_) {
            case Stage::head:
                write_head();
                break;
            case Stage::rows:
                write_some_rows();
                // Others have their turn between two lots, also when nothing of this one was wanted.
                enough = stage_ == Stage::rows;
                break;
            case Stage::tail:
                write_tail();
                break;
            case Stage::over:
                break;
        }
    }
    sink_.send(out_);
    out_.clear();
    if (stage_ == Stage::over) sink_.end();
    return true;
}

void ViewAnswer::write_head() {
    out_ += '{';
    if (!parts_.debug_info.empty()) out_.append("\"debug_info\":").append(parts_.debug_info).append(",");
    if (!parts_.query.reduce) {
        std::size_t total = 0;
        for (const ViewPart& part : parts_.parts) {
            total += parts_.only_vbucket ? static_cast<std::size_t>(std::count_if(
                                               part.rows->begin(), part.rows->end(),
                                               [&](const ViewRow& r) { return r.vbucket == *parts_.only_vbucket; }))
                                         : part.rows->size();
        }
        out_.append("\"total_rows\":").append(std::to_string(total)).append(",");
    }
    out_ += "\"rows\":[";
    const bool stopped = parts_.query.stop_on_error && !parts_.errors.empty();
    stage_ = parts_.query.ranges.empty() || parts_.query.limit == 0 || stopped ? Stage::tail : Stage::rows;
    if (stage_ == Stage::rows) enter_range();
}

void ViewAnswer::enter_range() {
    const ViewQuery::Range& range = parts_.query.ranges[range_];
    const bool down = parts_.query.descending;
    // The range as it lies in the index, low end first.
    const std::string& low = down ? range.end : range.start;
    const std::string& low_id = down ? range.end_id : range.start_id;
    const std::string& high = down ? range.start : range.end;
    const std::string& high_id = down ? range.start_id : range.end_id;
    const bool low_inclusive = !down || range.inclusive;
    const bool high_inclusive = down || range.inclusive;
    for (std::size_t i = 0; i < cursors_.size(); ++i) {
        const ViewRows& rows = *parts_.parts[i].rows;
        std::size_t begin = 0;
        std::size_t end = rows.size();
        if (!low.empty()) {
            begin = low_inclusive ? lower(rows, {low, low_id}) : upper(rows, {low, low_id}, low_id.empty());
        }
        if (!high.empty()) {
            end = high_inclusive ? upper(rows, {high, high_id}, high_id.empty()) : lower(rows, {high, high_id});
        }
        cursors_[i] = {begin, std::max(begin, end)};
    }
}

const ViewRow* ViewAnswer::take(std::size_t& part) {
    const bool down = parts_.query.descending;
    const ViewRow* best = nullptr;
    for (std::size_t i = 0; i < cursors_.size(); ++i) {
        const Cursor& cursor = cursors_[i];
        if (cursor.next == cursor.end) continue;
        const ViewRow& row = (*parts_.parts[i].rows)[down ? cursor.end - 1 : cursor.next];
        if (best != nullptr) {
            const bool before = less(row, {best->order, best->id});
            const bool behind = less(*best, {row.order, row.id});
            if (down ? !behind : !before) continue;
        }
        best = &row;
        part = i;
    }
    if (best == nullptr) return nullptr;
    if (down) {
        --cursors_[part].end;
    } else {
        ++cursors_[part].next;
    }
    return best;
}

void ViewAnswer::write_some_rows() {
    for (int i = 0; i < rows_at_a_time && out_.size() < piece && stage_ == Stage::rows; ++i) {
        if (parts_.query.reduce) {
            reduced_row();
        } else {
            map_row();
        }
    }
}

void ViewAnswer::map_row() {
    std::size_t part = 0;
    const ViewRow* found = take(part);
    if (found == nullptr) {
        if (++range_ == parts_.query.ranges.size()) {
            stage_ = Stage::tail;
        } else {
            enter_range();
        }
        return;
    }
    if (parts_.only_vbucket && found->vbucket != *parts_.only_vbucket) return;
    if (skipped_ < parts_.query.skip) {
        ++skipped_;
        return;
    }
    std::string text = R"({"id":)";
    append_json_text(text, found->id);
    text.append(R"(,"key":)").append(found->key).append(R"(,"value":)").append(found->value);
    if (parts_.query.debug) {
        text += R"(,"partition":)" + std::to_string(found->vbucket) + R"(,"node":)";
        append_json_text(text, parts_.parts[part].node);
    }
    row(text += '}');
}

void ViewAnswer::reduced_row() {
    std::size_t part = 0;
    const ViewRow* found = take(part);
    if (found == nullptr) {
        if (in_group_) close_group();
        if (stage_ != Stage::rows) return;
        if (++range_ == parts_.query.ranges.size()) {
            stage_ = Stage::tail;
        } else {
            enter_range();
        }
        return;
    }
    if (parts_.only_vbucket && found->vbucket != *parts_.only_vbucket) return;
    const ViewQuery& query = parts_.query;
    std::string order;
    std::string key = "null";
    if (query.group || query.group_level > 0) {
        order = found->order;
        key = found->key;
        // group_level=0 beside group=true means all of the key.
        if (query.group_level > 0) {
            if (auto json = parse_json(found->key);
                json && json->is(Json::Kind::array) && json->items.size() > query.group_level) {
                json->items.resize(query.group_level);
                order = collation_key(*json);
                key = json->dump();
            }
        }
    }
    if (in_group_ && order != group_order_) {
        close_group();
        if (stage_ != Stage::rows) return;
    }
    if (!std::exchange(in_group_, true)) {
        group_order_ = std::move(order);
        group_key_ = std::move(key);
    }
    if (!reduction_->add(found->key, found->value)) fail(reduction_->error());
}

void ViewAnswer::close_group() {
    in_group_ = false;
    std::string value;
    if (!reduction_->finish(value)) return fail(reduction_->error());
    if (skipped_ < parts_.query.skip) {
        ++skipped_;
        return;
    }
    row(R"({"key":)" + group_key_ + R"(,"value":)" + value + "}");
}

void ViewAnswer::row(std::string_view text) {
    out_.append(written_ == 0 ? "\r\n" : ",\r\n").append(text);
    if (++written_ == parts_.query.limit) stage_ = Stage::tail;
}

void ViewAnswer::fail(std::string error) {
    std::string json = R"({"from":"local","reason":)";
    append_json_text(json, error);
    parts_.errors.push_back(json + "}");
    stage_ = Stage::tail;
}

void ViewAnswer::write_tail() {
    out_ += "\r\n]";
    if (!parts_.errors.empty()) {
        out_ += ",\r\n\"errors\":[";
        for (std::size_t i = 0; i < parts_.errors.size(); ++i) out_.append(i == 0 ? "" : ",").append(parts_.errors[i]);
        out_ += ']';
    }
    out_ += "\r\n}\n";
    stage_ = Stage::over;
}

}  // namespace chaise::testing
