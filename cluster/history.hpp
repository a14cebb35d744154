#pragma once

// What happened in a run, and whether it may have: every operation completed exactly once and in time, and the results
// of each key fit one order of execution (linearizability, by the search of Wing and Gong with Lowe's memoisation).

#include <chaise/time.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::testing {

// ---- exactly once
// -----------------------------------------------------------------------------------------------------

/// Operations are numbered by whoever starts them, in any order.
class CompletionRegister {
public:
    using Id = std::uint64_t;

    /// `deadline`: when it has to be over, at the latest.
    void started(Id id, TimePoint now, TimePoint deadline, std::string_view what = {});
    void completed(Id id, TimePoint now);

    /// What is wrong, one line each: never started, started or completed twice, not completed, completed later than
    /// its deadline plus `tick`. Empty: every operation completed exactly once and in time.
    [[nodiscard]] std::vector<std::string> complaints(Duration tick = std::chrono::milliseconds{1}) const;
    [[nodiscard]] std::size_t size() const noexcept { return operations_.size(); }
    [[nodiscard]] std::size_t pending() const noexcept { return pending_; }

private:
    struct Operation {
        TimePoint started{};
        TimePoint deadline{};
        TimePoint completed{};
        std::uint32_t starts = 0;
        std::uint32_t completions = 0;
        std::string what;
    };
    std::map<Id, Operation> operations_;
    std::size_t pending_ = 0;
};

// ---- linearizability
// --------------------------------------------------------------------------------------------------

/// What was done to a key.
enum class KeyAction : std::uint8_t {
    get,
    set,      ///< upsert; with cas only if the key still has it
    insert,   ///< add
    replace,  ///< with cas only if the key still has it
    remove,   ///< with cas only if the key still has it
    append,
    prepend,
    counter,        ///< by delta (modulo 2^64; negative floors at 0), made with initial if absent and initial is given
    touch,          ///< changes neither value nor CAS: memcached's touch, exists
    renew,          ///< changes no value, but perhaps the CAS: Couchbase's touch
    get_and_renew,  ///< the same, and tells the value: Couchbase's get_and_touch, lock
};

/// What came of it.
enum class KeyOutcome : std::uint8_t {
    ok,
    not_found,  ///< also a conditional mutation of a key that is not there
    exists,     ///< insert of what is there
    cas_mismatch,
    not_a_number,  ///< counter of something else
    /// Timed out or lost after it was sent: it took effect at any time from its start on, also after it was given up,
    /// or never.
    ambiguous,
    /// An error that promises that nothing was done (before it was sent, queue full …).
    not_done,
};

struct KeyOperation {
    KeyAction action = KeyAction::get;
    TimePoint started{};
    TimePoint completed{};
    KeyOutcome outcome = KeyOutcome::ok;
    std::string value{};                     ///< argument: set … prepend
    std::uint64_t cas = 0;                   ///< argument; 0: unconditional
    std::int64_t delta = 0;                  ///< argument: counter
    std::optional<std::uint64_t> initial{};  ///< argument: counter
    std::string got{};                       ///< result: value of a get, get_and_renew
    std::uint64_t got_cas = 0;               ///< result, of get and mutations; 0: none was told
    std::uint64_t number = 0;                ///< result: counter
    std::uint64_t client = 0;                ///< for the report only
};

struct LinearizabilityOptions {
    /// What the key is before the first operation; nothing: absent.
    std::optional<std::string> initial{};
    /// memcached pads a number that becomes shorter with blanks.
    bool blank_padding = true;
    /// A server that may forget the key at any time (eviction, restart): a key may become absent between two
    /// operations.
    bool may_vanish = false;
    /// States to look at before giving up, which is told apart from a verdict.
    std::size_t states_max = 2'000'000;
};

struct LinearizabilityResult {
    enum class Verdict : std::uint8_t { linearizable, not_linearizable, undecided };
    Verdict verdict = Verdict::linearizable;
    /// Of what is not linearizable: the most operations that fit, and what came after them and did not.
    std::string explanation;
    std::size_t states = 0;
    [[nodiscard]] bool ok() const noexcept { return verdict == Verdict::linearizable; }
};

/// Checks the history of one key. CAS tokens must be consistent with one register: every mutation gives a new one, a
/// read tells the one of the value that it read. The order of `history` does not matter.
[[nodiscard]] LinearizabilityResult check_key_history(const std::vector<KeyOperation>& history,
                                                      const LinearizabilityOptions& options = {});

/// Histories by key.
class History {
public:
    void add(std::string_view key, KeyOperation operation);
    /// From now on the key may lose what was acknowledged (a node with a backlog dies; two nodes believe that they have
    /// the vbucket), until settled(). What happens in between is not judged.
    void disturbed(std::string_view key, TimePoint now);
    /// From now on the key is one register again, with this value; nothing: absent. No effect unless disturbed.
    void settled(std::string_view key, TimePoint now, std::optional<std::string> value);
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] const std::map<std::string, std::vector<KeyOperation>, std::less<>>& keys() const noexcept {
        return keys_;
    }
    /// "key: why" for each key that is not linearizable or cannot be decided.
    [[nodiscard]] std::vector<std::string> complaints(const LinearizabilityOptions& options = {}) const;

private:
    struct Disturbance {
        TimePoint from{};
        TimePoint until = TimePoint::max();
        std::optional<std::string> value{};
    };
    std::map<std::string, std::vector<KeyOperation>, std::less<>> keys_;
    std::map<std::string, std::vector<Disturbance>, std::less<>> disturbances_;
    std::size_t size_ = 0;
};

/// "set('a') cas 5 -> ok, 12.3 … 12.9 ms"
[[nodiscard]] std::string to_string(const KeyOperation& operation);

}  // namespace chaise::testing
