#include "tests/simulation/simulated_run.hpp"

#include <algorithm>
#include <ios>
#include <ostream>
#include <utility>

namespace chaise::testing {

using namespace std::chrono_literals;

namespace {

/// By one bucket to one address. Waits of 10, 20 … ms make eight in the first second; a node that leaves the map and
/// comes back begins anew.
constexpr std::uint64_t connects_in_a_second_max = 24;

/// Small enough to be filled by what is soon simulated.
constexpr std::size_t pipe_capacity = 16 * 1024;

}  // namespace

SimulatedRun::SimulatedRun(std::uint64_t seed, std::ostream* trace, std::vector<Verb> verbs, bool locks_and_numbers)
    : world_(seed, {.pipe_capacity = pipe_capacity, .swarm = true}),
      random_(world_.random("run")),
      workload_(world_, report_, std::move(verbs), locks_and_numbers),
      trace_(trace),
      began_(world_.now()) {
    world_.trace(trace);
}

void SimulatedRun::connect(std::string_view connection_string, BucketOptions options) {
    options.operation_timeout = 250ms;
    options.connect_timeout = 100ms;
    options.silence_timeout = 250ms;
    // Queues that overflow now and then.
    if (random_.chance(0.2)) {
        options.max_queue_operations = random_.between(4, 24);
        const std::size_t hosts =
            1 + static_cast<std::size_t>(std::count(connection_string.begin(), connection_string.end(), ','));
        // Each host's, as often as maps may come and go while what was sent to it is waited for; two that wait.
        workload_.queue_bound(options.max_queue_operations, 4 * hosts + 2);
        workload_.also_explained(errc::queue_full);
        small_queues_ = true;
    }
    for (auto& bucket : buckets_) {
        bucket = std::make_unique<AsyncBucket>(world_, connection_string, options);
        bucket->on_unobserved([this](const Error&) { ++unobserved_; });
    }
    clock_ = world_.make_iops();
}

void SimulatedRun::note(const std::string& what) {
    if (trace_ == nullptr) return;
    const std::chrono::duration<double, std::milli> now = world_.now().time_since_epoch();
    *trace_ << std::fixed << now.count() << " script: " << what << '\n';
}

RunReport SimulatedRun::finish() {
    const std::uint64_t workers = random_.between(8, 12);
    for (std::uint64_t i = 0; i < workers; ++i) {
        spawn(world_, workload_.work(*buckets_[i % buckets_.size()], *clock_, i));
    }
    spawn(world_, script());
    world_.run();
    if (workload_.done() != workers) complain("only " + std::to_string(workload_.done()) + " coroutines ended");
    quiet_tail();
    close_buckets();
    clock_.reset();
    add_to_report();
    end_servers();
    if (const SimLeaks leaks = world_.leaks(); !leaks.none()) complain("left over: " + leaks.to_string());
    close_books();
    return std::move(report_);
}

Task<> SimulatedRun::script() {
    co_await scripted_faults();
    workload_.script_is_over();
}

/// With the faults over, everything works again, soon; and nothing is lost that was acknowledged.
void SimulatedRun::quiet_tail() {
    world_.faults_off();
    world_.run_for(1ms);  // what had been killed starts
    servers_faults_off();
    // A queue that a silent connection has filled is refused at once, until that is found dead.
    if (small_queues_) world_.run_for(2s);
    bool done = false;
    spawn(world_, read_everything(done));
    world_.run();
    if (!done) complain("quiet tail: no answer");
    spawn(world_, write_large());
    world_.run();
    // Nothing had to be asked of who has nothing active: he may still be waited for, longer after each attempt that
    // the faults made fail.
    world_.run_for(2s);
    spawn(world_, change_quietly());
    world_.run();
}

void SimulatedRun::use_all_keys(bool connections_end) {
    for (auto& bucket : buckets_) {
        for (const std::string& key : workload_.keys()) {
            if (is_lost(key)) continue;
            spawn(world_, workload_.use_in_quiet(*bucket, key, false, connections_end));
            spawn(world_, workload_.use_in_quiet(*bucket, key, true, connections_end));
        }
    }
}

Task<> SimulatedRun::read_everything(bool& done) {
    for (auto& bucket : buckets_) {
        for (const std::string& key : workload_.keys()) {
            if (!is_lost(key)) co_await workload_.read_at_last(*bucket, key);
        }
    }
    done = true;
}

/// One request at a time, larger than the pipe: nothing else is there to have the rest of it sent.
Task<> SimulatedRun::write_large() {
    const std::string key = "large";
    if (is_lost(key)) co_return;
    for (auto& bucket : buckets_) {
        std::string value(2 * pipe_capacity, '\0');
        for (char& byte : value)
            byte = static_cast<char>(128 + random_.below(128));  // nothing for Snappy, nor for executed()
        const auto outcome = co_await bucket->upsert(key, value, {.timeout = 10s}).as_expected();
        if (!outcome) complain("quiet tail: a large value: " + outcome.error().message());
    }
}

void SimulatedRun::close_buckets() {
    const auto close = [](AsyncBucket& bucket) -> Task<> {
        auto last = bucket.get("key0").as_expected();
        co_await bucket.close();
        const auto outcome = co_await last;
        static_cast<void>(outcome);
    };
    for (auto& bucket : buckets_) spawn(world_, close(*bucket));
    world_.run();
    for (auto& bucket : buckets_) {
        if (bucket->operations() != 0) complain(std::to_string(bucket->operations()) + " operations are left over");
        bucket.reset();
    }
}

void SimulatedRun::close_books() {
    for (std::string& line : workload_.complaints(linearizability_)) complain(std::move(line));
    const SimCounts& counts = world_.counts();
    report_.trace_hash = world_.trace_hash();
    report_.fault_count += counts.faults.total();
    report_.fault_kinds += counts.faults.kinds();
    report_.faults += counts.faults.to_string();
    report_.connections = counts.connections;
    report_.virtual_seconds = std::chrono::duration<double>(world_.now() - began_).count();
    report_.connects_in_a_second = counts.connects_in_a_second;
    if (counts.connects_in_a_second > connects_in_a_second_max) {
        complain(std::to_string(counts.connects_in_a_second) + " attempts to connect to one address in a second");
    }
    if (report_.operations < 500) complain("not a real run: too few operations");
    if (report_.fault_kinds < 3) complain("not a real run: too few kinds of fault");
    if (report_.connections < 2) complain("not a real run: too few connections");
}

}  // namespace chaise::testing
