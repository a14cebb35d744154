#pragma once

#include "cluster/history.hpp"
#include "tests/simulation/run_report.hpp"
#include "tests/support/sleep.hpp"

#include <chaise/chaise.hpp>
#include <chaise/testing/simulation.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace chaise::testing {

enum class Verb : std::uint8_t {
    get,
    upsert,
    insert,
    replace,
    remove,
    append,
    counter,
    touch,
    get_and_touch,
    exists,
    lock,
    unlock
};

/// A named collection, and when operations may have missed it.
struct CollectionPlace {
    std::string scope;
    std::string name;
    TimePoint missing_until{};  ///< those that began before
};

/// What the coroutines of a run do, and the books that are kept of it: each outcome once and in time, a history for
/// each key, and only errors that something explains.
///
/// Documents are of three kinds, by what can be said of them. "key…": a value names its key and the operations that
/// made it. "number…": for counters. "lock…": for locks; of them CAS are not judged, because that of a lock is in the
/// memory of the active copy only, and the document has its former one again when that is lost.
///
/// "key5@1" is the document "key5" in the first of the named collections: a register of its own.
class Workload {
public:
    /// At least; more while the script is not over, but not for ever.
    static constexpr std::uint64_t operations_each = 72;
    static constexpr std::uint64_t operations_each_at_most = 144;

    /// `verbs`: from which is drawn; what is named twice is drawn twice as often.
    Workload(SimWorld& world, RunReport& report, std::vector<Verb> verbs, bool locks_and_numbers);

    /// One coroutine's work.
    Task<> work(AsyncBucket& bucket, IOPS& clock, std::uint64_t number);
    /// Reads a key when all is well again: now, or by a second attempt if a connection had to be found dead.
    Task<> read_at_last(AsyncBucket& bucket, std::string key);
    /// Reads or writes a key at a time when that must succeed. `connections_end`: but writes may be lost with theirs.
    Task<> use_in_quiet(AsyncBucket& bucket, std::string key, bool write, bool connections_end);

    void script_is_over() noexcept { script_over_ = true; }
    /// Locks that were given may be gone, as when their vbucket moves; the world.s killed hosts count by themselves.
    /// False: two nodes may each give a lock, until it is true again.
    void locks_hold(bool hold) noexcept {
        locks_hold_ = hold;
        ++eras_;
    }
    /// Locks that were given have ended.
    void locks_ended() noexcept { ++eras_; }
    /// The collections whose documents are used beside the default collection's: "@1" is the first.
    void use_collections(std::vector<CollectionPlace> places);
    [[nodiscard]] const std::vector<CollectionPlace>& collections() const noexcept { return collections_; }
    /// From now on it may be that there is no such collection, until collection_is_there().
    void collection_goes(std::size_t number) { collections_.at(number - 1).missing_until = TimePoint::max(); }
    void collection_is_there(std::size_t number) { collections_.at(number - 1).missing_until = world_.now(); }
    /// The document's own key; and which collection it is in, 0: the default one.
    [[nodiscard]] static std::string document_of(std::string_view key) {
        return std::string(key.substr(0, key.find('@')));
    }
    [[nodiscard]] static std::size_t collection_of(std::string_view key);
    /// An error that has its reason in what these servers do.
    void also_explained(errc code) { explained_.push_back(code); }

    /// Whether several keys are read by one operation.
    void reads_of_several(bool allowed) noexcept { reads_of_several_ = allowed; }
    /// A server has executed a write with success: whose it was is in the value.
    void executed(std::string_view key, std::string_view value);
    /// A queue of this many operations for each of so many lines: what is under way may not be more.
    void queue_bound(std::size_t operations, std::size_t lines) noexcept {
        queue_max_ = operations;
        lines_max_ = lines;
    }

    [[nodiscard]] const std::vector<std::string>& keys() const noexcept { return keys_; }
    [[nodiscard]] History& history() noexcept { return history_; }
    [[nodiscard]] std::uint64_t done() const noexcept { return done_; }
    [[nodiscard]] std::vector<std::string> complaints(const LinearizabilityOptions& options) const;

private:
    struct Call {
        std::uint64_t id = 0;
        Verb verb = Verb::get;
        std::string key;
        Duration timeout{};
        std::chrono::seconds lock_time{1};
        Expiry expiry{};
        KeyOperation operation{};
    };
    struct Lock {
        Cas cas = 0;
        TimePoint since{};
        TimePoint until{};
        std::uint64_t era = 0;
        bool held = false;  ///< nobody has begun to end it
    };

    void abandon_one(AsyncBucket& bucket, IOPS& clock, SimRandom& random);
    static Task<> cancel_later(AsyncResult<OperationResult> handle, IOPS& clock, Duration delay);
    Task<> operate(AsyncBucket& bucket, Call call);
    Task<> operate_on_several(AsyncBucket& bucket, std::vector<Call> calls);
    void begin(AsyncBucket& bucket, Call& call);
    void end(Call& call, const Error& error);
    using Documents = ReplicaOperations<RawFace>;  // of a bucket, or a collection
    Task<Error> perform(AsyncBucket& bucket, Call& call);
    Task<Error> perform_in(Documents& documents, Call& call, const std::string& key);
    Task<Error> perform_more(Documents& documents, Call& call, const std::string& key);
    Task<Expected<ValueResult, Error>> read_quietly(AsyncBucket& bucket, const std::string& key);
    [[nodiscard]] AsyncCollection collection(AsyncBucket& bucket, std::size_t number) const;
    /// `verb`: of several in one operation, for which there are no CAS and no locks; in this collection.
    [[nodiscard]] Call draw_call(SimRandom& random, std::uint64_t client, std::optional<Verb> verb = {},
                                 std::size_t its_collection = 0);
    void write_down(Call& call);
    void keep_lock(const Call& call, std::uint64_t era_before);
    [[nodiscard]] std::string draw_key(Verb verb, SimRandom& random) const;
    [[nodiscard]] KeyOutcome outcome_of(const Call& call, const Error& error);
    void check_value(const std::string& key, const std::string& value);
    void check_queue(const AsyncBucket& bucket);
    /// Locks that were given in another era may be gone.
    [[nodiscard]] std::uint64_t era() const noexcept { return eras_ + world_.counts().faults[SimFault::host_killed]; }
    void complain(std::string line) { report_.complaints.push_back(std::move(line)); }

    SimWorld& world_;
    RunReport& report_;
    std::vector<Verb> verbs_;
    bool locks_and_numbers_;
    std::vector<std::string> keys_;
    std::vector<CollectionPlace> collections_;
    std::vector<errc> explained_;
    CompletionRegister register_;
    History history_;
    std::map<std::uint64_t, std::string> key_of_;        // of operations that put their number into a value
    std::map<std::uint64_t, std::uint64_t> executions_;  // of those operations, by the servers
    std::set<std::uint64_t> not_done_;                   // that promised not to have been
    std::map<std::string, Cas> last_cas_;
    std::map<std::string, Lock> locks_;
    std::set<std::pair<std::string, Cas>> used_;     // by who ends a lock
    std::map<std::string, TimePoint> locked_until_;  // at the latest, by whomever
    std::map<std::string, int> being_locked_;        // by operations under way
    std::uint64_t next_id_ = 1;
    std::uint64_t eras_ = 0;
    std::uint64_t done_ = 0;
    std::size_t queue_max_ = 0;  // 0: far away
    std::size_t lines_max_ = 0;
    bool reads_of_several_ = true;
    bool script_over_ = false;
    bool locks_hold_ = true;
};

}  // namespace chaise::testing
