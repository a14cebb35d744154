#pragma once

#include "tests/simulation/run_report.hpp"
#include "tests/simulation/workload.hpp"

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace chaise::testing {

/// One seed: what is the same whatever the servers are. Two buckets, the coroutines, a quiet tail, the books closed.
class SimulatedRun {
public:
    SimulatedRun(const SimulatedRun&) = delete;
    SimulatedRun& operator=(const SimulatedRun&) = delete;
    [[nodiscard]] RunReport finish();

protected:
    SimulatedRun(std::uint64_t seed, std::ostream* trace, std::vector<Verb> verbs, bool locks_and_numbers);
    virtual ~SimulatedRun() = default;

    void connect(std::string_view connection_string, BucketOptions options);
    [[nodiscard]] Sleep pause(SimRandom& random, Duration mean) {
        return Sleep(*clock_, random.exponential(mean) + std::chrono::microseconds(1));
    }
    void complain(std::string line) { report_.complaints.push_back(std::move(line)); }

    /// A line of the script in the trace.
    void note(const std::string& what);

    /// Whatever the seed drew, these happen: a run without them would be no test.
    virtual Task<> scripted_faults() = 0;
    /// The world's faults are over; so are now the servers' own.
    virtual void servers_faults_off() = 0;
    /// What the clients shall hardly notice when all else is well; use_all_keys() at the same time.
    virtual Task<> change_quietly() { co_return; }
    void use_all_keys(bool connections_end);
    /// Nobody can answer for it any more.
    [[nodiscard]] virtual bool is_lost(std::string_view key) const = 0;
    /// Clients have gone: the servers go.
    virtual void end_servers() = 0;
    /// What the servers have to say to the report.
    virtual void add_to_report() {}

    RunReport report_;
    SimWorld world_;
    SimRandom random_;
    std::unique_ptr<IOPS> clock_;
    Workload workload_;
    LinearizabilityOptions linearizability_;

private:
    Task<> script();
    void quiet_tail();
    Task<> read_everything(bool& done);
    Task<> write_large();
    void close_buckets();
    void close_books();

    std::array<std::unique_ptr<AsyncBucket>, 2> buckets_;
    std::ostream* trace_;
    bool small_queues_ = false;
    std::uint64_t unobserved_ = 0;
    TimePoint began_;
};

}  // namespace chaise::testing
