// chaise-sim: the client against simulated servers, seed after seed.
//
//   chaise-sim [--seeds N] [--first S] [--jobs J]   a campaign; prints what a failing seed needs to be seen again
//   chaise-sim --seed S [--trace]                   one seed, with every event
//
// A seed decides what the servers are: a cluster, or (one of five) memcached; --cluster and --memcached do instead.

#include "operation/probe.hpp"
#include "tests/simulation/campaign.hpp"

#include <chaise/testing/sim_random.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

namespace {

using chaise::testing::run_cluster_seed;
using chaise::testing::run_memcached_seed;
using chaise::testing::RunReport;
using chaise::testing::SeedReport;

#ifdef CHAISE_PROBES
constexpr bool probes_count = true;
#else
constexpr bool probes_count = false;
#endif

struct Arguments {
    std::uint64_t first = 1;
    std::uint64_t seeds = 500;
    std::uint64_t jobs = std::max(1u, std::thread::hardware_concurrency());
    bool single = false;
    bool trace = false;
    bool cluster = false;
    bool memcached = false;
    bool until_failure = false;
};

RunReport run_seed(const Arguments& arguments, std::uint64_t seed, bool trace) {
    const bool memcached = arguments.memcached || (!arguments.cluster && chaise::testing::sim_mix(seed) % 5 == 0);
    return (memcached ? run_memcached_seed : run_cluster_seed)(seed, trace ? &std::cout : nullptr);
}

bool parse(int argc, char** argv, Arguments& out) {
    const std::pair<const char*, bool*> switches[] = {{"--trace", &out.trace},
                                                      {"--cluster", &out.cluster},
                                                      {"--memcached", &out.memcached},
                                                      {"--until-failure", &out.until_failure}};
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        const auto* const known =
            std::find_if(std::begin(switches), std::end(switches), [&](const auto& one) { return name == one.first; });
        if (known != std::end(switches)) {
            *known->second = true;
            continue;
        }
        if (i + 1 == argc) return false;
        char* end = nullptr;
        const std::uint64_t value = std::strtoull(argv[++i], &end, 0);
        if (end == argv[i] || *end != '\0') return false;
        if (name == "--seeds") {
            out.seeds = value;
        } else if (name == "--first") {
            out.first = value;
        } else if (name == "--jobs") {
            out.jobs = value;
        } else if (name == "--seed") {
            out.first = value;
            out.single = true;
        } else {
            return false;
        }
    }
    return out.seeds > 0 && out.jobs > 0 && out.jobs <= 256 && !(out.cluster && out.memcached);
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
                arguments.cluster     ? " --cluster"
                : arguments.memcached ? " --memcached"
                                      : "",
                static_cast<unsigned long long>(seed));
    print_what(report);
    constexpr std::size_t shown = 6;
    for (std::size_t i = 0; i < std::min(shown, report.complaints.size()); ++i) {
        std::printf("   %s\n", report.complaints[i].c_str());
    }
    if (report.complaints.size() > shown) std::printf("   … %zu complaints in all\n", report.complaints.size());
    std::fflush(stdout);
}

void print_probes(const std::vector<std::uint64_t>& hits) {
    std::string never;
    std::size_t hit = 0;
    for (std::size_t i = 0; i < hits.size(); ++i) {
        hit += hits[i] != 0;
        if (hits[i] == 0) never.append(" ").append(chaise::detail::probe_names[i]);
    }
    std::printf("probes: %zu of %zu hit%s%s\n", hit, hits.size(), never.empty() ? "" : "; never:", never.c_str());
}

int run_single(const Arguments& arguments, const char* program) {
    const RunReport report = run_seed(arguments, arguments.first, arguments.trace);
    if (report.complaints.empty()) {
        print_what(report);
    } else {
        print_failure(arguments, arguments.first, report, program);
    }
    return report.complaints.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    if (!parse(argc, argv, arguments)) {
        std::fprintf(stderr,
                     "chaise-sim [--cluster | --memcached] [--seeds N] [--first S] [--jobs J] [--until-failure]\n"
                     "chaise-sim [--cluster | --memcached] --seed S [--trace]\n");
        return 2;
    }
    if (arguments.single) return run_single(arguments, argv[0]);
    std::printf("seeds %llu to %llu in %llu processes\n", static_cast<unsigned long long>(arguments.first),
                static_cast<unsigned long long>(arguments.first + arguments.seeds - 1),
                static_cast<unsigned long long>(arguments.jobs));
    std::fflush(stdout);
    const auto start = std::chrono::steady_clock::now();
    std::vector<RunReport> reports;
    std::vector<std::uint64_t> hits;
    std::uint64_t failed = 0;
    const auto told = [&](SeedReport&& seed) {
        if (!seed.report.complaints.empty()) {
            if (++failed <= 20) print_failure(arguments, seed.seed, seed.report, argv[0]);
        }
        reports.push_back(std::move(seed.report));
    };
    chaise::testing::run_campaign(
        arguments.first, arguments.seeds, static_cast<unsigned>(arguments.jobs), arguments.until_failure,
        [&](std::uint64_t seed, bool trace) { return run_seed(arguments, seed, trace); }, told, hits);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf(
        "%zu seeds in %.1f s, medians: %.0f operations (%.0f succeeded, %.0f ambiguous, %.0f never sent), "
        "%.0f sent to the wrong node, %.0f faults of %.0f kinds, %.0f connections, %.2f s of virtual time\n",
        reports.size(), seconds, median(reports, [](const RunReport& r) { return r.operations; }),
        median(reports, [](const RunReport& r) { return r.succeeded; }),
        median(reports, [](const RunReport& r) { return r.ambiguous; }),
        median(reports, [](const RunReport& r) { return r.not_done; }),
        median(reports, [](const RunReport& r) { return r.rerouted; }),
        median(reports, [](const RunReport& r) { return r.fault_count; }),
        median(reports, [](const RunReport& r) { return r.fault_kinds; }),
        median(reports, [](const RunReport& r) { return r.connections; }),
        median(reports, [](const RunReport& r) { return r.virtual_seconds; }));
    const auto most = [&](auto field) {
        std::uint64_t value = 0;
        for (const RunReport& report : reports) value = std::max<std::uint64_t>(value, field(report));
        return static_cast<unsigned long long>(value);
    };
    std::printf("at most: %llu operations under way, %llu attempts to connect to one address in a second\n",
                most([](const RunReport& r) { return r.operations_at_a_time; }),
                most([](const RunReport& r) { return r.connects_in_a_second; }));
    if (probes_count) print_probes(hits);
    if (failed != 0) std::printf("%llu seeds failed\n", static_cast<unsigned long long>(failed));
    return failed == 0 ? 0 : 1;
}
