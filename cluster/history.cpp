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
        case KeyAction::renew:
            return "renew";
        case KeyAction::get_and_renew:
            return "get and renew";
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

/// What can be said of the time between two moments: outcomes of what began and ended in it; of what reaches across its
/// ends, and of what was lost before it, only that it may have had its effect in it.
std::vector<KeyOperation> between(const std::vector<KeyOperation>& operations, TimePoint from, TimePoint until) {
    std::vector<KeyOperation> all;
    for (const KeyOperation& op : operations) {
        const bool lost = op.outcome == KeyOutcome::ambiguous;
        if (op.started > until || (op.completed < from && !lost)) continue;
        all.push_back(op);
        if (lost || (op.started >= from && op.completed <= until)) continue;
        if (op.outcome != KeyOutcome::ok) {
            all.pop_back();  // changed nothing
            continue;
        }
        all.back().outcome = KeyOutcome::ambiguous;
        all.back().got_cas = 0;
    }
    return all;
}

}  // namespace

std::string to_string(const KeyOperation& op) {
    std::string text(name(op.action));
    text += '(';
    if (op.action == KeyAction::counter) {
        text += std::to_string(op.delta);
        if (op.initial) text += ", initial " + std::to_string(*op.initial);
    } else if (op.action < KeyAction::touch && op.action != KeyAction::get && op.action != KeyAction::remove) {
        text += "'" + shortened(op.value) + "'";
    }
    text += ')';
    if (op.cas != 0) text += " if CAS " + std::to_string(op.cas);
    text += " -> ";
    if ((op.action == KeyAction::get || op.action == KeyAction::get_and_renew) && op.outcome == KeyOutcome::ok) {
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

void History::disturbed(std::string_view key, TimePoint now) {
    auto& all = disturbances_[std::string(key)];
    if (all.empty() || all.back().until != TimePoint::max()) all.push_back({.from = now});
}

void History::settled(std::string_view key, TimePoint now, std::optional<std::string> value) {
    const auto found = disturbances_.find(key);
    if (found == disturbances_.end() || found->second.back().until != TimePoint::max()) return;
    found->second.back().until = now;
    found->second.back().value = std::move(value);
}

std::vector<std::string> History::complaints(const LinearizabilityOptions& options) const {
    std::vector<std::string> all;
    const auto judge = [&](const std::string& key, const std::vector<KeyOperation>& operations,
                           const LinearizabilityOptions& how) {
        const LinearizabilityResult result = check_key_history(operations, how);
        if (!result.ok()) all.push_back(key + ": " + result.explanation);
    };
    for (const auto& [key, operations] : keys_) {
        const auto disturbances = disturbances_.find(key);
        if (disturbances == disturbances_.end()) {
            judge(key, operations, options);
            continue;
        }
        TimePoint from = TimePoint::min();
        LinearizabilityOptions how = options;
        for (const Disturbance& disturbance : disturbances->second) {
            judge(key, between(operations, from, disturbance.from), how);
            from = disturbance.until;
            how.initial = disturbance.value;
        }
        if (from != TimePoint::max()) judge(key, between(operations, from, TimePoint::max()), how);
    }
    return all;
}

}  // namespace chaise::testing
