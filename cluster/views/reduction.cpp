#include "cluster/views/reduction.hpp"

#include <algorithm>

#include "cluster/json/json.hpp"

namespace chaise::testing {

namespace {
constexpr std::size_t lot_max = 100;
}

Reduction::Reduction(const ViewDefinition& view, std::uint64_t salt) : reducer_(view.reducer), name_(view.name) {
    if (reducer_ != Reducer::script) return;
    script_ = std::make_unique<Script>(salt);
    const auto function = script_->compile(view.reduce, error_);
    if (function) function_ = *function;
}

bool Reduction::add(std::string_view key, std::string_view value) {
    if (!error_.empty()) return false;
    if (reducer_ == Reducer::script) return add_to_lot(key, value);
    if (reducer_ != Reducer::count) return add_number(key, value);
    ++count_;
    return true;
}

bool Reduction::add_number(std::string_view key, std::string_view value) {
    const auto json = parse_json(value);
    if (!json || !json->is(Json::Kind::number)) {
        error_ = "Reducer: Error building index for view `" + name_ + "`, reason: Value is not a number (key " +
                 std::string(key) + ")";
        return false;
    }
    const double number = json->number;
    min_ = count_ == 0 ? number : std::min(min_, number);
    max_ = count_ == 0 ? number : std::max(max_, number);
    sum_ += number;
    squares_ += number * number;
    ++count_;
    return true;
}

bool Reduction::add_to_lot(std::string_view key, std::string_view value) {
    keys_.append(lot_ == 0 ? "[" : ",").append(key);
    values_.append(lot_ == 0 ? "[" : ",").append(value);
    return ++lot_ < lot_max || reduce_lot();
}

bool Reduction::reduce_lot() {
    if (lot_ == 0) return true;
    keys_ += ']';
    values_ += ']';
    std::string result;
    const bool good = script_->reduce(function_, keys_, values_, false, result, error_);
    if (!good) error_ = "Reducer: " + error_;
    keys_.clear();
    values_.clear();
    lot_ = 0;
    if (good) partial_.push_back(std::move(result));
    return good;
}

bool Reduction::finish(std::string& result) {
    if (!error_.empty()) return false;
    if (reducer_ == Reducer::script) {
        if (!reduce_lot()) return false;
        while (partial_.size() > 1) {
            const std::size_t count = std::min(partial_.size(), lot_max);
            std::string values = "[";
            for (std::size_t i = 0; i < count; ++i) values.append(i == 0 ? "" : ",").append(partial_[i]);
            values += ']';
            std::string again;
            if (!script_->reduce(function_, "null", values, true, again, error_)) {
                error_ = "Reducer: " + error_;
                return false;
            }
            partial_.erase(partial_.begin(), partial_.begin() + static_cast<std::ptrdiff_t>(count));
            partial_.push_back(std::move(again));
        }
        result = partial_.empty() ? "null" : std::move(partial_.front());
        partial_.clear();
        return true;
    }
    if (reducer_ == Reducer::stats) {
        result = R"({"sum":)" + number_text(sum_) + R"(,"count":)" + number_text(count_) + R"(,"min":)" +
                 number_text(min_) + R"(,"max":)" + number_text(max_) + R"(,"sumsqr":)" + number_text(squares_) + "}";
    } else {
        result = number_text(reducer_ == Reducer::count ? count_ : sum_);
    }
    sum_ = count_ = min_ = max_ = squares_ = 0;
    return true;
}

}  // namespace chaise::testing
