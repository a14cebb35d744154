// chaise-sim: the client against a simulated memcached, or with a cluster, seed after seed.
//
//   chaise-sim [--cluster] [--seeds N] [--first S]   a campaign; prints what a failing seed needs to be seen again
//   chaise-sim [--cluster] --seed S [--trace]        one seed, with every event

#include "tests/simulation/run_report.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

namespace {

using chaise::testing::run_cluster_seed;
using chaise::testing::run_memcached_seed;
using chaise::testing::RunReport;

struct Arguments {
    std::uint64_t first = 1;
    std::uint64_t seeds = 500;
    bool single = false;
    bool trace = false;
    bool cluster = false;
};

RunReport run_seed(const Arguments& arguments, std::uint64_t seed, bool trace) {
    return (arguments.cluster ? run_cluster_seed : run_memcached_seed)(seed, trace ? &std::cout : nullptr);
}

bool parse(int argc, char** argv, Arguments& out) {
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        if (name == "--trace") {
            out.trace = true;
            continue;
        }
        if (name == "--cluster") {
            out.cluster = true;
            continue;
        }
        if (i + 1 == argc) return false;
        char* end = nullptr;
        const std::uint64_t value = std::strtoull(argv[++i], &end, 0);
        if (*end != '\0') return false;
        if (name == "--seeds") {
            out.seeds = value;
        } else if (name == "--first") {
            out.first = value;
        } else if (name == "--seed") {
            out.first = value;
            out.seeds = 1;
            out.single = true;
        } else {
            return false;
        }
    }
    return out.seeds > 0;
}

template <class F>
double median(const std::vector<RunReport>& reports, F field) {
    std::vector<double> values;
    for (const RunReport& report : reports) values.push_back(static_cast<double>(field(report)));
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
}

void print_what(const RunReport& report) {
    if (!report.shape.empty()) std::printf("   %s\n", report.shape.c_str());
    std::printf("   faults: %s\n", report.faults.c_str());
}

void print_failure(const Arguments& arguments, std::uint64_t seed, const RunReport& report, const char* program) {
    std::printf("seed %llu failed; replay: %s%s --seed %llu --trace\n", static_cast<unsigned long long>(seed), program,
                arguments.cluster ? " --cluster" : "", static_cast<unsigned long long>(seed));
    print_what(report);
    for (const std::string& complaint : report.complaints) std::printf("   %s\n", complaint.c_str());
}

}  // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    if (!parse(argc, argv, arguments)) {
        std::fprintf(stderr, "chaise-sim [--cluster] [--seeds N] [--first S] | [--cluster] --seed S [--trace]\n");
        return 2;
    }
    const auto start = std::chrono::steady_clock::now();
    std::vector<RunReport> reports;
    std::uint64_t failed = 0;
    for (std::uint64_t seed = arguments.first; seed < arguments.first + arguments.seeds; ++seed) {
        RunReport report = run_seed(arguments, seed, arguments.trace);
        // One seed in twenty runs twice: the same seed must be the same run.
        if (seed % 20 == 0 && run_seed(arguments, seed, false).trace_hash != report.trace_hash) {
            report.complaints.emplace_back("not deterministic: a second run had another trace");
        }
        if (!report.complaints.empty()) {
            ++failed;
            print_failure(arguments, seed, report, argv[0]);
        } else if (arguments.single) {
            print_what(report);
        }
        reports.push_back(std::move(report));
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf(
        "%llu seeds in %.1f s, medians: %.0f operations (%.0f succeeded, %.0f ambiguous, %.0f never sent), "
        "%.0f sent to the wrong node, %.0f faults of %.0f kinds, %.0f connections, %.2f s of virtual time\n",
        static_cast<unsigned long long>(arguments.seeds), seconds,
        median(reports, [](const RunReport& r) { return r.operations; }),
        median(reports, [](const RunReport& r) { return r.succeeded; }),
        median(reports, [](const RunReport& r) { return r.ambiguous; }),
        median(reports, [](const RunReport& r) { return r.not_done; }),
        median(reports, [](const RunReport& r) { return r.rerouted; }),
        median(reports, [](const RunReport& r) { return r.fault_count; }),
        median(reports, [](const RunReport& r) { return r.fault_kinds; }),
        median(reports, [](const RunReport& r) { return r.connections; }),
        median(reports, [](const RunReport& r) { return r.virtual_seconds; }));
    if (failed != 0) std::printf("%llu seeds failed\n", static_cast<unsigned long long>(failed));
    return failed == 0 ? 0 : 1;
}
