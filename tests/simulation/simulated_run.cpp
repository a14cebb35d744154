#include "tests/simulation/simulated_run.hpp"

#include "cluster/history.hpp"
#include "cluster/memcached/server.hpp"
#include "tests/support/sleep.hpp"

#include <chaise/chaise.hpp>
#include <chaise/testing/simulation.hpp>

#include <array>
#include <charconv>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace chaise::testing {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t key_count = 32;
constexpr std::uint64_t operations_each = 72;

/// Faults of the server itself, beside those of the network.
void inject_server_faults(MemcachedServer& server, SimRandom& random) {
    using enum MemcachedFault;
    constexpr std::array kinds = {delay,        lose_answer, silence, close_before, close_after, truncate,
                                  lose_request, garbage,     stray,   duplicate,    oversized};
    for (const MemcachedFault kind : kinds) {
        if (!random.chance(0.35)) continue;
        const bool often = kind == delay || kind == stray || kind == duplicate;
        server.inject({.fault = kind,
                       .times = often ? 0 : random.between(1, 3),
                       .probability = often ? 0.05 : 0.01,
                       .delay = Duration(static_cast<std::int64_t>(random.between(100'000, 40'000'000))),
                       .bytes = random.between(1, 60)});
    }
}

/// One seed.
class Run {
public:
    Run(std::uint64_t seed, std::ostream* trace)
        : world_(seed, {.swarm = true}), random_(world_.random("run")), engine_(std::make_shared<MemcachedEngine>()) {
        world_.trace(trace);
        boot_server();
        for (std::size_t i = 0; i < buckets_.size(); ++i) {
            buckets_[i] = std::make_unique<AsyncBucket>(
                world_, "memcached://mc1", BucketOptions{.operation_timeout = 250ms, .connect_timeout = 100ms});
            buckets_[i]->on_unobserved([this](const Error&) { ++unobserved_; });
        }
        clock_ = world_.make_iops();
    }

    RunReport finish() {
        const std::uint64_t workers = random_.between(8, 12);
        for (std::uint64_t i = 0; i < workers; ++i) {
            spawn(world_, worker(*buckets_[i % buckets_.size()], i));
        }
        spawn(world_, scripted_faults());
        world_.run();
        if (workers_done_ != workers) complain("only " + std::to_string(workers_done_) + " coroutines ended");

        quiet_tail();
        for (auto& bucket : buckets_) spawn(world_, close(*bucket));
        world_.run();
        for (auto& bucket : buckets_) bucket.reset();
        clock_.reset();
        world_.kill("mc1");
        world_.run_for(1s);
        if (world_.alive("mc1")) {  // an earlier random kill had its restart still to come
            world_.kill("mc1");
            world_.run_for(1s);
        }
        if (const SimLeaks leaks = world_.leaks(); !leaks.none()) complain("left over: " + leaks.to_string());
        check();
        return std::move(report_);
    }

private:
    void boot_server() {
        world_.boot("mc1", [this](std::unique_ptr<IOPS> iops) {
            auto server = std::make_shared<MemcachedServer>(std::move(iops), engine_,
                                                            MemcachedServerOptions{.listen = {"mc1", 11211}});
            if (!quiet_) inject_server_faults(*server, random_);
            server_ = server;
            return std::shared_ptr<void>(server, server.get());
        });
    }

    /// Whatever the seed drew, these happen: a run without them would be no test.
    Task<> scripted_faults() {
        SimRandom random = world_.random("scripted faults");
        for (int i = 0; i < 3; ++i) {
            co_await pause(random, 40ms);
            world_.reset_connections("mc1");
            co_await pause(random, 40ms);
            world_.black_hole("mc1");
            co_await pause(random, 20ms);
            world_.heal("mc1");
            co_await pause(random, 40ms);
            world_.pause("mc1");
            co_await pause(random, 20ms);
            world_.resume("mc1");
        }
    }

    [[nodiscard]] Sleep pause(SimRandom& random, Duration mean) {
        return Sleep(*clock_, random.exponential(mean) + 1us);
    }

    Task<> worker(AsyncBucket& bucket, std::uint64_t number) {
        SimRandom random = world_.random("worker", number);
        for (std::uint64_t i = 0; i < operations_each; ++i) {
            if (random.chance(0.3)) co_await pause(random, 2ms);
            const std::uint64_t id = number * operations_each + i;
            if (random.chance(0.05)) {
                abandon_one(bucket, random, id);
            } else {
                co_await operate(bucket, random, id, number);
            }
        }
        ++workers_done_;
    }

    static std::string key_of(SimRandom& random) { return "key" + std::to_string(random.below(key_count)); }

    /// A handle that is dropped or cancelled: it may have been executed, and nobody hears of it.
    void abandon_one(AsyncBucket& bucket, SimRandom& random, std::uint64_t id) {
        KeyOperation operation{.action = KeyAction::set, .started = world_.now(), .outcome = KeyOutcome::ambiguous};
        const std::string key = key_of(random);
        operation.value = key + "#" + std::to_string(id);
        auto handle = bucket.upsert(key, operation.value);
        if (random.chance(0.5)) {
            register_.started(id, world_.now(), world_.now() + 250ms, "cancelled upsert of " + key);
            ++report_.cancelled;
            handle.set_callbacks([this, id](const OperationResult&) { register_.completed(id, world_.now()); },
                                 [this, id](const Error&) { register_.completed(id, world_.now()); });
            if (random.chance(0.5)) handle.cancel();
        } else if (random.chance(0.5)) {
            handle.detach();
        }
        operation.completed = world_.now();
        history_.add(key, std::move(operation));
    }

    /// Starts an operation, awaits it and writes down what came of it.
    Task<> operate(AsyncBucket& bucket, SimRandom& random, std::uint64_t id, std::uint64_t client) {
        const std::string key = key_of(random);
        const Duration timeout(static_cast<std::int64_t>(random.between(2'000'000, 400'000'000)));
        KeyOperation operation{.started = world_.now(), .client = client};
        operation.value = key + "#" + std::to_string(id);
        const std::uint64_t known_cas = random.chance(0.5) ? last_cas_[key] : 0;
        register_.started(id, world_.now(), world_.now() + timeout, key);
        ++report_.operations;
        Error error;
        switch (random.below(9)) {
            case 0:
            case 1:
            case 2: {
                operation.action = KeyAction::get;
                auto outcome = co_await bucket.get(key, {.timeout = timeout}).as_expected();
                if (outcome) {
                    operation.got = outcome->owned();
                    operation.got_cas = outcome->cas();
                    check_value(key, operation.got);
                } else {
                    error = outcome.error();
                }
                break;
            }
            case 3:
            case 4: {
                operation.action = KeyAction::set;
                operation.cas = known_cas;
                take(
                    operation, error,
                    co_await bucket.upsert(key, operation.value, {.cas = known_cas, .timeout = timeout}).as_expected());
                break;
            }
            case 5: {
                operation.action = KeyAction::insert;
                take(operation, error,
                     co_await bucket.insert(key, operation.value, {.timeout = timeout}).as_expected());
                break;
            }
            case 6: {
                operation.action = KeyAction::replace;
                operation.cas = known_cas;
                take(operation, error,
                     co_await bucket.replace(key, operation.value, {.cas = known_cas, .timeout = timeout})
                         .as_expected());
                break;
            }
            case 7: {
                operation.action = KeyAction::remove;
                auto outcome = co_await bucket.remove(key, {.timeout = timeout}).as_expected();
                if (!outcome) error = outcome.error();
                break;
            }
            default: {
                operation.action = KeyAction::append;
                operation.value = "+" + std::to_string(id);
                take(operation, error,
                     co_await bucket.append(key, operation.value, {.timeout = timeout}).as_expected());
                break;
            }
        }
        register_.completed(id, world_.now());
        operation.completed = world_.now();
        operation.outcome = outcome_of(error);
        if (operation.got_cas != 0) last_cas_[key] = operation.got_cas;
        count(operation);
        const bool read_that_failed = operation.action == KeyAction::get && operation.outcome == KeyOutcome::ambiguous;
        if (!read_that_failed) history_.add(key, std::move(operation));
    }

    static void take(KeyOperation& operation, Error& error, const Expected<OperationResult, Error>& outcome) {
        if (outcome) {
            operation.got_cas = outcome->cas();
        } else {
            error = outcome.error();
        }
    }

    KeyOutcome outcome_of(const Error& error) {
        switch (error.code()) {
            case errc::success:
                return KeyOutcome::ok;
            case errc::document_not_found:
                return KeyOutcome::not_found;
            case errc::document_exists:
                return KeyOutcome::exists;
            case errc::cas_mismatch:
                return KeyOutcome::cas_mismatch;
            case errc::timeout_after_send:
            case errc::connection_lost_after_send:
            case errc::protocol_error:
                return KeyOutcome::ambiguous;
            case errc::timeout_before_send:
                if (error.may_have_happened()) complain("timeout_before_send that may have happened");
                return KeyOutcome::not_done;
            default:
                complain("an error that nobody can explain: " + error.message());
                return KeyOutcome::ambiguous;
        }
    }

    void count(const KeyOperation& operation) {
        report_.ambiguous += operation.outcome == KeyOutcome::ambiguous;
        report_.not_done += operation.outcome == KeyOutcome::not_done;
        report_.succeeded += operation.outcome == KeyOutcome::ok;
    }

    /// A value names its key.
    void check_value(const std::string& key, const std::string& value) {
        if (!value.starts_with(key + "#")) complain("a get of " + key + " gave \"" + value + "\"");
    }

    /// With the faults over, everything works again, soon.
    void quiet_tail() {
        quiet_ = true;
        world_.faults_off();
        if (const auto server = server_.lock()) server->clear_rules();
        bool alive = false;
        spawn(world_, [](Run& run, bool& done) -> Task<> {
            for (auto& bucket : run.buckets_) {
                // A connection that fell silent is noticed by an operation that times out on it, and left.
                auto outcome = co_await bucket->get("tail", {.timeout = 1s, .quiet = true}).as_expected();
                if (!outcome) outcome = co_await bucket->get("tail", {.timeout = 1s, .quiet = true}).as_expected();
                if (!outcome) run.complain("quiet tail: " + outcome.error().message());
            }
            done = true;
        }(*this, alive));
        world_.run();
        if (!alive) complain("quiet tail: no answer");
    }

    static Task<> close(AsyncBucket& bucket) {
        auto last = bucket.get("key0").as_expected();
        co_await bucket.close();
        const auto outcome = co_await last;
        static_cast<void>(outcome);
    }

    void check() {
        for (std::string& line : register_.complaints()) complain(std::move(line));
        for (std::string& line : history_.complaints()) complain(std::move(line));
        report_.trace_hash = world_.trace_hash();
        report_.fault_count = world_.counts().faults.total();
        report_.fault_kinds = world_.counts().faults.kinds();
        report_.faults = world_.counts().faults.to_string();
        report_.connections = world_.counts().connections;
        report_.virtual_seconds = std::chrono::duration<double>(world_.now() - began_).count();
        if (report_.operations < 500) complain("not a real run: too few operations");
        if (report_.fault_kinds < 3) complain("not a real run: too few kinds of fault");
        if (report_.connections < 2) complain("not a real run: too few connections");
    }

    void complain(std::string line) { report_.complaints.push_back(std::move(line)); }

    RunReport report_;
    SimWorld world_;
    SimRandom random_;
    std::shared_ptr<MemcachedEngine> engine_;  // survives its process, as a disk would
    std::weak_ptr<MemcachedServer> server_;    // its process may be killed
    std::array<std::unique_ptr<AsyncBucket>, 2> buckets_;
    std::unique_ptr<IOPS> clock_;
    CompletionRegister register_;
    History history_;
    std::map<std::string, Cas> last_cas_;
    std::uint64_t workers_done_ = 0;
    std::uint64_t unobserved_ = 0;
    TimePoint began_ = world_.now();
    bool quiet_ = false;
};

}  // namespace

RunReport run_memcached_seed(std::uint64_t seed, std::ostream* trace) { return Run(seed, trace).finish(); }

}  // namespace chaise::testing
