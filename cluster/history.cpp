#include "cluster/history.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace chaise::testing {

namespace {

std::string millis(TimePoint time) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3f", static_cast<double>(time.time_since_epoch().count()) * 1e-6);
    return text;
}

std::string_view name(KeyAction action) noexcept {
    switch (action) {
        case KeyAction::get:
            return "get";
        case KeyAction::set:
            return "set";
        case KeyAction::insert:
            return "insert";
        case KeyAction::replace:
            return "replace";
        case KeyAction::remove:
            return "remove";
        case KeyAction::append:
            return "append";
        case KeyAction::prepend:
            return "prepend";
        case KeyAction::counter:
            return "counter";
        case KeyAction::touch:
            return "touch";
    }
    return "?";
}

std::string_view name(KeyOutcome outcome) noexcept {
    switch (outcome) {
        case KeyOutcome::ok:
            return "ok";
        case KeyOutcome::not_found:
            return "not found";
        case KeyOutcome::exists:
            return "exists";
        case KeyOutcome::cas_mismatch:
            return "CAS mismatch";
        case KeyOutcome::not_a_number:
            return "not a number";
        case KeyOutcome::ambiguous:
            return "ambiguous";
        case KeyOutcome::not_done:
            return "not done";
    }
    return "?";
}

std::string shortened(const std::string& value) {
    return value.size() <= 40 ? value : value.substr(0, 40) + "… (" + std::to_string(value.size()) + " bytes)";
}

}  // namespace

std::string to_string(const KeyOperation& op) {
    std::string text(name(op.action));
    text += '(';
    if (op.action == KeyAction::counter) {
        text += std::to_string(op.delta);
        if (op.initial) text += ", initial " + std::to_string(*op.initial);
    } else if (op.action != KeyAction::get && op.action != KeyAction::remove && op.action != KeyAction::touch) {
        text += "'" + shortened(op.value) + "'";
    }
    text += ')';
    if (op.cas != 0) text += " if CAS " + std::to_string(op.cas);
    text += " -> ";
    if (op.action == KeyAction::get && op.outcome == KeyOutcome::ok) {
        text += "'" + shortened(op.got) + "'";
    } else if (op.action == KeyAction::counter && op.outcome == KeyOutcome::ok) {
        text += std::to_string(op.number);
    } else {
        text += name(op.outcome);
    }
    if (op.got_cas != 0) text += " CAS " + std::to_string(op.got_cas);
    text += ", client " + std::to_string(op.client) + ", " + millis(op.started) + " … " + millis(op.completed) + " ms";
    return text;
}

// ---- exactly once ---------------------------------------------------------------------------------------------------

void CompletionRegister::started(Id id, TimePoint now, TimePoint deadline, std::string_view what) {
    Operation& operation = operations_[id];
    if (operation.starts++ == 0) {
        operation.started = now;
        operation.deadline = deadline;
        operation.what = what;
        if (operation.completions == 0) ++pending_;
    }
}

void CompletionRegister::completed(Id id, TimePoint now) {
    Operation& operation = operations_[id];
    if (operation.completions++ == 0) {
        operation.completed = now;
        if (operation.starts > 0) --pending_;
    }
}

std::vector<std::string> CompletionRegister::complaints(Duration tick) const {
    std::vector<std::string> all;
    for (const auto& [id, op] : operations_) {
        const auto complain = [&, &number = id](const std::string& what) {
            all.push_back("operation " + std::to_string(number) + " " + op.what + ": " + what);
        };
        if (op.starts == 0) complain("completed, but never started");
        if (op.starts > 1) complain("started " + std::to_string(op.starts) + " times");
        if (op.completions == 0) complain("not completed");
        if (op.completions > 1) complain("completed " + std::to_string(op.completions) + " times");
        if (op.starts == 0 || op.completions == 0) continue;
        if (op.completed < op.started) complain("completed before it was started");
        if (op.completed > op.deadline + tick) {
            complain("completed at " + millis(op.completed) + " ms, deadline " + millis(op.deadline) + " ms");
        }
    }
    return all;
}

// ---- histories ------------------------------------------------------------------------------------------------------

void History::add(std::string_view key, KeyOperation operation) {
    auto entry = keys_.find(key);
    if (entry == keys_.end()) entry = keys_.emplace(std::string(key), std::vector<KeyOperation>{}).first;
    entry->second.push_back(std::move(operation));
    ++size_;
}

std::vector<std::string> History::complaints(const LinearizabilityOptions& options) const {
    std::vector<std::string> all;
    for (const auto& [key, operations] : keys_) {
        const LinearizabilityResult result = check_key_history(operations, options);
        if (!result.ok()) all.push_back(key + ": " + result.explanation);
    }
    return all;
}

}  // namespace chaise::testing
