// The search of Wing and Gong: execute, one after the other, operations that may be next by their times, as long as the
// register answers what was answered; turn back where none fits. Lowe's addition: what was executed (as a set) and the
// register's state are remembered, and no pair is looked at twice.

#include <chaise/testing/sim_random.hpp>

#include <algorithm>
#include <charconv>
#include <unordered_set>
#include <utility>

#include "cluster/history.hpp"

namespace chaise::testing {

namespace {

struct Register {
    bool present = false;
    bool cas_known = false;
    std::uint32_t value = 0;  // interned
    std::uint64_t cas = 0;
    friend bool operator==(const Register&, const Register&) = default;
};

struct Seen {
    std::uint64_t a, b;
    friend bool operator==(const Seen&, const Seen&) = default;
};
struct SeenHash {
    std::size_t operator()(const Seen& seen) const noexcept { return static_cast<std::size_t>(seen.a); }
};

class Search {
public:
    Search(const std::vector<KeyOperation>& history, const LinearizabilityOptions& options) : options_(options) {
        for (const KeyOperation& op : history) {
            if (op.outcome == KeyOutcome::not_done) continue;
            if (op.outcome == KeyOutcome::ambiguous && (op.action == KeyAction::get || op.action == KeyAction::touch)) {
                continue;  // neither shows nor changes anything
            }
            operations_.push_back(&op);
            if (optional(op)) continue;
            ++mandatory_;
            if (op.outcome == KeyOutcome::ok && writes(op.action) && op.got_cas != 0) told_.push_back(op.got_cas);
        }
        std::stable_sort(operations_.begin(), operations_.end(),
                         [](const auto* a, const auto* b) { return a->started < b->started; });
        std::sort(told_.begin(), told_.end());
        done_.resize(operations_.size());
    }

    LinearizabilityResult run() {
        LinearizabilityResult result;
        if (const auto twice = std::adjacent_find(told_.begin(), told_.end()); twice != told_.end()) {
            return refused("two mutations were told the same CAS " + std::to_string(*twice));
        }
        Register start;
        if (options_.initial) start = {.present = true, .value = intern(*options_.initial)};
        enter(start, none, nullptr);
        while (!stack_.empty()) {
            if (executed_ == mandatory_) {
                result.states = seen_.size();
                return result;
            }
            if (seen_.size() > options_.states_max) {
                result.verdict = LinearizabilityResult::Verdict::undecided;
                result.explanation = "given up after " + std::to_string(seen_.size()) + " states";
                result.states = seen_.size();
                return result;
            }
            Node& node = stack_.back();
            if (node.next == node.choices.size()) {
                leave();
                continue;
            }
            const Choice choice = node.choices[node.next++];
            mark(choice.operation, true);
            // A lost one is followed by what shows it: by the state before the first of several.
            std::optional<Register> before_lost;
            if (optional(*operations_[choice.operation]))
                before_lost = node.before_lost ? node.before_lost : node.state;
            const Register* before = before_lost ? &*before_lost : nullptr;
            if (!seen_.insert(fingerprint(choice.after, before)).second) {
                mark(choice.operation, false);
                continue;
            }
            enter(choice.after, choice.operation, before);
        }
        return refused(explain());
    }

private:
    static constexpr std::size_t none = ~std::size_t{0};
    struct Choice {
        std::size_t operation;
        Register after;
    };
    struct Node {
        std::vector<Choice> choices;
        std::size_t next = 0;
        std::size_t by = none;  // what led here
        Register state;
        std::optional<Register> before_lost;  // what it was before the lost ones that led here
    };

    static bool optional(const KeyOperation& op) noexcept { return op.outcome == KeyOutcome::ambiguous; }
    static bool changes(KeyAction action) noexcept { return action != KeyAction::get && action != KeyAction::touch; }
    static bool renews(KeyAction action) noexcept {
        return action == KeyAction::renew || action == KeyAction::get_and_renew;
    }
    // Gives a CAS that nobody had before; one that renews may find nothing to do.
    static bool writes(KeyAction action) noexcept { return changes(action) && !renews(action); }

    LinearizabilityResult refused(std::string why) const {
        LinearizabilityResult result;
        result.verdict = LinearizabilityResult::Verdict::not_linearizable;
        result.explanation = std::move(why);
        result.states = seen_.size();
        return result;
    }

    std::uint32_t intern(const std::string& value) {
        const auto [entry, fresh] = interned_.try_emplace(value, static_cast<std::uint32_t>(values_.size()));
        if (fresh) values_.push_back(&entry->first);
        return entry->second;
    }

    void mark(std::size_t i, bool done) {
        done_[i] = done;
        set_hash_.a ^= sim_mix(i);
        set_hash_.b ^= sim_mix(~i);
        if (!optional(*operations_[i])) executed_ += done ? std::size_t{1} : ~std::size_t{0};
    }

    [[nodiscard]] Seen fingerprint(const Register& now, const Register* before_lost) const noexcept {
        Seen hash = set_hash_;
        const auto add = [&](const Register& r) {
            const std::uint64_t small = std::uint64_t{r.value} << 2 | (r.present ? 2U : 0U) | (r.cas_known ? 1U : 0U);
            hash = {sim_mix(hash.a ^ sim_mix(small ^ sim_mix(r.cas))), sim_mix(hash.b + sim_mix(~small + r.cas))};
        };
        add(now);
        if (before_lost != nullptr) add(*before_lost);  // it decides what is looked at from here
        return hash;
    }

    // What may come next, and what the register is after it. What has to be executed comes before what may have been:
    // most lost operations were never executed, or show at once.
    void enter(const Register& state, std::size_t by, const Register* before_lost) {
        Node node;
        node.by = by;
        node.state = state;
        if (before_lost != nullptr) node.before_lost = *before_lost;
        while (first_ < done_.size() && done_[first_]) ++first_;
        TimePoint earliest_end = TimePoint::max();
        std::size_t end = first_;
        for (; end < operations_.size(); ++end) {
            const KeyOperation& op = *operations_[end];
            if (op.started > earliest_end) break;
            if (!done_[end] && !optional(op)) earliest_end = std::min(earliest_end, op.completed);
        }
        for (const bool lost : {false, true}) {
            for (std::size_t i = first_; i < end; ++i) {
                const KeyOperation& op = *operations_[i];
                if (done_[i] || optional(op) != lost || op.started > earliest_end) continue;
                if (auto after = execute(op, state)) {
                    if (before_lost == nullptr || shows(op, *before_lost, *after)) {
                        node.choices.push_back({i, *after});
                    }
                }
                if (options_.may_vanish && state.present) {
                    if (auto after = execute(op, Register{})) node.choices.push_back({i, *after});
                }
            }
        }
        stack_.push_back(std::move(node));
        if (executed_ >= deepest_.size() && executed_ < mandatory_) remember_deepest();
    }

    // Whether the lost operations just before `op` make a difference to it. If not, they need not be looked at here: an
    // order where they come after it, or not at all, is looked at too (they have no end, so they may be later).
    [[nodiscard]] bool shows(const KeyOperation& op, const Register& before_lost, const Register& after) {
        const auto without = execute(op, before_lost);
        if (!without) return true;
        // Nor may it tell a CAS: what was lost may have been conditional on the one before.
        const bool changed_nothing = !optional(op) && *without == before_lost;
        return !changed_nothing && !(*without == after);
    }

    void leave() {
        const std::size_t by = stack_.back().by;
        stack_.pop_back();
        if (by == none) return;
        mark(by, false);
        first_ = std::min(first_, by);
    }

    // Whether the register's token can be this one.
    [[nodiscard]] bool fits(const Register& r, std::uint64_t cas) const {
        if (r.cas_known) return r.cas == cas;
        // Not told to whoever made it, so it is none that was told to a mutation.
        return !std::binary_search(told_.begin(), told_.end(), cas);
    }

    // The register after the operation, if the operation can have had its outcome.
    std::optional<Register> execute(const KeyOperation& op, const Register& before) {
        const bool lost = optional(op);
        // A lost one that would be refused has changed nothing: the same as if it had never been executed.
        const auto claims = [&](KeyOutcome outcome) { return !lost && op.outcome == outcome; };
        const bool claims_ok = lost || op.outcome == KeyOutcome::ok;
        Register after = before;

        if (op.action == KeyAction::get || op.action == KeyAction::touch) {
            if (!before.present) return claims(KeyOutcome::not_found) ? std::optional(after) : std::nullopt;
            if (!claims_ok) return std::nullopt;
            if (op.action == KeyAction::get && *values_[before.value] != op.got) return std::nullopt;
            if (op.got_cas != 0) {
                if (!fits(before, op.got_cas)) return std::nullopt;
                after.cas_known = true;
                after.cas = op.got_cas;
            }
            return after;
        }

        if (renews(op.action)) {
            if (!before.present) return claims(KeyOutcome::not_found) ? std::optional(after) : std::nullopt;
            if (!claims_ok) return std::nullopt;
            if (!lost && op.action == KeyAction::get_and_renew && *values_[before.value] != op.got) return std::nullopt;
            after.cas_known = !lost && op.got_cas != 0;
            after.cas = after.cas_known ? op.got_cas : 0;
            return after;
        }

        if (op.action == KeyAction::insert) {
            if (before.present) return claims(KeyOutcome::exists) ? std::optional(after) : std::nullopt;
        } else if (!before.present) {
            const bool makes = (op.action == KeyAction::set && op.cas == 0) ||
                               (op.action == KeyAction::counter && op.initial && op.cas == 0);
            if (!makes) return claims(KeyOutcome::not_found) ? std::optional(after) : std::nullopt;
        } else if (op.cas != 0) {
            if (claims(KeyOutcome::cas_mismatch)) {
                if (before.cas_known && before.cas == op.cas) return std::nullopt;
                return after;
            }
            if (!fits(before, op.cas)) return std::nullopt;
        }
        std::string value;
        switch (op.action) {
            case KeyAction::append:
                value = *values_[before.value] + op.value;
                break;
            case KeyAction::prepend:
                value = op.value + *values_[before.value];
                break;
            case KeyAction::counter: {
                std::uint64_t number = 0;
                if (before.present) {
                    const std::string& old = *values_[before.value];
                    const auto current = parse(old);
                    if (!current) return claims(KeyOutcome::not_a_number) ? std::optional(after) : std::nullopt;
                    const auto delta = static_cast<std::uint64_t>(op.delta < 0 ? -op.delta : op.delta);
                    number = op.delta >= 0 ? *current + delta : *current - std::min(*current, delta);
                    value = std::to_string(number);
                    if (options_.blank_padding && value.size() < old.size()) value.resize(old.size(), ' ');
                } else {
                    number = *op.initial;
                    value = std::to_string(number);
                }
                if (claims(KeyOutcome::ok) && number != op.number) return std::nullopt;
                break;
            }
            default:
                value = op.value;
        }
        if (!claims_ok) return std::nullopt;
        if (op.action == KeyAction::remove) return Register{};
        if (op.got_cas != 0 && before.present && before.cas_known && before.cas == op.got_cas) return std::nullopt;
        return Register{.present = true,
                        .cas_known = !lost && op.got_cas != 0,
                        .value = intern(value),
                        .cas = lost ? 0 : op.got_cas};
    }

    static std::optional<std::uint64_t> parse(std::string_view text) {
        while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
        std::uint64_t number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
        return number;
    }

    void remember_deepest() {
        deepest_.clear();
        fitted_.clear();
        for (const Node& node : stack_) {
            if (node.by == none) continue;
            fitted_.push_back(node.by);
            if (!optional(*operations_[node.by])) deepest_.push_back(node.by);
        }
    }

    [[nodiscard]] std::string explain() const {
        std::string text = "not linearizable: " + std::to_string(deepest_.size()) + " of " +
                           std::to_string(mandatory_) + " operations fit an order";
        const std::size_t shown = std::min<std::size_t>(fitted_.size(), 6);
        for (std::size_t i = fitted_.size() - shown; i < fitted_.size(); ++i) {
            text += "\n    then   " + to_string(*operations_[fitted_[i]]);
        }
        std::size_t left = 6;
        for (std::size_t i = 0; i < operations_.size() && left > 0; ++i) {
            if (std::find(fitted_.begin(), fitted_.end(), i) != fitted_.end()) continue;
            text += "\n    not    " + to_string(*operations_[i]);
            --left;
        }
        return text;
    }

    const LinearizabilityOptions& options_;
    std::vector<const KeyOperation*> operations_;  // by their starts
    std::vector<std::uint64_t> told_;              // CAS that mutations were told, sorted
    std::size_t mandatory_ = 0;
    std::map<std::string, std::uint32_t> interned_;
    std::vector<const std::string*> values_;
    std::vector<bool> done_;
    std::size_t first_ = 0;     // before it everything is done
    std::size_t executed_ = 0;  // of the mandatory ones
    Seen set_hash_{};
    std::unordered_set<Seen, SeenHash> seen_;
    std::vector<Node> stack_;
    std::vector<std::size_t> deepest_;
    std::vector<std::size_t> fitted_;
};

}  // namespace

LinearizabilityResult check_key_history(const std::vector<KeyOperation>& history,
                                        const LinearizabilityOptions& options) {
    return Search{history, options}.run();
}

}  // namespace chaise::testing
