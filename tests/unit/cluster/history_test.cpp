// The checkers of the simulation, proven by histories that they must refuse, and by a brute-force judge.

#include "cluster/history.hpp"

#include <chaise/testing/sim_random.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <numeric>

using namespace chaise;
using namespace chaise::testing;
using namespace std::chrono_literals;

namespace {

TimePoint at(int ms) { return TimePoint{std::chrono::milliseconds{ms}}; }

KeyOperation op(int start, int end, KeyAction action, KeyOutcome outcome = KeyOutcome::ok) {
    KeyOperation operation;
    operation.action = action;
    operation.started = at(start);
    operation.completed = at(end);
    operation.outcome = outcome;
    return operation;
}
KeyOperation set(int start, int end, std::string value, std::uint64_t got_cas = 0,
                 KeyOutcome outcome = KeyOutcome::ok) {
    KeyOperation operation = op(start, end, KeyAction::set, outcome);
    operation.value = std::move(value);
    operation.got_cas = got_cas;
    return operation;
}
KeyOperation set_if(int start, int end, std::string value, std::uint64_t cas, std::uint64_t got_cas = 0,
                    KeyOutcome outcome = KeyOutcome::ok) {
    KeyOperation operation = set(start, end, std::move(value), got_cas, outcome);
    operation.cas = cas;
    return operation;
}
KeyOperation lost(int start, int end, std::string value) {
    return set(start, end, std::move(value), 0, KeyOutcome::ambiguous);
}
KeyOperation get(int start, int end, std::string got, std::uint64_t cas = 0) {
    KeyOperation operation = op(start, end, KeyAction::get);
    operation.got = std::move(got);
    operation.got_cas = cas;
    return operation;
}
KeyOperation miss(int start, int end) { return op(start, end, KeyAction::get, KeyOutcome::not_found); }
KeyOperation insert(int start, int end, std::string value, KeyOutcome outcome = KeyOutcome::ok) {
    KeyOperation operation = set(start, end, std::move(value), 0, outcome);
    operation.action = KeyAction::insert;
    return operation;
}
KeyOperation replace(int start, int end, std::string value, KeyOutcome outcome = KeyOutcome::ok) {
    KeyOperation operation = set(start, end, std::move(value), 0, outcome);
    operation.action = KeyAction::replace;
    return operation;
}
KeyOperation append(int start, int end, std::string value, KeyOutcome outcome = KeyOutcome::ok) {
    KeyOperation operation = set(start, end, std::move(value), 0, outcome);
    operation.action = KeyAction::append;
    return operation;
}
KeyOperation removed(int start, int end, KeyOutcome outcome = KeyOutcome::ok) {
    return op(start, end, KeyAction::remove, outcome);
}
KeyOperation count(int start, int end, std::int64_t delta, std::uint64_t number,
                   std::optional<std::uint64_t> initial = {}) {
    KeyOperation operation = op(start, end, KeyAction::counter);
    operation.delta = delta;
    operation.number = number;
    operation.initial = initial;
    return operation;
}

using Operations = std::vector<KeyOperation>;

}  // namespace

TEST_CASE("bad histories of a key are refused", "[history]") {
    const std::pair<const char*, Operations> bad[] = {
        {"a stale read", {set(0, 1, "a"), set(2, 3, "b"), get(4, 5, "a")}},
        {"a value that nobody wrote", {set(0, 1, "a"), get(2, 3, "x")}},
        {"a lost update", {set(0, 1, "a"), miss(2, 3)}},
        {"two inserts, both made it", {insert(0, 5, "a"), insert(1, 6, "b")}},
        {"an insert refused although nothing was there", {insert(0, 1, "a", KeyOutcome::exists)}},
        {"two conditional writes with one CAS, both made it",
         {set(0, 1, "a", 10), set_if(2, 8, "b", 10, 11), set_if(3, 9, "c", 10, 12)}},
        {"two increments with one result", {set(0, 1, "5"), count(2, 8, 1, 6), count(3, 9, 1, 6)}},
        {"reads that go back in time", {set(0, 1, "a"), set(2, 20, "b"), get(3, 4, "b"), get(5, 6, "a")}},
        {"a read behind a remove", {set(0, 1, "a"), removed(2, 3), get(4, 5, "a")}},
        {"two removes of one value", {set(0, 1, "a"), removed(2, 8), removed(3, 9)}},
        {"a lost write that was there and then was not",
         {set(0, 1, "a"), lost(2, 3, "b"), get(4, 5, "b"), get(6, 7, "a")}},
        {"a lost write that was seen before it began", {set(0, 1, "a"), get(2, 3, "b"), lost(4, 5, "b")}},
        {"a write that was said not to have been done",
         {set(0, 1, "a"), set(2, 3, "b", 0, KeyOutcome::not_done), get(4, 5, "b")}},
        {"a CAS mismatch although the CAS was current",
         {set(0, 1, "a", 10), set_if(2, 3, "b", 10, 0, KeyOutcome::cas_mismatch)}},
        {"one CAS for two mutations", {set(0, 1, "a", 10), set(2, 3, "b", 10)}},
        {"a read with the CAS of another value", {set(0, 1, "a", 10), set(2, 3, "b", 11), get(4, 5, "b", 10)}},
        {"a CAS that changes between reads", {set(0, 1, "a"), get(2, 3, "a", 10), get(4, 5, "a", 11)}},
        {"appends in an order that was not theirs",
         {set(0, 1, ""), append(2, 3, "a"), append(4, 5, "b"), get(6, 7, "ba")}},
        {"an append that is there twice", {set(0, 1, ""), append(2, 3, "a"), get(4, 5, "aa")}},
        {"a replace of nothing", {removed(0, 1, KeyOutcome::not_found), replace(2, 3, "a")}},
        {"a lost counter that was added twice",
         {set(0, 1, "1"),
          [] {
              auto o = count(2, 3, 1, 0);
              o.outcome = KeyOutcome::ambiguous;
              return o;
          }(),
          get(4, 5, "3")}},
        {"one lost write cannot explain two values",
         {set(0, 1, "a"), lost(2, 3, "b"), get(4, 5, "b"), set(6, 7, "c"), get(8, 9, "b")}},
        {"not a number, although it was one",
         {set(0, 1, "5"),
          [] {
              auto o = count(2, 3, 1, 0);
              o.outcome = KeyOutcome::not_a_number;
              return o;
          }()}},
    };
    for (const auto& [what, history] : bad) {
        INFO(what);
        const LinearizabilityResult result = check_key_history(history);
        CHECK(result.verdict == LinearizabilityResult::Verdict::not_linearizable);
        CHECK_FALSE(result.explanation.empty());
        // The order of the recording is of no consequence.
        const Operations backwards(history.rbegin(), history.rend());
        CHECK_FALSE(check_key_history(backwards).ok());
    }
}

TEST_CASE("good histories of a key are accepted", "[history]") {
    const std::pair<const char*, Operations> good[] = {
        {"nothing", {}},
        {"one after the other", {miss(0, 1), set(2, 3, "a"), get(4, 5, "a"), removed(6, 7), miss(8, 9)}},
        {"a read during a write may see either", {set(0, 1, "a"), set(2, 9, "b"), get(3, 4, "a"), get(5, 6, "b")}},
        {"a lost write never happened", {set(0, 1, "a"), lost(2, 3, "b"), get(4, 5, "a")}},
        {"a lost write happened", {set(0, 1, "a"), lost(2, 3, "b"), get(4, 5, "b")}},
        {"a lost write happened long after it was given up",
         {set(0, 1, "a"), lost(2, 3, "b"), get(4, 5, "a"), get(100, 101, "b")}},
        {"a lost write overwrites a later one",
         {lost(0, 1, "late"), set(10, 11, "a"), get(12, 13, "a"), get(14, 15, "late"), set(16, 17, "c"),
          get(18, 19, "c")}},
        {"an insert finds what a lost insert left",
         {[] {
              auto o = insert(0, 1, "x");
              o.outcome = KeyOutcome::ambiguous;
              return o;
          }(),
          insert(2, 3, "y", KeyOutcome::exists), get(4, 5, "x")}},
        {"CAS chain",
         {set(0, 1, "a", 10), get(2, 3, "a", 10), set_if(4, 5, "b", 10, 11),
          set_if(6, 7, "c", 10, 0, KeyOutcome::cas_mismatch), get(8, 9, "b", 11)}},
        {"the CAS of a lost write is learnt by reading",
         {set(0, 1, "a", 10), lost(2, 3, "b"), get(4, 5, "b", 77), set_if(6, 7, "c", 77, 78), get(8, 9, "c", 78)}},
        {"a lost conditional write took effect, so that its repetition is refused",
         {set(0, 1, "a", 10),
          [] {
              auto o = set_if(2, 3, "b", 10);
              o.outcome = KeyOutcome::ambiguous;
              return o;
          }(),
          set_if(4, 5, "b", 10, 0, KeyOutcome::cas_mismatch), get(6, 7, "b")}},
        {"counters",
         {count(0, 1, 5, 10, 10), count(2, 8, 1, 12), count(3, 9, 1, 11), count(10, 11, -20, 0), get(12, 13, "0 ")}},
        {"a counter wraps", {set(0, 1, "18446744073709551615"), count(2, 3, 1, 0)}},
        {"not done changes nothing", {set(0, 1, "a"), set(2, 3, "b", 0, KeyOutcome::not_done), get(4, 5, "a")}},
        {"append to nothing",
         {append(0, 1, "x", KeyOutcome::not_found), set(2, 3, ""), append(4, 9, "a"), append(5, 8, "b"),
          get(10, 11, "ba")}},
    };
    for (const auto& [what, history] : good) {
        const LinearizabilityResult result = check_key_history(history);
        INFO(what << ": " << result.explanation);
        CHECK(result.ok());
    }
}

TEST_CASE("what is known beforehand, and keys that may vanish", "[history]") {
    CHECK(check_key_history({get(0, 1, "old")}, {.initial = "old"}).ok());
    CHECK_FALSE(check_key_history({get(0, 1, "old")}).ok());
    const Operations evicted{set(0, 1, "a"), get(2, 3, "a"), miss(4, 5), insert(6, 7, "b"), get(8, 9, "b")};
    CHECK_FALSE(check_key_history(evicted).ok());
    CHECK(check_key_history(evicted, {.may_vanish = true}).ok());
    CHECK_FALSE(check_key_history({set(0, 1, "a"), miss(2, 3), get(4, 5, "a")}, {.may_vanish = true}).ok());
    CHECK(check_key_history({set(0, 1, "10"), count(2, 3, -1, 9), get(4, 5, "9")}, {.blank_padding = false}).ok());
    CHECK_FALSE(check_key_history({set(0, 1, "10"), count(2, 3, -1, 9), get(4, 5, "9")}).ok());
}

TEST_CASE("a CAS may be renewed without a write, a value may not", "[history]") {
    const auto renew = [](int start, int end, std::uint64_t cas, KeyOutcome outcome = KeyOutcome::ok) {
        KeyOperation operation = op(start, end, KeyAction::renew, outcome);
        operation.got_cas = cas;
        return operation;
    };
    const auto get_and_renew = [](int start, int end, std::string got, std::uint64_t cas) {
        KeyOperation operation = op(start, end, KeyAction::get_and_renew);
        operation.got = std::move(got);
        operation.got_cas = cas;
        return operation;
    };
    const auto ok = [](const Operations& history) { return check_key_history(history).ok(); };
    CHECK(ok({set(0, 1, "a", 7), renew(2, 3, 8), get(4, 5, "a", 8)}));
    CHECK(ok({set(0, 1, "a", 7), renew(2, 3, 7), get(4, 5, "a", 7)}));
    CHECK(ok({set(0, 1, "a", 7), renew(2, 3, 0, KeyOutcome::ambiguous), get(4, 5, "a", 9)}));
    CHECK(ok({set(0, 1, "a", 7), get_and_renew(2, 3, "a", 8), set_if(4, 5, "b", 8, 9)}));
    CHECK(ok({renew(0, 1, 0, KeyOutcome::not_found), set(2, 3, "a", 7)}));
    // A lost write that was conditional on a CAS that nobody tells, shown by a value that comes later.
    CHECK(check_key_history({{.action = KeyAction::set,
                              .started = at(0),
                              .completed = at(1),
                              .outcome = KeyOutcome::ambiguous,
                              .value = "b",
                              .cas = 5},
                             renew(2, 3, 9),
                             get(4, 5, "b", 9)},
                            {.initial = "a"})
              .ok());
    // Two that renew may find the same.
    CHECK(ok({set(0, 1, "a", 7), renew(2, 3, 8), renew(4, 5, 8)}));

    CHECK_FALSE(ok({set(0, 1, "a", 7), renew(2, 3, 8), get(4, 5, "a", 7)}));
    CHECK_FALSE(ok({set(0, 1, "a", 7), renew(2, 3, 8), set_if(4, 5, "b", 7, 9)}));
    CHECK_FALSE(ok({set(0, 1, "a", 7), renew(2, 3, 8), get(4, 5, "b", 8)}));
    CHECK_FALSE(ok({set(0, 1, "a", 7), get_and_renew(2, 3, "b", 8)}));
    CHECK_FALSE(ok({renew(0, 1, 7)}));
    CHECK_FALSE(ok({set(0, 1, "a", 7), renew(2, 3, 0, KeyOutcome::not_found)}));
}

TEST_CASE("a disturbed key is judged before and after, by what it then has", "[history]") {
    const auto complaints = [](std::optional<std::string> value, const Operations& operations) {
        History history;
        for (const KeyOperation& operation : operations) history.add("k", operation);
        history.settled("k", at(5), "nothing to settle");
        history.disturbed("k", at(10));
        history.disturbed("k", at(12));
        history.settled("k", at(20), std::move(value));
        return history.complaints().size();
    };
    // An acknowledged write is lost, and not by the client.
    CHECK(complaints("a", {set(0, 1, "a"), set(8, 9, "b"), get(21, 22, "a")}) == 0);
    CHECK(complaints("a", {set(0, 1, "a"), get(11, 12, "z"), get(21, 22, "a")}) == 0);
    CHECK(complaints({}, {set(0, 1, "a"), miss(21, 22)}) == 0);
    // What reached into the disturbance may have had its effect before, in or after it.
    CHECK(complaints("a", {set(0, 1, "a"), set(9, 30, "c"), get(21, 22, "a"), get(31, 32, "c")}) == 0);
    CHECK(complaints("c", {set(0, 1, "a"), set(9, 11, "c"), get(21, 22, "c")}) == 0);
    CHECK(complaints("c", {set(0, 1, "a"), lost(2, 3, "c"), get(21, 22, "c")}) == 0);
    CHECK(complaints("a", {set(0, 1, "a"), lost(2, 3, "c"), get(21, 22, "a"), get(23, 24, "c")}) == 0);
    CHECK(complaints("a", {set(0, 1, "a"), get(9, 30, "z")}) == 0);

    CHECK(complaints("a", {set(0, 1, "a"), get(2, 3, "b")}) == 1);
    CHECK(complaints("a", {set(0, 1, "a"), get(21, 22, "b")}) == 1);
    CHECK(complaints("a", {set(0, 1, "a"), miss(21, 22)}) == 1);
    CHECK(complaints({}, {set(0, 1, "a"), get(21, 22, "a")}) == 1);
    CHECK(complaints("a", {set(0, 1, "a"), set(21, 22, "b"), get(23, 24, "a")}) == 1);
    CHECK(complaints("a", {get(2, 3, "b"), get(21, 22, "b")}) == 2);
    // Not settled: nothing more can be said.
    History open;
    open.add("k", get(2, 3, "b"));
    open.add("k", get(21, 22, "b"));
    open.disturbed("k", at(1));
    CHECK(open.complaints().empty());
}

TEST_CASE("the search gives up openly", "[history]") {
    Operations hard;
    for (int i = 0; i < 20; ++i) hard.push_back(lost(0, 1, std::to_string(i)));
    hard.push_back(get(2, 3, "x"));
    const auto result = check_key_history(hard, {.states_max = 10});
    CHECK(result.verdict == LinearizabilityResult::Verdict::undecided);
}

namespace {

// A judge that tries every order of every choice of lost operations, with a model of its own.
bool brute_force(const Operations& history) {
    std::vector<std::size_t> certain;
    std::vector<std::size_t> maybe;
    for (std::size_t i = 0; i < history.size(); ++i) {
        (history[i].outcome == KeyOutcome::ambiguous ? maybe : certain).push_back(i);
    }
    for (std::size_t subset = 0; subset < (std::size_t{1} << maybe.size()); ++subset) {
        std::vector<std::size_t> order = certain;
        for (std::size_t i = 0; i < maybe.size(); ++i) {
            if ((subset >> i & 1) != 0) order.push_back(maybe[i]);
        }
        std::sort(order.begin(), order.end());
        do {
            bool fits = true;
            for (std::size_t a = 0; a < order.size() && fits; ++a) {
                for (std::size_t b = a + 1; b < order.size() && fits; ++b) {
                    const KeyOperation& later = history[order[b]];
                    // What ended before another began cannot be executed after it; what is lost never ends.
                    if (later.outcome != KeyOutcome::ambiguous && later.completed < history[order[a]].started)
                        fits = false;
                }
            }
            std::optional<std::string> value;
            for (std::size_t i : order) {
                if (!fits) break;
                const KeyOperation& o = history[i];
                switch (o.action) {
                    case KeyAction::get:
                        fits = o.outcome == KeyOutcome::ok ? value == o.got : !value;
                        break;
                    case KeyAction::set:
                        value = o.value;
                        break;
                    case KeyAction::insert:
                        if (o.outcome == KeyOutcome::exists) {
                            fits = value.has_value();
                        } else if (o.outcome == KeyOutcome::ok) {
                            fits = !value;
                            value = o.value;
                        } else if (!value) {
                            value = o.value;
                        }
                        break;
                    case KeyAction::remove:
                        if (o.outcome != KeyOutcome::ambiguous)
                            fits = value.has_value() == (o.outcome == KeyOutcome::ok);
                        value.reset();
                        break;
                    case KeyAction::append:
                        if (o.outcome != KeyOutcome::ambiguous)
                            fits = value.has_value() == (o.outcome == KeyOutcome::ok);
                        if (value) *value += o.value;
                        break;
                    default:
                        break;
                }
            }
            if (fits) return true;
        } while (std::next_permutation(order.begin(), order.end()));
    }
    return false;
}

}  // namespace

TEST_CASE("the search agrees with a brute-force judge on random histories", "[history]") {
    SimRandom random{2024};
    int good = 0;
    int bad = 0;
    for (int round = 0; round < 4000; ++round) {
        Operations history;
        const auto size = random.between(2, 6);
        for (std::uint64_t i = 0; i < size; ++i) {
            const int start = static_cast<int>(random.below(20));
            const int end = start + static_cast<int>(random.between(1, 10));
            const std::string value(1, static_cast<char>('a' + random.below(2)));
            const bool lose = random.chance(0.2);
            switch (random.below(6)) {
                case 0:
                    history.push_back(set(start, end, value));
                    break;
                case 1:
                    history.push_back(
                        insert(start, end, value, random.chance(0.4) ? KeyOutcome::exists : KeyOutcome::ok));
                    break;
                case 2:
                    history.push_back(removed(start, end, random.chance(0.4) ? KeyOutcome::not_found : KeyOutcome::ok));
                    break;
                case 3:
                    history.push_back(
                        append(start, end, value, random.chance(0.4) ? KeyOutcome::not_found : KeyOutcome::ok));
                    break;
                case 4:
                    history.push_back(miss(start, end));
                    break;
                default:
                    history.push_back(get(start, end, value));
                    break;
            }
            if (lose && history.back().action != KeyAction::get) history.back().outcome = KeyOutcome::ambiguous;
        }
        const bool expected = brute_force(history);
        (expected ? good : bad)++;
        const LinearizabilityResult result = check_key_history(history);
        if (result.ok() != expected) {
            std::string text;
            for (const KeyOperation& o : history) text += to_string(o) + "\n";
            FAIL(text << "should be " << (expected ? "accepted" : "refused") << "\n" << result.explanation);
        }
    }
    CHECK(good > 500);
    CHECK(bad > 500);
}

TEST_CASE("long histories of a busy key are decided quickly; one wrong result is found", "[history]") {
    for (std::uint64_t seed = 0; seed < 6; ++seed) {
        SimRandom random{seed};
        std::string value = "0";
        std::uint64_t cas = 0;
        std::uint64_t next_cas = 0;
        Operations history;
        // Eight clients: each operation takes effect at its own moment, in this order.
        for (int i = 0; i < 600; ++i) {
            const int effect = i * 10;
            const int start = effect - static_cast<int>(random.below(40));
            const int end = effect + static_cast<int>(random.below(40));
            switch (random.below(5)) {
                case 0:
                    value = std::to_string(random.below(1000));
                    cas = ++next_cas;
                    history.push_back(set(start, end, value, cas));
                    break;
                case 1: {
                    if (random.chance(0.9)) {
                        cas = ++next_cas;
                        value = std::to_string(i);
                        history.push_back(set(start, end, value, cas));
                    } else {
                        history.push_back(lost(start, end, std::to_string(i)));
                        if (random.chance(0.5)) {
                            value = std::to_string(i);
                            cas = ++next_cas;
                        }
                    }
                    break;
                }
                case 2: {
                    if (cas == 0) break;
                    const std::uint64_t old = cas;
                    cas = ++next_cas;
                    value += "x";
                    history.push_back(set_if(start, end, value, old, cas));
                    break;
                }
                default:
                    history.push_back(cas == 0 ? get(start, end, value) : get(start, end, value, cas));
            }
        }
        const LinearizabilityOptions options{.initial = "0"};
        const LinearizabilityResult result = check_key_history(history, options);
        INFO(result.explanation);
        CHECK(result.ok());
        CHECK(result.states < 200'000);
        // One read in the middle sees something else.
        for (std::size_t i = history.size() / 2; i < history.size(); ++i) {
            if (history[i].action != KeyAction::get) continue;
            history[i].got += "!";
            break;
        }
        CHECK_FALSE(check_key_history(history, options).ok());
    }
}

TEST_CASE("histories by key, and readable complaints", "[history]") {
    History history;
    history.add("good", set(0, 1, "a"));
    history.add("good", get(2, 3, "a"));
    history.add("bad", set(0, 1, "a"));
    history.add("bad", get(2, 3, "b"));
    CHECK(history.size() == 4);
    const auto complaints = history.complaints();
    REQUIRE(complaints.size() == 1);
    CHECK(complaints[0].starts_with("bad: not linearizable: 1 of 2"));
    CHECK(complaints[0].find("not    get() -> 'b'") != std::string::npos);
}

TEST_CASE("exactly once, in time", "[history]") {
    CompletionRegister good;
    good.started(1, at(0), at(10));
    good.started(2, at(0), at(10));
    CHECK(good.pending() == 2);
    good.completed(2, at(5));
    good.completed(1, at(11));  // one tick late is in time
    CHECK(good.complaints().empty());
    CHECK(good.pending() == 0);
    CHECK(good.size() == 2);

    CompletionRegister bad;
    bad.started(1, at(0), at(10), "never");
    bad.started(2, at(0), at(10), "twice");
    bad.completed(2, at(1));
    bad.completed(2, at(2));
    bad.completed(3, at(1));
    bad.started(4, at(0), at(10), "late");
    bad.completed(4, at(12));
    bad.started(5, at(0), at(10), "started twice");
    bad.started(5, at(0), at(10));
    bad.completed(5, at(1));
    bad.started(6, at(5), at(10), "early");
    bad.completed(6, at(4));
    const auto complaints = bad.complaints();
    REQUIRE(complaints.size() == 6);
    CHECK(complaints[0] == "operation 1 never: not completed");
    CHECK(complaints[1] == "operation 2 twice: completed 2 times");
    CHECK(complaints[2] == "operation 3 : completed, but never started");
    CHECK(complaints[3].find("deadline") != std::string::npos);
    CHECK(complaints[4].find("started 2 times") != std::string::npos);
    CHECK(complaints[5].find("before") != std::string::npos);
    CHECK(bad.pending() == 1);
}
